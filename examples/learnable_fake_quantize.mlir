// torch._fake_quantize_learnable_per_tensor_affine, unsigned 4 bits.
func.func @forward(%x: tensor<?xf32>, %scale: tensor<f32>,
    %zero_point: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.learnable_fake_quantize %x, %scale, %zero_point
    qmin(0) qmax(15) grad_factor(1.0) grad(clipped)
    : tensor<?xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<?xf32>
}

// The zero point learns from saturated elements alone.
func.func @gradient(%x: tensor<?xf32>, %scale: tensor<f32>,
    %zero_point: tensor<f32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>) {
  %y, %dx, %dscale, %dzero_point =
    quant_ste.vjp @forward(%x, %scale, %zero_point) cotangents(%dy)
      wrt [0, 1, 2]
    : (tensor<?xf32>, tensor<f32>, tensor<f32>), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>)
  return %y, %dx, %dscale, %dzero_point
    : tensor<?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>
}
