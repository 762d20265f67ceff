// APoT, Li et al. 2020 (arXiv:1909.13144), weights of 4 bits: a sign, and a sum of
// one of {0, 1/2, 1/4, 1/16} and one of {0, 1/8}, scaled so that the largest is
// the learned bound alpha. |w| / alpha, clipped to 1, goes to the nearest of
//   0, .1, .2, .3, .4, .6, .8, 1   (a tie to the smaller).
// dw passes where |w| <= alpha. dalpha is y/alpha - w/alpha there, and sign(w)
// where w was clipped.
quant_ste.rule @apot
forward(%w: f32, %alpha: f32) {
  %zero = arith.constant 0.0 : f32
  %ten = arith.constant 10.0 : f32
  %size = math.absf %w : f32
  %ratio = arith.divf %size, %alpha : f32
  %position = arith.mulf %ratio, %ten : f32
  %m1 = arith.constant 0.5 : f32
  %v1 = arith.constant 1.0 : f32
  %is1 = arith.cmpf ogt, %position, %m1 : f32
  %l1 = arith.select %is1, %v1, %zero : f32
  %m2 = arith.constant 1.5 : f32
  %v2 = arith.constant 2.0 : f32
  %is2 = arith.cmpf ogt, %position, %m2 : f32
  %l2 = arith.select %is2, %v2, %l1 : f32
  %m3 = arith.constant 2.5 : f32
  %v3 = arith.constant 3.0 : f32
  %is3 = arith.cmpf ogt, %position, %m3 : f32
  %l3 = arith.select %is3, %v3, %l2 : f32
  %m4 = arith.constant 3.5 : f32
  %v4 = arith.constant 4.0 : f32
  %is4 = arith.cmpf ogt, %position, %m4 : f32
  %l4 = arith.select %is4, %v4, %l3 : f32
  %m5 = arith.constant 5.0 : f32
  %v5 = arith.constant 6.0 : f32
  %is5 = arith.cmpf ogt, %position, %m5 : f32
  %l5 = arith.select %is5, %v5, %l4 : f32
  %m6 = arith.constant 7.0 : f32
  %v6 = arith.constant 8.0 : f32
  %is6 = arith.cmpf ogt, %position, %m6 : f32
  %l6 = arith.select %is6, %v6, %l5 : f32
  %m7 = arith.constant 9.0 : f32
  %v7 = arith.constant 10.0 : f32
  %is7 = arith.cmpf ogt, %position, %m7 : f32
  %l7 = arith.select %is7, %v7, %l6 : f32
  %level = arith.divf %l7, %ten : f32
  %value = arith.mulf %level, %alpha : f32
  %y = math.copysign %value, %w : f32
  quant_ste.yield %y : f32
} partials(%w: f32, %alpha: f32, %y: f32) {
  %one = arith.constant 1.0 : f32
  %size = math.absf %w : f32
  %isInside = arith.cmpf ole, %size, %alpha : f32
  %error = arith.subf %y, %w : f32
  %relative = arith.divf %error, %alpha : f32
  %sign = math.copysign %one, %w : f32
  %dalpha = arith.select %isInside, %relative, %sign : f32
  quant_ste.yield %isInside, %dalpha : i1, f32
}

// One bound per output channel.
func.func @forward(%w: tensor<?x?xf32>, %alpha: tensor<?xf32>)
    -> tensor<?x?xf32> {
  %y = quant_ste.apply @apot(%w, %alpha axes([0]))
    : tensor<?x?xf32>, tensor<?xf32>
  return %y : tensor<?x?xf32>
}
func.func @gradient(%w: tensor<?x?xf32>, %alpha: tensor<?xf32>,
                    %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>) {
  %r:3 = quant_ste.vjp @forward(%w, %alpha) cotangents(%dy) wrt [0, 1]
    : (tensor<?x?xf32>, tensor<?xf32>), (tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>)
  return %r#0, %r#1, %r#2 : tensor<?x?xf32>, tensor<?x?xf32>, tensor<?xf32>
}
