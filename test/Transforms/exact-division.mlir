// RUN: qopt-opt %s --quant-ste-exact-division --split-input-file | FileCheck %s
// RUN: qopt-opt %s --quant-ste-cpu-pipeline="stop-after=vectorize" --split-input-file | FileCheck %s --check-prefix=DEFAULT
// DEFAULT-NOT: math.fma

// One reciprocal, in front of all dividends.
// CHECK-LABEL: func @scalar
// CHECK-SAME: %[[X:[a-z0-9]+]]: vector<16xf32>, %[[S:[a-z0-9]+]]: f32
// CHECK: %[[R:.*]] = arith.divf %{{.*}}, %[[S]] : f32
// CHECK: %[[D:.*]] = vector.broadcast %[[S]]
// CHECK: vector.reduction <or>
// CHECK: scf.if
// CHECK: arith.divf %[[X]], %[[D]]
// CHECK: } else {
// CHECK: %[[Y:.*]] = vector.broadcast %[[R]]
// CHECK: %[[N:.*]] = arith.negf %[[D]]
// CHECK: %[[Q1:.*]] = arith.mulf %[[X]], %[[Y]]
// CHECK: %[[REST:.*]] = math.fma %[[N]], %[[Q1]], %[[X]]
// CHECK: %[[Q:.*]] = math.fma %[[REST]], %[[Y]], %[[Q1]]
// CHECK: math.copysign %[[Q]], %[[Q1]]
func.func @scalar(%x: vector<16xf32>, %s: f32) -> vector<16xf32> {
  %d = vector.broadcast %s : f32 to vector<16xf32>
  %q = arith.divf %x, %d : vector<16xf32>
  return %q : vector<16xf32>
}

// -----

// Each divided by its own, or in another type: as it was.
// CHECK-LABEL: func @own
// CHECK-NOT: math.fma
func.func @own(%x: vector<16xf32>, %y: vector<16xf32>, %w: vector<8xf64>, %s: f64) -> (vector<16xf32>, vector<8xf64>) {
  %q = arith.divf %x, %y : vector<16xf32>
  %d = vector.broadcast %s : f64 to vector<8xf64>
  %p = arith.divf %w, %d : vector<8xf64>
  return %q, %p : vector<16xf32>, vector<8xf64>
}
