// RUN: qopt-opt %s --quant-ste-expand-bfloat | FileCheck %s

// CHECK-LABEL: func @from_f32
// CHECK-SAME: %[[X:.*]]: f32
// CHECK: %[[NAN:.*]] = arith.cmpf uno, %[[X]], %[[X]]
// CHECK: %[[BITS:.*]] = arith.bitcast %[[X]] : f32 to i32
// CHECK: arith.select %[[NAN]], %{{.*}}, %{{.*}} : i16
// CHECK: %[[Y:.*]] = arith.bitcast %{{.*}} : i16 to bf16
// CHECK: return %[[Y]]
func.func @from_f32(%x: f32) -> bf16 {
  %y = arith.truncf %x : f32 to bf16
  return %y : bf16
}

// One rounding: the first goes to odd.
// CHECK-LABEL: func @from_f64
// CHECK: arith.truncf %{{.*}} : f64 to f32
// CHECK: arith.cmpf one
// CHECK: arith.ori
// CHECK: arith.bitcast %{{.*}} : i16 to bf16
func.func @from_f64(%x: f64) -> bf16 {
  %y = arith.truncf %x : f64 to bf16
  return %y : bf16
}

// CHECK-LABEL: func @vector
// CHECK: arith.bitcast %{{.*}} : vector<8xi16> to vector<8xbf16>
func.func @vector(%x: vector<8xf32>) -> vector<8xbf16> {
  %y = arith.truncf %x : vector<8xf32> to vector<8xbf16>
  return %y : vector<8xbf16>
}

// CHECK-LABEL: func @select
// CHECK: arith.select %{{.*}}, %{{.*}}, %{{.*}} : i16
// CHECK-NOT: arith.select
func.func @select(%c: i1, %x: bf16, %y: bf16) -> bf16 {
  %z = arith.select %c, %x, %y : bf16
  return %z : bf16
}

// f16 has instructions, or functions, of its own; a directed rounding is not
// ours; and no conversion may be contracted.
// CHECK-LABEL: func @others
// CHECK: arith.truncf %{{.*}} : f32 to f16
// CHECK: arith.truncf %{{.*}} toward_zero : f32 to bf16
// CHECK: arith.extf %{{.*}} : f16 to f32
func.func @others(%x: f32, %h: f16) -> (f16, bf16, f32) {
  %0 = arith.truncf %x : f32 to f16
  %1 = arith.truncf %x toward_zero : f32 to bf16
  %2 = arith.extf %h fastmath<contract> : f16 to f32
  return %0, %1, %2 : f16, bf16, f32
}
