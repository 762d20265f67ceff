//===- Object.h - LLVM dialect to object code -------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_EXECUTION_OBJECT_H
#define QUANT_STE_EXECUTION_OBJECT_H

#include "mlir/Support/LLVM.h"
#include "quant_ste/Execution/Signature.h"
#include "quant_ste/Execution/Target.h"
#include "llvm/ADT/StringSet.h"

namespace llvm {
class LLVMContext;
class MemoryBuffer;
class Module;
} // namespace llvm

namespace mlir::quant_ste {

/// The symbol of the object's entry into a function: `void entry(void **slots)`
/// with one pointer per argument, then one per result. A slot of a tensor
/// points to a memref descriptor {allocated, aligned, offset, sizes, strides}
/// (offset and the rest int64_t), a slot of a scalar to the scalar. The
/// descriptor of a result is read if Signature::hasDestination, else written.
std::string getEntryName(StringRef function);

/// Compiles a module in the LLVM dialect to a position-independent object with
/// one entry per signature and no other visible definition. No two floating
/// point operations are contracted. On failure an error was emitted.
FailureOr<std::unique_ptr<llvm::MemoryBuffer>>
emitObject(ModuleOp module, ArrayRef<Signature> functions,
           const CodegenOptions &options);

//===----------------------------------------------------------------------===//
// The steps of it
//===----------------------------------------------------------------------===//

/// Translates a module in the LLVM dialect. On failure an error was emitted.
FailureOr<std::unique_ptr<llvm::Module>>
translateToLLVMIR(ModuleOp module, llvm::LLVMContext &context,
                  llvm::TargetMachine &machine);

enum class CodeFormat { Object, Assembly, LLVMIR };

/// Optimizes a module, of which only the `visible` definitions are seen from
/// outside, and writes it to `bytes`.
llvm::Error emitCode(llvm::Module &module, llvm::TargetMachine &machine,
                     const CodegenOptions &options, CodeFormat format,
                     const llvm::StringSet<> &visible,
                     SmallVectorImpl<char> &bytes);

} // namespace mlir::quant_ste

#endif // QUANT_STE_EXECUTION_OBJECT_H
