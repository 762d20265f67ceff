// A value that a loop carries twice is carried once in the end, though not every
// clean-up looks for it: upstream's pattern, which they leave out, is quadratic in
// what a loop carries.
// RUN: qopt-opt %s --quant-ste-cpu-pipeline=stop-after=differentiate | FileCheck %s --check-prefix=FIRST
// RUN: qopt-opt %s --quant-ste-cpu-pipeline=stop-after=fuse | FileCheck %s

// FIRST-LABEL: func.func @twice
// FIRST:       scf.for {{.*}} -> (tensor<8xf32>, tensor<8xf32>)
// CHECK-LABEL: func.func @twice
// CHECK:       scf.for {{.*}} -> (tensor<8xf32>) {
func.func @twice(%x: tensor<8xf32>, %n: index) -> (tensor<8xf32>, tensor<8xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %b = %x)
      -> (tensor<8xf32>, tensor<8xf32>) {
    %y = quant_ste.binary_sign %a grad(window(-1.0, 1.0)) : tensor<8xf32>
    %z = arith.addf %y, %b : tensor<8xf32>
    scf.yield %z, %z : tensor<8xf32>, tensor<8xf32>
  }
  return %r#0, %r#1 : tensor<8xf32>, tensor<8xf32>
}
