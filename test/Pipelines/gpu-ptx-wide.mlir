// From sm_100 on an access is of 32 bytes, but where sums would get other bits.

// RUN: qopt-opt %s --quant-ste-gpu-pipeline="chip=sm_100 stop-after=binary" \
// RUN:   | sed 's/\\0A/\n/g; s/\\09/ /g' | FileCheck %s
// RUN: qopt-opt %s --quant-ste-gpu-pipeline="chip=sm_90 stop-after=binary" \
// RUN:   | sed 's/\\0A/\n/g; s/\\09/ /g' | FileCheck %s --check-prefix=NARROW

// NARROW: .version 7.8
// NARROW-NOT: .v8.
// CHECK: .version 8.8
// CHECK-LABEL: .visible .entry f_aligned(
// CHECK-COUNT-2: ld.global.nc.v8.b32
// CHECK-NOT: ld.global.nc.v
// CHECK: st.global.v8.b32
func.func @f(%x: tensor<?xf32>, %lo: tensor<f32>, %hi: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.tensor_clamp %x, %lo, %hi grad(ste) : tensor<?xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<?xf32>
}

// CHECK-LABEL: .visible .entry g_aligned(
// CHECK: ld.global.nc.v8.b32
// CHECK: st.global.v8.b32
func.func @g(%x: tensor<?xbf16>) -> tensor<?xbf16> {
  %y = quant_ste.round %x grad(ste) : tensor<?xbf16>
  return %y : tensor<?xbf16>
}

// CHECK-LABEL: .visible .entry sum_aligned(
// CHECK-NOT: ld.global.nc.v4.b64
// CHECK: ld.global.nc.v2.b64
// CHECK-NOT: ld.global.nc.v4.b64
func.func @sum(%x: tensor<?xf32>, %e: tensor<f32>) -> tensor<f32> {
  %s = linalg.reduce { arith.addf } ins(%x : tensor<?xf32>) outs(%e : tensor<f32>) dimensions = [0]
  return %s : tensor<f32>
}
