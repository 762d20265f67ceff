// RUN: qopt-opt %s --quant-ste-cpu-pipeline=stop-after=vectorize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-cpu-pipeline=stop-after=fuse | FileCheck %s --check-prefix=FUSE

// A training loop with a static batch works in place: each buffer is allocated
// once, before the loop, and nothing is copied in it.
// CHECK-LABEL: func.func @train
// CHECK: memref.alloc
// CHECK: scf.for %{{.*}} = %c0 to %{{.*}} step %c1 {
// CHECK-NOT: memref.alloc
// CHECK-NOT: memref.copy
// CHECK-NOT: memref.dealloc
// CHECK-NOT: linalg
// CHECK: {{^    }}}
// CHECK: return

// The quantizer's dw and dscale come from one op.
// FUSE-LABEL: func.func @train
// FUSE: scf.for
// FUSE: linalg.generic {{.*}}"parallel", "parallel"
// FUSE: linalg.matmul
// FUSE: linalg.generic {{.*}}"reduction", "parallel"{{.*}} outs({{.*}} : tensor<8x4xf32>, tensor<4xf32>)
#a = affine_map<(i, j) -> (i, j)>
#id = affine_map<(i) -> (i)>
#all = affine_map<(i, j) -> ()>
func.func private @loss(%x: tensor<16x8xf32>, %t: tensor<16x4xf32>, %w: tensor<8x4xf32>, %s: tensor<4xf32>) -> tensor<f32> {
  %zero = arith.constant 0.0 : f32
  %z = arith.constant dense<0.0> : tensor<f32>
  %bits = arith.constant dense<4.0> : tensor<f32>
  %q = quant_ste.int_quant %w, %s axes([1]), %z, %bits signed narrow_range
    rounding(round) grad(clipped)
    : tensor<8x4xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>
  %e = tensor.empty() : tensor<16x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<16x4xf32>) -> tensor<16x4xf32>
  %y = linalg.matmul ins(%x, %q : tensor<16x8xf32>, tensor<8x4xf32>)
    outs(%f : tensor<16x4xf32>) -> tensor<16x4xf32>
  %e0 = tensor.empty() : tensor<f32>
  %f0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %l = linalg.generic {indexing_maps = [#a, #a, #all], iterator_types = ["reduction", "reduction"]}
      ins(%y, %t : tensor<16x4xf32>, tensor<16x4xf32>) outs(%f0 : tensor<f32>) {
  ^bb0(%p: f32, %q0: f32, %acc: f32):
    %d = arith.subf %p, %q0 : f32
    %d2 = arith.mulf %d, %d : f32
    %r = arith.addf %acc, %d2 : f32
    linalg.yield %r : f32
  } -> tensor<f32>
  return %l : tensor<f32>
}
func.func @train(%x: tensor<16x8xf32>, %t: tensor<16x4xf32>, %w: tensor<8x4xf32>, %s: tensor<4xf32>, %steps: index)
    -> (f32, tensor<8x4xf32>, tensor<4xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %rate = arith.constant 0.01 : f32
  %r:3 = scf.for %i = %c0 to %steps step %c1 iter_args(%sum = %zero, %wi = %w, %si = %s)
      -> (f32, tensor<8x4xf32>, tensor<4xf32>) {
    %l, %dw, %ds = quant_ste.value_and_grad @loss(%x, %t, %wi, %si) wrt [2, 3]
      : (tensor<16x8xf32>, tensor<16x4xf32>, tensor<8x4xf32>, tensor<4xf32>)
      -> (tensor<f32>, tensor<8x4xf32>, tensor<4xf32>)
    %w1 = linalg.generic {indexing_maps = [#a, #a], iterator_types = ["parallel", "parallel"]}
        ins(%dw : tensor<8x4xf32>) outs(%wi : tensor<8x4xf32>) {
    ^bb0(%g: f32, %p: f32):
      %0 = arith.mulf %g, %rate : f32
      %1 = arith.subf %p, %0 : f32
      linalg.yield %1 : f32
    } -> tensor<8x4xf32>
    %s1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
        ins(%ds : tensor<4xf32>) outs(%si : tensor<4xf32>) {
    ^bb0(%g: f32, %p: f32):
      %0 = arith.mulf %g, %rate : f32
      %1 = arith.subf %p, %0 : f32
      linalg.yield %1 : f32
    } -> tensor<4xf32>
    %v = tensor.extract %l[] : tensor<f32>
    %next = arith.addf %sum, %v : f32
    scf.yield %next, %w1, %s1 : f32, tensor<8x4xf32>, tensor<4xf32>
  }
  return %r#0, %r#1, %r#2 : f32, tensor<8x4xf32>, tensor<4xf32>
}
