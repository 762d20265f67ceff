//===- PartialSums.h - sums of threads and of blocks -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_GPU_PARTIALSUMS_H
#define QUANT_STE_TRANSFORMS_GPU_PARTIALSUMS_H

#include "KernelEmitter.h"

namespace mlir::quant_ste {

/// All lanes of a vector as one scalar, by halves.
Value addLanes(ImplicitLocOpBuilder &b, arith::AtomicRMWKind kind, Value lanes);

/// The value that the thread whose number in the warp differs in the bits of
/// `offset` has.
Value shuffleXor(ImplicitLocOpBuilder &b, Value v, int64_t offset);

/// The reduced outputs of a kernel: one partial result per part and kept
/// element, and a second kernel that adds the parts in a fixed order. With one
/// part only, or where sums are atomic, the first kernel adds to the output.
class BlockSums {
public:
  /// To be made while the operands of `k` are still the host's. `parts` and
  /// `sizes` are of the host; the parts of an element are neighbours in memory
  /// unless `keptLast`.
  BlockSums(KernelBuilder &kernel, StreamKernel &k, ArrayRef<Value> sizes,
            Value parts, bool keptLast, const KernelOptions &options);

  /// Makes the buffers known to the kernel.
  void passAll();

  /// In the kernel: what thread has this part of these kept elements. `ivs` are
  /// the indices of the kept loops.
  void store(ImplicitLocOpBuilder &b, ArrayRef<Value> ivs, Value part,
             ValueRange sums);

  /// On the host, behind the launch: adds the parts and frees them.
  void finish();

private:
  void addTo(ImplicitLocOpBuilder &b, Value buffer, ArrayRef<Value> at,
             Value sum);
  Value combine(ImplicitLocOpBuilder &b, KernelBuilder &in, unsigned output,
                Value buffer, ArrayRef<Value> at, Value sum);
  SmallVector<Value> indicesOf(unsigned output, ArrayRef<Value> ivs);
  void emitFinish(KernelBuilder &fin);

  KernelBuilder &kernel;
  StreamKernel &k;
  const KernelOptions &options;
  ImplicitLocOpBuilder &host;
  SmallVector<Value> sizes;
  bool keptLast, isAtomic;
  /// Of the host: numbers, then one buffer for each reduction.
  Value parts, elements, count, hasParts;
  SmallVector<Value> buffers, outputs;
  /// In the kernel.
  SmallVector<Value> inside;
  SmallVector<unsigned> reduced, keptLoops;
};

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_GPU_PARTIALSUMS_H
