// EDE, the error decay estimator of IR-Net, Qin et al. 2020 (arXiv:1909.10788):
// forward sign(x) (+1 at zero), backward the derivative of k * tanh(t * x),
// k = max(1/t, 1). t grows from 0.1 to 10 in training, so that the slope goes
// from the identity's to the sign's; it is an operand without a gradient.
quant_ste.rule @ede
forward(%x: f32, %t: f32) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %minus = arith.constant -1.0 : f32
  %isPositive = arith.cmpf oge, %x, %zero : f32
  %y = arith.select %isPositive, %one, %minus : f32
  quant_ste.yield %y : f32
} partials(%x: f32, %t: f32, %y: f32) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %inverse = arith.divf %one, %t : f32
  %isEarly = arith.cmpf ogt, %inverse, %one : f32
  %k = arith.select %isEarly, %inverse, %one : f32
  %tx = arith.mulf %t, %x : f32
  %h = math.tanh %tx : f32
  %h2 = arith.mulf %h, %h : f32
  %sech2 = arith.subf %one, %h2 : f32
  %kt = arith.mulf %k, %t : f32
  %dx = arith.mulf %kt, %sech2 : f32
  quant_ste.yield %dx, %zero : f32, f32
}

func.func @forward(%x: tensor<?xf32>, %t: f32) -> tensor<?xf32> {
  %y = quant_ste.apply @ede(%x, %t) : tensor<?xf32>, f32
  return %y : tensor<?xf32>
}
func.func @gradient(%x: tensor<?xf32>, %t: f32, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>) {
  %r:2 = quant_ste.vjp @forward(%x, %t) cotangents(%dy) wrt [0]
    : (tensor<?xf32>, f32), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %r#0, %r#1 : tensor<?xf32>, tensor<?xf32>
}
