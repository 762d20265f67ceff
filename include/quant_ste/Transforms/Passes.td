//===- Passes.td - transformations -*- tablegen -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_PASSES_TD
#define QUANT_STE_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def QuantSTELintPass : Pass<"quant-ste-lint"> {
  let summary = "Warn of constants that are defined but surely not meant";
  let description = [{
    Looks at the attributes of each op with a gradient rule and at its constant
    operands: a scale that is zero, negative or not finite, reversed or NaN
    bounds, a bit width outside 1..32. All of these have a defined meaning, so
    no verifier refuses them; this pass warns at the op and changes nothing.
  }];
}

#endif // QUANT_STE_TRANSFORMS_PASSES_TD
