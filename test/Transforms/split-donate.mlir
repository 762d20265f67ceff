// RUN: qopt-opt %s --quant-ste-split=donate-residuals | FileCheck %s
// RUN: qopt-opt %s --quant-ste-split=donate-residuals --quant-ste-cpu-pipeline=stop-after=bufferize \
// RUN:   | FileCheck %s --check-prefix=BUFFERS
// RUN: qopt-opt %s --quant-ste-split --quant-ste-cpu-pipeline=stop-after=bufferize \
// RUN:   | FileCheck %s --check-prefix=KEPT

#id = affine_map<(i, j) -> (i, j)>

// CHECK: func.func @f_fwd(
// CHECK-SAME: -> (tensor<8x8xf32>, tensor<8x8xf32> {quant_ste.residual})
// CHECK: func.func @f_bwd(
// CHECK-SAME: tensor<8x8xf32> {bufferization.writable = true, quant_ste.donated, quant_ste.residual}
// CHECK-SAME: tensor<8x8xf32> {quant_ste.argument = 1 : i64}, %{{.*}}: tensor<8x8xf32> {quant_ste.cotangent}

// The gradient of the product is in the memory of the residual; only what is
// returned is allocated.
// BUFFERS: func.func @f_bwd(%[[R:[^:]*]]: memref<8x8xf32> {quant_ste.donated
// BUFFERS: %[[DX:.*]] = memref.alloc
// BUFFERS-NOT: memref.alloc
// BUFFERS: linalg.generic {{.*}} ins(%[[R]], {{.*}}) outs(%[[R]] :
// BUFFERS-NOT: memref.alloc
// BUFFERS: return %[[DX]]

// Nobody writes to a residual that is not donated.
// KEPT: func.func @f_bwd(%[[R:[^:]*]]: memref<8x8xf32> {quant_ste.residual
// KEPT: linalg.generic {{.*}} ins(%[[R]], {{.*}}) outs(%[[A:[^:]*]] :
// KEPT: memref.dealloc %[[A]]
func.func @f_vjp(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %dy: tensor<8x8xf32> {quant_ste.cotangent})
    -> (tensor<8x8xf32>, tensor<8x8xf32>) attributes {quant_ste.num_primal_results = 1 : i64} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x8xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<8x8xf32>) -> tensor<8x8xf32>
  %m = linalg.matmul ins(%x, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%z : tensor<8x8xf32>) -> tensor<8x8xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%m : tensor<8x8xf32>) outs(%e : tensor<8x8xf32>) {
  ^bb0(%v: f32, %o: f32):
    %s = math.sin %v : f32
    linalg.yield %s : f32
  } -> tensor<8x8xf32>
  %dm = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%m, %dy : tensor<8x8xf32>, tensor<8x8xf32>) outs(%e : tensor<8x8xf32>) {
  ^bb0(%v: f32, %t: f32, %o: f32):
    %s = math.cos %v : f32
    %d = arith.mulf %t, %s : f32
    linalg.yield %d : f32
  } -> tensor<8x8xf32>
  %dx = linalg.matmul indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (j, k)>, affine_map<(i, j, k) -> (i, j)>]
      ins(%dm, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%z : tensor<8x8xf32>) -> tensor<8x8xf32>
  return %y, %dx : tensor<8x8xf32>, tensor<8x8xf32>
}
