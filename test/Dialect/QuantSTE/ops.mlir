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
