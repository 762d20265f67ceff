// A weight quantizer whose scale follows from the weights, one per output
// channel: absmax / 7. The gradient of the scale goes on to the first weight that
// has the largest magnitude. A smallest scale keeps a channel of zeros finite.
func.func @quantize(%w: tensor<4x?xf32>) -> tensor<4x?xf32> {
  %absmax = quant_ste.absmax %w axes([0]) grad(first) : tensor<4x?xf32> -> tensor<4xf32>
  %seven = arith.constant dense<7.0> : tensor<4xf32>
  %ratio = arith.divf %absmax, %seven : tensor<4xf32>
  %scale = quant_ste.scalar_clamp_min %ratio min(1.0e-8) grad(ste) : tensor<4xf32>
  %zero = arith.constant dense<0.0> : tensor<f32>
  %bits = arith.constant dense<4.0> : tensor<f32>
  %q = quant_ste.int_quant %w, %scale axes([0]), %zero, %bits signed narrow_range
    rounding(round) grad(clipped)
    : tensor<4x?xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>
  return %q : tensor<4x?xf32>
}

// The quantized weights and, given their cotangent, the gradient of the weights.
func.func @gradient(%w: tensor<4x?xf32>, %dq: tensor<4x?xf32>)
    -> (tensor<4x?xf32>, tensor<4x?xf32>) {
  %q, %dw = quant_ste.vjp @quantize(%w) cotangents(%dq) wrt [0]
    : (tensor<4x?xf32>), (tensor<4x?xf32>) -> (tensor<4x?xf32>, tensor<4x?xf32>)
  return %q, %dw : tensor<4x?xf32>, tensor<4x?xf32>
}
