// Forward mode: how the output of PACT moves when x and alpha move.
func.func @pact(%x: tensor<?xf32>, %alpha: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %alpha bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}

// y and its tangent, from x, alpha and their tangents.
func.func @tangent(%x: tensor<?xf32>, %alpha: tensor<f32>, %tx: tensor<?xf32>,
    %talpha: tensor<f32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %y, %ty = quant_ste.jvp @pact(%x, %alpha) tangents(%tx, %talpha) wrt [0, 1]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>, tensor<f32>)
    -> (tensor<?xf32>, tensor<?xf32>)
  return %y, %ty : tensor<?xf32>, tensor<?xf32>
}
