//===- ToolOptions.h - command lines of our tools -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TOOLS_TOOLOPTIONS_H
#define QUANT_STE_TOOLS_TOOLOPTIONS_H

#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/CommandLine.h"

namespace mlir::quant_ste {

/// Parses a command line of the options in `category` and MLIR's own. Those
/// that LLVM's libraries have besides are not listed by --help.
inline void parseToolOptions(int argc, char **argv,
                             llvm::cl::OptionCategory &category,
                             StringRef overview) {
  registerMLIRContextCLOptions();
  registerAsmPrinterCLOptions();
  registerPassManagerCLOptions();
  registerDefaultTimingManagerCLOptions();
  for (auto &[name, option] : llvm::cl::getRegisteredOptions())
    if (!name.starts_with("mlir-") && name != "help" && name != "version" &&
        !llvm::is_contained(option->Categories, &category))
      option->setHiddenFlag(llvm::cl::ReallyHidden);
  llvm::cl::ParseCommandLineOptions(argc, argv, overview);
}

} // namespace mlir::quant_ste

#endif // QUANT_STE_TOOLS_TOOLOPTIONS_H
