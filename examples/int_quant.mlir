// A 4-bit integer quantizer: x becomes an integer from -7 to 7 times the scale
// of its column. Scale, zero point and bit width are values: all can be learned.
func.func @forward(%x: tensor<?x?xf32>, %scale: tensor<?xf32>,
    %zero_point: tensor<f32>, %bit_width: tensor<f32>) -> tensor<?x?xf32> {
  %y = quant_ste.int_quant %x, %scale axes([1]), %zero_point, %bit_width
    signed narrow_range rounding(round) grad(clipped)
    : tensor<?x?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<?x?xf32>
}

// In range dx = dy; a clipped element gives its gradient to the scale, the zero
// point and the bit width instead.
func.func @gradient(%x: tensor<?x?xf32>, %scale: tensor<?xf32>,
    %zero_point: tensor<f32>, %bit_width: tensor<f32>, %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<f32>,
        tensor<f32>) {
  %y, %dx, %dscale, %dzero_point, %dbit_width
    = quant_ste.vjp @forward(%x, %scale, %zero_point, %bit_width)
    cotangents(%dy) wrt [0, 1, 2, 3]
    : (tensor<?x?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>),
      (tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<f32>,
        tensor<f32>)
  return %y, %dx, %dscale, %dzero_point, %dbit_width
    : tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>
}
