// RUN: qopt-opt %s --quant-ste-differentiate --split-input-file | FileCheck %s

// The gradient takes the same branch again, and computes there what it reads.

// In forward mode, one branch gives the value and its tangent.

// CHECK-LABEL: func private @branch_jvp
// CHECK: %[[R:.*]]:2 = scf.if
// CHECK-NOT: scf.if
// CHECK: return %[[R]]#0, %[[R]]#1
// CHECK-LABEL: func private @branch_vjp
// CHECK-SAME: (%[[C:.*]]: i1, %[[X:.*]]: f32, %[[T:.*]]: f32 {{.*}})
// CHECK: %[[Y:.*]] = scf.if %[[C]] -> (f32)
// CHECK:   math.exp %[[X]]
// CHECK: %[[DX:.*]] = scf.if %[[C]] -> (f32)
// CHECK:   %[[E:.*]] = math.exp %[[X]]
// CHECK:   %[[P:.*]] = arith.mulf %[[T]], %[[E]]
// CHECK:   scf.yield %[[P]]
// CHECK: else
// CHECK:   scf.yield %[[T]]
// CHECK: return %[[Y]], %[[DX]]
func.func private @branch(%c: i1, %x: f32) -> f32 {
  %y = scf.if %c -> f32 {
    %e = math.exp %x : f32
    scf.yield %e : f32
  } else {
    scf.yield %x : f32
  }
  return %y : f32
}
func.func @ask(%c: i1, %x: f32) -> (f32, f32) {
  %y, %dx = quant_ste.value_and_grad @branch(%c, %x) wrt [1] : (i1, f32) -> (f32, f32)
  %z, %tx = quant_ste.jvp @branch(%c, %x) tangents(%x) wrt [1] : (i1, f32), (f32) -> (f32, f32)
  return %dx, %tx : f32, f32
}

// -----

// What the loop carries into each iteration is stacked, if the gradient reads
// it: %a, but not %b.

// CHECK-LABEL: func private @loop_vjp
// CHECK-SAME: (%[[X:.*]]: tensor<4xf32>, %[[W:.*]]: tensor<4xf32>, %[[N:.*]]: index,
// CHECK: %[[STACK:.*]] = tensor.empty(%[[COUNT:.*]]) : tensor<?x4xf32>
// CHECK: %[[R:.*]]:3 = scf.for %[[I:.*]] = %{{.*}} to %[[N]] {{.*}} iter_args(%[[A:.*]] = %[[X]], %{{.*}} = %[[X]], %[[S:.*]] = %[[STACK]])
// CHECK:   tensor.insert_slice %[[A]] into %[[S]][%{{.*}}, 0] [1, 4] [1, 1]
// CHECK: %[[G:.*]]:3 = scf.for %[[J:.*]] = %{{.*}} to %[[COUNT]]
// CHECK:   %[[LEFT:.*]] = arith.subi %[[COUNT]], %[[J]]
// CHECK:   %[[AT:.*]] = arith.subi %[[LEFT]]
// CHECK:   tensor.extract_slice %[[R]]#2[%[[AT]], 0] [1, 4] [1, 1]
// CHECK-NOT: tensor.extract_slice
// CHECK: return
func.func private @loop(%x: tensor<4xf32>, %w: tensor<4xf32>, %n: index) -> (tensor<4xf32>, tensor<4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %b = %x) -> (tensor<4xf32>, tensor<4xf32>) {
    %p = arith.mulf %a, %w : tensor<4xf32>
    %s = arith.addf %b, %w : tensor<4xf32>
    scf.yield %p, %s : tensor<4xf32>, tensor<4xf32>
  }
  return %r#0, %r#1 : tensor<4xf32>, tensor<4xf32>
}
func.func @ask(%x: tensor<4xf32>, %n: index) -> (tensor<4xf32>, tensor<4xf32>) {
  %r:4 = quant_ste.vjp @loop(%x, %x, %n) cotangents(%x, %x) wrt [0, 1]
    : (tensor<4xf32>, tensor<4xf32>, index), (tensor<4xf32>, tensor<4xf32>)
    -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
  return %r#2, %r#3 : tensor<4xf32>, tensor<4xf32>
}

// -----

// A known number of iterations gives a static stack. One derivative serves all
// calls of a function, those in a loop among them.

// CHECK-COUNT-1: func private @cell_vjp
// CHECK-NOT: func private @cell_vjp
// CHECK-LABEL: func private @calls_vjp
// CHECK: tensor.empty() : tensor<3xf32>
// CHECK: scf.for
// CHECK: call @cell(
// CHECK: scf.for
// CHECK-NOT: call @cell(
// CHECK: call @cell_vjp(
// CHECK: return
func.func private @cell(%x: f32) -> f32 {
  %y = math.tanh %x : f32
  return %y : f32
}
func.func private @calls(%x: f32) -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %r = scf.for %i = %c0 to %c3 step %c1 iter_args(%a = %x) -> f32 {
    %y = func.call @cell(%a) : (f32) -> f32
    scf.yield %y : f32
  }
  return %r : f32
}
func.func @ask(%x: f32) -> f32 {
  %y, %dx = quant_ste.value_and_grad @calls(%x) wrt [0] : (f32) -> (f32, f32)
  return %dx : f32
}

// -----

// Stretches of 4: the outer loop stacks, and the inner one, which is computed
// again, what it carries of one stretch.
// CHECK-LABEL: func private @stretches_vjp
// CHECK: tensor.empty() : tensor<3x2xf32>
// CHECK: scf.for %[[O:[a-z0-9]+]] = {{.*}} -> (tensor<2xf32>, tensor<3x2xf32>)
// CHECK: %[[FIRST:.*]] = arith.muli %[[O]], %{{.*}} : index
// CHECK: %[[REST:.*]] = arith.subi %{{.*}}, %[[FIRST]]
// CHECK: arith.minui %{{.*}}, %[[REST]]
// CHECK: scf.for {{.*}} -> (tensor<2xf32>) {
// CHECK: scf.for {{.*}} -> (tensor<2xf32>) {
// CHECK: scf.for {{.*}} -> (tensor<2xf32>, tensor<?x2xf32>) {
// CHECK: scf.for {{.*}} -> (tensor<2xf32>) {
// CHECK-NOT: quant_ste.checkpoint
func.func private @stretches(%x: tensor<2xf32>) -> tensor<2xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c10 = arith.constant 10 : index
  %r = scf.for %i = %c0 to %c10 step %c1 iter_args(%a = %x) -> tensor<2xf32> {
    %b = math.sin %a : tensor<2xf32>
    scf.yield %b : tensor<2xf32>
  } {quant_ste.checkpoint = 4 : i64}
  return %r : tensor<2xf32>
}
func.func @ask(%x: tensor<2xf32>) -> tensor<2xf32> {
  %r:2 = quant_ste.vjp @stretches(%x) cotangents(%x) wrt [0]
    : (tensor<2xf32>), (tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>)
  return %r#1 : tensor<2xf32>
}
