// RUN: qopt-opt %s --split-input-file --quant-ste-plan-residuals="budget=15 keep-arguments=false" --verify-diagnostics
// RUN: not qopt-opt %s --split-input-file --quant-ste-plan-residuals="dynamic-size=-1" 2>&1 | FileCheck %s --check-prefix=SIZE
// RUN: not qopt-opt %s --split-input-file --quant-ste-plan-residuals=function=nobody 2>&1 | FileCheck %s --check-prefix=NOBODY

// SIZE: error: expected a dynamic-size of at least 0, got -1
// NOBODY: error: expected a function named 'nobody' to split, found none

// expected-error @below {{expected residuals of at most 15 bytes for @f_vjp, got 16 at the least; recompute-products may keep less}}
func.func @f_vjp(%x: tensor<4xf32>, %t: tensor<4xf32> {quant_ste.cotangent})
    -> (tensor<4xf32>, tensor<4xf32>) attributes {quant_ste.num_primal_results = 1 : i64} {
  %y = math.exp %x : tensor<4xf32>
  %z = arith.addf %y, %y : tensor<4xf32>
  %d = arith.mulf %t, %y : tensor<4xf32>
  return %z, %d : tensor<4xf32>, tensor<4xf32>
}
