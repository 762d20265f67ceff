// torch.fused_moving_avg_obs_fake_quant: the range of an activation is observed
// from step to step, and each step is quantized by what is known of it. The state
// goes in and comes out; before the first step it is inf and -inf.
func.func @step(%x: tensor<?x?xf32>, %min: tensor<f32>, %max: tensor<f32>)
    -> (tensor<?x?xf32>, tensor<f32>, tensor<f32>) {
  %low = quant_ste.minimum %x grad(first) : tensor<?x?xf32> -> tensor<f32>
  %high = quant_ste.maximum %x grad(first) : tensor<?x?xf32> -> tensor<f32>
  %a = quant_ste.moving_average %min, %low constant(0.01) grad(detached)
    : tensor<f32>, tensor<f32>
  %b = quant_ste.moving_average %max, %high constant(0.01) grad(detached)
    : tensor<f32>, tensor<f32>
  %scale = quant_ste.choose_qparams_scale %a, %b qmin(0) qmax(255)
    grad(detached) : tensor<f32>, tensor<f32>
  %zero = quant_ste.choose_qparams_zero_point %a, %b qmin(0) qmax(255)
    grad(detached) : tensor<f32>, tensor<f32>
  %y = quant_ste.fake_quantize %x, %scale, %zero qmin(0) qmax(255)
    scaling(reciprocal) zero_point(after) grad(clipped)
    : tensor<?x?xf32>, tensor<f32>, tensor<f32>
  return %y, %a, %b : tensor<?x?xf32>, tensor<f32>, tensor<f32>
}

// Only x gets a gradient: where it was not clipped.
func.func @gradient(%x: tensor<?x?xf32>, %min: tensor<f32>, %max: tensor<f32>,
    %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<f32>, tensor<f32>, tensor<?x?xf32>) {
  %zero = arith.constant dense<0.0> : tensor<f32>
  %y, %a, %b, %dx = quant_ste.vjp @step(%x, %min, %max)
    cotangents(%dy, %zero, %zero) wrt [0]
    : (tensor<?x?xf32>, tensor<f32>, tensor<f32>),
      (tensor<?x?xf32>, tensor<f32>, tensor<f32>)
    -> (tensor<?x?xf32>, tensor<f32>, tensor<f32>, tensor<?x?xf32>)
  return %y, %a, %b, %dx
    : tensor<?x?xf32>, tensor<f32>, tensor<f32>, tensor<?x?xf32>
}
