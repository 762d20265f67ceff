// RUN: qopt-opt %s --quant-ste-expand-shape --canonicalize | FileCheck %s
// The same through upstream's pass, which crashes without ours.
// RUN: qopt-opt %s --quant-ste-expand-shape --expand-strided-metadata | FileCheck %s --check-prefix=EXPANDED
// EXPANDED-NOT: memref.expand_shape

// CHECK-LABEL: func @two_unknown
// CHECK-SAME: %[[X:.*]]: memref<?xf32>, %[[A:.*]]: index, %[[B:.*]]: index
// CHECK: memref.reinterpret_cast %[[X]] to offset: [0], sizes: [%[[A]], %[[B]]], strides: [%[[B]], 1]
// CHECK-SAME: memref<?xf32> to memref<?x?xf32>
func.func @two_unknown(%x: memref<?xf32>, %a: index, %b: index) -> memref<?x?xf32> {
  %y = memref.expand_shape %x [[0, 1]] output_shape [%a, %b]
    : memref<?xf32> into memref<?x?xf32>
  return %y : memref<?x?xf32>
}

// The offset and the strides of the slice stay; a group counts from its own.
// CHECK-LABEL: func @strided
// CHECK-SAME: %[[X:.*]]: memref<?x6xf32, strided<[?, 2], offset: ?>>, %[[A:.*]]: index, %[[B:.*]]: index
// CHECK: %{{.*}}, %[[O:.*]], %{{.*}}:2, %[[S:.*]]:2 = memref.extract_strided_metadata %[[X]]
// CHECK: %[[SB:.*]] = affine.apply #{{.*}}()[%[[S]]#0, %[[B]]]
// CHECK: memref.reinterpret_cast %[[X]] to offset: [%[[O]]], sizes: [%[[A]], %[[B]], 2, 3], strides: [%[[SB]], %[[S]]#0, 6, 2]
func.func @strided(%x: memref<?x6xf32, strided<[?, 2], offset: ?>>, %a: index, %b: index)
    -> memref<?x?x2x3xf32, strided<[?, ?, 6, 2], offset: ?>> {
  %y = memref.expand_shape %x [[0, 1], [2, 3]] output_shape [%a, %b, 2, 3]
    : memref<?x6xf32, strided<[?, 2], offset: ?>>
    into memref<?x?x2x3xf32, strided<[?, ?, 6, 2], offset: ?>>
  return %y : memref<?x?x2x3xf32, strided<[?, ?, 6, 2], offset: ?>>
}

// CHECK-LABEL: func @rank0
// CHECK: memref.reinterpret_cast %{{.*}} to offset: [0], sizes: [1, 1], strides: [1, 1]
func.func @rank0(%x: memref<f32>) -> memref<1x1xf32> {
  %y = memref.expand_shape %x [] output_shape [1, 1] : memref<f32> into memref<1x1xf32>
  return %y : memref<1x1xf32>
}
