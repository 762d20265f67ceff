// An accumulator of 8 bits, quantized with a step of scale, keeps its upper 4:
// the result has steps of 16 * scale.
func.func @forward(%x: tensor<?x?xf32>, %scale: tensor<f32>,
    %zero_point: tensor<f32>, %input_bit_width: tensor<f32>,
    %output_bit_width: tensor<f32>) -> tensor<?x?xf32> {
  %y = quant_ste.trunc_int_quant %x, %scale, %zero_point, %input_bit_width,
    %output_bit_width signed rounding(floor) grad(clipped)
    : tensor<?x?xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>
  return %y : tensor<?x?xf32>
}

// In range dx = dy, and the scale gets the rounding error.
func.func @gradient(%x: tensor<?x?xf32>, %scale: tensor<f32>,
    %zero_point: tensor<f32>, %input_bit_width: tensor<f32>,
    %output_bit_width: tensor<f32>, %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<f32>, tensor<f32>,
        tensor<f32>, tensor<f32>) {
  %y, %dx, %dscale, %dzero_point, %dinput_bit_width, %doutput_bit_width
    = quant_ste.vjp @forward(%x, %scale, %zero_point, %input_bit_width,
      %output_bit_width) cotangents(%dy)
    wrt [0, 1, 2, 3, 4]
    : (tensor<?x?xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>),
      (tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<f32>, tensor<f32>,
        tensor<f32>, tensor<f32>)
  return %y, %dx, %dscale, %dzero_point, %dinput_bit_width, %doutput_bit_width
    : tensor<?x?xf32>, tensor<?x?xf32>, tensor<f32>, tensor<f32>, tensor<f32>,
      tensor<f32>
}
