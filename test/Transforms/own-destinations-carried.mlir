// RUN: qopt-opt %s --quant-ste-own-destinations=carried=true | FileCheck %s
// RUN: qopt-opt %s --quant-ste-own-destinations | FileCheck %s --check-prefix=FRESH
// RUN: qopt-opt %s --quant-ste-cpu-pipeline=stop-after=bufferize | FileCheck %s --check-prefix=BUFFERS

#id = affine_map<(i) -> (i)>

// The momentum and the parameter are updated where the loop carries them.
// CHECK-LABEL: func @step
// CHECK: scf.for {{.*}} iter_args(%[[P:.*]] = %{{.*}}, %[[V:.*]] = %{{.*}})
// CHECK: linalg.generic {{.*}} ins(%[[V]], {{.*}}) outs(%[[V]] :
// CHECK: linalg.generic {{.*}} ins(%[[P]], {{.*}}) outs(%[[P]] :
// FRESH-LABEL: func @step
// FRESH-COUNT-2: outs(%{{[0-9]+}} : tensor<8xf32>)
// BUFFERS-LABEL: func.func @step
// BUFFERS-COUNT-2: memref.alloc
// BUFFERS: scf.for {{.*}} {
// BUFFERS-NOT: memref.alloc
// BUFFERS-NOT: memref.copy
// BUFFERS: return
func.func @step(%p0: tensor<8xf32>, %v0: tensor<8xf32>, %n: index) -> (tensor<8xf32>, tensor<8xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %e = tensor.empty() : tensor<8xf32>
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%p = %p0, %v = %v0) -> (tensor<8xf32>, tensor<8xf32>) {
    %v1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
        ins(%v, %p : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %0 = arith.addf %a, %b : f32
      linalg.yield %0 : f32
    } -> tensor<8xf32>
    %p1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
        ins(%p, %v1 : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %0 = arith.subf %a, %b : f32
      linalg.yield %0 : f32
    } -> tensor<8xf32>
    scf.yield %p1, %v1 : tensor<8xf32>, tensor<8xf32>
  }
  return %r#0, %r#1 : tensor<8xf32>, tensor<8xf32>
}

// Carried in each other's place, or read backwards: other memory.
// BUFFERS-LABEL: func.func @exchange
// BUFFERS: scf.for
// BUFFERS: memref.alloc
func.func @exchange(%p0: tensor<8xf32>, %n: index) -> tensor<8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %e = tensor.empty() : tensor<8xf32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%p = %p0) -> tensor<8xf32> {
    %p1 = linalg.generic {indexing_maps = [affine_map<(i) -> (-i + 7)>, #id, #id], iterator_types = ["parallel"]}
        ins(%p, %p : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %0 = arith.subf %a, %b : f32
      linalg.yield %0 : f32
    } -> tensor<8xf32>
    scf.yield %p1 : tensor<8xf32>
  }
  return %r : tensor<8xf32>
}

// A destination that is read is what it was.
// CHECK-LABEL: func @sum
// CHECK: linalg.generic {{.*}} outs(%{{[0-9]+}} : tensor<8xf32>)
func.func @sum(%p0: tensor<8xf32>, %z: f32, %n: index) -> tensor<8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %e = tensor.empty() : tensor<8xf32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%p = %p0) -> tensor<8xf32> {
    %f = linalg.fill ins(%z : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
    %p1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
        ins(%p : tensor<8xf32>) outs(%f : tensor<8xf32>) {
    ^bb0(%a: f32, %o: f32):
      %0 = arith.addf %a, %o : f32
      linalg.yield %0 : f32
    } -> tensor<8xf32>
    scf.yield %p1 : tensor<8xf32>
  }
  return %r : tensor<8xf32>
}
