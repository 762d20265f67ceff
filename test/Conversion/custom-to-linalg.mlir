// RUN: qopt-opt %s --quant-ste-differentiate --convert-quant-ste-to-linalg \
// RUN:   --canonicalize --cse --split-input-file | FileCheck %s

// Per channel and in f16: widened once, rounded once; one loop for each of
// forward, gradients and tangent. The partials 1.0 and 0.0 cost nothing: dx is
// the cotangent itself, the gradient of the zero point a fill.
// CHECK-DAG: #[[$ID:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[$C:.*]] = affine_map<(d0, d1) -> (d0)>
// CHECK-DAG: #[[$ALL:.*]] = affine_map<(d0, d1) -> ()>
// CHECK-LABEL: func @f(
// CHECK: linalg.generic {indexing_maps = [#[[$ID]], #[[$C]], #[[$ALL]], #[[$ID]]], iterator_types = ["parallel", "parallel"]}
// CHECK-NEXT: ^bb0(%[[X:.*]]: f16, %[[S:.*]]: f32, %[[Z:.*]]: f16, %{{.*}}: f16):
// CHECK-NEXT: %[[A:.*]] = arith.extf %[[X]] : f16 to f32
// CHECK-NEXT: %[[C:.*]] = arith.extf %[[Z]] : f16 to f32
// CHECK-NEXT: %[[T:.*]] = arith.divf %[[A]], %[[S]] : f32
// CHECK-NEXT: %[[U:.*]] = arith.addf %[[T]], %[[C]] : f32
// CHECK-NEXT: %[[R:.*]] = math.roundeven %[[U]] : f32
// CHECK-NEXT: %[[V:.*]] = arith.subf %[[R]], %[[C]] : f32
// CHECK-NEXT: %[[Q:.*]] = arith.mulf %[[V]], %[[S]] : f32
// CHECK-NEXT: %[[Y:.*]] = arith.truncf %[[Q]] : f32 to f16
// CHECK-NEXT: linalg.yield %[[Y]] : f16
// CHECK-NOT: linalg.generic
//
// CHECK-LABEL: func private @f_jvp(
// CHECK: linalg.generic
// CHECK: linalg.generic
// CHECK-NEXT: ^bb0(%[[TX:.*]]: f16, %[[TS:.*]]: f32, %{{.*}}: f16, %{{.*}}: f32, %{{.*}}: f16, %{{.*}}: f16):
// CHECK: %[[WIDE:.*]] = arith.extf %[[TX]] : f16 to f32
// CHECK: arith.mulf
// CHECK-NEXT: %[[D:.*]] = arith.subf
// CHECK-NEXT: %[[DB:.*]] = arith.divf %[[D]]
// CHECK-NEXT: %[[TERM:.*]] = arith.mulf %[[TS]], %[[DB]] : f32
// CHECK-NEXT: %[[SUM:.*]] = arith.addf %[[WIDE]], %[[TERM]] : f32
// CHECK-NEXT: arith.truncf %[[SUM]] : f32 to f16
// CHECK-NOT: linalg.generic
//
// CHECK-LABEL: func private @f_vjp(
// CHECK-SAME: %[[DY:[a-z0-9]*]]: tensor<4x?xf16> {quant_ste.cotangent})
// CHECK: %[[FORWARD:.*]] = linalg.generic
// CHECK: %[[DS:.*]] = linalg.generic {indexing_maps = [#[[$ID]], #[[$ID]], #[[$C]], #[[$ALL]], #[[$C]]], iterator_types = ["parallel", "reduction"]}
// CHECK: arith.divf
// CHECK: %[[QS:.*]] = arith.divf
// CHECK-NEXT: %[[PART:.*]] = arith.mulf %{{.*}}, %[[QS]] : f32
// CHECK-NEXT: arith.addf %{{.*}}, %[[PART]] : f32
// CHECK: %[[DZ:.*]] = linalg.fill ins(%{{.*}} : f16)
// CHECK: return %[[FORWARD]], %[[DY]], %[[DS]], %[[DZ]]
func.func @f(%x: tensor<4x?xf16>, %s: tensor<4xf32>, %z: tensor<f16>)
    -> tensor<4x?xf16> {
  %y = quant_ste.custom %x, %s axes([0]), %z
    : tensor<4x?xf16>, tensor<4xf32>, tensor<f16>
  forward(%a: f32, %b: f32, %c: f32) {
    %t = arith.divf %a, %b : f32
    %u = arith.addf %t, %c : f32
    %r = math.roundeven %u : f32
    %v = arith.subf %r, %c : f32
    %q = arith.mulf %v, %b : f32
    quant_ste.yield %q : f32
  } partials(%a: f32, %b: f32, %c: f32, %q: f32) {
    %one = arith.constant 1.0 : f32
    %zero = arith.constant 0.0 : f32
    %d = arith.subf %q, %a : f32
    %db = arith.divf %d, %b : f32
    quant_ste.yield %one, %db, %zero : f32, f32, f32
  }
  return %y : tensor<4x?xf16>
}
func.func @vjp(%x: tensor<4x?xf16>, %s: tensor<4xf32>, %z: tensor<f16>,
               %dy: tensor<4x?xf16>)
    -> (tensor<4x?xf16>, tensor<4xf32>, tensor<f16>) {
  %r:4 = quant_ste.vjp @f(%x, %s, %z) cotangents(%dy) wrt [0, 1, 2]
    : (tensor<4x?xf16>, tensor<4xf32>, tensor<f16>), (tensor<4x?xf16>)
    -> (tensor<4x?xf16>, tensor<4x?xf16>, tensor<4xf32>, tensor<f16>)
  return %r#1, %r#2, %r#3 : tensor<4x?xf16>, tensor<4xf32>, tensor<f16>
}
func.func @jvp(%x: tensor<4x?xf16>, %s: tensor<4xf32>, %z: tensor<f16>,
               %tx: tensor<4x?xf16>, %ts: tensor<4xf32>) -> tensor<4x?xf16> {
  %r:2 = quant_ste.jvp @f(%x, %s, %z) tangents(%tx, %ts) wrt [0, 1]
    : (tensor<4x?xf16>, tensor<4xf32>, tensor<f16>),
      (tensor<4x?xf16>, tensor<4xf32>)
    -> (tensor<4x?xf16>, tensor<4x?xf16>)
  return %r#1 : tensor<4x?xf16>
}

// -----

// A vjp that is not linear in the cotangent; an op of the dialect inside becomes
// its scalar ops; only what a gradient reads is an input: the cotangent and x.
// CHECK-LABEL: func private @clip_vjp(
// CHECK-SAME: %[[X:.*]]: tensor<?xf32>, %{{.*}}: f32, %[[DY:.*]]: tensor<?xf32>
// CHECK: linalg.generic
// CHECK: math.roundeven
// CHECK: linalg.generic
// CHECK-SAME: ins(%[[DY]], %[[X]] : tensor<?xf32>, tensor<?xf32>)
// CHECK-NEXT: ^bb0(%[[D:.*]]: f32, %[[A:.*]]: f32, %{{.*}}: f32):
// CHECK-NEXT: %[[P:.*]] = arith.mulf %[[D]], %[[A]] : f32
// CHECK-NEXT: %[[GT:.*]] = arith.cmpf ogt, %[[P]]
// CHECK-NEXT: %[[G:.*]] = arith.select %[[GT]], %{{.*}}, %[[P]]
// CHECK-NEXT: linalg.yield %[[G]] : f32
func.func @clip(%x: tensor<?xf32>, %s: f32) -> tensor<?xf32> {
  %y = quant_ste.custom %x, %s : tensor<?xf32>, f32
  forward(%a: f32, %b: f32) {
    %t = arith.mulf %a, %b : f32
    %r = quant_ste.round %t grad(ste) : f32
    quant_ste.yield %r : f32
  } vjp(%a: f32, %b: f32, %y: f32, %dy: f32) {
    %one = arith.constant 1.0 : f32
    %p = arith.mulf %dy, %a : f32
    %isAbove = arith.cmpf ogt, %p, %one : f32
    %g = arith.select %isAbove, %one, %p : f32
    quant_ste.yield %g, %dy : f32, f32
  }
  return %y : tensor<?xf32>
}
func.func @clip_gradient(%x: tensor<?xf32>, %s: f32, %dy: tensor<?xf32>)
    -> tensor<?xf32> {
  %r:2 = quant_ste.vjp @clip(%x, %s) cotangents(%dy) wrt [0]
    : (tensor<?xf32>, f32), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %r#1 : tensor<?xf32>
}
