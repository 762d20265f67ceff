// RUN: qopt-opt %s --pass-pipeline='builtin.module(func.func(quant-ste-hoist-frames))' | FileCheck %s

// CHECK-LABEL: func @loop
// CHECK: %[[A:.*]] = memref.alloca() : memref<4xf32>
// CHECK: %[[B:.*]] = memref.alloca() : memref<8xf32>
// CHECK: scf.parallel
// CHECK-NEXT: %[[N:.*]] = memref.alloca(%{{.*}}) : memref<?xf32>
// CHECK-NEXT: func.call @use(%[[A]], %[[B]], %[[N]])
func.func @loop(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %a = memref.alloca() : memref<4xf32>
    %b = memref.alloca() : memref<8xf32>
    %dynamic = memref.alloca(%i) : memref<?xf32>
    func.call @use(%a, %b, %dynamic) : (memref<4xf32>, memref<8xf32>, memref<?xf32>) -> ()
  }
  return
}

func.func private @use(memref<4xf32>, memref<8xf32>, memref<?xf32>)
