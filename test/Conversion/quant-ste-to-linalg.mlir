// RUN: qopt-opt %s --convert-quant-ste-to-linalg --canonicalize --split-input-file --verify-diagnostics | FileCheck %s

// CHECK-DAG: #[[$ID:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[$C:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-DAG: #[[$ALL:.*]] = affine_map<(d0, d1) -> ()>

// One generic; the maps are the granularities.
// CHECK-LABEL: func @forward
// CHECK: linalg.generic {indexing_maps = [#[[$ID]], #[[$C]], #[[$ALL]], #[[$ALL]], #[[$ID]]], iterator_types = ["parallel", "parallel"]}
// CHECK-NOT: quant_ste
func.func @forward(%x: tensor<?x8xf32>, %s: tensor<8xf32>, %z: tensor<f32>, %b: f32) -> tensor<?x8xf32> {
  %y = quant_ste.int_quant %x, %s axes([1]), %z, %b signed grad(clipped)
    : tensor<?x8xf32>, tensor<8xf32>, tensor<f32>, f32
  return %y : tensor<?x8xf32>
}

// -----

// A constant bit width folds to the range it means; no flag on any op.
// CHECK-LABEL: func @constant_width
// CHECK-DAG: %[[MAX:.*]] = arith.constant 7.000000e+00 : f32
// CHECK-DAG: %[[MIN:.*]] = arith.constant -7.000000e+00 : f32
// CHECK: linalg.generic
// CHECK-SAME: ins(%{{.*}}, %{{.*}} : tensor<?xf32>, tensor<f32>)
// CHECK: %[[T:.*]] = arith.divf %{{.*}}, %{{.*}} : f32
// CHECK: %[[U:.*]] = arith.addf %[[T]]
// CHECK: %[[R:.*]] = math.roundeven %[[U]] : f32
// CHECK: %[[GT:.*]] = arith.cmpf ogt, %[[R]], %[[MAX]] : f32
// CHECK: %[[UP:.*]] = arith.select %[[GT]], %[[MAX]], %[[R]] : f32
// CHECK: %[[LT:.*]] = arith.cmpf olt, %[[UP]], %[[MIN]] : f32
// CHECK: arith.select %[[LT]], %[[MIN]], %[[UP]] : f32
// CHECK-NOT: fastmath
func.func @constant_width(%x: tensor<?xf32>, %s: tensor<f32>) -> tensor<?xf32> {
  %b = arith.constant dense<4.0> : tensor<f32>
  %z = arith.constant dense<0.0> : tensor<f32>
  %y = quant_ste.int_quant %x, %s, %z, %b signed narrow_range grad(clipped)
    : tensor<?xf32>, tensor<f32>, tensor<f32>, tensor<f32>
  return %y : tensor<?xf32>
}

// -----

// f16 is widened, computed in f32 and rounded once; the parameter is f32.
// CHECK-LABEL: func @narrow_type
// CHECK: ^bb0(%[[X:.*]]: f16, %[[A:.*]]: f32, %{{.*}}: f16):
// CHECK: %[[W:.*]] = arith.extf %[[X]] : f16 to f32
// CHECK-NOT: arith.truncf
// CHECK: %[[R:.*]] = math.roundeven %{{.*}} : f32
// CHECK-NEXT: %[[Y:.*]] = arith.divf %[[R]], %{{.*}} : f32
// CHECK-NEXT: %[[N:.*]] = arith.truncf %[[Y]] : f32 to f16
// CHECK-NEXT: linalg.yield %[[N]] : f16
func.func @narrow_type(%x: tensor<4xf16>, %alpha: tensor<f32>) -> tensor<4xf16> {
  %y = quant_ste.pact %x, %alpha bits(4) grad(pact) : tensor<4xf16>, tensor<f32>
  return %y : tensor<4xf16>
}

// -----

// A plain float: scalar ops, no generic.
// CHECK-LABEL: func @scalar
// CHECK-NOT: linalg
// CHECK: math.roundeven %{{.*}} : f64
// CHECK: return
func.func @scalar(%x: f64) -> f64 {
  %y = quant_ste.round %x grad(ste) : f64
  return %y : f64
}

// -----

// CHECK-DAG: #[[$ID:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[$C:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-DAG: #[[$D:.*]] = affine_map<(d0) -> (d0)>
// CHECK-DAG: #[[$NONE:.*]] = affine_map<(d0) -> ()>

// dx, dscale[8] and dzero_point[] from one pass. Both sums are [8] there, so
// that the generic has one granularity; the zero point's is finished after it.
// CHECK-LABEL: func @one_pass
// CHECK-SAME: %[[DY:[a-z0-9]+]]: tensor<?x8xf32>)
// CHECK: tensor.dim %[[DY]]
// CHECK: %[[G:.*]]:3 = linalg.generic
// CHECK-SAME: iterator_types = ["reduction", "parallel"]
// CHECK-SAME: outs(%{{.*}}, %{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>)
// CHECK: %[[Z:.*]] = linalg.generic {indexing_maps = [#[[$D]], #[[$NONE]]], iterator_types = ["reduction"]} ins(%[[G]]#2 : tensor<8xf32>)
// CHECK: return %[[G]]#0, %[[G]]#1, %[[Z]]
func.func @one_pass(%x: tensor<?x8xf32>, %s: tensor<8xf32>, %z: tensor<f32>, %b: tensor<f32>, %dy: tensor<?x8xf32>)
    -> (tensor<?x8xf32>, tensor<8xf32>, tensor<f32>) {
  %dx, %ds, %dz = quant_ste.pullback(%dy) at(%x, %s, %z, %b) wrt [0, 1, 2] {
  ^bb0(%p: tensor<?x8xf32>, %q: tensor<8xf32>, %r: tensor<f32>, %u: tensor<f32>):
    %y = quant_ste.int_quant %p, %q axes([1]), %r, %u signed grad(clipped)
      : tensor<?x8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>
    quant_ste.yield %y : tensor<?x8xf32>
  } : (tensor<?x8xf32>), (tensor<?x8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>)
      -> (tensor<?x8xf32>, tensor<8xf32>, tensor<f32>)
  return %dx, %ds, %dz : tensor<?x8xf32>, tensor<8xf32>, tensor<f32>
}

// -----

// The sum of an f16 parameter is accumulated in f32 and rounded once, and the
// sizes come from the cotangent: x is not read at all.
// CHECK-LABEL: func @accumulate
// CHECK-SAME: (%[[X:[a-z0-9]+]]: tensor<?xf16>
// CHECK: %[[ACC:.*]] = linalg.fill {{.*}} -> tensor<f32>
// CHECK: linalg.generic
// CHECK:   arith.addf %{{.*}}, %{{.*}} : f32
// CHECK: linalg.generic
// CHECK:   arith.truncf %{{.*}} : f32 to f16
func.func @accumulate(%x: tensor<?xf16>, %alpha: tensor<f16>, %dy: tensor<?xf16>) -> tensor<f16> {
  %da = quant_ste.pullback(%dy) at(%x, %alpha) wrt [1] {
  ^bb0(%a: tensor<?xf16>, %b: tensor<f16>):
    %y = quant_ste.pact %a, %b bits(4) grad(pact) : tensor<?xf16>, tensor<f16>
    quant_ste.yield %y : tensor<?xf16>
  } : (tensor<?xf16>), (tensor<?xf16>, tensor<f16>) -> (tensor<f16>)
  return %da : tensor<f16>
}

// -----

// A straight-through gradient is the cotangent itself.
// CHECK-LABEL: func @no_code
// CHECK-SAME: (%{{.*}}: tensor<?xf32>, %[[DY:.*]]: tensor<?xf32>)
// CHECK-NEXT: return %[[DY]]
func.func @no_code(%x: tensor<?xf32>, %dy: tensor<?xf32>) -> tensor<?xf32> {
  %dx = quant_ste.pullback(%dy) at(%x) wrt [0] {
  ^bb0(%a: tensor<?xf32>):
    %y = quant_ste.round %a grad(ste) : tensor<?xf32>
    quant_ste.yield %y : tensor<?xf32>
  } : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>)
  return %dx : tensor<?xf32>
}

// -----

// A plain float parameter of a tensor: its gradient is a plain float.
// CHECK-LABEL: func @float_parameter
// CHECK: %[[E:.*]] = tensor.extract %{{.*}}[] : tensor<f32>
// CHECK: return %[[E]] : f32
func.func @float_parameter(%x: tensor<?xf16>, %alpha: f32, %dy: tensor<?xf16>) -> f32 {
  %da = quant_ste.pullback(%dy) at(%x, %alpha) wrt [1] {
  ^bb0(%a: tensor<?xf16>, %b: f32):
    %y = quant_ste.pact %a, %b bits(4) grad(pact) : tensor<?xf16>, f32
    quant_ste.yield %y : tensor<?xf16>
  } : (tensor<?xf16>), (tensor<?xf16>, f32) -> (f32)
  return %da : f32
}

// -----

// The tangent of each operand, in one generic without a reduction.
// CHECK-LABEL: func @pushforward
// CHECK: linalg.generic
// CHECK-SAME: iterator_types = ["parallel"]
// CHECK:   arith.select
// CHECK:   arith.select
// CHECK:   arith.addf
func.func @pushforward(%x: tensor<?xf32>, %alpha: tensor<f32>, %tx: tensor<?xf32>, %ta: tensor<f32>) -> tensor<?xf32> {
  %t = quant_ste.pushforward(%tx, %ta) at(%x, %alpha) wrt [0, 1] {
  ^bb0(%a: tensor<?xf32>, %b: tensor<f32>):
    %y = quant_ste.pact %a, %b bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
    quant_ste.yield %y : tensor<?xf32>
  } : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>, tensor<f32>) -> (tensor<?xf32>)
  return %t : tensor<?xf32>
}

// -----

// CHECK-LABEL: func @detach
// CHECK-SAME: (%[[X:.*]]: tensor<?xf32>)
// CHECK-NEXT: return %[[X]]
func.func @detach(%x: tensor<?xf32>) -> tensor<?xf32> {
  %0 = quant_ste.detach %x : tensor<?xf32>
  return %0 : tensor<?xf32>
}

// -----

// A request must be differentiated first.
func.func private @f(tensor<4xf32>) -> f32
func.func @request(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{failed to legalize operation 'quant_ste.value_and_grad'}}
  %v, %g = quant_ste.value_and_grad @f(%x) wrt [0] : (tensor<4xf32>) -> (f32, tensor<4xf32>)
  return %g : tensor<4xf32>
}
