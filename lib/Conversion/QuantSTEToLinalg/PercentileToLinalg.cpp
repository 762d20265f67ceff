//===- PercentileToLinalg.cpp - order statistics by counting ----*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Floats become unsigned integers in the same order. The k-th smallest of these
// is the largest number with fewer than k below it, and its bits are found from
// the highest down: each is set if the number with it still has fewer than k
// below.
//
//===----------------------------------------------------------------------===//

#include "PercentileToLinalg.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;
using namespace mlir::quant_ste;
using utils::IteratorType;

namespace {
/// The op, with what the steps of its lowering share.
struct Percentile {
  PercentileOp op;
  ImplicitLocOpBuilder &b;
  RankedTensorType data = op.getX().getType();
  AffineMap map = op.getResultMap();
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(b, b.getLoc(), op.getX());
  /// The data's type or, for narrower ones, f32.
  FloatType wide = getComputeTypeFor(data);
  IntegerType bits = b.getIntegerType(wide.getWidth());

  Value constant(ImplicitLocOpBuilder &in, const APInt &value) {
    return arith::ConstantOp::create(in, in.getIntegerAttr(bits, value));
  }
  Value signBit(ImplicitLocOpBuilder &in) {
    return constant(in, APInt::getSignMask(bits.getWidth()));
  }

  SmallVector<OpFoldResult> keptSizes() {
    return llvm::map_to_vector(map.getResults(), [&](AffineExpr e) {
      return sizes[cast<AffineDimExpr>(e).getPosition()];
    });
  }
  Value filled(TypedAttr value) {
    Value scalar = arith::ConstantOp::create(b, value);
    Value empty = tensor::EmptyOp::create(b, keptSizes(), value.getType());
    return linalg::FillOp::create(b, scalar, empty).getResult(0);
  }

  /// Which of the n elements of a group, in order, it is: 1 to n.
  Value findRank();
  /// The number of an element: unsigned, in the order of the floats.
  Value toNumber(ImplicitLocOpBuilder &in, Value x);
  Value fromNumber(ImplicitLocOpBuilder &in, Value number);
  /// Of each group, how many elements are below `found` with `bit` set.
  Value countBelow(Value found, Value bit);
  /// The next bit of what is found, given these counts.
  Value decide(Value found, Value counts, Value bit, Value rank);
  Value build();
};
} // namespace

Value Percentile::findRank() {
  Value n = arith::ConstantIndexOp::create(b, 1);
  for (unsigned d = 0, rank = data.getRank(); d < rank; ++d)
    if (!map.isFunctionOfDim(d))
      n = arith::MulIOp::create(
          b, n, getValueOrCreateConstantIndexOp(b, b.getLoc(), sizes[d]));
  Type i64 = b.getI64Type(), f64 = b.getF64Type();
  Value count = arith::IndexCastOp::create(b, i64, n);
  Value number = arith::SIToFPOp::create(b, f64, count);
  Value part = arith::ConstantOp::create(
      b, b.getF64FloatAttr(0.01 * op.getQ().convertToDouble()));
  Value position = arith::MulFOp::create(b, part, number);
  if (op.getRank() == PercentileRank::nearest) {
    Value half = arith::ConstantOp::create(b, b.getF64FloatAttr(0.5));
    Value above = arith::AddFOp::create(b, position, half);
    position = math::FloorOp::create(b, above);
  } else {
    position = math::CeilOp::create(b, position);
  }
  Value k = arith::FPToSIOp::create(b, i64, position);
  Value atMost = arith::MinSIOp::create(b, k, count);
  Value one = arith::ConstantIntOp::create(b, 1, 64);
  return arith::MaxSIOp::create(b, atMost, one);
}

Value Percentile::toNumber(ImplicitLocOpBuilder &in, Value x) {
  if (x.getType() != wide)
    x = arith::ExtFOp::create(in, wide, x);
  if (op.getOfMagnitudes())
    x = math::AbsFOp::create(in, x);
  Value pattern = arith::BitcastOp::create(in, bits, x);
  Value isNegative =
      arith::CmpIOp::create(in, arith::CmpIPredicate::slt, pattern,
                            constant(in, APInt::getZero(bits.getWidth())));
  Value all = constant(in, APInt::getAllOnes(bits.getWidth()));
  Value flip = arith::SelectOp::create(in, isNegative, all, signBit(in));
  Value number = arith::XOrIOp::create(in, pattern, flip);
  // Every NaN is above all others, whatever its sign.
  Value isNaN = arith::CmpFOp::create(in, arith::CmpFPredicate::UNO, x, x);
  return arith::SelectOp::create(in, isNaN, all, number);
}

Value Percentile::fromNumber(ImplicitLocOpBuilder &in, Value number) {
  Value zero = constant(in, APInt::getZero(bits.getWidth()));
  Value isPositive =
      arith::CmpIOp::create(in, arith::CmpIPredicate::slt, number, zero);
  Value all = constant(in, APInt::getAllOnes(bits.getWidth()));
  Value flip = arith::SelectOp::create(in, isPositive, signBit(in), all);
  Value pattern = arith::XOrIOp::create(in, number, flip);
  Value x = arith::BitcastOp::create(in, wide, pattern);
  Type element = data.getElementType();
  return x.getType() == element ? x : arith::TruncFOp::create(in, element, x);
}

Value Percentile::countBelow(Value found, Value bit) {
  SmallVector<IteratorType> iterators;
  for (unsigned d = 0, rank = data.getRank(); d < rank; ++d)
    iterators.push_back(map.isFunctionOfDim(d) ? IteratorType::parallel
                                               : IteratorType::reduction);
  MLIRContext *ctx = b.getContext();
  AffineMap identity = AffineMap::getMultiDimIdentityMap(data.getRank(), ctx);
  AffineMap scalar = AffineMap::get(data.getRank(), 0, ctx);
  Value counts = filled(b.getI64IntegerAttr(0));
  auto body = [&](OpBuilder &nested, Location loc, ValueRange args) {
    ImplicitLocOpBuilder in(loc, nested);
    Value number = toNumber(in, args[0]);
    Value candidate = arith::OrIOp::create(in, args[1], args[2]);
    Value isBelow =
        arith::CmpIOp::create(in, arith::CmpIPredicate::ult, number, candidate);
    Value one = arith::ExtUIOp::create(in, in.getI64Type(), isBelow);
    Value sum = arith::AddIOp::create(in, args[3], one);
    linalg::YieldOp::create(in, sum);
  };
  return linalg::GenericOp::create(
             b, counts.getType(), ValueRange{op.getX(), found, bit}, counts,
             ArrayRef<AffineMap>{identity, map, scalar, map}, iterators, body)
      .getResult(0);
}

Value Percentile::decide(Value found, Value counts, Value bit, Value rank) {
  unsigned dims = map.getNumResults();
  AffineMap identity = AffineMap::getMultiDimIdentityMap(dims, b.getContext());
  AffineMap scalar = AffineMap::get(dims, 0, b.getContext());
  SmallVector<IteratorType> iterators(dims, IteratorType::parallel);
  Value next = tensor::EmptyOp::create(b, keptSizes(), bits);
  auto body = [&](OpBuilder &nested, Location loc, ValueRange args) {
    ImplicitLocOpBuilder in(loc, nested);
    Value isFewer =
        arith::CmpIOp::create(in, arith::CmpIPredicate::slt, args[1], args[3]);
    Value with = arith::OrIOp::create(in, args[0], args[2]);
    Value chosen = arith::SelectOp::create(in, isFewer, with, args[0]);
    linalg::YieldOp::create(in, chosen);
  };
  return linalg::GenericOp::create(
             b, next.getType(), ValueRange{found, counts, bit, rank}, next,
             ArrayRef<AffineMap>{identity, identity, scalar, scalar, identity},
             iterators, body)
      .getResult(0);
}

Value Percentile::build() {
  Value rank = findRank();
  Value start = filled(b.getIntegerAttr(bits, 0));
  Value first = arith::ConstantIndexOp::create(b, 0);
  Value last = arith::ConstantIndexOp::create(b, bits.getWidth());
  Value step = arith::ConstantIndexOp::create(b, 1);
  Value highest = signBit(b);
  auto loop = scf::ForOp::create(b, first, last, step, start);
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value found = loop.getRegionIterArg(0);
    Value by = arith::IndexCastOp::create(b, bits, loop.getInductionVar());
    Value bit = arith::ShRUIOp::create(b, highest, by);
    Value counts = countBelow(found, bit);
    Value next = decide(found, counts, bit, rank);
    scf::YieldOp::create(b, next);
  }
  unsigned dims = map.getNumResults();
  AffineMap identity = AffineMap::getMultiDimIdentityMap(dims, b.getContext());
  SmallVector<IteratorType> iterators(dims, IteratorType::parallel);
  Value out = tensor::EmptyOp::create(b, keptSizes(), data.getElementType());
  auto body = [&](OpBuilder &nested, Location loc, ValueRange args) {
    ImplicitLocOpBuilder in(loc, nested);
    linalg::YieldOp::create(in, fromNumber(in, args[0]));
  };
  return linalg::GenericOp::create(b, out.getType(), loop.getResult(0), out,
                                   ArrayRef<AffineMap>{identity, identity},
                                   iterators, body)
      .getResult(0);
}

Value quant_ste::buildPercentile(OpBuilder &builder, PercentileOp op) {
  ImplicitLocOpBuilder b(op.getLoc(), builder);
  return Percentile{op, b}.build();
}
