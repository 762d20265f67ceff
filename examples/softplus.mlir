// A scale that is learned through softplus, of one 4-bit quantizer: positive
// whatever the step does to it.
func.func @forward(%x: tensor<?xf32>, %raw: tensor<f32>)
    -> tensor<?xf32> {
  %zero = arith.constant dense<0.0> : tensor<f32>
  %bits = arith.constant dense<4.0> : tensor<f32>
  %scale = quant_ste.softplus %raw grad(exact) : tensor<f32>
  %y = quant_ste.int_quant %x, %scale, %zero, %bits signed rounding(round)
    grad(clipped) : tensor<?xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return %y : tensor<?xf32>
}

func.func @gradient(%x: tensor<?xf32>, %raw: tensor<f32>,
    %dy: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>) {
  %y, %dx, %draw = quant_ste.vjp @forward(%x, %raw) cotangents(%dy)
    wrt [0, 1] : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
  return %y, %dx, %draw : tensor<?xf32>, tensor<?xf32>, tensor<f32>
}
