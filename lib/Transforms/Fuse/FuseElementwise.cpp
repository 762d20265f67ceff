//===- FuseElementwise.cpp - producers into consumers -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WidenExtrema.h"
#include "quant_ste/Transforms/PackedBits.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEFUSEPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir::quant_ste;

static size_t countOps(linalg::GenericOp op) {
  return op.getRegion().front().getOperations().size();
}

namespace {
/// A tensor of one scalar is that scalar in a body.
struct FoldSplat : OpRewritePattern<linalg::GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(linalg::GenericOp op,
                                PatternRewriter &rewriter) const override {
    for (OpOperand *operand : op.getDpsInputOperands()) {
      auto splat = operand->get().getDefiningOp<tensor::SplatOp>();
      BlockArgument element = op.getMatchingBlockArgument(operand);
      if (!splat || element.use_empty())
        continue;
      rewriter.modifyOpInPlace(
          op, [&] { rewriter.replaceAllUsesWith(element, splat.getInput()); });
      return success();
    }
    return failure();
  }
};

struct Fuse : quant_ste::impl::QuantSTEFusePassBase<Fuse> {
  using QuantSTEFusePassBase::QuantSTEFusePassBase;

  bool isWorthwhile(OpOperand *operand) {
    auto producer = operand->get().getDefiningOp<linalg::GenericOp>();
    auto consumer = dyn_cast<linalg::GenericOp>(operand->getOwner());
    if (!producer || !consumer)
      return false;
    // Two users would each compute it; and so would each iteration of a
    // consumer that sees the value more than once. Unpacking costs nothing.
    bool isUnpack = producer.getNumDpsInputs() == 1 && hasByteMap(producer);
    AffineMap map = consumer.getMatchingIndexingMap(operand);
    if ((!producer->hasOneUse() && !isUnpack) || !map.isPermutation())
      return false;
    if ((hasByteMap(producer) || hasByteMap(consumer)) &&
        !(map.isIdentity() && canShareLoops(producer, consumer)))
      return false;
    if (linalg::isaContractionOpInterface(consumer))
      return false;
    return countOps(producer) + countOps(consumer) <= maxOps;
  }

  /// Named ops that may take a producer in.
  void generalize() {
    SmallVector<linalg::LinalgOp> named;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (isa<linalg::ReduceOp, linalg::MapOp, linalg::BroadcastOp>(op))
        named.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (linalg::LinalgOp op : named) {
      rewriter.setInsertionPoint(op);
      (void)linalg::generalizeNamedOp(rewriter, op);
    }
  }

  void runOnOperation() override {
    generalize();
    widenExtrema(getOperation());
    RewritePatternSet patterns(&getContext());
    linalg::populateElementwiseOpsFusionPatterns(
        patterns, [&](OpOperand *operand) { return isWorthwhile(operand); });
    patterns.add<FoldSplat>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
