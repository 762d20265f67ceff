// QIL, Jung et al. 2019 (arXiv:1808.05779), weights of 3 bits. The interval of
// half width d around c is learned, as is the exponent g:
//   t = |w| / (2 d) + 1/2 - c / (2 d)
//   y = sign(w) * round(3 * clip(t, 0, 1)^g) / 3
// The rounding is straight-through; what is pruned (t <= 0) or clipped (t > 1)
// gives no gradient.
quant_ste.rule @qil
forward(%w: f32, %c: f32, %d: f32, %g: f32) {
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %one = arith.constant 1.0 : f32
  %three = arith.constant 3.0 : f32
  %size = math.absf %w : f32
  %distance = arith.subf %size, %c : f32
  %scaled = arith.divf %distance, %d : f32
  %halved = arith.mulf %scaled, %half : f32
  %t0 = arith.addf %halved, %half : f32
  %isPruned = arith.cmpf olt, %t0, %zero : f32
  %t1 = arith.select %isPruned, %zero, %t0 : f32
  %isClipped = arith.cmpf ogt, %t1, %one : f32
  %t = arith.select %isClipped, %one, %t1 : f32
  %h = math.powf %t, %g : f32
  %position = arith.mulf %h, %three : f32
  %whole = math.roundeven %position : f32
  %level = arith.divf %whole, %three : f32
  %y = math.copysign %level, %w : f32
  quant_ste.yield %y : f32
} partials(%w: f32, %c: f32, %d: f32, %g: f32, %y: f32) {
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 0.5 : f32
  %one = arith.constant 1.0 : f32
  %size = math.absf %w : f32
  %distance = arith.subf %size, %c : f32
  %scaled = arith.divf %distance, %d : f32
  %halved = arith.mulf %scaled, %half : f32
  %t = arith.addf %halved, %half : f32
  %isAbove = arith.cmpf ogt, %t, %zero : f32
  %isBelow = arith.cmpf ole, %t, %one : f32
  %isInside = arith.andi %isAbove, %isBelow : i1
  // dh = g t^(g-1) dt; dt is 1/(2d) by |w|, -1/(2d) by c, -(|w| - c)/(2d^2) by d.
  %less = arith.subf %g, %one : f32
  %power = math.powf %t, %less : f32
  %dh = arith.mulf %g, %power : f32
  %perWidth = arith.divf %half, %d : f32
  %dwIn = arith.mulf %dh, %perWidth : f32
  %dcSize = arith.negf %dwIn : f32
  %ddSize = arith.mulf %dcSize, %scaled : f32
  %h = math.powf %t, %g : f32
  %log = math.log %t : f32
  %dgSize = arith.mulf %h, %log : f32
  %sign = math.copysign %one, %w : f32
  %dcIn = arith.mulf %dcSize, %sign : f32
  %ddIn = arith.mulf %ddSize, %sign : f32
  %dgIn = arith.mulf %dgSize, %sign : f32
  %dw = arith.select %isInside, %dwIn, %zero : f32
  %dc = arith.select %isInside, %dcIn, %zero : f32
  %dd = arith.select %isInside, %ddIn, %zero : f32
  %dg = arith.select %isInside, %dgIn, %zero : f32
  quant_ste.yield %dw, %dc, %dd, %dg : f32, f32, f32, f32
}

func.func @forward(%w: tensor<?xf32>, %c: f32, %d: f32, %g: f32)
    -> tensor<?xf32> {
  %y = quant_ste.apply @qil(%w, %c, %d, %g) : tensor<?xf32>, f32, f32, f32
  return %y : tensor<?xf32>
}
func.func @gradient(%w: tensor<?xf32>, %c: f32, %d: f32, %g: f32,
                    %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, f32, f32, f32) {
  %r:5 = quant_ste.vjp @forward(%w, %c, %d, %g) cotangents(%dy) wrt [0, 1, 2, 3]
    : (tensor<?xf32>, f32, f32, f32), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, f32, f32, f32)
  return %r#0, %r#1, %r#2, %r#3, %r#4
    : tensor<?xf32>, tensor<?xf32>, f32, f32, f32
}
