// RUN: qopt-opt %s --quant-ste-differentiate --split-input-file | FileCheck %s

// The layer of a network: products stay linalg.matmul, B is transposed by an op
// of its own, A by its map; a bias is summed. Sizes come from the cotangent.

// CHECK-DAG: #[[$AT:.*]] = affine_map<(d0, d1, d2) -> (d2, d0)>
// CHECK-LABEL: func private @layer_vjp
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xf32>, %[[W:.*]]: tensor<4x8xf32>, %[[B:.*]]: tensor<8xf32>, %[[E:.*]]: tensor<?x8xf32>, %[[T:.*]]: tensor<?x8xf32> {{.*}})
// CHECK: %[[Y:.*]] = linalg.matmul
// CHECK: %[[WT:.*]] = linalg.transpose ins(%[[W]] : tensor<4x8xf32>) outs(%{{.*}} : tensor<8x4xf32>) permutation = [1, 0]
// CHECK: tensor.dim %[[T]]
// CHECK: %[[DX:.*]] = linalg.matmul ins(%[[T]], %[[WT]] : tensor<?x8xf32>, tensor<8x4xf32>)
// CHECK: %[[DW:.*]] = linalg.matmul indexing_maps = [#[[$AT]], {{.*}}] ins(%[[X]], %[[T]] : tensor<?x4xf32>, tensor<?x8xf32>)
// CHECK: %[[DB:.*]] = linalg.generic {{.*}} iterator_types = ["reduction", "parallel"]} ins(%[[T]] : tensor<?x8xf32>)
// CHECK: return %[[Y]], %[[DX]], %[[DW]], %[[DB]]
func.func private @layer(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>, %b: tensor<8xf32>, %e: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %c = linalg.broadcast ins(%b : tensor<8xf32>) outs(%e : tensor<?x8xf32>) dimensions = [0]
  %y = linalg.matmul ins(%x, %w : tensor<?x4xf32>, tensor<4x8xf32>) outs(%c : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @ask(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>, %b: tensor<8xf32>, %e: tensor<?x8xf32>) -> (tensor<?x4xf32>, tensor<4x8xf32>, tensor<8xf32>) {
  %r:4 = quant_ste.vjp @layer(%x, %w, %b, %e) cotangents(%e) wrt [0, 1, 2]
    : (tensor<?x4xf32>, tensor<4x8xf32>, tensor<8xf32>, tensor<?x8xf32>), (tensor<?x8xf32>)
    -> (tensor<?x8xf32>, tensor<?x4xf32>, tensor<4x8xf32>, tensor<8xf32>)
  return %r#1, %r#2, %r#3 : tensor<?x4xf32>, tensor<4x8xf32>, tensor<8xf32>
}

// -----

// No product for a factor whose gradient nobody wants.

// CHECK-LABEL: func private @f_vjp
// CHECK-COUNT-2: linalg.matmul
// CHECK-NOT: linalg.matmul
// CHECK-NOT: linalg.transpose
// CHECK: return
func.func private @f(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>, %e: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = linalg.matmul ins(%x, %w : tensor<?x4xf32>, tensor<4x8xf32>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @ask(%x: tensor<?x4xf32>, %w: tensor<4x8xf32>, %e: tensor<?x8xf32>) -> tensor<4x8xf32> {
  %r:2 = quant_ste.vjp @f(%x, %w, %e) cotangents(%e) wrt [1]
    : (tensor<?x4xf32>, tensor<4x8xf32>, tensor<?x8xf32>), (tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<4x8xf32>)
  return %r#1 : tensor<4x8xf32>
}

// -----

// bf16 factors: the product is summed in f32 and rounded once.

// CHECK-LABEL: func private @f_vjp
// CHECK: %[[P:.*]] = linalg.matmul {{.*}} outs(%{{.*}} : tensor<4x8xf32>) -> tensor<4x8xf32>
// CHECK: arith.truncf %[[P]] : tensor<4x8xf32> to tensor<4x8xbf16>
func.func private @f(%x: tensor<?x4xbf16>, %w: tensor<4x8xbf16>, %e: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = linalg.matmul ins(%x, %w : tensor<?x4xbf16>, tensor<4x8xbf16>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @ask(%x: tensor<?x4xbf16>, %w: tensor<4x8xbf16>, %e: tensor<?x8xf32>) -> tensor<4x8xbf16> {
  %r:2 = quant_ste.vjp @f(%x, %w, %e) cotangents(%e) wrt [1]
    : (tensor<?x4xbf16>, tensor<4x8xbf16>, tensor<?x8xf32>), (tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<4x8xbf16>)
  return %r#1 : tensor<4x8xbf16>
}

// -----

// One pass over memory for x, scale and zero_point; the sums share one
// granularity, [c], and the zero point's is finished by a second, small op. What
// nothing reads is no operand; where nothing is summed, no zeros are written.

// CHECK-DAG: #[[$NC:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[$C:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func private @f_vjp
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>, %[[S:.*]]: tensor<8xf32>, %[[Z:.*]]: tensor<f32>, %{{.*}}: tensor<?x8xf32>, %[[T:.*]]: tensor<?x8xf32> {{.*}})
// CHECK: linalg.generic
// CHECK: %[[G:.*]]:3 = linalg.generic {indexing_maps = [#[[$NC]], #[[$NC]], #[[$C]], #[[$C]], #[[$C]], #[[$NC]]], iterator_types = ["reduction", "parallel"]} ins(%[[T]], %[[X]], %[[S]] : {{.*}}) outs(%{{.*}}, %{{.*}}, %[[DX:.*]] : tensor<8xf32>, tensor<8xf32>, tensor<?x8xf32>)
// CHECK-NOT: linalg.fill {{.*}}outs(%[[DX]]
// CHECK: %[[DZ:.*]] = linalg.generic {{.*}} iterator_types = ["reduction"]} ins(%[[G]]#1 : tensor<8xf32>) outs(%{{.*}} : tensor<f32>)
// CHECK: return %{{.*}}, %[[G]]#2, %[[G]]#0, %[[DZ]]
#nc = affine_map<(n, c) -> (n, c)>
#c = affine_map<(n, c) -> (c)>
#none = affine_map<(n, c) -> ()>
func.func private @f(%x: tensor<?x8xf32>, %s: tensor<8xf32>, %z: tensor<f32>, %e: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = linalg.generic {indexing_maps = [#nc, #c, #none, #nc], iterator_types = ["parallel", "parallel"]}
      ins(%x, %s, %z : tensor<?x8xf32>, tensor<8xf32>, tensor<f32>) outs(%e : tensor<?x8xf32>) {
  ^bb0(%a: f32, %b: f32, %d: f32, %o: f32):
    %q = arith.mulf %a, %b : f32
    %r = arith.addf %q, %d : f32
    linalg.yield %r : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @ask(%x: tensor<?x8xf32>, %s: tensor<8xf32>, %z: tensor<f32>, %t: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<8xf32>, tensor<f32>) {
  %r:4 = quant_ste.vjp @f(%x, %s, %z, %x) cotangents(%t) wrt [0, 1, 2]
    : (tensor<?x8xf32>, tensor<8xf32>, tensor<f32>, tensor<?x8xf32>), (tensor<?x8xf32>)
    -> (tensor<?x8xf32>, tensor<?x8xf32>, tensor<8xf32>, tensor<f32>)
  return %r#1, %r#2, %r#3 : tensor<?x8xf32>, tensor<8xf32>, tensor<f32>
}

// -----

// Granularities that do not nest have loops of their own.

// CHECK-LABEL: func private @outer_vjp
// CHECK: linalg.generic
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]}
// CHECK: linalg.generic {{.*}} iterator_types = ["reduction", "parallel"]}
// CHECK-NOT: linalg.generic
// CHECK: return
#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>
#j = affine_map<(i, j) -> (j)>
func.func private @outer(%x: tensor<4xf32>, %y: tensor<8xf32>) -> tensor<4x8xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %r = linalg.generic {indexing_maps = [#i, #j, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x, %y : tensor<4xf32>, tensor<8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %q = arith.mulf %a, %b : f32
    linalg.yield %q : f32
  } -> tensor<4x8xf32>
  return %r : tensor<4x8xf32>
}
func.func @ask(%x: tensor<4xf32>, %y: tensor<8xf32>, %t: tensor<4x8xf32>) -> (tensor<4xf32>, tensor<8xf32>) {
  %r:3 = quant_ste.vjp @outer(%x, %y) cotangents(%t) wrt [0, 1]
    : (tensor<4xf32>, tensor<8xf32>), (tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4xf32>, tensor<8xf32>)
  return %r#1, %r#2 : tensor<4xf32>, tensor<8xf32>
}

// -----

// A gradient that is the cotangent itself needs no op.

// CHECK-LABEL: func private @add_vjp
// CHECK-SAME: %[[T:[^ ]*]]: tensor<?xf32> {quant_ste.cotangent})
// CHECK: %[[Y:.*]] = linalg.add
// CHECK-NEXT: return %[[Y]], %[[T]], %[[T]]
func.func private @add(%x: tensor<?xf32>, %y: tensor<?xf32>, %e: tensor<?xf32>) -> tensor<?xf32> {
  %r = linalg.add ins(%x, %y : tensor<?xf32>, tensor<?xf32>) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  return %r : tensor<?xf32>
}
func.func @ask(%x: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %r:3 = quant_ste.vjp @add(%x, %x, %x) cotangents(%x) wrt [0, 1]
    : (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>)
  return %r#1, %r#2 : tensor<?xf32>, tensor<?xf32>
}

// -----

// A maximum: the cotangent is shared by the elements equal to the result.

// CHECK-LABEL: func private @max_vjp
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>, %{{.*}}: tensor<?xf32>, %[[T:.*]]: tensor<?xf32> {{.*}})
// CHECK: %[[Y:.*]] = linalg.reduce
// CHECK: %[[N:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[Y]] :
// CHECK:   %[[HIT:.*]] = arith.cmpf oeq
// CHECK:   %[[ONE:.*]] = arith.uitofp %[[HIT]] : i1 to f32
// CHECK:   arith.addf %{{.*}}, %[[ONE]]
// CHECK: %[[SHARE:.*]] = arith.divf %[[T]], %[[N]]
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]} ins(%[[SHARE]], %[[X]], %[[Y]] :
// CHECK:   arith.cmpf oeq
// CHECK:   arith.select
func.func private @max(%x: tensor<?x8xf32>, %e: tensor<?xf32>) -> tensor<?xf32> {
  %y = linalg.reduce { arith.maximumf } ins(%x : tensor<?x8xf32>) outs(%e : tensor<?xf32>) dimensions = [1]
  return %y : tensor<?xf32>
}
func.func @ask(%x: tensor<?x8xf32>, %e: tensor<?xf32>) -> tensor<?x8xf32> {
  %r:2 = quant_ste.vjp @max(%x, %e) cotangents(%e) wrt [0]
    : (tensor<?x8xf32>, tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?x8xf32>)
  return %r#1 : tensor<?x8xf32>
}

// -----

// A quantizer in a body keeps its rule, as a pullback on scalars.

// CHECK-LABEL: func private @f_vjp
// CHECK: linalg.generic
// CHECK: linalg.generic
// CHECK:   quant_ste.pullback(%{{.*}}) at(%{{.*}}) wrt [0]
// CHECK:   } : (f32), (f32) -> (f32)
#id = affine_map<(i) -> (i)>
func.func private @f(%x: tensor<?xf32>, %e: tensor<?xf32>) -> tensor<?xf32> {
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = quant_ste.scalar_clamp %a min(-1.0) max(1.0) grad(ste) : f32
    linalg.yield %q : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}
func.func @ask(%x: tensor<?xf32>) -> tensor<?xf32> {
  %r:2 = quant_ste.vjp @f(%x, %x) cotangents(%x) wrt [0]
    : (tensor<?xf32>, tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %r#1 : tensor<?xf32>
}

// -----

// A softmax reads its result alone, whichever mode: y * (t - sum(t * y)).

// CHECK-LABEL: func private @softmax_vjp
// CHECK-SAME: (%[[X:.*]]: tensor<?x8xf32>, %[[E:.*]]: tensor<?x8xf32>, %[[T:.*]]: tensor<?x8xf32> {{.*}})
// CHECK: %[[Y:.*]] = linalg.softmax dimension(1)
// CHECK: %[[SUM:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%[[T]], %[[Y]] : {{.*}}) outs(%{{.*}} : tensor<?xf32>)
// CHECK: %[[DX:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]} ins(%[[T]], %[[Y]], %[[SUM]] :
// CHECK: %[[D:.*]] = arith.subf
// CHECK-NEXT: arith.mulf %{{.*}}, %[[D]]
// CHECK: return %[[Y]], %[[DX]]
func.func private @softmax(%x: tensor<?x8xf32>, %e: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = linalg.softmax dimension(1) ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
func.func @ask_softmax(%x: tensor<?x8xf32>, %e: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %r:2 = quant_ste.vjp @softmax(%x, %e) cotangents(%e) wrt [0]
    : (tensor<?x8xf32>, tensor<?x8xf32>), (tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  return %r#1 : tensor<?x8xf32>
}
