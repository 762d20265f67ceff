//===- Passes.td - conversions -*- tablegen -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_CONVERSION_PASSES_TD
#define QUANT_STE_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertQuantSTEToLinalgPass : Pass<"convert-quant-ste-to-linalg"> {
  let summary = "Lower ops with a gradient rule, and their derivatives, to linalg";
  let description = [{
    One pattern for every op that implements GradientRuleInterface: on tensors
    one `linalg.generic` whose body is the rule's forward function, on plain
    floats the scalar ops themselves. A `quant_ste.pullback` becomes one
    multi-result `linalg.generic` that reads the primals and the cotangent once
    and gives dx and every parameter gradient; a `quant_ste.pushforward` becomes
    one generic of the tangent. `quant_ste.detach` is replaced by its operand.

    All reduced gradients of one pullback accumulate over the same dimensions,
    in the compute type; a second, small op finishes coarser ones and rounds
    once to the parameter's type. Sizes come from the cotangent.

    Before:
    ```mlir
    %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
    ```
    After:
    ```mlir
    %y = linalg.generic {indexing_maps = [(d0) -> (d0), (d0) -> (), (d0) -> (d0)],
        iterator_types = ["parallel"]} ins(%x, %a) outs(%empty) {
      ^bb0(%in: f32, %alpha: f32, %out: f32):
        ... linalg.yield %rounded : f32
    }
    ```
    Fails when an op of the dialect remains, and says which.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
    "::mlir::tensor::TensorDialect"];
}

#endif // QUANT_STE_CONVERSION_PASSES_TD
