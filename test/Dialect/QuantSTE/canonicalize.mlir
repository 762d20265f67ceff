// RUN: qopt-opt %s --canonicalize | FileCheck %s

// CHECK-LABEL: func @round_of_round
// CHECK-SAME: (%[[X:.*]]: tensor<?xf32>)
// CHECK-NEXT: %[[Y:.*]] = quant_ste.dpu_round %[[X]]
// CHECK-NEXT: return %[[Y]]
func.func @round_of_round(%x: tensor<?xf32>) -> tensor<?xf32> {
  %0 = quant_ste.dpu_round %x grad(ste) : tensor<?xf32>
  %1 = quant_ste.round %0 grad(ste) : tensor<?xf32>
  %2 = quant_ste.floor %1 grad(ste) : tensor<?xf32>
  %3 = quant_ste.ceil %2 grad(ste) : tensor<?xf32>
  return %3 : tensor<?xf32>
}

// -0.5 gives -0 the first time and +0 the second.
// CHECK-LABEL: func @round_to_zero_twice
// CHECK-COUNT-2: quant_ste.round_to_zero
func.func @round_to_zero_twice(%x: tensor<?xf32>) -> tensor<?xf32> {
  %0 = quant_ste.round_to_zero %x grad(ste) : tensor<?xf32>
  %1 = quant_ste.round_to_zero %0 grad(ste) : tensor<?xf32>
  return %1 : tensor<?xf32>
}

// The quantization error is the point: nothing folds it away.
// CHECK-LABEL: func @quantize_twice
// CHECK-COUNT-2: quant_ste.int_quant
func.func @quantize_twice(%x: tensor<?xf32>, %s: tensor<f32>, %z: tensor<f32>,
                          %b: tensor<f32>) -> tensor<?xf32> {
  %0 = quant_ste.int_quant %x, %s, %z, %b signed grad(clipped)
    : tensor<?xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  %1 = quant_ste.int_quant %0, %s, %z, %b signed grad(clipped)
    : tensor<?xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return %1 : tensor<?xf32>
}

// A detached value must still be detached when the function is differentiated.
// CHECK-LABEL: func @detach_stays
// CHECK: quant_ste.detach
func.func @detach_stays(%x: tensor<?xf32>) -> tensor<?xf32> {
  %0 = quant_ste.detach %x : tensor<?xf32>
  return %0 : tensor<?xf32>
}

// CHECK-LABEL: func @unused_gradient
// CHECK-SAME: (%[[X:.*]]: tensor<?xf32>, %[[A:.*]]: tensor<f32>, %[[DY:.*]]: tensor<?xf32>)
// CHECK: %[[G:.*]] = quant_ste.pullback(%[[DY]]) at(%[[X]], %[[A]]) wrt [1] {
// CHECK: return %[[G]] : tensor<f32>
func.func @unused_gradient(%x: tensor<?xf32>, %alpha: tensor<f32>, %dy: tensor<?xf32>) -> tensor<f32> {
  %dx, %dalpha = quant_ste.pullback(%dy) at(%x, %alpha) wrt [0, 1] {
  ^bb0(%a: tensor<?xf32>, %b: tensor<f32>):
    %y = quant_ste.pact %a, %b bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
    quant_ste.yield %y : tensor<?xf32>
  } : (tensor<?xf32>), (tensor<?xf32>, tensor<f32>) -> (tensor<?xf32>, tensor<f32>)
  return %dalpha : tensor<f32>
}

// Equal derivatives are one; the op inside is never taken for the op outside.
// CHECK-LABEL: func @isolated
// CHECK: quant_ste.pullback
// CHECK:   quant_ste.round
// CHECK:   quant_ste.yield
func.func @isolated(%x: tensor<?xf32>, %dy: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %0 = quant_ste.round %x grad(ste) : tensor<?xf32>
  %dx = quant_ste.pullback(%dy) at(%x) wrt [0] {
  ^bb0(%a: tensor<?xf32>):
    %y = quant_ste.round %a grad(ste) : tensor<?xf32>
    quant_ste.yield %y : tensor<?xf32>
  } : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>)
  return %0, %dx : tensor<?xf32>, tensor<?xf32>
}

// round of round keeps the gradient of the inner one; an outer one that is not
// the identity stays.
// CHECK-LABEL: func @round_with_a_surrogate
// CHECK: %[[R:.*]] = quant_ste.floor %{{.*}} grad(window
// CHECK: %[[S:.*]] = quant_ste.round %[[R]] grad(ewgs
// CHECK: return %[[R]], %[[S]]
func.func @round_with_a_surrogate(%x: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %0 = quant_ste.floor %x grad(window(-1.0, 1.0)) : tensor<?xf32>
  %1 = quant_ste.round %0 grad(ste) : tensor<?xf32>
  %2 = quant_ste.round %0 grad(ewgs(0.1)) : tensor<?xf32>
  return %1, %2 : tensor<?xf32>, tensor<?xf32>
}
