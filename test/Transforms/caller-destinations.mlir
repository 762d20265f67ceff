// RUN: qopt-opt %s --quant-ste-caller-destinations -split-input-file -verify-diagnostics | FileCheck %s
// RUN: qopt-opt %s --quant-ste-cpu-pipeline=stop-after=bufferize -split-input-file -verify-diagnostics | FileCheck %s --check-prefix=BUFFER

// CHECK-LABEL: func.func @f
// CHECK-SAME: (%[[X:.*]]: tensor<?xf32>, %[[N:.*]]: index, %[[OUT:.*]]: memref<?xf32>)
// CHECK-SAME: -> (tensor<?xf32>, index {quant_ste.name = "n"}) {
// CHECK: %[[Y:.*]] = quant_ste.round
// CHECK: bufferization.materialize_in_destination %[[Y]] in restrict writable %[[OUT]]
// CHECK: return %[[X]], %[[N]]
// The kernel writes there, without a copy; what is not marked is copied.
// BUFFER-LABEL: func.func @f
// BUFFER-SAME: %[[OUT:[a-z0-9]+]]: memref<?xf32>)
// BUFFER: linalg.generic {{.*}} outs(%[[OUT]] :
// BUFFER-NOT: memref.copy {{.*}}, %[[OUT]]
// BUFFER: return
func.func @f(%x: tensor<?xf32>, %n: index)
    -> (tensor<?xf32> {quant_ste.destination}, tensor<?xf32>, index {quant_ste.name = "n"}) {
  %y = quant_ste.round %x grad(ste) : tensor<?xf32>
  return %y, %x, %n : tensor<?xf32>, tensor<?xf32>, index
}

// -----

// Calls within the module get values.
// CHECK-LABEL: func.func @g
// CHECK-SAME: (%{{.*}}: tensor<4xf32>, %{{.*}}: memref<4xf32>)
func.func @g(%x: tensor<4xf32>) -> (tensor<4xf32> {quant_ste.destination}) {
  return %x : tensor<4xf32>
}
// CHECK: func.func @h
// CHECK: call @[[INNER:.*]](%{{.*}}) : (tensor<4xf32>) -> tensor<4xf32>
func.func @h(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = call @g(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
// CHECK: func.func private @[[INNER]](%{{.*}}: tensor<4xf32>) -> tensor<4xf32> {

// -----

// The same value twice, and an argument: each destination is written.
// BUFFER-LABEL: func.func @twice
// BUFFER-SAME: %[[X:[a-z0-9]+]]: memref<4xf32>
// BUFFER-SAME: %[[A:[a-z0-9]+]]: memref<4xf32>, %[[B:[a-z0-9]+]]: memref<4xf32>, %[[C:[a-z0-9]+]]: memref<4xf32>)
// BUFFER: outs(%[[A]] :
// BUFFER-DAG: memref.copy %[[A]], %[[B]]
// BUFFER-DAG: memref.copy %[[X]], %[[C]]
func.func @twice(%x: tensor<4xf32>)
    -> (tensor<4xf32> {quant_ste.destination}, tensor<4xf32> {quant_ste.destination},
        tensor<4xf32> {quant_ste.destination}) {
  %y = arith.addf %x, %x : tensor<4xf32>
  return %y, %y, %x : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// -----

// expected-error @+1 {{expected result #0 with quant_ste.destination to be a ranked tensor, got 'f32'}}
func.func @scalar(%x: f32) -> (f32 {quant_ste.destination}) {
  return %x : f32
}
