// RUN: qopt-opt %s --quant-ste-lint --verify-diagnostics | FileCheck %s

// CHECK-LABEL: func @warned
func.func @warned(%x: tensor<2x3xf32>, %ok: tensor<f32>) {
  %zero = arith.constant dense<0.0> : tensor<f32>
  %nan = arith.constant dense<0x7FC00000> : tensor<f32>
  %some = arith.constant dense<[1.0, -0.5]> : tensor<2xf32>
  %bits = arith.constant dense<4.0> : tensor<f32>
  %many = arith.constant dense<64.0> : tensor<f32>
  // expected-warning@+1 {{expected a positive, finite scale, found 0.000000}}
  %0 = quant_ste.int_quant %x, %zero, %zero, %bits signed grad(clipped)
    : tensor<2x3xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  // expected-warning@+1 {{expected a positive, finite scale, found -0.500000}}
  %1 = quant_ste.int_quant %x, %some axes([0]), %zero, %bits signed grad(clipped)
    : tensor<2x3xf32>, tensor<2xf32>, tensor<f32>, tensor<f32>
  // expected-warning@+1 {{expected a bit width in 1..32, found 64.000000}}
  %2 = quant_ste.int_quant %x, %ok, %zero, %many signed grad(clipped)
    : tensor<2x3xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  // expected-warning@+1 {{expected a positive, finite alpha, found nan}}
  %3 = quant_ste.pact %x, %nan bits(4) grad(pact) : tensor<2x3xf32>, tensor<f32>
  // expected-warning@+1 {{min is above max: every result is max}}
  %4 = quant_ste.scalar_clamp %x min(1.0) max(-1.0) grad(ste) : tensor<2x3xf32>
  // expected-warning@+1 {{a bound is NaN: every result is NaN}}
  %5 = quant_ste.scalar_clamp %x min(0x7FF8000000000000) max(1.0) grad(ste) : tensor<2x3xf32>
  // expected-warning@+1 {{the bound is NaN: every result is NaN}}
  %6 = quant_ste.scalar_clamp_min %x min(0x7FF8000000000000) grad(ste) : tensor<2x3xf32>
  // expected-warning@+1 {{min is above max: every result is min}}
  %7 = quant_ste.tensor_clamp %x, %bits, %zero grad(exact)
    : tensor<2x3xf32>, tensor<f32>, tensor<f32>
  // expected-warning@+1 {{a bound is NaN and is ignored}}
  %8 = quant_ste.tensor_clamp %x, %ok, %nan grad(exact)
    : tensor<2x3xf32>, tensor<f32>, tensor<f32>
  // expected-warning@+1 {{expected a positive, finite scale, found 0.000000}}
  %9 = quant_ste.lsq %x, %zero qmin(-8) qmax(7) grad_scale(1.0) grad(lsq)
    : tensor<2x3xf32>, tensor<f32>
  // expected-warning@+1 {{expected a positive, finite scale, found 0.000000}}
  %10 = quant_ste.lsq_plus %x, %zero, %ok qmin(-8) qmax(7) grad_scale(1.0) grad(lsq)
    : tensor<2x3xf32>, tensor<f32>, tensor<f32>
  // expected-warning@+1 {{expected a positive, finite scale, found -0.500000}}
  %11 = quant_ste.fake_quantize %x, %some axes([0]), %zero qmin(0) qmax(15) grad(clipped)
    : tensor<2x3xf32>, tensor<2xf32>, tensor<f32>
  // expected-warning@+1 {{expected a zero point in [qmin, qmax], found 64.000000}}
  %12 = quant_ste.fake_quantize %x, %ok, %many qmin(0) qmax(15) grad(clipped)
    : tensor<2x3xf32>, tensor<f32>, tensor<f32>
  // expected-warning@+1 {{expected a positive, finite scale, found 0.000000}}
  %13 = quant_ste.learnable_fake_quantize %x, %zero, %zero qmin(0) qmax(15) grad_factor(1.0) grad(clipped)
    : tensor<2x3xf32>, tensor<f32>, tensor<f32>
  // expected-warning@+1 {{expected u in [0, 1), found 4.000000}}
  %14 = quant_ste.stochastic_round %x, %bits grad(ste) : tensor<2x3xf32>, tensor<f32>
  return
}

// CHECK-LABEL: func @fine
func.func @fine(%x: tensor<2x3xf32>, %s: tensor<f32>) {
  %zero = arith.constant dense<0.0> : tensor<f32>
  %bits = arith.constant dense<4.0> : tensor<f32>
  %0 = quant_ste.int_quant %x, %s, %zero, %bits signed grad(clipped)
    : tensor<2x3xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  %1 = quant_ste.scalar_clamp %x min(-1.0) max(1.0) grad(ste) : tensor<2x3xf32>
  return
}

// CHECK-LABEL: func @doubtful_brevitas
func.func @doubtful_brevitas(%x: tensor<2x3xf32>, %ok: tensor<f32>) {
  %zero = arith.constant dense<0.0> : tensor<f32>
  %nan = arith.constant dense<0x7FC00000> : tensor<f32>
  %some = arith.constant dense<[1.0, -0.5]> : tensor<2xf32>
  %bits = arith.constant dense<4.0> : tensor<f32>
  %many = arith.constant dense<64.0> : tensor<f32>
  // expected-warning@+1 {{expected a positive, finite scale, found 0.000000}}
  %9 = quant_ste.float_quant %x, %zero format(e4m3) signed saturating
    grad(clipped) : tensor<2x3xf32>, tensor<f32>
  // expected-warning@+2 {{expected a positive, finite scale, found nan}}
  // expected-warning@+1 {{expected a bit width in 1..32, found 64.000000}}
  %10 = quant_ste.decoupled_int_quant %x, %ok, %zero, %nan, %zero, %many signed
    grad(clipped) : tensor<2x3xf32>, tensor<f32>, tensor<f32>, tensor<f32>,
      tensor<f32>, tensor<f32>
  // expected-warning@+1 {{expected a bit width in 1..32, found 0.000000}}
  %11 = quant_ste.trunc_int_quant %x, %ok, %zero, %bits, %zero signed
    grad(clipped) : tensor<2x3xf32>, tensor<f32>, tensor<f32>, tensor<f32>,
      tensor<f32>
  // expected-warning@+1 {{expected a positive, finite scale, found -0.500000}}
  %12 = quant_ste.ternary_quant %x, %some axes([0]) threshold(0.5) grad(ste)
    : tensor<2x3xf32>, tensor<2xf32>
  // expected-warning@+1 {{expected a positive, finite scale, found 0.000000}}
  %13 = quant_ste.binary_quant %x, %zero grad(ste)
    : tensor<2x3xf32>, tensor<f32>
  // expected-warning@+1 {{expected a positive, finite scale, found 0.000000}}
  %14 = quant_ste.clamped_binary_quant %x, %zero grad(clipped)
    : tensor<2x3xf32>, tensor<f32>
  // expected-warning@+1 {{the bound is NaN: every result is NaN}}
  %15 = quant_ste.scalar_signed_clamp_min %x min(0x7FF8000000000000) grad(ste) : tensor<2x3xf32>
  return
}
