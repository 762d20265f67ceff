// RUN: qopt-opt %s --quant-ste-own-results | FileCheck %s

// CHECK-LABEL: func @twice
// CHECK: %[[A:.*]] = memref.alloc
// CHECK: %[[V:.*]] = memref.expand_shape %[[A]]
// CHECK: %[[B:.*]] = bufferization.clone %[[A]]
// CHECK: %[[C:.*]] = bufferization.clone %[[V]]
// CHECK: return %[[A]], %[[B]], %[[C]]
func.func @twice() -> (memref<4xf32>, memref<4xf32>, memref<2x2xf32>) {
  %a = memref.alloc() : memref<4xf32>
  %v = memref.expand_shape %a [[0, 1]] output_shape [2, 2]
    : memref<4xf32> into memref<2x2xf32>
  return %a, %a, %v : memref<4xf32>, memref<4xf32>, memref<2x2xf32>
}

// It depends on %c whether these are one buffer.
// CHECK-LABEL: func @perhaps
// CHECK: %[[S:.*]] = arith.select
// CHECK: %[[O:.*]] = bufferization.clone %[[S]]
// CHECK: return %{{.*}}, %[[O]]
func.func @perhaps(%c: i1) -> (memref<4xf32>, memref<4xf32>) {
  %a = memref.alloc() : memref<4xf32>
  %b = memref.alloc() : memref<4xf32>
  %s = arith.select %c, %a, %b : memref<4xf32>
  return %a, %s : memref<4xf32>, memref<4xf32>
}

// CHECK-LABEL: func @distinct
// CHECK-NOT: bufferization.clone
func.func @distinct() -> (memref<4xf32>, memref<4xf32>, f32, f32) {
  %a = memref.alloc() : memref<4xf32>
  %b = memref.alloc() : memref<4xf32>
  %x = arith.constant 1.0 : f32
  return %a, %b, %x, %x : memref<4xf32>, memref<4xf32>, f32, f32
}
