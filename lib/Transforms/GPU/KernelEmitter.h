//===- KernelEmitter.h - kernels of linalg ops -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_GPU_KERNELEMITTER_H
#define QUANT_STE_TRANSFORMS_GPU_KERNELEMITTER_H

#include "KernelBuilder.h"
#include "quant_ste/Transforms/GpuTarget.h"
#include "quant_ste/Transforms/StreamKernel.h"

namespace mlir::quant_ste {

struct KernelOptions {
  KernelLibrary &library;
  const GpuTarget &target;
  std::string name;
  /// Outputs by number that were filled with this value of the host, by an op
  /// that is gone.
  DenseMap<unsigned, Value> initial;
  /// What adds the sums of blocks, where it can.
  GpuSums sums = GpuSums::Ordered;
  /// Sizes are arguments of the kernel even where they are known.
  bool passSizes = false;
};

/// Can atomic additions make all sums of the kernel?
bool canAddAtomically(const StreamKernel &kernel);

/// Can emitGpuStream do it? If not, `why` gets the reason.
bool canEmitGpuStream(const StreamKernel &kernel, std::string &why);

/// Replaces the kernel's op by launches of kernels that stream through memory.
/// Not for contractions, and not unless canEmitGpuStream.
void emitGpuStream(OpBuilder &builder, StreamKernel &kernel,
                   const KernelOptions &options);

/// Replaces any op on buffers by the launch of a kernel in which each thread
/// runs the loops as they stand, for one element that all outputs have.
void emitGpuLoops(OpBuilder &builder, linalg::GenericOp op,
                  const KernelOptions &options);

/// May an output's buffer overlap this input's other than element by element?
bool mayOverlap(linalg::GenericOp op, Value input);

/// Constants outside of the op that its body uses are made again in the kernel,
/// other values passed. Adds them to `map`.
void passCaptured(KernelBuilder &kernel, linalg::GenericOp op, IRMapping &map);

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_GPU_KERNELEMITTER_H
