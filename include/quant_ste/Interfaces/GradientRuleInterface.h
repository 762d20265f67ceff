//===- GradientRuleInterface.h - an op's math on scalars --------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_INTERFACES_GRADIENTRULEINTERFACE_H
#define QUANT_STE_INTERFACES_GRADIENTRULEINTERFACE_H

#include "mlir/IR/AffineMap.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/OpDefinition.h"
#include "quant_ste/Rules/ScalarAlgebra.h"

namespace mlir::quant_ste {

/// What the gradient of one operand is made of: its kind, and the primal values
/// it reads (bit i is operand i, rules::Footprint::kResult the op's results).
struct PartialFootprint {
  rules::PartialKind kind;
  uint32_t needs;
};

/// Starts the error that says why constants cannot be evaluated.
using EmitErrorFn = function_ref<InFlightDiagnostic()>;

} // namespace mlir::quant_ste

#include "quant_ste/Interfaces/GradientRuleInterface.h.inc"

#endif // QUANT_STE_INTERFACES_GRADIENTRULEINTERFACE_H
