//===- qopt-compile.cpp - objects and libraries for C programs --*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../ToolOptions.h"
#include "mlir/AsmParser/AsmParserState.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Support/Timing.h"
#include "quant_ste/Execution/AheadOfTime.h"
#include "quant_ste/Execution/Kernels.h"
#include "quant_ste/InitAll.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Support/WithColor.h"

using namespace mlir;
using namespace mlir::quant_ste;
namespace cl = llvm::cl;

//===----------------------------------------------------------------------===//
// Flags
//===----------------------------------------------------------------------===//

static constexpr const char *kOverview =
    "Compiles the public functions of a module for C programs.\n\n"
    "  qopt-compile f.mlir --target=cpu:x86-64-v2+x86-64-v4 -o f.so\n\n"
    "writes f.so and f.h.\n";

namespace {
struct Options {
  std::string inputFile, output, header, target, linker, runtime;
  CInterfaceOptions c;
  CompileOptions compile;
  bool time = false;
};
} // namespace

static void parseOptions(int argc, char **argv, Options &options) {
  static cl::OptionCategory category("Compiling");
  static cl::opt<std::string, true> inputFile(
      cl::Positional, cl::desc("<module.mlir, or - for standard input>"),
      cl::location(options.inputFile), cl::init("-"), cl::cat(category));
  static cl::opt<std::string, true> output(
      "o", cl::value_desc("f.o|f.so|f.s|f.ll|f.ptx|f.cubin|f.fatbin"),
      cl::location(options.output),
      cl::desc("What to write: an object, a shared library, assembly, LLVM IR, "
               "or the kernels of a GPU alone"),
      cl::cat(category));
  static cl::opt<std::string, true> header(
      "header", cl::value_desc("f.h"), cl::location(options.header),
      cl::desc("Where the C header goes (beside the output)"),
      cl::cat(category));
  static cl::opt<std::string, true> target(
      "target", cl::value_desc("word"), cl::location(options.target),
      cl::init("cpu"),
      cl::desc("cpu (this machine's), x86_64 or aarch64; with :processor or "
               ":processor,feature,-feature; several joined by + are chosen "
               "from when the program is loaded. cuda or cuda:sm_90: an NVIDIA "
               "GPU; cuda:sm_80+sm_90: the last that the GPU of a call can "
               "run"),
      cl::cat(category));
  static cl::opt<std::string, true> function(
      "function", cl::value_desc("name"), cl::location(options.c.function),
      cl::desc("The only function to compile (every public one)"),
      cl::cat(category));
  static cl::opt<std::string, true> prefix(
      "prefix", cl::value_desc("text"), cl::location(options.c.prefix),
      cl::desc("Put before the name of each function"), cl::cat(category));
  static cl::opt<bool, true> strides("strides", cl::location(options.c.strides),
                                     cl::desc("Arrays have strides"),
                                     cl::cat(category));
  static cl::opt<bool, true> workspace(
      "workspace", cl::location(options.c.workspace),
      cl::desc("On a GPU: the caller gives memory for temporary buffers, and "
               "f_workspace says how much f needs"),
      cl::cat(category));
  static cl::opt<bool, true> debugInfo(
      "g", cl::location(options.compile.codegen.debugInfo),
      cl::desc("Line tables that lead to the .mlir"), cl::cat(category));
  static cl::opt<std::string, true> pipelineOptions(
      "pipeline", cl::value_desc("options"),
      cl::location(options.compile.pipelineOptions),
      cl::desc("Options of quant-ste-cpu-pipeline, \"openmp=false\"; "
               "matmul is inline unless said, so that nothing of quant_ste "
               "need be linked. Of quant-ste-gpu-pipeline for --target=cuda"),
      cl::cat(category));
  static cl::list<std::string, std::vector<std::string>> rules(
      "rules", cl::value_desc("file.mlir,..."),
      cl::location(options.compile.rules), cl::CommaSeparated,
      cl::desc("Where the rules are that the module only declares"),
      cl::cat(category));
  static cl::opt<unsigned, true> optLevel(
      "O", cl::value_desc("0..3"), cl::Prefix,
      cl::location(options.compile.codegen.optLevel), cl::init(2),
      cl::desc("Optimization level of code generation (2)"), cl::cat(category));
  static cl::opt<std::string, true> runtime(
      "runtime", cl::value_desc("libQuantSTERuntime.a"),
      cl::location(options.runtime),
      cl::desc("The runtime, which shared libraries contain if they call it "
               "(that of this qopt-compile)"),
      cl::cat(category));
  static cl::opt<std::string, true> linker(
      "linker", cl::value_desc("path"), cl::location(options.linker),
      cl::desc("The clang, cc or gcc that links shared libraries"),
      cl::cat(category));
  static cl::opt<bool, true> time("time", cl::location(options.time),
                                  cl::desc("Print how long each step took"),
                                  cl::cat(category));
  parseToolOptions(argc, argv, category, kOverview);
  options.compile.target = options.target;
  options.c.forGpu = options.compile.isForGpu();
  if (options.c.forGpu)
    return;
  options.compile.target.clear();
  options.compile.pipelineOptions =
      getLibraryPipelineOptions(options.compile.pipelineOptions);
}

//===----------------------------------------------------------------------===//
// Output
//===----------------------------------------------------------------------===//

static int fail(const Twine &message) {
  llvm::WithColor::error(llvm::errs(), "qopt-compile") << message << '\n';
  return 1;
}
static int fail(llvm::Error error) {
  return fail(llvm::toString(std::move(error)));
}

/// "ptx", "cubin" or "fatbin": the kernels alone. Else empty.
static StringRef getKernelFormat(StringRef output) {
  StringRef suffix = llvm::sys::path::extension(output);
  suffix.consume_front(".");
  bool isOne = suffix == "ptx" || suffix == "cubin" || suffix == "fatbin";
  return isOne ? suffix : StringRef();
}

//===----------------------------------------------------------------------===//
// main
//===----------------------------------------------------------------------===//

static LogicalResult configurePasses(PassManager &pm) {
  if (failed(applyPassManagerCLOptions(pm)))
    return failure();
  applyDefaultTimingPassManagerCLOptions(pm);
  return success();
}

static void printStep(StringRef step, double seconds) {
  llvm::errs() << llvm::format("  %-16s%10.2f ms\n", step.str().c_str(),
                               1e3 * seconds);
}

static llvm::Expected<std::string> findRuntime(StringRef given) {
  static int here;
  std::string program = llvm::sys::fs::getMainExecutable("qopt-compile", &here);
  return findRuntimeArchive(given, llvm::sys::path::parent_path(program));
}

static llvm::Expected<CpuTarget> getTarget(Options &options) {
  if (options.c.forGpu && options.c.strides)
    return llvm::createStringError(
        "--strides: expected a processor as target, got '" + options.target +
        "': arrays on a GPU are row-major");
  if (options.c.workspace && !options.c.forGpu)
    return llvm::createStringError(
        "--workspace: expected a GPU as target, got '" + options.target +
        "': on a processor temporary buffers come from malloc");
  auto target =
      options.c.forGpu
          ? parseGpuTarget(options.target, options.compile.pipelineOptions,
                           options.compile.codegen)
          : CpuTarget::parse(options.target, options.compile.codegen);
  if (!target)
    return llvm::createStringError("--target: " +
                                   llvm::toString(target.takeError()));
  return target;
}

static int writeKernels(const Options &options, ModuleOp module) {
  CompileOptions compile = options.compile;
  compile.function = options.c.function;
  compile.configurePasses = configurePasses;
  FailureOr<std::string> code =
      emitKernels(module, getKernelFormat(options.output), compile);
  if (failed(code))
    return 1;
  if (auto error = writeFile(options.output, *code))
    return fail(std::move(error));
  return 0;
}

static int run(Options &options, DialectRegistry &registry) {
  if (options.time)
    options.compile.codegen.reportTime = printStep;
  if (options.output.empty())
    return fail("expected -o and a file");
  bool hasHost = !options.c.forGpu || getKernelFormat(options.output).empty();
  llvm::Expected<CodeFormat> format = CodeFormat::Object;
  if (hasHost)
    format = getCodeFormat(options.output, options.c.forGpu);
  if (!format)
    return fail("-o: " + llvm::toString(format.takeError()));
  auto target = getTarget(options);
  if (!target)
    return fail(target.takeError());
  bool isShared = isSharedLibrary(options.output);
  if (isShared && options.c.forGpu) {
    auto runtime = findRuntime(options.runtime);
    if (!runtime)
      return fail(runtime.takeError());
    options.runtime = *runtime;
  }
  if (isShared)
    if (auto linker = findLinker(options.linker); !linker)
      return fail(linker.takeError());

  std::string message;
  auto file = openInputFile(options.inputFile, &message);
  if (!file)
    return fail(message);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(file), llvm::SMLoc());
  MLIRContext context(registry);
  context.printOpOnDiagnostic(false);
  SourceMgrDiagnosticHandler handler(sources, &context);
  AsmParserState names;
  OwningOpRef<ModuleOp> module = parseWithNames(sources, context, names);
  if (!module)
    return 1; // the parser has said why
  if (!hasHost)
    return writeKernels(options, *module);
  auto functions = describeCFunctions(*module, &names, options.c);
  if (failed(functions))
    return 1;

  LibraryOptions library;
  library.compile = options.compile;
  library.compile.function = options.c.function;
  library.compile.configurePasses = configurePasses;
  library.target = *target;
  library.name = getLibraryName(options.output);
  library.describe = isShared;
  llvm::SmallString<0> bytes;
  if (failed(compileLibrary(*module, *functions, library, *format, bytes)))
    return 1;

  llvm::SmallString<128> header(options.header);
  if (header.empty()) {
    header = options.output;
    llvm::sys::path::replace_extension(header, "h");
  }
  std::string text;
  llvm::raw_string_ostream os(text);
  StringRef source = options.inputFile == "-"
                         ? "standard input"
                         : llvm::sys::path::filename(options.inputFile);
  writeCHeader(os, library.name, source, options.target, *functions);
  if (auto error = writeFile(header, text))
    return fail(std::move(error));
  LinkOptions link;
  link.linker = options.linker;
  link.archive = options.runtime;
  if (auto error = writeLibrary(options.output, bytes, library, link))
    return fail(std::move(error));
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
