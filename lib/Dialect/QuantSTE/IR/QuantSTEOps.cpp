//===- QuantSTEOps.cpp - the ops and their rules -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The one file in which the readings of all rules are instantiated.
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

#include "mlir/IR/PatternMatch.h"
#include "quant_ste/Dialect/QuantSTE/IR/RuleOpModels.h"
#include "quant_ste/Rules/Readings/RuleReadings.h"

using namespace mlir;
using namespace mlir::quant_ste;

#define GET_OP_CLASSES
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTEOps.cpp.inc"

void QuantSTEDialect::registerOps() {
  addOperations<
#define GET_OP_LIST
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTEOps.cpp.inc"
      >();
  attachRuleOpModels<
#define GET_OP_LIST
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTEOps.cpp.inc"
      >(getContext());
}

LogicalResult UniformOp::verify() {
  int64_t expected = getType().getNumDynamicDims();
  int64_t given = getSizes().size();
  if (given == expected)
    return success();
  return emitOpError("expected one size for each dynamic dimension of ")
         << getType() << " (" << expected << "), got " << given;
}

//===----------------------------------------------------------------------===//
// Canonicalization: only what is exact, forward and backward
//===----------------------------------------------------------------------===//

namespace {
/// R(R'(x)) -> R'(x), R' one of the roundings that give a whole number and
/// keep whole numbers, signed zeros, infinities and NaN as they are, and the
/// gradient of R straight through. round_to_zero is not among them: it turns
/// -0 into +0.
template <class Op> struct RoundOfWhole : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;
  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (!isa<STEAttr>(op.getGrad()))
      return rewriter.notifyMatchFailure(op,
                                         "the gradient is not the identity");
    Operation *inner = op->getOperand(0).getDefiningOp();
    if (!isa_and_nonnull<RoundOp, FloorOp, CeilOp, DpuRoundOp>(inner))
      return rewriter.notifyMatchFailure(op, "operand is not a rounded value");
    rewriter.replaceOp(op, inner->getResults());
    return success();
  }
};
} // namespace

#define QUANT_STE_ROUND_OF_WHOLE(OP)                                           \
  void OP::getCanonicalizationPatterns(RewritePatternSet &patterns,            \
                                       MLIRContext *ctx) {                     \
    patterns.add<RoundOfWhole<OP>>(ctx);                                       \
  }
QUANT_STE_ROUND_OF_WHOLE(RoundOp)
QUANT_STE_ROUND_OF_WHOLE(FloorOp)
QUANT_STE_ROUND_OF_WHOLE(CeilOp)
QUANT_STE_ROUND_OF_WHOLE(DpuRoundOp)
#undef QUANT_STE_ROUND_OF_WHOLE
