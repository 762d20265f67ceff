//===- ReuseBuffers.cpp - results in buffers that are dead -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A buffer is local if every use of it, and of the views of it, is known: an op
// of its block, or inside of one, that only reads and writes. It is dead before
// the first and after the last of them. One walk through a block takes its
// buffers in the order of their first uses, with the dead ones at hand by type.
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/CallInterfaces.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

#include <map>

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEREUSEBUFFERSPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

static constexpr StringLiteral kDonated = "quant_ste.donated";

/// Whether the op does no more with the buffer than to read and write it.
static bool onlyAccesses(Operation *op, Value buffer) {
  if (op->hasTrait<OpTrait::IsTerminator>() ||
      isa<CallOpInterface, RegionBranchOpInterface>(op) ||
      llvm::any_of(op->getResultTypes(), llvm::IsaPred<BaseMemRefType>))
    return false;
  if (isa<memref::DimOp, memref::RankOp>(op))
    return true;
  auto effects = dyn_cast<MemoryEffectOpInterface>(op);
  if (!effects)
    return false;
  SmallVector<MemoryEffects::EffectInstance> all;
  effects.getEffects(all);
  bool isSeen = false;
  for (const MemoryEffects::EffectInstance &effect : all) {
    if (effect.getValue() != buffer)
      continue;
    isSeen = true;
    if (!isa<MemoryEffects::Read, MemoryEffects::Write>(effect.getEffect()))
      return false;
  }
  return isSeen;
}

namespace {
struct Buffer {
  Value value;
  mutable memref::AllocOp alloc; ///< null for a donated argument
  bool isLocal = true;
  /// Ops of the block in which it is used first and last.
  Operation *first = nullptr, *last = nullptr;
  /// Its uses and those of its views, but for what makes views.
  SmallVector<OpOperand *> uses;

  explicit Buffer(Value value);
  /// Its only use in the op, where it has just one.
  OpOperand *getOnlyUseIn(Operation *op) const;
};

/// The buffers of a block.
class Lifetimes {
public:
  explicit Lifetimes(Block &block);
  /// Merges buffers, and says when each dies.
  void share();

private:
  Block &block;
  std::vector<Buffer> buffers;
};
} // namespace

Buffer::Buffer(Value value)
    : value(value), alloc(value.getDefiningOp<memref::AllocOp>()) {
  Block *block = value.getParentBlock();
  SmallVector<Value> names{value};
  while (!names.empty()) {
    Value name = names.pop_back_val();
    for (OpOperand &use : name.getUses()) {
      Operation *user = use.getOwner();
      Operation *at = block->findAncestorOpInBlock(*user);
      if (!at) { // in a block behind this one
        isLocal = false;
        first = nullptr;
        return;
      }
      if (!first || at->isBeforeInBlock(first))
        first = at;
      if (!last || last->isBeforeInBlock(at))
        last = at;
      auto view = dyn_cast<ViewLikeOpInterface>(user);
      if (view && view.getViewSource() == name && user->getNumResults() == 1 &&
          isMemoryEffectFree(user)) {
        names.push_back(user->getResult(0));
        continue;
      }
      uses.push_back(&use);
      isLocal &= onlyAccesses(user, name);
    }
  }
}

OpOperand *Buffer::getOnlyUseIn(Operation *op) const {
  OpOperand *only = nullptr;
  for (OpOperand *use : uses) {
    if (!op->isAncestor(use->getOwner()))
      continue;
    if (only || use->getOwner() != op || use->get() != value)
      return nullptr;
    only = use;
  }
  return only;
}

/// May the op write each element of `to` over the one of `from` that it has
/// just read? Where it runs through both by the same map, each element once.
static bool canOverwrite(Operation *op, const Buffer &from, const Buffer &to) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic)
    return false;
  OpOperand *in = from.getOnlyUseIn(op), *out = to.getOnlyUseIn(op);
  if (!in || !out || !generic.isDpsInput(in) || !generic.isDpsInit(out))
    return false;
  AffineMap map = generic.getMatchingIndexingMap(out);
  return map.isPermutation() && generic.getMatchingIndexingMap(in) == map &&
         generic.getMatchingBlockArgument(out).use_empty();
}

Lifetimes::Lifetimes(Block &block) : block(block) {
  auto f = dyn_cast<func::FuncOp>(block.getParentOp());
  if (f && block.isEntryBlock())
    for (BlockArgument arg : block.getArguments())
      if (isa<MemRefType>(arg.getType()) &&
          f.getArgAttr(arg.getArgNumber(), kDonated))
        buffers.emplace_back(arg);
  for (auto alloc : block.getOps<memref::AllocOp>())
    if (!alloc->hasAttr(
            bufferization::BufferizationDialect::kManualDeallocation))
      buffers.emplace_back(alloc.getResult());
}

/// Whether one is as good as the other, but for when they are used.
static bool areAlike(const Buffer &dead, const Buffer &fresh) {
  if (!dead.alloc)
    return fresh.alloc.getDynamicSizes().empty();
  return dead.alloc.getDynamicSizes() == fresh.alloc.getDynamicSizes() &&
         dead.alloc.getSymbolOperands() == fresh.alloc.getSymbolOperands() &&
         dead.alloc.getAlignment() == fresh.alloc.getAlignment();
}

void Lifetimes::share() {
  llvm::erase_if(buffers, [](const Buffer &b) { return b.alloc && !b.first; });
  DenseMap<Operation *, unsigned> order;
  for (auto [i, op] : llvm::enumerate(block))
    order[&op] = i;
  // Arguments come first: they are there from the start.
  auto placeOf = [&](const Buffer &b) {
    return b.alloc
               ? std::tuple(true, order.lookup(b.first), order.lookup(b.alloc))
               : std::tuple(false, 0u,
                            cast<BlockArgument>(b.value).getArgNumber());
  };
  llvm::sort(buffers, [&](const Buffer &x, const Buffer &y) {
    return placeOf(x) < placeOf(y);
  });
  // Per type what is dead, the latest last, and what is still in use, by when
  // it dies.
  struct Pool {
    SmallVector<Buffer *> dead;
    std::multimap<unsigned, Buffer *> alive;
  };
  DenseMap<Type, Pool> pools;
  SmallVector<Buffer *> kept;
  for (Buffer &buffer : buffers) {
    Pool &pool = pools[buffer.value.getType()];
    auto enter = [&](Buffer &b) {
      if (!b.isLocal)
        return;
      if (b.last)
        pool.alive.emplace(order.lookup(b.last), &b);
      else
        pool.dead.push_back(&b);
    };
    if (!buffer.alloc) {
      enter(buffer);
      continue;
    }
    unsigned start = order.lookup(buffer.first);
    while (!pool.alive.empty() && pool.alive.begin()->first < start) {
      pool.dead.push_back(pool.alive.begin()->second);
      pool.alive.erase(pool.alive.begin());
    }
    // What the first op reads for the last time: its place in a cache is sure.
    Buffer *best = nullptr;
    auto [begin, end] = pool.alive.equal_range(start);
    for (auto it = begin; it != end && !best; ++it)
      if (areAlike(*it->second, buffer) &&
          canOverwrite(buffer.first, *it->second, buffer)) {
        best = it->second;
        pool.alive.erase(it);
        break;
      }
    // Or what died last.
    for (size_t i = pool.dead.size(); i > 0 && !best; --i)
      if (areAlike(*pool.dead[i - 1], buffer)) {
        best = pool.dead[i - 1];
        pool.dead.erase(pool.dead.begin() + i - 1);
      }
    if (!best) {
      kept.push_back(&buffer);
      enter(buffer);
      continue;
    }
    // A result of the function is a buffer of its own, which no argument is.
    if (!best->alloc && !buffer.isLocal) {
      enter(*best);
      kept.push_back(&buffer);
      continue;
    }
    buffer.value.replaceAllUsesWith(best->value);
    buffer.alloc.erase();
    // The uses until here have been asked for; those of all that was merged
    // would be as many as the block has.
    best->uses = std::move(buffer.uses);
    best->last = buffer.last;
    best->isLocal = buffer.isLocal;
    enter(*best);
  }

  auto manual = bufferization::BufferizationDialect::kManualDeallocation;
  for (Buffer *buffer : kept) {
    buffer->alloc->moveBefore(buffer->first);
    if (!buffer->isLocal)
      continue;
    OpBuilder b(buffer->alloc);
    b.setInsertionPointAfter(buffer->last);
    auto dealloc =
        memref::DeallocOp::create(b, buffer->alloc.getLoc(), buffer->value);
    buffer->alloc->setAttr(manual, b.getUnitAttr());
    dealloc->setAttr(manual, b.getUnitAttr());
  }
}

namespace {
struct ReuseBuffers
    : quant_ste::impl::QuantSTEReuseBuffersPassBase<ReuseBuffers> {
  void runOnOperation() override {
    getOperation().walk([](Block *block) { Lifetimes(*block).share(); });
  }
};
} // namespace
