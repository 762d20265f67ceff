//===- Kernels.h - the kernels of a module as a file ------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_EXECUTION_KERNELS_H
#define QUANT_STE_EXECUTION_KERNELS_H

#include "quant_ste/Execution/Program.h"

namespace mlir::quant_ste {

/// Compiles the kernels of a module for the target "cuda" or "cuda:sm_90", to
/// "ptx", "cubin" or "fatbin"; the last two need a CUDA toolkit. On failure an
/// error was emitted.
FailureOr<std::string> emitKernels(ModuleOp module, StringRef kind,
                                   const CompileOptions &options);

} // namespace mlir::quant_ste

#endif // QUANT_STE_EXECUTION_KERNELS_H
