//===- RuleOpModels.cpp - upstream interfaces of rule ops -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Dialect/QuantSTE/IR/RuleOpModels.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::quant_ste;

static SmallVector<OpFoldResult> getDataSizes(OpBuilder &b, Operation *op) {
  if (!isa<RankedTensorType>(op->getOperand(0).getType()))
    return {};
  return tensor::getMixedSizes(b, op->getLoc(), op->getOperand(0));
}

ReifiedRankedShapedTypeDims quant_ste::detail::reifyDataShape(OpBuilder &b,
                                                              Operation *op) {
  return {getDataSizes(b, op)};
}

SmallVector<Range> quant_ste::detail::getDataDomain(OpBuilder &b,
                                                    Operation *op) {
  return llvm::map_to_vector(getDataSizes(b, op), [&](OpFoldResult size) {
    return Range{b.getIndexAttr(0), size, b.getIndexAttr(1)};
  });
}

/// Each operand's part of the tile: of a parameter, along its axes.
TilingResult quant_ste::detail::tileElementwise(OpBuilder &b, Operation *op,
                                                ArrayRef<OpFoldResult> offsets,
                                                ArrayRef<OpFoldResult> sizes) {
  TilingResult result;
  SmallVector<Value> operands;
  auto maps = cast<GradientRuleInterface>(op).getOperandMaps();
  for (auto [operand, map] : llvm::zip_equal(op->getOperands(), maps)) {
    auto type = dyn_cast<RankedTensorType>(operand.getType());
    if (!type || type.getRank() == 0) {
      operands.push_back(operand);
      continue;
    }
    SmallVector<OpFoldResult> sliceOffsets, sliceSizes;
    for (AffineExpr dim : map.getResults()) {
      unsigned i = cast<AffineDimExpr>(dim).getPosition();
      sliceOffsets.push_back(offsets[i]);
      sliceSizes.push_back(sizes[i]);
    }
    SmallVector<OpFoldResult> strides(type.getRank(), b.getIndexAttr(1));
    auto slice = tensor::ExtractSliceOp::create(
        b, op->getLoc(), operand, sliceOffsets, sliceSizes, strides);
    operands.push_back(slice);
    result.generatedSlices.push_back(slice);
  }
  Operation *tiled =
      mlir::clone(b, op, TypeRange{operands.front().getType()}, operands);
  result.tiledOps.push_back(tiled);
  result.tiledValues.push_back(tiled->getResult(0));
  return result;
}
