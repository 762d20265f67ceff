//===- NestEmitter.h - the loops of a stream kernel -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_CPU_NESTEMITTER_H
#define QUANT_STE_TRANSFORMS_CPU_NESTEMITTER_H

#include "quant_ste/Transforms/StreamKernel.h"

namespace mlir::quant_ste {

/// Replaces the kernel's op by parallel loops over vectors.
///
/// The iterations are cut into units, and a thread runs a number of them. What
/// a unit is depends on the shape alone, and each sum is made of one partial
/// result per unit, added in the units' order: so a result has the same bits
/// for any number of threads. Within a unit a sum is made in 64 lanes by
/// element index (16 for the last elements that do not fill them), which are
/// added by halves: so it has the same bits for any vector length of the
/// machine.
void emitStreamKernel(OpBuilder &builder, StreamKernel &kernel);

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_CPU_NESTEMITTER_H
