//===- Lowering.cpp - from quant_ste to the LLVM dialect --------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/Program.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

using namespace mlir;
using namespace mlir::quant_ste;

/// One function wanted: the others need not be compiled unless it calls them.
static void keepOnly(ModuleOp module, StringRef name) {
  for (auto f : module.getOps<func::FuncOp>())
    if (f.isPublic() && !f.isExternal() && f.getName() != name)
      f.setPrivate();
}

static void prepareArguments(func::FuncOp f) {
  MLIRContext *ctx = f.getContext();
  StringRef writable = bufferization::BufferizationDialect::kWritableAttrName;
  for (unsigned i = 0, e = f.getNumArguments(); i < e; ++i) {
    // Signatures have been read; no later pass knows the name.
    f.removeArgAttr(i, "quant_ste.name");
    // The caller's arrays are not ours to write to.
    if (f.isPublic() && isa<TensorType>(f.getArgumentTypes()[i]) &&
        !f.getArgAttr(i, writable))
      f.setArgAttr(i, writable, BoolAttr::get(ctx, false));
  }
  for (unsigned i = 0, e = f.getNumResults(); i < e; ++i)
    f.removeResultAttr(i, StringAttr::get(ctx, "quant_ste.name"));
}

LogicalResult quant_ste::lowerToLLVM(ModuleOp module,
                                     const CompileOptions &options) {
  if (!options.function.empty())
    keepOnly(module, options.function);
  for (auto f : module.getOps<func::FuncOp>())
    if (!f.isExternal())
      prepareArguments(f);

  PassManager pm(module.getContext(), ModuleOp::getOperationName());
  if (options.configurePasses && failed(options.configurePasses(pm)))
    return failure();
  std::string errors;
  llvm::raw_string_ostream os(errors);
  // The pipeline until quant-ste-cpu-pipeline is here.
  constexpr StringLiteral pipeline =
      "symbol-dce,convert-elementwise-to-linalg,convert-quant-ste-to-linalg,"
      "canonicalize,eliminate-empty-tensors,"
      "one-shot-bufferize{bufferize-function-boundaries "
      "function-boundary-type-conversion=identity-layout-map},"
      "func.func(buffer-hoisting,buffer-loop-hoisting),"
      "buffer-deallocation-pipeline,convert-bufferization-to-memref,"
      "convert-linalg-to-loops,lower-affine,convert-scf-to-cf,"
      "expand-strided-metadata,lower-affine,convert-math-to-llvm,"
      "arith-expand,finalize-memref-to-llvm,convert-arith-to-llvm,"
      "convert-index-to-llvm,convert-cf-to-llvm,convert-ub-to-llvm,"
      "convert-func-to-llvm,reconcile-unrealized-casts";
  if (failed(parsePassPipeline(pipeline, pm, os)))
    return emitError(module.getLoc(), "pipeline: ") << errors;
  return pm.run(module);
}
