//===- UniformToLinalg.h - random numbers as linalg.generic -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_LIB_CONVERSION_UNIFORMTOLINALG_H
#define QUANT_STE_LIB_CONVERSION_UNIFORMTOLINALG_H

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

namespace mlir::quant_ste {

/// One linalg.generic that computes each element from its own index.
Value buildUniform(OpBuilder &b, UniformOp op);

} // namespace mlir::quant_ste

#endif // QUANT_STE_LIB_CONVERSION_UNIFORMTOLINALG_H
