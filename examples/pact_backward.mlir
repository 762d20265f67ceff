// The smallest whole thing: a PACT activation and its backward pass. Nobody wrote
// the backward pass; grad(pact) says what it is, and
//
//   qopt-opt examples/pact_backward.mlir --quant-ste-differentiate
//
// derives it. Run it on five values of x, of which the fourth is exactly alpha:
//
//   qopt-run examples/pact_backward.mlir --function=pact_backward \
//     --input=5xf32=-1,0.5,1,2,3 --input=f32=2 --input=5xf32=1,1,1,1,1
func.func @pact(%x: tensor<?xf32>, %alpha: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %alpha bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}

// y, dx and dalpha from x, alpha and dy, in one pass over memory.
func.func @pact_backward(%x: tensor<?xf32>, %alpha: tensor<f32>,
    %dy: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>) {
  %y, %dx, %dalpha = quant_ste.vjp @pact(%x, %alpha) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
  return %y, %dx, %dalpha : tensor<?xf32>, tensor<?xf32>, tensor<f32>
}
