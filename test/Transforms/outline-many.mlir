// In a function of more than 64 kernels those that occur once are functions of
// their own as well; what captures a value is not. With 64 kernels they stay.

// RUN: qopt-opt %s --quant-ste-outline | FileCheck %s

#id = affine_map<(i) -> (i)>

// CHECK-LABEL: func @sixty_five(
// CHECK-SAME: %[[X:.*]]: memref<?xf32>, %[[Y:.*]]: memref<?xf32>, %[[S:.*]]: f32)
// CHECK-NEXT: call @kernel_generic(%[[X]], %[[Y]]) : (memref<?xf32>, memref<?xf32>) -> ()
// CHECK-NEXT: linalg.generic
// CHECK: arith.mulf %{{.*}}, %[[S]]
// CHECK-COUNT-63: call @kernel_fill(%[[S]], %[[Y]])
// CHECK-NEXT: return
func.func @sixty_five(%x: memref<?xf32>, %y: memref<?xf32>, %s: f32) {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.negf %a : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = arith.mulf %a, %s : f32
    linalg.yield %r : f32
  }
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  return
}

// CHECK-LABEL: func @sixty_four(
// CHECK-NEXT: linalg.generic
// CHECK: math.absf
// CHECK-NOT: linalg.generic
// CHECK-COUNT-63: call @kernel_fill
// CHECK-NEXT: return
func.func @sixty_four(%x: memref<?xf32>, %y: memref<?xf32>, %s: f32) {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : memref<?xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %b: f32):
    %r = math.absf %a : f32
    linalg.yield %r : f32
  }
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  linalg.fill ins(%s : f32) outs(%y : memref<?xf32>)
  return
}

// CHECK: func.func private @kernel_generic(
// CHECK-SAME: passthrough = ["noinline"]
// CHECK: arith.negf
// CHECK-NOT: math.absf
