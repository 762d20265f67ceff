//===- qopt-run.cpp - compile and call a function ---------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Options.h"
#include "Progress.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Support/Timing.h"
#include "quant_ste/Execution/ArrayIO.h"
#include "quant_ste/Execution/ObjectCache.h"
#include "quant_ste/Execution/Reference.h"
#include "quant_ste/InitAll.h"
#include "quant_ste/Runtime/Matmul.h"
#include "quant_ste/Runtime/Report.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/WithColor.h"

using namespace mlir;
using namespace mlir::quant_ste;
using namespace mlir::quant_ste::qopt_run;

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

/// The path behind an `@`.
static llvm::Expected<StringRef> getPath(StringRef flag, StringRef value) {
  if (value.consume_front("@") && !value.empty())
    return value;
  return llvm::createStringError(
      "--" + flag + ": expected @ and a path, got '" + value + "'");
}

/// A file of type V2 or i8 is bf16 or index only if the function says so; the
/// function's word is taken for what numpy cannot spell.
static HostArray readAs(const ValueType &type, HostArray array) {
  if (type.element == ElementType::index &&
      array.getElementType() == ElementType::i64)
    return array.bitcast(type.element);
  return array;
}

static llvm::Expected<HostArray> readInput(const ValueType &type,
                                           StringRef value) {
  if (value.consume_front("@")) {
    auto array = readNpy(value);
    if (!array)
      return array.takeError();
    return readAs(type, std::move(*array));
  }
  return parseArray(value, type.element);
}

/// Arguments with a name come from --input-params, the others from --input, in
/// order.
static llvm::Expected<SmallVector<HostArray>>
readArguments(const Options &options, const Signature &function) {
  std::optional<NamedArrays> params;
  if (!options.inputParams.empty()) {
    auto path = getPath("input-params", options.inputParams);
    if (!path)
      return path.takeError();
    auto read = NamedArrays::readSafetensors(*path);
    if (!read)
      return read.takeError();
    params = std::move(*read);
  }
  size_t wanted = llvm::count_if(function.arguments, [&](const ValueType &t) {
    return !params || t.name.empty();
  });
  ArrayRef<std::string> inputs(options.inputs);
  if (inputs.size() != wanted)
    return llvm::createStringError(
        "@" + function.function + " : " + function.str() + " expects " +
        Twine(wanted) + " --input, got " + Twine(inputs.size()));

  SmallVector<HostArray> arguments;
  for (const ValueType &type : function.arguments) {
    bool isNamed = params && !type.name.empty();
    auto array =
        isNamed ? params->get(type.name) : readInput(type, inputs.front());
    if (!array)
      return array.takeError();
    if (!isNamed)
      inputs = inputs.drop_front();
    arguments.push_back(std::move(*array));
  }
  return arguments;
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

/// Which results go to --output-params; the others go to --output, in order.
static bool isParam(const Options &options, const ValueType &type) {
  return !options.outputParams.empty() && !type.name.empty();
}

/// Before anything runs: one --output per result, or none.
static llvm::Error checkOutputs(const Options &options,
                                const Signature &function) {
  for (StringRef output : options.outputs)
    if (auto path = getPath("output", output); !path)
      return path.takeError();
  if (!options.outputParams.empty())
    if (auto path = getPath("output-params", options.outputParams); !path)
      return path.takeError();
  size_t wanted = llvm::count_if(function.results, [&](const ValueType &t) {
    return !isParam(options, t);
  });
  if (!options.outputParams.empty() && wanted == function.results.size())
    return llvm::createStringError("--output-params: no result of @" +
                                   function.function + " has a quant_ste.name");
  if (options.outputs.empty() || options.outputs.size() == wanted)
    return llvm::Error::success();
  return llvm::createStringError("@" + function.function + " : " +
                                 function.str() + " has " + Twine(wanted) +
                                 " result(s) for --output, got " +
                                 Twine(options.outputs.size()));
}

static llvm::Error writeResults(const Options &options,
                                const Signature &function,
                                ArrayRef<HostArray> results) {
  std::vector<std::pair<std::string, HostArray>> params;
  ArrayRef<std::string> outputs(options.outputs);
  for (auto [i, type, array] : llvm::enumerate(function.results, results)) {
    if (isParam(options, type)) {
      params.emplace_back(type.name, array);
    } else if (!outputs.empty()) {
      if (auto error = writeNpy(StringRef(outputs.front()).drop_front(), array))
        return error;
      outputs = outputs.drop_front();
    } else {
      llvm::outs() << "result[" << i << "]: ";
      printArray(llvm::outs(), array, options.maxElements);
      llvm::outs() << '\n';
    }
  }
  if (!options.outputParams.empty())
    return writeSafetensors(StringRef(options.outputParams).drop_front(),
                            params);
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// main
//===----------------------------------------------------------------------===//

static int fail(const Twine &message) {
  llvm::WithColor::error(llvm::errs(), "qopt-run") << message << '\n';
  return 1;
}
static int fail(llvm::Error error) {
  return fail(llvm::toString(std::move(error)));
}

/// The progress line, and the loop's own reports, on one terminal.
static Progress progress;
static void report(int64_t epoch, float loss, float accuracy) {
  progress.erase();
  quant_ste_print_report(epoch, loss, accuracy);
}

static LogicalResult configurePasses(PassManager &pm) {
  if (failed(applyPassManagerCLOptions(pm)))
    return failure();
  applyDefaultTimingPassManagerCLOptions(pm);
  return success();
}

/// Runs the compiled function, or evaluates it when there is no program.
static FailureOr<SmallVector<HostArray>> call(const Program *program,
                                              ModuleOp module,
                                              const Signature &f,
                                              ArrayRef<HostArray> arguments) {
  if (!program)
    return evaluateReference(module.lookupSymbol<func::FuncOp>(f.function),
                             arguments);
  // Compiled code from a cache may have more functions than the one.
  auto compiled = selectFunction(program->getFunctions(), f.function);
  if (!compiled) {
    fail(compiled.takeError());
    return failure();
  }
  auto results = program->call(**compiled, arguments);
  if (!results) {
    fail(results.takeError());
    return failure();
  }
  return std::move(*results);
}

/// What computed the matrix products of this process, if there were any.
static void printProducts() {
  int64_t own, library;
  quant_ste_matmul_counts(&own, &library);
  if (own)
    llvm::errs() << ", " << own << " matrix products by the runtime's kernel ("
                 << quant_ste_matmul_path() << ")";
  if (library)
    llvm::errs() << ", " << library << " matrix products by "
                 << quant_ste_matmul_library();
}

/// How long the function takes on the GPU, without the copies of this program.
static LogicalResult printDeviceTimes(const Options &options,
                                      const Program &program,
                                      const Signature &f,
                                      ArrayRef<HostArray> arguments) {
  constexpr unsigned kWarmups = 3;
  auto compiled = selectFunction(program.getFunctions(), f.function);
  if (!compiled) {
    fail(compiled.takeError());
    return failure();
  }
  auto times =
      program.timeOnDevice(**compiled, arguments, kWarmups, options.timeRuns);
  if (!times) {
    fail(times.takeError());
    return failure();
  }
  if (times->empty())
    return success();
  llvm::sort(*times);
  llvm::errs() << llvm::format(
      "on the GPU min %.4f ms, median %.4f ms of %u runs (CUDA events)\n",
      times->front(), (*times)[times->size() / 2], options.timeRuns);
  return success();
}

static CompileOptions getCompileOptions(const Options &options) {
  CompileOptions compile;
  compile.target = options.target;
  compile.pipelineOptions = options.pipelineOptions;
  compile.rules = options.rules;
  compile.codegen = options.codegen;
  compile.function = options.function;
  compile.configurePasses = configurePasses;
  compile.load = options.load;
  compile.load.debugger = options.codegen.debugInfo;
  return compile;
}

/// The arguments of a call that can succeed, or none after an error message.
static std::optional<SmallVector<HostArray>> prepareCall(const Options &options,
                                                         const Signature &f) {
  auto prepare = [&]() -> llvm::Expected<SmallVector<HostArray>> {
    if (auto error = f.checkSupported())
      return error;
    if (auto error = checkOutputs(options, f))
      return error;
    auto arguments = readArguments(options, f);
    if (!arguments)
      return arguments.takeError();
    if (auto error = f.check(*arguments))
      return error;
    return arguments;
  };
  auto arguments = prepare();
  if (arguments)
    return std::move(*arguments);
  fail(arguments.takeError());
  return std::nullopt;
}

namespace {
/// What a run goes through: signature and arguments, then the code.
struct Run {
  const Options &options;
  CompileOptions compile;
  std::optional<Signature> function;
  std::optional<SmallVector<HostArray>> arguments;
  std::unique_ptr<Program> program; // null with --reference

  explicit Run(const Options &options)
      : options(options), compile(getCompileOptions(options)) {}

  /// Arguments are looked at before anything is compiled.
  LogicalResult prepare(ArrayRef<Signature> functions) {
    auto selected = selectFunction(functions, options.function);
    if (!selected) {
      fail(selected.takeError());
      return failure();
    }
    function = **selected;
    arguments = prepareCall(options, *function);
    return success(arguments.has_value());
  }
  LogicalResult build(ModuleOp module);
  LogicalResult buildCached(StringRef text, function_ref<ModuleOp()> parse);
};
} // namespace

LogicalResult Run::build(ModuleOp module) {
  if (!module || failed(prepare(getSignatures(module))))
    return failure(); // the reason has been said
  compile.function = function->function;
  progress.start("compiling @" + function->function);
  if (options.reference)
    return resolveDerivatives(module, compile);
  auto compiled = Program::compile(module, compile);
  if (succeeded(compiled))
    program = std::move(*compiled);
  return compiled;
}

LogicalResult Run::buildCached(StringRef text, function_ref<ModuleOp()> parse) {
  progress.start("compiling");
  auto compiled = Program::compile(
      ObjectCache(), text, options.inputFile,
      [&]() -> ModuleOp {
        ModuleOp module = parse();
        bool isFine = module && succeeded(prepare(getSignatures(module)));
        return isFine ? module : nullptr;
      },
      compile);
  if (failed(compiled))
    return failure();
  program = std::move(*compiled);
  return arguments ? success() : prepare(program->getFunctions());
}

static int run(const Options &options, DialectRegistry &registry) {
  std::string message;
  auto file = openInputFile(options.inputFile, &message);
  if (!file)
    return fail(message);
  StringRef text = file->getBuffer();
  auto sources = std::make_shared<llvm::SourceMgr>();
  sources->AddNewSourceBuffer(std::move(file), llvm::SMLoc());
  MLIRContext context(registry);
  context.printOpOnDiagnostic(false);
  SourceMgrDiagnosticHandler handler(*sources, &context);
  OwningOpRef<ModuleOp> module;
  std::string steps;
  Run job(options);
  auto addStep = [&](StringRef step, double seconds) {
    llvm::raw_string_ostream(steps) << llvm::format(
        "  %-16s%10.2f ms\n", step.str().c_str(), 1e3 * seconds);
  };
  if (options.time)
    job.compile.codegen.reportTime = addStep;
  auto parse = [&] {
    StepTimer timer(job.compile.codegen, "parsing");
    module = parseSourceFile<ModuleOp>(sources, &context);
    return module.get();
  };
  if (failed(options.cache && !options.reference ? job.buildCached(text, parse)
                                                 : job.build(parse())))
    return 1;
  double compileTime = progress.stop();

  const Signature &f = *job.function;
  quant_ste_set_report_hook(report);
  if (options.threads > 0)
    setThreadCount(options.threads);
  progress.start("running @" + f.function);
  auto results = call(job.program.get(), module.get(), f, *job.arguments);
  double runTime = progress.stop();
  if (failed(results))
    return 1;
  if (auto error = writeResults(options, f, *results))
    return fail(std::move(error));
  if (options.time) {
    llvm::errs() << llvm::format(
        "compile %.1f ms%s, run %.3f ms", compileTime,
        job.program && job.program->isFromCache() ? " (from the cache)" : "",
        runTime);
    printProducts();
    llvm::errs() << '\n' << steps;
    if (job.program && job.program->isForGPU() &&
        failed(printDeviceTimes(options, *job.program, f, *job.arguments)))
      return 1;
  }
  return 0;
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  DialectRegistry registry;
  registerEverything(registry);
  Options options;
  parseOptions(argc, argv, options);
  return run(options, registry);
}
