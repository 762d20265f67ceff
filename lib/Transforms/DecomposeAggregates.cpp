//===- DecomposeAggregates.cpp - softmax as structured ops -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEDECOMPOSEAGGREGATESPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

namespace {
struct DecomposeAggregates
    : quant_ste::impl::QuantSTEDecomposeAggregatesPassBase<
          DecomposeAggregates> {
  void runOnOperation() override {
    SmallVector<linalg::AggregatedOpInterface> ops;
    getOperation()->walk([&](linalg::AggregatedOpInterface op) {
      if (op->getNumResults() > 0) // on memrefs there is none
        ops.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (linalg::AggregatedOpInterface op : ops) {
      // Upstream takes the largest float of the type for a fact.
      Type element = getElementTypeOrSelf(op->getResult(0));
      if (!isa<FloatType>(element)) {
        op->emitOpError("expected elements of a floating-point type, got ")
            << element;
        signalPassFailure();
        continue;
      }
      rewriter.setInsertionPoint(op);
      FailureOr<SmallVector<Value>> parts = op.decomposeOperation(rewriter);
      if (succeeded(parts))
        rewriter.replaceOp(op, *parts);
    }
  }
};
} // namespace
