//===- Execution.cpp - compile and call from C ------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste-c/Execution.h"

#include "Session.h"
#include "mlir/AsmParser/AsmParserState.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "quant_ste/Execution/AheadOfTime.h"
#include "quant_ste/Execution/Kernels.h"
#include "quant_ste/Execution/ObjectCache.h"
#include "quant_ste/Execution/Reference.h"
#include "quant_ste/Runtime/Cuda.h"
#include "quant_ste/Transforms/GpuTarget.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include <cstring>
#include <dlfcn.h>

using namespace mlir;
using namespace mlir::quant_ste;
using namespace mlir::quant_ste::capi;

static_assert(QUANT_STE_F64 == static_cast<int>(ElementType::f64) &&
                  QUANT_STE_I64 == static_cast<int>(ElementType::i64) &&
                  QUANT_STE_INDEX == static_cast<int>(ElementType::index),
              "the C enumeration follows ElementType");

struct quant_ste_module {
  std::vector<Signature> functions;
  std::unique_ptr<Program> program;
  // Without a program: what is to be evaluated.
  std::unique_ptr<MLIRContext> context;
  OwningOpRef<ModuleOp> source;

  ArrayRef<Signature> getFunctions() const {
    return program ? program->getFunctions() : ArrayRef(functions);
  }
  const Signature *get(int32_t i) const {
    if (i < 0 || static_cast<size_t>(i) >= getFunctions().size())
      return nullptr;
    return &getFunctions()[i];
  }
};

struct quant_ste_results {
  SmallVector<HostArray> arrays;
  SmallVector<quant_ste_array> views;
};

void quant_ste_error_free(char *error) { std::free(error); }

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

static constexpr StringLiteral kTextName = "<text>";

namespace {
/// A module, and the context that it lives in: what that made unique goes when
/// compilation ends.
struct Source {
  std::unique_ptr<MLIRContext> context;
  std::optional<CollectDiagnostics> errors;
  OwningOpRef<ModuleOp> module;

  ModuleOp parse(StringRef text) {
    context = makeContext();
    errors.emplace(*context);
    module = parseSourceString<ModuleOp>(text, context.get(), kTextName);
    return module.get();
  }
  StringRef getErrors() const {
    return errors ? StringRef(errors->text) : StringRef();
  }
};
} // namespace

static quant_ste_module *compile(StringRef text,
                                 const quant_ste_compile_options *options,
                                 const ObjectCache *cache, char **error) {
  CompileOptions compile = getCompileOptions(options);
  Source source;
  auto module = std::make_unique<quant_ste_module>();
  if (options && options->reference) {
    if (!source.parse(text))
      return fail(error, source.getErrors());
    module->functions = getSignatures(*source.module);
    if (failed(resolveDerivatives(*source.module, compile)))
      return fail(error, source.getErrors());
    source.errors.reset();
    module->context = std::move(source.context);
    module->source = std::move(source.module);
    return module.release();
  }
  auto build = [&]() -> FailureOr<std::unique_ptr<Program>> {
    auto parse = [&] { return source.parse(text); };
    if (cache)
      return Program::compile(*cache, text, kTextName, parse, compile);
    ModuleOp parsed = parse();
    if (!parsed)
      return failure();
    return Program::compile(parsed, compile);
  };
  auto program = build();
  if (failed(program))
    return fail(error, source.getErrors());
  module->program = std::move(*program);
  return module.release();
}

quant_ste_module *quant_ste_compile(const char *text, size_t length,
                                    const quant_ste_compile_options *options,
                                    char **error) {
  return compile(StringRef(text, length), options, nullptr, error);
}

quant_ste_module *
quant_ste_compile_cached(const char *text, size_t length,
                         const quant_ste_compile_options *options,
                         const quant_ste_cache *cache, char **error) {
  ObjectCache objects(cache && cache->directory ? cache->directory : "",
                      cache && cache->max_bytes
                          ? cache->max_bytes
                          : ObjectCache::kDefaultMaxBytes);
  return compile(StringRef(text, length), options, &objects, error);
}

bool quant_ste_module_is_from_cache(const quant_ste_module *module) {
  return module->program && module->program->isFromCache();
}

void quant_ste_module_free(quant_ste_module *module) { delete module; }

//===----------------------------------------------------------------------===//
// Saving
//===----------------------------------------------------------------------===//

/// Beside this library.
static llvm::Expected<std::string> findRuntime() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void *>(&quant_ste_save), &info) ||
      !info.dli_fname)
    return llvm::createStringError("cannot tell where quant_ste is");
  return findRuntimeArchive("", llvm::sys::path::parent_path(info.dli_fname));
}

/// "ptx", "cubin" or "fatbin": the kernels of a GPU alone. Else empty.
static StringRef getKernelFormat(StringRef path) {
  StringRef suffix = llvm::sys::path::extension(path).drop_while(
      [](char c) { return c == '.'; });
  bool isOne = suffix == "ptx" || suffix == "cubin" || suffix == "fatbin";
  return isOne ? suffix : StringRef();
}

static LogicalResult saveKernels(ModuleOp module, const CompileOptions &options,
                                 StringRef path) {
  auto code = emitKernels(module, getKernelFormat(path), options);
  if (failed(code))
    return failure();
  if (auto error = writeFile(path, *code))
    return emitError(module.getLoc(), llvm::toString(std::move(error)));
  return success();
}

static LogicalResult save(ModuleOp module, ArrayRef<CFunction> functions,
                          LibraryOptions library, StringRef path,
                          StringRef header, StringRef linker) {
  auto format = getCodeFormat(path, library.compile.isForGpu());
  if (!format)
    return emitError(module.getLoc(), llvm::toString(format.takeError()));
  library.name = getLibraryName(path);
  library.describe = isSharedLibrary(path);
  if (library.describe)
    if (auto found = findLinker(linker); !found)
      return emitError(module.getLoc(), llvm::toString(found.takeError()));
  llvm::SmallString<0> bytes;
  if (failed(compileLibrary(module, functions, library, *format, bytes)))
    return failure();
  std::string text;
  llvm::raw_string_ostream os(text);
  writeCHeader(os, library.name, "a module", library.target.levels.front().name,
               functions);
  LinkOptions link;
  link.linker = linker.str();
  if (library.describe && library.compile.isForGpu()) {
    auto runtime = findRuntime();
    if (!runtime)
      return emitError(module.getLoc(), llvm::toString(runtime.takeError()));
    link.archive = *runtime;
  }
  llvm::Error error = writeLibrary(path, bytes, library, link);
  if (!error)
    error = writeFile(header, text);
  if (error)
    return emitError(module.getLoc(), llvm::toString(std::move(error)));
  return success();
}

/// Reads the target word, and leaves what compilation wants of it.
static llvm::Error setTarget(LibraryOptions &library) {
  CompileOptions &compile = library.compile;
  auto target =
      compile.isForGpu()
          ? parseGpuTarget(compile.target, compile.pipelineOptions,
                           compile.codegen)
          : CpuTarget::parse(compile.target.empty() ? "cpu" : compile.target,
                             compile.codegen);
  if (!target)
    return target.takeError();
  library.target = std::move(*target);
  if (!compile.isForGpu()) {
    compile.target.clear();
    compile.pipelineOptions =
        getLibraryPipelineOptions(compile.pipelineOptions);
  }
  return llvm::Error::success();
}

bool quant_ste_save(const char *text, size_t length,
                    const quant_ste_compile_options *options, const char *path,
                    const quant_ste_save_options *given, char **error) {
  auto get = [&](const char *quant_ste_save_options::*field) {
    return given && given->*field ? StringRef(given->*field) : StringRef();
  };
  LibraryOptions library;
  library.compile = getCompileOptions(options);
  if (StringRef word = get(&quant_ste_save_options::target); !word.empty())
    library.compile.target = word.str();
  bool isForGpu = library.compile.isForGpu();
  if (auto failure = setTarget(library)) {
    fail(error, std::move(failure));
    return false;
  }
  llvm::SmallString<128> header(get(&quant_ste_save_options::header));
  if (header.empty()) {
    header = path;
    llvm::sys::path::replace_extension(header, "h");
  }

  std::unique_ptr<MLIRContext> context = makeContext();
  CollectDiagnostics errors(*context);
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBuffer(StringRef(text, length), kTextName,
                                       /*RequiresNullTerminator=*/false),
      llvm::SMLoc());
  AsmParserState names;
  OwningOpRef<ModuleOp> module = parseWithNames(sources, *context, names);
  CInterfaceOptions c;
  c.prefix = get(&quant_ste_save_options::prefix).str();
  c.forGpu = isForGpu;
  auto isWritten = [&] {
    if (isForGpu && !getKernelFormat(path).empty())
      return succeeded(saveKernels(*module, library.compile, path));
    auto functions = describeCFunctions(*module, &names, c);
    return succeeded(functions) &&
           succeeded(save(*module, *functions, library, path, header,
                          get(&quant_ste_save_options::linker)));
  };
  if (module && isWritten())
    return true;
  fail(error, errors.text);
  return false;
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

int32_t quant_ste_module_function_count(const quant_ste_module *module) {
  return module->getFunctions().size();
}

const char *quant_ste_module_function_name(const quant_ste_module *module,
                                           int32_t function) {
  const Signature *signature = module->get(function);
  return signature ? signature->function.c_str() : nullptr;
}

int32_t quant_ste_module_lookup(const quant_ste_module *module,
                                const char *name, char **error) {
  auto function =
      selectFunction(module->getFunctions(), name ? name : StringRef());
  if (function)
    return *function - module->getFunctions().data();
  fail(error, function.takeError());
  return -1;
}

char *quant_ste_function_signature(const quant_ste_module *module,
                                   int32_t function) {
  const Signature *signature = module->get(function);
  return signature ? copyString(signature->str()) : nullptr;
}

int32_t quant_ste_function_argument_count(const quant_ste_module *module,
                                          int32_t function) {
  const Signature *signature = module->get(function);
  return signature ? signature->arguments.size() : 0;
}

int32_t quant_ste_function_result_count(const quant_ste_module *module,
                                        int32_t function) {
  const Signature *signature = module->get(function);
  return signature ? signature->results.size() : 0;
}

static bool getType(ArrayRef<ValueType> types, int32_t i,
                    quant_ste_value_type *type) {
  if (i < 0 || static_cast<size_t>(i) >= types.size())
    return false;
  const ValueType &value = types[i];
  *type = {static_cast<int32_t>(value.element),
           static_cast<int32_t>(value.shape.size()), value.shape.data(),
           value.name.c_str(), value.isScalar};
  return true;
}

bool quant_ste_function_argument(const quant_ste_module *module,
                                 int32_t function, int32_t argument,
                                 quant_ste_value_type *type) {
  const Signature *signature = module->get(function);
  return signature && getType(signature->arguments, argument, type);
}

bool quant_ste_function_result(const quant_ste_module *module, int32_t function,
                               int32_t result, quant_ste_value_type *type) {
  const Signature *signature = module->get(function);
  return signature && getType(signature->results, result, type);
}

quant_ste_entry quant_ste_function_entry(const quant_ste_module *module,
                                         int32_t function) {
  const Signature *signature = module->get(function);
  if (!signature || !module->program)
    return nullptr;
  return module->program->getEntry(*signature);
}

//===----------------------------------------------------------------------===//
// Calling
//===----------------------------------------------------------------------===//

static llvm::Error wrapArgument(const quant_ste_array &array,
                                SmallVectorImpl<HostArray> &to) {
  if (array.element_type < 0 || array.element_type > QUANT_STE_INDEX)
    return llvm::createStringError("unknown element type " +
                                   Twine(array.element_type));
  if (array.rank < 0 || (array.rank > 0 && !array.sizes))
    return llvm::createStringError("expected sizes for rank " +
                                   Twine(array.rank));
  ArrayRef<int64_t> sizes(array.sizes, array.rank);
  if (llvm::any_of(sizes, [](int64_t size) { return size < 0; }))
    return llvm::createStringError("a size is negative");
  std::optional<ArrayRef<int64_t>> strides;
  if (array.strides)
    strides = ArrayRef<int64_t>(array.strides, array.rank);
  to.push_back(HostArray::borrow(static_cast<ElementType>(array.element_type),
                                 sizes, array.data, strides));
  if (!array.data && to.back().getNumElements() != 0)
    return llvm::createStringError("no data for " + to.back().getTypeString());
  return llvm::Error::success();
}

static llvm::Expected<SmallVector<HostArray>>
call(const quant_ste_module &module, const Signature &signature,
     ArrayRef<HostArray> arguments, ArrayRef<HostArray> outs) {
  if (module.program)
    return module.program->call(signature, arguments, outs);
  if (!outs.empty())
    return llvm::createStringError("the evaluator writes to no caller's array");
  CollectDiagnostics errors(*module.context);
  auto function =
      ModuleOp(*module.source).lookupSymbol<func::FuncOp>(signature.function);
  auto results = evaluateReference(function, arguments);
  if (failed(results))
    return llvm::createStringError(errors.text);
  return std::move(*results);
}

static llvm::Expected<SmallVector<HostArray>>
wrapAll(StringRef what, const quant_ste_array *arrays, int32_t count) {
  SmallVector<HostArray> wrapped;
  wrapped.reserve(std::max(count, 0));
  for (int32_t i = 0; i < count; ++i)
    if (auto error = wrapArgument(arrays[i], wrapped))
      return llvm::createStringError(what + " #" + Twine(i) + ": " +
                                     llvm::toString(std::move(error)));
  return wrapped;
}

static quant_ste_array getView(const HostArray &array) {
  return {array.getData(), static_cast<int32_t>(array.getElementType()),
          static_cast<int32_t>(array.getRank()), array.getShape().data(),
          array.getStrides().data()};
}

static quant_ste_results *giveResults(SmallVector<HostArray> arrays) {
  auto *out = new quant_ste_results{std::move(arrays), {}};
  for (const HostArray &array : out->arrays)
    out->views.push_back(getView(array));
  return out;
}

quant_ste_results *quant_ste_call(const quant_ste_module *module,
                                  int32_t function,
                                  const quant_ste_array *arguments,
                                  int32_t num_arguments, char **error) {
  return quant_ste_call_into(module, function, arguments, num_arguments,
                             nullptr, 0, error);
}

quant_ste_results *quant_ste_call_into(const quant_ste_module *module,
                                       int32_t function,
                                       const quant_ste_array *arguments,
                                       int32_t num_arguments,
                                       const quant_ste_array *outs,
                                       int32_t num_outs, char **error) {
  const Signature *signature = module->get(function);
  if (!signature)
    return fail(error, "no function of index " + Twine(function));
  auto wrapped = wrapAll("argument", arguments, num_arguments);
  if (!wrapped)
    return fail(error, wrapped.takeError());
  auto wrappedOuts = wrapAll("out", outs, num_outs);
  if (!wrappedOuts)
    return fail(error, wrappedOuts.takeError());
  int32_t expected = llvm::count_if(
      signature->results, [](const ValueType &t) { return !t.isScalar; });
  if (num_outs != 0 && num_outs != expected)
    return fail(error, "expected out to have " + Twine(expected) +
                           " arrays, got " + Twine(num_outs));
  auto results = call(*module, *signature, *wrapped, *wrappedOuts);
  if (!results)
    return fail(error, results.takeError());
  return giveResults(std::move(*results));
}

quant_ste_results *quant_ste_call_on_device(const quant_ste_module *module,
                                            int32_t function,
                                            const quant_ste_array *arguments,
                                            int32_t num_arguments,
                                            const quant_ste_device_call *given,
                                            char **error) {
  const Signature *signature = module->get(function);
  if (!signature)
    return fail(error, "no function of index " + Twine(function));
  if (!module->program)
    return fail(error, "expected code for a GPU, got a module to evaluate");
  auto wrapped = wrapAll("argument", arguments, num_arguments);
  if (!wrapped)
    return fail(error, wrapped.takeError());
  auto allocate = [&](unsigned result, const HostArray &like) {
    quant_ste_array view = getView(like);
    return given->allocate(given->user, result, &view);
  };
  auto results = module->program->callOnDevice(
      *signature, *wrapped, DeviceCall{given->device, given->stream, allocate});
  if (!results)
    return fail(error, results.takeError());
  return giveResults(std::move(*results));
}

char *quant_ste_device_chip(int32_t device, char **error) {
  quant_ste_cuda_take_error();
  int32_t capability = quant_ste_cuda_capability(device);
  if (capability < 0)
    return fail(error, quant_ste_cuda_take_error());
  auto target = lookupGpuTarget(capability);
  if (target)
    return copyString((*target)->chip);
  fail(error, target.takeError());
  return nullptr;
}

int32_t quant_ste_results_count(const quant_ste_results *results) {
  return results->views.size();
}

const quant_ste_array *quant_ste_results_get(const quant_ste_results *results,
                                             int32_t result) {
  if (result < 0 || static_cast<size_t>(result) >= results->views.size())
    return nullptr;
  return &results->views[result];
}

void quant_ste_results_free(quant_ste_results *results) { delete results; }

void quant_ste_set_thread_count(int32_t count) { setThreadCount(count); }
