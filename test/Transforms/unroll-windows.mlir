// RUN: qopt-opt %s --quant-ste-unroll-windows --split-input-file | FileCheck %s

// Loops over the taps; inside, a product of slices.

// CHECK-DAG: #[[$X:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d4)>
// CHECK-DAG: #[[$W:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d4, d3)>
// CHECK-DAG: #[[$Y:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d3)>
// CHECK-LABEL: func @conv
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<8x9x9x16xf32>, %[[W:[a-z0-9]+]]: tensor<3x3x16x32xf32>, %[[O:[a-z0-9]+]]: tensor<8x4x4x32xf32>
// CHECK: scf.for %[[H:.*]] = %{{.*}} to %{{.*}} step %{{.*}} iter_args(%[[O1:.*]] = %[[O]])
// CHECK: scf.for %[[V:.*]] = %{{.*}} to %{{.*}} step %{{.*}} iter_args(%[[O2:.*]] = %[[O1]])
// CHECK: %[[XS:.*]] = tensor.extract_slice %[[X]][0, %[[H]], %[[V]], 0] [8, 4, 4, 16] [1, 2, 2, 1]
// CHECK: %[[WS:.*]] = tensor.extract_slice %[[W]][%[[H]], %[[V]], 0, 0] [1, 1, 16, 32] [1, 1, 1, 1] : tensor<3x3x16x32xf32> to tensor<16x32xf32>
// CHECK: %[[P:.*]] = linalg.generic {indexing_maps = [#[[$X]], #[[$W]], #[[$Y]]], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%[[XS]], %[[WS]] {{.*}} outs(%[[O2]]
// CHECK: scf.yield %[[P]]
func.func @conv(%x: tensor<8x9x9x16xf32>, %w: tensor<3x3x16x32xf32>, %o: tensor<8x4x4x32xf32>) -> tensor<8x4x4x32xf32> {
  %y = linalg.conv_2d_nhwc_hwcf {strides = dense<2> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
    ins(%x, %w : tensor<8x9x9x16xf32>, tensor<3x3x16x32xf32>) outs(%o : tensor<8x4x4x32xf32>) -> tensor<8x4x4x32xf32>
  return %y : tensor<8x4x4x32xf32>
}

// -----

// The gradient by x: its slices are updated, and are independent of each other.

// CHECK-LABEL: func @scatter
// CHECK: scf.for %[[K:.*]] = %{{.*}} to %{{.*}} step %{{.*}} iter_args(%[[O:.*]] = %{{[a-z0-9]+}})
// CHECK: %[[S:.*]] = tensor.extract_slice %[[O]][0, %[[K]], 0] [2, 4, 16] [1, 2, 1] : tensor<2x10x16xf32> to tensor<2x4x16xf32>
// CHECK: %[[P:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction", "parallel"]} {{.*}} outs(%[[S]]
// CHECK: tensor.insert_slice %[[P]] into %[[O]][0, %[[K]], 0] [2, 4, 16] [1, 2, 1]
#t = affine_map<(n, i, f, k, c) -> (n, i, f)>
#w = affine_map<(n, i, f, k, c) -> (k, c, f)>
#x = affine_map<(n, i, f, k, c) -> (n, 2 * i + k, c)>
func.func @scatter(%t: tensor<2x4x8xf32>, %w: tensor<3x16x8xf32>, %o: tensor<2x10x16xf32>) -> tensor<2x10x16xf32> {
  %y = linalg.generic {indexing_maps = [#t, #w, #x],
      iterator_types = ["parallel", "reduction", "reduction", "reduction", "parallel"]}
    ins(%t, %w : tensor<2x4x8xf32>, tensor<3x16x8xf32>) outs(%o : tensor<2x10x16xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<2x10x16xf32>
  return %y : tensor<2x10x16xf32>
}

// -----

// The taps of a pooling are not read; a strided slice of the last dimension is
// put together before vector loops run along it. An index of a tap is its number.

// CHECK-LABEL: func @pool
// CHECK: scf.for %[[K:.*]] = %{{.*}} to
// CHECK: %[[S:.*]] = tensor.extract_slice %{{.*}}[0, %[[K]]] [4, 5] [1, 2]
// CHECK: %[[C:.*]] = bufferization.alloc_tensor() copy(%[[S]]) : tensor<4x5xf32>
// CHECK: linalg.generic {{.*}} ins(%[[C]] : tensor<4x5xf32>)
// CHECK: arith.index_cast %[[K]] : index to i32
func.func @pool(%x: tensor<4x11xf32>, %taps: tensor<3xf32>, %o: tensor<4x5xf32>) -> tensor<4x5xf32> {
  %y = linalg.generic {indexing_maps = [affine_map<(n, i, k) -> (n, 2 * i + k)>,
      affine_map<(n, i, k) -> (k)>, affine_map<(n, i, k) -> (n, i)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
    ins(%x, %taps : tensor<4x11xf32>, tensor<3xf32>) outs(%o : tensor<4x5xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %k = linalg.index 2 : index
    %i = arith.index_cast %k : index to i32
    %f = arith.sitofp %i : i32 to f32
    %p = arith.mulf %a, %f : f32
    %m = arith.maximumf %c, %p : f32
    linalg.yield %m : f32
  } -> tensor<4x5xf32>
  return %y : tensor<4x5xf32>
}

// -----

// No window of this kind: left as it is.

// CHECK-LABEL: func @diagonal
// CHECK-NOT: scf.for
func.func @diagonal(%x: tensor<4x4xf32>, %o: tensor<4xf32>) -> tensor<4xf32> {
  %y = linalg.generic {indexing_maps = [affine_map<(i) -> (i, i)>, affine_map<(i) -> (i)>],
      iterator_types = ["parallel"]}
    ins(%x : tensor<4x4xf32>) outs(%o : tensor<4xf32>) {
  ^bb0(%a: f32, %c: f32):
    linalg.yield %a : f32
  } -> tensor<4xf32>
  return %y : tensor<4xf32>
}
