//===- Phases.h - what pipelines have in common -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_PIPELINES_PHASES_H
#define QUANT_STE_PIPELINES_PHASES_H

#include "quant_ste/Pipelines/Pipelines.h"

namespace mlir::quant_ste::phases {

void cleanUp(OpPassManager &pm);
void addDifferentiate(OpPassManager &pm, const CpuPipelineOptions &options);
void addLinalg(OpPassManager &pm);
/// `productsToRuntime`: products will be calls of the runtime, in any layout.
/// `gatherWindows`: convolutions too, by quant-ste-gather-windows.
void addFuse(OpPassManager &pm, bool productsToRuntime,
             bool gatherWindows = false);
/// `reuseBuffers`: kernels may write over what they read.
void addBufferize(OpPassManager &pm, bool reuseBuffers);
void addLLVM(OpPassManager &pm, const CpuPipelineOptions &options);

} // namespace mlir::quant_ste::phases

#endif // QUANT_STE_PIPELINES_PHASES_H
