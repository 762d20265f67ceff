// BNN+, Darabi et al. 2018 (arXiv:1812.11800): forward sign(x) (+1 at zero),
// backward the derivative of SignSwish,
//   SS(z) = 2 sigmoid(z) * (1 + z * (1 - sigmoid(z))) - 1,   z = beta * x
//   SS'(z) = (2 - z * tanh(z/2)) / (1 + cosh(z))
// so dx = beta * SS'(z), dbeta = x * SS'(z). Unlike a clipped gradient it is
// negative for large |x|.
quant_ste.rule @sign_swish
forward(%x: f32, %beta: f32) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %minus = arith.constant -1.0 : f32
  %isPositive = arith.cmpf oge, %x, %zero : f32
  %y = arith.select %isPositive, %one, %minus : f32
  quant_ste.yield %y : f32
} partials(%x: f32, %beta: f32, %y: f32) {
  %half = arith.constant 0.5 : f32
  %one = arith.constant 1.0 : f32
  %two = arith.constant 2.0 : f32
  %z = arith.mulf %beta, %x : f32
  %halved = arith.mulf %z, %half : f32
  %tanh = math.tanh %halved : f32
  %bend = arith.mulf %z, %tanh : f32
  %top = arith.subf %two, %bend : f32
  %cosh = math.cosh %z : f32
  %bottom = arith.addf %one, %cosh : f32
  %slope = arith.divf %top, %bottom : f32
  %dx = arith.mulf %beta, %slope : f32
  %dbeta = arith.mulf %x, %slope : f32
  quant_ste.yield %dx, %dbeta : f32, f32
}

func.func @forward(%x: tensor<?xf32>, %beta: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.apply @sign_swish(%x, %beta) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}
func.func @gradient(%x: tensor<?xf32>, %beta: tensor<f32>, %dy: tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>) {
  %r:3 = quant_ste.vjp @forward(%x, %beta) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
  return %r#0, %r#1, %r#2 : tensor<?xf32>, tensor<?xf32>, tensor<f32>
}
