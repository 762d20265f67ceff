// A network with the demo's quantizer and an upstream clamp that the demo gave
// a gradient.

func.func private @f(%x: tensor<2x?xf32>, %s: tensor<2xf32>, %t: tensor<f32>)
    -> tensor<2x?xf32> {
  %y = demo.deadzone %x, %s axes([0]), %t grad(ste)
    : tensor<2x?xf32>, tensor<2xf32>, tensor<f32>
  return %y : tensor<2x?xf32>
}
func.func @f_gradient(%x: tensor<2x?xf32>, %s: tensor<2xf32>, %t: tensor<f32>,
    %dy: tensor<2x?xf32>) -> (tensor<2x?xf32>, tensor<2xf32>) {
  %y, %dx, %ds = quant_ste.vjp @f(%x, %s, %t) cotangents(%dy) wrt [0, 1]
    : (tensor<2x?xf32>, tensor<2xf32>, tensor<f32>), (tensor<2x?xf32>)
    -> (tensor<2x?xf32>, tensor<2x?xf32>, tensor<2xf32>)
  return %dx, %ds : tensor<2x?xf32>, tensor<2xf32>
}

func.func private @clip(%x: f32, %low: f32, %high: f32) -> f32 {
  %y = math.clampf %x to [%low, %high] : f32
  return %y : f32
}
func.func @clip_gradient(%x: f32, %low: f32, %high: f32, %dy: f32) -> f32 {
  %y, %dx = quant_ste.vjp @clip(%x, %low, %high) cotangents(%dy) wrt [0]
    : (f32, f32, f32), (f32) -> (f32, f32)
  return %dx : f32
}
