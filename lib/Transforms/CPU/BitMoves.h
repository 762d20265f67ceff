//===- BitMoves.h - vectors of bits to and from memory -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_CPU_BITMOVES_H
#define QUANT_STE_TRANSFORMS_CPU_BITMOVES_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::quant_ste {

/// `width` booleans, a multiple of 8, from the bytes of `buffer`. The last of
/// the indices counts bits and is a multiple of 8. `mask` (null: all) says
/// which of them exist; the other bits of a byte are neither read nor kept.
Value loadBits(ImplicitLocOpBuilder &b, Value buffer, ValueRange at,
               int64_t width, Value mask);
/// The same way back: bits that do not exist become 0.
void storeBits(ImplicitLocOpBuilder &b, Value buffer, ValueRange at,
               Value booleans, Value mask);

/// `width` booleans of one byte, for a target without mask registers: 1, 2, 4
/// or 8. The last of the indices counts bits and is a multiple of that. The
/// first of them exists.
Value shiftBitsOut(ImplicitLocOpBuilder &b, Value buffer, ValueRange at,
                   int64_t width);
/// Eight booleans as a byte, the same way. Those that `mask` (null: all) says
/// do not exist become 0.
void shiftBitsIn(ImplicitLocOpBuilder &b, Value buffer, ValueRange at,
                 Value booleans, Value mask);

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_CPU_BITMOVES_H
