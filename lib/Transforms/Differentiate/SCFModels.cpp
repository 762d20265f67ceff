//===- SCFModels.cpp - models of control flow -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The derivative of control flow is control flow around the derivative of its
// blocks. What a region captures is an input like an operand.
//
// scf.if, scf.index_switch. The gradient takes the same branch again, and
// computes there again what it reads of it: nothing is kept of a branch.
//
// scf.for. The gradient runs through the iterations backwards. Each one starts
// from the values that the loop carried into it, which the loop now stacks, one
// slice per iteration (only those that the gradient reads), and computes again
// what it needs of that iteration. So memory grows with what is carried, not
// with what the body computes, and each iteration is computed at most twice.
// With 'quant_ste.checkpoint' the loop is first nested in two, of which the
// outer one alone stacks: an iteration is computed three times at most.
//
// scf.while has no number of iterations that could be known before it ends, and
// is refused.
//
//===----------------------------------------------------------------------===//

#include "ModelUtils.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"
#include "quant_ste/Transforms/Differentiate.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ValueBoundsOpInterface.h"

using namespace mlir;
using namespace mlir::quant_ste;

using Values = SmallVector<Value>;

//===----------------------------------------------------------------------===//
// An op that takes the place of another when the derivative is complete
//===----------------------------------------------------------------------===//

static constexpr StringLiteral kSuperseded = "quant_ste.superseded";
static constexpr StringLiteral kSupersedes = "quant_ste.supersedes";

void quant_ste::supersede(Operation *op, Operation *by) {
  // Clones of both keep it: a pair is told by it within a block.
  Attribute pair = DistinctAttr::create(UnitAttr::get(op->getContext()));
  op->setDiscardableAttr(kSuperseded, pair);
  by->setDiscardableAttr(kSupersedes, pair);
}

void quant_ste::replaceSuperseded(Operation *root) {
  root->walk([](Block *block) {
    llvm::SmallDenseMap<Attribute, Operation *> waiting;
    for (Operation &op : llvm::make_early_inc_range(*block)) {
      if (Attribute pair = op.getDiscardableAttr(kSupersedes)) {
        op.removeDiscardableAttr(kSupersedes);
        if (Operation *old = waiting.lookup(pair)) {
          old->replaceAllUsesWith(
              op.getResults().take_front(old->getNumResults()));
          waiting.erase(pair);
          old->erase();
        }
      }
      if (Attribute pair = op.getDiscardableAttr(kSuperseded))
        waiting[pair] = &op;
    }
    for (auto [pair, op] : waiting)
      op->removeDiscardableAttr(kSuperseded);
  });
}

//===----------------------------------------------------------------------===//
// What all models share
//===----------------------------------------------------------------------===//

/// A derivative in a complex number or a vector is none that could be passed
/// through a branch or a loop.
static LogicalResult checkType(Operation *op, Value v, const Twine &what) {
  if (isDifferentiable(v.getType()))
    return success();
  emitCannot(op, "expected " + what +
                     ", which carries a derivative, to be a float or a ranked "
                     "tensor of floats, got ")
      << v.getType();
  return failure();
}

/// A region is computed again in the gradient: what it does to the world would
/// be done twice. Of calls nothing is known; they are taken for pure.
static LogicalResult checkEffects(Operation *op) {
  WalkResult result = op->walk([&](Operation *inner) {
    if (inner == op || inner->hasTrait<OpTrait::IsTerminator>() ||
        inner->hasTrait<OpTrait::HasRecursiveMemoryEffects>() ||
        isMemoryEffectFree(inner) || isa<CallOpInterface>(inner) ||
        isa_and_nonnull<QuantSTEDialect>(inner->getDialect()))
      return WalkResult::advance();
    InFlightDiagnostic diag = emitCannot(
        op, "expected a region without side effects, which the gradient could "
            "compute again");
    diag.attachNote(inner->getLoc()) << "this op has some";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

static Value orZeros(ImplicitLocOpBuilder &b, Value t, Value like) {
  return t ? t : zerosLike(b, like);
}

/// Copies the ops of `from` but the terminator, and gives what that would
/// return.
static Values cloneBody(OpBuilder &b, Block &from, IRMapping &map) {
  for (Operation &op : from.without_terminator())
    b.clone(op, map);
  return llvm::map_to_vector(from.getTerminator()->getOperands(),
                             [&](Value v) { return map.lookupOrDefault(v); });
}

/// Erases what no result of the block needs, in inner blocks too.
static void eraseUnread(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
    if (!isOpTriviallyDead(&op))
      for (Region &region : op.getRegions())
        for (Block &inner : region)
          eraseUnread(inner);
    if (isOpTriviallyDead(&op))
      op.erase();
  }
}

//===----------------------------------------------------------------------===//
// scf.if, scf.index_switch
//===----------------------------------------------------------------------===//

/// An op with the same branches and other results, without blocks' contents.
static Operation *createBranches(ImplicitLocOpBuilder &b, scf::IfOp op,
                                 TypeRange types) {
  return scf::IfOp::create(b, types, op.getCondition(),
                           /*addThenBlock=*/true, /*addElseBlock=*/true);
}
static Operation *createBranches(ImplicitLocOpBuilder &b, scf::IndexSwitchOp op,
                                 TypeRange types) {
  auto made = scf::IndexSwitchOp::create(b, types, op.getArg(), op.getCases(),
                                         op.getNumCases());
  for (Region &region : made->getRegions())
    region.emplaceBlock();
  return made;
}

namespace {
template <class Op>
struct BranchVjp : VjpOpInterface::ExternalModel<BranchVjp<Op>, Op> {
  FailureOr<Values> buildVjp(Operation *op, OpBuilder &builder,
                             ArrayRef<Value> cotangents,
                             ArrayRef<bool> wanted) const {
    ImplicitLocOpBuilder b(op->getLoc(), builder);
    if (failed(checkEffects(op)))
      return failure();
    Values inputs = getDifferentiableInputs(op), seeds;
    for (auto [v, isWanted] : llvm::zip_equal(inputs, wanted)) {
      if (!isWanted)
        continue;
      if (failed(checkType(op, v, "a captured value")))
        return failure();
      seeds.push_back(v);
    }
    Operation *made = createBranches(b, cast<Op>(op), TypeRange(seeds));
    for (auto [from, to] :
         llvm::zip_equal(op->getRegions(), made->getRegions())) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToEnd(&to.front());
      IRMapping map;
      Values results = cloneBody(b, from.front(), map), targets, given;
      for (auto [v, t] : llvm::zip_equal(results, cotangents))
        if (t) {
          targets.push_back(v);
          given.push_back(t);
        }
      auto activity = Activity::get(to.front(), seeds, targets);
      if (failed(activity))
        return failure();
      auto grads = pullBack(b, *activity, targets, given, seeds);
      if (failed(grads))
        return failure();
      for (auto [g, v] : llvm::zip_equal(*grads, seeds))
        g = orZeros(b, g, v);
      scf::YieldOp::create(b, *grads);
    }
    Values out(inputs.size());
    auto next = made->result_begin();
    for (auto [g, isWanted] : llvm::zip_equal(out, wanted))
      if (isWanted)
        g = *next++;
    return out;
  }
};

template <class Op>
struct BranchJvp : JvpOpInterface::ExternalModel<BranchJvp<Op>, Op> {
  FailureOr<Values> buildJvp(Operation *op, OpBuilder &builder,
                             ArrayRef<Value> given) const {
    ImplicitLocOpBuilder b(op->getLoc(), builder);
    Values seeds, tangents;
    for (auto [v, t] : llvm::zip_equal(getDifferentiableInputs(op), given))
      if (t) {
        seeds.push_back(v);
        tangents.push_back(t);
      }
    SmallVector<Type> types(op->getResultTypes());
    llvm::append_range(
        types, llvm::make_filter_range(op->getResultTypes(), isDifferentiable));
    Operation *made = createBranches(b, cast<Op>(op), types);
    for (auto [from, to] :
         llvm::zip_equal(op->getRegions(), made->getRegions())) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToEnd(&to.front());
      IRMapping map;
      Values results = cloneBody(b, from.front(), map);
      Values targets = llvm::filter_to_vector(
          results, [](Value v) { return isDifferentiable(v.getType()); });
      auto activity = Activity::get(to.front(), seeds, targets);
      if (failed(activity))
        return failure();
      b.setInsertionPointToEnd(&to.front());
      auto out = pushForward(b, *activity, seeds, tangents, targets);
      if (failed(out))
        return failure();
      b.setInsertionPointToEnd(&to.front());
      for (auto [t, v] : llvm::zip_equal(*out, targets))
        results.push_back(orZeros(b, t, v));
      scf::YieldOp::create(b, results);
    }
    supersede(op, made);
    Values out;
    auto next = made->result_begin() + op->getNumResults();
    for (Type type : op->getResultTypes())
      out.push_back(isDifferentiable(type) ? Value(*next++) : Value());
    return out;
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// scf.for
//===----------------------------------------------------------------------===//

/// How often the loop runs, an index.
static Value countIterations(ImplicitLocOpBuilder &b, scf::ForOp op) {
  if (std::optional<APInt> count = op.getStaticTripCount())
    return arith::ConstantIndexOp::create(b, count->getSExtValue());
  Value lb = op.getLowerBound(), ub = op.getUpperBound();
  Value distance = arith::SubIOp::create(b, ub, lb);
  auto predicate = op.getUnsignedCmp() ? arith::CmpIPredicate::ult
                                       : arith::CmpIPredicate::slt;
  Value runs = arith::CmpIOp::create(b, predicate, lb, ub);
  // The distance may need the sign bit.
  Value count = arith::CeilDivUIOp::create(b, distance, op.getStep());
  Value none = arith::ConstantOp::create(b, b.getZeroAttr(count.getType()));
  count = arith::SelectOp::create(b, runs, count, none);
  return count.getType().isIndex()
             ? count
             : arith::IndexCastUIOp::create(b, b.getIndexType(), count)
                   .getResult();
}

/// The value of the loop's own type in its iteration of that number, an index.
static Value numberToInduction(ImplicitLocOpBuilder &b, scf::ForOp op,
                               Value number) {
  Type type = op.getInductionVar().getType();
  if (!type.isIndex())
    number = arith::IndexCastOp::create(b, type, number);
  Value distance = arith::MulIOp::create(b, number, op.getStep());
  return arith::AddIOp::create(b, op.getLowerBound(), distance);
}

/// The least integer whose square is not less than the count.
static Value roundUpRoot(ImplicitLocOpBuilder &b, Value count) {
  Type i64 = b.getI64Type(), f64 = b.getF64Type();
  Value v = b.createOrFold<arith::IndexCastOp>(i64, count);
  v = b.createOrFold<arith::UIToFPOp>(f64, v);
  v = b.createOrFold<math::SqrtOp>(v);
  v = b.createOrFold<math::CeilOp>(v);
  v = b.createOrFold<arith::FPToUIOp>(i64, v);
  return b.createOrFold<arith::IndexCastOp>(b.getIndexType(), v);
}

/// The loop as stretches of iterations, one after the other.
static void nest(scf::ForOp op, Attribute policy) {
  ImplicitLocOpBuilder b(op.getLoc(), op);
  Value count = countIterations(b, op), length;
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  if (auto number = dyn_cast<IntegerAttr>(policy))
    length = arith::ConstantIndexOp::create(b, number.getInt());
  else // a stretch has at least one iteration
    length = b.createOrFold<arith::MaxUIOp>(roundUpRoot(b, count), one);
  Value numStretches = b.createOrFold<arith::CeilDivUIOp>(count, length);
  auto outer = scf::ForOp::create(b, zero, numStretches, one, op.getInitArgs());
  b.setInsertionPointToEnd(outer.getBody());
  Value first = arith::MulIOp::create(b, outer.getInductionVar(), length);
  Value rest = arith::SubIOp::create(b, count, first);
  Value size = arith::MinUIOp::create(b, length, rest);
  auto inner =
      scf::ForOp::create(b, zero, size, one, outer.getRegionIterArgs());
  scf::YieldOp::create(b, inner.getResults());
  b.setInsertionPointToEnd(inner.getBody());
  Value number = arith::AddIOp::create(b, first, inner.getInductionVar());
  IRMapping map;
  map.map(op.getInductionVar(), numberToInduction(b, op, number));
  map.map(op.getRegionIterArgs(), inner.getRegionIterArgs());
  scf::YieldOp::create(b, cloneBody(b, *op.getBody(), map));
  op.replaceAllUsesWith(outer.getResults());
  op.erase();
}

void quant_ste::nestCheckpointedLoops(Operation *root) {
  SmallVector<scf::ForOp> loops;
  root->walk([&](scf::ForOp op) {
    if (op->hasAttr(kCheckpoint) && op.getNumResults() > 0)
      loops.push_back(op);
  });
  for (scf::ForOp op : loops)
    nest(op, op->getAttr(kCheckpoint));
}

namespace {
class LoopDerivative {
public:
  LoopDerivative(scf::ForOp op, OpBuilder &builder)
      : op(op), b(op.getLoc(), builder), inputs(getDifferentiableInputs(op)) {}

  FailureOr<Values> vjp(ArrayRef<Value> cotangents, ArrayRef<bool> wanted);
  FailureOr<Values> jvp(ArrayRef<Value> tangents);

private:
  scf::ForOp op;
  ImplicitLocOpBuilder b;
  Values inputs;

  unsigned numControl() { return op.getNumControlOperands(); }
  unsigned numCarried() { return op.getNumRegionIterArgs(); }
  unsigned numOperands() { return op->getNumOperands(); }
  ArrayRef<Value> captures() {
    return ArrayRef(inputs).drop_front(numOperands());
  }
  Values seedsOf(const llvm::SmallBitVector &carried,
                 const llvm::SmallBitVector &captured);

  LogicalResult findVaried(llvm::SmallBitVector &carried,
                           const llvm::SmallBitVector &captured);
  LogicalResult findUseful(llvm::SmallBitVector &carried,
                           llvm::SmallBitVector &captured,
                           ArrayRef<Value> cotangents);
  LogicalResult checkTypes(const llvm::SmallBitVector &carried,
                           const llvm::SmallBitVector &captured);

  Value toIndex(Value v);
  LogicalResult checkStackable(unsigned k);
  /// An empty loop over the same numbers; what is built next goes into it.
  scf::ForOp createLoop(ValueRange inits);
  IRMapping mapBody(scf::ForOp to);
  Values stack(ArrayRef<unsigned> which, Value count);
  SmallVector<OpFoldResult> sliceSizes(Value v);
};
} // namespace

/// The values in the body through which derivatives come in.
Values LoopDerivative::seedsOf(const llvm::SmallBitVector &carried,
                               const llvm::SmallBitVector &captured) {
  Values seeds;
  for (unsigned k : carried.set_bits())
    seeds.push_back(op.getRegionIterArg(k));
  for (unsigned c : captured.set_bits())
    seeds.push_back(captures()[c]);
  return seeds;
}

/// Adds the carried values that depend on a seed in some iteration.
LogicalResult LoopDerivative::findVaried(llvm::SmallBitVector &carried,
                                         const llvm::SmallBitVector &captured) {
  for (bool isNew = true; isNew;) {
    isNew = false;
    auto activity = Activity::get(*op.getBody(), seedsOf(carried, captured),
                                  op.getYieldedValues());
    if (failed(activity))
      return failure();
    for (auto [k, v] : llvm::enumerate(op.getYieldedValues()))
      if (!carried.test(k) && activity->isActive(v)) {
        carried.set(k);
        isNew = true;
      }
  }
  return success();
}

/// Keeps what a result with a cotangent depends on.
LogicalResult LoopDerivative::findUseful(llvm::SmallBitVector &carried,
                                         llvm::SmallBitVector &captured,
                                         ArrayRef<Value> cotangents) {
  llvm::SmallBitVector useful(numCarried());
  for (unsigned k : carried.set_bits())
    useful[k] = static_cast<bool>(cotangents[k]);
  Values seeds = seedsOf(carried, captured);
  while (true) {
    Values targets;
    for (unsigned k : useful.set_bits())
      targets.push_back(op.getYieldedValues()[k]);
    auto activity = Activity::get(*op.getBody(), seeds, targets);
    if (failed(activity))
      return failure();
    llvm::SmallBitVector next = useful;
    for (unsigned k : carried.set_bits())
      if (activity->isActive(op.getRegionIterArg(k)))
        next.set(k);
    if (next != useful) {
      useful = next;
      continue;
    }
    for (unsigned c : captured.set_bits())
      if (!activity->isActive(captures()[c]))
        captured.reset(c);
    carried = useful;
    return success();
  }
}

LogicalResult LoopDerivative::checkTypes(const llvm::SmallBitVector &carried,
                                         const llvm::SmallBitVector &captured) {
  for (unsigned k : carried.set_bits())
    if (failed(checkType(op, op.getRegionIterArg(k),
                         "carried value #" + Twine(k))))
      return failure();
  for (unsigned c : captured.set_bits())
    if (failed(checkType(op, captures()[c], "a captured value")))
      return failure();
  return success();
}

Value LoopDerivative::toIndex(Value v) {
  if (v.getType().isIndex())
    return v;
  if (op.getUnsignedCmp())
    return arith::IndexCastUIOp::create(b, b.getIndexType(), v);
  return arith::IndexCastOp::create(b, b.getIndexType(), v);
}

/// Whether `v` has the shape of `like`, as far as elementwise ops,
/// destinations, branches and loops tell.
namespace {
class SameShape {
public:
  explicit SameShape(Value like) : like(like) {}

  bool has(Value v) {
    if (v == like)
      return true;
    auto result = dyn_cast<OpResult>(v);
    if (!result)
      return false;
    auto [it, isNew] = known.try_emplace(v, false);
    if (!isNew)
      return it->second;
    bool answer = ask(result);
    known[v] = answer;
    return answer;
  }

private:
  bool ask(OpResult v) {
    Operation *op = v.getOwner();
    unsigned n = v.getResultNumber();
    if (OpTrait::hasElementwiseMappableTraits(op))
      return llvm::any_of(op->getOperands(), [&](Value w) {
        return isa<RankedTensorType>(w.getType()) && has(w);
      });
    if (auto dps = dyn_cast<DestinationStyleOpInterface>(op))
      return has(dps.getTiedOpOperand(v)->get());
    if (auto rule = dyn_cast<GradientRuleInterface>(op))
      return rule.getResultMaps()[n].isIdentity() && has(op->getOperand(0));
    if (isa<DetachOp>(op))
      return has(op->getOperand(0));
    if (auto branch = dyn_cast<scf::IfOp>(op))
      return has(branch.thenYield().getOperand(n)) &&
             has(branch.elseYield().getOperand(n));
    if (auto loop = dyn_cast<scf::ForOp>(op))
      return has(loop.getInitArgs()[n]) && SameShape(loop.getRegionIterArg(n))
                                               .has(loop.getYieldedValues()[n]);
    return false;
  }

  Value like;
  llvm::DenseMap<Value, bool> known;
};
} // namespace

/// The slices of a stack have one shape.
LogicalResult LoopDerivative::checkStackable(unsigned k) {
  Value arg = op.getRegionIterArg(k), next = op.getYieldedValues()[k];
  auto refuse = [&](const Twine &why) {
    InFlightDiagnostic diag =
        emitCannot(op, "expected carried value #" + Twine(k) +
                           ", which the gradient reads, " + why + ", got ");
    diag << arg.getType();
    return diag;
  };
  auto type = dyn_cast<RankedTensorType>(arg.getType());
  if (!type) {
    if (RankedTensorType::isValidElementType(arg.getType()))
      return success();
    return refuse("to be a ranked tensor, a number or an index");
  }
  if (type.hasStaticShape() || SameShape(arg).has(next))
    return success();
  for (int64_t d = 0; d < type.getRank(); ++d) {
    if (!type.isDynamicDim(d))
      continue;
    FailureOr<bool> isSame =
        ValueBoundsConstraintSet::areEqual({arg, d}, {next, d});
    if (failed(isSame) || !*isSame)
      return refuse("to have the same sizes in every iteration");
  }
  return success();
}

SmallVector<OpFoldResult> LoopDerivative::sliceSizes(Value v) {
  return isa<RankedTensorType>(v.getType())
             ? tensor::getMixedSizes(b, b.getLoc(), v)
             : SmallVector<OpFoldResult>();
}

scf::ForOp LoopDerivative::createLoop(ValueRange inits) {
  auto made = scf::ForOp::create(b, op.getLowerBound(), op.getUpperBound(),
                                 op.getStep(), inits);
  made.setUnsignedCmp(op.getUnsignedCmp());
  b.setInsertionPointToEnd(made.getBody());
  return made;
}

/// From the body's numbers and carried values to those of a loop that carries
/// the same first.
IRMapping LoopDerivative::mapBody(scf::ForOp to) {
  IRMapping map;
  map.map(op.getInductionVar(), to.getInductionVar());
  map.map(op.getRegionIterArgs(),
          to.getRegionIterArgs().take_front(numCarried()));
  return map;
}

/// The loop, which now keeps what it carries into each iteration: after its own
/// results, one stack for each of `which`.
Values LoopDerivative::stack(ArrayRef<unsigned> which, Value count) {
  if (which.empty())
    return {};
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointAfter(op);
  Values inits(op.getInitArgs());
  for (unsigned k : which) {
    Value init = op.getInitArgs()[k];
    SmallVector<OpFoldResult> sizes{getAsOpFoldResult(count)};
    llvm::append_range(sizes, sliceSizes(init));
    inits.push_back(
        tensor::EmptyOp::create(b, sizes, getElementTypeOrSelf(init)));
  }
  scf::ForOp made = createLoop(inits);
  IRMapping map = mapBody(made);
  ValueRange args = made.getRegionIterArgs();
  Value distance =
      arith::SubIOp::create(b, made.getInductionVar(), op.getLowerBound());
  Value number = toIndex(arith::DivUIOp::create(b, distance, op.getStep()));
  Values stacks;
  for (auto [k, s] : llvm::zip_equal(which, args.take_back(which.size()))) {
    Value v = args[k];
    if (!isa<RankedTensorType>(v.getType())) {
      stacks.push_back(tensor::InsertOp::create(b, v, s, number));
      continue;
    }
    SmallVector<OpFoldResult> sizes{b.getIndexAttr(1)};
    llvm::append_range(sizes, sliceSizes(v));
    SmallVector<OpFoldResult> offsets(sizes.size(), b.getIndexAttr(0));
    SmallVector<OpFoldResult> strides(sizes.size(), b.getIndexAttr(1));
    offsets.front() = number;
    stacks.push_back(
        tensor::InsertSliceOp::create(b, v, s, offsets, sizes, strides));
  }
  Values results = cloneBody(b, *op.getBody(), map);
  llvm::append_range(results, stacks);
  scf::YieldOp::create(b, results);
  supersede(op, made);
  return Values(made.getResults().take_back(which.size()));
}

FailureOr<Values> LoopDerivative::vjp(ArrayRef<Value> cotangents,
                                      ArrayRef<bool> wanted) {
  if (failed(checkEffects(op)))
    return failure();
  llvm::SmallBitVector carried(numCarried()), captured(captures().size());
  for (unsigned k = 0; k < numCarried(); ++k)
    carried[k] = wanted[numControl() + k];
  for (unsigned c = 0; c < captures().size(); ++c)
    captured[c] = wanted[numOperands() + c];
  if (failed(findVaried(carried, captured)) ||
      failed(findUseful(carried, captured, cotangents)) ||
      failed(checkTypes(carried, captured)))
    return failure();

  Values out(inputs.size());
  if (carried.none() && captured.none())
    return out;

  // The stacks stand with the loop, and so does their size.
  Value count;
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(op);
    count = countIterations(b, op);
  }
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  Values inits;
  for (unsigned k : carried.set_bits())
    inits.push_back(orZeros(b, cotangents[k], op.getResult(k)));
  for (unsigned c : captured.set_bits())
    inits.push_back(zerosLike(b, captures()[c]));

  // What the iteration was given: known when it is known what is read of it.
  SmallVector<UnrealizedConversionCastOp> placeholders;
  auto backward = scf::ForOp::create(b, zero, count, one, inits);
  auto emitNumber = [&]() -> Value {
    Value after = arith::SubIOp::create(b, count, backward.getInductionVar());
    return arith::SubIOp::create(b, after, one);
  };
  {
    OpBuilder::InsertionGuard guard(b);
    Block &block = *backward.getBody();
    b.setInsertionPointToEnd(&block);
    Value number = emitNumber();
    IRMapping map;
    map.map(op.getInductionVar(), numberToInduction(b, op, number));
    for (Value arg : op.getRegionIterArgs()) {
      placeholders.push_back(
          UnrealizedConversionCastOp::create(b, arg.getType(), ValueRange()));
      map.map(arg, placeholders.back().getResult(0));
    }
    Values results = cloneBody(b, *op.getBody(), map), targets, seeds;
    for (unsigned k : carried.set_bits()) {
      targets.push_back(results[k]);
      seeds.push_back(map.lookup(op.getRegionIterArg(k)));
    }
    for (unsigned c : captured.set_bits())
      seeds.push_back(captures()[c]);
    ValueRange sums = backward.getRegionIterArgs();
    auto activity = Activity::get(block, seeds, targets);
    if (failed(activity))
      return failure();
    auto grads = pullBack(b, *activity, targets,
                          Values(sums.take_front(targets.size())), seeds);
    if (failed(grads))
      return failure();
    for (auto [i, g] : llvm::enumerate(*grads)) {
      if (i < targets.size())
        g = orZeros(b, g, seeds[i]);
      else
        g = g ? arith::AddFOp::create(b, sums[i], g).getResult() : sums[i];
    }
    scf::YieldOp::create(b, *grads);
  }

  eraseUnread(*backward.getBody());
  llvm::SmallPtrSet<Operation *, 8> read;
  for (auto cast : backward.getBody()->getOps<UnrealizedConversionCastOp>())
    read.insert(cast);
  SmallVector<unsigned> which;
  for (unsigned k = 0; k < numCarried(); ++k) {
    if (!read.contains(placeholders[k]))
      continue; // erased
    if (op.getYieldedValues()[k] == op.getRegionIterArg(k)) {
      placeholders[k].getResult(0).replaceAllUsesWith(op.getInitArgs()[k]);
      continue;
    }
    if (failed(checkStackable(k)))
      return failure();
    which.push_back(k);
  }
  Values stacks = stack(which, count);
  for (auto [k, s] : llvm::zip_equal(which, stacks)) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(backward.getBody());
    Value number = emitNumber();
    Value v = placeholders[k].getResult(0), slice;
    if (auto type = dyn_cast<RankedTensorType>(v.getType())) {
      SmallVector<OpFoldResult> sizes = sliceSizes(s);
      SmallVector<OpFoldResult> offsets(sizes.size(), b.getIndexAttr(0));
      SmallVector<OpFoldResult> strides(sizes.size(), b.getIndexAttr(1));
      offsets.front() = number;
      sizes.front() = b.getIndexAttr(1);
      slice =
          tensor::ExtractSliceOp::create(b, type, s, offsets, sizes, strides);
    } else {
      slice = tensor::ExtractOp::create(b, s, number);
    }
    v.replaceAllUsesWith(slice);
  }
  for (Operation *cast : read)
    cast->erase();

  auto next = backward.getResults().begin();
  for (unsigned k : carried.set_bits())
    out[numControl() + k] = *next++;
  for (unsigned c : captured.set_bits())
    out[numOperands() + c] = *next++;
  return out;
}

FailureOr<Values> LoopDerivative::jvp(ArrayRef<Value> tangents) {
  llvm::SmallBitVector carried(numCarried()), captured(captures().size());
  for (unsigned k = 0; k < numCarried(); ++k)
    carried[k] = static_cast<bool>(tangents[numControl() + k]);
  for (unsigned c = 0; c < captures().size(); ++c)
    captured[c] = static_cast<bool>(tangents[numOperands() + c]);
  if (failed(findVaried(carried, captured)) ||
      failed(checkTypes(carried, captured)))
    return failure();
  Values inits(op.getInitArgs());
  for (unsigned k : carried.set_bits())
    inits.push_back(
        orZeros(b, tangents[numControl() + k], op.getInitArgs()[k]));
  OpBuilder::InsertionGuard guard(b);
  scf::ForOp made = createLoop(inits);
  Block &block = *made.getBody();
  IRMapping map = mapBody(made);
  ValueRange args = made.getRegionIterArgs();
  Values results = cloneBody(b, *op.getBody(), map), targets, seeds,
         given(args.drop_front(numCarried()));
  for (unsigned k : carried.set_bits()) {
    targets.push_back(results[k]);
    seeds.push_back(args[k]);
  }
  for (unsigned c : captured.set_bits()) {
    seeds.push_back(captures()[c]);
    given.push_back(tangents[numOperands() + c]);
  }
  auto activity = Activity::get(block, seeds, targets);
  if (failed(activity))
    return failure();
  auto ts = pushForward(b, *activity, seeds, given, targets);
  if (failed(ts))
    return failure();
  b.setInsertionPointToEnd(&block);
  for (auto [t, v] : llvm::zip_equal(*ts, targets))
    results.push_back(orZeros(b, t, v));
  scf::YieldOp::create(b, results);
  supersede(op, made);
  Values out(numCarried());
  auto next = made.getResults().begin() + numCarried();
  for (unsigned k : carried.set_bits())
    out[k] = *next++;
  return out;
}

namespace {
struct ForVjp : VjpOpInterface::ExternalModel<ForVjp, scf::ForOp> {
  FailureOr<Values> buildVjp(Operation *op, OpBuilder &b,
                             ArrayRef<Value> cotangents,
                             ArrayRef<bool> wanted) const {
    return LoopDerivative(cast<scf::ForOp>(op), b).vjp(cotangents, wanted);
  }
};
struct ForJvp : JvpOpInterface::ExternalModel<ForJvp, scf::ForOp> {
  FailureOr<Values> buildJvp(Operation *op, OpBuilder &b,
                             ArrayRef<Value> tangents) const {
    return LoopDerivative(cast<scf::ForOp>(op), b).jvp(tangents);
  }
};
} // namespace

//===----------------------------------------------------------------------===//
// scf.while
//===----------------------------------------------------------------------===//

static FailureOr<Values> refuseWhile(Operation *op) {
  InFlightDiagnostic diag = emitCannot(
      op, "expected a loop whose number of iterations is known when it starts");
  diag.attachNote()
      << "use scf.for, perhaps with an scf.if inside, or give the "
         "function around it a rule of its own (attribute "
         "quant_ste.vjp, quant_ste.jvp)";
  return failure();
}

namespace {
struct WhileVjp : VjpOpInterface::ExternalModel<WhileVjp, scf::WhileOp> {
  FailureOr<Values> buildVjp(Operation *op, OpBuilder &, ArrayRef<Value>,
                             ArrayRef<bool>) const {
    return refuseWhile(op);
  }
};
struct WhileJvp : JvpOpInterface::ExternalModel<WhileJvp, scf::WhileOp> {
  FailureOr<Values> buildJvp(Operation *op, OpBuilder &,
                             ArrayRef<Value>) const {
    return refuseWhile(op);
  }
};

template <class Op>
struct Captures
    : DifferentiatesCapturesOpInterface::ExternalModel<Captures<Op>, Op> {};
} // namespace

void quant_ste::registerSCFModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *ctx, scf::SCFDialect *) {
    scf::IfOp::attachInterface<BranchVjp<scf::IfOp>, BranchJvp<scf::IfOp>,
                               Captures<scf::IfOp>>(*ctx);
    scf::IndexSwitchOp::attachInterface<BranchVjp<scf::IndexSwitchOp>,
                                        BranchJvp<scf::IndexSwitchOp>,
                                        Captures<scf::IndexSwitchOp>>(*ctx);
    scf::ForOp::attachInterface<ForVjp, ForJvp, Captures<scf::ForOp>>(*ctx);
    scf::WhileOp::attachInterface<WhileVjp, WhileJvp, Captures<scf::WhileOp>>(
        *ctx);
  });
}
