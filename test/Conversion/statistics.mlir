// RUN: qopt-opt %s --convert-quant-ste-to-linalg --split-input-file | FileCheck %s

// CHECK-LABEL: func @absmax
// CHECK-SAME: %[[X:.*]]: tensor<4x?xf32>
// CHECK: %[[ZERO:.*]] = arith.constant 0.0
// CHECK: %[[E:.*]] = tensor.empty() : tensor<4xf32>
// CHECK: %[[F:.*]] = linalg.fill ins(%[[ZERO]] : f32) outs(%[[E]]
// CHECK: linalg.generic
// CHECK-SAME: iterator_types = ["parallel", "reduction"]
// CHECK-SAME: ins(%[[X]] : tensor<4x?xf32>) outs(%[[F]] : tensor<4xf32>)
// CHECK: %[[A:.*]] = math.absf
// CHECK: arith.maximumf %{{.*}}, %[[A]]
func.func @absmax(%x: tensor<4x?xf32>) -> tensor<4xf32> {
  %m = quant_ste.absmax %x axes([0]) grad(first) : tensor<4x?xf32> -> tensor<4xf32>
  return %m : tensor<4xf32>
}

// -----

// CHECK-LABEL: func @minimum
// CHECK: arith.constant 0x7C00 : f16
// CHECK: iterator_types = ["reduction", "reduction"]
// CHECK-NOT: math.absf
// CHECK: arith.minimumf
func.func @minimum(%x: tensor<?x?xf16>) -> tensor<f16> {
  %m = quant_ste.minimum %x grad(shared) : tensor<?x?xf16> -> tensor<f16>
  return %m : tensor<f16>
}
