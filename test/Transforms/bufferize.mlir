// RUN: qopt-opt %s --quant-ste-bufferize | FileCheck %s
// What upstream's pass makes of it, by these options, is the same.
// RUN: qopt-opt %s --quant-ste-bufferize -o %t.ours
// RUN: qopt-opt %s --one-shot-bufferize="bufferize-function-boundaries \
// RUN:   function-boundary-type-conversion=identity-layout-map \
// RUN:   allow-return-allocs-from-loops" -o %t.theirs
// RUN: diff %t.ours %t.theirs

// CHECK-LABEL: func.func @reads(
// CHECK-SAME: %[[X:.*]]: memref<8xf32> {quant_ste.name = "x"}, %[[E:.*]]: f32) -> memref<8xf32>
// CHECK: %[[Y:.*]] = memref.alloc() {alignment = 64 : i64} : memref<8xf32>
// CHECK: memref.copy %[[X]], %[[Y]]
// CHECK: memref.store %[[E]], %[[Y]]
func.func @reads(%x: tensor<8xf32> {bufferization.writable = false, quant_ste.name = "x"},
                 %e: f32) -> tensor<8xf32> {
  %c0 = arith.constant 0 : index
  %y = tensor.insert %e into %x[%c0] : tensor<8xf32>
  return %y : tensor<8xf32>
}

// CHECK-LABEL: func.func @writes(
// CHECK-SAME: %[[X:.*]]: memref<8xf32>, %[[E:.*]]: f32) -> memref<8xf32>
// CHECK-NOT: memref.alloc
// CHECK: memref.store %[[E]], %[[X]]
func.func @writes(%x: tensor<8xf32> {bufferization.writable = true},
                  %e: f32) -> tensor<8xf32> {
  %c0 = arith.constant 0 : index
  %y = tensor.insert %e into %x[%c0] : tensor<8xf32>
  return %y : tensor<8xf32>
}

// CHECK-LABEL: func.func @anew(
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}) -> (memref<?xf32>)
// CHECK: memref.alloc(
func.func @anew(%x: tensor<?xf32> {bufferization.writable = false},
                %size: index, %n: index) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%it = %x) -> tensor<?xf32> {
    %e = tensor.empty(%size) : tensor<?xf32>
    %v = tensor.extract %it[%c0] : tensor<?xf32>
    %f = linalg.fill ins(%v : f32) outs(%e : tensor<?xf32>) -> tensor<?xf32>
    scf.yield %f : tensor<?xf32>
  }
  return %r : tensor<?xf32>
}

// CHECK-LABEL: func.func private @declared(memref<8xf32>)
func.func private @declared(tensor<8xf32>)
