//===- WidenExtrema.cpp - extrema of 16-bit floats in f32 -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "WidenExtrema.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::quant_ste;

/// The op of the body that combines an output with the next element, if the
/// output is such an extremum.
static Operation *findCombiner(linalg::GenericOp op, unsigned output) {
  OpOperand *init = op.getDpsInitOperand(output);
  Type element = getElementTypeOrSelf(init->get().getType());
  BlockArgument arg = op.getMatchingBlockArgument(init);
  if (!(element.isF16() || element.isBF16()) || !arg.hasOneUse() ||
      op.getMatchingIndexingMap(init).getNumResults() == op.getNumLoops())
    return nullptr;
  Operation *combiner = *arg.user_begin();
  Value yielded = op.getBody()->getTerminator()->getOperand(output);
  if (!isa<arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp,
           arith::MinNumFOp>(combiner) ||
      yielded != combiner->getResult(0) || !yielded.hasOneUse())
    return nullptr;
  return combiner;
}

/// A tensor, element by element in another type.
static Value convert(ImplicitLocOpBuilder &b, Value v, Type element) {
  auto type = cast<RankedTensorType>(v.getType()).clone(element);
  bool isWider = element.getIntOrFloatBitWidth() >
                 cast<ShapedType>(v.getType()).getElementTypeBitWidth();
  Value empty = tensor::EmptyOp::create(
      b, tensor::getMixedSizes(b, b.getLoc(), v), element);
  // A sum that starts at a known value is better told so.
  if (auto fill = v.getDefiningOp<linalg::FillOp>(); fill && isWider) {
    Value wide = b.createOrFold<arith::ExtFOp>(element, fill.value());
    return linalg::FillOp::create(b, wide, empty).result();
  }
  SmallVector<AffineMap> maps(2, b.getMultiDimIdentityMap(type.getRank()));
  SmallVector<utils::IteratorType> loops(type.getRank(),
                                         utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, type, v, empty, maps, loops,
             [&](OpBuilder &nested, Location loc, ValueRange args) {
               Value to = isWider ? arith::ExtFOp::create(nested, loc, element,
                                                          args.front())
                                        .getResult()
                                  : arith::TruncFOp::create(
                                        nested, loc, element, args.front());
               linalg::YieldOp::create(nested, loc, to);
             })
      .getResult(0);
}

static void widen(IRRewriter &rewriter, linalg::GenericOp op,
                  ArrayRef<Operation *> combiners) {
  rewriter.setInsertionPoint(op);
  ImplicitLocOpBuilder b(op.getLoc(), rewriter);
  SmallVector<Value> inits(op.getDpsInits());
  for (auto [init, combiner] : llvm::zip_equal(inits, combiners))
    if (combiner)
      init = convert(b, init, b.getF32Type());
  auto wide = linalg::GenericOp::create(
      b, TypeRange(ValueRange(inits)), op.getDpsInputs(), inits,
      op.getIndexingMapsArray(), op.getIteratorTypesArray());
  wide.getRegion().takeBody(op.getRegion());
  for (auto [i, combiner] : llvm::enumerate(combiners)) {
    if (!combiner)
      continue;
    BlockArgument arg =
        wide.getMatchingBlockArgument(wide.getDpsInitOperand(i));
    arg.setType(b.getF32Type());
    rewriter.setInsertionPoint(combiner);
    OperationState state(combiner->getLoc(), combiner->getName());
    for (Value v : combiner->getOperands())
      state.operands.push_back(
          v == arg ? v
                   : arith::ExtFOp::create(rewriter, combiner->getLoc(),
                                           b.getF32Type(), v));
    state.types.push_back(b.getF32Type());
    state.propertiesAttr = combiner->getPropertiesAsAttribute();
    rewriter.replaceOp(combiner, rewriter.create(state));
  }
  b.setInsertionPointAfter(wide);
  SmallVector<Value> results(wide.getResults());
  for (auto [result, type] : llvm::zip_equal(results, op.getResultTypes()))
    if (result.getType() != type)
      result = convert(b, result, getElementTypeOrSelf(type));
  rewriter.replaceOp(op, results);
}

void quant_ste::widenExtrema(Operation *root) {
  SmallVector<linalg::GenericOp> ops;
  root->walk([&](linalg::GenericOp op) {
    if (op.hasPureTensorSemantics())
      ops.push_back(op);
  });
  IRRewriter rewriter(root->getContext());
  for (linalg::GenericOp op : ops) {
    SmallVector<Operation *> combiners;
    for (unsigned i = 0, n = op.getNumDpsInits(); i < n; ++i)
      combiners.push_back(findCombiner(op, i));
    if (llvm::any_of(combiners, [](Operation *c) { return c != nullptr; }))
      widen(rewriter, op, combiners);
  }
}
