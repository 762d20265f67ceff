//===- ExposeFunctions.cpp - the boundary to C callers -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Support/UpdateAttrs.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEEXPOSEFUNCTIONSPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

namespace {
struct ExposeFunctions
    : quant_ste::impl::QuantSTEExposeFunctionsPassBase<ExposeFunctions> {
  void runOnOperation() override {
    StringRef writable = bufferization::BufferizationDialect::kWritableAttrName;
    Builder b(&getContext());
    for (auto f : getOperation().getOps<func::FuncOp>()) {
      if (!f.isPublic() || f.isExternal())
        continue;
      f->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(), b.getUnitAttr());
      quant_ste::updateArgAttrs(f, [&](unsigned i, NamedAttrList &own) {
        if (isa<TensorType>(f.getArgumentTypes()[i]) && !own.get(writable))
          own.set(writable, b.getBoolAttr(false));
      });
    }
  }
};
} // namespace
