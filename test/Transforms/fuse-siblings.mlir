// RUN: qopt-opt %s --quant-ste-fuse-siblings --split-input-file | FileCheck %s
// RUN: qopt-opt %s --quant-ste-fuse-siblings=max-ops=2 --split-input-file | FileCheck %s --check-prefix=CAP

#id = affine_map<(d0) -> (d0)>
#all = affine_map<(d0) -> ()>

// Forward, dx and a parameter's gradient: one pass over x.
// CHECK-LABEL: func @quantizer
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<?xf32>, %[[DY:[a-z0-9]+]]: tensor<?xf32>
// CHECK: %[[R:.*]]:3 = linalg.generic
// CHECK-SAME: iterator_types = ["reduction"]
// CHECK-SAME: ins(%[[X]], %[[DY]] :
// CHECK: linalg.yield %{{.*}}, %{{.*}}, %{{.*}} : f32, f32, f32
// CHECK: return %[[R]]#0, %[[R]]#1, %[[R]]#2
// CAP-LABEL: func @quantizer
// CAP-COUNT-2: linalg.generic
func.func @quantizer(%x: tensor<?xf32>, %dy: tensor<?xf32>, %e: tensor<?xf32>, %z: tensor<f32>) -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>) {
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.roundeven %in : f32
    linalg.yield %0 : f32
  } -> tensor<?xf32>
  %g:2 = linalg.generic {indexing_maps = [#id, #id, #id, #all], iterator_types = ["reduction"]}
      ins(%dy, %x : tensor<?xf32>, tensor<?xf32>) outs(%e, %z : tensor<?xf32>, tensor<f32>) {
  ^bb0(%d: f32, %in: f32, %out: f32, %acc: f32):
    %0 = arith.mulf %d, %in : f32
    %1 = arith.addf %acc, %0 : f32
    linalg.yield %d, %1 : f32, f32
  } -> (tensor<?xf32>, tensor<f32>)
  return %y, %g#0, %g#1 : tensor<?xf32>, tensor<?xf32>, tensor<f32>
}

// -----

// The second needs the first.
#id = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func @dependent
// CHECK-COUNT-2: linalg.generic
func.func @dependent(%x: tensor<?xf32>, %e: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.floor %in : f32
    linalg.yield %0 : f32
  } -> tensor<?xf32>
  %z = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%x, %y : tensor<?xf32>, tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.addf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<?xf32>
  return %y, %z : tensor<?xf32>, tensor<?xf32>
}

// -----

// So does something between them, here in a loop.
#id = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func @between
// CHECK: linalg.generic
// CHECK: scf.for
// CHECK: linalg.generic
func.func @between(%x: tensor<?xf32>, %e: tensor<?xf32>, %n: index) -> (tensor<?xf32>, f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = math.floor %in : f32
    linalg.yield %0 : f32
  } -> tensor<?xf32>
  %sum = scf.for %i = %c0 to %n step %c1 iter_args(%acc = %zero) -> f32 {
    %v = tensor.extract %y[%i] : tensor<?xf32>
    %s = arith.addf %acc, %v : f32
    scf.yield %s : f32
  }
  %z = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.addf %a, %sum : f32
    linalg.yield %0 : f32
  } -> tensor<?xf32>
  return %z, %sum : tensor<?xf32>, f32
}

// -----

// Sums over rows and sums over columns.
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
#col = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func @different_sums
// CHECK-COUNT-2: linalg.generic
func.func @different_sums(%x: tensor<4x4xf32>, %z: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %r = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<4x4xf32>) outs(%z : tensor<4xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in : f32
    linalg.yield %0 : f32
  } -> tensor<4xf32>
  %c = linalg.generic {indexing_maps = [#id, #col], iterator_types = ["reduction", "parallel"]}
      ins(%x : tensor<4x4xf32>) outs(%z : tensor<4xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %0 = arith.addf %acc, %in : f32
    linalg.yield %0 : f32
  } -> tensor<4xf32>
  return %r, %c : tensor<4xf32>, tensor<4xf32>
}
