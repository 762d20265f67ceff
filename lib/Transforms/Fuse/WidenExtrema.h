//===- WidenExtrema.h - extrema of 16-bit floats in f32 -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_FUSE_WIDENEXTREMA_H
#define QUANT_STE_TRANSFORMS_FUSE_WIDENEXTREMA_H

#include "mlir/IR/Operation.h"

namespace mlir::quant_ste {

/// Largest and smallest elements of f16 and bf16 are found in f32: these are the
/// same elements, and no step has to round what needs no rounding.
void widenExtrema(Operation *root);

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_FUSE_WIDENEXTREMA_H
