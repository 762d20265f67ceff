//===- Lowering.cpp - from quant_ste to the LLVM dialect --------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/Program.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/Transforms/Passes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "quant_ste/Pipelines/Pipelines.h"
#include "quant_ste/Support/UpdateAttrs.h"

using namespace mlir;
using namespace mlir::quant_ste;

/// One function wanted: the others need not be compiled unless it calls them.
static void keepOnly(ModuleOp module, StringRef name) {
  for (auto f : module.getOps<func::FuncOp>())
    if (f.isPublic() && !f.isExternal() && f.getName() != name)
      f.setPrivate();
}

/// Signatures have been read; no later pass knows the names of values.
static void dropNames(func::FuncOp f) {
  auto drop = [](unsigned, NamedAttrList &own) { own.erase("quant_ste.name"); };
  updateArgAttrs(f, drop);
  updateResultAttrs(f, drop);
}

/// `last` is where to stop, `whole` the last phase there is.
template <class Pipeline, class Phase>
static LogicalResult runPipeline(ModuleOp module, const CompileOptions &options,
                                 Phase last, Phase whole, StringRef chip,
                                 void (*build)(OpPassManager &,
                                               const Pipeline &)) {
  Pipeline pipeline;
  std::string errors;
  llvm::raw_string_ostream os(errors);
  if (failed(pipeline.parseFromString(options.pipelineOptions, os)))
    return emitError(module.getLoc(), "pipeline options '")
           << options.pipelineOptions << "': " << StringRef(errors).rtrim();
  if (pipeline.stopAfter != whole)
    return emitError(module.getLoc(), "pipeline options '")
           << options.pipelineOptions
           << "': stop-after leaves nothing that could run";
  pipeline.stopAfter = last;
  if constexpr (std::is_same_v<Pipeline, GpuPipelineOptions>)
    if (!chip.empty())
      pipeline.chip = chip.str();
  for (const std::string &path : options.rules)
    pipeline.rules.push_back(path);
  PassManager pm(module.getContext(), ModuleOp::getOperationName());
#ifdef NDEBUG
  // The parser has verified what is given; qopt-opt verifies after each pass.
  pm.enableVerifier(false);
#endif
  if (options.configurePasses && failed(options.configurePasses(pm)))
    return failure();
  build(pm, pipeline);
  if (last == whole && options.codegen.debugInfo)
    pm.addPass(LLVM::createDIScopeForLLVMFuncOpPass());
  return pm.run(module);
}

bool CompileOptions::isForGpu() const {
  return StringRef(target).split(':').first == "cuda";
}

static LogicalResult runPipeline(ModuleOp module, const CompileOptions &options,
                                 CpuPhase cpu, GpuPhase gpu) {
  auto [kind, chip] = StringRef(options.target).split(':');
  if (options.isForGpu())
    return runPipeline(module, options, gpu, GpuPhase::LLVM, chip,
                       buildGpuPipeline);
  if (!options.target.empty() && options.target != "cpu")
    return emitError(module.getLoc(),
                     "expected a target (cpu, cuda, cuda:<chip>), got '")
           << options.target << "'";
  return runPipeline(module, options, cpu, CpuPhase::LLVM, "",
                     buildCpuPipeline);
}

LogicalResult quant_ste::resolveDerivatives(ModuleOp module,
                                            const CompileOptions &options) {
  return runPipeline(module, options, CpuPhase::Differentiate,
                     GpuPhase::Differentiate);
}

static void markDestinations(func::FuncOp f, const Signature &signature) {
  updateResultAttrs(f, [&](unsigned i, NamedAttrList &own) {
    if (signature.hasDestination(i))
      own.set("quant_ste.destination", UnitAttr::get(f.getContext()));
  });
}

LogicalResult quant_ste::lowerToLLVM(ModuleOp module,
                                     ArrayRef<Signature> functions,
                                     const CompileOptions &options) {
  if (!options.function.empty())
    keepOnly(module, options.function);
  for (auto f : module.getOps<func::FuncOp>())
    dropNames(f);
  for (const Signature &signature : functions)
    if (signature.unsupported.empty())
      markDestinations(module.lookupSymbol<func::FuncOp>(signature.function),
                       signature);
  return runPipeline(module, options, CpuPhase::LLVM, GpuPhase::LLVM);
}
