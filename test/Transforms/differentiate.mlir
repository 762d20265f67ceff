// RUN: qopt-opt %s --quant-ste-differentiate --split-input-file | FileCheck %s
// RUN: qopt-opt %s --quant-ste-differentiate --split-input-file --mlir-print-debuginfo | FileCheck %s --check-prefix=LOC

// A value that is used several times gets the sum of its gradients.

// CHECK-LABEL: func private @square_vjp
// CHECK-SAME: (%[[X:.*]]: tensor<?xf32>, %[[T:.*]]: tensor<?xf32> {quant_ste.cotangent})
// CHECK-SAME: -> (tensor<?xf32>, tensor<?xf32>) attributes {quant_ste.num_primal_results = 1 : i64}
// CHECK: %[[Y:.*]] = arith.mulf %[[X]], %[[X]]
// CHECK: %[[A:.*]] = arith.mulf %[[T]], %[[X]]
// CHECK: %[[B:.*]] = arith.mulf %[[T]], %[[X]]
// CHECK: %[[SUM:.*]] = arith.addf %[[A]], %[[B]]
// CHECK: return %[[Y]], %[[SUM]]
// CHECK-LABEL: func @ask
// CHECK: %[[R:.*]]:2 = call @square_vjp(%arg0, %arg1)
// CHECK: return %[[R]]#1

// A derivative is found again by the op that it comes from.
// LOC-LABEL: func private @square_vjp
// LOC-NEXT: arith.mulf {{.*}} loc(#[[$MUL:.*]])
// LOC-NEXT: arith.mulf {{.*}} loc(#[[$FUSED:.*]])
// LOC-LABEL: func @ask
// LOC: #[[$FUSED]] = loc(fused<"vjp">[#[[$MUL]]])
func.func private @square(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = arith.mulf %x, %x : tensor<?xf32>
  return %y : tensor<?xf32>
}
func.func @ask(%x: tensor<?xf32>, %t: tensor<?xf32>) -> tensor<?xf32> {
  %y, %dx = quant_ste.vjp @square(%x) cotangents(%t) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %dx : tensor<?xf32>
}

// -----

// The value and gradient of a scalar function: the cotangent is 1. A quantizer
// keeps its gradient rule until it is lowered.

// CHECK-LABEL: func private @loss_vjp
// CHECK: quant_ste.pullback(%{{.*}}) at(%{{.*}}, %{{.*}}) wrt [0, 1]
// CHECK-LABEL: func @plain
// CHECK: %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
// CHECK: call @loss_vjp(%arg0, %arg1, %[[ONE]])
func.func private @loss(%x: f32, %a: f32) -> f32 {
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : f32, f32
  %z = arith.mulf %y, %y : f32
  return %z : f32
}
func.func @plain(%x: f32, %a: f32) -> (f32, f32, f32) {
  %r:3 = quant_ste.value_and_grad @loss(%x, %a) wrt [0, 1] : (f32, f32) -> (f32, f32, f32)
  return %r#0, %r#1, %r#2 : f32, f32, f32
}

// -----

// CHECK-LABEL: func @rank0
// CHECK: %[[ONE:.*]] = arith.constant dense<1.000000e+00> : tensor<f32>
// CHECK: call @loss_vjp(%arg0, %[[ONE]])
func.func private @loss(%x: tensor<f32>) -> tensor<f32> {
  %y = math.exp %x : tensor<f32>
  return %y : tensor<f32>
}
func.func @rank0(%x: tensor<f32>) -> tensor<f32> {
  %v, %g = quant_ste.value_and_grad @loss(%x) wrt [0] : (tensor<f32>) -> (tensor<f32>, tensor<f32>)
  return %g : tensor<f32>
}

// -----

// Only what depends on a wrt argument and reaches a result: no code for %w, none
// for the op without a rule beside the path, none behind a detach. An argument
// without a path gets zeros, an integer nothing.

// CHECK-LABEL: func private @f_vjp
// CHECK-SAME: (%[[X:.*]]: f32, %[[W:.*]]: f32, %{{.*}}: i32, %[[U:.*]]: f32, %[[T:.*]]: f32 {{.*}}) -> (f32, f32, f32)
// CHECK-NEXT: %[[SIDE:.*]] = arith.remf %[[W]], %[[W]]
// CHECK-NEXT: %[[STOP:.*]] = arith.remf %[[X]], %[[X]]
// CHECK-NEXT: %[[D:.*]] = quant_ste.detach %[[STOP]]
// CHECK-NEXT: %[[A:.*]] = arith.mulf %[[X]], %[[SIDE]]
// CHECK-NEXT: %[[B:.*]] = arith.addf %[[A]], %[[D]]
// CHECK-NEXT: %[[DX:.*]] = arith.mulf %[[T]], %[[SIDE]]
// CHECK-NEXT: %[[ZERO:.*]] = arith.constant 0.000000e+00
// CHECK-NEXT: return %[[B]], %[[DX]], %[[ZERO]]
func.func private @f(%x: f32, %w: f32, %n: i32, %unused: f32) -> f32 {
  %side = arith.remf %w, %w : f32
  %dead = arith.remf %x, %w : f32
  %stop = arith.remf %x, %x : f32
  %d = quant_ste.detach %stop : f32
  %a = arith.mulf %x, %side : f32
  %b = arith.addf %a, %d : f32
  return %b : f32
}
func.func @ask(%x: f32, %n: i32) -> (f32, f32) {
  %r:3 = quant_ste.value_and_grad @f(%x, %x, %n, %x) wrt [0, 3] : (f32, f32, i32, f32) -> (f32, f32, f32)
  return %r#1, %r#2 : f32, f32
}

// -----

// A function is differentiated once for each set of arguments.

// CHECK-LABEL: func private @f_vjp_0(
// CHECK-LABEL: func private @f_vjp(
// CHECK-NOT: func private @f_vjp_1(
// CHECK-LABEL: func @ask
// CHECK: call @f_vjp(
// CHECK: call @f_vjp_0(
// CHECK: call @f_vjp(
func.func private @f(%x: f32, %y: f32) -> f32 {
  %r = arith.mulf %x, %y : f32
  return %r : f32
}
func.func @ask(%x: f32) -> (f32, f32, f32) {
  %a, %da = quant_ste.value_and_grad @f(%x, %x) wrt [0] : (f32, f32) -> (f32, f32)
  %b, %db = quant_ste.value_and_grad @f(%x, %x) wrt [1] : (f32, f32) -> (f32, f32)
  %c, %dc = quant_ste.value_and_grad @f(%db, %x) wrt [0] : (f32, f32) -> (f32, f32)
  return %da, %db, %dc : f32, f32, f32
}

// -----

// A call: the derivative of the callee, by the operands that carry one. The
// last call's results come with its derivative, so that it is made once.

// CHECK-LABEL: func private @twice_vjp
// CHECK-SAME: (%[[X:.*]]: f32, %{{.*}}: i32, %[[T:.*]]: f32 {quant_ste.cotangent})
// CHECK-NEXT: %[[A:.*]] = call @half(%[[X]], %{{.*}}) : (f32, i32) -> f32
// CHECK-NEXT: %[[B:.*]]:2 = call @half_vjp(%[[A]], %{{.*}}, %[[T]]) : (f32, i32, f32) -> (f32, f32)
// CHECK-NEXT: %[[C:.*]]:2 = call @half_vjp(%[[X]], %{{.*}}, %[[B]]#1)
// CHECK-NEXT: return %[[B]]#0, %[[C]]#1
func.func private @half(%x: f32, %n: i32) -> f32 {
  %h = arith.constant 0.5 : f32
  %y = arith.mulf %x, %h : f32
  return %y : f32
}
func.func private @twice(%x: f32, %n: i32) -> f32 {
  %a = func.call @half(%x, %n) : (f32, i32) -> f32
  %b = func.call @half(%a, %n) : (f32, i32) -> f32
  return %b : f32
}
func.func @ask(%x: f32, %n: i32) -> f32 {
  %y, %dx = quant_ste.value_and_grad @twice(%x, %n) wrt [0] : (f32, i32) -> (f32, f32)
  return %dx : f32
}

// -----

// A call with several results, of which one has no cotangent: zero.

// CHECK-LABEL: func private @f_vjp
// CHECK: %[[C:.*]]:3 = call @two(%[[X:.*]])
// CHECK: tensor.dim %[[C]]#2
// CHECK: %[[ZERO:.*]] = linalg.fill
// CHECK: call @two_vjp(%{{.*}}, %{{.*}}, %[[ZERO]])
func.func private @two(%x: tensor<?xf32>) -> (tensor<?xf32>, i32, tensor<?xf32>) {
  %n = arith.constant 3 : i32
  %y = math.exp %x : tensor<?xf32>
  %z = math.sin %x : tensor<?xf32>
  return %y, %n, %z : tensor<?xf32>, i32, tensor<?xf32>
}
func.func private @f(%x: tensor<?xf32>) -> tensor<?xf32> {
  %r:3 = func.call @two(%x) : (tensor<?xf32>) -> (tensor<?xf32>, i32, tensor<?xf32>)
  %y = math.tanh %r#0 : tensor<?xf32>
  return %y : tensor<?xf32>
}
func.func @ask(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y, %dx = quant_ste.vjp @f(%x) cotangents(%x) wrt [0]
    : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %dx : tensor<?xf32>
}

// -----

// A function may have a rule of its own, for gradients of all float arguments.
// It is called as often as asked; the function only where its value is read.

// CHECK-LABEL: func private @f_vjp
// CHECK: %[[R:.*]] = call @clip(%[[X:.*]], %{{.*}})
// CHECK: call @clip_rule(
// CHECK-LABEL: func @ask
// CHECK: %[[G:.*]]:2 = call @clip_rule(%arg0, %arg0, %{{.*}})
// CHECK-NOT: call @clip(
// CHECK: return %{{.*}}, %[[G]]#1
func.func private @clip_rule(%x: f32, %b: f32, %t: f32) -> (f32, f32) {
  return %t, %t : f32, f32
}
func.func private @clip(%x: f32, %b: f32) -> f32 attributes {quant_ste.vjp = @clip_rule} {
  %y = arith.remf %x, %b : f32
  return %y : f32
}
func.func private @f(%x: f32) -> f32 {
  %y = func.call @clip(%x, %x) : (f32, f32) -> f32
  %z = math.exp %y : f32
  return %z : f32
}
func.func @ask(%x: f32) -> (f32, f32) {
  %y, %dx = quant_ste.value_and_grad @f(%x) wrt [0] : (f32) -> (f32, f32)
  %z, %db = quant_ste.value_and_grad @clip(%x, %x) wrt [1] : (f32, f32) -> (f32, f32)
  return %dx, %db : f32, f32
}

// -----

// A declaration stands for the function to be made.

// CHECK-LABEL: func private @f_vjp(
// CHECK: return
// CHECK-NOT: @f_vjp_0
func.func private @f(%x: f32) -> f32 {
  %y = math.exp %x : f32
  return %y : f32
}
func.func private @f_vjp(f32, f32) -> (f32, f32)
func.func @ask(%x: f32) -> (f32, f32) {
  %a:2 = func.call @f_vjp(%x, %x) : (f32, f32) -> (f32, f32)
  %y, %dx = quant_ste.value_and_grad @f(%x) wrt [0] : (f32) -> (f32, f32)
  return %a#1, %dx : f32, f32
}

// -----

// The derivative of a recursive function calls itself.

// CHECK-LABEL: func private @forever_vjp
// CHECK: call @forever_vjp
func.func private @forever(%x: f32) -> f32 {
  %a = arith.mulf %x, %x : f32
  %y = func.call @forever(%a) : (f32) -> f32
  return %y : f32
}
func.func @ask(%x: f32) -> f32 {
  %y, %dx = quant_ste.value_and_grad @forever(%x) wrt [0] : (f32) -> (f32, f32)
  return %dx : f32
}

// -----

// A derivative of a derivative.

// CHECK-LABEL: func private @slope_vjp
// CHECK: call @f_vjp_vjp
func.func private @f(%x: f32) -> f32 {
  %y = math.sin %x : f32
  return %y : f32
}
func.func private @slope(%x: f32) -> f32 {
  %y, %dx = quant_ste.value_and_grad @f(%x) wrt [0] : (f32) -> (f32, f32)
  return %dx : f32
}
func.func @curvature(%x: f32) -> f32 {
  %y, %dx = quant_ste.value_and_grad @slope(%x) wrt [0] : (f32) -> (f32, f32)
  return %dx : f32
}
