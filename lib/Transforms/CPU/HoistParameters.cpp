//===- HoistParameters.cpp - parameters are computed once -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HoistParameters.h"
#include "Scratch.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;
using namespace mlir::quant_ste;
using Loops = llvm::SmallBitVector;

/// What is worth a buffer: about a division.
static constexpr int64_t kWorth = 8;

/// Roughly, in additions of f32.
static int64_t getCost(Operation &op) {
  if (op.hasTrait<OpTrait::ConstantLike>())
    return 0;
  int64_t lanes = isa<arith::DivFOp, math::SqrtOp, math::ExpOp>(op) ? 8 : 1;
  Type type = op.getResult(0).getType();
  return type.isF64() || type.isInteger(64) ? 2 * lanes : lanes;
}

namespace {
/// The loops that the values of a body depend on.
class Dependences {
public:
  explicit Dependences(linalg::GenericOp op) : numLoops(op.getNumLoops()) {
    for (OpOperand &operand : op->getOpOperands()) {
      Loops &loops = seen[op.getMatchingBlockArgument(&operand)];
      loops.resize(numLoops, op.isDpsInit(&operand));
      AffineMap map = op.getMatchingIndexingMap(&operand);
      for (unsigned d = 0; d < map.getNumResults(); ++d)
        loops.set(map.getDimPosition(d));
    }
    for (Operation &inner : op.getBody()->without_terminator()) {
      Loops loops(numLoops);
      if (auto index = dyn_cast<linalg::IndexOp>(inner))
        loops.set(index.getDim());
      for (Value operand : inner.getOperands())
        loops |= of(operand);
      for (Value result : inner.getResults())
        seen[result] = loops;
    }
  }
  /// None, of what comes from outside.
  Loops of(Value v) const {
    auto it = seen.find(v);
    return it == seen.end() ? Loops(numLoops) : it->second;
  }

private:
  unsigned numLoops;
  DenseMap<Value, Loops> seen;
};

/// What a body computes along some of its loops.
struct Group {
  Loops loops;
  /// What is used along further loops, and worth a buffer.
  SetVector<Value> results;
};
} // namespace

static bool isStorable(Type type) {
  return type.isInteger(1) ||
         (type.isIntOrFloat() && type.getIntOrFloatBitWidth() % 8 == 0);
}

/// The smallest set of loops with enough to compute.
static std::optional<Group> findGroup(linalg::GenericOp op,
                                      const Dependences &dependences) {
  SmallVector<Group> groups;
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  Block &body = *op.getBody();
  DenseMap<Value, int64_t> costs; // with all that the value is made of
  for (Operation &inner : body.without_terminator()) {
    Loops loops = dependences.of(inner.getResult(0));
    bool isPart = false; // of the iterations
    for (unsigned d = 0; d < loops.size(); ++d)
      isPart |= !loops[d] && ranges[d] != 1;
    if (loops.none() || !isPart)
      continue;
    int64_t cost = getCost(inner);
    for (Value operand : inner.getOperands())
      cost += costs.lookup(operand);
    cost = std::min(cost, kWorth); // a sum over paths would explode
    for (Value result : inner.getResults()) {
      costs[result] = cost;
      bool isUsedBeyond = llvm::any_of(result.getUsers(), [&](Operation *user) {
        return user == body.getTerminator() ||
               dependences.of(user->getResult(0)) != loops;
      });
      if (cost < kWorth || !isUsedBeyond || !isStorable(result.getType()))
        continue;
      auto *group = llvm::find_if(
          groups, [&](const Group &g) { return g.loops == loops; });
      if (group == groups.end()) {
        groups.push_back({loops, {}});
        group = std::prev(groups.end());
      }
      group->results.insert(result);
    }
  }
  // What would be left with a product and a sum would be a contraction, whose
  // terms are added in another order.
  auto seesAll = [&](Operation &inner) {
    return dependences.of(inner.getResult(0)).all();
  };
  if (groups.empty() ||
      (op.getNumReductionLoops() &&
       llvm::count_if(body.without_terminator(), seesAll) <= 2))
    return std::nullopt;
  return *llvm::min_element(groups, [](const Group &a, const Group &b) {
    return a.loops.count() < b.loops.count();
  });
}

/// The group's loops, in the order of an operand that sees all loops: so the
/// buffers run along memory as it does.
static SmallVector<unsigned> getOrder(linalg::GenericOp op,
                                      const Loops &loops) {
  SmallVector<unsigned> order;
  for (AffineMap map : op.getIndexingMapsArray()) {
    if (map.getNumResults() != op.getNumLoops())
      continue;
    for (unsigned d = 0; d < map.getNumResults(); ++d)
      if (loops[map.getDimPosition(d)])
        order.push_back(map.getDimPosition(d));
    return order;
  }
  llvm::append_range(order, loops.set_bits());
  return order;
}

static Value getLoopSize(OpBuilder &b, linalg::GenericOp op, unsigned loop) {
  int64_t known = op.getStaticLoopRanges()[loop];
  if (!ShapedType::isDynamic(known))
    return arith::ConstantIndexOp::create(b, op.getLoc(), known);
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    if (auto dim =
            map.getResultPosition(getAffineDimExpr(loop, op.getContext())))
      return memref::DimOp::create(b, op.getLoc(), operand.get(), *dim);
  }
  llvm_unreachable("a loop of linalg is seen by an operand");
}

/// The op that computes the group into `buffers`.
static linalg::GenericOp createGroup(RewriterBase &rewriter,
                                     linalg::GenericOp op, const Group &group,
                                     ArrayRef<unsigned> order,
                                     const Dependences &dependences,
                                     ValueRange buffers) {
  MLIRContext *context = op.getContext();
  SmallVector<int64_t> newLoop(op.getNumLoops(), -1);
  for (auto [i, loop] : llvm::enumerate(order))
    newLoop[loop] = i;
  SmallVector<Value> inputs;
  SmallVector<AffineMap> maps;
  SmallVector<BlockArgument> arguments;
  for (OpOperand *operand : op.getDpsInputOperands()) {
    BlockArgument argument = op.getMatchingBlockArgument(operand);
    if (Loops loops = dependences.of(argument); loops.test(group.loops))
      continue; // sees a further loop
    SmallVector<AffineExpr> results;
    AffineMap map = op.getMatchingIndexingMap(operand);
    for (unsigned d = 0; d < map.getNumResults(); ++d)
      results.push_back(
          getAffineDimExpr(newLoop[map.getDimPosition(d)], context));
    inputs.push_back(operand->get());
    maps.push_back(AffineMap::get(order.size(), 0, results, context));
    arguments.push_back(argument);
  }
  maps.append(buffers.size(),
              AffineMap::getMultiDimIdentityMap(order.size(), context));
  SmallVector<utils::IteratorType> iterators(order.size(),
                                             utils::IteratorType::parallel);
  return linalg::GenericOp::create(
      rewriter, op.getLoc(), inputs, buffers, maps, iterators,
      [&](OpBuilder &b, Location loc, ValueRange newArguments) {
        IRMapping mapping;
        mapping.map(ArrayRef<BlockArgument>(arguments),
                    newArguments.take_front(arguments.size()));
        for (Operation &inner : op.getBody()->without_terminator()) {
          if (dependences.of(inner.getResult(0)).test(group.loops))
            continue;
          if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
            mapping.map(index.getResult(),
                        linalg::IndexOp::create(b, loc, newLoop[index.getDim()])
                            .getResult());
            continue;
          }
          b.clone(inner, mapping);
        }
        SmallVector<Value> yielded = llvm::map_to_vector(
            group.results, [&](Value v) { return mapping.lookup(v); });
        linalg::YieldOp::create(b, loc, yielded);
      });
}

/// `op`, with `buffers` read in place of what the group computes.
static linalg::GenericOp readGroup(RewriterBase &rewriter, linalg::GenericOp op,
                                   const Group &group, ArrayRef<unsigned> order,
                                   ValueRange buffers) {
  SmallVector<AffineExpr> results =
      llvm::map_to_vector(order, [&](unsigned loop) {
        return getAffineDimExpr(loop, op.getContext());
      });
  SmallVector<Value> inputs(op.getInputs());
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  size_t numInputs = inputs.size();
  llvm::append_range(inputs, buffers);
  maps.insert(maps.begin() + numInputs, buffers.size(),
              AffineMap::get(op.getNumLoops(), 0, results, op.getContext()));
  auto reading =
      linalg::GenericOp::create(rewriter, op.getLoc(), inputs, op.getOutputs(),
                                maps, op.getIteratorTypesArray());
  rewriter.inlineRegionBefore(op.getRegion(), reading.getRegion(),
                              reading.getRegion().end());
  Block &body = *reading.getBody();
  for (auto [i, v] : llvm::enumerate(group.results)) {
    BlockArgument argument =
        body.insertArgument(numInputs + i, v.getType(), v.getLoc());
    rewriter.replaceAllUsesWith(v, argument);
  }
  rewriter.eraseOp(op);
  SmallVector<Operation *> users;
  for (Operation &inner : body.without_terminator())
    users.push_back(&inner);
  for (Operation *inner : llvm::reverse(users))
    if (isOpTriviallyDead(inner))
      rewriter.eraseOp(inner);
  return reading;
}

SmallVector<linalg::GenericOp>
quant_ste::hoistParameters(RewriterBase &rewriter, linalg::GenericOp op) {
  // Bits packed in bytes: `n floordiv 8` runs along part of a loop.
  if (!llvm::all_of(op.getIndexingMapsArray(),
                    [](AffineMap map) { return map.isProjectedPermutation(); }))
    return {op};
  SmallVector<linalg::GenericOp> ops;
  OpBuilder::InsertionGuard guard(rewriter);
  while (true) {
    Dependences dependences(op);
    std::optional<Group> group = findGroup(op, dependences);
    if (!group)
      break;
    rewriter.setInsertionPoint(op);
    SmallVector<unsigned> order = getOrder(op, group->loops);
    SmallVector<Value> sizes = llvm::map_to_vector(
        order, [&](unsigned loop) { return getLoopSize(rewriter, op, loop); });
    SmallVector<Value> buffers =
        llvm::map_to_vector(group->results, [&](Value v) {
          return allocateScratch(rewriter, op, sizes, v.getType());
        });
    ops.push_back(
        createGroup(rewriter, op, *group, order, dependences, buffers));
    op = readGroup(rewriter, op, *group, order, buffers);
  }
  ops.push_back(op);
  return ops;
}
