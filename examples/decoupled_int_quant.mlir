// An integer quantizer whose result is read with another scale than x was
// divided by: 4 bits, steps of pre_scale in, steps of scale out.
func.func @forward(%x: tensor<?x?xf32>, %pre_scale: tensor<f32>,
    %pre_zero_point: tensor<f32>, %scale: tensor<?xf32>,
    %zero_point: tensor<f32>, %bit_width: tensor<f32>) -> tensor<?x?xf32> {
  %y = quant_ste.decoupled_int_quant %x, %pre_scale, %pre_zero_point,
    %scale axes([1]), %zero_point, %bit_width signed narrow_range
    rounding(round) grad(clipped)
    : tensor<?x?xf32>, tensor<f32>, tensor<f32>, tensor<?xf32>, tensor<f32>,
      tensor<f32>
  return %y : tensor<?x?xf32>
}

// Every parameter gets a gradient. dx is dy * scale / pre_scale in range.
func.func @gradient(%x: tensor<?x?xf32>, %pre_scale: tensor<f32>,
    %pre_zero_point: tensor<f32>, %scale: tensor<?xf32>,
    %zero_point: tensor<f32>, %bit_width: tensor<f32>, %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<f32>, tensor<f32>,
        tensor<?xf32>, tensor<f32>, tensor<f32>) {
  %y, %dx, %dpre_scale, %dpre_zero_point, %dscale, %dzero_point, %dbit_width
    = quant_ste.vjp @forward(%x, %pre_scale, %pre_zero_point, %scale,
      %zero_point, %bit_width) cotangents(%dy)
    wrt [0, 1, 2, 3, 4, 5]
    : (tensor<?x?xf32>, tensor<f32>, tensor<f32>, tensor<?xf32>, tensor<f32>,
       tensor<f32>),
      (tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<f32>, tensor<f32>,
        tensor<?xf32>, tensor<f32>, tensor<f32>)
  return %y, %dx, %dpre_scale, %dpre_zero_point, %dscale, %dzero_point,
    %dbit_width
    : tensor<?x?xf32>, tensor<?x?xf32>, tensor<f32>, tensor<f32>,
      tensor<?xf32>, tensor<f32>, tensor<f32>
}
