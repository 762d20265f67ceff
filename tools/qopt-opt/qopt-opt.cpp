//===- qopt-opt.cpp - mlir-opt with quant_ste -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "quant_ste/InitAll.h"
#include "quant_ste/Transforms/Passes.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace mlir;
namespace cl = llvm::cl;

/// mlir-opt, with quant-ste-link-rules before the passes asked for.
static LogicalResult linkAndRun(ArrayRef<std::string> rules, StringRef input,
                                StringRef output, DialectRegistry &registry) {
  MlirOptMainConfig config = MlirOptMainConfig::createFromCLOptions();
  config.setPassPipelineSetupFn([given = config, rules](PassManager &pm) {
    pm.addPass(
        quant_ste::createQuantSTELinkRulesPass({llvm::to_vector(rules)}));
    if (failed(given.setupPassPipeline(pm)))
      return failure();
    // --pass-pipeline does not add passes, it replaces them.
    if (!pm.empty() && pm.begin()->getArgument() == "quant-ste-link-rules")
      return success();
    llvm::errs() << "--rules: expected passes as flags of their own; in "
                    "--pass-pipeline, write quant-ste-link-rules{rules=...}\n";
    return failure();
  });
  std::string message;
  auto in = openInputFile(input, &message);
  auto out = in ? openOutputFile(output, &message) : nullptr;
  if (!out) {
    llvm::errs() << message << '\n';
    return failure();
  }
  if (failed(MlirOptMain(out->os(), std::move(in), registry, config)))
    return failure();
  out->keep();
  return success();
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  DialectRegistry registry;
  quant_ste::registerEverything(registry);
  cl::list<std::string> rules(
      "rules", cl::CommaSeparated, cl::value_desc("file.mlir,..."),
      cl::desc("Link the rules in these files before any other pass"));
  auto [input, output] = registerAndParseCLIOptions(
      argc, argv, "quant_ste modular optimizer driver\n", registry);
  return asMainReturnCode(rules.empty()
                              ? MlirOptMain(argc, argv, input, output, registry)
                              : linkAndRun(std::vector<std::string>(rules),
                                           input, output, registry));
}
