//===- Bufferize.cpp - tensors to buffers -----------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Support/UpdateAttrs.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotAnalysis.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotModuleBufferize.h"
#include "mlir/Dialect/Bufferization/Transforms/Transforms.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace mlir::bufferization;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEBUFFERIZEPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

namespace {
struct Bufferize : quant_ste::impl::QuantSTEBufferizePassBase<Bufferize> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    OneShotBufferizationOptions options;
    options.bufferizeFunctionBoundaries = true;
    options.setFunctionBoundaryTypeConversion(
        LayoutMapOption::IdentityLayoutMap);
    // A loop may carry a tensor that it computes anew in each iteration.
    options.allowReturnAllocsFromLoops = true;

    // As runOneShotModuleBufferize, but that it is rid of these attributes one
    // argument after the other.
    BufferizationState state;
    if (failed(insertTensorCopies(module, options, state)))
      return signalPassFailure();
    for (auto f : module.getOps<func::FuncOp>())
      quant_ste::updateArgAttrs(f, [](unsigned, NamedAttrList &own) {
        own.erase(BufferizationDialect::kWritableAttrName);
      });
    if (failed(bufferizeModuleOp(module, options, state)))
      signalPassFailure();
  }
};
} // namespace
