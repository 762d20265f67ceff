//===- RowGroups.h - rows read by what is summed up of them -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_GPU_ROWGROUPS_H
#define QUANT_STE_TRANSFORMS_GPU_ROWGROUPS_H

#include "KernelEmitter.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::quant_ste {

/// The values of the host that outputs of ops were filled with, by number.
using InitialValues = DenseMap<Operation *, DenseMap<unsigned, Value>>;

/// Ops that one kernel can do while a row is in the caches: ops on the same
/// short rows, and ops on one value for each of them. So are groups quantized
/// by a scale of their own (MX) and their gradients: the largest element, the
/// scale, the quantizer; the sum that is the scale's gradient, and what of it
/// goes to the largest element. Memory is read once.
struct RowGroup {
  /// In order of execution. All in between are pure ops and allocations.
  SmallVector<linalg::GenericOp> stages;

  /// The longest group that ends with this op.
  static std::optional<RowGroup> find(linalg::GenericOp last,
                                      const GpuTarget &target);
};

/// What one op of a group makes for each element and another one reads is
/// computed there again, so that it need not go through memory.
void recomputeInRowGroups(func::FuncOp function, const GpuTarget &target,
                          InitialValues &initial);

/// Replaces the ops by the launch of one kernel.
void emitGpuRowGroup(OpBuilder &builder, const RowGroup &group,
                     const InitialValues &initial,
                     const KernelOptions &options);

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_GPU_ROWGROUPS_H
