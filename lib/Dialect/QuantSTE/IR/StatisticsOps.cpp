//===- StatisticsOps.cpp - what scales are derived from -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

using namespace mlir;
using namespace mlir::quant_ste;

AffineMap quant_ste::getAxesMap(RankedTensorType data,
                                std::optional<ArrayRef<int64_t>> axes) {
  MLIRContext *ctx = data.getContext();
  SmallVector<AffineExpr> dims;
  for (int64_t axis : axes.value_or(ArrayRef<int64_t>()))
    dims.push_back(getAffineDimExpr(axis, ctx));
  return AffineMap::get(data.getRank(), 0, dims, ctx);
}

LogicalResult quant_ste::verifyReduced(Operation *op) {
  auto data = cast<RankedTensorType>(op->getOperand(0).getType());
  auto got = cast<RankedTensorType>(op->getResult(0).getType());
  SmallVector<int64_t> shape;
  if (auto axes = op->getAttrOfType<DenseI64ArrayAttr>("axes")) {
    if (failed(verifyAxes(op, "x", axes, data.getRank())))
      return failure();
    for (int64_t axis : axes.asArrayRef())
      shape.push_back(data.getDimSize(axis));
  }
  auto expected = RankedTensorType::get(shape, data.getElementType());
  if (got != expected)
    return op->emitOpError("expected a result of type ")
           << expected << ", the data's dimensions listed in axes, got " << got;
  return success();
}

LogicalResult quant_ste::verifyExtremum(Operation *op) {
  if (failed(verifyReduced(op)))
    return failure();
  return verifyWord(op, {"first", "shared"});
}

LogicalResult PercentileOp::verify() {
  if (failed(verifyReduced(*this)))
    return failure();
  double q = getQ().convertToDouble();
  if (!(q >= 0.0 && q <= 100.0))
    return emitOpError("expected q in [0, 100], got ") << q;
  return verifyWord(*this, {"detached"});
}

LogicalResult MSEScaleOp::verify() {
  if (failed(verifyReduced(*this)))
    return failure();
  if (getStart().getType() != getY().getType())
    return emitOpError("expected 'start' of the result's type, ")
           << getY().getType() << ", got " << getStart().getType();
  rules::IntBounds bounds = rules::IntBounds::of(*this);
  if (std::string wrong = bounds.invalid(); !wrong.empty())
    return emitOpError(wrong);
  int64_t candidates = static_cast<int64_t>(getCandidates());
  if (candidates < 2)
    return emitOpError("expected 2 candidates or more, got ") << candidates;
  return verifyWord(*this, {"detached"});
}
