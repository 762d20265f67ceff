//===- HoistParameters.h - parameters are computed once -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_CPU_HOISTPARAMETERS_H
#define QUANT_STE_TRANSFORMS_CPU_HOISTPARAMETERS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::quant_ste {

/// A body computes anew in every iteration what depends on some of the loops
/// only: where channels are the last dimension, or their rows are short, an
/// exponential or a division for each element. Where that is worth a buffer, it
/// becomes an op of its own in front of `op`, over those loops, and `op` reads
/// the results. The same operations on the same values: no bit changes.
///
/// Returns the ops to emit, in order; `op` is replaced by the last of them.
SmallVector<linalg::GenericOp> hoistParameters(RewriterBase &rewriter,
                                               linalg::GenericOp op);

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_CPU_HOISTPARAMETERS_H
