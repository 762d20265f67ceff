//===- Execution.cpp - compile and call from C ------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste-c/Execution.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "quant_ste/Execution/Program.h"
#include "quant_ste/Execution/Reference.h"
#include "quant_ste/InitAll.h"
#include <cstring>

using namespace mlir;
using namespace mlir::quant_ste;

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

//===----------------------------------------------------------------------===//
// Strings and errors
//===----------------------------------------------------------------------===//

static char *copyString(StringRef text) {
  auto *copy = static_cast<char *>(std::malloc(text.size() + 1));
  if (copy) {
    std::memcpy(copy, text.data(), text.size());
    copy[text.size()] = 0;
  }
  return copy;
}

static std::nullptr_t fail(char **error, const Twine &message) {
  if (error)
    *error = copyString(message.str());
  return nullptr;
}

static std::nullptr_t fail(char **error, llvm::Error failure) {
  return fail(error, llvm::toString(std::move(failure)));
}

void quant_ste_error_free(char *error) { std::free(error); }

/// "<text>:3:8: error: ...", with notes, one a line.
static void appendDiagnostic(std::string &out, Diagnostic &diagnostic) {
  llvm::raw_string_ostream os(out);
  auto append = [&](Diagnostic &d, StringRef severity) {
    if (!out.empty())
      os << '\n';
    auto at = d.getLocation()->findInstanceOf<FileLineColLoc>();
    if (at && at.getLine() != 0) // 0: the whole module
      os << at.getFilename().getValue() << ':' << at.getLine() << ':'
         << at.getColumn() << ": ";
    os << severity << ": " << d;
  };
  if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
    return;
  append(diagnostic, "error");
  for (Diagnostic &note : diagnostic.getNotes())
    append(note, "note");
}

namespace {
struct CollectDiagnostics {
  std::string text;
  ScopedDiagnosticHandler handler;
  explicit CollectDiagnostics(MLIRContext &context)
      : handler(&context, [this](Diagnostic &d) {
          appendDiagnostic(text, d);
          return success();
        }) {}
};
} // namespace

//===----------------------------------------------------------------------===//
// Compiling
//===----------------------------------------------------------------------===//

/// Registration is global and costs milliseconds: once per process.
static const DialectRegistry &getRegistry() {
  static const DialectRegistry *registry = [] {
    auto *all = new DialectRegistry;
    registerEverything(*all);
    return all;
  }();
  return *registry;
}

quant_ste_module *quant_ste_compile(const char *text, size_t length,
                                    const quant_ste_compile_options *options,
                                    char **error) {
  CompileOptions compile;
  if (options) {
    auto set = [](std::string &to, const char *from) {
      if (from)
        to = from;
    };
    set(compile.target, options->target);
    set(compile.pipelineOptions, options->pipeline_options);
    set(compile.codegen.cpu, options->cpu);
    set(compile.codegen.features, options->features);
    if (options->opt_level_plus_one)
      compile.codegen.optLevel = options->opt_level_plus_one - 1;
  }
  // A context of its own: what it made unique goes when compilation ends.
  auto context = std::make_unique<MLIRContext>(
      getRegistry(), MLIRContext::Threading::DISABLED);
  context->printOpOnDiagnostic(false);
  CollectDiagnostics errors(*context);
  auto source = parseSourceString<ModuleOp>(StringRef(text, length),
                                            context.get(), "<text>");
  if (!source)
    return fail(error, errors.text);
  auto module = std::make_unique<quant_ste_module>();
  if (options && options->reference) {
    module->functions = getSignatures(*source);
    if (failed(resolveDerivatives(*source, compile)))
      return fail(error, errors.text);
    module->context = std::move(context);
    module->source = std::move(source);
    return module.release();
  }
  auto program = Program::compile(*source, compile);
  if (failed(program))
    return fail(error, errors.text);
  module->program = std::move(*program);
  return module.release();
}

void quant_ste_module_free(quant_ste_module *module) { delete module; }

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

static llvm::Expected<HostArray> wrapArgument(const quant_ste_array &array) {
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
  HostArray wrapped = HostArray::borrow(
      static_cast<ElementType>(array.element_type), sizes, array.data, strides);
  if (!array.data && wrapped.getNumElements() != 0)
    return llvm::createStringError("no data for " + wrapped.getTypeString());
  return wrapped;
}

static llvm::Expected<SmallVector<HostArray>>
call(const quant_ste_module &module, const Signature &signature,
     ArrayRef<HostArray> arguments) {
  if (module.program)
    return module.program->call(signature, arguments);
  CollectDiagnostics errors(*module.context);
  auto function =
      ModuleOp(*module.source).lookupSymbol<func::FuncOp>(signature.function);
  auto results = evaluateReference(function, arguments);
  if (failed(results))
    return llvm::createStringError(errors.text);
  return std::move(*results);
}

quant_ste_results *quant_ste_call(const quant_ste_module *module,
                                  int32_t function,
                                  const quant_ste_array *arguments,
                                  int32_t num_arguments, char **error) {
  const Signature *signature = module->get(function);
  if (!signature)
    return fail(error, "no function of index " + Twine(function));
  SmallVector<HostArray> wrapped;
  for (int32_t i = 0; i < num_arguments; ++i) {
    auto array = wrapArgument(arguments[i]);
    if (!array)
      return fail(error, "argument #" + Twine(i) + ": " +
                             llvm::toString(array.takeError()));
    wrapped.push_back(std::move(*array));
  }
  auto results = call(*module, *signature, wrapped);
  if (!results)
    return fail(error, results.takeError());
  auto *out = new quant_ste_results{std::move(*results), {}};
  for (const HostArray &array : out->arrays)
    out->views.push_back({array.getData(),
                          static_cast<int32_t>(array.getElementType()),
                          static_cast<int32_t>(array.getRank()),
                          array.getShape().data(), array.getStrides().data()});
  return out;
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
