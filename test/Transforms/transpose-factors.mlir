// RUN: qopt-opt %s --quant-ste-transpose-factors | FileCheck %s

#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#bt = affine_map<(m, n, k) -> (n, k)>
#c = affine_map<(m, n, k) -> (m, n)>

// CHECK-DAG: #[[$A:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[$B:.*]] = affine_map<(d0, d1, d2) -> (d2, d1)>
// CHECK-DAG: #[[$C:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>

// Weights [out, in]: x * W^T.
// CHECK-LABEL: func @weights
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<?x8xf32>, %[[W:[a-z0-9]+]]: tensor<16x8xf32>
// CHECK: %[[E:.*]] = tensor.empty() : tensor<8x16xf32>
// CHECK: %[[T:.*]] = linalg.transpose ins(%[[W]] {{.*}} outs(%[[E]] {{.*}} permutation = [1, 0]
// CHECK: linalg.generic {indexing_maps = [#[[$A]], #[[$B]], #[[$C]]]
// CHECK-SAME: ins(%[[X]], %[[T]]
func.func @weights(%x: tensor<?x8xf32>, %w: tensor<16x8xf32>, %c: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %y = linalg.matmul indexing_maps = [#a, #bt, #c]
      ins(%x, %w : tensor<?x8xf32>, tensor<16x8xf32>)
      outs(%c : tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// CHECK-LABEL: func @already
// CHECK-NOT: linalg.transpose
// CHECK: linalg.matmul
func.func @already(%x: tensor<?x8xf32>, %w: tensor<8x16xf32>, %c: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %y = linalg.matmul ins(%x, %w : tensor<?x8xf32>, tensor<8x16xf32>)
      outs(%c : tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// The matrix is read once: transposing it would cost as much as the product.
// CHECK-LABEL: func @once
// CHECK-NOT: linalg.transpose
// CHECK: linalg.matvec
func.func @once(%w: tensor<16x8xf32>, %x: tensor<8xf32>, %c: tensor<16xf32>) -> tensor<16xf32> {
  %y = linalg.matvec ins(%w, %x : tensor<16x8xf32>, tensor<8xf32>)
      outs(%c : tensor<16xf32>) -> tensor<16xf32>
  return %y : tensor<16xf32>
}
