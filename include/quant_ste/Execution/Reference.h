//===- Reference.h - functions evaluated on the host ------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_EXECUTION_REFERENCE_H
#define QUANT_STE_EXECUTION_REFERENCE_H

#include "mlir/Support/LLVM.h"
#include "quant_ste/Execution/Signature.h"

namespace mlir::quant_ste {

/// Evaluates a function op by op, without compiling: every op with a gradient
/// rule, through the rule's reading on constants; pullback, pushforward and
/// detach; constants; calls. Requests for derivatives must have been resolved
/// by quant-ste-differentiate. f16 and bf16 are widened to the compute type and
/// rounded once; the gradient of a parameter is summed in f64 and rounded once
/// to its type. Any other op is an error, emitted there.
FailureOr<SmallVector<HostArray>>
evaluateReference(func::FuncOp function, ArrayRef<HostArray> arguments);

} // namespace mlir::quant_ste

#endif // QUANT_STE_EXECUTION_REFERENCE_H
