//===- ExpandShape.cpp - strides of expanded buffers -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEEXPANDSHAPEPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

namespace {
struct CastExpandShape : OpRewritePattern<memref::ExpandShapeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(memref::ExpandShapeOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto metadata =
        memref::ExtractStridedMetadataOp::create(rewriter, loc, op.getSrc());
    auto [typeStrides, typeOffset] = op.getSrcType().getStridesAndOffset();
    auto [resultStrides, resultOffset] =
        op.getResultType().getStridesAndOffset();
    SmallVector<OpFoldResult> given =
        getMixedValues(typeStrides, metadata.getStrides(), rewriter);
    SmallVector<OpFoldResult> sizes = op.getMixedOutputShape();

    // A group's innermost dimension keeps the stride of the one that it was.
    SmallVector<OpFoldResult> strides(sizes.size(), rewriter.getIndexAttr(1));
    AffineExpr a, b;
    bindSymbols(rewriter.getContext(), a, b);
    for (auto [d, group] : llvm::enumerate(op.getReassociationIndices())) {
      OpFoldResult stride = given[d];
      for (int64_t i : llvm::reverse(group)) {
        // What the type says must be said again.
        strides[i] = ShapedType::isDynamic(resultStrides[i])
                         ? stride
                         : rewriter.getIndexAttr(resultStrides[i]);
        stride = affine::makeComposedFoldedAffineApply(rewriter, loc, a * b,
                                                       {stride, sizes[i]});
      }
    }
    OpFoldResult offset = ShapedType::isDynamic(resultOffset)
                              ? OpFoldResult(metadata.getOffset())
                              : rewriter.getIndexAttr(resultOffset);
    rewriter.replaceOpWithNewOp<memref::ReinterpretCastOp>(
        op, op.getResultType(), metadata.getBaseBuffer(), offset, sizes,
        strides);
    return success();
  }
};

struct ExpandShape : quant_ste::impl::QuantSTEExpandShapePassBase<ExpandShape> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<CastExpandShape>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};
} // namespace
