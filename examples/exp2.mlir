// A scale that is learned as its logarithm, of one 4-bit quantizer: positive
// whatever the step does to it.
func.func @forward(%x: tensor<?xf32>, %log2_scale: tensor<f32>)
    -> tensor<?xf32> {
  %zero = arith.constant dense<0.0> : tensor<f32>
  %bits = arith.constant dense<4.0> : tensor<f32>
  %scale = quant_ste.exp2 %log2_scale grad(exact) : tensor<f32>
  %y = quant_ste.int_quant %x, %scale, %zero, %bits signed rounding(round)
    grad(clipped) : tensor<?xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return %y : tensor<?xf32>
}

func.func @gradient(%x: tensor<?xf32>, %log2_scale: tensor<f32>,
    %dy: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>) {
  %y, %dx, %dlog2 = quant_ste.vjp @forward(%x, %log2_scale) cotangents(%dy)
    wrt [0, 1] : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
  return %y, %dx, %dlog2 : tensor<?xf32>, tensor<?xf32>, tensor<f32>
}
