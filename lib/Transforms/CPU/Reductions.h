//===- Reductions.h - sums of lanes and of units -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_CPU_REDUCTIONS_H
#define QUANT_STE_TRANSFORMS_CPU_REDUCTIONS_H

#include "quant_ste/Transforms/StreamKernel.h"

namespace mlir::quant_ste {

/// `width` lanes of the value that changes nothing.
Value getNeutral(ImplicitLocOpBuilder &b, arith::AtomicRMWKind kind,
                 Type element, int64_t width);

/// The type that partial results of `element` are added in: f64, or f32 for f16
/// and bf16.
Type getWideType(Type element, OpBuilder &b);

/// All lanes of both vectors as one scalar: the longer one is added by halves
/// to the length of the other, and so is their sum to a single lane. Unless
/// `hasLanes` the longer one is still neutral, as in a short row.
Value reduceLanes(ImplicitLocOpBuilder &b, arith::AtomicRMWKind kind,
                  Value hasLanes, Value lanes, Value tail);

/// `width` vectors of as many lanes, each added by halves as above: their sums,
/// in order.
Value reduceRows(ImplicitLocOpBuilder &b, arith::AtomicRMWKind kind,
                 int64_t width, function_ref<Value(int64_t)> getRow);

/// One partial result per unit and kept element, for each reduced output.
class PartialSums {
public:
  /// `kept` are the sizes of the kept loops, `cut` the numbers of units along
  /// the others. The kept ones come last in memory if `keptLast`.
  PartialSums(ImplicitLocOpBuilder &b, StreamKernel &kernel, ValueRange kept,
              ValueRange cut, bool keptLast);

  Value getBuffer(unsigned reduction) { return buffers[reduction]; }
  SmallVector<Value> getIndices(ArrayRef<Value> kept,
                                ArrayRef<Value> cut) const;

  /// Adds the partial results to the outputs, in the order of the units.
  void finish(ImplicitLocOpBuilder &b);

private:
  StreamKernel &k;
  SmallVector<Value> kept, cut, buffers;
  bool keptLast;
};

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_CPU_REDUCTIONS_H
