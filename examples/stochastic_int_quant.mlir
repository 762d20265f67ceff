// int_quant with stochastic rounding (Brevitas: StochasticRoundSte as
// float_to_int_impl): x / scale is rounded by a random number, then clamped and
// scaled as by int_quant, which finds whole numbers and rounds nothing.
func.func @forward(%x: tensor<?xf32>, %scale: f32, %seed: i64, %step: i64)
    -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %bits = arith.constant 4.0 : f32
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %u = quant_ste.uniform seed(%seed) step(%step) sizes(%n) : tensor<?xf32>
  %scales = tensor.splat %scale[%n] : tensor<?xf32>
  %t = arith.divf %x, %scales : tensor<?xf32>
  %r = quant_ste.stochastic_round %t, %u axes([0]) grad(ste)
    : tensor<?xf32>, tensor<?xf32>
  %y = quant_ste.decoupled_int_quant %r, %one, %zero, %scale, %zero, %bits
    signed rounding(round) grad(clipped)
    : tensor<?xf32>, f32, f32, f32, f32, f32
  return %y : tensor<?xf32>
}

func.func @gradient(%x: tensor<?xf32>, %scale: f32, %seed: i64, %step: i64,
    %dy: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>, f32) {
  %y, %dx, %dscale = quant_ste.vjp @forward(%x, %scale, %seed, %step)
    cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, f32, i64, i64), (tensor<?xf32>)
    -> (tensor<?xf32>, tensor<?xf32>, f32)
  return %y, %dx, %dscale : tensor<?xf32>, tensor<?xf32>, f32
}
