// LSQ+ activations of 2 bits: a learned step size and offset for the tensor.
func.func @forward(%x: tensor<?xf32>, %scale: tensor<f32>, %beta: tensor<f32>)
    -> tensor<?xf32> {
  %y = quant_ste.lsq_plus %x, %scale, %beta
    qmin(0) qmax(3) grad_scale(0.5) grad(lsq)
    : tensor<?xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<?xf32>
}

// dbeta sums the cotangents of clipped elements.
func.func @gradient(%x: tensor<?xf32>, %scale: tensor<f32>, %beta: tensor<f32>,
    %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>) {
  %y, %dx, %dscale, %dbeta =
    quant_ste.vjp @forward(%x, %scale, %beta) cotangents(%dy) wrt [0, 1, 2]
    : (tensor<?xf32>, tensor<f32>, tensor<f32>), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>)
  return %y, %dx, %dscale, %dbeta
    : tensor<?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>
}
