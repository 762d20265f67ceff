//===- ScaleOps.td - from observations to scales -*- tablegen -*--===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_DIALECT_QUANTSTE_IR_SCALEOPS_TD
#define QUANT_STE_DIALECT_QUANTSTE_IR_SCALEOPS_TD

include "quant_ste/Dialect/QuantSTE/IR/QuantSTEBase.td"

def QuantSTE_Detached : QuantSTE_GradientWord<"Detached", "detached",
    "nothing: what is observed or kept from step to step is constant in training">;

//===----------------------------------------------------------------------===//
// Observers
//===----------------------------------------------------------------------===//

def QuantSTE_MovingAverageOp
    : QuantSTE_RuleOp<"moving_average", "MovingAverageRule", ["observed"],
                      (ins F64Attr:$constant, UnitAttr:$weighted),
                      "`constant` `(` $constant `)` (`weighted` $weighted^)?",
                      "state"> {
  let summary = "a running statistic, one step on";
  let description = [{
    `y = state + constant * (observed - state)`; an infinite state is one that
    has seen nothing, and y is what is observed. `weighted`:
    `y = state * (1 - constant) + observed * constant`, the same but for
    rounding. NaN stays for good. constant in [0, 1]. No gradient.
    Source: torch.ao.quantization.MovingAverageMinMaxObserver and
    torch.fused_moving_avg_obs_fake_quant, whose state starts as inf and -inf;
    `weighted`: the running statistics of Brevitas, after their first step.

    ```mlir
    %low = quant_ste.minimum %x grad(first) : tensor<?x?xf32> -> tensor<f32>
    %min = quant_ste.moving_average %state, %low constant(0.01) grad(detached)
      : tensor<f32>, tensor<f32>
    ```
  }];
}

#endif // QUANT_STE_DIALECT_QUANTSTE_IR_SCALEOPS_TD
