// A function with a gradient of its own: quant_ste.vjp names the function that
// gives it, called with the arguments and the cotangents of the results, giving
// the gradients of the float arguments. Here LSQ (Esser et al. 2020): a 4-bit
// quantizer whose step s gets its gradient divided by sqrt(7 n).
//
// no_inline keeps the call, and so the attribute, until quant-ste-differentiate.
#id = affine_map<(i) -> (i)>
#all = affine_map<(i) -> ()>
func.func @lsq(%x: tensor<?xf32>, %s: tensor<f32>) -> tensor<?xf32>
    attributes {no_inline, quant_ste.vjp = @lsq_gradient} {
  %low = arith.constant -8.0 : f32
  %high = arith.constant 7.0 : f32
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  %y = linalg.generic {indexing_maps = [#id, #all, #id],
                       iterator_types = ["parallel"]}
    ins(%x, %s : tensor<?xf32>, tensor<f32>) outs(%e : tensor<?xf32>) {
  ^bb0(%xi: f32, %si: f32, %none: f32):
    %t = arith.divf %xi, %si : f32
    %t0 = arith.maximumf %t, %low : f32
    %t1 = arith.minimumf %t0, %high : f32
    %r = math.roundeven %t1 : f32
    %yi = arith.mulf %r, %si : f32
    linalg.yield %yi : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// dx = dy where -8 < x/s < 7. ds = sum dy * (round(x/s) - x/s) there, and dy * -8
// or dy * 7 outside, divided by sqrt(7 n).
func.func private @lsq_gradient(%x: tensor<?xf32>, %s: tensor<f32>,
    %dy: tensor<?xf32>) -> (tensor<?xf32>, tensor<f32>) {
  %low = arith.constant -8.0 : f32
  %high = arith.constant 7.0 : f32
  %0 = arith.constant 0.0 : f32
  %1 = arith.constant 1.0 : f32
  %c0 = arith.constant 0 : index
  %n = tensor.dim %dy, %c0 : tensor<?xf32>
  %n_i64 = arith.index_cast %n : index to i64
  %n_f32 = arith.uitofp %n_i64 : i64 to f32
  %n7 = arith.mulf %n_f32, %high : f32
  %root = math.sqrt %n7 : f32
  %g = arith.divf %1, %root : f32
  %e = tensor.empty(%n) : tensor<?xf32>
  %es = tensor.empty() : tensor<f32>
  %s0 = linalg.fill ins(%0 : f32) outs(%es : tensor<f32>) -> tensor<f32>
  %d:2 = linalg.generic {indexing_maps = [#id, #all, #id, #id, #all],
                         iterator_types = ["reduction"]}
    ins(%x, %s, %dy : tensor<?xf32>, tensor<f32>, tensor<?xf32>)
    outs(%e, %s0 : tensor<?xf32>, tensor<f32>) {
  ^bb0(%xi: f32, %si: f32, %dyi: f32, %none: f32, %acc: f32):
    %t = arith.divf %xi, %si : f32
    %below = arith.cmpf ole, %t, %low : f32
    %above = arith.cmpf oge, %t, %high : f32
    %out = arith.ori %below, %above : i1
    %dx = arith.select %out, %0, %dyi : f32
    %r = math.roundeven %t : f32
    %inside = arith.subf %r, %t : f32
    %w0 = arith.select %below, %low, %inside : f32
    %w = arith.select %above, %high, %w0 : f32
    %gw = arith.mulf %w, %g : f32
    %ds = arith.mulf %dyi, %gw : f32
    %sum = arith.addf %acc, %ds : f32
    linalg.yield %dx, %sum : f32, f32
  } -> (tensor<?xf32>, tensor<f32>)
  return %d#0, %d#1 : tensor<?xf32>, tensor<f32>
}

func.func @gradient(%x: tensor<?xf32>, %s: tensor<f32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>) {
  %y, %dx, %ds = quant_ste.vjp @lsq(%x, %s) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
  return %y, %dx, %ds : tensor<?xf32>, tensor<?xf32>, tensor<f32>
}
