//===- QuantSTEToLinalg.cpp - lower rules and derivatives -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "BitsToLinalg.h"
#include "MSEScaleToLinalg.h"
#include "PercentileToLinalg.h"
#include "UniformToLinalg.h"
#include "quant_ste/Conversion/Passes.h"
#include "quant_ste/Conversion/RuleToLinalg.h"
#include "quant_ste/Conversion/StatisticsToLinalg.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/DialectConversion.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_CONVERTQUANTSTETOLINALGPASS
#include "quant_ste/Conversion/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir::quant_ste;

/// The op inside a pullback or pushforward.
static GradientRuleInterface ruleIn(Region &body) {
  return cast<GradientRuleInterface>(body.front().front());
}

namespace {
struct LowerForward : OpInterfaceRewritePattern<GradientRuleInterface> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;
  LogicalResult matchAndRewrite(GradientRuleInterface op,
                                PatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, buildRuleForward(rewriter, op, op->getOperands()));
    return success();
  }
};

struct LowerPullback : OpRewritePattern<PullbackOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PullbackOp op,
                                PatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, buildRuleVjp(rewriter, ruleIn(op.getBody()),
                                        op.getPrimals(), op.getCotangents(),
                                        op.getWrt()));
    return success();
  }
};

struct LowerPushforward : OpRewritePattern<PushforwardOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PushforwardOp op,
                                PatternRewriter &rewriter) const override {
    auto tangents =
        buildRuleJvp(rewriter, ruleIn(op.getBody()), op.getPrimals(),
                     op.getTangents(), op.getWrt());
    if (failed(tangents))
      return op.emitError("the gradient rule of '")
             << ruleIn(op.getBody())->getName() << "' has no forward mode";
    rewriter.replaceOp(op, *tangents);
    return success();
  }
};

struct DropDetach : OpRewritePattern<DetachOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DetachOp op,
                                PatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, op.getX());
    return success();
  }
};

template <class Op> struct LowerExtremum : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, buildExtremum(rewriter, op.getLoc(), op.getX(),
                                         op.getResultMap(), op.getExtremum()));
    return success();
  }
};

struct LowerUniform : OpRewritePattern<UniformOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(UniformOp op,
                                PatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, buildUniform(rewriter, op));
    return success();
  }
};

struct LowerPercentile : OpRewritePattern<PercentileOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PercentileOp op,
                                PatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, buildPercentile(rewriter, op));
    return success();
  }
};

struct LowerMSEScale : OpRewritePattern<MSEScaleOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MSEScaleOp op,
                                PatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, buildMSEScale(rewriter, op));
    return success();
  }
};

struct DropResidual : OpRewritePattern<ResidualOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ResidualOp op,
                                PatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, op.getX());
    return success();
  }
};

struct LowerPackBits : OpRewritePattern<PackBitsOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PackBitsOp op,
                                PatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, buildPackBits(rewriter, op));
    return success();
  }
};

struct LowerUnpackBits : OpRewritePattern<UnpackBitsOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(UnpackBitsOp op,
                                PatternRewriter &rewriter) const override {
    rewriter.replaceOp(op, buildUnpackBits(rewriter, op));
    return success();
  }
};

/// Only linking knows the math of a rule that is applied by name.
LogicalResult requireLinked(Operation *root) {
  WalkResult result = root->walk([](Operation *op) {
    if (!isa<ApplyOp, NamedRuleOp>(op))
      return WalkResult::advance();
    op->emitOpError("cannot be lowered before it is linked; run "
                    "quant-ste-link-rules first");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

struct ConvertQuantSTEToLinalg
    : quant_ste::impl::ConvertQuantSTEToLinalgPassBase<
          ConvertQuantSTEToLinalg> {
  void runOnOperation() override {
    if (failed(requireLinked(getOperation())))
      return signalPassFailure();
    ConversionTarget target(getContext());
    target.addIllegalDialect<QuantSTEDialect>();
    target.markUnknownOpDynamicallyLegal(
        [](Operation *op) { return !isa<GradientRuleInterface>(op); });
    // What is inside a derivative or a rule goes with it.
    target.addDynamicallyLegalDialect<QuantSTEDialect>([](Operation *op) {
      return isa<PullbackOp, PushforwardOp, CustomOp>(op->getParentOp());
    });
    RewritePatternSet patterns(&getContext());
    patterns.add<LowerForward, LowerPullback, LowerPushforward, DropDetach,
                 LowerExtremum<AbsMaxOp>, LowerExtremum<MaximumOp>,
                 LowerExtremum<MinimumOp>, LowerUniform, LowerPercentile,
                 LowerMSEScale, DropResidual, LowerPackBits, LowerUnpackBits>(
        &getContext());
    if (failed(applyPartialConversion(getOperation(), target,
                                      std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
