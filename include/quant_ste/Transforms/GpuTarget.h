//===- GpuTarget.h - what kernels are made for -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_GPUTARGET_H
#define QUANT_STE_TRANSFORMS_GPUTARGET_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace mlir::quant_ste {

/// What host code contains of its kernels.
enum class DeviceImage {
  /// Assembly, which the driver compiles for its GPU. Needs no CUDA toolkit.
  PTX,
  /// What ptxas makes of it: code for one chip.
  Cubin,
  /// Both, by fatbinary.
  Fatbin,
};

/// What adds the sums of a kernel's blocks.
enum class GpuSums {
  /// A second kernel, in a fixed order: the same bits in every run.
  Ordered,
  /// Atomic additions, where the type has them: in any order.
  Atomic,
};

/// A chip, and the shape of the kernels that stream best on it. What a sum's
/// bits depend on is not here: that is the same for every chip.
struct GpuTarget {
  StringLiteral chip;
  /// The first PTX version that knows the chip and all that is used of it, 78
  /// for 7.8.
  unsigned minPtx;
  /// 16-byte accesses of each operand that a thread has under way.
  unsigned unroll;
  /// Blocks that must fit on a multiprocessor at once, which bounds the
  /// registers: of a kernel without sums, and of one with them.
  unsigned minBlocks, minBlocksOfSum;
  /// Blocks of a kernel without sums; each then runs through its share.
  int64_t maxBlocks;

  /// 90 for sm_90 and sm_90a.
  int getCapability() const;
  /// sm_90a: code for it runs on no other chip.
  bool isForOneChip() const { return chip.ends_with("a"); }
  /// Does it round to bf16 by an instruction?
  bool hasBFloat() const { return minPtx >= 70; }
  /// And to 8-bit floats? From sm_89 on.
  bool hasMinifloats() const { return minPtx >= 78; }
  /// Bytes of its longest access to memory: from sm_100 on, two of before.
  int64_t getAccessBytes() const { return minPtx >= 88 ? 32 : 16; }
};

/// The chips there are, from sm_75 on.
ArrayRef<GpuTarget> getGpuTargets();

/// The chip of that name; the error says which there are.
llvm::Expected<const GpuTarget *> lookupGpuTarget(StringRef chip);

/// The newest of these chips whose code a GPU of this compute capability (90
/// for 9.0) can run. The error says what the GPU is.
llvm::Expected<const GpuTarget *> lookupGpuTarget(int capability);

/// Can code in this version of PTX (0: the first that knows the chip) be made
/// for the chip? LLVM itself ends the process where it cannot.
llvm::Error checkPtxVersion(const GpuTarget &target, unsigned ptx);

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_GPUTARGET_H
