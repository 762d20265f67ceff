//===- AheadOfTime.h - objects and libraries for C programs -----*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_EXECUTION_AHEADOFTIME_H
#define QUANT_STE_EXECUTION_AHEADOFTIME_H

#include "quant_ste/Execution/CInterface.h"
#include "quant_ste/Execution/Program.h"

namespace mlir::quant_ste {

struct LibraryOptions {
  /// Of every level; `codegen` is not looked at.
  CompileOptions compile;
  CpuTarget target;
  /// The name that the function for errors starts with.
  std::string name;
  /// Whether the constant `quant_ste_library` describes the functions
  /// (describeAsJSON), for who loads the code without its header. At most one
  /// object of a program has it.
  bool describe = false;
};

/// "lib/my-net.so" gives "my_net".
std::string getLibraryName(StringRef path);

/// By the suffix; a shared library starts as an object.
llvm::Expected<CodeFormat> getCodeFormat(StringRef path, bool isForGpu = false);
bool isSharedLibrary(StringRef path);

/// Options of the pipeline with which code needs nothing of quant_ste, unless
/// they say so.
std::string getLibraryPipelineOptions(StringRef options);

/// Compiles the functions of a module, which is not changed, for each level of
/// the target, and writes code with a C interface to `bytes`. On failure an
/// error was emitted.
LogicalResult compileLibrary(ModuleOp module, ArrayRef<CFunction> functions,
                             const LibraryOptions &options, CodeFormat format,
                             SmallVectorImpl<char> &bytes);

/// Code for GPUs, `cuda`, `cuda:sm_90` or `cuda:sm_80+sm_90` (or with commas),
/// with the host, any processor of this machine's kind, as codegen. Plain
/// `cuda` is the chip that the options of the pipeline say. In the order of the
/// chips; a call takes the last that the GPU can run.
llvm::Expected<CpuTarget> parseGpuTarget(StringRef word,
                                         StringRef pipelineOptions,
                                         const CodegenOptions &base);

/// The runtime that shared libraries for GPUs contain, libQuantSTERuntime.a:
/// `given`, else in the directory of a program or library, or in ../lib of
/// that.
llvm::Expected<std::string> findRuntimeArchive(StringRef given,
                                               StringRef directory);

/// A program that links, "clang" or "cc", and what to say when there is none.
llvm::Expected<std::string> findLinker(StringRef given);

struct LinkOptions {
  /// A path; empty: what findLinker finds.
  std::string linker;
  /// For another machine than this one.
  std::string triple;
  /// Whether code uses the threads of OpenMP.
  bool openmp = true;
  /// An archive in C++ that goes in too, of which nothing is seen from outside.
  std::string archive;
};

/// Links an object to a shared library that needs nothing but libm, libc and,
/// if asked for, LLVM's OpenMP.
llvm::Error linkSharedLibrary(StringRef object, StringRef library,
                              const LinkOptions &options);

/// Writes a file, whole or not at all.
llvm::Error writeFile(StringRef path, StringRef bytes);

/// Writes what compileLibrary made; a path that ends in .so is linked, as
/// `link` says but for what follows from `options`: its triple, and OpenMP.
/// What calls the runtime contains it.
llvm::Error writeLibrary(StringRef path, StringRef bytes,
                         const LibraryOptions &options, LinkOptions link);

} // namespace mlir::quant_ste

#endif // QUANT_STE_EXECUTION_AHEADOFTIME_H
