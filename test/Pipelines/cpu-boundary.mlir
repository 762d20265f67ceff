// RUN: qopt-opt %s --quant-ste-cpu-pipeline=stop-after=bufferize | FileCheck %s
// RUN: qopt-opt %s --quant-ste-cpu-pipeline | FileCheck %s --check-prefix=LLVM

// The caller's array is read-only ...
// CHECK-LABEL: func.func @update
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<4xf32>
// CHECK: %[[COPY:.*]] = memref.alloc
// CHECK: memref.copy %[[X]], %[[COPY]]
// CHECK: memref.store %{{.*}}, %[[COPY]]
// CHECK: return %[[COPY]]
func.func @update(%x: tensor<4xf32>, %v: f32, %i: index) -> tensor<4xf32> {
  %y = tensor.insert %v into %x[%i] : tensor<4xf32>
  return %y : tensor<4xf32>
}

// ... unless it says otherwise; what is returned is a new buffer even then.
// CHECK-LABEL: func.func @update_in_place
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<4xf32>
// CHECK: memref.store %{{.*}}, %[[X]]
// CHECK: %[[OWN:.*]] = memref.alloc
// CHECK: memref.copy %[[X]], %[[OWN]]
// CHECK: return %[[OWN]]
func.func @update_in_place(%x: tensor<4xf32> {bufferization.writable = true}, %v: f32, %i: index) -> tensor<4xf32> {
  %y = tensor.insert %v into %x[%i] : tensor<4xf32>
  return %y : tensor<4xf32>
}

// Each result is a buffer of its own, which the caller may free.
// CHECK-LABEL: func.func @twice
// CHECK: %[[A:.*]] = memref.alloc
// CHECK: %[[B:.*]] = memref.alloc
// CHECK: memref.copy %[[A]], %[[B]]
// CHECK: return %[[A]], %[[B]]
func.func @twice(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %y = arith.addf %x, %x : tensor<4xf32>
  return %y, %y : tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: func.func @constant
// CHECK: %[[G:.*]] = memref.get_global
// CHECK: %[[A:.*]] = memref.alloc
// CHECK: memref.copy %[[G]], %[[A]]
// CHECK: return %[[A]]
func.func @constant() -> tensor<2xf32> {
  %c = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  return %c : tensor<2xf32>
}

// A function of the host program is called through its C interface.
// LLVM: llvm.func @_mlir_ciface_report(i64, f32)
// LLVM: llvm.func @_mlir_ciface_progress
func.func private @report(index, f32) attributes {llvm.emit_c_interface}
func.func @progress(%i: index, %loss: f32) {
  call @report(%i, %loss) : (index, f32) -> ()
  return
}
