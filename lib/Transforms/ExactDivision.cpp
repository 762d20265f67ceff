//===- ExactDivision.cpp - by a reciprocal, correctly rounded -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// With RN the rounding to nearest of f32, y = RN(1/b), and neither overflow nor
// numbers below the normal ones:
//
//   q1 = RN(a y)          = a/b (1 + e),             |e| < 2^-23 + 2^-48
//   r  = RN(a - b q1)     = -a e (1 + e'),           |e'| <= 2^-24
//   q  = RN(q1 + r y)     = RN(a/b (1 + d)),         |d| < 2^-46 (1 + 2^-22)
//
// So q = RN(a/b), unless a/b is as close as that to the middle of two floats.
// With whole numbers in place of the mantissas, b of 24 bits, a middle m of 25,
// and b m = a 2^25 + c, that is |c| <= 8. There are few such a for each b, and
// test/Unit/DivisionTest.cpp divides all of them by all b.
//
// The exponents allow it where 2^-40 <= |b| <= 2^40 and 2^-80 <= |a| <= 2^80:
// a/b is in 2^-120 .. 2^120, and r a multiple of 2^-128. Zeros, whose sign a
// sum loses, take that of q1; NaNs stay NaNs. Where any lane is outside, all
// are divided as the hardware does.
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEEXACTDIVISIONPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

/// Exponents of the largest magnitudes, and of the inverse of the smallest.
static constexpr int kMaxDivisor = 40, kMaxDividend = 80;

static Value getConstant(ImplicitLocOpBuilder &b, Type type, double v) {
  auto value = b.getFloatAttr(getElementTypeOrSelf(type), v);
  if (auto shaped = dyn_cast<ShapedType>(type))
    return arith::ConstantOp::create(
        b, DenseElementsAttr::get(shaped, Attribute(value)));
  return arith::ConstantOp::create(b, value);
}

/// Whether some lane's magnitude is outside of 2^-exponent .. 2^exponent. A NaN
/// is not.
static Value isOutside(ImplicitLocOpBuilder &b, Value v, int exponent,
                       bool allowZero) {
  using arith::CmpFPredicate;
  Type type = v.getType();
  Value size = math::AbsFOp::create(b, v);
  auto compare = [&](CmpFPredicate how, double bound) -> Value {
    return arith::CmpFOp::create(b, how, size, getConstant(b, type, bound));
  };
  Value isSmall = compare(CmpFPredicate::OLT, std::ldexp(1.0, -exponent));
  if (allowZero) {
    Value isNonZero = compare(CmpFPredicate::ONE, 0.0);
    isSmall = arith::AndIOp::create(b, isSmall, isNonZero);
  }
  Value isLarge = compare(CmpFPredicate::OGT, std::ldexp(1.0, exponent));
  Value outside = arith::OrIOp::create(b, isSmall, isLarge);
  if (isa<VectorType>(type))
    outside =
        vector::ReductionOp::create(b, vector::CombiningKind::OR, outside);
  return outside;
}

/// The divisor where it is the same for many dividends: a scalar for all lanes,
/// or lanes that were there before the loop.
static Value getInvariantDivisor(arith::DivFOp op) {
  Value divisor = op.getRhs();
  if (auto broadcast = divisor.getDefiningOp<vector::BroadcastOp>())
    return broadcast.getSource();
  auto loop = op->getParentOfType<scf::ForOp>();
  return loop && loop.isDefinedOutsideOfLoop(divisor) ? divisor : Value();
}

namespace {
struct Divisor {
  Value value, reciprocal, isOutside;
};

struct ExactDivision
    : quant_ste::impl::QuantSTEExactDivisionPassBase<ExactDivision> {
  void runOnOperation() override {
    SmallVector<arith::DivFOp> divisions;
    getOperation()->walk([&](arith::DivFOp op) {
      auto type = dyn_cast<VectorType>(op.getType());
      if (type && type.getElementType().isF32())
        divisions.push_back(op);
    });
    DenseMap<Value, Divisor> divisors;
    for (arith::DivFOp op : divisions)
      if (Value v = getInvariantDivisor(op))
        expand(op, prepare(divisors[v], v));
  }

  /// Where the divisor is made, so that it is done once for all dividends.
  const Divisor &prepare(Divisor &divisor, Value v) {
    if (divisor.value)
      return divisor;
    ImplicitLocOpBuilder b(v.getLoc(), v.getContext());
    b.setInsertionPointAfterValue(v);
    divisor.value = v;
    divisor.reciprocal =
        arith::DivFOp::create(b, getConstant(b, v.getType(), 1.0), v);
    divisor.isOutside = isOutside(b, v, kMaxDivisor, /*allowZero=*/false);
    return divisor;
  }

  void expand(arith::DivFOp op, const Divisor &divisor) {
    ImplicitLocOpBuilder b(op.getLoc(), op);
    Type type = op.getType();
    Value dividend = op.getLhs();
    Value outside = isOutside(b, dividend, kMaxDividend, /*allowZero=*/true);
    outside = arith::OrIOp::create(b, outside, divisor.isOutside);
    auto choice = scf::IfOp::create(b, type, outside, /*withElseRegion=*/true);
    op.replaceAllUsesWith(choice.getResult(0));
    b.setInsertionPointToStart(choice.thenBlock());
    op->moveBefore(choice.thenBlock(), choice.thenBlock()->end());
    b.setInsertionPointToEnd(choice.thenBlock());
    scf::YieldOp::create(b, op.getResult());

    b.setInsertionPointToStart(choice.elseBlock());
    Value quotient = divide(b, dividend, op.getRhs(), divisor.reciprocal);
    scf::YieldOp::create(b, quotient);
  }

  Value divide(ImplicitLocOpBuilder &b, Value dividend, Value divisor,
               Value reciprocal) {
    Type type = dividend.getType();
    if (reciprocal.getType() != type)
      reciprocal = vector::BroadcastOp::create(b, type, reciprocal);
    Value negated = arith::NegFOp::create(b, divisor);
    Value first = arith::MulFOp::create(b, dividend, reciprocal);
    Value rest = math::FmaOp::create(b, negated, first, dividend);
    Value quotient = math::FmaOp::create(b, rest, reciprocal, first);
    return math::CopySignOp::create(b, quotient, first);
  }
};
} // namespace
