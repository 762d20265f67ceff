//===- PercentileToLinalg.h - order statistics by counting ------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_CONVERSION_PERCENTILETOLINALG_H
#define QUANT_STE_CONVERSION_PERCENTILETOLINALG_H

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

namespace mlir::quant_ste {

/// A loop over the bits of the result.
Value buildPercentile(OpBuilder &b, PercentileOp op);

} // namespace mlir::quant_ste

#endif // QUANT_STE_CONVERSION_PERCENTILETOLINALG_H
