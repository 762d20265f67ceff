//===- Scratch.h - buffers that a kernel needs for itself -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_CPU_SCRATCH_H
#define QUANT_STE_TRANSFORMS_CPU_SCRATCH_H

#include "mlir/IR/Builders.h"

namespace mlir::quant_ste {

/// A buffer of `sizes`, allocated before `user` and released behind it; outside
/// of the loops around it, if the sizes are constants.
Value allocateScratch(OpBuilder &b, Operation *user, ArrayRef<Value> sizes,
                      Type element);

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_CPU_SCRATCH_H
