//===- CInterface.h - functions of a module as functions of C ---*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// @f : (tensor<?xf32>, f32) -> tensor<?xf32> becomes
//
//   int f(const float *x, int64_t x_size0, float s, float *y);
//
// Described once: the header prints the description, the entry is built by it.
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_EXECUTION_CINTERFACE_H
#define QUANT_STE_EXECUTION_CINTERFACE_H

#include "mlir/IR/OwningOpRef.h"
#include "mlir/Support/LLVM.h"
#include "quant_ste/Execution/Signature.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include <vector>

namespace llvm {
class Module;
class SourceMgr;
} // namespace llvm

namespace mlir {
class AsmParserState;
} // namespace mlir

namespace mlir::quant_ste {

struct CpuidMask;

/// A parameter of a C function.
struct CParameter {
  enum Kind {
    Data,   ///< A pointer to elements, or to where a scalar result goes.
    Scalar, ///< An argument by value.
    Size,   ///< int64_t, of a dimension that the type leaves open.
    Stride, ///< int64_t, in elements.
    Workspace,      ///< void *: memory of the GPU.
    WorkspaceBytes, ///< int64_t: how many of them.
    Stream, ///< void *: a CUstream, on which a GPU does the work.
  };
  Kind kind;
  /// Which argument; results are counted after the arguments.
  unsigned value;
  unsigned dim = 0; // of Size and Stride
  std::string name;
};

/// An argument or result of a C function.
struct CValue {
  ValueType type;
  std::string name;
  bool isResult = false;
  /// An argument that is written to (`bufferization.writable = true`).
  bool isWritable = false;
  /// Has a stride for each dimension.
  bool hasStrides = false;
};

struct CFunction {
  /// As in C, prefix and all.
  std::string name;
  Signature signature;
  /// Arguments, then results.
  std::vector<CValue> values;
  std::vector<CParameter> parameters;

  bool isForGpu() const {
    return !parameters.empty() && parameters.back().kind == CParameter::Stream;
  }
  bool hasWorkspace() const {
    return llvm::any_of(parameters, [](const CParameter &p) {
      return p.kind == CParameter::Workspace;
    });
  }
  /// The function that says how many bytes of workspace this one needs. Of its
  /// parameters it has those that are sizes or scalars.
  std::string getQueryName() const { return name + "_workspace"; }
};

struct CInterfaceOptions {
  /// Put before the name of each function.
  std::string prefix;
  /// Every tensor has strides.
  bool strides = false;
  /// Tensors are in the memory of a GPU, and the last parameter is a stream.
  bool forGpu = false;
  /// On a GPU: the caller gives memory for temporary buffers, and each function
  /// has another that says how much.
  bool workspace = false;
  /// The only function to describe; empty: every public one.
  std::string function;
};

/// Parses a module and, where it is text, remembers what its values are called.
/// Null after an error, which was emitted.
OwningOpRef<ModuleOp> parseWithNames(llvm::SourceMgr &sources,
                                     MLIRContext &context,
                                     AsmParserState &names);

/// The public functions of a module in C. Arguments have the names that they
/// have in the text, which `names` knows (may be null), unless the attribute
/// `quant_ste.name` says another. A function that has no form in C is an error,
/// emitted there.
FailureOr<std::vector<CFunction>>
describeCFunctions(ModuleOp module, const AsmParserState *names,
                   const CInterfaceOptions &options);

/// What is wrong with a call; the low 4 bits of an error code. The rest numbers
/// the messages.
enum class CError {
  Null = 1,
  Size = 2,
  Alignment = 3,
  Overlap = 4,
  Memory = 5,
  Processor = 6,
  /// What it was, the CUDA runtime says.
  Device = 7,
};

/// The function of a library that explains error codes: "f_error".
std::string getErrorFunctionName(StringRef library);

/// Writes a header that declares the functions.
void writeCHeader(raw_ostream &os, StringRef library, StringRef source,
                  StringRef target, ArrayRef<CFunction> functions);

/// The functions, for programs that build calls from the description:
///
///   {"error": "net_error", "functions": [{"name": "f", "c_name": "net_f",
///     "signature": "(?xf32) -> (?xf32)",
///     "values": [{"name": "x", "type": "f32", "shape": [null], ...}, ...],
///     "parameters": [["data", 0], ["size", 0, 0], ["data", 1]]}]}
/// Those for a GPU have a parameter ["stream"], perhaps after ["workspace"] and
/// ["workspace_bytes"].
std::string describeAsJSON(StringRef library, ArrayRef<CFunction> functions);

/// Adds to an LLVM module, for each C function, a definition that checks what
/// it is given and calls one of the functions `name + suffixes[i]`, where i is
/// the last of the processors in `masks` that this is; and the function that
/// explains errors. No masks: not looked at. Several `chips`, as
/// quant_ste_cuda_choose takes them: the last that the GPU of the call can run.
/// Adds the names to `visible`.
LogicalResult buildCInterface(llvm::Module &module, StringRef library,
                              ArrayRef<CFunction> functions,
                              ArrayRef<std::string> suffixes,
                              ArrayRef<CpuidMask> masks,
                              ArrayRef<int32_t> chips,
                              llvm::StringSet<> &visible);

} // namespace mlir::quant_ste

#endif // QUANT_STE_EXECUTION_CINTERFACE_H
