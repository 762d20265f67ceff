// DSQ, Gong et al. 2019 (arXiv:1908.05033), 2 bits on [l, u]. Each of the three
// intervals has width D and midpoint m; forward rounds to the interval's ends,
// backward sees the soft staircase
//   S(x) = l + D * (i + 1/2 + s/2 * tanh(k * (x - m))),   l <= x <= u,
// with k * D = ln(2/a - 1), s = 1 / (1 - a) and a = 0.2, both held fixed. l and u
// get the gradients of S, or all of it where x was clipped to them.
quant_ste.rule @dsq
forward(%x: f32, %l: f32, %u: f32) {
  %three = arith.constant 3.0 : f32
  %half = arith.constant 0.5 : f32
  %isAbove = arith.cmpf ogt, %x, %u : f32
  %c0 = arith.select %isAbove, %u, %x : f32
  %isBelow = arith.cmpf olt, %c0, %l : f32
  %c = arith.select %isBelow, %l, %c0 : f32
  %range = arith.subf %u, %l : f32
  %width = arith.divf %range, %three : f32
  %offset = arith.subf %c, %l : f32
  %p = arith.divf %offset, %width : f32
  %shifted = arith.addf %p, %half : f32
  %level = math.floor %shifted : f32
  %step = arith.mulf %level, %width : f32
  %y = arith.addf %l, %step : f32
  quant_ste.yield %y : f32
} partials(%x: f32, %l: f32, %u: f32, %y: f32) {
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %one = arith.constant 1.0 : f32
  %two = arith.constant 2.0 : f32
  %three = arith.constant 3.0 : f32
  %kD = arith.constant 2.1972245773362196 : f32 // ln 9
  %halfS = arith.constant 0.625 : f32
  %halfSkD = arith.constant 1.3732653608351373 : f32
  // Where x is in units of D: p = i + 1/2 + f.
  %range = arith.subf %u, %l : f32
  %width = arith.divf %range, %three : f32
  %offset = arith.subf %x, %l : f32
  %p = arith.divf %offset, %width : f32
  %whole = math.floor %p : f32
  %isLast = arith.cmpf ogt, %whole, %two : f32
  %i = arith.select %isLast, %two, %whole : f32
  %middle = arith.addf %i, %half : f32
  %f = arith.subf %p, %middle : f32
  // The staircase and its slope.
  %kf = arith.mulf %kD, %f : f32
  %t = math.tanh %kf : f32
  %bend = arith.mulf %halfS, %t : f32
  %q = arith.addf %middle, %bend : f32
  %t2 = arith.mulf %t, %t : f32
  %sech2 = arith.subf %one, %t2 : f32
  %slope = arith.mulf %halfSkD, %sech2 : f32
  // dS/du = (q - slope * p) / 3, dS/dl = 1 - slope - dS/du.
  %slopeP = arith.mulf %slope, %p : f32
  %rest = arith.subf %q, %slopeP : f32
  %duIn = arith.divf %rest, %three : f32
  %flat = arith.subf %one, %slope : f32
  %dlIn = arith.subf %flat, %duIn : f32
  %isAbove = arith.cmpf ogt, %x, %u : f32
  %isBelow = arith.cmpf olt, %x, %l : f32
  %isClipped = arith.ori %isAbove, %isBelow : i1
  %dx = arith.select %isClipped, %zero, %slope : f32
  %dlOut = arith.select %isBelow, %one, %zero : f32
  %dl = arith.select %isClipped, %dlOut, %dlIn : f32
  %duOut = arith.select %isAbove, %one, %zero : f32
  %du = arith.select %isClipped, %duOut, %duIn : f32
  quant_ste.yield %dx, %dl, %du : f32, f32, f32
}

func.func @forward(%x: tensor<?xf32>, %l: tensor<f32>, %u: tensor<f32>)
    -> tensor<?xf32> {
  %y = quant_ste.apply @dsq(%x, %l, %u)
    : tensor<?xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<?xf32>
}
func.func @gradient(%x: tensor<?xf32>, %l: tensor<f32>, %u: tensor<f32>,
                    %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>) {
  %r:4 = quant_ste.vjp @forward(%x, %l, %u) cotangents(%dy) wrt [0, 1, 2]
    : (tensor<?xf32>, tensor<f32>, tensor<f32>), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>)
  return %r#0, %r#1, %r#2, %r#3
    : tensor<?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>
}
