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

// -----

// Packed bits: a thread has eight elements and stores their byte.
// CHECK-LABEL: .visible .entry bits_aligned(
// CHECK-COUNT-4: ld.global.nc.v4.b32
// CHECK-COUNT-8: setp.gt.f32
// CHECK: or.b32
// CHECK: st.global.b8
func.func @bits(%x: tensor<?xf32>, %z: tensor<?xf32>) -> tensor<?xi8> {
  %m = arith.cmpf ogt, %x, %z : tensor<?xf32>
  %p = quant_ste.pack_bits %m : tensor<?xi1> -> tensor<?xi8>
  return %p : tensor<?xi8>
}

// -----

// Read back: four elements at a time, whose bits are in one byte.
// CHECK-LABEL: .visible .entry masked_aligned(
// CHECK-DAG: ld.global.nc.b8
// CHECK-DAG: ld.global.nc.v4.b32
// CHECK: st.global.v4.b32
func.func @masked(%p: tensor<13xi8>, %dy: tensor<100xf32>) -> tensor<100xf32> {
  %zero = arith.constant dense<0.0> : tensor<100xf32>
  %m = quant_ste.unpack_bits %p : tensor<13xi8> -> tensor<100xi1>
  %dx = arith.select %m, %dy, %zero : tensor<100xi1>, tensor<100xf32>
  return %dx : tensor<100xf32>
}

// -----

// A table of constants is in the image.
// CHECK: .global .align 64 .b8 __constant_8xf32[32]
// CHECK-LABEL: .visible .entry table_aligned(
func.func @table(%x: tensor<8xf32>) -> tensor<8xf32> {
  %t = arith.constant dense<[0.0, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5]> : tensor<8xf32>
  %y = arith.addf %x, %t : tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

// 8-bit floats by the chip's conversion, two at a time; what it saturates is
// looked for.
// CHECK-LABEL: .visible .entry minifloat_aligned(
// CHECK-COUNT-4: ld.global.nc.v4.b32
// CHECK: cvt.rn.satfinite.e4m3x2.f32
// CHECK: setp.gtu.f32
// CHECK: st.global.b32
func.func @minifloat(%x: tensor<?xf32>) -> tensor<?xf8E4M3FN> {
  %y = arith.truncf %x : tensor<?xf32> to tensor<?xf8E4M3FN>
  return %y : tensor<?xf8E4M3FN>
}

// -----

// A group's scale, its quantizer and the gradient of both: rows are read three
// times, from memory once, and nothing is shared between warps.
// CHECK-LABEL: .visible .entry groups_aligned(
// CHECK-NOT: bar.sync
// CHECK: ld.global.nc.v4.b32
// CHECK: shfl.sync.bfly.b32
// CHECK: ld.global.nc.v4.b32
// CHECK: ld.global.nc.v4.b32
// CHECK: st.global.v4.b32
// CHECK: shfl.sync.bfly.b32
// CHECK: st.global.v4.b32
// CHECK: ret;
func.func private @q(%x: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %max = quant_ste.absmax %x axes([0]) grad(first) : tensor<?x32xf32> -> tensor<?xf32>
  %s = quant_ste.mx_scale %max element(e2m1) grad(ste) : tensor<?xf32>
  %y = quant_ste.float_quant %x, %s axes([0]) format(e2m1) signed saturating grad(clipped)
    : tensor<?x32xf32>, tensor<?xf32>
  return %y : tensor<?x32xf32>
}
func.func @groups(%x: tensor<?x32xf32>, %dy: tensor<?x32xf32>)
    -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  %y, %dx = quant_ste.vjp @q(%x) cotangents(%dy) wrt [0]
    : (tensor<?x32xf32>), (tensor<?x32xf32>) -> (tensor<?x32xf32>, tensor<?x32xf32>)
  return %y, %dx : tensor<?x32xf32>, tensor<?x32xf32>
}

// -----

// Random numbers: Philox's products of 32 bits, and no table.
// CHECK-LABEL: .visible .entry random_aligned(
// CHECK: ld.global.nc.v4.b32
// CHECK: mul.hi.u32
// CHECK: xor.b32
// CHECK: st.global.v4.b32
func.func @random(%x: tensor<?xf32>, %seed: i64, %step: i64) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %u = quant_ste.uniform seed(%seed) step(%step) sizes(%n) : tensor<?xf32>
  %y = quant_ste.stochastic_round %x, %u axes([0]) grad(ste) : tensor<?xf32>, tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// A product adds its terms in order, a thread for each element.
// CHECK-LABEL: .visible .entry product(
// CHECK: ld.global.nc.b32
// CHECK: mul.rn.f32
// CHECK: add.rn.f32
// CHECK: st.global.b32
func.func @product(%a: tensor<?x64xf32>, %b: tensor<64x?xf32>, %c: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %y = linalg.matmul ins(%a, %b : tensor<?x64xf32>, tensor<64x?xf32>)
    outs(%c : tensor<?x?xf32>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// Codes of 8 bits: four to a store.
// CHECK-LABEL: .visible .entry codes_aligned(
// CHECK-COUNT-4: ld.global.nc.v4.b32
// CHECK: cvt.rni.f32.f32
// CHECK: cvt.rzi.s16.f32
// CHECK-COUNT-3: st.global.b32
func.func @codes(%x: tensor<?xf32>, %s: tensor<f32>) -> tensor<?xi8> {
  %min = arith.constant -128.0 : f32
  %max = arith.constant 127.0 : f32
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %none = tensor.empty(%n) : tensor<?xi8>
  %y = linalg.generic {
      indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>, affine_map<(i) -> (i)>],
      iterator_types = ["parallel"]}
      ins(%x, %s : tensor<?xf32>, tensor<f32>) outs(%none : tensor<?xi8>) {
  ^bb0(%e: f32, %scale: f32, %o: i8):
    %q = arith.divf %e, %scale : f32
    %r = math.roundeven %q : f32
    %above = arith.cmpf ogt, %r, %min : f32
    %l = arith.select %above, %r, %min : f32
    %below = arith.cmpf olt, %l, %max : f32
    %c = arith.select %below, %l, %max : f32
    %i = arith.fptosi %c : f32 to i8
    linalg.yield %i : i8
  } -> tensor<?xi8>
  return %y : tensor<?xi8>
}
