//===- FuseSiblings.cpp - readers of one tensor into one op -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/PackedBits.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;
using utils::IteratorType;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEFUSESIBLINGSPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir::quant_ste;

/// Does `op` read all of `v`, in the order of its loops?
static bool readsInOrder(linalg::GenericOp op, Value v) {
  return llvm::any_of(op.getDpsInputOperands(), [&](OpOperand *operand) {
    return operand->get() == v &&
           op.getMatchingIndexingMap(operand).isIdentity();
  });
}

/// Can `first` be computed where `second` is?
static bool canSink(linalg::GenericOp first, linalg::GenericOp second) {
  Block *block = second->getBlock();
  return llvm::all_of(first->getUsers(), [&](Operation *user) {
    Operation *inBlock = block->findAncestorOpInBlock(*user);
    return inBlock && inBlock != second && second->isBeforeInBlock(inBlock);
  });
}

/// The map of the reduced results, if there is one for all.
static LogicalResult findReducedMap(linalg::GenericOp op,
                                    std::optional<AffineMap> &reduced) {
  for (OpOperand &init : op.getDpsInitsMutable()) {
    AffineMap map = op.getMatchingIndexingMap(&init);
    if (map.getNumResults() == op.getNumLoops() || isByteMap(op, map))
      continue;
    if (reduced && *reduced != map)
      return failure();
    reduced = map;
  }
  return success();
}

static bool canFuse(linalg::GenericOp first, linalg::GenericOp second,
                    size_t maxOps) {
  if (first->getBlock() != second->getBlock() ||
      !first->isBeforeInBlock(second) ||
      first.getNumLoops() != second.getNumLoops())
    return false;
  if (linalg::isaContractionOpInterface(first) ||
      linalg::isaContractionOpInterface(second))
    return false;
  if (!canShareLoops(first, second))
    return false;
  // Sums over different loops have no common code.
  std::optional<AffineMap> reduced;
  if (failed(findReducedMap(first, reduced)) ||
      failed(findReducedMap(second, reduced)))
    return false;
  size_t ops = first.getRegion().front().getOperations().size() +
               second.getRegion().front().getOperations().size();
  return ops <= maxOps && canSink(first, second);
}

/// One op with the inputs (each once), the results and the bodies of both.
static linalg::GenericOp fuse(RewriterBase &rewriter, linalg::GenericOp first,
                              linalg::GenericOp second) {
  rewriter.setInsertionPoint(second);
  SmallVector<Value> inputs, inits;
  SmallVector<AffineMap> inputMaps, initMaps;
  SmallVector<SmallVector<unsigned>> slots; // of each op's inputs
  for (linalg::GenericOp op : {first, second}) {
    slots.emplace_back();
    for (OpOperand *operand : op.getDpsInputOperands()) {
      AffineMap map = op.getMatchingIndexingMap(operand);
      unsigned slot = 0;
      while (slot < inputs.size() &&
             (inputs[slot] != operand->get() || inputMaps[slot] != map))
        ++slot;
      if (slot == inputs.size()) {
        inputs.push_back(operand->get());
        inputMaps.push_back(map);
      }
      slots.back().push_back(slot);
    }
    for (OpOperand &init : op.getDpsInitsMutable()) {
      inits.push_back(init.get());
      initMaps.push_back(op.getMatchingIndexingMap(&init));
    }
  }
  SmallVector<IteratorType> iterators = first.getIteratorTypesArray();
  for (auto [mine, other] :
       llvm::zip_equal(iterators, second.getIteratorTypesArray()))
    if (other == IteratorType::reduction)
      mine = other;

  SmallVector<AffineMap> maps(inputMaps);
  llvm::append_range(maps, initMaps);
  auto fused = linalg::GenericOp::create(
      rewriter, rewriter.getFusedLoc({first.getLoc(), second.getLoc()}),
      TypeRange(ValueRange(inits)), inputs, inits, maps, iterators,
      [&](OpBuilder &b, Location loc, ValueRange args) {
        SmallVector<Value> yields;
        unsigned nextInit = inputs.size();
        for (auto [i, own] : llvm::enumerate(slots)) {
          linalg::GenericOp op = i == 0 ? first : second;
          IRMapping map;
          Block &body = op.getRegion().front();
          for (auto [n, slot] : llvm::enumerate(own))
            map.map(body.getArgument(n), args[slot]);
          for (BlockArgument out : body.getArguments().drop_front(own.size()))
            map.map(out, args[nextInit++]);
          for (Operation &inner : body.without_terminator())
            b.clone(inner, map);
          for (Value v : body.getTerminator()->getOperands())
            yields.push_back(map.lookupOrDefault(v));
        }
        linalg::YieldOp::create(b, loc, yields);
      });
  unsigned count = first.getNumResults();
  rewriter.replaceOp(first, fused.getResults().take_front(count));
  rewriter.replaceOp(second, fused.getResults().drop_front(count));
  return fused;
}

namespace {
struct FuseSiblings
    : quant_ste::impl::QuantSTEFuseSiblingsPassBase<FuseSiblings> {
  using QuantSTEFuseSiblingsPassBase::QuantSTEFuseSiblingsPassBase;

  /// An earlier op that reads a tensor in the same order as `op` does.
  linalg::GenericOp findSibling(linalg::GenericOp op) {
    for (Value input : op.getInputs()) {
      if (!readsInOrder(op, input))
        continue;
      for (Operation *user : input.getUsers()) {
        auto other = dyn_cast<linalg::GenericOp>(user);
        if (other && other != op && readsInOrder(other, input) &&
            canFuse(other, op, maxOps))
          return other;
      }
    }
    return {};
  }

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<linalg::GenericOp> ops;
    getOperation()->walk([&](linalg::GenericOp op) {
      if (op.hasPureTensorSemantics())
        ops.push_back(op);
    });
    // Earlier ops are merged into later ones, which may then be merged again.
    llvm::SmallPtrSet<Operation *, 16> gone;
    for (linalg::GenericOp op : ops) {
      if (gone.contains(op))
        continue;
      while (linalg::GenericOp sibling = findSibling(op)) {
        gone.insert(sibling);
        op = fuse(rewriter, sibling, op);
        ++numMerged;
      }
    }
  }
};
} // namespace
