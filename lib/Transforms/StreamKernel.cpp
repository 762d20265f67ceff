//===- StreamKernel.cpp - a generic as loops along memory -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/StreamKernel.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::quant_ste;
using arith::AtomicRMWKind;

//===----------------------------------------------------------------------===//
// The body
//===----------------------------------------------------------------------===//

/// How `op` combines values, if it may be applied to partial results.
static std::optional<AtomicRMWKind> getReductionKind(Operation *op) {
  using Kind = std::optional<AtomicRMWKind>;
  return llvm::TypeSwitch<Operation *, Kind>(op)
      .Case([](arith::AddFOp) { return AtomicRMWKind::addf; })
      .Case([](arith::AddIOp) { return AtomicRMWKind::addi; })
      .Case([](arith::MaximumFOp) { return AtomicRMWKind::maximumf; })
      .Case([](arith::MinimumFOp) { return AtomicRMWKind::minimumf; })
      .Case([](arith::MaxNumFOp) { return AtomicRMWKind::maxnumf; })
      .Case([](arith::MinNumFOp) { return AtomicRMWKind::minnumf; })
      .Case([](arith::MaxSIOp) { return AtomicRMWKind::maxs; })
      .Case([](arith::MinSIOp) { return AtomicRMWKind::mins; })
      .Case([](arith::MaxUIOp) { return AtomicRMWKind::maxu; })
      .Case([](arith::MinUIOp) { return AtomicRMWKind::minu; })
      .Case([](arith::OrIOp) { return AtomicRMWKind::ori; })
      .Case([](arith::AndIOp) { return AtomicRMWKind::andi; })
      .Default([](Operation *) { return Kind(); });
}

/// Vectors of it are not calls of a library function for each lane.
static bool hasVectorForm(Operation *op) {
  if (!isa<math::MathDialect>(op->getDialect()))
    return true;
  return isa<math::AbsFOp, math::AbsIOp, math::CeilOp, math::CopySignOp,
             math::CtPopOp, math::FloorOp, math::FmaOp, math::IsFiniteOp,
             math::IsInfOp, math::IsNaNOp, math::RoundEvenOp, math::RoundOp,
             math::RsqrtOp, math::SqrtOp, math::TruncOp>(op);
}

static LogicalResult checkBody(Block &body, std::string &why) {
  auto isLane = [](Type type) { return VectorType::isValidElementType(type); };
  for (Operation &op : body.without_terminator()) {
    if (isa<linalg::IndexOp>(op) || op.hasTrait<OpTrait::ConstantLike>())
      continue;
    if (!OpTrait::hasElementwiseMappableTraits(&op) ||
        !llvm::all_of(op.getOperandTypes(), isLane) ||
        !llvm::all_of(op.getResultTypes(), isLane))
      why = "cannot be applied to a vector";
    else if (!isPure(&op)) // for instance a division by zero in a masked lane
      why = "must not be executed for elements that do not exist";
    else if (!hasVectorForm(&op))
      why = "is a call of a library function";
    else
      continue;
    why = ("'" + op.getName().getStringRef() + "' " + why).str();
    return failure();
  }
  return success();
}

/// acc' = combine(acc, f(...)), where f does not see acc.
static std::optional<AtomicRMWKind> matchReduction(Block &body, unsigned output,
                                                   BlockArgument acc) {
  Operation *combine = body.getTerminator()->getOperand(output).getDefiningOp();
  if (!combine || combine->getBlock() != &body || !acc.hasOneUse() ||
      *acc.user_begin() != combine)
    return std::nullopt;
  return getReductionKind(combine);
}

//===----------------------------------------------------------------------===//
// The loops
//===----------------------------------------------------------------------===//

/// A loop that runs along memory in every operand that sees it, and in at least
/// one: preferably one whose iterations are independent of each other.
static std::optional<unsigned>
chooseVectorLoop(linalg::GenericOp op, const llvm::SmallBitVector &kept) {
  std::optional<unsigned> best;
  for (unsigned loop = 0, n = op.getNumLoops(); loop < n; ++loop) {
    bool isSeen = false, isAlong = true;
    for (OpOperand &operand : op->getOpOperands()) {
      AffineMap map = op.getMatchingIndexingMap(&operand);
      if (!map.isFunctionOfDim(loop))
        continue;
      isSeen = true;
      auto type = cast<MemRefType>(operand.get().getType());
      isAlong &= map.getDimPosition(map.getNumResults() - 1) == loop &&
                 type.isLastDimUnitStride();
    }
    if (isSeen && isAlong && (!best || kept.test(loop) || !kept.test(*best)))
      best = loop;
  }
  return best;
}

/// Loops of the op, run one inside the other, are one if each operand sees all
/// of them, as neighbours in memory, or none. `run` are one already. All are
/// looked at together: a dimension of size 1 fits to both of its neighbours,
/// which need not fit to each other.
static bool canMerge(linalg::GenericOp op, ArrayRef<unsigned> run,
                     unsigned inner) {
  return llvm::all_of(op->getOpOperands(), [&](OpOperand &operand) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    MLIRContext *context = op.getContext();
    auto at = map.getResultPosition(getAffineDimExpr(run.back(), context));
    auto next = map.getResultPosition(getAffineDimExpr(inner, context));
    if (!at || !next)
      return !at && !next;
    if (*next != *at + 1)
      return false;
    unsigned first = *next - run.size();
    SmallVector<ReassociationIndices> groups;
    for (unsigned d = 0; d < map.getNumResults(); ++d)
      if (d > first && d <= *next)
        groups.back().push_back(d);
      else
        groups.push_back({d});
    return memref::CollapseShapeOp::isGuaranteedCollapsible(
        cast<MemRefType>(operand.get().getType()), groups);
  });
}

static StreamOperand describe(linalg::GenericOp op, OpOperand &operand,
                              ArrayRef<unsigned> newLoop) {
  StreamOperand result{operand.get(), {}, {}};
  AffineMap map = op.getMatchingIndexingMap(&operand);
  for (unsigned d = 0; d < map.getNumResults(); ++d) {
    unsigned loop = newLoop[map.getDimPosition(d)];
    if (result.loops.empty() || result.loops.back() != loop) {
      result.loops.push_back(loop);
      result.dims.emplace_back();
    }
    result.dims.back().push_back(d);
  }
  return result;
}

FailureOr<StreamKernel> StreamKernel::analyze(linalg::GenericOp op,
                                              std::string &why) {
  auto refuse = [&](const Twine &reason) {
    why = reason.str();
    return failure();
  };
  unsigned numLoops = op.getNumLoops();
  Block &body = op.getRegion().front();
  if (numLoops == 0)
    return failure(); // nothing to say: one element is no loss
  if (failed(checkBody(body, why)))
    return failure();
  for (OpOperand &operand : op->getOpOperands()) {
    if (!op.getMatchingIndexingMap(&operand).isProjectedPermutation())
      return refuse("an operand is indexed by more than plain loops");
    Type element = getElementTypeOrSelf(operand.get().getType());
    if (!VectorType::isValidElementType(element) ||
        (element.isIntOrFloat() && element.getIntOrFloatBitWidth() % 8 &&
         !element.isInteger(1)))
      return refuse("an operand's elements are not whole bytes");
  }

  StreamKernel k;
  k.op = op;
  llvm::SmallBitVector kept(numLoops, true);
  std::optional<AffineMap> reducedMap;
  for (auto [i, operand] : llvm::enumerate(op.getDpsInitsMutable())) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    if (map.getNumResults() == numLoops) {
      k.reductions.push_back(std::nullopt);
      continue;
    }
    if (reducedMap && *reducedMap != map)
      return refuse("its sums run over different loops");
    reducedMap = map;
    BlockArgument acc = op.getMatchingBlockArgument(&operand);
    k.reductions.push_back(matchReduction(body, i, acc));
    if (!k.reductions.back())
      return refuse("a result is neither elementwise nor a reduction");
    for (unsigned loop = 0; loop < numLoops; ++loop)
      kept[loop] = map.isFunctionOfDim(loop);
  }

  std::optional<unsigned> vectorLoop = chooseVectorLoop(op, kept);
  if (!vectorLoop)
    return refuse("no loop runs along memory in all operands");
  k.isContraction =
      linalg::isaContractionOpInterface(op) &&
      op.getIndexingMapsArray()[0] != op.getIndexingMapsArray()[1];
  if (k.isContraction && !kept.test(*vectorLoop))
    return refuse("its products would have to be added in another order");

  // The op's loops in their new order, merged where possible.
  SmallVector<unsigned> newLoop(numLoops);
  for (unsigned i = 0; i < numLoops; ++i) {
    unsigned loop = i == numLoops - 1 ? *vectorLoop : i + (i >= *vectorLoop);
    if (k.loops.empty() || op.hasIndexSemantics() ||
        !canMerge(op, k.loops.back(), loop))
      k.loops.emplace_back();
    k.loops.back().push_back(loop);
    newLoop[loop] = k.loops.size() - 1;
  }
  k.kept.resize(k.loops.size());
  for (auto [i, merged] : llvm::enumerate(k.loops))
    k.kept[i] = kept.test(merged.front());
  for (OpOperand *operand : op.getDpsInputOperands())
    k.inputs.push_back(describe(op, *operand, newLoop));
  for (OpOperand &operand : op.getDpsInitsMutable())
    k.outputs.push_back(describe(op, operand, newLoop));
  return k;
}

void StreamKernel::materialize(ImplicitLocOpBuilder &b) {
  sizes.assign(getNumLoops(), Value());
  for (SmallVector<StreamOperand> *operands : {&inputs, &outputs})
    for (StreamOperand &operand : *operands) {
      if (!operand.isBuffer())
        continue;
      auto type = cast<MemRefType>(operand.value.getType());
      if (operand.dims.size() != static_cast<size_t>(type.getRank()))
        operand.value =
            memref::CollapseShapeOp::create(b, operand.value, operand.dims);
      for (auto [dim, loop] : llvm::enumerate(operand.loops))
        if (!sizes[loop] ||
            !cast<MemRefType>(operand.value.getType()).isDynamicDim(dim))
          sizes[loop] = b.createOrFold<memref::DimOp>(operand.value, dim);
    }
}
