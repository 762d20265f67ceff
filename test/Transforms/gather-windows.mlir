// RUN: qopt-opt %s --pass-pipeline="builtin.module(func.func(quant-ste-gather-windows,canonicalize))" | FileCheck %s
// RUN: qopt-opt %s --pass-pipeline="builtin.module(func.func(quant-ste-gather-windows{most-bytes=150000},canonicalize))" | FileCheck %s --check-prefix=PIECES
// RUN: not qopt-opt %s --pass-pipeline="builtin.module(func.func(quant-ste-gather-windows{most-bytes=0}))" 2>&1 | FileCheck %s --check-prefix=BYTES
// BYTES: error: expected most-bytes of at least 1, got 0

// CHECK-DAG: #[[$X:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d3, d0, d1 * 2 + d4, d2 + d5 * 3)>
// CHECK-DAG: #[[$M:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d4, d5, d6, d0, d2, d3)>
// CHECK-DAG: #[[$W:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d1, d4, d5, d6)>

// The copy's rows are places of the image, along which it is read; filter and
// result stay where they are.
// CHECK-LABEL: func.func @forward(
// CHECK: %[[COPY:.*]] = memref.alloc() {{.*}} : memref<16x3x3x4x16x6xf32>
// CHECK: linalg.generic {indexing_maps = [#[[$X]], #{{.*}}], {{.*}} ins(%{{.*}} : memref<4x16x20x18xf32>) outs(%[[COPY]]
// CHECK: linalg.generic {indexing_maps = [#[[$M]], #[[$W]], #{{.*}}], {{.*}} ins(%[[COPY]], %{{.*}} : memref<16x3x3x4x16x6xf32>, memref<32x16x3x3xf32>)
// CHECK: memref.dealloc %[[COPY]]

// An image takes 16 * 3 * 3 * 16 * 6 * 4 bytes: two at a time.
// PIECES-LABEL: func.func @forward(
// PIECES: scf.for %[[I:.*]] = %c0 to %c4 step %c2
// PIECES: memref.subview %{{.*}}[%[[I]], 0, 0, 0] [%[[N:.*]], 16, 20, 18]
// PIECES: memref.subview %{{.*}}[%[[I]], 0, 0, 0] [%[[N]], 32, 16, 6]
// PIECES: memref.alloc(%[[N]]) {{.*}} : memref<16x3x3x?x16x6xf32>
func.func @forward(%x: memref<4x16x20x18xf32>, %w: memref<32x16x3x3xf32>, %y: memref<4x32x16x6xf32>) {
  linalg.conv_2d_nchw_fchw {strides = dense<[1, 3]> : tensor<2xi64>, dilations = dense<[2, 1]> : tensor<2xi64>}
    ins(%x, %w : memref<4x16x20x18xf32>, memref<32x16x3x3xf32>) outs(%y : memref<4x32x16x6xf32>)
  return
}

// The gradient by the image is made apart; an element adds the terms it has there.
// CHECK-LABEL: func.func @to_the_image(
// CHECK-SAME: %[[DX:[a-z0-9]*]]: memref<2x21x8xf32>)
// CHECK: %[[COPY:.*]] = memref.alloc() {{.*}} : memref<2x10x3x8xf32>
// CHECK: linalg.fill ins(%{{.*}}) outs(%[[COPY]]
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %{{.*}} : memref<2x10x16xf32>, memref<3x8x16xf32>) outs(%[[COPY]]
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "reduction"]{{.*}} outs(%[[DX]]
// CHECK: %[[K:.*]] = linalg.index 3
// CHECK: %[[P:.*]] = linalg.index 1
// CHECK: %[[REST:.*]] = arith.subi %[[P]], %[[K]]
// CHECK: arith.divsi %[[REST]], %c2
// CHECK: scf.if
// CHECK: memref.load %[[COPY]]
#dy = affine_map<(n, h, k, c, f) -> (n, h, f)>
#w = affine_map<(n, h, k, c, f) -> (k, c, f)>
#dx = affine_map<(n, h, k, c, f) -> (n, h * 2 + k, c)>
func.func @to_the_image(%dy: memref<2x10x16xf32>, %w: memref<3x8x16xf32>, %dx: memref<2x21x8xf32>) {
  linalg.generic {indexing_maps = [#dy, #w, #dx],
      iterator_types = ["parallel", "parallel", "reduction", "parallel", "reduction"]}
      ins(%dy, %w : memref<2x10x16xf32>, memref<3x8x16xf32>) outs(%dx : memref<2x21x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  }
  return
}

// A filter of one tap reads no windows: nothing is copied.
// CHECK-LABEL: func.func @one_tap(
// CHECK-NOT: memref.alloc
// CHECK: memref.collapse_shape %{{.*}} {{\[\[}}0], [1, 2, 3]]
// CHECK: linalg.generic
func.func @one_tap(%x: memref<3x6x9x9xf32>, %w: memref<8x6x1x1xf32>, %y: memref<3x8x9x9xf32>) {
  linalg.conv_2d_nchw_fchw ins(%x, %w : memref<3x6x9x9xf32>, memref<8x6x1x1xf32>)
    outs(%y : memref<3x8x9x9xf32>)
  return
}

// No product of matrices; sums in f16.
// CHECK-LABEL: func.func @others(
// CHECK-NOT: memref.alloc
// CHECK: linalg.depthwise_conv_2d_nhwc_hwc
// CHECK: linalg.conv_2d_nchw_fchw
func.func @others(%x: memref<2x11x9x8xf32>, %w: memref<3x3x8xf32>, %y: memref<2x9x7x8xf32>,
    %a: memref<4x16x18x18xf16>,
    %d: memref<32x16x3x3xf16>, %e: memref<4x32x16x16xf16>) {
  linalg.depthwise_conv_2d_nhwc_hwc ins(%x, %w : memref<2x11x9x8xf32>, memref<3x3x8xf32>)
    outs(%y : memref<2x9x7x8xf32>)
  linalg.conv_2d_nchw_fchw ins(%a, %d : memref<4x16x18x18xf16>, memref<32x16x3x3xf16>)
    outs(%e : memref<4x32x16x16xf16>)
  return
}

// Factors of two types: the narrow one is widened on its way.
// CHECK-LABEL: func.func @two_types(
// CHECK: %[[WIDE:.*]] = memref.alloc() {{.*}} : memref<64x48xf32>
// CHECK: arith.extf
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[WIDE]] : memref<32x64xf32>, memref<64x48xf32>)
func.func @two_types(%a: memref<32x64xf32>, %b: memref<64x48xbf16>, %c: memref<32x48xf32>) {
  linalg.matmul ins(%a, %b : memref<32x64xf32>, memref<64x48xbf16>) outs(%c : memref<32x48xf32>)
  return
}
