//===- OwnDestinations.cpp - a destination for each op -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEOWNDESTINATIONSPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

/// May the op write into the buffer of this operand, or pass it on to one that
/// may? Everything else can share.
static bool isDestination(OpOperand &operand) {
  Operation *user = operand.getOwner();
  if (auto dps = dyn_cast<DestinationStyleOpInterface>(user))
    return dps.isDpsInit(&operand);
  return !isa<tensor::CastOp, tensor::CollapseShapeOp, tensor::DimOp,
              tensor::ExpandShapeOp, tensor::ExtractOp, tensor::ExtractSliceOp>(
      user);
}

/// The op that makes `value` out of nothing: tensor.empty, a fill of one, or a
/// splat constant.
static Value makeAgain(OpBuilder &b, Value value) {
  Location loc = value.getLoc();
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return {};
  if (auto empty = value.getDefiningOp<tensor::EmptyOp>())
    return b.clone(*empty)->getResult(0);
  if (auto fill = value.getDefiningOp<linalg::FillOp>()) {
    auto empty = fill.output().getDefiningOp<tensor::EmptyOp>();
    if (!empty)
      return {};
    Value fresh = b.clone(*empty)->getResult(0);
    IRMapping map;
    map.map(empty.getResult(), fresh);
    return b.clone(*fill, map)->getResult(0);
  }
  DenseElementsAttr constant;
  if (!matchPattern(value, m_Constant(&constant)) || !constant.isSplat())
    return {};
  Value scalar =
      arith::ConstantOp::create(b, loc, constant.getSplatValue<TypedAttr>());
  Value empty =
      tensor::EmptyOp::create(b, loc, type.getShape(), type.getElementType());
  return linalg::FillOp::create(b, loc, ValueRange{scalar}, ValueRange{empty})
      .getResult(0);
}

/// Has what the loop carries next written over what it carries now.
static void updateCarried(scf::ForOp loop) {
  Block *body = loop.getBody();
  for (auto [carried, yielded] :
       llvm::zip(loop.getRegionIterArgs(), loop.getYieldedValues())) {
    auto generic = yielded.getDefiningOp<linalg::GenericOp>();
    if (!generic || generic->getBlock() != body ||
        carried.getType() != yielded.getType())
      continue;
    OpOperand *init = generic.getTiedOpOperand(cast<OpResult>(yielded));
    if (generic.getMatchingBlockArgument(init).use_empty() &&
        init->get().getDefiningOp<tensor::EmptyOp>())
      init->set(carried);
  }
}

namespace {
struct OwnDestinations
    : quant_ste::impl::QuantSTEOwnDestinationsPassBase<OwnDestinations> {
  using QuantSTEOwnDestinationsPassBase::QuantSTEOwnDestinationsPassBase;

  void runOnOperation() override {
    if (carried)
      getOperation()->walk(updateCarried);
    SmallVector<OpOperand *> shared;
    getOperation()->walk([&](Operation *op) {
      for (OpOperand &operand : op->getOpOperands()) {
        Value v = operand.get();
        // A constant is memory that nobody may write to: even one user is one
        // too many.
        bool isConstant = v.getDefiningOp<arith::ConstantOp>();
        if (isa<RankedTensorType>(v.getType()) && isDestination(operand) &&
            (isConstant || !v.hasOneUse() ||
             v.getParentBlock() != op->getBlock()))
          shared.push_back(&operand);
      }
    });
    for (OpOperand *operand : shared) {
      OpBuilder b(operand->getOwner());
      if (Value own = makeAgain(b, operand->get()))
        operand->set(own);
    }
    // What nobody uses any more would only be bufferized for nothing.
    IRRewriter rewriter(&getContext());
    eliminateTriviallyDeadOps(rewriter);
  }

  void eliminateTriviallyDeadOps(RewriterBase &rewriter) {
    SmallVector<Operation *> fills;
    getOperation()->walk([&](Operation *op) {
      if (isa<linalg::FillOp, tensor::EmptyOp>(op))
        fills.push_back(op);
    });
    for (Operation *op : llvm::reverse(fills))
      if (op->use_empty() && op->getNumResults())
        rewriter.eraseOp(op);
  }
};
} // namespace
