//===- Session.h - what the C functions share -------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_CAPI_SESSION_H
#define QUANT_STE_CAPI_SESSION_H

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "quant_ste-c/Execution.h"
#include "quant_ste/Execution/Program.h"

namespace mlir::quant_ste::capi {

/// A copy for the caller to free with quant_ste_error_free.
char *copyString(StringRef text);

/// Set the caller's message, and give what a function that failed returns.
std::nullptr_t fail(char **error, const Twine &message);
std::nullptr_t fail(char **error, llvm::Error failure);

/// Gathers errors as "<text>:3:8: error: ...", with notes, one a line.
struct CollectDiagnostics {
  explicit CollectDiagnostics(MLIRContext &context);
  std::string text;
  ScopedDiagnosticHandler handler;
};

/// A context that knows every dialect, without threads of its own.
std::unique_ptr<MLIRContext> makeContext();

/// `options` may be null.
CompileOptions getCompileOptions(const quant_ste_compile_options *options);

} // namespace mlir::quant_ste::capi

#endif // QUANT_STE_CAPI_SESSION_H
