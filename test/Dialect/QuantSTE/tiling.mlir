// RUN: qopt-opt %s --split-input-file --transform-interpreter --canonicalize --cse | FileCheck %s

// Upstream's transform ops tile a quantizer: parameters per channel are sliced
// along their axes, those of the whole tensor are not.

// CHECK-LABEL: func @per_channel(
// CHECK-SAME: %[[X:.*]]: tensor<128x?xf32>, %[[S:.*]]: tensor<128xf32>, %[[Z:.*]]: tensor<f32>, %[[B:.*]]: tensor<f32>)
// CHECK: %[[N:.*]] = tensor.dim %[[X]], %{{.*}}
// CHECK: tensor.empty(%[[N]]) : tensor<128x?xf32>
// CHECK: scf.for %[[I:.*]] = %{{.*}} to %{{.*}} step %c32
// CHECK: scf.for %[[J:.*]] = %{{.*}} to %[[N]] step %c64
// CHECK: %[[SIZE:.*]] = affine.min
// CHECK: %[[XT:.*]] = tensor.extract_slice %[[X]][%[[I]], %[[J]]] [32, %[[SIZE]]] [1, 1]
// CHECK: %[[ST:.*]] = tensor.extract_slice %[[S]][%[[I]]] [32] [1]
// CHECK: %[[Y:.*]] = quant_ste.int_quant %[[XT]], %[[ST]] axes([0]), %[[Z]], %[[B]] signed {{.*}}: tensor<32x?xf32>, tensor<32xf32>, tensor<f32>, tensor<f32>
// CHECK: tensor.insert_slice %[[Y]] into %{{.*}}[%[[I]], %[[J]]] [32, %[[SIZE]]] [1, 1]
func.func @per_channel(%x: tensor<128x?xf32>, %s: tensor<128xf32>,
                       %z: tensor<f32>, %b: tensor<f32>) -> tensor<128x?xf32> {
  %y = quant_ste.int_quant %x, %s axes([0]), %z, %b signed grad(clipped)
    : tensor<128x?xf32>, tensor<128xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<128x?xf32>
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%m: !transform.any_op {transform.readonly}) {
    %q = transform.structured.match ops{["quant_ste.int_quant"]} in %m : (!transform.any_op) -> !transform.any_op
    %t, %loops:2 = transform.structured.tile_using_for %q tile_sizes [32, 64]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op)
    transform.yield
  }
}

// -----

// A quantizer is fused, as a producer, into the loop of the product it feeds.

// CHECK-LABEL: func @producer(
// CHECK: scf.forall (%[[I:.*]]) in (4)
// CHECK: %[[W:.*]] = quant_ste.pact %{{.*}}, %{{.*}} bits(4) grad(pact) : tensor<16x32xf32>, tensor<f32>
// CHECK: linalg.matmul ins(%[[W]],
// CHECK: scf.forall.in_parallel
func.func @producer(%x: tensor<64x32xf32>, %a: tensor<f32>, %w: tensor<32x8xf32>,
                    %out: tensor<64x8xf32>) -> tensor<64x8xf32> {
  %q = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<64x32xf32>, tensor<f32>
  %y = linalg.matmul ins(%q, %w : tensor<64x32xf32>, tensor<32x8xf32>)
    outs(%out : tensor<64x8xf32>) -> tensor<64x8xf32>
  return %y : tensor<64x8xf32>
}

module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%m: !transform.any_op {transform.readonly}) {
    %p = transform.structured.match ops{["linalg.matmul"]} in %m : (!transform.any_op) -> !transform.any_op
    %q = transform.structured.match ops{["quant_ste.pact"]} in %m : (!transform.any_op) -> !transform.any_op
    %t, %loop = transform.structured.tile_using_forall %p tile_sizes [16]
      : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.structured.fuse_into_containing_op %q into %loop
      : (!transform.any_op, !transform.any_op) -> (!transform.any_op, !transform.any_op)
    transform.yield
  }
}
