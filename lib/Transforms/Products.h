//===- Products.h - what is a product of matrices -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_PRODUCTS_H
#define QUANT_STE_TRANSFORMS_PRODUCTS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::quant_ste {

/// The loops of a product c += a * b on tensors or buffers, by kind, and how
/// they move in each array.
struct Product {
  linalg::LinalgOp op;
  /// For each operand and each of its dimensions, the steps of all loops.
  SmallVector<SmallVector<SmallVector<int64_t>>, 3> steps;
  SmallVector<unsigned> batch, rows, columns, terms;

  /// If it is a product all the same, `why` says what is in the way.
  static FailureOr<Product> match(linalg::LinalgOp op, std::string &why);

  /// The loop that runs along memory in this operand, a buffer, or none.
  std::optional<unsigned> findContiguousLoop(unsigned operand) const;

  bool hasTypesOfBlas() const;
  /// Can cuBLAS compute it: are the operands matrices, stored by rows or by
  /// columns, of one type? The last loop of each kind is then one of the
  /// matrix; the runtime runs through the others.
  LogicalResult orderForBlas();

private:
  LogicalResult readMaps();
  LogicalResult sortLoops();
};

/// The fill just before `op` that this output's old values come from, if
/// nothing else sees them.
linalg::FillOp findFill(linalg::LinalgOp op, Value output);

/// Does quant-ste-gather-windows make a product of matrices of this
/// convolution? If it might, but does not, `why` says why not.
bool canGatherWindows(linalg::LinalgOp op, std::string &why);

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_PRODUCTS_H
