// Every op, word and attribute of quant_ste 0.1, as it was released. Never edited:
// what stands here must be read by later versions.

module @ops {
func.func @unary(%x: tensor<?x3xf32>) {
  %0 = quant_ste.round %x grad(ste) : tensor<?x3xf32>
  %1 = quant_ste.floor %x grad(ste) : tensor<?x3xf32>
  %2 = quant_ste.ceil %x grad(ste) : tensor<?x3xf32>
  %3 = quant_ste.round_to_zero %x grad(ste) : tensor<?x3xf32>
  %4 = quant_ste.dpu_round %x grad(ste) : tensor<?x3xf32>
  %5 = quant_ste.binary_sign %x grad(ste) : tensor<?x3xf32>
  %6 = quant_ste.ternary_sign %x grad(ste) : tensor<?x3xf32>
  %7 = quant_ste.abs_binary_sign_grad %x grad(binary_sign) : tensor<?x3xf32>
  %8 = quant_ste.scalar_clamp %x min(-1.0) max(6.5) grad(ste) : tensor<?x3xf32>
  %9 = quant_ste.scalar_clamp %x min(0x7FF8000000000000) max(0x7FF0000000000000) grad(ste) : tensor<?x3xf32>
  %10 = quant_ste.scalar_clamp_min %x min(0.0) grad(ste) : tensor<?x3xf32>
  %11 = quant_ste.detach %x : tensor<?x3xf32>
  return
}
func.func @types(%a: tensor<f16>, %b: tensor<2xbf16>, %c: tensor<1x2x3x4xf64>,
                 %d: f32, %s: f32, %e: f16, %t: tensor<2xf32>) {
  %0 = quant_ste.round %a grad(ste) : tensor<f16>
  %1 = quant_ste.round %c grad(ste) : tensor<1x2x3x4xf64>
  %2 = quant_ste.pact %d, %s bits(8) grad(pact) : f32, f32
  %3 = quant_ste.pact %e, %s bits(8) grad(pact) : f16, f32
  %4 = quant_ste.pact %b, %t axes([0]) bits(8) grad(pact) : tensor<2xbf16>, tensor<2xf32>
  %5 = quant_ste.pact %b, %s bits(32) grad(pact) : tensor<2xbf16>, f32
  return
}
func.func @granularity(%x: tensor<4x8x?xf32>, %t: tensor<f32>, %c: tensor<8xf32>,
                       %nc: tensor<4x8xf32>, %all: tensor<4x8x?xf32>) {
  %0 = quant_ste.int_quant %x, %c axes([1]), %t, %t signed narrow_range grad(clipped)
    : tensor<4x8x?xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>
  %1 = quant_ste.int_quant %x, %nc axes([0, 1]), %c axes([1]), %t unsigned rounding(floor) grad(ste)
    : tensor<4x8x?xf32>, tensor<4x8xf32>, tensor<8xf32>, tensor<f32>
  %2 = quant_ste.tensor_clamp %x, %all axes([0, 1, 2]), %t grad(exact)
    : tensor<4x8x?xf32>, tensor<4x8x?xf32>, tensor<f32>
  %3 = quant_ste.tensor_clamp %x, %t, %t grad(ste)
    : tensor<4x8x?xf32>, tensor<f32>, tensor<f32>
  return
}
func.func @ranges(%bits: tensor<f32>, %b: f64) {
  %0 = quant_ste.max_int %bits signed grad(exact) : tensor<f32>
  %1 = quant_ste.max_int %b unsigned narrow_range grad(exact) : f64
  %2 = quant_ste.min_int %bits signed narrow_range grad(exact) : tensor<f32>
  %3 = quant_ste.max_uint %bits narrow_range grad(exact) : tensor<f32>
  return
}

func.func private @loss(tensor<?x8xf32>, tensor<8xf32>) -> tensor<f32>
func.func private @layer(tensor<?xf32>, tensor<f32>, i64) -> (tensor<?xf32>, i64, f32)
func.func @requests(%x: tensor<?x8xf32>, %w: tensor<8xf32>, %v: tensor<?xf32>,
                    %a: tensor<f32>, %i: i64, %d: f32) {
  %l, %dw = quant_ste.value_and_grad @loss(%x, %w) wrt [1]
    : (tensor<?x8xf32>, tensor<8xf32>) -> (tensor<f32>, tensor<8xf32>)
  %r:5 = quant_ste.vjp @layer(%v, %a, %i) cotangents(%v, %d) wrt [1, 0]
    : (tensor<?xf32>, tensor<f32>, i64), (tensor<?xf32>, f32)
      -> (tensor<?xf32>, i64, f32, tensor<f32>, tensor<?xf32>)
  %t:5 = quant_ste.jvp @layer(%v, %a, %i) tangents(%v) wrt [0]
    : (tensor<?xf32>, tensor<f32>, i64), (tensor<?xf32>)
      -> (tensor<?xf32>, i64, f32, tensor<?xf32>, f32)
  return
}
func.func @derivatives(%x: tensor<?xf32>, %alpha: tensor<f32>, %dy: tensor<?xf32>) {
  %dx, %dalpha = quant_ste.pullback(%dy) at(%x, %alpha) wrt [0, 1] {
  ^bb0(%a: tensor<?xf32>, %b: tensor<f32>):
    %y = quant_ste.pact %a, %b bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
    quant_ste.yield %y : tensor<?xf32>
  } : (tensor<?xf32>), (tensor<?xf32>, tensor<f32>) -> (tensor<?xf32>, tensor<f32>)
  %t = quant_ste.pushforward(%dy) at(%x) wrt [0] {
  ^bb0(%a: tensor<?xf32>):
    %y = quant_ste.round %a grad(ste) : tensor<?xf32>
    quant_ste.yield %y : tensor<?xf32>
  } : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>)
  return
}
func.func @surrogates(%x: tensor<?xf32>, %max: tensor<f32>) {
  %0 = quant_ste.binary_sign %x nan_positive grad(approx_sign) : tensor<?xf32>
  %1 = quant_ste.binary_sign %x grad(swish(5.0)) : tensor<?xf32>
  %2 = quant_ste.ternary_sign %x grad(tanh(2.0)) : tensor<?xf32>
  %3 = quant_ste.heaviside %x grad(sigmoid(1.0)) : tensor<?xf32>
  %4 = quant_ste.heaviside %x grad(window(-1.0, 1.0)) : tensor<?xf32>
  %5 = quant_ste.floor %x grad(open_window(-1.0, 1.0)) : tensor<?xf32>
  %6 = "quant_ste.round"(%x) {grad = #quant_ste<ewgs(0.1)>} : (tensor<?xf32>) -> tensor<?xf32>
  %7 = quant_ste.progressive_sign %x temperature(0.5) grad(ste) : tensor<?xf32>
  %8 = quant_ste.dorefa %x bits(2) grad(dorefa) : tensor<?xf32>
  %9 = quant_ste.dorefa_weight %x, %max bits(2) grad(ste) : tensor<?xf32>, tensor<f32>
  return
}
func.func @parity(%x: tensor<?xf16>, %a: tensor<f16>) {
  %0 = quant_ste.pact %x, %a bits(4) stepwise multiply_masks grad(pact) : tensor<?xf16>, tensor<f16>
  %1 = quant_ste.round %x stepwise grad(ste) : tensor<?xf16>
  return
}
func.func @statistics(%x: tensor<4x?xf32>) {
  %0 = quant_ste.absmax %x axes([0]) grad(first) : tensor<4x?xf32> -> tensor<4xf32>
  %1 = quant_ste.maximum %x grad(shared) : tensor<4x?xf32> -> tensor<f32>
  %2 = quant_ste.minimum %x axes([1]) grad(shared) : tensor<4x?xf32> -> tensor<?xf32>
  return
}
func.func @literature(%x: tensor<4x?xf16>, %s: tensor<4xf32>, %t: tensor<f32>,
                      %u: tensor<4x?xf32>) {
  %0 = quant_ste.lsq %x, %s axes([0]) qmin(-8) qmax(7) grad_scale(0.125) grad(lsq) : tensor<4x?xf16>, tensor<4xf32>
  %1 = quant_ste.lsq_plus %x, %s axes([0]), %t qmin(0) qmax(15) grad_scale(1.0) grad(lsq_inclusive) : tensor<4x?xf16>, tensor<4xf32>, tensor<f32>
  %2 = quant_ste.tqt %x, %t bits(8) signed grad(tqt) : tensor<4x?xf16>, tensor<f32>
  %3 = quant_ste.tqt %x, %s axes([0]) bits(4) unsigned grad(tqt) : tensor<4x?xf16>, tensor<4xf32>
  %4 = quant_ste.pact %x, %t bits(4) grad(pact_paper) : tensor<4x?xf16>, tensor<f32>
  %5 = quant_ste.ewgs %x levels(4) grad(ewgs(0.1)) : tensor<4x?xf16>
  %6 = quant_ste.stochastic_round %x, %u axes([0, 1]) grad(ste) : tensor<4x?xf16>, tensor<4x?xf32>
  return
}
func.func @torch(%x: tensor<4x?xf32>, %s: tensor<4xf32>, %z: tensor<f32>) {
  %0 = quant_ste.fake_quantize %x, %s axes([0]), %z qmin(-128) qmax(127) grad(clipped) : tensor<4x?xf32>, tensor<4xf32>, tensor<f32>
  %1 = quant_ste.fake_quantize %x, %s axes([0]), %z qmin(-128) qmax(127) scaling(divide) zero_point(before) grad(clipped) : tensor<4x?xf32>, tensor<4xf32>, tensor<f32>
  %2 = "quant_ste.fake_quantize"(%x, %s, %z) {scale_axes = array<i64: 0>, qmin = -128 : i64, qmax = 127 : i64, grad = #quant_ste<clipped>} : (tensor<4x?xf32>, tensor<4xf32>, tensor<f32>) -> tensor<4x?xf32>
  %3 = quant_ste.learnable_fake_quantize %x, %s axes([0]), %z qmin(0) qmax(255) grad_factor(1.0) grad(clipped) : tensor<4x?xf32>, tensor<4xf32>, tensor<f32>
  return
}
func.func @brevitas(%x: tensor<4x8xf32>, %s: tensor<f32>, %c: tensor<4xf32>,
                    %z: tensor<f32>, %b: tensor<f32>, %h: f16, %p: f32) {
  %0 = quant_ste.binary_quant %x, %c axes([0]) grad(ste)
    : tensor<4x8xf32>, tensor<4xf32>
  %1 = quant_ste.clamped_binary_quant %h, %p grad(clipped) : f16, f32
  %2 = quant_ste.ternary_quant %x, %s threshold(0.5) grad(ste)
    : tensor<4x8xf32>, tensor<f32>
  %3 = quant_ste.decoupled_int_quant %x, %s, %z, %c axes([0]), %z, %b
    signed narrow_range grad(ste)
    : tensor<4x8xf32>, tensor<f32>, tensor<f32>, tensor<4xf32>, tensor<f32>,
      tensor<f32>
  %4 = quant_ste.trunc_int_quant %x, %s, %z, %b, %b unsigned rounding(floor)
    grad(clipped)
    : tensor<4x8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>
  %5 = quant_ste.scalar_signed_clamp_min %h min(0.25) grad(ste) : f16
  %6 = quant_ste.power_of_two %p rounding(ceil) grad(ste) : f32
  %7 = quant_ste.power_of_two %p of_log2 grad(ste) : f32
  return
}
func.func @minifloats(%x: tensor<4x8xf32>, %s: tensor<f32>) {
  %0 = quant_ste.float_quant %x, %s format(e4m3) signed saturating grad(clipped)
    : tensor<4x8xf32>, tensor<f32>
  %1 = quant_ste.float_quant %x, %s format(5, 2, 15, 57344.0, inf) unsigned
    grad(exponent) : tensor<4x8xf32>, tensor<f32>
  %2 = quant_ste.float_quant %x, %s format(4, 3, 7, 240.0, inf) signed
    grad(clipped) : tensor<4x8xf32>, tensor<f32>
  %3 = "quant_ste.float_quant"(%x, %s) {
    format = #quant_ste.float_format<3, 0, 3, 16.0>, is_signed, saturating,
    grad = #quant_ste.clipped}
    : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %4 = "quant_ste.float_quant"(%x, %s) {
    format = #quant_ste.float_format<e2m1>, is_signed, saturating,
    grad = #quant_ste.clipped}
    : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %5 = quant_ste.mx_scale %s element(int8) brevitas grad(ste) : tensor<f32>
  %6 = quant_ste.mx_scale %s element(4, 3, 7, 448.0, nan) grad(ste) : tensor<f32>
  return
}
func.func @uniform(%seed: i64, %step: i64, %n: index) {
  %0 = quant_ste.uniform seed(%seed) step(%step) : tensor<4xf32>
  %1 = quant_ste.uniform seed(%seed) step(%step) sizes(%n) : tensor<?x8xf32>
  return
}
}

module @custom {
func.func @per_channel(%x: tensor<4x?x8xf32>, %s: tensor<4x8xf32>, %z: f32,
                       %c: tensor<?xf32>) -> tensor<4x?x8xf32> {
  %y = quant_ste.custom %x, %s axes([0, 2]), %z, %c axes([1]) {note = "x"}
    : tensor<4x?x8xf32>, tensor<4x8xf32>, f32, tensor<?xf32>
    forward(%x: f32, %s: f32, %z: f32, %c: f32) {
      quant_ste.yield %x : f32
    }
    partials(%x: f32, %s: f32, %z: f32, %c: f32, %y: f32) {
      %true = arith.constant true
      quant_ste.yield %true, %c, %x, %y : i1, f32, f32, f32
    }
  return %y : tensor<4x?x8xf32>
}
func.func @types(%x: tensor<?xf16>, %a: f64) -> (tensor<?xf16>, f64) {
  %y = quant_ste.custom %x : tensor<?xf16>
    forward(%v: f32) {
      quant_ste.yield %v : f32
    }
    vjp(%v: f32, %r: f32, %dy: f32) {
      quant_ste.yield %dy : f32
    }
  %b = quant_ste.custom %a, %a axes([]) : f64, f64
    forward(%v: f64, %w: f64) {
      %r = quant_ste.round %v grad(ste) : f64
      quant_ste.yield %r : f64
    }
    partials(%v: f64, %w: f64, %r: f64) {
      %c = arith.cmpf olt, %v, %w : f64
      %m = quant_ste.masked %c, %v : f64
      quant_ste.yield %w, %m : f64, f64
    }
  return %y, %b : tensor<?xf16>, f64
}
}

module @rule {
quant_ste.rule @double attributes {paper = "none"}
forward(%a: f64) {
  %r = arith.addf %a, %a : f64
  quant_ste.yield %r : f64
} partials(%a: f64, %r: f64) {
  %two = arith.constant 2.0 : f64
  quant_ste.yield %two : f64
}
quant_ste.rule private @first
forward(%a: f32, %b: f32) {
  quant_ste.yield %a : f32
} vjp(%a: f32, %b: f32, %r: f32, %dy: f32) {
  quant_ste.yield %dy, %r : f32, f32
}
quant_ste.rule private @declared(f32, f32) -> f32
func.func @apply(%d: f64, %x: tensor<?x4xbf16>, %s: tensor<4xf32>, %f: f32) {
  %0 = quant_ste.apply @double(%d) : f64
  %1 = quant_ste.apply @first(%x, %s axes([1])) {a = 1 : i32}
    : tensor<?x4xbf16>, tensor<4xf32>
  %2 = quant_ste.apply @declared(%f, %f) : f32, f32
  return
}
}

module @derivative {
func.func @f_vjp(%x: f32, %t: f32 {quant_ste.cotangent}) -> (f32, f32) attributes {quant_ste.num_primal_results = 1 : i64} {
  %y = quant_ste.round %x grad(ste) : f32
  return %y, %t : f32, f32
}
}
