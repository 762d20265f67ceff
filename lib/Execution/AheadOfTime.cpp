//===- AheadOfTime.cpp - objects and libraries for C programs ---*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/AheadOfTime.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/FileUtilities.h"
#include "quant_ste/Pipelines/Pipelines.h"
#include "quant_ste/Runtime/JITSymbols.h"
#include "quant_ste/Transforms/GpuTarget.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/ToolOutputFile.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include <dlfcn.h>

using namespace mlir;
using namespace mlir::quant_ste;

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

/// What all levels share: the entry of each function, which finds out what the
/// processor can do.
static CodegenOptions getCommonCodegen(const CpuTarget &target) {
  CodegenOptions common = target.levels.front().codegen;
  common.features.clear();
  llvm::Triple triple(common.triple.empty() ? llvm::sys::getProcessTriple()
                                            : common.triple);
  common.cpu = triple.isX86_64() ? "x86-64" : "generic";
  return common;
}

/// Compilation says what is wrong with them.
static void parseOptions(StringRef options, GpuPipelineOptions &pipeline) {
  std::string ignored;
  llvm::raw_string_ostream errors(ignored);
  (void)pipeline.parseFromString(options, errors);
}

llvm::Expected<CpuTarget>
quant_ste::parseGpuTarget(StringRef word, StringRef pipelineOptions,
                          const CodegenOptions &base) {
  CodegenOptions host = base;
  host.cpu = llvm::Triple(llvm::sys::getProcessTriple()).isX86_64() ? "x86-64"
                                                                    : "generic";
  GpuPipelineOptions pipeline;
  parseOptions(pipelineOptions, pipeline);
  auto [kind, list] = word.split(':');
  if (kind != "cuda")
    return llvm::createStringError("expected cuda, cuda:sm_90 or "
                                   "cuda:sm_80+sm_90, got '" +
                                   word + "'");
  SmallVector<StringRef> names;
  if (word.contains(':'))
    llvm::SplitString(list, names, "+,");
  else
    names.push_back(pipeline.chip);
  if (names.empty())
    return llvm::createStringError("expected a chip after '" + word + "'");
  SmallVector<const GpuTarget *> targets;
  for (StringRef name : names) {
    auto target = lookupGpuTarget(name);
    if (!target)
      return target.takeError();
    if (llvm::is_contained(targets, *target))
      return llvm::createStringError("expected each chip once, got '" + word +
                                     "'");
    targets.push_back(*target);
  }
  // sm_90a after sm_90: it is the better one where it runs.
  llvm::sort(targets, [](const GpuTarget *a, const GpuTarget *b) {
    return std::pair(a->getCapability(), a->isForOneChip()) <
           std::pair(b->getCapability(), b->isForOneChip());
  });
  CpuTarget out;
  for (const GpuTarget *target : targets)
    out.levels.push_back({targets.size() == 1 ? "cuda" : target->chip.str(),
                          host, target->chip.str()});
  return out;
}

llvm::Expected<std::string> quant_ste::findRuntimeArchive(StringRef given,
                                                          StringRef directory) {
  llvm::SmallString<128> last(given);
  if (!given.empty() && llvm::sys::fs::exists(last))
    return last.str().str();
  for (StringRef folder : {".", "../lib"}) {
    if (!given.empty())
      break;
    last = directory;
    llvm::sys::path::append(last, folder, "libQuantSTERuntime.a");
    llvm::sys::path::remove_dots(last, /*remove_dot_dot=*/true);
    if (llvm::sys::fs::exists(last))
      return last.str().str();
  }
  return llvm::createStringError(
      "expected the runtime of quant_ste at '" + last +
      "'; give its path by --runtime, or write an object with -o f.o and link "
      "it to the runtime");
}

/// Every definition becomes that of one level, in name and in processor.
static void dedicate(llvm::Module &module, const llvm::TargetMachine &machine,
                     StringRef suffix) {
  for (llvm::Function &f : module) {
    if (f.isDeclaration())
      continue;
    f.setName(f.getName() + suffix);
    f.addFnAttr("target-cpu", machine.getTargetCPU());
    f.addFnAttr("target-features", machine.getTargetFeatureString());
  }
}

static FailureOr<std::unique_ptr<llvm::Module>>
compileLevel(ModuleOp source, ArrayRef<CFunction> functions, const Level &level,
             CompileOptions options, llvm::LLVMContext &context,
             StringRef suffix, llvm::TargetMachine &machine) {
  OwningOpRef<ModuleOp> module = source.clone();
  std::vector<Signature> signatures;
  for (const CFunction &f : functions)
    signatures.push_back(f.signature);
  options.codegen = level.codegen;
  if (!level.chip.empty())
    options.target = "cuda:" + level.chip;
  {
    StepTimer timer(options.codegen, "passes");
    if (failed(lowerToLLVM(*module, signatures, options)))
      return failure();
  }
  StepTimer timer(options.codegen, "translation");
  auto translated = translateToLLVMIR(*module, context, machine);
  if (succeeded(translated))
    dedicate(**translated, machine, suffix);
  return translated;
}

/// Code for one processor, this very one's architecture unless said otherwise,
/// is entered without a look at the processor if any of its kind can run it.
static SmallVector<CpuidMask>
getMasks(ArrayRef<std::unique_ptr<llvm::TargetMachine>> machines) {
  SmallVector<CpuidMask> masks;
  for (const auto &machine : machines)
    if (machine->getTargetTriple().isX86_64())
      masks.push_back(getCpuidMask(*machine));
  bool needsNothing =
      masks.size() == 1 && masks.front().xcr0 == 0 &&
      llvm::all_of(masks.front().words, [](uint32_t bits) { return !bits; });
  if (needsNothing)
    masks.clear();
  return masks;
}

/// A failed assertion in a program that has no runtime: the message goes to
/// stderr. Weak, so that the program may have its own.
static void defineAssertionFailed(llvm::Module &module,
                                  llvm::StringSet<> &visible) {
  llvm::Function *failed = module.getFunction("quant_ste_assertion_failed");
  if (!failed)
    return;
  visible.insert(failed->getName());
  failed->setLinkage(llvm::GlobalValue::WeakAnyLinkage);
  llvm::IRBuilder<> b(
      llvm::BasicBlock::Create(module.getContext(), "entry", failed));
  llvm::FunctionCallee print = module.getOrInsertFunction(
      "dprintf",
      llvm::FunctionType::get(b.getInt32Ty(), {b.getInt32Ty(), b.getPtrTy()},
                              /*isVarArg=*/true));
  llvm::FunctionCallee abort =
      module.getOrInsertFunction("abort", b.getVoidTy());
  constexpr int kStderr = 2;
  b.CreateCall(print, {b.getInt32(kStderr), b.CreateGlobalString("%s\n"),
                       failed->getArg(0)});
  b.CreateCall(abort);
  b.CreateUnreachable();
}

/// What quant_ste_cuda_choose is told of each chip.
static FailureOr<SmallVector<int32_t>>
getChipCodes(ModuleOp module, const CpuTarget &target, StringRef options) {
  enum { OfOneChip = 1, OfOneMajorVersion = 2 };
  SmallVector<int32_t> codes;
  if (target.levels.size() < 2)
    return codes;
  GpuPipelineOptions pipeline;
  parseOptions(options, pipeline);
  for (const Level &level : target.levels) {
    if (level.chip.empty())
      return codes;
    auto chip = lookupGpuTarget(StringRef(level.chip));
    if (!chip)
      return emitError(module.getLoc(), llvm::toString(chip.takeError()));
    int32_t code = 10 * (*chip)->getCapability();
    if ((*chip)->isForOneChip())
      code += OfOneChip;
    else if (pipeline.image == DeviceImage::Cubin)
      code += OfOneMajorVersion;
    codes.push_back(code);
  }
  return codes;
}

static void addDescription(llvm::Module &module, StringRef text,
                           llvm::StringSet<> &visible) {
  constexpr StringLiteral kName = "quant_ste_library";
  llvm::Constant *bytes =
      llvm::ConstantDataArray::getString(module.getContext(), text);
  new llvm::GlobalVariable(module, bytes->getType(), /*isConstant=*/true,
                           llvm::GlobalValue::ExternalLinkage, bytes, kName);
  visible.insert(kName);
}

LogicalResult quant_ste::compileLibrary(ModuleOp module,
                                        ArrayRef<CFunction> functions,
                                        const LibraryOptions &options,
                                        CodeFormat format,
                                        SmallVectorImpl<char> &bytes) {
  auto fail = [&](llvm::Error error) {
    return emitError(module.getLoc(), llvm::toString(std::move(error)));
  };
  unsigned optLevel = options.target.levels.front().codegen.optLevel;
  if (optLevel > 3)
    return emitError(module.getLoc(),
                     "expected an optimization level in 0..3, got ")
           << optLevel;
  auto common = createTargetMachine(getCommonCodegen(options.target));
  if (!common)
    return fail(common.takeError());
  llvm::LLVMContext context;
  llvm::Module whole(options.name, context);
  whole.setDataLayout((*common)->createDataLayout());
  whole.setTargetTriple((*common)->getTargetTriple());
  std::vector<std::string> suffixes;
  std::vector<std::unique_ptr<llvm::TargetMachine>> machines;
  for (const Level &level : options.target.levels) {
    auto machine = createTargetMachine(level.codegen);
    if (!machine)
      return fail(machine.takeError());
    suffixes.push_back("." + level.name);
    auto part = compileLevel(module, functions, level, options.compile, context,
                             suffixes.back(), **machine);
    if (failed(part))
      return failure();
    machines.push_back(std::move(*machine));
    if (llvm::Linker::linkModules(whole, std::move(*part)))
      return emitError(module.getLoc(), "cannot join the code of several "
                                        "processors");
  }
  llvm::StringSet<> visible;
  auto chips =
      getChipCodes(module, options.target, options.compile.pipelineOptions);
  if (failed(chips))
    return failure();
  SmallVector<CpuidMask> masks;
  if (!options.compile.isForGpu())
    masks = getMasks(machines);
  if (failed(buildCInterface(whole, options.name, functions, suffixes, masks,
                             *chips, visible)))
    return emitError(module.getLoc(),
                     "the pipeline changed how a function is called");
  defineAssertionFailed(whole, visible);
  if (options.describe)
    addDescription(whole, describeAsJSON(options.name, functions), visible);
  if (auto error =
          emitCode(whole, **common, options.target.levels.front().codegen,
                   format, visible, bytes))
    return fail(std::move(error));
  return success();
}

//===----------------------------------------------------------------------===//
// Linking
//===----------------------------------------------------------------------===//

llvm::Expected<std::string> quant_ste::findLinker(StringRef given) {
  if (!given.empty()) {
    auto path = llvm::sys::findProgramByName(given);
    if (path && llvm::sys::fs::can_execute(*path))
      return *path;
    return llvm::createStringError("no linker '" + given + "'");
  }
  for (StringRef name : {"clang-22", "clang", "cc", "gcc"})
    if (auto path = llvm::sys::findProgramByName(name))
      return *path;
  return llvm::createStringError(
      "linking a shared library takes clang, cc or gcc, and none is in PATH; "
      "write an object with -o f.o, or give one by --linker");
}

/// Unless given, beside what this function is in: a program, or libQuantSTE-C.
static llvm::Expected<std::string> findOwnRuntime(StringRef given) {
  std::string file;
  Dl_info here;
  if (dladdr(reinterpret_cast<void *>(&findOwnRuntime), &here) &&
      llvm::sys::fs::exists(here.dli_fname))
    file = here.dli_fname;
  else
    file = llvm::sys::fs::getMainExecutable(nullptr, nullptr);
  llvm::SmallString<128> path;
  (void)llvm::sys::fs::real_path(file, path);
  return findRuntimeArchive(given, llvm::sys::path::parent_path(path));
}

/// Does the object call the runtime's kernel for products?
static bool callsProducts(StringRef bytes) {
  auto object = llvm::object::ObjectFile::createObjectFile(
      llvm::MemoryBufferRef(bytes, "object"));
  if (!object) {
    llvm::consumeError(object.takeError());
    return false;
  }
  return llvm::any_of((*object)->symbols(), [](llvm::object::SymbolRef symbol) {
    auto name = llvm::expectedToOptional(symbol.getName());
    return name && *name == "quant_ste_matmul";
  });
}

llvm::Error quant_ste::linkSharedLibrary(StringRef object, StringRef library,
                                         const LinkOptions &options) {
  auto linker = findLinker(options.linker);
  if (!linker)
    return linker.takeError();
  SmallVector<std::string> arguments = {*linker, "-shared"};
  if (!options.triple.empty() &&
      StringRef(llvm::sys::path::filename(*linker)).contains("clang"))
    arguments.push_back("--target=" + options.triple);
  llvm::append_range(
      arguments,
      ArrayRef<std::string>{
          "-Wl,--as-needed", "-Wl,-z,noexecstack",
          ("-Wl,-soname," + llvm::sys::path::filename(library)).str(), "-o",
          library.str(), object.str()});
  if (!options.archive.empty())
    llvm::append_range(
        arguments,
        ArrayRef<std::string>{options.archive, "-Wl,--exclude-libs,ALL"});
  if (options.openmp) { // behind what may need it
    // By path: -lomp would need its development files in the usual places.
    const char *openmp = quant_ste_openmp_library();
    arguments.push_back(options.triple.empty() && openmp ? openmp : "-lomp");
  }
  if (!options.archive.empty())
    llvm::append_range(arguments, ArrayRef<std::string>{"-lstdc++", "-ldl"});
  arguments.push_back("-lm");

  llvm::SmallString<128> log;
  if (std::error_code error =
          llvm::sys::fs::createTemporaryFile("quant_ste", "log", log))
    return llvm::createStringError(error, "cannot create a temporary file");
  llvm::FileRemover removeLog(log);
  SmallVector<StringRef> refs(arguments.begin(), arguments.end());
  std::string message;
  int status = llvm::sys::ExecuteAndWait(
      *linker, refs, std::nullopt,
      {std::nullopt, StringRef(log), StringRef(log)},
      /*SecondsToWait=*/0, /*MemoryLimit=*/0, &message);
  if (status == 0)
    return llvm::Error::success();
  auto said = llvm::MemoryBuffer::getFile(log);
  StringRef output = said ? (*said)->getBuffer().rtrim() : StringRef();
  return llvm::createStringError(Twine(*linker) + " failed: " + message +
                                 (output.empty() ? "" : "\n") + output);
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

std::string quant_ste::getLibraryName(StringRef path) {
  std::string name = llvm::sys::path::stem(path).str();
  for (char &c : name)
    if (!llvm::isAlnum(c))
      c = '_';
  return llvm::isDigit(name.front()) || name.front() == '_' ? "qste" + name
                                                            : name;
}

bool quant_ste::isSharedLibrary(StringRef path) {
  return llvm::sys::path::extension(path) == ".so";
}

llvm::Expected<CodeFormat> quant_ste::getCodeFormat(StringRef path,
                                                    bool isForGpu) {
  StringRef suffix = llvm::sys::path::extension(path);
  if (suffix == ".o" || suffix == ".so")
    return CodeFormat::Object;
  if (suffix == ".s")
    return CodeFormat::Assembly;
  if (suffix == ".ll")
    return CodeFormat::LLVMIR;
  return llvm::createStringError(
      "expected a file that ends in .o, .so, .s" +
      Twine(isForGpu ? ", .ll, .ptx, .cubin or .fatbin" : " or .ll") +
      ", got '" + path + "'");
}

std::string quant_ste::getLibraryPipelineOptions(StringRef options) {
  // A product that calls the runtime would want its library beside the result.
  if (options.contains("matmul="))
    return options.str();
  return (options + (options.empty() ? "" : " ") + "matmul=inline").str();
}

llvm::Error quant_ste::writeFile(StringRef path, StringRef bytes) {
  std::string message;
  auto file = openOutputFile(path, &message);
  if (!file)
    return llvm::createStringError(message);
  file->os() << bytes;
  file->os().close();
  if (file->os().has_error()) {
    std::error_code error = file->os().error();
    file->os().clear_error();
    return llvm::createStringError("cannot write '" + path +
                                   "': " + error.message());
  }
  file->keep();
  return llvm::Error::success();
}

llvm::Error quant_ste::writeLibrary(StringRef path, StringRef bytes,
                                    const LibraryOptions &options,
                                    LinkOptions link) {
  if (!isSharedLibrary(path))
    return writeFile(path, bytes);
  llvm::SmallString<128> object;
  int fd;
  if (std::error_code error =
          llvm::sys::fs::createTemporaryFile("quant_ste", "o", fd, object))
    return llvm::createStringError(error, "cannot create a temporary file");
  llvm::FileRemover removeObject(object);
  {
    llvm::raw_fd_ostream os(fd, /*shouldClose=*/true);
    os << bytes;
  }
  link.triple = options.target.levels.front().codegen.triple;
  link.openmp = false;
  if (!options.compile.isForGpu()) {
    CpuPipelineOptions pipeline;
    std::string ignored;
    llvm::raw_string_ostream errors(ignored);
    // Compilation has said already what is wrong with them.
    (void)pipeline.parseFromString(options.compile.pipelineOptions, errors);
    link.openmp = pipeline.openmp;
    if (callsProducts(bytes)) {
      llvm::Triple host(llvm::sys::getDefaultTargetTriple());
      if (!link.triple.empty() &&
          llvm::Triple(link.triple).getArch() != host.getArch())
        return llvm::createStringError(
            "products by the runtime are for this machine's kind of processor "
            "(" +
            host.getArchName() +
            "): write an object with -o f.o and link it to the runtime, or "
            "leave them in the code (matmul=inline)");
      auto runtime = findOwnRuntime(link.archive);
      if (!runtime)
        return runtime.takeError();
      link.archive = *runtime;
      link.openmp = true;
    }
  }
  return linkSharedLibrary(object, path, link);
}
