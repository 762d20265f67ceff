// Bad targets, outputs and functions: a clear error, and no file.

// RUN: rm -f %t.*
// RUN: not qopt-compile %s -o %t.o --target=gpu 2>&1 | FileCheck %s --check-prefix=TARGET
// TARGET: error: --target: expected a target cpu, x86_64 or aarch64, as in cpu:x86-64-v3, got 'gpu'
// RUN: not qopt-compile %s -o %t.o --target=cpu: 2>&1 | FileCheck %s --check-prefix=EMPTY
// EMPTY: error: --target: expected a processor after 'cpu:'
// RUN: not qopt-compile %s -o %t.o --target=x86_64:x86-64-v9 2>&1 | FileCheck %s --check-prefix=CPU
// CPU: error: --target: unknown processor 'x86-64-v9'
// RUN: not qopt-compile %s -o %t.o --target=x86_64:x86-64-v3,avx1024 2>&1 | FileCheck %s --check-prefix=FEATURE
// FEATURE: error: --target: unknown processor feature '+avx1024'
// RUN: not qopt-compile %s -o %t.o --target=aarch64:generic+neoverse-n1 2>&1 | FileCheck %s --check-prefix=CHOICE
// CHOICE: error: --target: a choice between processors when a program is loaded is for x86-64 only
// RUN: not qopt-compile %s -o %t.exe 2>&1 | FileCheck %s --check-prefix=SUFFIX
// SUFFIX: error: -o: expected a file that ends in .o, .so, .s or .ll, got '{{.*}}.exe'
// RUN: not qopt-compile %s 2>&1 | FileCheck %s --check-prefix=OUTPUT
// OUTPUT: error: expected -o and a file
// RUN: not qopt-compile %s -o %t.so --function=fine --linker=/no/such/linker 2>&1 | FileCheck %s --check-prefix=LINKER
// LINKER: error: no linker '/no/such/linker'
// RUN: env PATH=/no/such/path not qopt-compile %s -o %t.so 2>&1 | FileCheck %s --check-prefix=NOLINKER
// NOLINKER: error: linking a shared library takes clang, cc or gcc, and none is in PATH; write an object with -o f.o, or give one by --linker
// RUN: not qopt-compile %s -o /no/such/directory/f.o --function=fine 2>&1 | FileCheck %s --check-prefix=WRITE
// WRITE: error: {{.*}}/no/such/directory/f.{{.*}}: No such file or directory
// RUN: not qopt-compile %s -o %t.o --function=nope 2>&1 | FileCheck %s --check-prefix=NOPE
// NOPE: error: no public function @nope with a body
// RUN: not ls %t.o %t.so %t.h

func.func @fine(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.round %x grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32>
}

// RUN: not qopt-compile %s -o %t.o --function=complex 2>&1 | FileCheck %s --check-prefix=TYPE
// TYPE: [[@LINE+1]]:1: error: @complex has no form in C: argument #0: expected a ranked tensor or a scalar of {{.*}}, got tensor<*xf32>
func.func @complex(%x: tensor<*xf32>) {
  return
}

// RUN: not qopt-compile %s -o %t.o --function=open 2>&1 | FileCheck %s --check-prefix=OPEN
// OPEN: [[@LINE+1]]:1: error: @open has no form in C: result #0 : ?x2xf32: the caller has to give a buffer for it, and the size of dimension 0 is neither that of an argument nor the bytes of its bits
func.func @open(%x: tensor<2x2xf32>, %n: index) -> tensor<?x2xf32> {
  %y = tensor.extract_slice %x[0, 0] [%n, 2] [1, 1] : tensor<2x2xf32> to tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// RUN: not qopt-compile %s -o %t.o --function=register 2>&1 | FileCheck %s --check-prefix=NAME
// NAME: error: @register has no form in C: expected a name of letters, digits and underscores, not a word of C or C++, got 'register'
// RUN: qopt-compile %s -o %t.prefix.o --function=register --prefix=my_
func.func @register() {
  return
}
