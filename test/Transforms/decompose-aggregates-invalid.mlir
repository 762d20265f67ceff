// RUN: qopt-opt %s --quant-ste-decompose-aggregates --verify-diagnostics

func.func @integers(%x: tensor<2x3xi32>, %e: tensor<2x3xi32>) -> tensor<2x3xi32> {
  // expected-error@+1 {{expected elements of a floating-point type, got 'i32'}}
  %y = linalg.softmax dimension(1) ins(%x : tensor<2x3xi32>) outs(%e : tensor<2x3xi32>) -> tensor<2x3xi32>
  return %y : tensor<2x3xi32>
}
