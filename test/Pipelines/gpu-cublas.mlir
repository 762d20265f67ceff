// Products of matrices as calls of cuBLAS; everything else stays a kernel.

// RUN: qopt-opt %s --quant-ste-gpu-pipeline="chip=sm_90 matmul=cublas stop-after=kernels" | FileCheck %s
// RUN: qopt-opt %s --quant-ste-gpu-pipeline="chip=sm_90 stop-after=kernels" | FileCheck %s --check-prefix=INLINE
// INLINE-NOT: quant_ste_cuda_matmul

// CHECK-LABEL: func.func @transposed(
// CHECK-NOT: gpu.launch_func
// CHECK: call @quant_ste_cuda_matmul(
func.func @transposed(%a: tensor<?x64xf32>, %b: tensor<?x64xf32>,
    %c: tensor<?x?xf32> {bufferization.writable = true}) -> tensor<?x?xf32> {
  %0 = linalg.generic {
      indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>,
                       affine_map<(m, n, k) -> (m, n)>],
      iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<?x64xf32>, tensor<?x64xf32>) outs(%c : tensor<?x?xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %z, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// Factors of two types are widened; sums in f16 have no call.
// CHECK-LABEL: func.func @two_types(
// CHECK: call @quant_ste_cuda_matmul(
// CHECK-NOT: call @quant_ste_cuda_matmul
func.func @two_types(%a: tensor<64x64xf16>, %b: tensor<64x64xf32>,
    %c: tensor<64x64xf32> {bufferization.writable = true},
    %d: tensor<64x64xf16> {bufferization.writable = true})
    -> (tensor<64x64xf32>, tensor<64x64xf16>) {
  %0 = linalg.matmul ins(%a, %b : tensor<64x64xf16>, tensor<64x64xf32>)
    outs(%c : tensor<64x64xf32>) -> tensor<64x64xf32>
  %1 = linalg.matmul ins(%a, %a : tensor<64x64xf16>, tensor<64x64xf16>)
    outs(%d : tensor<64x64xf16>) -> tensor<64x64xf16>
  return %0, %1 : tensor<64x64xf32>, tensor<64x64xf16>
}
