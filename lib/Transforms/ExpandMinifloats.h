//===- ExpandMinifloats.h - conversions of 8-bit floats -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_EXPANDMINIFLOATS_H
#define QUANT_STE_TRANSFORMS_EXPANDMINIFLOATS_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::quant_ste {

/// Conversions of scalars and vectors to and from f8E4M3FN and f8E5M2, in
/// `root`, as integer arithmetic or, where `hasInstruction`, as NVIDIA's
/// cvt.rn.satfinite and a correction. They are those of the OCP formats and of
/// MLIR's constant folding: one rounding to nearest even; what is too large
/// becomes NaN (f8E4M3FN) or infinity (f8E5M2). Other 8-bit floats, and other
/// roundings, are errors.
LogicalResult expandMinifloats(Operation *root, bool hasInstruction);

/// f64 to f32 such that a second rounding, to a shorter type, gives what one
/// rounding would have given: toward zero, and odd where that is inexact.
Value roundToOdd(ImplicitLocOpBuilder &b, Value x);

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_EXPANDMINIFLOATS_H
