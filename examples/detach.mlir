// The scale is computed from x, s = max |x| / 7, but treated as a constant by the
// gradient: quant_ste.detach lets no gradient through.
#id = affine_map<(i) -> (i)>
#all = affine_map<(i) -> ()>
func.func @forward(%x: tensor<?xf32>) -> tensor<?xf32> {
  %zero_point = arith.constant dense<0.0> : tensor<f32>
  %bit_width = arith.constant dense<4.0> : tensor<f32>
  %0 = arith.constant 0.0 : f32
  %7 = arith.constant 7.0 : f32
  %e = tensor.empty() : tensor<f32>
  %s0 = linalg.fill ins(%0 : f32) outs(%e : tensor<f32>) -> tensor<f32>
  %s1 = linalg.generic {indexing_maps = [#id, #all],
                        iterator_types = ["reduction"]}
    ins(%x : tensor<?xf32>) outs(%s0 : tensor<f32>) {
  ^bb0(%xi: f32, %acc: f32):
    %abs = math.absf %xi : f32
    %step = arith.divf %abs, %7 : f32
    %max = arith.maximumf %acc, %step : f32
    linalg.yield %max : f32
  } -> tensor<f32>
  %s = quant_ste.detach %s1 : tensor<f32>
  %y = quant_ste.int_quant %x, %s, %zero_point, %bit_width signed narrow_range
    rounding(round) grad(clipped)
    : tensor<?xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return %y : tensor<?xf32>
}

func.func @gradient(%x: tensor<?xf32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %y, %dx = quant_ste.vjp @forward(%x) cotangents(%dy) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %y, %dx : tensor<?xf32>, tensor<?xf32>
}
