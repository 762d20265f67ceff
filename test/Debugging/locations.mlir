// An op of the derivative carries the line of the op that it differentiates,
// down to the loops.
//
// RUN: qopt-opt %s --quant-ste-differentiate --mlir-print-debuginfo \
// RUN:   --mlir-print-local-scope | FileCheck %s
// RUN: qopt-opt %s --quant-ste-cpu-pipeline=stop-after=vectorize --mlir-print-debuginfo \
// RUN:   --mlir-print-local-scope | FileCheck %s --check-prefix=LOOPS

func.func private @f(%x: tensor<?xf32>, %s: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %s bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}
// CHECK: func private @f_vjp
// CHECK: quant_ste.pullback
// CHECK: loc(fused<"vjp">["{{.*}}locations.mlir":[[#@LINE-5]]:8])
// LOOPS: func.func @df
// LOOPS: arith.select {{.*}} loc({{.*}}locations.mlir":[[#@LINE-7]]:8
func.func @df(%x: tensor<?xf32>, %s: tensor<f32>, %t: tensor<?xf32>) -> tensor<?xf32> {
  %y, %dx = quant_ste.vjp @f(%x, %s) cotangents(%t) wrt [0]
    : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
  return %dx : tensor<?xf32>
}
