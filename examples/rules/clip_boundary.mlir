// One fake quantizer, two gradients: pytorch/ao#4806. Autograd's clamp came to stop
// the gradient of a value that equals its bound (> for >=). A fake quantizer
// clamps whole numbers to whole bounds, and where the scale comes from the largest
// value nothing lies beyond them: the values of the outermost bins equal a bound,
// and all lost their gradient. Nothing failed; training diverged later.
//
// The forward values are the same bits. Here the gradient is part of what is
// written, and the difference is one word of one op:
//
//   $ qopt-opt examples/rules/clip_boundary.mlir --quant-ste-link-rules
//     closed:  arith.cmpf oge, ...   arith.cmpf ole, ...
//     open:    arith.cmpf ogt, ...   arith.cmpf olt, ...
//
// int4: r = round(x / s), y = s * clip(r, -8, 7).
quant_ste.rule @closed
forward(%x: f32, %s: f32) {
  %low = arith.constant -8.0 : f32
  %high = arith.constant 7.0 : f32
  %t = arith.divf %x, %s : f32
  %r = math.roundeven %t : f32
  %isBelow = arith.cmpf olt, %r, %low : f32
  %r1 = arith.select %isBelow, %low, %r : f32
  %isAbove = arith.cmpf ogt, %r1, %high : f32
  %r2 = arith.select %isAbove, %high, %r1 : f32
  %y = arith.mulf %r2, %s : f32
  quant_ste.yield %y : f32
} partials(%x: f32, %s: f32, %y: f32) {
  %low = arith.constant -8.0 : f32
  %high = arith.constant 7.0 : f32
  %zero = arith.constant 0.0 : f32
  %t = arith.divf %x, %s : f32
  %r = math.roundeven %t : f32
  %isFromLow = arith.cmpf oge, %r, %low : f32
  %isToHigh = arith.cmpf ole, %r, %high : f32
  %passes = arith.andi %isFromLow, %isToHigh : i1
  quant_ste.yield %passes, %zero : i1, f32
}
quant_ste.rule @open
forward(%x: f32, %s: f32) {
  %low = arith.constant -8.0 : f32
  %high = arith.constant 7.0 : f32
  %t = arith.divf %x, %s : f32
  %r = math.roundeven %t : f32
  %isBelow = arith.cmpf olt, %r, %low : f32
  %r1 = arith.select %isBelow, %low, %r : f32
  %isAbove = arith.cmpf ogt, %r1, %high : f32
  %r2 = arith.select %isAbove, %high, %r1 : f32
  %y = arith.mulf %r2, %s : f32
  quant_ste.yield %y : f32
} partials(%x: f32, %s: f32, %y: f32) {
  %low = arith.constant -8.0 : f32
  %high = arith.constant 7.0 : f32
  %zero = arith.constant 0.0 : f32
  %t = arith.divf %x, %s : f32
  %r = math.roundeven %t : f32
  %isFromLow = arith.cmpf ogt, %r, %low : f32
  %isToHigh = arith.cmpf olt, %r, %high : f32
  %passes = arith.andi %isFromLow, %isToHigh : i1
  quant_ste.yield %passes, %zero : i1, f32
}

func.func @forward_closed(%x: tensor<?xf32>, %s: f32) -> tensor<?xf32> {
  %y = quant_ste.apply @closed(%x, %s) : tensor<?xf32>, f32
  return %y : tensor<?xf32>
}
func.func @forward_open(%x: tensor<?xf32>, %s: f32) -> tensor<?xf32> {
  %y = quant_ste.apply @open(%x, %s) : tensor<?xf32>, f32
  return %y : tensor<?xf32>
}

// y and dx, closed; y and dx, open.
func.func @gradient(%x: tensor<?xf32>, %s: f32, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) {
  %a:2 = quant_ste.vjp @forward_closed(%x, %s) cotangents(%dy) wrt [0]
    : (tensor<?xf32>, f32), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  %b:2 = quant_ste.vjp @forward_open(%x, %s) cotangents(%dy) wrt [0]
    : (tensor<?xf32>, f32), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %a#0, %a#1, %b#0, %b#1
    : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
}
