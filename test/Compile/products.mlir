// A library whose products are by the runtime's kernel contains it: nothing of
// quant_ste is needed, and the bits are those of the plain loops.

// RUN: rm -rf %t && mkdir %t
// RUN: qopt-compile %s --pipeline="matmul=own openmp=false" -o %t/libp.so --header=%t/p.h
// RUN: llvm-nm --dynamic --undefined-only %t/libp.so | FileCheck %s --check-prefix=NAMES
// NAMES-NOT: quant_ste
// RUN: llvm-nm --dynamic --defined-only %t/libp.so | FileCheck %s --check-prefix=SEEN
// SEEN-NOT: quant_ste_matmul
// RUN: qopt-compile %s --pipeline=openmp=false -o %t/inline.o --prefix=inline_ --header=%t/inline.h
// RUN: %cc %sanitize %S/Inputs/products.c -I%t %t/inline.o -L%t -lp -Wl,-rpath,%t -Wl,-z,defs -o %t/products
// RUN: %t/products | FileCheck %s --check-prefix=SAME
// SAME: same bits

// An object leaves it to who links the program.
// RUN: qopt-compile %s --pipeline=matmul=own -o %t/p.o
// RUN: llvm-nm --undefined-only %t/p.o | FileCheck %s --check-prefix=OBJECT
// OBJECT: quant_ste_matmul

// RUN: not qopt-compile %s --pipeline=matmul=own --runtime=%t/none.a -o %t/q.so 2>&1 | FileCheck %s --check-prefix=MISSING
// MISSING: expected the runtime of quant_ste at '{{.*}}none.a'

// RUN: not qopt-compile %s --target=aarch64 --pipeline=matmul=own -o %t/q.so 2>&1 | FileCheck %s --check-prefix=OTHER
// OTHER: products by the runtime are for this machine's kind of processor (x86_64): write an object

func.func @product(%a: tensor<?x70xf32>, %b: tensor<70x40xf32>) -> tensor<?x40xf32> {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %m = tensor.dim %a, %c0 : tensor<?x70xf32>
  %e = tensor.empty(%m) : tensor<?x40xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<?x40xf32>) -> tensor<?x40xf32>
  %c = linalg.matmul ins(%a, %b : tensor<?x70xf32>, tensor<70x40xf32>)
    outs(%z : tensor<?x40xf32>) -> tensor<?x40xf32>
  return %c : tensor<?x40xf32>
}
