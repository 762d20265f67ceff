//===- RuleToLinalg.h - a scalar rule as linalg.generic -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_CONVERSION_RULETOLINALG_H
#define QUANT_STE_CONVERSION_RULETOLINALG_H

#include "quant_ste/Interfaces/GradientRuleInterface.h"

namespace mlir::quant_ste {

/// The results of `rule` applied to `operands`: one linalg.generic on tensors,
/// scalar ops on plain floats.
SmallVector<Value> buildRuleForward(OpBuilder &b, GradientRuleInterface rule,
                                    ValueRange operands);

/// The gradients of the operands listed in `wrt`, of the operands' types. One
/// linalg.generic reads each primal value and the cotangents once, unless
/// `onePass` is false: then each gradient has its own. Gradients of parameters
/// are partial sums over the dimensions that no wanted parameter keeps (`kept`
/// adds dimensions to keep), finished by small second-stage ops.
struct RuleVjpOptions {
  bool onePass = true;
  SmallVector<unsigned> kept;
};
SmallVector<Value> buildRuleVjp(OpBuilder &b, GradientRuleInterface rule,
                                ValueRange operands, ValueRange cotangents,
                                ArrayRef<int64_t> wrt,
                                const RuleVjpOptions &options = {});

/// The tangents of the results, given those of the operands listed in `wrt`.
FailureOr<SmallVector<Value>>
buildRuleJvp(OpBuilder &b, GradientRuleInterface rule, ValueRange operands,
             ValueRange tangents, ArrayRef<int64_t> wrt);

} // namespace mlir::quant_ste

#endif // QUANT_STE_CONVERSION_RULETOLINALG_H
