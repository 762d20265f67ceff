//===- FenceExtensions.cpp - comparisons stay wide -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEFENCEEXTENSIONSPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

namespace {
struct FenceExtensions
    : quant_ste::impl::QuantSTEFenceExtensionsPassBase<FenceExtensions> {
  void runOnOperation() override {
    getOperation()->walk([](LLVM::FPExtOp extension) {
      OpBuilder b(extension->getContext());
      b.setInsertionPointAfter(extension);
      Value wide = extension.getResult();
      auto fence = LLVM::CallIntrinsicOp::create(
          b, extension.getLoc(), wide.getType(),
          b.getStringAttr("llvm.arithmetic.fence"), ValueRange{wide});
      wide.replaceAllUsesExcept(fence->getResult(0), fence);
    });
  }
};
} // namespace
