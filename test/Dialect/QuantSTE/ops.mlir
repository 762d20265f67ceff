// RUN: qopt-opt %s | qopt-opt | FileCheck %s
// RUN: qopt-opt %s --mlir-print-op-generic | qopt-opt | FileCheck %s
// RUN: qopt-opt %s --emit-bytecode | qopt-opt | FileCheck %s

// CHECK-LABEL: func @unary
func.func @unary(%x: tensor<?x3xf32>) {
  // CHECK: quant_ste.round %{{.*}} grad(ste) : tensor<?x3xf32>
  %0 = quant_ste.round %x grad(ste) : tensor<?x3xf32>
  // CHECK: quant_ste.floor %{{.*}} grad(ste) : tensor<?x3xf32>
  %1 = quant_ste.floor %x grad(ste) : tensor<?x3xf32>
  // CHECK: quant_ste.ceil %{{.*}} grad(ste) : tensor<?x3xf32>
  %2 = quant_ste.ceil %x grad(ste) : tensor<?x3xf32>
  // CHECK: quant_ste.round_to_zero %{{.*}} grad(ste) : tensor<?x3xf32>
  %3 = quant_ste.round_to_zero %x grad(ste) : tensor<?x3xf32>
  // CHECK: quant_ste.dpu_round %{{.*}} grad(ste) : tensor<?x3xf32>
  %4 = quant_ste.dpu_round %x grad(ste) : tensor<?x3xf32>
  // CHECK: quant_ste.binary_sign %{{.*}} grad(ste) : tensor<?x3xf32>
  %5 = quant_ste.binary_sign %x grad(ste) : tensor<?x3xf32>
  // CHECK: quant_ste.ternary_sign %{{.*}} grad(ste) : tensor<?x3xf32>
  %6 = quant_ste.ternary_sign %x grad(ste) : tensor<?x3xf32>
  // CHECK: quant_ste.abs_binary_sign_grad %{{.*}} grad(binary_sign) : tensor<?x3xf32>
  %7 = quant_ste.abs_binary_sign_grad %x grad(binary_sign) : tensor<?x3xf32>
  // CHECK: quant_ste.scalar_clamp %{{.*}} min(-1.000000e+00) max(6.500000e+00) grad(ste) : tensor<?x3xf32>
  %8 = quant_ste.scalar_clamp %x min(-1.0) max(6.5) grad(ste) : tensor<?x3xf32>
  // CHECK: quant_ste.scalar_clamp %{{.*}} min(0x7FF8000000000000) max(0x7FF0000000000000) grad(ste) : tensor<?x3xf32>
  %9 = quant_ste.scalar_clamp %x min(0x7FF8000000000000) max(0x7FF0000000000000) grad(ste) : tensor<?x3xf32>
  // CHECK: quant_ste.scalar_clamp_min %{{.*}} min(0.000000e+00) grad(ste) : tensor<?x3xf32>
  %10 = quant_ste.scalar_clamp_min %x min(0.0) grad(ste) : tensor<?x3xf32>
  // CHECK: quant_ste.detach %{{.*}} : tensor<?x3xf32>
  %11 = quant_ste.detach %x : tensor<?x3xf32>
  return
}

// CHECK-LABEL: func @types
func.func @types(%a: tensor<f16>, %b: tensor<2xbf16>, %c: tensor<1x2x3x4xf64>,
                 %d: f32, %s: f32, %e: f16, %t: tensor<2xf32>) {
  // CHECK: quant_ste.round %{{.*}} grad(ste) : tensor<f16>
  %0 = quant_ste.round %a grad(ste) : tensor<f16>
  // CHECK: quant_ste.round %{{.*}} grad(ste) : tensor<1x2x3x4xf64>
  %1 = quant_ste.round %c grad(ste) : tensor<1x2x3x4xf64>
  // CHECK: quant_ste.pact %{{.*}}, %{{.*}} bits(8) grad(pact) : f32, f32
  %2 = quant_ste.pact %d, %s bits(8) grad(pact) : f32, f32
  // f16 and bf16 data with f32 parameters, plain or as a tensor.
  // CHECK: quant_ste.pact %{{.*}}, %{{.*}} bits(8) grad(pact) : f16, f32
  %3 = quant_ste.pact %e, %s bits(8) grad(pact) : f16, f32
  // CHECK: quant_ste.pact %{{.*}}, %{{.*}} axes([0]) bits(8) grad(pact) : tensor<2xbf16>, tensor<2xf32>
  %4 = quant_ste.pact %b, %t axes([0]) bits(8) grad(pact) : tensor<2xbf16>, tensor<2xf32>
  // CHECK: quant_ste.pact %{{.*}}, %{{.*}} bits(32) grad(pact) : tensor<2xbf16>, f32
  %5 = quant_ste.pact %b, %s bits(32) grad(pact) : tensor<2xbf16>, f32
  return
}

// CHECK-LABEL: func @granularity
func.func @granularity(%x: tensor<4x8x?xf32>, %t: tensor<f32>, %c: tensor<8xf32>,
                       %nc: tensor<4x8xf32>, %all: tensor<4x8x?xf32>) {
  // Per channel, with a zero point and a bit width for the whole tensor.
  // CHECK: quant_ste.int_quant %{{.*}}, %{{.*}} axes([1]), %{{.*}}, %{{.*}} signed narrow_range rounding(round) grad(clipped)
  // CHECK-SAME: : tensor<4x8x?xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>
  %0 = quant_ste.int_quant %x, %c axes([1]), %t, %t signed narrow_range grad(clipped)
    : tensor<4x8x?xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>
  // Per sample and channel (per group after expand_shape).
  // CHECK: quant_ste.int_quant %{{.*}}, %{{.*}} axes([0, 1]), %{{.*}} axes([1]), %{{.*}} unsigned rounding(floor) grad(ste)
  %1 = quant_ste.int_quant %x, %nc axes([0, 1]), %c axes([1]), %t unsigned rounding(floor) grad(ste)
    : tensor<4x8x?xf32>, tensor<4x8xf32>, tensor<8xf32>, tensor<f32>
  // Per element.
  // CHECK: quant_ste.tensor_clamp %{{.*}}, %{{.*}} axes([0, 1, 2]), %{{.*}} grad(exact)
  %2 = quant_ste.tensor_clamp %x, %all axes([0, 1, 2]), %t grad(exact)
    : tensor<4x8x?xf32>, tensor<4x8x?xf32>, tensor<f32>
  // CHECK: quant_ste.tensor_clamp %{{.*}}, %{{.*}}, %{{.*}} grad(ste)
  %3 = quant_ste.tensor_clamp %x, %t, %t grad(ste)
    : tensor<4x8x?xf32>, tensor<f32>, tensor<f32>
  return
}

// CHECK-LABEL: func @ranges
func.func @ranges(%bits: tensor<f32>, %b: f64) {
  // CHECK: quant_ste.max_int %{{.*}} signed grad(exact) : tensor<f32>
  %0 = quant_ste.max_int %bits signed grad(exact) : tensor<f32>
  // CHECK: quant_ste.max_int %{{.*}} unsigned narrow_range grad(exact) : f64
  %1 = quant_ste.max_int %b unsigned narrow_range grad(exact) : f64
  // CHECK: quant_ste.min_int %{{.*}} signed narrow_range grad(exact) : tensor<f32>
  %2 = quant_ste.min_int %bits signed narrow_range grad(exact) : tensor<f32>
  // CHECK: quant_ste.max_uint %{{.*}} narrow_range grad(exact) : tensor<f32>
  %3 = quant_ste.max_uint %bits narrow_range grad(exact) : tensor<f32>
  return
}

func.func private @loss(tensor<?x8xf32>, tensor<8xf32>) -> tensor<f32>
func.func private @layer(tensor<?xf32>, tensor<f32>, i64) -> (tensor<?xf32>, i64, f32)

// CHECK-LABEL: func @requests
func.func @requests(%x: tensor<?x8xf32>, %w: tensor<8xf32>, %v: tensor<?xf32>,
                    %a: tensor<f32>, %i: i64, %d: f32) {
  // CHECK: quant_ste.value_and_grad @loss(%{{.*}}, %{{.*}}) wrt [1] : (tensor<?x8xf32>, tensor<8xf32>) -> (tensor<f32>, tensor<8xf32>)
  %l, %dw = quant_ste.value_and_grad @loss(%x, %w) wrt [1]
    : (tensor<?x8xf32>, tensor<8xf32>) -> (tensor<f32>, tensor<8xf32>)
  // CHECK: quant_ste.vjp @layer(%{{.*}}) cotangents(%{{.*}}, %{{.*}}) wrt [1, 0]
  %r:5 = quant_ste.vjp @layer(%v, %a, %i) cotangents(%v, %d) wrt [1, 0]
    : (tensor<?xf32>, tensor<f32>, i64), (tensor<?xf32>, f32)
      -> (tensor<?xf32>, i64, f32, tensor<f32>, tensor<?xf32>)
  // CHECK: quant_ste.jvp @layer(%{{.*}}) tangents(%{{.*}}) wrt [0]
  %t:5 = quant_ste.jvp @layer(%v, %a, %i) tangents(%v) wrt [0]
    : (tensor<?xf32>, tensor<f32>, i64), (tensor<?xf32>)
      -> (tensor<?xf32>, i64, f32, tensor<?xf32>, f32)
  return
}

// CHECK-LABEL: func @derivatives
func.func @derivatives(%x: tensor<?xf32>, %alpha: tensor<f32>, %dy: tensor<?xf32>) {
  // CHECK: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}) wrt [0, 1] {
  // CHECK: ^bb0(%[[A:.*]]: tensor<?xf32>, %[[B:.*]]: tensor<f32>):
  // CHECK:   %[[Y:.*]] = quant_ste.pact %[[A]], %[[B]] bits(4) grad(pact)
  // CHECK:   quant_ste.yield %[[Y]] : tensor<?xf32>
  // CHECK: } : (tensor<?xf32>), (tensor<?xf32>, tensor<f32>) -> (tensor<?xf32>, tensor<f32>)
  %dx, %dalpha = quant_ste.pullback(%dy) at(%x, %alpha) wrt [0, 1] {
  ^bb0(%a: tensor<?xf32>, %b: tensor<f32>):
    %y = quant_ste.pact %a, %b bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
    quant_ste.yield %y : tensor<?xf32>
  } : (tensor<?xf32>), (tensor<?xf32>, tensor<f32>) -> (tensor<?xf32>, tensor<f32>)
  // CHECK: quant_ste.pushforward(%{{.*}}) at(%{{.*}}) wrt [0] {
  %t = quant_ste.pushforward(%dy) at(%x) wrt [0] {
  ^bb0(%a: tensor<?xf32>):
    %y = quant_ste.round %a grad(ste) : tensor<?xf32>
    quant_ste.yield %y : tensor<?xf32>
  } : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>)
  return
}

// The forward function and its surrogate gradient are two choices.
// CHECK-LABEL: func @surrogates
func.func @surrogates(%x: tensor<?xf32>, %max: tensor<f32>) {
  // CHECK: quant_ste.binary_sign %{{.*}} nan_positive grad(approx_sign) :
  %0 = quant_ste.binary_sign %x nan_positive grad(approx_sign) : tensor<?xf32>
  // CHECK: quant_ste.binary_sign %{{.*}} grad(swish(5.000000e+00)) :
  %1 = quant_ste.binary_sign %x grad(swish(5.0)) : tensor<?xf32>
  // CHECK: quant_ste.ternary_sign %{{.*}} grad(tanh(2.000000e+00)) :
  %2 = quant_ste.ternary_sign %x grad(tanh(2.0)) : tensor<?xf32>
  // CHECK: quant_ste.heaviside %{{.*}} grad(sigmoid(1.000000e+00)) :
  %3 = quant_ste.heaviside %x grad(sigmoid(1.0)) : tensor<?xf32>
  // CHECK: quant_ste.heaviside %{{.*}} grad(window(-1.000000e+00, 1.000000e+00)) :
  %4 = quant_ste.heaviside %x grad(window(-1.0, 1.0)) : tensor<?xf32>
  // CHECK: quant_ste.floor %{{.*}} grad(open_window(-1.000000e+00, 1.000000e+00)) :
  %5 = quant_ste.floor %x grad(open_window(-1.0, 1.0)) : tensor<?xf32>
  // CHECK: quant_ste.round %{{.*}} grad(ewgs(1.000000e-01)) :
  %6 = "quant_ste.round"(%x) {grad = #quant_ste<ewgs(0.1)>} : (tensor<?xf32>) -> tensor<?xf32>
  // CHECK: quant_ste.progressive_sign %{{.*}} temperature(5.000000e-01) grad(ste) :
  %7 = quant_ste.progressive_sign %x temperature(0.5) grad(ste) : tensor<?xf32>
  // CHECK: quant_ste.dorefa %{{.*}} bits(2) grad(dorefa) :
  %8 = quant_ste.dorefa %x bits(2) grad(dorefa) : tensor<?xf32>
  // CHECK: quant_ste.dorefa_weight %{{.*}}, %{{.*}} bits(2) grad(ste) :
  %9 = quant_ste.dorefa_weight %x, %max bits(2) grad(ste) : tensor<?xf32>, tensor<f32>
  return
}

// CHECK-LABEL: func @parity
func.func @parity(%x: tensor<?xf16>, %a: tensor<f16>) {
  // CHECK: quant_ste.pact %{{.*}}, %{{.*}} bits(4) stepwise multiply_masks grad(pact) :
  %0 = quant_ste.pact %x, %a bits(4) stepwise multiply_masks grad(pact) : tensor<?xf16>, tensor<f16>
  // CHECK: quant_ste.round %{{.*}} stepwise grad(ste) :
  %1 = quant_ste.round %x stepwise grad(ste) : tensor<?xf16>
  return
}

// CHECK-LABEL: func @statistics
func.func @statistics(%x: tensor<4x?xf32>) {
  // CHECK: quant_ste.absmax %{{.*}} axes([0]) grad(first) : tensor<4x?xf32> -> tensor<4xf32>
  %0 = quant_ste.absmax %x axes([0]) grad(first) : tensor<4x?xf32> -> tensor<4xf32>
  // CHECK: quant_ste.maximum %{{.*}} grad(shared) : tensor<4x?xf32> -> tensor<f32>
  %1 = quant_ste.maximum %x grad(shared) : tensor<4x?xf32> -> tensor<f32>
  // CHECK: quant_ste.minimum %{{.*}} axes([1]) grad(shared) : tensor<4x?xf32> -> tensor<?xf32>
  %2 = quant_ste.minimum %x axes([1]) grad(shared) : tensor<4x?xf32> -> tensor<?xf32>
  return
}

// CHECK-LABEL: func @literature
func.func @literature(%x: tensor<4x?xf16>, %s: tensor<4xf32>, %t: tensor<f32>,
                      %u: tensor<4x?xf32>) {
  // CHECK: quant_ste.lsq %{{.*}}, %{{.*}} axes([0]) qmin(-8) qmax(7) grad_scale(1.250000e-01) grad(lsq) : tensor<4x?xf16>, tensor<4xf32>
  %0 = quant_ste.lsq %x, %s axes([0]) qmin(-8) qmax(7) grad_scale(0.125) grad(lsq) : tensor<4x?xf16>, tensor<4xf32>
  // CHECK: quant_ste.lsq_plus %{{.*}}, %{{.*}} axes([0]), %{{.*}} qmin(0) qmax(15) grad_scale(1.000000e+00) grad(lsq_inclusive) :
  %1 = quant_ste.lsq_plus %x, %s axes([0]), %t qmin(0) qmax(15) grad_scale(1.0) grad(lsq_inclusive) : tensor<4x?xf16>, tensor<4xf32>, tensor<f32>
  // CHECK: quant_ste.tqt %{{.*}}, %{{.*}} bits(8) signed grad(tqt) :
  %2 = quant_ste.tqt %x, %t bits(8) signed grad(tqt) : tensor<4x?xf16>, tensor<f32>
  // CHECK: quant_ste.tqt %{{.*}}, %{{.*}} axes([0]) bits(4) unsigned grad(tqt) :
  %3 = quant_ste.tqt %x, %s axes([0]) bits(4) unsigned grad(tqt) : tensor<4x?xf16>, tensor<4xf32>
  // CHECK: quant_ste.pact %{{.*}}, %{{.*}} bits(4) grad(pact_paper) :
  %4 = quant_ste.pact %x, %t bits(4) grad(pact_paper) : tensor<4x?xf16>, tensor<f32>
  // CHECK: quant_ste.ewgs %{{.*}} levels(4) grad(ewgs(1.000000e-01)) :
  %5 = quant_ste.ewgs %x levels(4) grad(ewgs(0.1)) : tensor<4x?xf16>
  // CHECK: quant_ste.stochastic_round %{{.*}}, %{{.*}} axes([0, 1]) grad(ste) :
  %6 = quant_ste.stochastic_round %x, %u axes([0, 1]) grad(ste) : tensor<4x?xf16>, tensor<4x?xf32>
  return
}

// The arithmetic that is not spelled out is torch's.
// CHECK-LABEL: func @torch
func.func @torch(%x: tensor<4x?xf32>, %s: tensor<4xf32>, %z: tensor<f32>) {
  // CHECK: quant_ste.fake_quantize %{{.*}}, %{{.*}} axes([0]), %{{.*}} qmin(-128) qmax(127) scaling(reciprocal) zero_point(after) grad(clipped) :
  %0 = quant_ste.fake_quantize %x, %s axes([0]), %z qmin(-128) qmax(127) grad(clipped) : tensor<4x?xf32>, tensor<4xf32>, tensor<f32>
  // CHECK: quant_ste.fake_quantize %{{.*}}, %{{.*}} axes([0]), %{{.*}} qmin(-128) qmax(127) scaling(divide) zero_point(before) grad(clipped) :
  %1 = quant_ste.fake_quantize %x, %s axes([0]), %z qmin(-128) qmax(127) scaling(divide) zero_point(before) grad(clipped) : tensor<4x?xf32>, tensor<4xf32>, tensor<f32>
  // CHECK: quant_ste.fake_quantize %{{.*}}, %{{.*}} axes([0]), %{{.*}} qmin(-128) qmax(127) scaling(reciprocal) zero_point(after) grad(clipped) :
  %2 = "quant_ste.fake_quantize"(%x, %s, %z) {scale_axes = array<i64: 0>, qmin = -128 : i64, qmax = 127 : i64, grad = #quant_ste<clipped>} : (tensor<4x?xf32>, tensor<4xf32>, tensor<f32>) -> tensor<4x?xf32>
  // CHECK: quant_ste.learnable_fake_quantize %{{.*}}, %{{.*}} axes([0]), %{{.*}} qmin(0) qmax(255) grad_factor(1.000000e+00) grad(clipped) :
  %3 = quant_ste.learnable_fake_quantize %x, %s axes([0]), %z qmin(0) qmax(255) grad_factor(1.0) grad(clipped) : tensor<4x?xf32>, tensor<4xf32>, tensor<f32>
  return
}


// CHECK-LABEL: func @brevitas
func.func @brevitas(%x: tensor<4x8xf32>, %s: tensor<f32>, %c: tensor<4xf32>,
                    %z: tensor<f32>, %b: tensor<f32>, %h: f16, %p: f32) {
  // CHECK: quant_ste.binary_quant %{{.*}}, %{{.*}} axes([0]) grad(ste) : tensor<4x8xf32>, tensor<4xf32>
  %0 = quant_ste.binary_quant %x, %c axes([0]) grad(ste)
    : tensor<4x8xf32>, tensor<4xf32>
  // CHECK: quant_ste.clamped_binary_quant %{{.*}}, %{{.*}} grad(clipped) : f16, f32
  %1 = quant_ste.clamped_binary_quant %h, %p grad(clipped) : f16, f32
  // CHECK: quant_ste.ternary_quant %{{.*}}, %{{.*}} threshold(5.000000e-01) grad(ste) :
  %2 = quant_ste.ternary_quant %x, %s threshold(0.5) grad(ste)
    : tensor<4x8xf32>, tensor<f32>
  // CHECK: quant_ste.decoupled_int_quant %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} axes([0]), %{{.*}}, %{{.*}} signed narrow_range rounding(round) grad(ste) :
  %3 = quant_ste.decoupled_int_quant %x, %s, %z, %c axes([0]), %z, %b
    signed narrow_range grad(ste)
    : tensor<4x8xf32>, tensor<f32>, tensor<f32>, tensor<4xf32>, tensor<f32>,
      tensor<f32>
  // CHECK: quant_ste.trunc_int_quant %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} unsigned rounding(floor) grad(clipped) :
  %4 = quant_ste.trunc_int_quant %x, %s, %z, %b, %b unsigned rounding(floor)
    grad(clipped)
    : tensor<4x8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>
  // CHECK: quant_ste.scalar_signed_clamp_min %{{.*}} min(2.500000e-01) grad(ste) : f16
  %5 = quant_ste.scalar_signed_clamp_min %h min(0.25) grad(ste) : f16
  // CHECK: quant_ste.power_of_two %{{.*}} rounding(ceil) grad(ste) : f32
  %6 = quant_ste.power_of_two %p rounding(ceil) grad(ste) : f32
  // CHECK: quant_ste.power_of_two %{{.*}} of_log2 rounding(round) grad(ste) : f32
  %7 = quant_ste.power_of_two %p of_log2 grad(ste) : f32
  return
}

// A format that has a name is printed by it.
// CHECK-LABEL: func @minifloats
func.func @minifloats(%x: tensor<4x8xf32>, %s: tensor<f32>) {
  // CHECK: quant_ste.float_quant %{{.*}}, %{{.*}} format(e4m3) signed saturating grad(clipped) :
  %0 = quant_ste.float_quant %x, %s format(e4m3) signed saturating grad(clipped)
    : tensor<4x8xf32>, tensor<f32>
  // CHECK: quant_ste.float_quant %{{.*}}, %{{.*}} format(e5m2_ocp) unsigned grad(exponent) :
  %1 = quant_ste.float_quant %x, %s format(5, 2, 15, 57344.0, inf) unsigned
    grad(exponent) : tensor<4x8xf32>, tensor<f32>
  // CHECK: quant_ste.float_quant %{{.*}}, %{{.*}} format(4, 3, 7, 2.400000e+02, inf) signed grad(clipped) :
  %2 = quant_ste.float_quant %x, %s format(4, 3, 7, 240.0, inf) signed
    grad(clipped) : tensor<4x8xf32>, tensor<f32>
  // CHECK: quant_ste.float_quant %{{.*}}, %{{.*}} format(3, 0, 3, 1.600000e+01) signed saturating grad(clipped) :
  %3 = "quant_ste.float_quant"(%x, %s) {
    format = #quant_ste.float_format<3, 0, 3, 16.0>, is_signed, saturating,
    grad = #quant_ste.clipped}
    : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  // CHECK: quant_ste.float_quant %{{.*}}, %{{.*}} format(e2m1) signed saturating grad(clipped) :
  %4 = "quant_ste.float_quant"(%x, %s) {
    format = #quant_ste.float_format<e2m1>, is_signed, saturating,
    grad = #quant_ste.clipped}
    : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  // CHECK: quant_ste.mx_scale %{{.*}} element(int8) brevitas grad(ste) : tensor<f32>
  %5 = quant_ste.mx_scale %s element(int8) brevitas grad(ste) : tensor<f32>
  // CHECK: quant_ste.mx_scale %{{.*}} element(e4m3_ocp) grad(ste) : tensor<f32>
  %6 = quant_ste.mx_scale %s element(4, 3, 7, 448.0, nan) grad(ste) : tensor<f32>
  return
}


// CHECK-LABEL: func @uniform
func.func @uniform(%seed: i64, %step: i64, %n: index) {
  // CHECK: quant_ste.uniform seed(%{{.*}}) step(%{{.*}}) : tensor<4xf32>
  %0 = quant_ste.uniform seed(%seed) step(%step) : tensor<4xf32>
  // CHECK: quant_ste.uniform seed(%{{.*}}) step(%{{.*}}) sizes(%{{.*}}) : tensor<?x8xf32>
  %1 = quant_ste.uniform seed(%seed) step(%step) sizes(%n) : tensor<?x8xf32>
  return
}

// CHECK-LABEL: func @residuals
func.func @residuals(%m: tensor<?x7x7xi1>, %n: index, %b: tensor<?xi8>)
    -> (tensor<?x7xi8>, tensor<?x12xi1>) {
  // CHECK: quant_ste.pack_bits %{{.*}} row_dims(2) : tensor<?x7x7xi1> -> tensor<?x7xi8>
  %p = quant_ste.pack_bits %m row_dims(2) : tensor<?x7x7xi1> -> tensor<?x7xi8>
  // CHECK: quant_ste.residual %{{.*}} : tensor<?x7xi8>
  %k = quant_ste.residual %p : tensor<?x7xi8>
  // CHECK: quant_ste.residual %{{.*}} alive : tensor<?xi8>
  %a = quant_ste.residual %b alive : tensor<?xi8>
  // CHECK: quant_ste.unpack_bits %{{.*}} size(%{{.*}}) row_dims(2) : tensor<?xi8> -> tensor<?x12xi1>
  %u = quant_ste.unpack_bits %a size(%n) row_dims(2) : tensor<?xi8> -> tensor<?x12xi1>
  return %k, %u : tensor<?x7xi8>, tensor<?x12xi1>
}
