//===- RowGroups.cpp - rows read by what is summed up of them -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "RowGroups.h"
#include "StreamEmitter.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::quant_ste;
using arith::AtomicRMWKind;
using Scope = BodyEmitter::Scope;

//===----------------------------------------------------------------------===//
// What is a group
//===----------------------------------------------------------------------===//

/// The nearest op before that touches memory, if it is a linalg.generic.
static linalg::GenericOp findBefore(Operation *op) {
  for (Operation *before = op->getPrevNode(); before;
       before = before->getPrevNode()) {
    if (auto generic = dyn_cast<linalg::GenericOp>(before))
      return generic;
    if (before->getNumRegions() ||
        !(isMemoryEffectFree(before) || isa<memref::AllocOp>(before)))
      return nullptr;
  }
  return nullptr;
}

static std::optional<StreamKernel> analyze(linalg::GenericOp op) {
  std::string why;
  FailureOr<StreamKernel> kernel = StreamKernel::analyze(op, why);
  if (failed(kernel) || kernel->isContraction || !kernel->packing.empty())
    return std::nullopt;
  // What a body reads of other elements another thread may have written.
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(op.getRegion(), captured);
  if (llvm::any_of(captured,
                   [](Value v) { return isa<MemRefType>(v.getType()); }))
    return std::nullopt;
  return std::move(*kernel);
}

static bool isPerRow(const StreamOperand &operand) {
  return operand.loops == SmallVector<unsigned>{0};
}

/// Results for elements and for rows that are those of `last`.
static bool isOnRows(const StreamKernel &k, const StreamKernel &last) {
  if (k.getNumLoops() != 2 || k.loops != last.loops)
    return false;
  return llvm::all_of(llvm::zip_equal(k.outputs, k.reductions), [](auto pair) {
    auto &[output, reduction] = pair;
    return reduction ? isPerRow(output)
                     : output.loops == SmallVector<unsigned>{0, 1};
  });
}

/// One value a row is all that it reads and makes.
static bool isOnRowValues(const StreamKernel &k, const StreamKernel &last) {
  return k.getNumLoops() == 1 && !k.isReduction() &&
         k.loops.front() == last.loops.front() &&
         llvm::all_of(k.outputs, isPerRow);
}

/// The number of the input that is `buffer`, with one element a row.
static std::optional<unsigned> findRowInput(const StreamKernel &k,
                                            Value buffer) {
  for (auto [i, input] : llvm::enumerate(k.inputs))
    if (input.value == buffer && isPerRow(input))
      return i;
  return std::nullopt;
}

/// The elements of the output of a body are a function of its inputs: the ops
/// that compute them, or none if they are not.
static std::optional<SmallVector<Operation *>>
findComputation(linalg::GenericOp op, unsigned output) {
  Block &body = *op.getBlock();
  DenseSet<Value> needed{body.getTerminator()->getOperand(output)};
  SmallVector<Operation *> ops;
  for (Operation &inside : llvm::reverse(body.without_terminator())) {
    if (llvm::none_of(inside.getResults(),
                      [&](Value v) { return needed.contains(v); }))
      continue;
    if (inside.getNumRegions())
      return std::nullopt;
    needed.insert_range(inside.getOperands());
    ops.push_back(&inside);
  }
  if (llvm::any_of(op.getRegionOutputArgs(),
                   [&](Value v) { return needed.contains(v); }))
    return std::nullopt;
  std::reverse(ops.begin(), ops.end());
  return ops;
}

/// The inputs of `op` that are this result of an op before it, element by
/// element.
static SmallVector<OpOperand *> findElementInputs(linalg::GenericOp op,
                                                  linalg::GenericOp before,
                                                  OpOperand &output) {
  AffineMap map = before.getMatchingIndexingMap(&output);
  SmallVector<OpOperand *> found;
  // Without these inputs something else has to tell how many elements there
  // are.
  auto isWhole = [](linalg::GenericOp owner, auto &&operands) {
    return llvm::any_of(operands, [&](OpOperand *operand) {
      return owner.getMatchingIndexingMap(operand).isPermutation();
    });
  };
  bool isSized =
      isWhole(op, llvm::make_pointer_range(op.getDpsInitsMutable())) ||
      isWhole(before, before.getDpsInputOperands());
  if (map.isPermutation() && op.getNumLoops() == before.getNumLoops() &&
      isSized)
    for (OpOperand *input : op.getDpsInputOperands())
      if (input->get() == output.get() &&
          op.getMatchingIndexingMap(input) == map)
        found.push_back(input);
  return found;
}

static bool shareRoot(Value x, Value y) {
  return isa<MemRefType>(x.getType()) && isa<MemRefType>(y.getType()) &&
         getRootBuffer(x) == getRootBuffer(y);
}

/// Can `op` and a later one be done row by row? What one thread writes another
/// one must not read, but for values of rows, which all threads have, and for
/// elements that it computes itself.
static bool canShareRows(const StreamKernel &k, const StreamKernel &later) {
  linalg::GenericOp op = k.op, next = later.op;
  for (OpOperand &output : next.getDpsInitsMutable())
    if (llvm::any_of(op->getOperands(),
                     [&](Value v) { return shareRoot(v, output.get()); }))
      return false;
  for (auto [i, output] : llvm::enumerate(op.getDpsInitsMutable())) {
    bool isRow = isPerRow(k.outputs[i]);
    SmallVector<OpOperand *> elements = findElementInputs(next, op, output);
    for (auto [number, input] : llvm::enumerate(next.getDpsInputOperands())) {
      if (!shareRoot(input->get(), output.get()))
        continue;
      bool isGiven = isRow && input->get() == output.get() &&
                     isPerRow(later.inputs[number]);
      bool isComputed = !isRow && llvm::is_contained(elements, input) &&
                        findComputation(op, i);
      if (!isGiven && !isComputed)
        return false;
    }
  }
  return true;
}

/// Does a later op read a value of rows that this one makes?
static bool feeds(const StreamKernel &k, ArrayRef<StreamKernel> later) {
  return llvm::any_of(k.outputs, [&](const StreamOperand &output) {
    return isPerRow(output) && llvm::any_of(later, [&](const StreamKernel &l) {
             return findRowInput(l, output.value).has_value();
           });
  });
}

/// Do both read the rows of one buffer?
static bool readSameRows(const StreamKernel &a, const StreamKernel &b) {
  return llvm::any_of(a.inputs, [&](const StreamOperand &x) {
    return x.isBuffer() && x.loops.size() == 2 &&
           llvm::any_of(b.inputs, [&](const StreamOperand &y) {
             return x.value == y.value && x.loops == y.loops &&
                    x.dims == y.dims;
           });
  });
}

/// A kernel that sums is cut in one way on every chip.
static bool sums(const StreamKernel &k) {
  return llvm::any_of(k.reductions, [](std::optional<AtomicRMWKind> kind) {
    switch (kind.value_or(AtomicRMWKind::maximumf)) {
    case AtomicRMWKind::maximumf:
    case AtomicRMWKind::minimumf:
    case AtomicRMWKind::maxnumf:
    case AtomicRMWKind::minnumf:
    case AtomicRMWKind::maxs:
    case AtomicRMWKind::maxu:
    case AtomicRMWKind::mins:
    case AtomicRMWKind::minu:
      return false;
    default:
      return true;
    }
  });
}

/// So many elements has a row at most: a warp has them in one go.
static int64_t getMaxRow(const StreamKernel &k, const GpuTarget &target) {
  int64_t width = getVectorWidth(k, kSumAccessBytes);
  return kWarpThreads * width * (sums(k) ? getSumUnroll(width) : target.unroll);
}

std::optional<RowGroup> RowGroup::find(linalg::GenericOp last,
                                       const GpuTarget &target) {
  std::optional<StreamKernel> end = analyze(last);
  if (!end || !isOnRows(*end, *end))
    return std::nullopt;
  int64_t row = 1;
  SmallVector<int64_t> ranges = last.getStaticLoopRanges();
  for (unsigned loop : end->loops.back()) {
    if (ShapedType::isDynamic(ranges[loop]))
      return std::nullopt;
    row *= ranges[loop];
  }
  if (row == 0 || row > getMaxRow(*end, target))
    return std::nullopt;

  SmallVector<StreamKernel, 0> kernels{*end}; // the last one first
  for (linalg::GenericOp op = findBefore(last); op; op = findBefore(op)) {
    std::optional<StreamKernel> k = analyze(op);
    if (!k || !(isOnRows(*k, *end) || isOnRowValues(*k, *end)) ||
        (sums(*k) && row > getMaxRow(*k, target)))
      break;
    auto isRelated = [&](const StreamKernel &later) {
      return readSameRows(*k, later);
    };
    auto fits = [&](const StreamKernel &later) {
      return canShareRows(*k, later);
    };
    if (!(feeds(*k, kernels) || llvm::any_of(kernels, isRelated)) ||
        !llvm::all_of(kernels, fits))
      break;
    kernels.push_back(std::move(*k));
  }
  while (!kernels.empty() && !kernels.back().isReduction())
    kernels.pop_back();
  if (kernels.size() < 2)
    return std::nullopt;
  RowGroup group;
  for (const StreamKernel &k : llvm::reverse(kernels))
    group.stages.push_back(k.op);
  return group;
}

//===----------------------------------------------------------------------===//
// Elements computed again
//===----------------------------------------------------------------------===//

/// The consumer with the computation of the producer's output in its body.
static linalg::GenericOp inlineOutput(linalg::GenericOp consumer,
                                      linalg::GenericOp producer,
                                      unsigned output) {
  SmallVector<OpOperand *> replaced = findElementInputs(
      consumer, producer, *producer.getDpsInitOperand(output));
  SmallVector<OpOperand *> inputs;
  for (OpOperand *input : consumer.getDpsInputOperands())
    if (!llvm::is_contained(replaced, input))
      inputs.push_back(input);
  auto isSame = [](OpOperand *x, OpOperand *y) {
    return x->get() == y->get() &&
           cast<linalg::GenericOp>(x->getOwner()).getMatchingIndexingMap(x) ==
               cast<linalg::GenericOp>(y->getOwner()).getMatchingIndexingMap(y);
  };
  for (OpOperand *input : producer.getDpsInputOperands())
    if (llvm::none_of(inputs,
                      [&](OpOperand *other) { return isSame(input, other); }))
      inputs.push_back(input);

  SmallVector<Value> values;
  SmallVector<AffineMap> maps;
  for (OpOperand *input : inputs) {
    auto owner = cast<linalg::GenericOp>(input->getOwner());
    values.push_back(input->get());
    maps.push_back(owner.getMatchingIndexingMap(input));
  }
  for (OpOperand &init : consumer.getDpsInitsMutable())
    maps.push_back(consumer.getMatchingIndexingMap(&init));
  SmallVector<Operation *> computation = *findComputation(producer, output);
  OpBuilder b(consumer);
  auto fused = linalg::GenericOp::create(
      b, consumer.getLoc(), values, consumer.getOutputs(), maps,
      consumer.getIteratorTypesArray(),
      [&](OpBuilder &nested, Location, ValueRange args) {
        IRMapping map;
        for (linalg::GenericOp op : {producer, consumer})
          for (OpOperand *input : op.getDpsInputOperands()) {
            auto *it = llvm::find_if(
                inputs, [&](OpOperand *other) { return isSame(input, other); });
            if (it != inputs.end())
              map.map(op.getMatchingBlockArgument(input),
                      args[it - inputs.begin()]);
          }
        for (auto [old, now] :
             llvm::zip_equal(consumer.getRegionOutputArgs(),
                             args.take_back(consumer.getNumDpsInits())))
          map.map(old, now);
        for (Operation *op : computation)
          nested.clone(*op, map);
        Value computed = map.lookupOrDefault(
            producer.getBlock()->getTerminator()->getOperand(output));
        for (OpOperand *input : replaced)
          map.map(consumer.getMatchingBlockArgument(input), computed);
        for (Operation &op : *consumer.getBlock())
          nested.clone(op, map);
      });
  consumer.erase();
  return fused;
}

/// The op without results that nobody reads any more.
static linalg::GenericOp dropUnread(linalg::GenericOp op,
                                    InitialValues &initial) {
  auto isUnread = [&](OpOperand &output) {
    Value buffer = output.get();
    AffineMap map = op.getMatchingIndexingMap(&output);
    return map.isPermutation() && buffer.getDefiningOp<memref::AllocOp>() &&
           op.getMatchingBlockArgument(&output).use_empty() &&
           llvm::all_of(buffer.getUsers(), [&](Operation *user) {
             return user == op || isa<memref::DeallocOp>(user);
           });
  };
  SmallVector<Value> outputs, unread;
  SmallVector<unsigned> kept;
  SmallVector<AffineMap> maps;
  for (OpOperand *input : op.getDpsInputOperands())
    maps.push_back(op.getMatchingIndexingMap(input));
  for (auto [i, output] : llvm::enumerate(op.getDpsInitsMutable())) {
    if (isUnread(output)) {
      unread.push_back(output.get());
      continue;
    }
    kept.push_back(i);
    outputs.push_back(output.get());
    maps.push_back(op.getMatchingIndexingMap(&output));
  }
  if (unread.empty() || kept.empty() ||
      !inversePermutation(concatAffineMaps(maps, op.getContext())))
    return op;
  OpBuilder b(op);
  auto smaller = linalg::GenericOp::create(
      b, op.getLoc(), op.getInputs(), outputs, maps, op.getIteratorTypesArray(),
      [&](OpBuilder &nested, Location loc, ValueRange args) {
        IRMapping map;
        for (auto [i, old] : llvm::enumerate(op.getRegionInputArgs()))
          map.map(old, args[i]);
        for (auto [i, old] : llvm::enumerate(kept))
          map.map(op.getRegionOutputArgs()[old],
                  args[op.getNumDpsInputs() + i]);
        for (Operation &inside : op.getBlock()->without_terminator())
          nested.clone(inside, map);
        SmallVector<Value> results = llvm::map_to_vector(kept, [&](unsigned i) {
          return map.lookupOrDefault(
              op.getBlock()->getTerminator()->getOperand(i));
        });
        linalg::YieldOp::create(nested, loc, results);
      });
  DenseMap<unsigned, Value> old = initial.lookup(op);
  initial.erase(op);
  for (auto [i, before] : llvm::enumerate(kept))
    if (Value v = old.lookup(before))
      initial[smaller][i] = v;
  op.erase();
  for (Value buffer : unread) {
    for (Operation *user : llvm::make_early_inc_range(buffer.getUsers()))
      user->erase();
    buffer.getDefiningOp()->erase();
  }
  return smaller;
}

/// The stage with what an op before it makes for each element computed in it.
static linalg::GenericOp inlineOutputs(linalg::GenericOp stage,
                                       linalg::GenericOp before,
                                       InitialValues &initial) {
  for (unsigned i = 0; i < before.getNumDpsInits(); ++i) {
    OpOperand &init = *before.getDpsInitOperand(i);
    if (findElementInputs(stage, before, init).empty())
      continue;
    DenseMap<unsigned, Value> values = initial.lookup(stage);
    initial.erase(stage);
    stage = inlineOutput(stage, before, i);
    if (!values.empty())
      initial[stage] = std::move(values);
  }
  return stage;
}

/// An op just before a group, of a few ops on each element: is it read by the
/// group alone, element by element?
static bool servesGroupAlone(linalg::GenericOp op,
                             ArrayRef<linalg::GenericOp> stages) {
  constexpr size_t kCheap = 8;
  std::optional<StreamKernel> k = analyze(op);
  if (!k || k->isReduction() || op.getBlock()->getOperations().size() > kCheap)
    return false;
  for (OpOperand &output : op.getDpsInitsMutable()) {
    Value buffer = output.get();
    if (!buffer.getDefiningOp<memref::AllocOp>() ||
        !op.getMatchingIndexingMap(&output).isPermutation())
      return false;
    for (Operation *user : buffer.getUsers())
      if (user != op && !isa<memref::DeallocOp>(user) &&
          !llvm::is_contained(stages, user))
        return false;
  }
  return llvm::all_of(stages, [&](linalg::GenericOp stage) {
    for (OpOperand &output : stage.getDpsInitsMutable())
      if (llvm::any_of(op->getOperands(),
                       [&](Value v) { return shareRoot(v, output.get()); }))
        return false;
    for (auto [i, output] : llvm::enumerate(op.getDpsInitsMutable())) {
      SmallVector<OpOperand *> elements = findElementInputs(stage, op, output);
      for (OpOperand *input : stage.getDpsInputOperands())
        if (shareRoot(input->get(), output.get()) &&
            !(llvm::is_contained(elements, input) && findComputation(op, i)))
          return false;
    }
    return true;
  });
}

static void recompute(RowGroup &group, InitialValues &initial,
                      DenseSet<Operation *> &done) {
  auto &stages = group.stages;
  while (linalg::GenericOp op = findBefore(stages.front())) {
    if (!servesGroupAlone(op, stages))
      break;
    for (linalg::GenericOp &stage : stages)
      stage = inlineOutputs(stage, op, initial);
    SmallVector<Value> buffers(op.getOutputs());
    done.insert(op);
    op.erase();
    for (Value buffer : buffers) {
      for (Operation *user : llvm::make_early_inc_range(buffer.getUsers()))
        user->erase();
      buffer.getDefiningOp()->erase();
    }
  }
  for (auto [i, stage] : llvm::enumerate(stages))
    for (linalg::GenericOp before : ArrayRef(stages).take_front(i))
      if (analyze(before)->getNumLoops() == 2)
        stage = inlineOutputs(stage, before, initial);
  for (linalg::GenericOp &stage : stages)
    stage = dropUnread(stage, initial);
}

void quant_ste::recomputeInRowGroups(func::FuncOp function,
                                     const GpuTarget &target,
                                     InitialValues &initial) {
  SmallVector<linalg::GenericOp> ops;
  function.walk([&](linalg::GenericOp op) { ops.push_back(op); });
  // Those that are gone are here too, and not looked at again.
  DenseSet<Operation *> done;
  for (linalg::GenericOp op : llvm::reverse(ops)) {
    if (done.contains(op))
      continue;
    std::optional<RowGroup> group = RowGroup::find(op, target);
    if (!group)
      continue;
    done.insert_range(group->stages);
    recompute(*group, initial, done);
  }
}

//===----------------------------------------------------------------------===//
// Its kernel
//===----------------------------------------------------------------------===//

namespace {
class RowGroupEmitter;

/// One of the ops on rows, or on their values.
class RowPart : public RowEmitter {
  friend class RowGroupEmitter;
  using RowEmitter::RowEmitter;
};

struct Stage {
  linalg::GenericOp op;
  StreamKernel k;
  /// Of each output, on the host.
  SmallVector<Value> buffers;
  /// Does anything outside of the group read it?
  SmallVector<bool> isKept;
  /// Inputs, by number, that are a value of the row: the buffer that would have
  /// it.
  SmallVector<std::pair<unsigned, Value>> given;
  std::optional<RowPart> part;
  Scope scope;

  bool isOnRows() const { return k.getNumLoops() == 2; }
};

class RowGroupEmitter {
public:
  RowGroupEmitter(ImplicitLocOpBuilder &host, const RowGroup &group,
                  const InitialValues &initial, const KernelOptions &options)
      : host(host), group(group), initial(initial), options(options) {}
  void emit();

private:
  void addStage(linalg::GenericOp op);
  bool isKept(Value buffer);
  int64_t getWidth();
  RowPart &planTeams();
  void emitRows(Stage &stage, Value end);
  void emitRowValues(Stage &stage);
  void give(Stage &stage, unsigned output, Value v);
  void eraseOps();

  ImplicitLocOpBuilder &host;
  const RowGroup &group;
  const InitialValues &initial;
  const KernelOptions &options;
  std::vector<std::unique_ptr<Stage>> stages;
  /// In the kernel: the values of the thread's row, by the buffer.
  DenseMap<Value, Value> values;
  /// The row, and whether this is the first thread of a team that has one.
  Value row, isFirst;
};
} // namespace

bool RowGroupEmitter::isKept(Value buffer) {
  if (!buffer.getDefiningOp<memref::AllocOp>())
    return true;
  return llvm::any_of(buffer.getUsers(), [&](Operation *user) {
    return !llvm::is_contained(group.stages, user) &&
           !isa<memref::DeallocOp>(user);
  });
}

void RowGroupEmitter::addStage(linalg::GenericOp op) {
  auto stage = std::make_unique<Stage>();
  stage->op = op;
  StreamKernel &k = stage->k = *analyze(op);
  for (auto &before : stages)
    for (auto [output, buffer] :
         llvm::zip_equal(before->k.outputs, before->buffers))
      if (std::optional<unsigned> input =
              isPerRow(output) ? findRowInput(k, buffer) : std::nullopt)
        stage->given.push_back({*input, buffer});
  for (const StreamOperand &output : k.outputs) {
    stage->buffers.push_back(output.value);
    stage->isKept.push_back(!isPerRow(output) || isKept(output.value));
  }
  k.materialize(host);
  for (auto [input, buffer] : stage->given)
    k.inputs[input].value = {};
  stages.push_back(std::move(stage));
}

int64_t RowGroupEmitter::getWidth() {
  bool hasSums =
      llvm::any_of(stages, [](const auto &stage) { return sums(stage->k); });
  int64_t bytes = hasSums ? kSumAccessBytes : options.target.getAccessBytes();
  int64_t width = bytes;
  for (auto &stage : stages)
    if (stage->isOnRows())
      width = std::min(width, getVectorWidth(stage->k, bytes));
  return width;
}

/// As a sum alone would have them, if there is one: by the sizes.
RowPart &RowGroupEmitter::planTeams() {
  Stage *first = stages.back().get();
  for (auto &stage : stages)
    if (sums(stage->k))
      first = stage.get();
  RowPart &plan = *first->part;
  plan.planTeams();
  for (auto &stage : stages) {
    if (!stage->isOnRows())
      continue;
    stage->part->unroll = plan.unroll;
    stage->part->chunks = plan.chunks;
    stage->part->items = plan.items;
  }
  return plan;
}

/// One value of the row: for the stages that follow and, by the first thread of
/// the row, for others.
void RowGroupEmitter::give(Stage &stage, unsigned output, Value v) {
  RowPart &part = *stage.part;
  if (stage.isKept[output])
    part.when(isFirst,
              [&] { part.body.store(stage.scope, part.k.outputs[output], v); });
  if (isa<VectorType>(v.getType()))
    v = vector::ExtractOp::create(part.b, v, 0);
  values[stage.buffers[output]] = v;
}

void RowGroupEmitter::emitRows(Stage &stage, Value end) {
  RowPart &part = *stage.part;
  ImplicitLocOpBuilder &b = part.b;
  part.body.emit(stage.scope);
  for (auto [input, buffer] : stage.given)
    stage.scope.scalars.map(stage.k.getInputArg(input), values.lookup(buffer));
  stage.scope.ivs.front() = row;
  part.body.emit(stage.scope);
  // Before any thread writes the new one.
  DenseMap<unsigned, Value> old;
  DenseMap<unsigned, Value> filled = initial.lookup(stage.op);
  for (auto [i, kind] : llvm::enumerate(stage.k.reductions)) {
    if (!kind)
      continue;
    if (Value v = filled.lookup(i))
      old[i] = part.kernel.pass(v);
    else
      old[i] = memref::LoadOp::create(b, stage.k.outputs[i].value, row);
  }
  SmallVector<Value> accs =
      part.loop(part.index(b, 0), end, part.index(b, 1), part.neutral(),
                [&](Value i, ValueRange next) {
                  return part.emitItem(stage.scope, i, next);
                });
  unsigned next = 0;
  for (auto [i, kind] : llvm::enumerate(stage.k.reductions)) {
    if (!kind)
      continue;
    Value v = part.reduceWarp(accs[next++], *kind);
    give(stage, i,
         arith::getReductionOp(*kind, b, b.getLoc(), old.lookup(i), v));
  }
}

void RowGroupEmitter::emitRowValues(Stage &stage) {
  RowPart &part = *stage.part;
  ImplicitLocOpBuilder &b = part.b;
  stage.scope.ivs.front() = row;
  stage.scope.width = 1;
  for (auto [input, buffer] : stage.given) {
    Value v = values.lookup(buffer);
    stage.scope.vectors[stage.k.getInputArg(input)] =
        vector::BroadcastOp::create(b, VectorType::get({1}, v.getType()), v);
  }
  part.body.emit(stage.scope);
  for (unsigned i = 0; i < stage.k.outputs.size(); ++i)
    give(stage, i, part.body.getYielded(stage.scope, i));
}

/// Buffers that only the group used go with it.
void RowGroupEmitter::eraseOps() {
  SmallVector<Value> unused;
  for (auto &stage : stages)
    for (auto [buffer, kept] : llvm::zip_equal(stage->buffers, stage->isKept))
      if (!kept)
        unused.push_back(buffer);
  for (linalg::GenericOp op : llvm::reverse(group.stages))
    op.erase();
  for (Value buffer : unused) {
    for (Operation *user : llvm::make_early_inc_range(buffer.getUsers()))
      if (isa<memref::DeallocOp>(user) || isOpTriviallyDead(user))
        user->erase();
    if (buffer.use_empty())
      buffer.getDefiningOp()->erase();
  }
}

void RowGroupEmitter::emit() {
  for (linalg::GenericOp op : group.stages)
    addStage(op);
  SmallVector<Value> sizes = stages.back()->k.sizes;
  unsigned minBlocks = options.target.minBlocks;
  for (auto &stage : stages) {
    if (stage->isOnRows())
      minBlocks = std::min(minBlocks, getMinBlocks(stage->k, options.target));
    stage->k.sizes = sizes;
    stage->k.sizes.resize(stage->k.getNumLoops());
    for (auto [i, output] : llvm::enumerate(stage->k.outputs))
      if (!stage->isKept[i] &&
          (!stage->isOnRows() || initial.lookup(stage->op).lookup(i)))
        output.value = {};
  }
  int64_t width = getWidth();
  KernelBuilder kernel(host, options.library, options.name, minBlocks);
  for (auto &stage : stages)
    stage->part.emplace(kernel, stage->k, options,
                        stage->isOnRows() ? width : 1);
  RowPart &plan = planTeams();
  Value blocks = host.createOrFold<arith::CeilDivUIOp>(
      plan.rows, plan.fold<arith::ShRUIOp>(
                     host, plan.index(host, kBlockThreads), plan.teamShift));
  Value isAligned;
  for (auto &stage : stages) {
    stage->scope = stage->part->passAll();
    Value other = stage->part->isAligned;
    isAligned = isAligned && other
                    ? plan.fold<arith::AndIOp>(host, isAligned, other)
                : other ? other
                        : isAligned;
  }

  ImplicitLocOpBuilder &b = kernel.device;
  Value shift = kernel.pass(plan.teamShift), zero = plan.index(b, 0);
  Value teamSize = plan.fold<arith::ShLIOp>(b, plan.index(b, 1), shift);
  Value mask = plan.fold<arith::SubIOp>(b, teamSize, plan.index(b, 1));
  Value lane = arith::AndIOp::create(b, kernel.thread, mask);
  Value perBlock =
      plan.fold<arith::ShRUIOp>(b, plan.index(b, kBlockThreads), shift);
  Value team = plan.fold<arith::ShRUIOp>(b, kernel.thread, shift);
  row = plan.fold<arith::AddIOp>(
      b, plan.fold<arith::MulIOp>(b, kernel.block, perBlock), team);
  // The last block may have more teams than there are rows left.
  Value isRow = plan.less(row, kernel.pass(plan.rows));
  row = arith::SelectOp::create(b, isRow, row, zero);
  Value end = arith::SelectOp::create(b, isRow, kernel.pass(plan.items), zero);
  isFirst = arith::AndIOp::create(
      b, isRow, arith::CmpIOp::create(b, arith::CmpIPredicate::eq, lane, zero));
  for (auto &stage : stages) {
    stage->part->teamSize = teamSize;
    stage->part->lane = lane;
    if (stage->isOnRows())
      emitRows(*stage, end);
    else
      emitRowValues(*stage);
  }
  kernel.launch(blocks, isAligned);
  eraseOps();
}

void quant_ste::emitGpuRowGroup(OpBuilder &builder, const RowGroup &group,
                                const InitialValues &initial,
                                const KernelOptions &options) {
  linalg::GenericOp last = group.stages.back();
  ImplicitLocOpBuilder host(last.getLoc(), builder);
  host.setInsertionPoint(last);
  RowGroupEmitter(host, group, initial, options).emit();
}
