//===- MSEScaleToLinalg.cpp - a search for a scale --------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "MSEScaleToLinalg.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "quant_ste/Rules/Readings/IRScalar.h"

using namespace mlir;
using namespace mlir::quant_ste;
using utils::IteratorType;

/// `v`, a float, in another float type.
static Value convert(ImplicitLocOpBuilder &b, Value v, Type to) {
  if (v.getType() == to)
    return v;
  if (v.getType().getIntOrFloatBitWidth() < to.getIntOrFloatBitWidth())
    return arith::ExtFOp::create(b, to, v);
  return arith::TruncFOp::create(b, to, v);
}

/// x less what an integer quantizer of this scale makes of it.
static IRScalar quantizationError(IRScalar x, IRScalar scale,
                                  const rules::IntBounds &bounds) {
  IRScalar steps = x / scale;
  IRScalar whole = roundEven(steps);
  IRScalar clamped =
      rules::scalarClamp(whole, bounds.min<IRScalar>(), bounds.max<IRScalar>());
  IRScalar y = clamped * scale;
  return x - y;
}

namespace {
/// The op, with what the steps of its lowering share.
struct MSEScale {
  MSEScaleOp op;
  ImplicitLocOpBuilder &b;
  RankedTensorType data = op.getX().getType();
  AffineMap map = op.getResultMap();
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(b, b.getLoc(), op.getStart());
  FloatType compute = getComputeTypeFor(data);
  FloatType sum = b.getF64Type();

  Value empty(Type element) {
    return tensor::EmptyOp::create(b, sizes, element);
  }

  /// An elementwise generic on tensors of the result's shape; a scalar among
  /// the inputs is the same for all elements.
  using Body =
      function_ref<SmallVector<Value>(ImplicitLocOpBuilder &, ValueRange)>;
  SmallVector<Value> map1(ValueRange inputs, ArrayRef<Type> results, Body body);

  Value candidate(Value i);
  Value loss(Value scale);
  Value build();
};
} // namespace

SmallVector<Value> MSEScale::map1(ValueRange inputs, ArrayRef<Type> results,
                                  Body body) {
  unsigned rank = sizes.size();
  AffineMap identity = b.getMultiDimIdentityMap(rank);
  AffineMap scalar = AffineMap::get(rank, 0, b.getContext());
  SmallVector<AffineMap> maps;
  for (Value v : inputs)
    maps.push_back(isa<RankedTensorType>(v.getType()) ? identity : scalar);
  SmallVector<Value> inits;
  for (Type type : results) {
    inits.push_back(empty(type));
    maps.push_back(identity);
  }
  SmallVector<IteratorType> iterators(rank, IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      b, TypeRange(inits), inputs, inits, maps, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange args) {
        ImplicitLocOpBuilder in(loc, nested);
        SmallVector<Value> yields = body(in, args);
        linalg::YieldOp::create(in, yields);
      });
  return SmallVector<Value>(generic.getResults());
}

/// The scale of number i.
Value MSEScale::candidate(Value i) {
  int64_t n = op.getCandidates();
  Value whole = arith::IndexCastOp::create(b, b.getI64Type(), i);
  Value number = arith::SIToFPOp::create(b, compute, whole);
  Value last =
      arith::ConstantOp::create(b, b.getFloatAttr(compute, double(n - 1)));
  Value part = arith::DivFOp::create(b, number, last);
  auto body = [&](ImplicitLocOpBuilder &in, ValueRange args) {
    IRScalar start(in, convert(in, args[0], compute));
    IRScalar base = start / IRScalar(double(n));
    IRScalar width = start - base;
    IRScalar way = width * IRScalar(in, args[1]);
    IRScalar scale = base + way;
    return SmallVector<Value>{scale.materialize(in, compute)};
  };
  return map1({op.getStart(), part}, compute, body).front();
}

/// Of each group, the sum of its squared errors.
Value MSEScale::loss(Value scale) {
  rules::IntBounds bounds = rules::IntBounds::of(op);
  Value zero = arith::ConstantOp::create(b, b.getFloatAttr(sum, 0.0));
  Value init = linalg::FillOp::create(b, zero, empty(sum)).getResult(0);
  SmallVector<IteratorType> iterators;
  for (unsigned d = 0, rank = data.getRank(); d < rank; ++d)
    iterators.push_back(map.isFunctionOfDim(d) ? IteratorType::parallel
                                               : IteratorType::reduction);
  AffineMap identity = b.getMultiDimIdentityMap(data.getRank());
  auto body = [&](OpBuilder &nested, Location loc, ValueRange args) {
    ImplicitLocOpBuilder in(loc, nested);
    IRScalar x(in, convert(in, args[0], compute));
    IRScalar error = quantizationError(x, IRScalar(in, args[1]), bounds);
    Value wide = convert(in, error.materialize(in, compute), sum);
    Value square = arith::MulFOp::create(in, wide, wide);
    Value next = arith::AddFOp::create(in, args[2], square);
    linalg::YieldOp::create(in, next);
  };
  return linalg::GenericOp::create(
             b, init.getType(), ValueRange{op.getX(), scale}, init,
             ArrayRef<AffineMap>{identity, map, map}, iterators, body)
      .getResult(0);
}

Value MSEScale::build() {
  auto widen = [&](ImplicitLocOpBuilder &in, ValueRange args) {
    return SmallVector<Value>{convert(in, args[0], compute)};
  };
  Value best = map1(op.getStart(), compute, widen).front();
  Value infinity = arith::ConstantOp::create(
      b, b.getFloatAttr(sum, std::numeric_limits<double>::infinity()));
  Value least = linalg::FillOp::create(b, infinity, empty(sum)).getResult(0);
  Value first = arith::ConstantIndexOp::create(b, 0);
  Value last = arith::ConstantIndexOp::create(b, op.getCandidates());
  Value step = arith::ConstantIndexOp::create(b, 1);
  auto loop = scf::ForOp::create(b, first, last, step, ValueRange{best, least});
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value scale = candidate(loop.getInductionVar());
    Value error = loss(scale);
    auto take = [&](ImplicitLocOpBuilder &in, ValueRange args) {
      Value isLess = arith::CmpFOp::create(in, arith::CmpFPredicate::OLT,
                                           args[1], args[3]);
      Value next = arith::SelectOp::create(in, isLess, args[0], args[2]);
      Value lower = arith::SelectOp::create(in, isLess, args[1], args[3]);
      return SmallVector<Value>{next, lower};
    };
    SmallVector<Value> next =
        map1({scale, error, loop.getRegionIterArg(0), loop.getRegionIterArg(1)},
             {compute, sum}, take);
    scf::YieldOp::create(b, next);
  }
  auto narrow = [&](ImplicitLocOpBuilder &in, ValueRange args) {
    return SmallVector<Value>{convert(in, args[0], data.getElementType())};
  };
  return map1(loop.getResult(0), data.getElementType(), narrow).front();
}

Value quant_ste::buildMSEScale(OpBuilder &builder, MSEScaleOp op) {
  ImplicitLocOpBuilder b(op.getLoc(), builder);
  return MSEScale{op, b}.build();
}
