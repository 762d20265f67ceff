//===- TargetForms.h - what a processor has its own code for ----*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_LIB_EXECUTION_TARGETFORMS_H
#define QUANT_STE_LIB_EXECUTION_TARGETFORMS_H

namespace llvm {
class Module;
class TargetMachine;
} // namespace llvm

namespace mlir::quant_ste {

/// Gives each function what its processor does faster, with the same bits:
/// rounding to bf16 with AVX512_BF16, and to f16 in a form that can be stored
/// past the caches; whole numbers are divided by a reciprocal where it has
/// fused multiply-adds and bounds are known. What it has no instruction for,
/// conversions of f16 and rounding to whole numbers, is spelled out: LLVM would
/// call a function for each element. To be run before LLVM's passes.
void useTargetForms(llvm::Module &module, const llvm::TargetMachine &machine);

} // namespace mlir::quant_ste

#endif // QUANT_STE_LIB_EXECUTION_TARGETFORMS_H
