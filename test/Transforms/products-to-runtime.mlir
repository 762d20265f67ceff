// RUN: qopt-opt %s --quant-ste-products-to-runtime --canonicalize --split-input-file --verify-diagnostics | FileCheck %s
// RUN: qopt-opt %s --quant-ste-products-to-runtime="library parallel=false" --canonicalize --split-input-file --verify-diagnostics | FileCheck %s --check-prefix=LIBRARY

// CHECK-LABEL: func private @quant_ste_matmul(!llvm.ptr, !llvm.ptr)

// The address of a view begins at its offset; its strides may be anything.
// CHECK-LABEL: func @view
// CHECK-SAME: %[[A:.*]]: memref<64x32xf32, strided<[?, 1], offset: ?>>
// CHECK-DAG: %[[C4:.*]] = arith.constant 4 : index
// CHECK-DAG: %[[LOOPS:.*]] = memref.alloca() : memref<12xi64>
// CHECK: {{.*}}, %[[OFFSET:.*]], {{.*}}, %[[STRIDES:.*]]:2 = memref.extract_strided_metadata %[[A]]
// CHECK: %[[BYTES:.*]] = arith.muli %[[OFFSET]], %[[C4]]
// CHECK: %[[BASE:.*]] = memref.extract_aligned_pointer_as_index %[[A]]
// CHECK: %[[AT:.*]] = arith.addi %[[BASE]], %[[BYTES]]
// CHECK: arith.index_cast %[[AT]] : index to i64
// CHECK: arith.index_cast %[[STRIDES]]#0 : index to i64
// CHECK: call @quant_ste_matmul
// CHECK-NOT: linalg.matmul

// One thread, and a library may do it: the last two words.
// LIBRARY-LABEL: func @view
// LIBRARY: memref.alloca() : memref<12xi64>
// LIBRARY: %[[ARGS:.*]] = memref.alloca() : memref<12xi64>
// LIBRARY: memref.store %c1_i64, %[[ARGS]][%c10]
// LIBRARY: memref.store %c1_i64, %[[ARGS]][%c11]
func.func @view(%a: memref<64x32xf32, strided<[?, 1], offset: ?>>, %b: memref<32x16xf32>, %c: memref<64x16xf32>) {
  linalg.matmul ins(%a, %b : memref<64x32xf32, strided<[?, 1], offset: ?>>, memref<32x16xf32>) outs(%c : memref<64x16xf32>)
  return
}

// The words are in the frame, not in the loop.
// CHECK-LABEL: func @loop
// CHECK: memref.alloca
// CHECK: memref.alloca
// CHECK: scf.for
// CHECK-NOT: memref.alloca
// CHECK: call @quant_ste_matmul
func.func @loop(%n: index, %a: memref<?x?xf64>, %b: memref<?x?xf64>, %c: memref<?x?xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    linalg.matmul ins(%a, %b : memref<?x?xf64>, memref<?x?xf64>) outs(%c : memref<?x?xf64>)
  }
  return
}

// Seven loops, and factors of another type.
// CHECK-LABEL: func @convolution
// CHECK: memref.alloca() : memref<28xi64>
// CHECK: call @quant_ste_matmul
func.func @convolution(%x: memref<2x9x9x3xbf16>, %w: memref<3x3x3x8xbf16>, %y: memref<2x4x4x8xf32>) {
  linalg.conv_2d_nhwc_hwcf {strides = dense<2> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}
    ins(%x, %w : memref<2x9x9x3xbf16>, memref<3x3x3x8xbf16>) outs(%y : memref<2x4x4x8xf32>)
  return
}

// CHECK-LABEL: func @few
// CHECK: linalg.matmul
func.func @few(%a: memref<4x4xf32>, %b: memref<4x4xf32>, %c: memref<4x4xf32>) {
  linalg.matmul ins(%a, %b : memref<4x4xf32>, memref<4x4xf32>) outs(%c : memref<4x4xf32>)
  return
}

// CHECK-LABEL: func @vector
// CHECK: linalg.matvec
func.func @vector(%a: memref<?x?xf32>, %b: memref<?xf32>, %c: memref<?xf32>) {
  linalg.matvec ins(%a, %b : memref<?x?xf32>, memref<?xf32>) outs(%c : memref<?xf32>)
  return
}

// CHECK-LABEL: func @narrow_sum
// CHECK: linalg.matmul
func.func @narrow_sum(%a: memref<?x?xbf16>, %b: memref<?x?xbf16>, %c: memref<?x?xbf16>) {
  linalg.matmul ins(%a, %b : memref<?x?xbf16>, memref<?x?xbf16>) outs(%c : memref<?x?xbf16>)
  return
}

// CHECK-LABEL: func @other_body
// CHECK: linalg.generic
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @other_body(%a: memref<?x?xf32>, %b: memref<?x?xf32>, %c: memref<?x?xf32>) {
  linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]}
    ins(%a, %b : memref<?x?xf32>, memref<?x?xf32>) outs(%c : memref<?x?xf32>) {
  ^bb0(%x: f32, %y: f32, %s: f32):
    %p = arith.mulf %x, %y : f32
    %r = arith.maximumf %s, %p : f32
    linalg.yield %r : f32
  }
  return
}

// -----

// expected-error @below {{expected no symbol of this name, which is that of a function of the runtime}}
func.func private @quant_ste_matmul(f32)

func.func @taken(%a: memref<?x?xf32>, %b: memref<?x?xf32>, %c: memref<?x?xf32>) {
  linalg.matmul ins(%a, %b : memref<?x?xf32>, memref<?x?xf32>) outs(%c : memref<?x?xf32>)
  return
}
