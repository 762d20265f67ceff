//===- Session.cpp - what the C functions share -----------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Session.h"
#include "quant_ste/InitAll.h"
#include <atomic>
#include <cstring>

using namespace mlir;
using namespace mlir::quant_ste;

char *capi::copyString(StringRef text) {
  auto *copy = static_cast<char *>(std::malloc(text.size() + 1));
  if (copy) {
    std::memcpy(copy, text.data(), text.size());
    copy[text.size()] = 0;
  }
  return copy;
}

std::nullptr_t capi::fail(char **error, const Twine &message) {
  if (error)
    *error = copyString(message.str());
  return nullptr;
}

std::nullptr_t capi::fail(char **error, llvm::Error failure) {
  return fail(error, llvm::toString(std::move(failure)));
}

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

capi::CollectDiagnostics::CollectDiagnostics(MLIRContext &context)
    : handler(&context, [this](Diagnostic &d) {
        appendDiagnostic(text, d);
        return success();
      }) {}

/// Registration is global and costs milliseconds: once per process.
static const DialectRegistry &getRegistry() {
  static const DialectRegistry *registry = [] {
    auto *all = new DialectRegistry;
    registerEverything(*all);
    return all;
  }();
  return *registry;
}

std::unique_ptr<MLIRContext> capi::makeContext() {
  auto context = std::make_unique<MLIRContext>(
      getRegistry(), MLIRContext::Threading::DISABLED);
  context->printOpOnDiagnostic(false);
  return context;
}

static std::atomic<int32_t> debugging{0};

void quant_ste_set_debugging(int32_t flags) { debugging = flags; }

CompileOptions
capi::getCompileOptions(const quant_ste_compile_options *options) {
  CompileOptions compile;
  compile.load.perfMap = debugging & QUANT_STE_PERF_MAP;
  compile.load.debugger = debugging & QUANT_STE_DEBUGGER;
  compile.codegen.debugInfo = compile.load.debugger;
  if (!options)
    return compile;
  auto set = [](std::string &to, const char *from) {
    if (from)
      to = from;
  };
  set(compile.pipelineOptions, options->pipeline_options);
  set(compile.codegen.cpu, options->cpu);
  set(compile.codegen.features, options->features);
  if (options->opt_level_plus_one)
    compile.codegen.optLevel = options->opt_level_plus_one - 1;
  return compile;
}
