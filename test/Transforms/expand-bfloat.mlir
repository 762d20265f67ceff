// RUN: qopt-opt %s --quant-ste-expand-bfloat | FileCheck %s

// CHECK-LABEL: func @from_f32
// CHECK-SAME: %[[X:.*]]: f32
// CHECK: %[[NAN:.*]] = arith.cmpf uno, %[[X]], %[[X]]
// CHECK: %[[BITS:.*]] = arith.bitcast %[[X]] : f32 to i32
// CHECK: arith.select %[[NAN]], %{{.*}}, %{{.*}} : i32
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

// What was rounded before is not rounded again, but for what conversions do to
// NaNs.
// CHECK-LABEL: func @again
// CHECK-SAME: %[[C:.*]]: i1, %[[X:.*]]: vector<8xbf16>
// CHECK: %[[WIDE:.*]] = arith.extf %[[X]]
// CHECK: %[[CHOSEN:.*]] = arith.select %[[C]], %[[WIDE]], %{{.*}} : vector<8xf32>
// CHECK: %[[BITS:.*]] = arith.bitcast %[[CHOSEN]]
// CHECK: %[[TOP:.*]] = arith.shrui %[[BITS]]
// CHECK: %[[CUT:.*]] = arith.trunci %[[TOP]] : vector<8xi32> to vector<8xi16>
// CHECK: %[[SIZE:.*]] = arith.andi %[[CUT]]
// CHECK: %[[NAN:.*]] = arith.cmpi ugt, %[[SIZE]]
// CHECK: arith.select %[[NAN]], %{{.*}}, %[[CUT]] : vector<8xi1>, vector<8xi16>
func.func @again(%c: i1, %x: vector<8xbf16>) -> vector<8xbf16> {
  %half = arith.constant dense<0.5> : vector<8xf32>
  %wide = arith.extf %x : vector<8xbf16> to vector<8xf32>
  %chosen = arith.select %c, %wide, %half : vector<8xf32>
  %y = arith.truncf %chosen : vector<8xf32> to vector<8xbf16>
  return %y : vector<8xbf16>
}

// CHECK-LABEL: func @again_f16
// CHECK-SAME: %[[C:.*]]: i1, %[[X:.*]]: f16
// CHECK: %[[BITS:.*]] = arith.bitcast %[[X]] : f16 to i16
// CHECK: %[[CHOSEN:.*]] = arith.select %[[C]], %[[BITS]], %c14336_i16 : i16
// CHECK: %[[QUIET:.*]] = arith.ori %[[CHOSEN]], %c512_i16
// CHECK: arith.select %{{.*}}, %[[QUIET]], %[[CHOSEN]] : i16
func.func @again_f16(%c: i1, %x: f16) -> f16 {
  %half = arith.constant 0.5 : f32
  %wide = arith.extf %x : f16 to f32
  %chosen = arith.select %c, %wide, %half : f32
  %y = arith.truncf %chosen : f32 to f16
  return %y : f16
}

// 0.1 is no bf16.
// CHECK-LABEL: func @no_constant_of_the_type
// CHECK: arith.cmpf uno
func.func @no_constant_of_the_type(%c: i1, %x: bf16) -> bf16 {
  %tenth = arith.constant 0.1 : f32
  %wide = arith.extf %x : bf16 to f32
  %chosen = arith.select %c, %wide, %tenth : f32
  %y = arith.truncf %chosen : f32 to bf16
  return %y : bf16
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
