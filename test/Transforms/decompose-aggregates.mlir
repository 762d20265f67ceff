// RUN: qopt-opt %s --quant-ste-decompose-aggregates | FileCheck %s
// RUN: qopt-run %s --function=softmax --input=2x3xf32=1,2,3,0,0,0 | FileCheck %s --check-prefix=VALUE

// CHECK-LABEL: func.func @softmax
// CHECK-NOT: linalg.softmax
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
// CHECK: arith.maxnumf
// CHECK: math.exp
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
// CHECK: arith.addf
// CHECK: arith.divf
// VALUE: result[0]: 2x3xf32=[0.090030566 0.24472846 0.6652409][0.33333334 0.33333334 0.33333334]
func.func @softmax(%x: tensor<?x3xf32>) -> tensor<?x3xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x3xf32>
  %e = tensor.empty(%n) : tensor<?x3xf32>
  %y = linalg.softmax dimension(1) ins(%x : tensor<?x3xf32>) outs(%e : tensor<?x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// What is none stays, and so do memrefs.
// CHECK-LABEL: func.func @buffers
// CHECK: linalg.softmax
func.func @buffers(%x: memref<2x3xf32>, %y: memref<2x3xf32>) {
  linalg.softmax dimension(1) ins(%x : memref<2x3xf32>) outs(%y : memref<2x3xf32>)
  return
}
