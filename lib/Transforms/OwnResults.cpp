//===- OwnResults.cpp - distinct result buffers -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/Transforms/BufferViewFlowAnalysis.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEOWNRESULTSPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

namespace {
struct OwnResults : quant_ste::impl::QuantSTEOwnResultsPassBase<OwnResults> {
  void runOnOperation() override {
    BufferOriginAnalysis origins(getOperation());
    getOperation().walk([&](func::ReturnOp ret) {
      SmallVector<Value> returned;
      OpBuilder b(ret);
      for (OpOperand &operand : ret->getOpOperands()) {
        Value v = operand.get();
        if (!isa<MemRefType>(v.getType()))
          continue;
        // Unknown is as good as the same.
        bool isShared = llvm::any_of(returned, [&](Value other) {
          return origins.isSameAllocation(v, other).value_or(true);
        });
        if (isShared)
          operand.set(bufferization::CloneOp::create(b, ret.getLoc(), v));
        else
          returned.push_back(v);
      }
    });
  }
};
} // namespace
