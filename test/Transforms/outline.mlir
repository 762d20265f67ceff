// RUN: qopt-opt %s --quant-ste-outline --split-input-file | FileCheck %s
// RUN: qopt-opt %s --quant-ste-outline=min-uses=3 --split-input-file | FileCheck %s --check-prefix=THRICE

#id = affine_map<(i) -> (i)>

// Equal up to the buffers: one function, though a constant is shared in one
// place and not in the other.
// CHECK-LABEL: func @twice
// CHECK-SAME: (%[[X:.*]]: memref<?xf32>, %[[Y:.*]]: memref<?xf32>)
// CHECK: call @kernel_generic(%[[X]], %[[Y]]) : (memref<?xf32>, memref<?xf32>) -> ()
// CHECK: call @kernel_generic(%[[Y]], %[[Y]])
// CHECK: return
// THRICE-LABEL: func @twice
// THRICE: linalg.generic
// THRICE: linalg.generic
// THRICE-NOT: func private
func.func @twice(%x: memref<?xf32>, %y: memref<?xf32>) {
  %c = arith.constant 2.0 : f32
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.mulf %a, %c : f32
    linalg.yield %r : f32
  }
  %d = arith.constant 2.0 : f32
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%y : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.mulf %a, %d : f32
    linalg.yield %r : f32
  }
  return
}

// CHECK: func.func private @kernel_generic(%[[X:.*]]: memref<?xf32>, %[[Y:.*]]: memref<?xf32>)
// CHECK-SAME: llvm.linkage = #llvm.linkage<internal>
// CHECK-SAME: passthrough = ["noinline"]
// CHECK-NEXT: %[[C:.*]] = arith.constant 2.0
// CHECK-NEXT: linalg.generic {{.*}} ins(%[[X]] : memref<?xf32>) outs(%[[Y]] : memref<?xf32>)
// CHECK: arith.mulf %{{.*}}, %[[C]]

// -----

// One differs in a constant, one in a layout, one in the order of a
// difference: none is shared. A scalar that is no constant is an argument.
#id = affine_map<(i) -> (i)>
// CHECK-LABEL: func @distinct
// CHECK: linalg.generic
// CHECK: linalg.generic
// CHECK: linalg.generic
// CHECK: linalg.generic
// CHECK: call @kernel_fill(%{{.*}}, %{{.*}}) : (f32, memref<?xf32>) -> ()
// CHECK: call @kernel_fill(%{{.*}}, %{{.*}}) : (f32, memref<?xf32>) -> ()
// CHECK-NOT: kernel_generic
func.func @distinct(%x: memref<?xf32>, %y: memref<?xf32>,
                    %s: memref<?xf32, strided<[2]>>, %u: f32, %v: f32) {
  %c = arith.constant 2.0 : f32
  %d = arith.constant 3.0 : f32
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.subf %a, %c : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.subf %a, %d : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%s : memref<?xf32, strided<[2]>>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.subf %a, %c : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.subf %c, %a : f32
    linalg.yield %r : f32
  }
  linalg.fill ins(%u : f32) outs(%x : memref<?xf32>)
  linalg.fill ins(%v : f32) outs(%y : memref<?xf32>)
  return
}

// -----

// A body that captures anything but constants stays; so do tensors.
#id = affine_map<(i) -> (i)>
// CHECK-LABEL: func @stay
// CHECK-COUNT-2: linalg.generic
// CHECK-COUNT-2: linalg.fill
// CHECK-NOT: func private
func.func @stay(%x: memref<?xf32>, %s: f32, %t: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel"]}
      outs(%x : memref<?xf32>) {
  ^bb0(%a: f32):
    %r = arith.mulf %a, %s : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel"]}
      outs(%x : memref<?xf32>) {
  ^bb0(%a: f32):
    %r = arith.mulf %a, %s : f32
    linalg.yield %r : f32
  }
  %u = linalg.fill ins(%s : f32) outs(%t : tensor<4xf32>) -> tensor<4xf32>
  %v = linalg.fill ins(%s : f32) outs(%t : tensor<4xf32>) -> tensor<4xf32>
  return %u, %v : tensor<4xf32>, tensor<4xf32>
}
