//===- Options.h - the flags of qopt-run ------------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TOOLS_QOPT_RUN_OPTIONS_H
#define QUANT_STE_TOOLS_QOPT_RUN_OPTIONS_H

#include "quant_ste/Execution/Program.h"

namespace mlir::quant_ste::qopt_run {

struct Options {
  std::string inputFile;
  std::string function;
  std::vector<std::string> inputs, outputs;
  std::string inputParams, outputParams;
  std::string target, pipelineOptions;
  std::vector<std::string> rules;
  CodegenOptions codegen;
  LoadOptions load;
  bool cache = false;
  int threads = 0;
  int64_t maxElements = 0;
  bool reference = false;
  bool time = false;
  unsigned timeRuns = 20;
};

/// Exits with status 1 when a flag is not known or not well-formed.
void parseOptions(int argc, char **argv, Options &options);

} // namespace mlir::quant_ste::qopt_run

#endif // QUANT_STE_TOOLS_QOPT_RUN_OPTIONS_H
