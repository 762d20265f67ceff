//===- TransposeFactors.cpp - matrix factors along memory -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTETRANSPOSEFACTORSPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

/// Does the product's innermost loop jump through this factor, which it reads
/// again for some other loop of the result?
static bool isAcrossMemory(AffineMap factor, AffineMap result) {
  if (result.getNumResults() == 0)
    return false;
  AffineExpr last = result.getResults().back();
  std::optional<unsigned> position = factor.getResultPosition(last);
  bool isReused = llvm::any_of(result.getResults(), [&](AffineExpr loop) {
    return !factor.getResultPosition(loop);
  });
  return position && *position + 1 != factor.getNumResults() && isReused;
}

/// The factor with its dimension `position` moved to the end.
static Value moveLast(RewriterBase &rewriter, Location loc, Value factor,
                      unsigned position) {
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(rewriter, loc, factor);
  SmallVector<int64_t> order;
  for (unsigned d = 0; d < sizes.size(); ++d)
    if (d != position)
      order.push_back(d);
  order.push_back(position);
  SmallVector<OpFoldResult> newSizes =
      llvm::map_to_vector(order, [&](int64_t d) { return sizes[d]; });
  Value empty = tensor::EmptyOp::create(rewriter, loc, newSizes,
                                        getElementTypeOrSelf(factor.getType()));
  return linalg::TransposeOp::create(rewriter, loc, factor, empty, order)
      ->getResult(0);
}

static void transposeFactors(RewriterBase &rewriter, linalg::LinalgOp op) {
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  unsigned numInputs = op.getNumDpsInputs();
  auto isWanted = [&](unsigned i) {
    return isAcrossMemory(maps[i], maps[numInputs]);
  };
  if (!llvm::any_of(llvm::seq(numInputs), isWanted))
    return;
  rewriter.setInsertionPoint(op);
  auto generic = dyn_cast<linalg::GenericOp>(op.getOperation());
  if (!generic) {
    FailureOr<linalg::GenericOp> made = linalg::generalizeNamedOp(rewriter, op);
    if (failed(made))
      return;
    generic = *made;
  }
  rewriter.setInsertionPoint(generic);
  for (unsigned i = 0; i < numInputs; ++i) {
    if (!isWanted(i))
      continue;
    AffineExpr last = maps[numInputs].getResults().back();
    unsigned position = *maps[i].getResultPosition(last);
    Value moved = moveLast(rewriter, generic.getLoc(),
                           generic.getDpsInputOperand(i)->get(), position);
    SmallVector<AffineExpr> results(maps[i].getResults());
    results.erase(results.begin() + position);
    results.push_back(last);
    maps[i] =
        AffineMap::get(maps[i].getNumDims(), 0, results, rewriter.getContext());
    rewriter.modifyOpInPlace(generic,
                             [&] { generic.getInputsMutable()[i].set(moved); });
  }
  rewriter.modifyOpInPlace(generic, [&] {
    generic.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
  });
}

namespace {
struct TransposeFactors
    : quant_ste::impl::QuantSTETransposeFactorsPassBase<TransposeFactors> {
  using QuantSTETransposeFactorsPassBase::QuantSTETransposeFactorsPassBase;

  /// Is it left to a vector loop?
  bool isOurs(linalg::LinalgOp op) {
    Type sum = getElementTypeOrSelf(op->getResultTypes().front());
    return !narrowSums || !(sum.isF32() || sum.isF64());
  }

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<linalg::LinalgOp> products;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (op.hasPureTensorSemantics() &&
          linalg::isaContractionOpInterface(op) && isOurs(op))
        products.push_back(op);
    });
    for (linalg::LinalgOp op : products)
      transposeFactors(rewriter, op);
  }
};
} // namespace
