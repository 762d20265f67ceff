// RUN: qopt-opt %s --quant-ste-differentiate --split-input-file | FileCheck %s

// A tangent follows each op; what has none costs nothing.

// CHECK-LABEL: func private @f_jvp
// CHECK-SAME: (%[[X:.*]]: tensor<?xf32>, %[[W:.*]]: tensor<?xf32>, %[[T:.*]]: tensor<?xf32> {quant_ste.tangent})
// CHECK-NEXT: %[[A:.*]] = math.exp %[[W]]
// CHECK-NEXT: %[[B:.*]] = arith.mulf %[[X]], %[[A]]
// CHECK-NEXT: %[[TB:.*]] = arith.mulf %[[T]], %[[A]]
// CHECK-NEXT: %[[C:.*]] = quant_ste.round %[[B]] grad(ste)
// CHECK-NEXT: %[[TC:.*]] = quant_ste.pushforward(%[[TB]]) at(%[[B]]) wrt [0]
// CHECK: return %[[C]], %[[TC]]
// CHECK-LABEL: func @ask
// CHECK: call @f_jvp(%arg0, %arg0, %arg1)
func.func private @f(%x: tensor<?xf32>, %w: tensor<?xf32>) -> tensor<?xf32> {
  %a = math.exp %w : tensor<?xf32>
  %b = arith.mulf %x, %a : tensor<?xf32>
  %c = quant_ste.round %b grad(ste) : tensor<?xf32>
  return %c : tensor<?xf32>
}
func.func @ask(%x: tensor<?xf32>, %t: tensor<?xf32>) -> tensor<?xf32> {
  %y, %ty = quant_ste.jvp @f(%x, %x) tangents(%t) wrt [0]
    : (tensor<?xf32>, tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %ty : tensor<?xf32>
}

// -----

// A product is linear in each factor: named ops on tangents, one sum.

// CHECK-LABEL: func private @f_jvp
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xf32>, %[[W:.*]]: tensor<4x8xf32>, %[[E:.*]]: tensor<?x8xf32>, %[[TX:.*]]: tensor<?x4xf32> {{.*}}, %[[TW:.*]]: tensor<4x8xf32> {{.*}})
// CHECK: %[[Y:.*]] = linalg.matmul ins(%[[X]], %[[W]] :
// CHECK: %[[ZERO:.*]] = linalg.fill
// CHECK: %[[A:.*]] = linalg.matmul ins(%[[TX]], %[[W]] : {{.*}}) outs(%[[ZERO]] :
// CHECK: %[[B:.*]] = linalg.matmul ins(%[[X]], %[[TW]] : {{.*}}) outs(%[[A]] :
// CHECK: return %[[Y]], %[[B]]
func.func private @f(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>, %e: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = linalg.matmul ins(%x, %w : tensor<?x4xf32>, tensor<4x8xf32>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @ask(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>, %e: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y, %ty = quant_ste.jvp @f(%x, %w, %e) tangents(%x, %w) wrt [0, 1]
    : (tensor<?x4xf32>, tensor<4x8xf32>, tensor<?x8xf32>), (tensor<?x4xf32>, tensor<4x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  return %ty : tensor<?x8xf32>
}

// -----

// The tangent of a sum is the sum of the tangents; the primal's running value
// is no operand.

// CHECK-LABEL: func private @f_jvp
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>, %[[E:.*]]: tensor<?xf32>, %[[T:.*]]: tensor<?x8xf32> {{.*}})
// CHECK: %[[Y:.*]] = linalg.generic
// CHECK: %[[ZERO:.*]] = linalg.fill
// CHECK: %[[TY:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[T]] : tensor<?x8xf32>, tensor<?x8xf32>) outs(%[[ZERO]] : tensor<?xf32>)
// CHECK: return %[[Y]], %[[TY]]
#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>
func.func private @f(%x: tensor<?x8xf32>, %e: tensor<?xf32>) -> tensor<?xf32> {
  %y = linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<?x8xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %b = math.exp %a : f32
    %c = arith.addf %o, %b : f32
    linalg.yield %c : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}
func.func @ask(%x: tensor<?x8xf32>, %e: tensor<?xf32>) -> tensor<?xf32> {
  %y, %ty = quant_ste.jvp @f(%x, %e) tangents(%x) wrt [0]
    : (tensor<?x8xf32>, tensor<?xf32>), (tensor<?x8xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %ty : tensor<?xf32>
}

// -----

// A call is made once: the request gives the results too. A function with a
// rule of its own gets zero tangents for what is constant.

// CHECK-LABEL: func private @f_jvp
// CHECK-SAME: (%[[X:.*]]: f32, %[[T:.*]]: f32 {{.*}})
// CHECK-NEXT: %[[C:.*]]:2 = call @callee_jvp(%[[X]], %[[T]])
// CHECK: %[[Y:.*]] = call @own(%[[D:.*]], %[[X]])
// CHECK: %[[ZERO:.*]] = arith.constant 0.0
// CHECK: %[[TY:.*]] = call @rule(%[[D]], %[[X]], %[[ZERO]], %[[T]])
// CHECK: return
func.func private @callee(%x: f32) -> f32 {
  %y = math.sin %x : f32
  return %y : f32
}
func.func private @rule(%x: f32, %c: f32, %tx: f32, %tc: f32) -> f32 {
  %t = arith.addf %tx, %tc : f32
  return %t : f32
}
func.func private @own(%x: f32, %c: f32) -> f32 attributes {quant_ste.jvp = @rule} {
  return %x : f32
}
func.func private @f(%x: f32) -> (f32, f32) {
  %a = func.call @callee(%x) : (f32) -> f32
  %d = quant_ste.detach %x : f32
  %b = func.call @own(%d, %x) : (f32, f32) -> f32
  return %a, %b : f32, f32
}
func.func @ask(%x: f32) -> (f32, f32) {
  %r:4 = quant_ste.jvp @f(%x) tangents(%x) wrt [0] : (f32), (f32) -> (f32, f32, f32, f32)
  return %r#2, %r#3 : f32, f32
}

// -----

// A result that no tangent reaches: zero.

// CHECK-LABEL: func private @f_jvp
// CHECK: %[[ZERO:.*]] = linalg.fill
// CHECK: return %{{.*}}, %{{.*}}, %{{.*}}, %[[ZERO]]
func.func private @f(%x: tensor<?xf32>, %w: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %y = math.exp %x : tensor<?xf32>
  %z = math.exp %w : tensor<?xf32>
  return %y, %z : tensor<?xf32>, tensor<?xf32>
}
func.func @ask(%x: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %r:4 = quant_ste.jvp @f(%x, %x) tangents(%x) wrt [0]
    : (tensor<?xf32>, tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>, tensor<?xf32>)
  return %r#2, %r#3 : tensor<?xf32>, tensor<?xf32>
}
