//===- ExpandBFloat.cpp - rounding to bf16 on integers -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../ExpandMinifloats.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEEXPANDBFLOATPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir::quant_ste;

/// `element`, or a vector of as many as `like` has.
static Type withElement(Type like, Type element) {
  auto shaped = dyn_cast<ShapedType>(like);
  return shaped ? shaped.clone(element) : element;
}

static Value splat(ImplicitLocOpBuilder &b, Type type, int64_t value) {
  auto scalar = b.getIntegerAttr(getElementTypeOrSelf(type), value);
  if (auto shaped = dyn_cast<ShapedType>(type))
    return arith::ConstantOp::create(b, DenseElementsAttr::get(shaped, scalar));
  return arith::ConstantOp::create(b, scalar);
}

Value quant_ste::roundToOdd(ImplicitLocOpBuilder &b, Value x) {
  Type wide = x.getType();
  Type f32 = withElement(wide, b.getF32Type());
  Type i32 = withElement(wide, b.getI32Type());
  Value nearest = arith::TruncFOp::create(b, f32, x);
  Value back = arith::ExtFOp::create(b, wide, nearest);
  using arith::CmpFPredicate;
  // False for NaN, which stays as it is.
  Value inexact = arith::CmpFOp::create(b, CmpFPredicate::ONE, back, x);
  Value isAway = arith::CmpFOp::create(b, CmpFPredicate::OGT,
                                       math::AbsFOp::create(b, back),
                                       math::AbsFOp::create(b, x));
  Value bits = arith::BitcastOp::create(b, i32, nearest);
  Value one = splat(b, i32, 1);
  Value below = arith::SubIOp::create(b, bits, one);
  Value down = arith::SelectOp::create(b, isAway, below, bits);
  Value odd = arith::OrIOp::create(b, down, one);
  Value result = arith::SelectOp::create(b, inexact, odd, bits);
  return arith::BitcastOp::create(b, f32, result);
}

namespace {
/// f32 has the bits of bf16 on top: add just under half of the last kept bit,
/// exactly half where that bit is odd, and cut. NaN would carry into infinity.
struct ExpandTruncF : OpRewritePattern<arith::TruncFOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::TruncFOp op,
                                PatternRewriter &rewriter) const override {
    Type type = op.getType();
    if (!getElementTypeOrSelf(type).isBF16())
      return rewriter.notifyMatchFailure(op, "not to bf16");
    arith::RoundingMode mode =
        op.getRoundingmode().value_or(arith::RoundingMode::to_nearest_even);
    if (mode != arith::RoundingMode::to_nearest_even)
      return rewriter.notifyMatchFailure(op, "not to nearest even");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Value x = op.getIn();
    if (getElementTypeOrSelf(x.getType()).isF16())
      x = arith::ExtFOp::create(b, withElement(type, b.getF32Type()), x);
    else if (getElementTypeOrSelf(x.getType()).isF64())
      x = roundToOdd(b, x);
    else if (!getElementTypeOrSelf(x.getType()).isF32())
      return rewriter.notifyMatchFailure(op, "not from f16, f32 or f64");

    Type i32 = withElement(type, b.getI32Type());
    Type i16 = withElement(type, b.getI16Type());
    Value isNaN = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, x, x);
    Value bits = arith::BitcastOp::create(b, i32, x);
    Value sixteen = splat(b, i32, 16);
    Value top = arith::ShRUIOp::create(b, bits, sixteen);
    Value odd = arith::AndIOp::create(b, top, splat(b, i32, 1));
    Value half = arith::AddIOp::create(b, splat(b, i32, 0x7fff), odd);
    Value rounded = arith::AddIOp::create(b, bits, half);
    // Selected as integers: a selection between bf16 would be promoted to f32
    // and rounded back by a call.
    rounded =
        arith::SelectOp::create(b, isNaN, splat(b, i32, 0x7fc00000), rounded);
    rounded = arith::ShRUIOp::create(b, rounded, sixteen);
    rounded = arith::TruncIOp::create(b, i16, rounded);
    rewriter.replaceOpWithNewOp<arith::BitcastOp>(op, type, rounded);
    return success();
  }
};

/// What is chosen among values of the 16-bit type and constants that it has, as
/// a masked cotangent is, has been rounded before.
struct ChooseRounded : OpRewritePattern<arith::TruncFOp> {
  ChooseRounded(MLIRContext *context) : OpRewritePattern(context, 2) {}
  LogicalResult matchAndRewrite(arith::TruncFOp op,
                                PatternRewriter &rewriter) const override {
    Type type = op.getType(), element = getElementTypeOrSelf(type);
    if (!element.isBF16() && !element.isF16())
      return rewriter.notifyMatchFailure(op, "not to a type of 16 bits");
    if (!isRounded(op.getIn(), type))
      return rewriter.notifyMatchFailure(op, "of other values");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Type i16 = withElement(type, b.getI16Type());
    bool isBF16 = element.isBF16();
    Value bits = isBF16 ? takeTop(b, op.getIn(), i16)
                        : choose(b, op.getIn(), i16, type);
    // A conversion makes NaNs quiet, and that to bf16 makes one of all.
    Value size = arith::AndIOp::create(b, bits, splat(b, i16, 0x7fff));
    Value isNaN =
        arith::CmpIOp::create(b, arith::CmpIPredicate::ugt, size,
                              splat(b, i16, isBF16 ? 0x7f80 : 0x7c00));
    Value quiet = isBF16 ? splat(b, i16, 0x7fc0)
                         : arith::OrIOp::create(b, bits, splat(b, i16, 0x200));
    bits = arith::SelectOp::create(b, isNaN, quiet, bits);
    rewriter.replaceOpWithNewOp<arith::BitcastOp>(op, type, bits);
    return success();
  }

private:
  static std::optional<APFloat> matchConstant(Value v) {
    DenseElementsAttr elements;
    FloatAttr scalar;
    if (matchPattern(v, m_Constant(&elements)) && elements.isSplat())
      return elements.getSplatValue<APFloat>();
    if (matchPattern(v, m_Constant(&scalar)))
      return scalar.getValue();
    return std::nullopt;
  }

  static void convert(APFloat &value, Type narrow, bool &losesInfo) {
    auto type = cast<FloatType>(getElementTypeOrSelf(narrow));
    value.convert(type.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                  &losesInfo);
  }

  static bool isRounded(Value v, Type narrow) {
    if (auto select = v.getDefiningOp<arith::SelectOp>())
      return isRounded(select.getTrueValue(), narrow) &&
             isRounded(select.getFalseValue(), narrow);
    if (auto extend = v.getDefiningOp<arith::ExtFOp>())
      return extend.getIn().getType() == narrow;
    std::optional<APFloat> constant = matchConstant(v);
    if (!constant || constant->isNaN())
      return false;
    bool losesInfo = false;
    convert(*constant, narrow, losesInfo);
    return !losesInfo;
  }

  /// The bits of bf16 are there, above zeros.
  static Value takeTop(ImplicitLocOpBuilder &b, Value v, Type i16) {
    Type i32 = withElement(i16, b.getI32Type());
    Value bits = arith::BitcastOp::create(b, i32, v);
    bits = arith::ShRUIOp::create(b, bits, splat(b, i32, 16));
    return arith::TruncIOp::create(b, i16, bits);
  }

  static Value choose(ImplicitLocOpBuilder &b, Value v, Type i16, Type narrow) {
    if (auto select = v.getDefiningOp<arith::SelectOp>()) {
      Value x = choose(b, select.getTrueValue(), i16, narrow);
      Value y = choose(b, select.getFalseValue(), i16, narrow);
      return arith::SelectOp::create(b, select.getCondition(), x, y);
    }
    if (auto extend = v.getDefiningOp<arith::ExtFOp>())
      return arith::BitcastOp::create(b, i16, extend.getIn());
    APFloat constant = *matchConstant(v);
    bool losesInfo = false;
    convert(constant, narrow, losesInfo);
    return splat(b, i16, constant.bitcastToAPInt().getSExtValue());
  }
};

/// For the selections that are there already.
struct SelectOnIntegers : OpRewritePattern<arith::SelectOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(arith::SelectOp op,
                                PatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getType()).isBF16())
      return rewriter.notifyMatchFailure(op, "not of bf16");
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Type i16 = withElement(op.getType(), b.getI16Type());
    Value x = arith::BitcastOp::create(b, i16, op.getTrueValue());
    Value y = arith::BitcastOp::create(b, i16, op.getFalseValue());
    Value selected = arith::SelectOp::create(b, op.getCondition(), x, y);
    rewriter.replaceOpWithNewOp<arith::BitcastOp>(op, op.getType(), selected);
    return success();
  }
};

struct ExpandBFloat
    : quant_ste::impl::QuantSTEExpandBFloatPassBase<ExpandBFloat> {
  void runOnOperation() override {
    // Upstream's widening passes mark their conversions as contractable, which
    // is nobody's wish here and nothing that LLVM's conversions can carry.
    getOperation()->walk([](Operation *op) {
      if (auto extend = dyn_cast<arith::ExtFOp>(op))
        extend.setFastmathAttr(nullptr);
      else if (auto truncate = dyn_cast<arith::TruncFOp>(op))
        truncate.setFastmathAttr(nullptr);
    });
    if (failed(expandMinifloats(getOperation(), /*hasInstruction=*/false)))
      return signalPassFailure();
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandTruncF, ChooseRounded, SelectOnIntegers>(&getContext());
    // Folding would undo roundToOdd on constants one rounding at a time.
    GreedyRewriteConfig config;
    config.enableFolding(false);
    if (failed(
            applyPatternsGreedily(getOperation(), std::move(patterns), config)))
      signalPassFailure();
  }
};
} // namespace
