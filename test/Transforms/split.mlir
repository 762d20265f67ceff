// RUN: qopt-opt %s --split-input-file --quant-ste-split --canonicalize --cse | FileCheck %s
// RUN: qopt-opt %s --split-input-file --quant-ste-split=keep-arguments=false --canonicalize --cse | FileCheck %s --check-prefix=MASK

// The backward of a clipping activation between two products. Two masks, packed,
// are narrower than the value in front of it; the factors of a product are
// alive, as arguments, and not given again. Constants and empty tensors are made
// again, and what only the backward needs (the transposed weight) is computed
// there.

// CHECK-LABEL: func @f_fwd(
// CHECK-SAME: %[[X:.*]]: tensor<?x4xf32>, %[[W:.*]]: tensor<4x8xf32>, %[[A:.*]]: tensor<f32>)
// CHECK-SAME: -> (tensor<?x8xf32>, tensor<?x1xi8> {quant_ste.residual}, tensor<?x1xi8> {quant_ste.residual})
// CHECK: %[[M:.*]] = linalg.matmul ins(%[[X]], %[[W]] :
// CHECK: linalg.generic {{.*}} ins(%[[M]], %[[A]] : {{.*}} outs({{.*}} : tensor<?x8xi1>)
// CHECK: quant_ste.pack_bits %{{.*}} : tensor<?x8xi1> -> tensor<?x1xi8>
// CHECK-NOT: linalg.transpose
// CHECK: return

// CHECK-LABEL: func @f_bwd(
// CHECK-SAME: tensor<4x8xf32> {quant_ste.argument = 1 : i64}
// CHECK-SAME: %[[T:[^:]*]]: tensor<?x8xf32> {quant_ste.cotangent})
// CHECK-SAME: -> (tensor<?x4xf32>, tensor<f32>)
// CHECK-COUNT-2: quant_ste.unpack_bits
// CHECK-NOT: arith.cmpf
// CHECK: %[[G:.*]]:2 = linalg.generic
// CHECK:   arith.select
// CHECK:   arith.select
// CHECK: linalg.transpose
// CHECK: linalg.matmul ins(%[[G]]#0
// CHECK: return

// CHECK-NOT: @f_vjp

// MASK-LABEL: func @f_fwd(
// MASK-SAME: tensor<?x1xi8> {quant_ste.residual}

#ij = affine_map<(i, j) -> (i, j)>
#none = affine_map<(i, j) -> ()>
func.func @f_vjp(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>, %a: tensor<f32>, %t: tensor<?x8xf32> {quant_ste.cotangent})
    -> (tensor<?x8xf32>, tensor<?x4xf32>, tensor<f32>) attributes {quant_ste.num_primal_results = 1 : i64} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %n = tensor.dim %x, %c0 : tensor<?x4xf32>
  %e = tensor.empty(%n) : tensor<?x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  %m = linalg.matmul ins(%x, %w : tensor<?x4xf32>, tensor<4x8xf32>) outs(%z : tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = linalg.generic {indexing_maps = [#ij, #none, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%m, %a : tensor<?x8xf32>, tensor<f32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%v: f32, %alpha: f32, %o: f32):
    %low = arith.maximumf %v, %zero : f32
    %high = arith.minimumf %low, %alpha : f32
    linalg.yield %high : f32
  } -> tensor<?x8xf32>
  %nt = tensor.dim %t, %c0 : tensor<?x8xf32>
  %et = tensor.empty(%nt) : tensor<?x8xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%zero : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %g:2 = linalg.generic {indexing_maps = [#ij, #ij, #none, #ij, #none], iterator_types = ["reduction", "reduction"]}
      ins(%t, %m, %a : tensor<?x8xf32>, tensor<?x8xf32>, tensor<f32>) outs(%et, %z0 : tensor<?x8xf32>, tensor<f32>) {
  ^bb0(%dy: f32, %v: f32, %alpha: f32, %o: f32, %s: f32):
    %below = arith.cmpf olt, %v, %zero : f32
    %above = arith.cmpf ogt, %v, %alpha : f32
    %clipped = arith.ori %below, %above : i1
    %dx = arith.select %clipped, %zero, %dy : f32
    %top = arith.cmpf oge, %v, %alpha : f32
    %da = arith.select %top, %dy, %zero : f32
    %sum = arith.addf %s, %da : f32
    linalg.yield %dx, %sum : f32, f32
  } -> (tensor<?x8xf32>, tensor<f32>)
  %ewt = tensor.empty() : tensor<8x4xf32>
  %wt = linalg.transpose ins(%w : tensor<4x8xf32>) outs(%ewt : tensor<8x4xf32>) permutation = [1, 0]
  %ex = tensor.empty(%nt) : tensor<?x4xf32>
  %zx = linalg.fill ins(%zero : f32) outs(%ex : tensor<?x4xf32>) -> tensor<?x4xf32>
  %dx = linalg.matmul ins(%g#0, %wt : tensor<?x8xf32>, tensor<8x4xf32>) outs(%zx : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y, %dx, %g#1 : tensor<?x8xf32>, tensor<?x4xf32>, tensor<f32>
}

// -----

// A value that the caller keeps costs nothing; else a mask is saved for it. The
// same value is an argument of @step_vjp and a result.

// CHECK-LABEL: func @step_fwd(
// CHECK-SAME: -> tensor<?xf32> {
// CHECK-LABEL: func @step_bwd(
// CHECK-SAME: tensor<?xf32> {quant_ste.result = 0 : i64}
// CHECK: arith.cmpf

// MASK-LABEL: func @step_bwd(
// MASK-SAME: tensor<?xf32> {quant_ste.result = 0 : i64}
#id = affine_map<(i) -> (i)>
func.func @step_vjp(%x: tensor<?xf32>, %t: tensor<?xf32> {quant_ste.cotangent})
    -> (tensor<?xf32>, tensor<?xf32>) attributes {quant_ste.num_primal_results = 1 : i64} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %n = tensor.dim %t, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  %dx = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%t, %x : tensor<?xf32>, tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%dy: f32, %v: f32, %o: f32):
    %below = arith.cmpf olt, %v, %zero : f32
    %d = arith.select %below, %zero, %dy : f32
    linalg.yield %d : f32
  } -> tensor<?xf32>
  return %x, %dx : tensor<?xf32>, tensor<?xf32>
}
