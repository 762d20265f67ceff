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
#include <memory>

namespace llvm {
class Error;
class MemoryBuffer;
} // namespace llvm

namespace mlir::quant_ste {

struct CodegenOptions {
  /// 0 to 3, as in clang -O.
  unsigned optLevel = 2;
  /// As in llc -mcpu and -mattr; empty: this machine's.
  std::string cpu;
  std::string features;
};

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

/// An error when this machine lacks an instruction set that code compiled with
/// these options may use.
llvm::Error checkRunsHere(const CodegenOptions &options);

} // namespace mlir::quant_ste

#endif // QUANT_STE_EXECUTION_OBJECT_H
