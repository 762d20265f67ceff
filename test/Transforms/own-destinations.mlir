// RUN: qopt-opt %s --quant-ste-own-destinations --split-input-file | FileCheck %s

// A fill that CSE hoisted out of the loop is made again inside it.
// CHECK-LABEL: func @loop
// CHECK: %[[OUTER:.*]] = linalg.fill
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[OUTER]])
// CHECK:   %[[E:.*]] = tensor.empty
// CHECK:   %[[INNER:.*]] = linalg.fill {{.*}} outs(%[[E]]
// CHECK:   linalg.reduce {{.*}} outs(%[[INNER]]
func.func @loop(%x: tensor<4x8xf32>, %n: index) -> tensor<8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%v = %z) -> tensor<8xf32> {
    %g = linalg.reduce {arith.addf} ins(%x : tensor<4x8xf32>)
      outs(%z : tensor<8xf32>) dimensions = [0]
    %s = arith.addf %v, %g : tensor<8xf32>
    scf.yield %s : tensor<8xf32>
  }
  return %r : tensor<8xf32>
}

// -----

// Two writers, two buffers; dynamic sizes stay as they are.
// CHECK-LABEL: func @two
// CHECK-SAME: %[[N:[a-z0-9]+]]: index
// CHECK: %[[E0:.*]] = tensor.empty(%[[N]])
// CHECK: linalg.generic {{.*}} outs(%[[E0]]
// CHECK: %[[E1:.*]] = tensor.empty(%[[N]])
// CHECK: linalg.generic {{.*}} outs(%[[E1]]
#id = affine_map<(d0) -> (d0)>
func.func @two(%x: tensor<?xf32>, %n: index) -> (tensor<?xf32>, tensor<?xf32>) {
  %e = tensor.empty(%n) : tensor<?xf32>
  %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.negf %in : f32
    linalg.yield %0 : f32
  } -> tensor<?xf32>
  %b = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %in, %in : f32
    linalg.yield %0 : f32
  } -> tensor<?xf32>
  return %a, %b : tensor<?xf32>, tensor<?xf32>
}

// -----

// Readers share.
// CHECK-LABEL: func @readers
// CHECK: linalg.fill
// CHECK-NOT: linalg.fill
#id = affine_map<(d0) -> (d0)>
func.func @readers(%a: tensor<8xf32>, %b: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%z : tensor<8xf32>) outs(%a : tensor<8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %in, %out : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  %q = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%z : tensor<8xf32>) outs(%b : tensor<8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.subf %in, %out : f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  return %p, %q : tensor<8xf32>, tensor<8xf32>
}

// -----

// Nobody may write to a constant; one that is not a splat stays (and is copied).
// CHECK-LABEL: func @constants
// CHECK: %[[C:.*]] = arith.constant 2.000000e+00 : f32
// CHECK: %[[E:.*]] = tensor.empty() : tensor<4xf32>
// CHECK: %[[F:.*]] = linalg.fill ins(%[[C]] : f32) outs(%[[E]]
// CHECK: linalg.matvec {{.*}} outs(%[[F]]
// CHECK: linalg.matvec {{.*}} outs(%cst
func.func @constants(%w: tensor<4x4xf32>, %v: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %s = arith.constant dense<2.0> : tensor<4xf32>
  %c = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %0 = linalg.matvec ins(%w, %v : tensor<4x4xf32>, tensor<4xf32>) outs(%s : tensor<4xf32>) -> tensor<4xf32>
  %1 = linalg.matvec ins(%w, %v : tensor<4x4xf32>, tensor<4xf32>) outs(%c : tensor<4xf32>) -> tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}
