//===- Options.cpp - the flags of qopt-run ----------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Options.h"
#include "../ToolOptions.h"

#include "mlir/IR/AsmState.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/CommandLine.h"

using namespace mlir;
namespace cl = llvm::cl;

static constexpr const char *kOverview =
    "Compiles a function of a module and calls it.\n\n"
    "  qopt-run x.mlir --function=f --input=2x3xf32=1,2,3,4,5,6 --input=3\n";

void quant_ste::qopt_run::parseOptions(int argc, char **argv,
                                       Options &options) {
  static cl::OptionCategory category("Running");
  static cl::opt<std::string, true> inputFile(
      cl::Positional, cl::desc("<module.mlir, or - for standard input>"),
      cl::location(options.inputFile), cl::init("-"), cl::cat(category));
  static cl::opt<std::string, true> function(
      "function", cl::value_desc("name"), cl::location(options.function),
      cl::desc("The function to call; may be left out if only one is public"),
      cl::cat(category));
  static cl::list<std::string, std::vector<std::string>> inputs(
      "input", cl::value_desc("value"), cl::location(options.inputs),
      cl::desc("One argument, in order: 2x3xf32=1,2,3,4,5,6 | 4xf32=1.5 (all) "
               "| 4xf32 (zeros) | 3 | @file.npy"),
      cl::cat(category));
  static cl::list<std::string, std::vector<std::string>> outputs(
      "output", cl::value_desc("@file.npy"), cl::location(options.outputs),
      cl::desc("Where one result goes, in order; none: all are printed"),
      cl::cat(category));
  static cl::opt<std::string, true> inputParams(
      "input-params", cl::value_desc("@file.safetensors"),
      cl::location(options.inputParams),
      cl::desc("The arguments that have a quant_ste.name, by name"),
      cl::cat(category));
  static cl::opt<std::string, true> outputParams(
      "output-params", cl::value_desc("@file.safetensors"),
      cl::location(options.outputParams),
      cl::desc("Where the results that have a quant_ste.name go"),
      cl::cat(category));
  static cl::opt<int64_t, true> maxElements(
      "output-max-element-count", cl::value_desc("n"),
      cl::location(options.maxElements), cl::init(1024),
      cl::desc("Elements of a result to print (1024)"), cl::cat(category));
  static cl::opt<bool, true> reference(
      "reference", cl::location(options.reference),
      cl::desc("Do not compile: evaluate the gradient rules op by op"),
      cl::cat(category));
  static cl::opt<std::string, true> target(
      "target", cl::value_desc("cpu | cuda[:chip]"),
      cl::location(options.target), cl::init("cpu"),
      cl::desc("What runs it: this processor, or an NVIDIA GPU (cuda:sm_90)"),
      cl::cat(category));
  static cl::opt<std::string, true> pipelineOptions(
      "pipeline", cl::value_desc("options"),
      cl::location(options.pipelineOptions),
      cl::desc("Options of quant-ste-cpu-pipeline, \"openmp=false\", or of "
               "quant-ste-gpu-pipeline"),
      cl::cat(category));
  static cl::list<std::string, std::vector<std::string>> rules(
      "rules", cl::value_desc("file.mlir,..."), cl::location(options.rules),
      cl::CommaSeparated,
      cl::desc("Where the rules are that the module only declares"),
      cl::cat(category));
  static cl::opt<unsigned, true> optLevel(
      "O", cl::value_desc("0..3"), cl::Prefix,
      cl::location(options.codegen.optLevel), cl::init(2),
      cl::desc("Optimization level of code generation (2)"), cl::cat(category));
  static cl::opt<std::string, true> cpu(
      "mcpu", cl::value_desc("name"), cl::location(options.codegen.cpu),
      cl::desc("Processor to compile for (this one)"), cl::cat(category));
  static cl::opt<std::string, true> features(
      "mattr", cl::value_desc("+a,-b"), cl::location(options.codegen.features),
      cl::desc("Processor features to add or remove"), cl::cat(category));
  static cl::opt<int, true> threads(
      "thread-count", cl::value_desc("n"), cl::location(options.threads),
      cl::desc("Threads of parallel loops (all)"), cl::cat(category));
  static cl::opt<bool, true> time(
      "time", cl::location(options.time),
      cl::desc("Print compile and run time; on a GPU, of several further runs, "
               "by its own clock"),
      cl::cat(category));
  static cl::opt<unsigned, true> timeRuns(
      "time-runs", cl::value_desc("n"), cl::location(options.timeRuns),
      cl::init(20),
      cl::desc("Runs on a GPU that --time measures, after 3 to warm up (20)"),
      cl::cat(category));
  static cl::opt<bool, true> cache(
      "cache", cl::location(options.cache),
      cl::desc("Keep compiled code on disk, and use it: in "
               "$QUANT_STE_CACHE_DIR, else the user's cache directory"),
      cl::cat(category));
  static cl::opt<bool, true> debugInfo(
      "g", cl::location(options.codegen.debugInfo),
      cl::desc("Line tables that lead to the .mlir, known to gdb and lldb"),
      cl::cat(category));
  static cl::opt<bool, true> perfMap(
      "perf-map", cl::location(options.load.perfMap),
      cl::desc("Append the names of functions to /tmp/perf-<pid>.map"),
      cl::cat(category));
  parseToolOptions(argc, argv, category, kOverview);
}
