//===- Passes.h - transformations -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_PASSES_H
#define QUANT_STE_TRANSFORMS_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Pass/Pass.h"
#include "quant_ste/Transforms/GpuTarget.h"

namespace mlir::quant_ste {

enum class DifferentiationMode { Reverse, Forward };

/// What quant-ste-plan-residuals weighs: bytes, bytes without computing
/// anything twice, or nothing.
enum class ResidualPolicy { minimal, speed, all };

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "quant_ste/Transforms/Passes.h.inc"

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_PASSES_H
