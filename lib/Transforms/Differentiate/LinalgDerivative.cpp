//===- LinalgDerivative.cpp - derivatives of structured ops -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A structured op is a scalar function f under loops, and indexing maps. Its
// derivative is that of f, under the same loops:
//
//   y[i] = sum_k f(a[i,k], m[i])        loops (i, k)
//   da[i,k] =       f_a(a[i,k], m[i]) * dy[i]
//   dm[i]   = sum_k f_m(a[i,k], m[i]) * dy[i]
//
// A map read forwards is a broadcast; read backwards it is the sum of that
// operand's gradient over the loops that the map does not see.
//
// Windows. A convolution or a pooling reads x[2*i + k]: several elements of the
// loops read one of x. Read backwards, such a map scatters: the gradient is a
// generic whose result is indexed dx[2*i + k], a sum over i and over k. All
// windows of all layouts, strides and dilations are this one form, its own
// derivative among them; quant-ste-unroll-windows makes dense loops of it.
//
// Captures. A float that the body takes from outside is an operand that sees no
// loop. A tensor of which the body reads elements, table[index[i], j],
// scatters: the gradient runs through the loops that its indices are computed
// of, and adds to slices of the others.
//
// Reduced results. Besides sums `out + f(in)`, in whatever form the body says
// them, these are known:
// * A maximum or minimum of `out` and f(in): its gradient is shared evenly by
//   the elements equal to the result (torch's amax). Where an operand is read
//   in windows, it goes to the first of them in the order of the loops (torch's
//   max_pool). The initial value counts as one of them, before all others, when
//   its own gradient is asked for. A NaN equals nothing.
// * A product of `out` and f(in): each factor gets the product of the others,
//   also where factors are zero.
//
//===----------------------------------------------------------------------===//

#include "LinalgDerivative.h"

#include "GenericDraft.h"
#include "ModelUtils.h"
#include "quant_ste/Transforms/Differentiate.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;
using namespace mlir::quant_ste;

namespace {
class LinalgDerivative {
public:
  LinalgDerivative(linalg::LinalgOp op, OpBuilder &builder,
                   ArrayRef<Value> given)
      : op(op), b(op.getLoc(), builder), maps(op.getIndexingMapsArray()),
        loopSizes(op.getStaticLoopRanges()), given(given),
        numInputs(op.getNumDpsInputs()), numResults(op.getNumDpsInits()),
        shares(numResults), chosen(numResults), products(numResults) {
    inputs = getDifferentiableInputs(op);
    for (unsigned i = 0; i < op->getNumOperands(); ++i)
      slots.push_back({bodyArg(i), maps[i], operand(i).getType()});
  }

  FailureOr<SmallVector<Value>> vjp(ArrayRef<bool> wanted);
  FailureOr<SmallVector<Value>> jvp();

private:
  linalg::LinalgOp op;
  ImplicitLocOpBuilder b;
  SmallVector<AffineMap> maps;
  SmallVector<int64_t> loopSizes;
  ArrayRef<Value> given; ///< cotangents by result, or tangents by operand
  unsigned numInputs, numResults;
  SmallVector<Value> shares; ///< of an extremum: cotangent / number of ties
  SmallVector<Value> chosen; ///< of one in windows: the number of the first
  /// Of a product: that of its factors that are not zero, and how many are.
  SmallVector<std::pair<Value, Value>> products;
  SmallVector<Value> inputs; ///< operands and captures

  /// What the body reads and a gradient is computed of, as the sum over the
  /// loops that `map` does not see: operands, captured floats, and the elements
  /// of captured tensors.
  struct Slot {
    Value scalar; ///< in the op's body
    AffineMap map;
    Type type;
  };
  SmallVector<Slot> slots; ///< the operands first
  /// tensor.extract of a captured tensor.
  struct Gather {
    unsigned input, slot;
    tensor::ExtractOp op;
    /// For each index the loop that it is, if it is one that no other index
    /// depends on; the loops that the others depend on.
    SmallVector<std::optional<unsigned>> loops;
    llvm::SmallBitVector outer;
  };
  SmallVector<Gather> gathers;

  unsigned numLoops() const { return loopSizes.size(); }
  Value operand(unsigned i) { return op->getOperand(i); }
  Value init(unsigned k) { return operand(numInputs + k); }
  AffineMap resultMap(unsigned k) const { return maps[numInputs + k]; }
  Value bodyArg(unsigned i) { return op.getBlock()->getArgument(i); }
  Value outArg(unsigned k) { return bodyArg(numInputs + k); }
  Value yielded(unsigned k) {
    return op.getBlock()->getTerminator()->getOperand(k);
  }

  Value likeOf(unsigned slot) {
    return slot < op->getNumOperands() ? operand(slot) : Value();
  }
  bool isFull(AffineMap map) const { return map.isPermutation(); }
  bool isReduced(unsigned k) const { return !isFull(resultMap(k)); }
  bool hasWindows() const {
    return llvm::any_of(ArrayRef(maps).take_front(numInputs), [](AffineMap m) {
      return !m.isProjectedPermutation();
    });
  }
  Value getExtremumTerm(unsigned k);
  Value getFactor(unsigned k);

  LogicalResult refuse(const Twine &why);
  LogicalResult refuseReduction(unsigned k);
  LogicalResult check();
  SmallVector<OpFoldResult> sizesOf(AffineMap map, Value like);

  /// Adds the op's operands to the draft, and its body; `scalars` maps from the
  /// op's block arguments and values to the draft's.
  void copyBody(GenericDraft &draft, IRMapping &scalars);
  Value emitIsResult(GenericDraft &draft, IRMapping &scalars, unsigned k);
  Value emitOtherFactors(GenericDraft &draft, IRMapping &scalars, unsigned k);
  Value countTies(unsigned k, bool withInit);
  Value initIsResult(unsigned k);
  Value emitNumber(ImplicitLocOpBuilder &body, unsigned k);
  Value findFirst(unsigned k, bool withInit);
  std::pair<Value, Value> multiplyFactors(unsigned k);
  Value otherInitialFactors(unsigned k);

  using Group = SmallVector<unsigned>;
  SmallVector<Group> groupSlots(ArrayRef<bool> wanted);
  LogicalResult emitGroup(ArrayRef<unsigned> group,
                          MutableArrayRef<Value> grads);
  Value finishGradient(Value partial, AffineMap partialMap, unsigned i);
  LogicalResult addCaptures(ArrayRef<bool> wanted);
  Gather analyzeGather(tensor::ExtractOp extract, unsigned input);
  Value readIndex(Value index, ArrayRef<Value> ivs);
  Value scatter(Gather &gather, Value elements, Value table);
};

llvm::SmallBitVector dimsOf(AffineMap map) {
  llvm::SmallBitVector dims(map.getNumDims());
  for (unsigned d = 0; d < map.getNumDims(); ++d)
    if (map.isFunctionOfDim(d))
      dims.set(d);
  return dims;
}
} // namespace

/// The f of `combine(out, f)` or `combine(f, out)`, null for other bodies.
template <class... Ops> static Value getTerm(Value yielded, Value out) {
  Operation *last = yielded.getDefiningOp();
  if (!isa_and_nonnull<Ops...>(last) || !out.hasOneUse())
    return {};
  if (last->getOperand(0) == out)
    return last->getOperand(1);
  if (last->getOperand(1) == out)
    return last->getOperand(0);
  return {};
}

Value LinalgDerivative::getExtremumTerm(unsigned k) {
  if (!isReduced(k))
    return {};
  return getTerm<arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp,
                 arith::MinNumFOp>(yielded(k), outArg(k));
}

Value LinalgDerivative::getFactor(unsigned k) {
  return isReduced(k) ? getTerm<arith::MulFOp>(yielded(k), outArg(k)) : Value();
}

LogicalResult LinalgDerivative::refuse(const Twine &why) {
  InFlightDiagnostic diag = emitCannot(op, why);
  diag.attachNote() << "give the function around it a rule of its own "
                       "(attribute quant_ste.vjp, quant_ste.jvp)";
  return diag;
}

LogicalResult LinalgDerivative::refuseReduction(unsigned k) {
  return refuse("expected result #" + Twine(k) +
                ", which is reduced, to be a sum, product, maximum or minimum "
                "over the reduction loops");
}

LogicalResult LinalgDerivative::check() {
  return op.hasPureTensorSemantics() ? success()
                                     : refuse("expected tensor operands");
}

/// Sizes of what `map` indexes: static where known, else those of the given
/// cotangents or tangents, and only then those of the operands. What windows
/// are read of may be larger than what they see, so that only `like` knows.
SmallVector<OpFoldResult> LinalgDerivative::sizesOf(AffineMap map, Value like) {
  SmallVector<std::pair<Value, AffineMap>> sources;
  bool isReverse = given.size() == numResults;
  for (auto [i, v] : llvm::enumerate(given))
    if (v && i < op->getNumOperands())
      sources.push_back({v, isReverse ? resultMap(i) : maps[i]});
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    sources.push_back({operand(i), maps[i]});
  SmallVector<OpFoldResult> sizes;
  for (auto [r, e] : llvm::enumerate(map.getResults())) {
    auto dim = dyn_cast<AffineDimExpr>(e);
    if (!dim) {
      sizes.push_back(tensor::getMixedSize(b, b.getLoc(), like, r));
      continue;
    }
    int64_t size = loopSizes[dim.getPosition()];
    if (ShapedType::isStatic(size)) {
      sizes.push_back(b.getIndexAttr(size));
      continue;
    }
    for (auto [v, m] : sources)
      if (auto position = m.getResultPosition(e)) {
        sizes.push_back(tensor::getMixedSize(b, b.getLoc(), v, *position));
        break;
      }
  }
  return sizes;
}

void LinalgDerivative::copyBody(GenericDraft &draft, IRMapping &scalars) {
  for (unsigned i = 0; i < op->getNumOperands(); ++i)
    scalars.map(bodyArg(i), draft.addInput(operand(i), maps[i]));
  for (Operation &inner : op.getBlock()->without_terminator())
    draft.getBodyBuilder().clone(inner, scalars);
}

//===----------------------------------------------------------------------===//
// Maximum and minimum
//===----------------------------------------------------------------------===//

/// Whether an element of the reduction is the result, or one of several.
Value LinalgDerivative::emitIsResult(GenericDraft &draft, IRMapping &scalars,
                                     unsigned k) {
  ImplicitLocOpBuilder &body = draft.getBodyBuilder();
  if (chosen[k]) {
    Value first = draft.addInput(chosen[k], resultMap(k));
    return arith::CmpIOp::create(body, arith::CmpIPredicate::eq,
                                 emitNumber(body, k), first);
  }
  Value y = draft.addInput(op->getResult(k), resultMap(k));
  Value f = scalars.lookupOrDefault(getExtremumTerm(k));
  return arith::CmpFOp::create(body, arith::CmpFPredicate::OEQ, f, y);
}

Value LinalgDerivative::initIsResult(unsigned k) {
  return arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, init(k),
                               op->getResult(k));
}

/// How many elements equal the result.
Value LinalgDerivative::countTies(unsigned k, bool withInit) {
  FloatType type = accumulatorType(init(k).getType());
  Value start;
  if (withInit)
    start = arith::UIToFPOp::create(
        b, cast<ShapedType>(init(k).getType()).clone(type), initIsResult(k));
  else
    start = zeros(b, sizesOf(resultMap(k), init(k)), type);

  GenericDraft draft(b, numLoops());
  IRMapping scalars;
  copyBody(draft, scalars);
  Value isResult = emitIsResult(draft, scalars, k);
  Value sum = draft.addInit(start, resultMap(k));
  ImplicitLocOpBuilder &body = draft.getBodyBuilder();
  Value one = arith::UIToFPOp::create(body, type, isResult);
  draft.yield(arith::AddFOp::create(body, sum, one).getResult());
  return draft.finish().front();
}

/// The number of an element among those that one result sees, in the order of
/// the loops.
Value LinalgDerivative::emitNumber(ImplicitLocOpBuilder &body, unsigned k) {
  Value n;
  for (unsigned d = 0; d < numLoops(); ++d) {
    if (resultMap(k).isFunctionOfDim(d))
      continue;
    Value i = linalg::IndexOp::create(body, d);
    if (n) {
      AffineMap loop = AffineMap::get(numLoops(), 0, body.getAffineDimExpr(d));
      OpFoldResult size = sizesOf(loop, {}).front();
      Value extent = getValueOrCreateConstantIndexOp(
          isa<Attribute>(size) ? body : b, b.getLoc(), size);
      n = arith::MulIOp::create(body, n, extent);
      n = arith::AddIOp::create(body, n, i);
    } else {
      n = i;
    }
  }
  if (!n)
    n = arith::ConstantIndexOp::create(body, 0);
  return arith::IndexCastOp::create(body, body.getI32Type(), n);
}

/// The number of the first element that equals the result; -1 for the initial
/// value, and a number that no element has where nothing does.
Value LinalgDerivative::findFirst(unsigned k, bool withInit) {
  IntegerType type = b.getI32Type();
  IntegerAttr none =
      b.getIntegerAttr(type, std::numeric_limits<int32_t>::max());
  Value scalar = arith::ConstantOp::create(b, none);
  Value empty =
      tensor::EmptyOp::create(b, sizesOf(resultMap(k), init(k)), type);
  Value start = linalg::FillOp::create(b, scalar, empty).getResult(0);
  if (withInit) {
    Value before = constantLike(b, b.getIntegerAttr(type, -1), start);
    start = arith::SelectOp::create(b, initIsResult(k),
                                    castTo(b, before, start.getType()), start);
  }
  GenericDraft draft(b, numLoops());
  IRMapping scalars;
  copyBody(draft, scalars);
  Value isResult = emitIsResult(draft, scalars, k);
  Value first = draft.addInit(start, resultMap(k));
  ImplicitLocOpBuilder &body = draft.getBodyBuilder();
  Value last = arith::ConstantOp::create(body, none);
  Value n = arith::SelectOp::create(body, isResult, emitNumber(body, k), last);
  draft.yield(arith::MinSIOp::create(body, first, n).getResult());
  return draft.finish().front();
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// The product of the factors that are not zero, and the number of those that
/// are; the initial value is a factor like the others.
std::pair<Value, Value> LinalgDerivative::multiplyFactors(unsigned k) {
  FloatType type = accumulatorType(init(k).getType());
  auto emit = [&](ImplicitLocOpBuilder &in, Value factor) {
    Value wide = convertFloat(in, factor, type);
    Value zero = zerosLike(in, wide);
    Value one = floatLike(in, 1.0, wide);
    Value isZero =
        arith::CmpFOp::create(in, arith::CmpFPredicate::OEQ, wide, zero);
    return std::pair<Value, Value>(
        arith::SelectOp::create(in, isZero, one, wide),
        arith::SelectOp::create(in, isZero, one, zero));
  };
  // The initial value, element by element, and then all others.
  unsigned rank = resultMap(k).getNumResults();
  AffineMap identity = b.getMultiDimIdentityMap(rank);
  GenericDraft first(b, rank);
  SmallVector<OpFoldResult> sizes = sizesOf(resultMap(k), init(k));
  Value start = first.addInput(init(k), identity);
  for (unsigned i = 0; i < 2; ++i)
    first.addInit(tensor::EmptyOp::create(b, sizes, type), identity);
  auto [startProduct, startCount] = emit(first.getBodyBuilder(), start);
  first.yield({startProduct, startCount});
  SmallVector<Value> starts = first.finish();

  GenericDraft draft(b, numLoops());
  IRMapping scalars;
  copyBody(draft, scalars);
  Value product = draft.addInit(starts[0], resultMap(k));
  Value count = draft.addInit(starts[1], resultMap(k));
  ImplicitLocOpBuilder &body = draft.getBodyBuilder();
  auto [factor, isZero] = emit(body, scalars.lookupOrDefault(getFactor(k)));
  Value nextProduct = arith::MulFOp::create(body, product, factor);
  Value nextCount = arith::AddFOp::create(body, count, isZero);
  draft.yield({nextProduct, nextCount});
  SmallVector<Value> out = draft.finish();
  return {out[0], out[1]};
}

/// The product of all factors but `factor`: product / factor, where no other is
/// zero.
static Value emitOthers(ImplicitLocOpBuilder &b, Value factor, Value product,
                        Value count) {
  Value wide = convertFloat(b, factor, product.getType());
  Value zero = zerosLike(b, wide);
  Value one = floatLike(b, 1.0, wide);
  auto equal = [&](Value x, Value y) -> Value {
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, x, y);
  };
  Value quotient = arith::DivFOp::create(b, product, wide);
  Value onlyZero = arith::SelectOp::create(b, equal(count, one), product, zero);
  Value noZero = arith::SelectOp::create(b, equal(count, zero), quotient, zero);
  Value others =
      arith::SelectOp::create(b, equal(wide, zero), onlyZero, noZero);
  return convertFloat(b, others, factor.getType());
}

Value LinalgDerivative::emitOtherFactors(GenericDraft &draft,
                                         IRMapping &scalars, unsigned k) {
  Value product = draft.addInput(products[k].first, resultMap(k));
  Value count = draft.addInput(products[k].second, resultMap(k));
  return emitOthers(draft.getBodyBuilder(),
                    scalars.lookupOrDefault(getFactor(k)), product, count);
}

/// The product of all factors but the initial value.
Value LinalgDerivative::otherInitialFactors(unsigned k) {
  auto [product, count] = products[k];
  Type type = cast<ShapedType>(init(k).getType())
                  .clone(getElementTypeOrSelf(product.getType()));
  return emitOthers(b, init(k), castTo(b, product, type),
                    castTo(b, count, type));
}

//===----------------------------------------------------------------------===//
// Reverse mode
//===----------------------------------------------------------------------===//

/// Operands whose gradients come from one pass over memory. All that are
/// reduced accumulate over the same dimensions, because upstream's tiling and
/// vectorizer know one set of reduction loops per op; a coarser one is finished
/// by a second, small op. Operands that see all loops join the first group;
/// those that are read in windows are on their own.
SmallVector<LinalgDerivative::Group>
LinalgDerivative::groupSlots(ArrayRef<bool> wanted) {
  Group full, reduced;
  SmallVector<Group> windows;
  for (unsigned i = 0; i < slots.size(); ++i) {
    bool isOperand = i < op->getNumOperands();
    bool isRunningValue =
        isOperand && i >= numInputs && isReduced(i - numInputs);
    if ((isOperand && !wanted[i]) || isRunningValue)
      continue;
    if (!slots[i].map.isProjectedPermutation())
      windows.push_back({i});
    else
      (isFull(slots[i].map) ? full : reduced).push_back(i);
  }
  llvm::sort(reduced, [&](unsigned x, unsigned y) {
    unsigned dimsOfX = slots[x].map.getNumResults(),
             dimsOfY = slots[y].map.getNumResults();
    return dimsOfX != dimsOfY ? dimsOfX > dimsOfY : x < y;
  });
  SmallVector<Group> groups;
  for (unsigned i : reduced) {
    auto fits = [&](const Group &group) {
      llvm::SmallBitVector rest = dimsOf(slots[i].map);
      return !rest.test(dimsOf(slots[group.front()].map));
    };
    auto group = llvm::find_if(groups, fits);
    if (group != groups.end())
      group->push_back(i);
    else
      groups.push_back({i});
  }
  if (groups.empty() && !full.empty())
    groups.emplace_back();
  if (!full.empty())
    llvm::append_range(groups.front(), full);
  llvm::append_range(groups, windows);
  return groups;
}

/// A sum over the loops of `partialMap` -> the operand's own shape and type.
Value LinalgDerivative::finishGradient(Value partial, AffineMap partialMap,
                                       unsigned i) {
  if (partialMap != slots[i].map) {
    SmallVector<AffineExpr> dims;
    SmallVector<OpFoldResult> sizes;
    for (AffineExpr e : slots[i].map.getResults()) {
      unsigned d = *partialMap.getResultPosition(e);
      dims.push_back(b.getAffineDimExpr(d));
      sizes.push_back(tensor::getMixedSize(b, b.getLoc(), partial, d));
    }
    unsigned rank = partialMap.getNumResults();
    GenericDraft draft(b, rank);
    Value in = draft.addInput(partial, b.getMultiDimIdentityMap(rank));
    Value start = zeros(b, sizes, getElementTypeOrSelf(partial.getType()));
    Value sum =
        draft.addInit(start, AffineMap::get(rank, 0, dims, b.getContext()));
    draft.yield(
        arith::AddFOp::create(draft.getBodyBuilder(), sum, in).getResult());
    partial = draft.finish().front();
  }
  Type type = slots[i].type;
  if (isa<FloatType>(type))
    partial = tensor::ExtractOp::create(b, partial, ValueRange());
  return castTo(b, convertFloat(b, partial, type), type);
}

/// A term of a sum in `type`. What the body has widened is rounded once, when it
/// is summed up.
static Value widenTerm(ImplicitLocOpBuilder &b, Value term, FloatType type) {
  if (auto rounded = term.getDefiningOp<arith::TruncFOp>();
      rounded && rounded.getIn().getType() == type)
    return rounded.getIn();
  return convertFloat(b, term, type);
}

LogicalResult LinalgDerivative::emitGroup(ArrayRef<unsigned> group,
                                          MutableArrayRef<Value> grads) {
  GenericDraft draft(b, numLoops());
  ImplicitLocOpBuilder &body = draft.getBodyBuilder();
  SmallVector<Value> dys(numResults);
  for (unsigned k = 0; k < numResults; ++k)
    if (given[k])
      dys[k] = draft.addInput(shares[k] ? shares[k] : given[k], resultMap(k));
  IRMapping scalars;
  copyBody(draft, scalars);

  // The running value of a sum is a seed too: the sum is one if and only if the
  // cotangent comes back from it unchanged.
  SmallVector<Value> targets, cotangents, seeds;
  SmallVector<unsigned> sums;
  for (unsigned i : group)
    seeds.push_back(scalars.lookupOrDefault(slots[i].scalar));
  for (unsigned k = 0; k < numResults; ++k) {
    if (!given[k])
      continue;
    if (Value term = getExtremumTerm(k)) {
      Value isResult = emitIsResult(draft, scalars, k);
      Value zero = zerosLike(body, dys[k]);
      targets.push_back(scalars.lookupOrDefault(term));
      cotangents.push_back(
          arith::SelectOp::create(body, isResult, dys[k], zero));
      continue;
    }
    if (Value factor = getFactor(k)) {
      Value others = emitOtherFactors(draft, scalars, k);
      targets.push_back(scalars.lookupOrDefault(factor));
      cotangents.push_back(arith::MulFOp::create(body, dys[k], others));
      continue;
    }
    targets.push_back(scalars.lookupOrDefault(yielded(k)));
    cotangents.push_back(dys[k]);
    if (isReduced(k)) {
      sums.push_back(k);
      seeds.push_back(scalars.lookup(outArg(k)));
    }
  }
  auto activity = Activity::get(draft.getBlock(), seeds, targets);
  if (failed(activity))
    return failure();
  auto scalarGrads = pullBack(body, *activity, targets, cotangents, seeds);
  if (failed(scalarGrads))
    return failure();

  for (auto [k, g] :
       llvm::zip_equal(sums, ArrayRef(*scalarGrads).drop_front(group.size())))
    if (g != dys[k])
      return refuseReduction(k);

  // What is not just the cotangent becomes a result.
  struct Output {
    unsigned operand;
    AffineMap map;
    Value scalar;
  };
  SmallVector<Output> outputs;
  unsigned leader = group.front();
  for (auto [i, g] : llvm::zip(group, *scalarGrads)) {
    if (!g)
      continue;
    auto k = llvm::find(dys, g) - dys.begin();
    if (k < numResults && !shares[k] && isFull(slots[i].map) &&
        slots[i].map == resultMap(k) && slots[i].type == given[k].getType()) {
      grads[i] = given[k];
      continue;
    }
    // One set of dimensions for all that are reduced: the leader's.
    bool ownDims = isFull(slots[i].map) ||
                   dimsOf(slots[i].map) == dimsOf(slots[leader].map);
    outputs.push_back({i, ownDims ? slots[i].map : slots[leader].map, g});
  }
  if (outputs.empty())
    return success();

  SmallVector<Value> yields;
  for (Output &out : outputs) {
    Type type = slots[out.operand].type;
    if (isFull(out.map)) {
      Value empty = tensor::EmptyOp::create(
          b, sizesOf(out.map, likeOf(out.operand)), getElementTypeOrSelf(type));
      draft.addInit(empty, out.map);
      yields.push_back(convertFloat(body, out.scalar, type));
      continue;
    }
    FloatType sumType = accumulatorType(type);
    Value start = zeros(b, sizesOf(out.map, likeOf(out.operand)), sumType);
    Value sum = draft.addInit(start, out.map);
    Value term = widenTerm(body, out.scalar, sumType);
    yields.push_back(arith::AddFOp::create(body, sum, term));
  }
  draft.yield(yields);
  for (unsigned k : sums)
    if (!scalars.lookup(outArg(k)).use_empty())
      return refuseReduction(k);
  for (auto [out, result] : llvm::zip_equal(outputs, draft.finish()))
    grads[out.operand] = finishGradient(result, out.map, out.operand);
  return success();
}

FailureOr<SmallVector<Value>> LinalgDerivative::vjp(ArrayRef<bool> wanted) {
  if (failed(check()))
    return failure();
  if (failed(addCaptures(wanted)))
    return failure();
  SmallVector<Value> grads(slots.size());
  SmallVector<Group> groups = groupSlots(wanted);
  for (unsigned k = 0; k < numResults; ++k) {
    if (!given[k] || !isReduced(k))
      continue;
    bool initWanted = wanted[numInputs + k];
    if (getFactor(k)) {
      products[k] = multiplyFactors(k);
      if (initWanted)
        grads[numInputs + k] =
            arith::MulFOp::create(b, given[k], otherInitialFactors(k));
      continue;
    }
    if (!getExtremumTerm(k)) {
      if (initWanted)
        grads[numInputs + k] = given[k];
      continue;
    }
    if (hasWindows()) {
      chosen[k] = findFirst(k, initWanted);
      if (initWanted)
        grads[numInputs + k] = arith::SelectOp::create(
            b, initIsResult(k), given[k], zerosLike(b, given[k]));
      continue;
    }
    Value ties = countTies(k, initWanted);
    Value wide = convertFloat(b, given[k], ties.getType());
    Value share =
        arith::DivFOp::create(b, wide, castTo(b, ties, wide.getType()));
    shares[k] = convertFloat(b, share, given[k].getType());
    if (initWanted) {
      Value zero = zerosLike(b, given[k]);
      grads[numInputs + k] =
          arith::SelectOp::create(b, initIsResult(k), shares[k], zero);
    }
  }
  for (const Group &group : groups)
    if (failed(emitGroup(group, grads)))
      return failure();

  unsigned numOperands = op->getNumOperands();
  SmallVector<Value> out(ArrayRef<Value>(grads).take_front(numOperands));
  out.resize(inputs.size());
  for (unsigned i = numOperands, slot = numOperands; i < inputs.size(); ++i)
    if (wanted[i] && isa<FloatType>(inputs[i].getType()))
      out[i] = grads[slot++];
  for (Gather &gather : gathers) {
    Value elements = grads[gather.slot];
    if (!elements)
      continue;
    Value &sum = out[gather.input];
    Value table = inputs[gather.input];
    if (!sum)
      sum = zeros(b, tensor::getMixedSizes(b, b.getLoc(), table),
                  accumulatorType(table.getType()));
    sum = scatter(gather, elements, sum);
  }
  for (auto [v, g] : llvm::zip_equal(inputs, out))
    if (g)
      g = castTo(b, convertFloat(b, g, v.getType()), v.getType());
  return out;
}

//===----------------------------------------------------------------------===//
// Captures
//===----------------------------------------------------------------------===//

/// Adds the slots of what the body captures: first all floats.
LogicalResult LinalgDerivative::addCaptures(ArrayRef<bool> wanted) {
  unsigned numOperands = op->getNumOperands();
  auto none = AffineMap::get(numLoops(), 0, b.getContext());
  for (unsigned i = numOperands; i < inputs.size(); ++i)
    if (wanted[i] && isa<FloatType>(inputs[i].getType()))
      slots.push_back({inputs[i], none, inputs[i].getType()});
  for (unsigned i = numOperands; i < inputs.size(); ++i) {
    if (!wanted[i] || isa<FloatType>(inputs[i].getType()))
      continue;
    for (OpOperand &use : inputs[i].getUses()) {
      if (!op->isProperAncestor(use.getOwner()))
        continue;
      auto extract = dyn_cast<tensor::ExtractOp>(use.getOwner());
      if (!extract || extract->getBlock() != op.getBlock()) {
        InFlightDiagnostic diag = emitCannot(
            op, "expected its region to read a value from outside that carries "
                "a derivative by tensor.extract alone, got '" +
                    use.getOwner()->getName().getStringRef() + "'");
        diag.attachNote(inputs[i].getLoc())
            << "this value; pass it as an operand, stop its gradient with "
               "quant_ste.detach, or give the function around it a rule of its "
               "own (attribute quant_ste.vjp, quant_ste.jvp)";
        return diag;
      }
      gathers.push_back(analyzeGather(extract, i));
    }
  }
  return success();
}

/// Adds to `loops` those that a value of the body depends on.
static void addLoops(Value v, linalg::LinalgOp op,
                     llvm::SmallBitVector &loops) {
  if (auto arg = dyn_cast<BlockArgument>(v)) {
    if (arg.getOwner() == op.getBlock())
      loops |= dimsOf(
          op.getMatchingIndexingMap(&op->getOpOperand(arg.getArgNumber())));
    return;
  }
  Operation *def = v.getDefiningOp();
  if (def->getBlock() != op.getBlock())
    return;
  if (auto index = dyn_cast<linalg::IndexOp>(def))
    loops.set(index.getDim());
  for (Value operand : def->getOperands())
    addLoops(operand, op, loops);
}

LinalgDerivative::Gather
LinalgDerivative::analyzeGather(tensor::ExtractOp extract, unsigned input) {
  Gather gather{input,
                static_cast<unsigned>(slots.size()),
                extract,
                {},
                llvm::SmallBitVector(numLoops())};
  for (Value v : extract.getIndices()) {
    auto index = v.getDefiningOp<linalg::IndexOp>();
    gather.loops.push_back(index ? std::optional<unsigned>(index.getDim())
                                 : std::nullopt);
    if (!index)
      addLoops(v, op, gather.outer);
  }
  // Each loop along a slice is one index and nothing else.
  llvm::SmallBitVector seen = gather.outer;
  for (std::optional<unsigned> &loop : gather.loops) {
    if (!loop)
      continue;
    if (seen.test(*loop))
      gather.outer.set(*loop);
    seen.set(*loop);
  }
  for (std::optional<unsigned> &loop : gather.loops)
    if (loop && gather.outer.test(*loop))
      loop.reset();
  SmallVector<AffineExpr> dims;
  for (unsigned d : seen.set_bits())
    dims.push_back(b.getAffineDimExpr(d));
  auto map = AffineMap::get(numLoops(), 0, dims, b.getContext());
  SmallVector<int64_t> shape = llvm::map_to_vector(
      seen.set_bits(), [&](unsigned d) { return loopSizes[d]; });
  slots.push_back(
      {extract.getResult(), map,
       RankedTensorType::get(shape, accumulatorType(extract.getType()))});
  return gather;
}

/// An index of the body, computed again at one point of the loops.
Value LinalgDerivative::readIndex(Value v, ArrayRef<Value> ivs) {
  if (auto arg = dyn_cast<BlockArgument>(v)) {
    if (arg.getOwner() != op.getBlock())
      return v;
    AffineMap map = maps[arg.getArgNumber()];
    Value from = operand(arg.getArgNumber());
    if (!isa<RankedTensorType>(from.getType()))
      return from;
    SmallVector<Value> indices;
    for (OpFoldResult i : affine::makeComposedFoldedMultiResultAffineApply(
             b, b.getLoc(), map, getAsOpFoldResult(ivs)))
      indices.push_back(getValueOrCreateConstantIndexOp(b, b.getLoc(), i));
    return tensor::ExtractOp::create(b, from, indices);
  }
  Operation *def = v.getDefiningOp();
  if (def->getBlock() != op.getBlock())
    return v;
  if (auto index = dyn_cast<linalg::IndexOp>(def))
    return ivs[index.getDim()];
  IRMapping map;
  for (Value operand : def->getOperands())
    map.map(operand, readIndex(operand, ivs));
  unsigned result = cast<OpResult>(v).getResultNumber();
  return b.clone(*def, map)->getResult(result);
}

/// table[index[i], :] += elements[i, :], for one i after the other.
Value LinalgDerivative::scatter(Gather &gather, Value elements, Value table) {
  AffineMap map = slots[gather.slot].map;
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  SmallVector<Value> highs;
  SmallVector<unsigned> outer(gather.outer.set_bits());
  for (unsigned d : outer) {
    unsigned position = *map.getResultPosition(b.getAffineDimExpr(d));
    highs.push_back(getValueOrCreateConstantIndexOp(
        b, b.getLoc(),
        tensor::getMixedSize(b, b.getLoc(), elements, position)));
  }
  SmallVector<Value> lows(outer.size(), zero), steps(outer.size(), one);
  auto emit = [&](ArrayRef<Value> ivs, Value sum) -> Value {
    // The same slice of both: loops along it are numbered as `elements` has
    // them.
    OpFoldResult none = b.getIndexAttr(0), unit = b.getIndexAttr(1);
    SmallVector<OpFoldResult> from, fromSizes, to, toSizes;
    SmallVector<unsigned> inner;
    SmallVector<int64_t> shape;
    for (auto [position, e] : llvm::enumerate(map.getResults())) {
      unsigned d = cast<AffineDimExpr>(e).getPosition();
      bool isOuter = gather.outer.test(d);
      from.push_back(isOuter ? OpFoldResult(ivs[d]) : none);
      fromSizes.push_back(
          isOuter ? unit
                  : tensor::getMixedSize(b, b.getLoc(), elements, position));
      if (isOuter)
        continue;
      inner.push_back(d);
      shape.push_back(
          cast<ShapedType>(elements.getType()).getDimSize(position));
    }
    SmallVector<AffineExpr> order;
    SmallVector<int64_t> toShape;
    for (auto [loop, index] :
         llvm::zip_equal(gather.loops, gather.op.getIndices())) {
      if (!loop) {
        to.push_back(readIndex(index, ivs));
        toSizes.push_back(unit);
        continue;
      }
      unsigned n = llvm::find(inner, *loop) - inner.begin();
      unsigned position = *map.getResultPosition(b.getAffineDimExpr(*loop));
      order.push_back(b.getAffineDimExpr(n));
      to.push_back(none);
      toSizes.push_back(fromSizes[position]);
      toShape.push_back(shape[n]);
    }
    Type element = getElementTypeOrSelf(sum.getType());
    SmallVector<OpFoldResult> fromStrides(from.size(), unit);
    SmallVector<OpFoldResult> toStrides(to.size(), unit);
    Value part =
        tensor::ExtractSliceOp::create(b, RankedTensorType::get(shape, element),
                                       elements, from, fromSizes, fromStrides);
    Value row = tensor::ExtractSliceOp::create(
        b, RankedTensorType::get(toShape, element), sum, to, toSizes,
        toStrides);
    unsigned rank = inner.size();
    GenericDraft draft(b, rank);
    Value x = draft.addInput(part, b.getMultiDimIdentityMap(rank));
    Value y =
        draft.addInit(row, AffineMap::get(rank, 0, order, b.getContext()));
    draft.yield(
        arith::AddFOp::create(draft.getBodyBuilder(), y, x).getResult());
    return tensor::InsertSliceOp::create(b, draft.finish().front(), sum, to,
                                         toSizes, toStrides);
  };
  auto nest = scf::buildLoopNest(
      b, b.getLoc(), lows, highs, steps, table,
      [&](OpBuilder &nested, Location, ValueRange ivs, ValueRange sums) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPoint(nested.getInsertionBlock(),
                            nested.getInsertionPoint());
        SmallVector<Value> all(numLoops(), zero);
        for (auto [d, iv] : llvm::zip_equal(outer, ivs))
          all[d] = iv;
        return SmallVector<Value>{emit(all, sums.front())};
      });
  return nest.results.front();
}

//===----------------------------------------------------------------------===//
// Forward mode
//===----------------------------------------------------------------------===//

FailureOr<SmallVector<Value>> LinalgDerivative::jvp() {
  if (failed(check()))
    return failure();
  GenericDraft draft(b, numLoops());
  ImplicitLocOpBuilder &body = draft.getBodyBuilder();
  IRMapping scalars;
  copyBody(draft, scalars);
  SmallVector<Value> seeds, tangents, targets;
  for (auto [i, t] : llvm::enumerate(given))
    if (t && i >= op->getNumOperands()) {
      seeds.push_back(inputs[i]);
      tangents.push_back(t);
    } else if (t && (i < numInputs || !isReduced(i - numInputs))) {
      seeds.push_back(scalars.lookup(bodyArg(i)));
      tangents.push_back(draft.addInput(t, maps[i]));
    }
  for (unsigned k = 0; k < numResults; ++k) {
    Value term = getExtremumTerm(k);
    if (!term)
      term = getFactor(k);
    targets.push_back(scalars.lookupOrDefault(term ? term : yielded(k)));
  }
  // Which results have a tangent, not counting the running values of sums.
  auto reached = Activity::get(draft.getBlock(), seeds, targets);
  if (failed(reached))
    return failure();
  SmallVector<unsigned> active;
  for (unsigned k = 0; k < numResults; ++k)
    if (reached->isActive(targets[k]) || (given[numInputs + k] && isReduced(k)))
      active.push_back(k);

  // The tangent of a sum is the sum of the tangents: its running value is the
  // tangent of the primal's running value.
  SmallVector<Value> results(numResults), sums(numResults), activeTargets;
  for (unsigned k : active) {
    activeTargets.push_back(targets[k]);
    AffineMap map = resultMap(k);
    Type element = getElementTypeOrSelf(init(k).getType());
    if (!isReduced(k)) {
      draft.addInit(tensor::EmptyOp::create(b, sizesOf(map, init(k)), element),
                    map);
      continue;
    }
    Value start = given[numInputs + k];
    if (getExtremumTerm(k) && hasWindows())
      chosen[k] = findFirst(k, static_cast<bool>(start));
    if (getFactor(k)) {
      products[k] = multiplyFactors(k);
      if (start)
        start = arith::MulFOp::create(b, start, otherInitialFactors(k));
    }
    if (start && getExtremumTerm(k))
      start = arith::SelectOp::create(b, initIsResult(k), start,
                                      zerosLike(b, start));
    if (!start)
      start = zeros(b, sizesOf(map, init(k)), element);
    sums[k] = draft.addInit(start, map);
    if (!getExtremumTerm(k) && !getFactor(k)) {
      seeds.push_back(scalars.lookup(outArg(k)));
      tangents.push_back(sums[k]);
    }
  }
  auto activity = Activity::get(draft.getBlock(), seeds, activeTargets);
  if (failed(activity))
    return failure();
  auto out = pushForward(body, *activity, seeds, tangents, activeTargets);
  if (failed(out))
    return failure();

  SmallVector<Value> yields;
  for (auto [k, t] : llvm::zip_equal(active, *out)) {
    Value zero = zerosLike(body, scalars.lookupOrDefault(yielded(k)));
    if (getExtremumTerm(k)) {
      Value isResult = emitIsResult(draft, scalars, k);
      Value term = arith::SelectOp::create(body, isResult, t ? t : zero, zero);
      t = arith::AddFOp::create(body, sums[k], term);
    } else if (getFactor(k)) {
      Value others = emitOtherFactors(draft, scalars, k);
      Value term = arith::MulFOp::create(body, t ? t : zero, others);
      t = arith::AddFOp::create(body, sums[k], term);
    }
    yields.push_back(t ? t : sums[k] ? sums[k] : zero);
  }
  draft.yield(yields);
  for (unsigned k : active)
    if (isReduced(k) && !getExtremumTerm(k) && !getFactor(k) &&
        !scalars.lookup(outArg(k)).use_empty())
      return refuseReduction(k);
  for (auto [k, t] : llvm::zip_equal(active, draft.finish())) {
    if (getExtremumTerm(k) && !chosen[k]) {
      bool withInit = static_cast<bool>(given[numInputs + k]);
      Value ties = convertFloat(b, countTies(k, withInit), t.getType());
      t = arith::DivFOp::create(b, t, castTo(b, ties, t.getType()));
    }
    results[k] = castTo(b, t, op->getResult(k).getType());
  }
  return results;
}

FailureOr<SmallVector<Value>>
quant_ste::buildLinalgVjp(linalg::LinalgOp op, OpBuilder &b,
                          ArrayRef<Value> cotangents, ArrayRef<bool> wanted) {
  return LinalgDerivative(op, b, cotangents).vjp(wanted);
}

FailureOr<SmallVector<Value>>
quant_ste::buildLinalgJvp(linalg::LinalgOp op, OpBuilder &b,
                          ArrayRef<Value> tangents) {
  return LinalgDerivative(op, b, tangents).jvp();
}
