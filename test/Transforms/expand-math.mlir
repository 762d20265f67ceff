// RUN: qopt-opt %s --quant-ste-expand-math --canonicalize | FileCheck %s

// The polynomial runs in double precision and is rounded once.
// CHECK-LABEL: func @narrow
// CHECK-SAME: %[[X:[a-z0-9]+]]: bf16
// CHECK: %[[W:.*]] = arith.extf %[[X]] : bf16 to f64
// CHECK: math.roundeven %{{.*}} : f64
// CHECK: %[[Y:.*]] = arith.truncf %{{.*}} : f64 to bf16
// CHECK-NEXT: return %[[Y]]
func.func @narrow(%x: bf16) -> bf16 {
  %y = math.exp %x : bf16
  return %y : bf16
}

// CHECK-LABEL: func @all
// CHECK-NOT: math.{{exp|exp2|log|log2|tanh|cosh}} %
// CHECK: return
func.func @all(%x: f64) -> (f64, f64, f64, f64, f64) {
  %a = math.exp2 %x : f64
  %b = math.log %x : f64
  %c = math.log2 %x : f64
  %d = math.tanh %x : f64
  %e = math.cosh %x : f64
  return %a, %b, %c, %d, %e : f64, f64, f64, f64, f64
}

// What has no polynomial stays.
// CHECK-LABEL: func @others
// CHECK: math.sin
// CHECK: math.exp %{{.*}} : vector<4xf32>
func.func @others(%x: f32, %v: vector<4xf32>) -> (f32, vector<4xf32>) {
  %a = math.sin %x : f32
  %b = math.exp %v : vector<4xf32>
  return %a, %b : f32, vector<4xf32>
}
