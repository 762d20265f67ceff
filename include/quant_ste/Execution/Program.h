//===- Program.h - compile a module and call it -----------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_EXECUTION_PROGRAM_H
#define QUANT_STE_EXECUTION_PROGRAM_H

#include "quant_ste/Execution/Object.h"
#include <functional>

namespace llvm::orc {
class LLJIT;
}

namespace mlir {
class PassManager;
}

namespace mlir::quant_ste {

/// What tools that look at this process from outside are told of its code.
struct LoadOptions {
  /// Append the names of functions to /tmp/perf-<pid>.map, for perf.
  bool perfMap = false;
  /// Register the code with gdb and lldb.
  bool debugger = false;
};

struct CompileOptions {
  /// "cpu" or empty: a processor, see `codegen`; "cuda" or "cuda:sm_90":
  /// kernels for an NVIDIA GPU, and `codegen` for the host.
  std::string target;
  /// Options of the lowering pipeline, as in a textual pass pipeline:
  /// "openmp=false".
  std::string pipelineOptions;
  /// Files with rules that the module declares; besides those that
  /// pipelineOptions name.
  std::vector<std::string> rules;
  CodegenOptions codegen;
  /// The only function to compile; empty: every public one.
  std::string function;
  LoadOptions load;
  /// Called before the passes run, for instrumentation.
  std::function<LogicalResult(PassManager &)> configurePasses;

  bool isForGpu() const;
};

/// Replaces the module's requests for derivatives by the derivatives. On
/// failure an error was emitted.
LogicalResult resolveDerivatives(ModuleOp module,
                                 const CompileOptions &options);

/// Lowers a module to the LLVM dialect. Results of these functions go where
/// the caller says, if Signature::hasDestination. On failure an error was
/// emitted.
LogicalResult lowerToLLVM(ModuleOp module, ArrayRef<Signature> functions,
                          const CompileOptions &options);

/// A call on arrays in the memory of a GPU.
struct DeviceCall {
  /// The number of the GPU; negative: that of the thread's context, else 0.
  int device = -1;
  /// A CUstream; null: the default one. The work is put on it, and nothing
  /// waits.
  void *stream = nullptr;
  /// Gives memory of the GPU for a result of this type and shape; null: there
  /// is none.
  function_ref<void *(unsigned result, const HostArray &like)> allocate;
};

class ObjectCache;

/// Compiled code in this process.
class Program {
public:
  /// Compiles the module in place. Callers' arrays are never written: function
  /// arguments are read-only unless the module says otherwise
  /// (`bufferization.writable`). On failure an error was emitted.
  static FailureOr<std::unique_ptr<Program>>
  compile(ModuleOp module, const CompileOptions &options = {});
  /// The same for a text (or bytecode) that `parse` parses, unless the cache
  /// knows it: then it is not called. `file` is the name of the text in line
  /// tables. What is found in the cache has been compiled with the same
  /// options.
  static FailureOr<std::unique_ptr<Program>>
  compile(const ObjectCache &cache, StringRef text, StringRef file,
          function_ref<ModuleOp()> parse, const CompileOptions &options);
  /// Links an object that emitObject made for these functions.
  static llvm::Expected<std::unique_ptr<Program>>
  load(std::unique_ptr<llvm::MemoryBuffer> object,
       std::vector<Signature> functions, const LoadOptions &options = {});
  ~Program();

  ArrayRef<Signature> getFunctions() const { return functions; }
  /// Whether the code was found, not made.
  bool isFromCache() const { return fromCache; }

  /// Checks the arguments against the signature, calls, and gives the results;
  /// scalars are arrays of rank 0. May be called from several threads at once.
  /// `outs`, if any, has for each tensor result a row-major array, which
  /// overlaps no other array, to hold it; these are among the results then.
  llvm::Expected<SmallVector<HostArray>>
  call(const Signature &function, ArrayRef<HostArray> arguments,
       ArrayRef<HostArray> outs = {}) const;

  bool isForGPU() const { return isForGpu; }
  /// The same for arrays that lie on a GPU, whose data are addresses there and
  /// have no gaps; those of scalars are the host's. Results lie where
  /// `call.allocate` said. The work may still be under way.
  llvm::Expected<SmallVector<HostArray>>
  callOnDevice(const Signature &function, ArrayRef<HostArray> arguments,
               const DeviceCall &call) const;
  /// Copies the arguments to the GPU and runs there, first some times to warm
  /// up: the milliseconds of each further run, by CUDA events.
  llvm::Expected<std::vector<double>>
  timeOnDevice(const Signature &function, ArrayRef<HostArray> arguments,
               unsigned warmups, unsigned runs) const;

  /// The compiled entry itself (see getEntryName), for callers that check the
  /// arguments. Null: the function cannot be called.
  void (*getEntry(const Signature &function) const)(void **) {
    return entries[&function - functions.data()];
  }

private:
  Program();
  llvm::Expected<SmallVector<HostArray>>
  callWithCopies(const Signature &function,
                 ArrayRef<HostArray> arguments) const;

  bool isForGpu = false;
  std::unique_ptr<llvm::orc::LLJIT> jit;
  std::vector<Signature> functions;
  std::vector<void (*)(void **)> entries; // null: cannot be called
  bool fromCache = false;
};

/// The number of threads that parallel loops of compiled code use from here
/// on, when called from this thread.
void setThreadCount(int count);

} // namespace mlir::quant_ste

#endif // QUANT_STE_EXECUTION_PROGRAM_H
