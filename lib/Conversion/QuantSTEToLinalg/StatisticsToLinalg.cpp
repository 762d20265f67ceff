//===- StatisticsToLinalg.cpp - extrema as reductions -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Conversion/StatisticsToLinalg.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

using namespace mlir;
using namespace mlir::quant_ste;
using utils::IteratorType;

/// What an extremum over nothing is.
static double getNeutral(Extremum extremum) {
  switch (extremum) {
  case Extremum::absmax:
    return 0.0;
  case Extremum::maximum:
    return -std::numeric_limits<double>::infinity();
  case Extremum::minimum:
    return std::numeric_limits<double>::infinity();
  }
  llvm_unreachable("a new extremum");
}

Value quant_ste::buildExtremum(OpBuilder &builder, Location loc, Value x,
                               AffineMap map, Extremum extremum) {
  ImplicitLocOpBuilder b(loc, builder);
  auto data = cast<RankedTensorType>(x.getType());
  Type element = data.getElementType();
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, x), kept;
  SmallVector<IteratorType> iterators(data.getRank(), IteratorType::reduction);
  for (unsigned r = 0; r < map.getNumResults(); ++r) {
    kept.push_back(sizes[map.getDimPosition(r)]);
    iterators[map.getDimPosition(r)] = IteratorType::parallel;
  }
  Value neutral = arith::ConstantOp::create(
      b, b.getFloatAttr(element, getNeutral(extremum)));
  Value empty = tensor::EmptyOp::create(b, kept, element);
  Value init = linalg::FillOp::create(b, neutral, empty).getResult(0);
  AffineMap identity =
      AffineMap::getMultiDimIdentityMap(data.getRank(), b.getContext());
  auto generic = linalg::GenericOp::create(
      b, init.getType(), x, init, ArrayRef<AffineMap>{identity, map}, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange args) {
        Value v = args[0];
        if (extremum == Extremum::absmax)
          v = math::AbsFOp::create(nested, loc, v);
        Value best =
            extremum == Extremum::minimum
                ? arith::MinimumFOp::create(nested, loc, args[1], v).getResult()
                : arith::MaximumFOp::create(nested, loc, args[1], v)
                      .getResult();
        linalg::YieldOp::create(nested, loc, best);
      });
  return generic.getResult(0);
}
