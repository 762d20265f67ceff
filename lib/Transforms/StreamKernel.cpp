//===- StreamKernel.cpp - a generic as loops along memory -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/StreamKernel.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"
#include "quant_ste/Transforms/PackedBits.h"

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

static LogicalResult
checkBody(Block &body, const llvm::SmallPtrSetImpl<Operation *> &packing,
          std::string &why) {
  auto isLane = [](Type type) { return VectorType::isValidElementType(type); };
  for (Operation &op : body.without_terminator()) {
    if (isa<linalg::IndexOp>(op) || op.hasTrait<OpTrait::ConstantLike>() ||
        packing.contains(&op))
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

/// Operands of packed bits, by operand number.
using PackedOperands = DenseMap<unsigned, PackedOperand>;

/// The loop of each dimension: of packed bits, as if they were not packed.
static AffineMap getLoopMap(linalg::GenericOp op, OpOperand &operand,
                            const PackedOperands &packed) {
  if (!packed.contains(operand.getOperandNumber()))
    return op.getMatchingIndexingMap(&operand);
  return AffineMap::getMultiDimIdentityMap(op.getNumLoops(), op.getContext());
}

/// A loop that runs along memory in every operand that sees it, and in at least
/// one: preferably one whose iterations are independent of each other.
static std::optional<unsigned>
chooseVectorLoop(linalg::GenericOp op, const llvm::SmallBitVector &kept,
                 const PackedOperands &packed) {
  std::optional<unsigned> best;
  for (unsigned loop = 0, n = op.getNumLoops(); loop < n; ++loop) {
    bool isSeen = false, isAlong = true;
    for (OpOperand &operand : op->getOpOperands()) {
      AffineMap map = getLoopMap(op, operand, packed);
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

/// The loops of a row are one; so are rows of whole bytes.
static bool canMergePacked(linalg::GenericOp op, OpOperand &operand,
                           const PackedOperand &packed, ArrayRef<unsigned> run,
                           unsigned inner) {
  if (inner != run.back() + 1)
    return false;
  unsigned begin = op.getNumLoops() - packed.rowDims;
  if (run.back() >= begin)
    return true;
  int64_t row = getRowSize(op.getStaticLoopRanges(), packed.rowDims);
  if (inner == begin && (ShapedType::isDynamic(row) || row % 8 != 0))
    return false;
  SmallVector<ReassociationIndices> groups;
  for (unsigned d = 0; d <= begin; ++d)
    if (d > run.front() && d <= inner)
      groups.back().push_back(d);
    else
      groups.push_back({d});
  return memref::CollapseShapeOp::isGuaranteedCollapsible(
      cast<MemRefType>(operand.get().getType()), groups);
}

/// Loops of the op, run one inside the other, are one if each operand sees all
/// of them, as neighbours in memory, or none. `run` are one already. All are
/// looked at together: a dimension of size 1 fits to both of its neighbours,
/// which need not fit to each other.
static bool canMerge(linalg::GenericOp op, ArrayRef<unsigned> run,
                     unsigned inner, const PackedOperands &packed) {
  return llvm::all_of(op->getOpOperands(), [&](OpOperand &operand) {
    if (auto it = packed.find(operand.getOperandNumber()); it != packed.end())
      return canMergePacked(op, operand, it->second, run, inner);
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
                              ArrayRef<unsigned> newLoop,
                              const PackedOperands &packed) {
  StreamOperand result{operand.get(), {}, {}};
  AffineMap map = getLoopMap(op, operand, packed);
  unsigned numDims = map.getNumResults();
  if (auto it = packed.find(operand.getOperandNumber()); it != packed.end()) {
    result.bit = it->second.bit;
    numDims -= it->second.rowDims - 1; // a row is one dimension of bytes
  }
  for (unsigned d = 0; d < numDims; ++d) {
    unsigned loop = newLoop[map.getDimPosition(d)];
    if (result.loops.empty() || result.loops.back() != loop) {
      result.loops.push_back(loop);
      result.dims.emplace_back();
    }
    result.dims.back().push_back(d);
  }
  return result;
}

/// What something else in the body uses as well is more than packing.
static void dropSharedPacking(llvm::SmallPtrSetImpl<Operation *> &packing,
                              const PackedOperands &packed) {
  llvm::SmallPtrSet<Operation *, 8> ends;
  for (auto &[number, bits] : packed)
    ends.insert(bits.ops.back());
  bool changed = true;
  while (changed) {
    changed = false;
    for (Operation *op : llvm::to_vector(packing))
      if (!ends.contains(op) && llvm::any_of(op->getUsers(), [&](auto *user) {
            return !packing.contains(user);
          })) {
        packing.erase(op);
        changed = true;
      }
  }
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
  StreamKernel k;
  k.op = op;
  PackedOperands packed;
  for (OpOperand &operand : op->getOpOperands())
    if (auto bits = matchPackedOperand(op, operand)) {
      k.packing.insert_range(bits->ops);
      packed.try_emplace(operand.getOperandNumber(), std::move(*bits));
    }
  dropSharedPacking(k.packing, packed);
  if (failed(checkBody(body, k.packing, why)))
    return failure();
  for (OpOperand &operand : op->getOpOperands()) {
    if (!getLoopMap(op, operand, packed).isProjectedPermutation())
      return refuse("an operand is indexed by more than plain loops");
    Type element = getElementTypeOrSelf(operand.get().getType());
    if (!VectorType::isValidElementType(element) ||
        (element.isIntOrFloat() && element.getIntOrFloatBitWidth() % 8 &&
         !element.isInteger(1)))
      return refuse("an operand's elements are not whole bytes");
  }

  llvm::SmallBitVector kept(numLoops, true);
  std::optional<AffineMap> reducedMap;
  for (auto [i, operand] : llvm::enumerate(op.getDpsInitsMutable())) {
    AffineMap map = getLoopMap(op, operand, packed);
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

  std::optional<unsigned> vectorLoop = chooseVectorLoop(op, kept, packed);
  if (!vectorLoop)
    return refuse("no loop runs along memory in all operands");
  k.isContraction =
      linalg::isaContractionOpInterface(op) &&
      op.getIndexingMapsArray()[0] != op.getIndexingMapsArray()[1];
  if (k.isContraction && !kept.test(*vectorLoop))
    return refuse("its products would have to be added in another order");

  bool usesIndices = llvm::any_of(body, [&](Operation &inner) {
    return isa<linalg::IndexOp>(inner) && !k.packing.contains(&inner);
  });
  // The op's loops in their new order, merged where possible.
  SmallVector<unsigned> newLoop(numLoops);
  for (unsigned i = 0; i < numLoops; ++i) {
    unsigned loop = i == numLoops - 1 ? *vectorLoop : i + (i >= *vectorLoop);
    if (k.loops.empty() || usesIndices ||
        !canMerge(op, k.loops.back(), loop, packed))
      k.loops.emplace_back();
    k.loops.back().push_back(loop);
    newLoop[loop] = k.loops.size() - 1;
  }
  for (auto &[number, bits] : packed)
    if (k.loops.back().size() < static_cast<size_t>(bits.rowDims) ||
        k.loops.back().back() != numLoops - 1)
      return refuse("its rows of packed bits do not run along one loop");
  k.kept.resize(k.loops.size());
  for (auto [i, merged] : llvm::enumerate(k.loops))
    k.kept[i] = kept.test(merged.front());
  for (OpOperand *operand : op.getDpsInputOperands())
    k.inputs.push_back(describe(op, *operand, newLoop, packed));
  for (OpOperand &operand : op.getDpsInitsMutable())
    k.outputs.push_back(describe(op, operand, newLoop, packed));
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
        if (operand.bit && loop == getVectorLoop())
          continue; // bytes do not tell how many bits there are
        else if (!sizes[loop] ||
                 !cast<MemRefType>(operand.value.getType()).isDynamicDim(dim))
          sizes[loop] = b.createOrFold<memref::DimOp>(operand.value, dim);
    }
}
