// The PTX of each class of kernel: accesses of 16 bytes through the read-only
// path, all loads before the first store, rounding by instructions, nothing in
// local memory, no call, nothing that ptxas may contract.

// RUN: qopt-opt %s --split-input-file --quant-ste-gpu-pipeline="chip=sm_90 stop-after=binary" \
// RUN:   | sed 's/\\0A/\n/g; s/\\09/ /g' | FileCheck %s --implicit-check-not=.local \
// RUN:   --implicit-check-not=call --implicit-check-not=.extern --implicit-check-not=mad.f32 \
// RUN:   --implicit-check-not=add.f32 --implicit-check-not=mul.f32

// CHECK-LABEL: .visible .entry elementwise_aligned(
// CHECK: .maxntid 256
// CHECK: .minnctapersm 4
// One reciprocal for all; a division where a dividend is too large or small.
// CHECK: rcp.rn.f32
// CHECK-COUNT-4: ld.global.nc.v4.b32
// CHECK: mul.rn.f32
// CHECK: fma.rn.f32
// CHECK: fma.rn.f32
// CHECK: st.global.v4.b32
// CHECK: cvt.rni.f32.f32
// CHECK: div.rn.f32
func.func @elementwise(%x: tensor<?xf32>, %a: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}

// -----

// dx and the gradient of alpha in one pass, then the parts by shuffles and
// through shared memory.
// CHECK-LABEL: .visible .entry sum_aligned(
// CHECK-COUNT-8: ld.global.nc.v4.b32
// CHECK: st.global.v4.b32
// CHECK-COUNT-5: shfl.sync.bfly.b32
// CHECK: st.shared.b32
// CHECK: bar.sync 0
// CHECK: ld.shared
// CHECK-LABEL: .visible .entry sum_finish(
// CHECK: cvt.f64.f32
// CHECK: add.rn.f64
// CHECK: shfl.sync.bfly.b32
// CHECK: cvt.rn.f32.f64
func.func private @q(%x: tensor<?xf32>, %a: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}
func.func @sum(%x: tensor<?xf32>, %a: tensor<f32>, %dy: tensor<?xf32>) -> (tensor<?xf32>, tensor<f32>) {
  %y, %dx, %da = quant_ste.vjp @q(%x, %a) cotangents(%dy) wrt [0, 1]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
  return %dx, %da : tensor<?xf32>, tensor<f32>
}

// -----

// Eight bf16 at a time, computed in f32.
// CHECK-LABEL: .visible .entry narrow_aligned(
// CHECK: ld.global.nc.v4.b32
// CHECK: cvt.rn.bf16x2.f32
// CHECK: st.global.v4.b32
func.func @narrow(%x: tensor<?xbf16>, %a: tensor<f32>) -> tensor<?xbf16> {
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xbf16>, tensor<f32>
  return %y : tensor<?xbf16>
}

// -----

// Sums down columns: no shuffle, one barrier.
// CHECK-LABEL: .visible .entry columns_aligned(
// CHECK-COUNT-4: ld.global.nc.v4.b32
// CHECK: add.rn.f32
// CHECK: st.shared
// CHECK: bar.sync 0
func.func @columns(%x: tensor<?x?xf32>, %c: tensor<?xf32>) -> tensor<?xf32> {
  %r = linalg.reduce {arith.addf} ins(%x : tensor<?x?xf32>) outs(%c : tensor<?xf32>) dimensions = [0]
  return %r : tensor<?xf32>
}

// -----

// A name of MLIR that PTX does not allow, and a second that becomes the same.
// CHECK-LABEL: .visible .entry _1_odd_name_aligned(
// CHECK-LABEL: .visible .entry _1_odd_name_aligned_0(
func.func @"1.odd#name"(%x: tensor<?xf32>, %a: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}
func.func @"1.odd name"(%x: tensor<?xf32>, %a: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %a bits(3) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}
