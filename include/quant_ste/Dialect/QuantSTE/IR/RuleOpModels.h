//===- RuleOpModels.h - upstream interfaces of rule ops -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What other stacks ask of an op before it is lowered: its result's shape, and
// a tile of it. Both follow from the operands' maps.
//
// No op implements DestinationStyleOpInterface: like those of arith they are
// values, which fold and move; a destination is chosen once they are linalg.
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_DIALECT_QUANTSTE_IR_RULEOPMODELS_H
#define QUANT_STE_DIALECT_QUANTSTE_IR_RULEOPMODELS_H

#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/TilingInterface.h"
#include "quant_ste/Interfaces/GradientRuleInterface.h"

namespace mlir::quant_ste {

namespace detail {
ReifiedRankedShapedTypeDims reifyDataShape(OpBuilder &b, Operation *op);
SmallVector<Range> getDataDomain(OpBuilder &b, Operation *op);
TilingResult tileElementwise(OpBuilder &b, Operation *op,
                             ArrayRef<OpFoldResult> offsets,
                             ArrayRef<OpFoldResult> sizes);

template <class Op>
struct RuleOpShape
    : ReifyRankedShapedTypeOpInterface::ExternalModel<RuleOpShape<Op>, Op> {
  LogicalResult reifyResultShapes(Operation *op, OpBuilder &b,
                                  ReifiedRankedShapedTypeDims &shapes) const {
    shapes = reifyDataShape(b, op);
    return success();
  }
};

template <class Op>
struct RuleOpTiling : TilingInterface::ExternalModel<RuleOpTiling<Op>, Op> {
  SmallVector<utils::IteratorType> getLoopIteratorTypes(Operation *op) const {
    auto data = dyn_cast<RankedTensorType>(op->getOperand(0).getType());
    return SmallVector<utils::IteratorType>(data ? data.getRank() : 0,
                                            utils::IteratorType::parallel);
  }
  SmallVector<Range> getIterationDomain(Operation *op, OpBuilder &b) const {
    return getDataDomain(b, op);
  }
  FailureOr<TilingResult>
  getTiledImplementation(Operation *op, OpBuilder &b,
                         ArrayRef<OpFoldResult> offsets,
                         ArrayRef<OpFoldResult> sizes) const {
    if (!isa<RankedTensorType>(op->getOperand(0).getType()))
      return failure();
    return tileElementwise(b, op, offsets, sizes);
  }
  // The result's tile is the iteration's: the data's map is the identity.
  LogicalResult getResultTilePosition(
      Operation *, OpBuilder &, unsigned, ArrayRef<OpFoldResult> offsets,
      ArrayRef<OpFoldResult> sizes, SmallVector<OpFoldResult> &resultOffsets,
      SmallVector<OpFoldResult> &resultSizes) const {
    llvm::append_range(resultOffsets, offsets);
    llvm::append_range(resultSizes, sizes);
    return success();
  }
  LogicalResult getIterationDomainTileFromResultTile(
      Operation *, OpBuilder &, unsigned, ArrayRef<OpFoldResult> offsets,
      ArrayRef<OpFoldResult> sizes,
      SmallVectorImpl<OpFoldResult> &domainOffsets,
      SmallVectorImpl<OpFoldResult> &domainSizes) const {
    llvm::append_range(domainOffsets, offsets);
    llvm::append_range(domainSizes, sizes);
    return success();
  }
  FailureOr<TilingResult>
  generateResultTileValue(Operation *op, OpBuilder &b, unsigned,
                          ArrayRef<OpFoldResult> offsets,
                          ArrayRef<OpFoldResult> sizes) const {
    return getTiledImplementation(op, b, offsets, sizes);
  }
};
} // namespace detail

/// Gives those of `Ops` that have a gradient rule and one result the interfaces
/// above; to be called by the dialect that registers them.
template <class... Ops> void attachRuleOpModels(MLIRContext *context) {
  auto attach = [&]<class Op>() {
    if constexpr (Op::template hasTrait<GradientRuleInterface::Trait>() &&
                  Op::template hasTrait<OpTrait::OneResult>())
      Op::template attachInterface<detail::RuleOpShape<Op>,
                                   detail::RuleOpTiling<Op>>(*context);
  };
  (attach.template operator()<Ops>(), ...);
}

} // namespace mlir::quant_ste

#endif // QUANT_STE_DIALECT_QUANTSTE_IR_RULEOPMODELS_H
