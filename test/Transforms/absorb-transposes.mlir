// RUN: qopt-opt %s --quant-ste-absorb-transposes --canonicalize | FileCheck %s

// CHECK-DAG: #[[$A:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[$BT:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-DAG: #[[$C:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>

// CHECK-LABEL: func @right
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<4x8xf32>, %[[W:[a-z0-9]+]]: tensor<16x8xf32>
// CHECK-NOT: linalg.transpose
// CHECK: linalg.generic {indexing_maps = [#[[$A]], #[[$BT]], #[[$C]]]
// CHECK-SAME: ins(%[[X]], %[[W]]
func.func @right(%x: tensor<4x8xf32>, %w: tensor<16x8xf32>, %c: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %e = tensor.empty() : tensor<8x16xf32>
  %t = linalg.transpose ins(%w : tensor<16x8xf32>) outs(%e : tensor<8x16xf32>) permutation = [1, 0]
  %y = linalg.matmul ins(%x, %t : tensor<4x8xf32>, tensor<8x16xf32>)
      outs(%c : tensor<4x16xf32>) -> tensor<4x16xf32>
  return %y : tensor<4x16xf32>
}

// The batch is the last dimension of the weights.
// CHECK-LABEL: func @batch
// CHECK-NOT: linalg.transpose
// CHECK: linalg.generic {indexing_maps = [{{.*}}, #[[$B:.*]], {{.*}}]
func.func @batch(%x: tensor<2x4x8xf32>, %w: tensor<16x8x2xf32>, %c: tensor<2x4x16xf32>) -> tensor<2x4x16xf32> {
  %e = tensor.empty() : tensor<2x8x16xf32>
  %t = linalg.transpose ins(%w : tensor<16x8x2xf32>) outs(%e : tensor<2x8x16xf32>) permutation = [2, 1, 0]
  %y = linalg.batch_matmul ins(%x, %t : tensor<2x4x8xf32>, tensor<2x8x16xf32>)
      outs(%c : tensor<2x4x16xf32>) -> tensor<2x4x16xf32>
  return %y : tensor<2x4x16xf32>
}

// The runtime does not sum in bf16.
// CHECK-LABEL: func @narrow
// CHECK: linalg.transpose
func.func @narrow(%x: tensor<4x8xbf16>, %w: tensor<16x8xbf16>, %c: tensor<4x16xbf16>) -> tensor<4x16xbf16> {
  %e = tensor.empty() : tensor<8x16xbf16>
  %t = linalg.transpose ins(%w : tensor<16x8xbf16>) outs(%e : tensor<8x16xbf16>) permutation = [1, 0]
  %y = linalg.matmul ins(%x, %t : tensor<4x8xbf16>, tensor<8x16xbf16>)
      outs(%c : tensor<4x16xbf16>) -> tensor<4x16xbf16>
  return %y : tensor<4x16xbf16>
}
