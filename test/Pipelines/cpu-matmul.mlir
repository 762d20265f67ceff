// What computes a product is chosen by an option, and --time says what did.

// RUN: qopt-run %s --function=f --input=32x32xf32=1 --input=32x32xf32=2 --output=@%t.npy \
// RUN:   --time 2>&1 | FileCheck %s --check-prefix=OWN
// OWN: compile {{.*}}, 1 matrix products by the runtime's kernel ({{baseline|avx2|avx512}})

// RUN: qopt-run %s --function=f --input=32x32xf32=1 --input=32x32xf32=2 --output=@%t.npy \
// RUN:   --time --pipeline="matmul=inline" 2>&1 | FileCheck %s --check-prefix=INLINE
// INLINE-NOT: matrix products

// RUN: qopt-run %s --function=f --input=32x32xf32=1 --input=32x32xf32=2 --output=@%t.npy \
// RUN:   --time --pipeline="matmul=auto" 2>&1 | FileCheck %s --check-prefix=AUTO
// AUTO: 1 matrix products by {{OpenBLAS|oneDNN|the runtime's kernel}}

// RUN: not qopt-run %s --function=f --input=32x32xf32=1 --input=32x32xf32=2 \
// RUN:   --pipeline="matmul=fast" 2>&1 | FileCheck %s --check-prefix=ERROR
// ERROR: matmul option: Cannot find option named 'fast'
// ERROR: error: pipeline options 'matmul=fast'

// The code itself: no call, and the right factor is transposed for it.
// RUN: qopt-opt %s --quant-ste-cpu-pipeline="matmul=inline stop-after=vectorize" \
// RUN:   | FileCheck %s --check-prefix=LOOPS
// LOOPS-NOT: quant_ste_matmul

// RUN: qopt-opt %s --quant-ste-cpu-pipeline="stop-after=vectorize" | FileCheck %s
// CHECK: func.func private @quant_ste_matmul(!llvm.ptr, !llvm.ptr)
// CHECK-LABEL: func.func @f
// CHECK: call @quant_ste_matmul
func.func @f(%a: tensor<32x32xf32>, %b: tensor<32x32xf32>) -> tensor<32x32xf32> {
  %zero = arith.constant dense<0.0> : tensor<32x32xf32>
  %e = tensor.empty() : tensor<32x32xf32>
  %t = linalg.transpose ins(%b : tensor<32x32xf32>) outs(%e : tensor<32x32xf32>) permutation = [1, 0]
  %y = linalg.matmul ins(%a, %t : tensor<32x32xf32>, tensor<32x32xf32>)
    outs(%zero : tensor<32x32xf32>) -> tensor<32x32xf32>
  return %y : tensor<32x32xf32>
}
