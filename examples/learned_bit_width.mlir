// A bit width that is learned: the magnitude of an offset above 2 bits, rounded
// to whole bits (brevitas.core.bit_width.BitWidthParameter). Its gradient is what
// the clipped elements give to the bounds.
func.func @forward(%x: tensor<?xf32>, %scale: tensor<f32>,
    %offset: tensor<f32>) -> tensor<?xf32> {
  %zero = arith.constant dense<0.0> : tensor<f32>
  %base = arith.constant dense<2.0> : tensor<f32>
  %above = quant_ste.abs_binary_sign_grad %offset grad(binary_sign)
    : tensor<f32>
  %wanted = arith.addf %above, %base : tensor<f32>
  %bits = quant_ste.round %wanted grad(ste) : tensor<f32>
  %y = quant_ste.int_quant %x, %scale, %zero, %bits signed rounding(round)
    grad(clipped) : tensor<?xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return %y : tensor<?xf32>
}

func.func @gradient(%x: tensor<?xf32>, %scale: tensor<f32>,
    %offset: tensor<f32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>) {
  %y, %dx, %dscale, %doffset = quant_ste.vjp @forward(%x, %scale, %offset)
    cotangents(%dy) wrt [0, 1, 2]
    : (tensor<?xf32>, tensor<f32>, tensor<f32>), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>)
  return %y, %dx, %dscale, %doffset
    : tensor<?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>
}
