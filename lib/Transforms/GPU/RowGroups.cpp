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

using namespace mlir;
using namespace mlir::quant_ste;
using arith::AtomicRMWKind;
using Scope = BodyEmitter::Scope;

//===----------------------------------------------------------------------===//
// What is a group
//===----------------------------------------------------------------------===//

/// Kinds whose result does not depend on the order of the elements, and so not
/// on how many threads a row has.
static bool isExtremum(AtomicRMWKind kind) {
  switch (kind) {
  case AtomicRMWKind::maximumf:
  case AtomicRMWKind::minimumf:
  case AtomicRMWKind::maxnumf:
  case AtomicRMWKind::minnumf:
  case AtomicRMWKind::maxs:
  case AtomicRMWKind::maxu:
  case AtomicRMWKind::mins:
  case AtomicRMWKind::minu:
    return true;
  default:
    return false;
  }
}

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

static std::optional<StreamKernel> analyze(linalg::GenericOp op,
                                           unsigned numLoops) {
  std::string why;
  FailureOr<StreamKernel> kernel = StreamKernel::analyze(op, why);
  if (failed(kernel) || kernel->isContraction || !kernel->packing.empty() ||
      kernel->getNumLoops() != numLoops)
    return std::nullopt;
  return std::move(*kernel);
}

/// The number of the input that is `buffer`, with one element a row.
static std::optional<unsigned> findInput(const StreamKernel &k, Value buffer) {
  for (auto [i, input] : llvm::enumerate(k.inputs))
    if (input.value == buffer && input.loops == SmallVector<unsigned>{0})
      return i;
  return std::nullopt;
}

/// Do both read the rows of one buffer?
static bool shareRows(const StreamKernel &a, const StreamKernel &b) {
  return llvm::any_of(a.inputs, [&](const StreamOperand &x) {
    return x.isBuffer() && x.loops.size() == 2 &&
           llvm::any_of(b.inputs, [&](const StreamOperand &y) {
             return x.value == y.value && x.loops == y.loops &&
                    x.dims == y.dims;
           });
  });
}

static bool writesTo(linalg::GenericOp op, ValueRange buffers) {
  return llvm::any_of(op.getDpsInits(), [&](Value output) {
    return llvm::any_of(buffers, [&](Value v) {
      return isa<MemRefType>(v.getType()) &&
             getRootBuffer(v) == getRootBuffer(output);
    });
  });
}

/// So many elements has a row at most: a warp has them in one go.
static int64_t getMaxRow(const StreamKernel &k, const GpuTarget &target) {
  constexpr int64_t kUnrolledBytes = 16;
  return kWarpThreads * target.unroll * getVectorWidth(k, kUnrolledBytes);
}

std::optional<RowGroup> RowGroup::find(linalg::GenericOp op,
                                       const GpuTarget &target) {
  std::optional<StreamKernel> consumer = analyze(op, 2);
  if (!consumer || consumer->isReduction())
    return std::nullopt;
  int64_t row = 1;
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  for (unsigned loop : consumer->loops.back()) {
    if (ShapedType::isDynamic(ranges[loop]))
      return std::nullopt;
    row *= ranges[loop];
  }
  if (row == 0 || row > getMaxRow(*consumer, target))
    return std::nullopt;

  RowGroup group;
  group.consumer = op;
  linalg::GenericOp before = findBefore(op);
  if (!before || before.getNumDpsInits() != 1)
    return std::nullopt;
  Value perRow = before.getDpsInits().front();
  if (!findInput(*consumer, perRow))
    return std::nullopt;
  if (std::optional<StreamKernel> scale = analyze(before, 1);
      scale && !scale->isReduction()) {
    group.scale = before;
    before = findBefore(before);
    if (!before || before.getNumDpsInits() != 1 ||
        scale->loops.front() != consumer->loops.front() ||
        scale->outputs.front().loops != SmallVector<unsigned>{0} ||
        !findInput(*scale, before.getDpsInits().front()))
      return std::nullopt;
  }
  group.extremum = before;
  std::optional<StreamKernel> extremum = analyze(before, 2);
  if (!extremum || !extremum->reductions.front() ||
      !isExtremum(*extremum->reductions.front()) ||
      extremum->loops != consumer->loops ||
      extremum->outputs.front().loops != SmallVector<unsigned>{0} ||
      !shareRows(*extremum, *consumer))
    return std::nullopt;
  // What one thread writes another may still have to read.
  if (writesTo(op, before.getDpsInputs()) ||
      (group.scale && (writesTo(op, group.scale.getDpsInputs()) ||
                       writesTo(group.scale, before.getDpsInputs()))))
    return std::nullopt;
  return group;
}

//===----------------------------------------------------------------------===//
// Its kernel
//===----------------------------------------------------------------------===//

namespace {
class RowGroupEmitter;

/// One of the ops on rows.
class RowPart : public RowEmitter {
  friend class RowGroupEmitter;
  using RowEmitter::RowEmitter;
};

class RowGroupEmitter {
public:
  RowGroupEmitter(ImplicitLocOpBuilder &host, const RowGroup &group,
                  const KernelOptions &options)
      : host(host), group(group), options(options),
        keepsExtremum(isKept(group.extremum)),
        keepsScale(group.scale && isKept(group.scale)) {}
  void emit();

private:
  bool isKept(linalg::GenericOp op);
  StreamKernel materialize(linalg::GenericOp op, unsigned numLoops,
                           linalg::GenericOp before,
                           std::optional<unsigned> &input);
  Value emitExtremum(RowPart &part, const Scope &scope, Value end);
  Value emitScale(RowPart &part, Scope scope, unsigned input, Value extremum);
  void store(RowPart &part, Scope &scope, Value v);
  void eraseOps();

  ImplicitLocOpBuilder &host;
  RowGroup group;
  const KernelOptions &options;
  bool keepsExtremum, keepsScale;
  /// In the kernel: is this the first thread of a team that has a row?
  Value isFirst;
};
} // namespace

/// Does anything outside of the group read the result?
bool RowGroupEmitter::isKept(linalg::GenericOp op) {
  Value buffer = op.getDpsInits().front();
  if (!buffer.getDefiningOp<memref::AllocOp>())
    return true;
  return llvm::any_of(buffer.getUsers(), [&](Operation *user) {
    return user != group.extremum && user != group.scale &&
           user != group.consumer && !isa<memref::DeallocOp>(user);
  });
}

/// The op as loops; `input` is what it has of the op before, no longer read
/// from memory.
StreamKernel RowGroupEmitter::materialize(linalg::GenericOp op,
                                          unsigned numLoops,
                                          linalg::GenericOp before,
                                          std::optional<unsigned> &input) {
  StreamKernel k = *analyze(op, numLoops);
  if (before)
    input = findInput(k, before.getDpsInits().front());
  k.materialize(host);
  if (input)
    k.inputs[*input].value = {};
  return k;
}

/// One value, by the first thread of a row.
void RowGroupEmitter::store(RowPart &part, Scope &scope, Value v) {
  part.when(isFirst,
            [&] { part.body.store(scope, part.k.outputs.front(), v); });
}

/// The extremum of the thread's row, in each thread of its team.
Value RowGroupEmitter::emitExtremum(RowPart &part, const Scope &scope,
                                    Value end) {
  ImplicitLocOpBuilder &b = part.b;
  Value zero = part.index(b, 0), one = part.index(b, 1);
  SmallVector<Value> accs =
      part.loop(zero, end, one, part.neutral(), [&](Value i, ValueRange next) {
        return part.emitItem(scope, i, next);
      });
  AtomicRMWKind kind = *part.k.reductions.front();
  Value extremum = part.reduceWarp(accs.front(), kind);
  Value old = options.initial.lookup(0);
  if (old)
    old = part.kernel.pass(old);
  else
    old = memref::LoadOp::create(b, part.k.outputs.front().value,
                                 scope.ivs.front());
  return arith::getReductionOp(kind, b, b.getLoc(), old, extremum);
}

/// What is computed of the extremum of a row.
Value RowGroupEmitter::emitScale(RowPart &part, Scope scope, unsigned input,
                                 Value extremum) {
  ImplicitLocOpBuilder &b = part.b;
  scope.width = 1;
  scope.vectors[part.k.getInputArg(input)] = vector::BroadcastOp::create(
      b, VectorType::get({1}, extremum.getType()), extremum);
  part.body.emit(scope);
  Value lanes = part.body.getYielded(scope, 0);
  if (keepsScale)
    store(part, scope, lanes);
  return vector::ExtractOp::create(b, lanes, 0);
}

/// Buffers that only the group used go with it.
void RowGroupEmitter::eraseOps() {
  SmallVector<Value> unused;
  if (!keepsExtremum)
    unused.push_back(group.extremum.getDpsInits().front());
  if (group.scale && !keepsScale)
    unused.push_back(group.scale.getDpsInits().front());
  for (linalg::GenericOp op : {group.consumer, group.scale, group.extremum})
    if (op)
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
  std::optional<unsigned> none, scaleInput, consumerInput;
  linalg::GenericOp last = group.scale ? group.scale : group.extremum;
  StreamKernel kExtremum = materialize(group.extremum, 2, nullptr, none);
  StreamKernel kScale;
  if (group.scale)
    kScale = materialize(group.scale, 1, group.extremum, scaleInput);
  StreamKernel kConsumer = materialize(group.consumer, 2, last, consumerInput);
  kExtremum.sizes = kConsumer.sizes;

  int64_t width = getVectorWidth(kConsumer, options.target.getAccessBytes());
  KernelBuilder kernel(host, options.library, options.name,
                       getMinBlocks(kConsumer, options.target));
  RowPart extremum(kernel, kExtremum, options, width);
  RowPart consumer(kernel, kConsumer, options, width);
  consumer.planTeams();
  Value blocks = host.createOrFold<arith::CeilDivUIOp>(
      consumer.rows,
      consumer.fold<arith::ShRUIOp>(host, consumer.index(host, kBlockThreads),
                                    consumer.teamShift));
  extremum.unroll = consumer.unroll;
  extremum.chunks = consumer.chunks;
  extremum.items = consumer.items;

  Scope extremumScope =
      extremum.passAll(keepsExtremum || !options.initial.lookup(0));
  Scope scope = consumer.passAll();
  ImplicitLocOpBuilder &b = kernel.device;
  Value shift = kernel.pass(consumer.teamShift), zero = consumer.index(b, 0);
  Value teamSize = consumer.fold<arith::ShLIOp>(b, consumer.index(b, 1), shift);
  Value mask = consumer.fold<arith::SubIOp>(b, teamSize, consumer.index(b, 1));
  Value lane = arith::AndIOp::create(b, kernel.thread, mask);
  Value perBlock =
      consumer.fold<arith::ShRUIOp>(b, consumer.index(b, kBlockThreads), shift);
  Value team = consumer.fold<arith::ShRUIOp>(b, kernel.thread, shift);
  Value row = consumer.fold<arith::AddIOp>(
      b, consumer.fold<arith::MulIOp>(b, kernel.block, perBlock), team);
  // The last block may have more teams than there are rows left.
  Value isRow = consumer.less(row, kernel.pass(consumer.rows));
  row = arith::SelectOp::create(b, isRow, row, zero);
  Value end =
      arith::SelectOp::create(b, isRow, kernel.pass(consumer.items), zero);
  isFirst = arith::AndIOp::create(
      b, isRow, arith::CmpIOp::create(b, arith::CmpIPredicate::eq, lane, zero));
  for (RowPart *part : {&extremum, &consumer}) {
    part->teamSize = teamSize;
    part->lane = lane;
  }

  extremum.body.emit(extremumScope);
  extremumScope.ivs.front() = row;
  extremum.body.emit(extremumScope);
  Value perRow = emitExtremum(extremum, extremumScope, end);
  if (keepsExtremum)
    store(extremum, extremumScope, perRow);
  if (group.scale) {
    kScale.sizes = {consumer.sizes.front()};
    RowPart scale(kernel, kScale, options, /*width=*/1);
    Scope scaleScope = scale.passAll(keepsScale);
    scaleScope.ivs.front() = row;
    perRow = emitScale(scale, scaleScope, *scaleInput, perRow);
  }
  consumer.body.emit(scope);
  scope.scalars.map(kConsumer.getInputArg(*consumerInput), perRow);
  scope.ivs.front() = row;
  consumer.body.emit(scope);
  consumer.loop(zero, end, consumer.index(b, 1), {},
                [&](Value i, ValueRange next) {
                  return consumer.emitItem(scope, i, next);
                });
  Value isAligned;
  if (width > 1)
    isAligned = consumer.fold<arith::AndIOp>(host, extremum.isAligned,
                                             consumer.isAligned);
  kernel.launch(blocks, isAligned);
  eraseOps();
}

void quant_ste::emitGpuRowGroup(OpBuilder &builder, const RowGroup &group,
                                const KernelOptions &options) {
  linalg::GenericOp last = group.consumer;
  ImplicitLocOpBuilder host(last.getLoc(), builder);
  host.setInsertionPoint(last);
  RowGroupEmitter(host, group, options).emit();
}
