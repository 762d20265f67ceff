//===- RowGroups.h - rows read by what is summed up of them -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_GPU_ROWGROUPS_H
#define QUANT_STE_TRANSFORMS_GPU_ROWGROUPS_H

#include "KernelEmitter.h"

namespace mlir::quant_ste {

/// Ops that one kernel can do while a row is in the caches: the largest (or
/// smallest) element of each short row, perhaps something computed of that, and
/// an op on the same rows that reads it. So are groups quantized by a scale of
/// their own (MX), with one read of memory.
struct RowGroup {
  linalg::GenericOp extremum;
  /// Null if `consumer` reads the extrema themselves.
  linalg::GenericOp scale;
  linalg::GenericOp consumer;

  /// The group that ends with this op. All in it but pure ops and allocations
  /// are neighbours.
  static std::optional<RowGroup> find(linalg::GenericOp consumer,
                                      const GpuTarget &target);
};

/// Replaces the ops by the launch of one kernel. `options` are the extremum's.
void emitGpuRowGroup(OpBuilder &builder, const RowGroup &group,
                     const KernelOptions &options);

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_GPU_ROWGROUPS_H
