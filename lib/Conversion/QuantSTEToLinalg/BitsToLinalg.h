//===- BitsToLinalg.h - packed bits as linalg.generic -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_LIB_CONVERSION_BITSTOLINALG_H
#define QUANT_STE_LIB_CONVERSION_BITSTOLINALG_H

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

namespace mlir::quant_ste {

/// One linalg.generic over the bits; the bytes are an operand whose last
/// dimension is indexed by `j floordiv 8`.
Value buildPackBits(OpBuilder &b, PackBitsOp op);
Value buildUnpackBits(OpBuilder &b, UnpackBitsOp op);

} // namespace mlir::quant_ste

#endif // QUANT_STE_LIB_CONVERSION_BITSTOLINALG_H
