// What computes each product and, where the runtime does not, why.

// RUN: qopt-opt %s --quant-ste-products-to-runtime --remarks-filter=".*" -o /dev/null 2>&1 | FileCheck %s
// RUN: qopt-opt %s --quant-ste-products-to-runtime=library --remarks-filter=".*" -o /dev/null 2>&1 | FileCheck %s --check-prefix=LIBRARY

// CHECK-DAG: remark: {{.*}}Function=f | Remark="'linalg.matvec' stays in the code: it is no product of two matrices
// CHECK-DAG: remark: {{.*}}"'linalg.matmul' stays in the code: it has fewer than 2048 multiplications
// CHECK-DAG: remark: {{.*}}"'linalg.matmul' stays in the code: it sums in less than f32
// CHECK-DAG: remark: {{.*}}Function=f | Remark="'linalg.matmul' by the runtime's kernel
// CHECK-DAG: remark: {{.*}}"'linalg.conv_2d_nchw_fchw' by the runtime's kernel

// LIBRARY-DAG: 'linalg.conv_2d_nchw_fchw' by {{OpenBLAS|oneDNN|the runtime's kernel: no library was found when this was built}}
// LIBRARY-DAG: 'linalg.generic' by the runtime's kernel: {{OpenBLAS does not widen factors|oneDNN does not widen factors|no library was found when this was built}}
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @f(%x: memref<16x16xf32>, %y: memref<16x16xf32>, %z: memref<16x16xf32>,
    %t: memref<64x64xf32>, %u: memref<64xf32>, %v: memref<64xf32>, %s: memref<4x4xf32>,
    %h: memref<16x16xbf16>,
    %image: memref<2x8x12x12xf32>, %w: memref<9x8x3x3xf32>, %o: memref<2x9x10x10xf32>) {
  linalg.matmul ins(%x, %y : memref<16x16xf32>, memref<16x16xf32>) outs(%z : memref<16x16xf32>)
  linalg.matvec ins(%t, %u : memref<64x64xf32>, memref<64xf32>) outs(%v : memref<64xf32>)
  linalg.matmul ins(%s, %s : memref<4x4xf32>, memref<4x4xf32>) outs(%s : memref<4x4xf32>)
  linalg.matmul ins(%h, %h : memref<16x16xbf16>, memref<16x16xbf16>) outs(%h : memref<16x16xbf16>)
  linalg.conv_2d_nchw_fchw ins(%image, %w : memref<2x8x12x12xf32>, memref<9x8x3x3xf32>)
    outs(%o : memref<2x9x10x10xf32>)
  linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%h, %h : memref<16x16xbf16>, memref<16x16xbf16>) outs(%z : memref<16x16xf32>) {
  ^bb0(%l: bf16, %r: bf16, %acc: f32):
    %0 = arith.extf %l : bf16 to f32
    %1 = arith.extf %r : bf16 to f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.addf %acc, %2 : f32
    linalg.yield %3 : f32
  }
  return
}
