// AdaRound, Nagel et al. 2020 (arXiv:2004.10568), 4 bits: each weight learns, by a
// variable v of its own, whether to round down or up.
//   h = clip(1.2 * sigmoid(v) - 0.1, 0, 1)
//   y = s * clip(floor(w / s) + h, -8, 7)
// The derivative by v is the true one; the weights and their scale are fixed.
quant_ste.rule @adaround
forward(%w: f32, %s: f32, %v: f32) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %stretch = arith.constant 1.2 : f32
  %margin = arith.constant -0.1 : f32
  %low = arith.constant -8.0 : f32
  %high = arith.constant 7.0 : f32
  %minus = arith.negf %v : f32
  %exp = math.exp %minus : f32
  %bottom = arith.addf %one, %exp : f32
  %sigmoid = arith.divf %one, %bottom : f32
  %wide = arith.mulf %stretch, %sigmoid : f32
  %h0 = arith.addf %wide, %margin : f32
  %isUnder = arith.cmpf olt, %h0, %zero : f32
  %h1 = arith.select %isUnder, %zero, %h0 : f32
  %isOver = arith.cmpf ogt, %h1, %one : f32
  %h = arith.select %isOver, %one, %h1 : f32
  %t = arith.divf %w, %s : f32
  %down = math.floor %t : f32
  %r = arith.addf %down, %h : f32
  %isBelow = arith.cmpf olt, %r, %low : f32
  %r1 = arith.select %isBelow, %low, %r : f32
  %isAbove = arith.cmpf ogt, %r1, %high : f32
  %r2 = arith.select %isAbove, %high, %r1 : f32
  %y = arith.mulf %r2, %s : f32
  quant_ste.yield %y : f32
} partials(%w: f32, %s: f32, %v: f32, %y: f32) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %stretch = arith.constant 1.2 : f32
  %margin = arith.constant -0.1 : f32
  %low = arith.constant -8.0 : f32
  %high = arith.constant 7.0 : f32
  %minus = arith.negf %v : f32
  %exp = math.exp %minus : f32
  %bottom = arith.addf %one, %exp : f32
  %sigmoid = arith.divf %one, %bottom : f32
  %wide = arith.mulf %stretch, %sigmoid : f32
  %h = arith.addf %wide, %margin : f32
  %t = arith.divf %w, %s : f32
  %down = math.floor %t : f32
  %r = arith.addf %down, %h : f32
  %isOver0 = arith.cmpf ogt, %h, %zero : f32
  %isUnder1 = arith.cmpf olt, %h, %one : f32
  %isOverLow = arith.cmpf ogt, %r, %low : f32
  %isUnderHigh = arith.cmpf olt, %r, %high : f32
  %isSoft = arith.andi %isOver0, %isUnder1 : i1
  %isInRange = arith.andi %isOverLow, %isUnderHigh : i1
  %isFree = arith.andi %isSoft, %isInRange : i1
  %rest = arith.subf %one, %sigmoid : f32
  %slope = arith.mulf %wide, %rest : f32
  %scaled = arith.mulf %slope, %s : f32
  %dv = arith.select %isFree, %scaled, %zero : f32
  quant_ste.yield %zero, %zero, %dv : f32, f32, f32
}

// A scale for each output channel, a v for each weight.
func.func @forward(%w: tensor<?x?xf32>, %s: tensor<?xf32>, %v: tensor<?x?xf32>)
    -> tensor<?x?xf32> {
  %y = quant_ste.apply @adaround(%w, %s axes([0]), %v axes([0, 1]))
    : tensor<?x?xf32>, tensor<?xf32>, tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}
func.func @gradient(%w: tensor<?x?xf32>, %s: tensor<?xf32>,
                    %v: tensor<?x?xf32>, %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>) {
  %r:2 = quant_ste.vjp @forward(%w, %s, %v) cotangents(%dy) wrt [2]
    : (tensor<?x?xf32>, tensor<?xf32>, tensor<?x?xf32>), (tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>)
  return %r#0, %r#1 : tensor<?x?xf32>, tensor<?x?xf32>
}
