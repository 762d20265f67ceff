//===- AbsorbTransposes.cpp - factors read as they are stored ---*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEABSORBTRANSPOSESPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

/// The map that reads what `transpose` reads where `map` reads its result.
static AffineMap readBefore(linalg::TransposeOp transpose, AffineMap map) {
  SmallVector<AffineExpr> results(map.getNumResults());
  for (auto [to, from] : llvm::enumerate(transpose.getPermutation()))
    results[from] = map.getResult(to);
  return AffineMap::get(map.getNumDims(), 0, results, map.getContext());
}

static void absorbTransposes(RewriterBase &rewriter, linalg::LinalgOp op) {
  auto getTranspose = [](OpOperand *operand) {
    return operand->get().getDefiningOp<linalg::TransposeOp>();
  };
  if (llvm::none_of(op.getDpsInputOperands(), getTranspose))
    return;
  auto generic = dyn_cast<linalg::GenericOp>(op.getOperation());
  if (!generic) {
    rewriter.setInsertionPoint(op);
    FailureOr<linalg::GenericOp> made = linalg::generalizeNamedOp(rewriter, op);
    if (failed(made))
      return;
    generic = *made;
  }
  SmallVector<AffineMap> maps = generic.getIndexingMapsArray();
  rewriter.modifyOpInPlace(generic, [&] {
    for (OpOperand *operand : generic.getDpsInputOperands()) {
      // A chain of them goes at once.
      while (linalg::TransposeOp transpose = getTranspose(operand)) {
        AffineMap &map = maps[operand->getOperandNumber()];
        map = readBefore(transpose, map);
        operand->set(transpose.getInput());
      }
    }
    generic.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
  });
}

namespace {
struct AbsorbTransposes
    : quant_ste::impl::QuantSTEAbsorbTransposesPassBase<AbsorbTransposes> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<linalg::LinalgOp> products;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (!op.hasPureTensorSemantics() ||
          !linalg::isaContractionOpInterface(op))
        return;
      // The runtime sums in these only.
      Type sum = getElementTypeOrSelf(op->getResultTypes().front());
      if (sum.isF32() || sum.isF64())
        products.push_back(op);
    });
    for (linalg::LinalgOp op : products)
      absorbTransposes(rewriter, op);
  }
};
} // namespace
