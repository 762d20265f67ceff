//===- MSEScaleToLinalg.h - a search for a scale ----------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_CONVERSION_MSESCALETOLINALG_H
#define QUANT_STE_CONVERSION_MSESCALETOLINALG_H

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

namespace mlir::quant_ste {

/// A loop over the candidates.
Value buildMSEScale(OpBuilder &b, MSEScaleOp op);

} // namespace mlir::quant_ste

#endif // QUANT_STE_CONVERSION_MSESCALETOLINALG_H
