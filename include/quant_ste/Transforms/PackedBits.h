//===- PackedBits.h - bits in the bodies of generics -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// quant_ste.pack_bits and unpack_bits as linalg has them: loops over the bits,
// in which an operand of bytes is indexed by `n floordiv 8`, n the place in the
// row. They fuse with other loops over the same elements; a code generator that
// knows them moves eight bits and more at once.
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_PACKEDBITS_H
#define QUANT_STE_TRANSFORMS_PACKEDBITS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/SmallPtrSet.h"

namespace mlir::quant_ste {

/// The place in a row that is the last `rowDims` of the loops, whose sizes are
/// `shape`, as (d0, ..., dn) -> (...).
AffineExpr getPlaceInRow(ArrayRef<int64_t> shape, int64_t rowDims,
                         MLIRContext *context);

/// The map of the bytes: the loops before the row, and `n floordiv 8`.
AffineMap getByteMap(ArrayRef<int64_t> shape, int64_t rowDims,
                     MLIRContext *context);

/// An operand of a generic that holds bits.
struct PackedOperand {
  int64_t rowDims;
  /// The boolean of the body that is read from it or written to it.
  Value bit;
  /// The ops of the body that only deal with the packing.
  SmallVector<Operation *> ops;
};

/// Whether an operand is one, with the body that the conversion gives it.
std::optional<PackedOperand> matchPackedOperand(linalg::GenericOp op,
                                                OpOperand &operand);

/// Does the map index bytes of packed bits?
bool isByteMap(linalg::GenericOp op, AffineMap map);
bool hasByteMap(linalg::GenericOp op);

/// May loops that deal with packed bits become one with others, without losing
/// vectors, and without adding up in another order than unpacked ones would?
bool canShareLoops(linalg::GenericOp first, linalg::GenericOp second);

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_PACKEDBITS_H
