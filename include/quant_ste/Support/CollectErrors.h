//===- CollectErrors.h - what LLVM's code generation says -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_SUPPORT_COLLECTERRORS_H
#define QUANT_STE_SUPPORT_COLLECTERRORS_H

#include "llvm/IR/DiagnosticHandler.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/Support/raw_ostream.h"

namespace mlir::quant_ste {

/// Without a handler LLVM would exit the process on an error.
struct CollectErrors : llvm::DiagnosticHandler {
  std::string &errors;
  explicit CollectErrors(std::string &errors) : errors(errors) {}
  bool handleDiagnostics(const llvm::DiagnosticInfo &info) override {
    if (info.getSeverity() == llvm::DS_Error) {
      llvm::raw_string_ostream os(errors);
      llvm::DiagnosticPrinterRawOStream printer(os);
      os << (errors.empty() ? "" : "; ");
      info.print(printer);
    }
    return true;
  }
};

} // namespace mlir::quant_ste

#endif // QUANT_STE_SUPPORT_COLLECTERRORS_H
