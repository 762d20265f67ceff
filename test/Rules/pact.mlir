// RUN: qopt-opt %s --convert-quant-ste-to-linalg --canonicalize | FileCheck %s

// CHECK-LABEL: func @forward
// CHECK: linalg.generic
// CHECK:   math.roundeven
func.func @forward(%x: tensor<?xf32>, %alpha: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %alpha bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}
