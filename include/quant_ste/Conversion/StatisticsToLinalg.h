//===- StatisticsToLinalg.h - extrema as reductions -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_CONVERSION_STATISTICSTOLINALG_H
#define QUANT_STE_CONVERSION_STATISTICSTOLINALG_H

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

namespace mlir::quant_ste {

/// One reduction of x onto the dimensions that `map` keeps.
Value buildExtremum(OpBuilder &b, Location loc, Value x, AffineMap map,
                    Extremum extremum);

} // namespace mlir::quant_ste

#endif // QUANT_STE_CONVERSION_STATISTICSTOLINALG_H
