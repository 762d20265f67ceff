//===- StreamEmitter.cpp - kernels that stream through memory -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "StreamEmitter.h"
#include "../CPU/Reductions.h"
#include "PartialSums.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::quant_ste;
using arith::CmpIPredicate;
using Scope = BodyEmitter::Scope;

static constexpr int64_t kAccessBytes = kSumAccessBytes;
/// Part of the meaning of a sum, so the same for every chip: the vectors that a
/// thread takes in one go, and how many partial results there are at most.
static constexpr int64_t kSumUnroll = 4, kNarrowSumUnroll = 2;
static constexpr int64_t kMaxPartials = 1056;
/// Rows that a thread takes before a sum down columns is worth more blocks.
static constexpr int64_t kColumnRows = 16;
static constexpr int64_t kMaxSharedBytes = 32 * 1024;

/// Are there results of packed bits?
static bool packsBits(const StreamKernel &k) {
  return llvm::any_of(k.outputs, [](const StreamOperand &output) {
    return static_cast<bool>(output.bit);
  });
}

/// Of a kernel with sums. Eight lanes are computed in f32, which takes twice
/// the registers of what was loaded.
int64_t quant_ste::getSumUnroll(int64_t width) {
  return width > 4 ? kNarrowSumUnroll : kSumUnroll;
}

/// Ops of a body that leave registers for many threads.
static constexpr int64_t kSmallBody = 40;
/// Operands whose vectors do, all of them being under way at once.
static constexpr int64_t kFewOperands = 2;
/// Ops of a body that want all registers of a thread: some polynomials.
static constexpr int64_t kHugeBody = 150;

unsigned quant_ste::getMinBlocks(StreamKernel &k, const GpuTarget &target) {
  auto isWide = [](const StreamOperand &operand) {
    return getElementBytes(getElementTypeOrSelf(operand.value.getType())) > 4;
  };
  auto size = static_cast<int64_t>(k.getBody().getOperations().size());
  if (size > kHugeBody)
    return 1;
  auto isLoaded = [&](const StreamOperand &input) {
    return input.isBuffer() && input.sees(k.getVectorLoop());
  };
  bool isLarge = size > kSmallBody ||
                 llvm::count_if(k.inputs, isLoaded) > kFewOperands ||
                 llvm::any_of(k.outputs, isWide);
  if (!k.isReduction())
    return isLarge ? 2 : k.getNumLoops() > 1 ? 4 : target.minBlocks;
  auto isSum = [](auto &kind) { return kind.has_value(); };
  if (isLarge || k.getNumLoops() > 1 || llvm::count_if(k.reductions, isSum) > 1)
    return 2;
  return target.minBlocksOfSum;
}

namespace {
/// Sums down columns: a thread has some columns, the vector loop, and runs
/// through rows.
class ColumnEmitter : protected StreamEmitter {
public:
  using StreamEmitter::StreamEmitter;
  void emit();

private:
  SmallVector<Value> reduceBlock(ValueRange accs, Value shift, Value isFirst);
};
} // namespace

//===----------------------------------------------------------------------===//
// Common
//===----------------------------------------------------------------------===//

void StreamEmitter::decompose(Value number, ArrayRef<unsigned> loops,
                              Scope &scope) {
  for (unsigned loop : llvm::reverse(loops)) {
    if (loop == loops.front()) {
      scope.ivs[loop] = number;
      return;
    }
    scope.ivs[loop] = fold<arith::RemUIOp>(b, number, k.sizes[loop]);
    number = fold<arith::DivUIOp>(b, number, k.sizes[loop]);
  }
}

SmallVector<Value> StreamEmitter::loop(
    Value lo, Value hi, Value step, ValueRange init,
    function_ref<SmallVector<Value>(Value, ValueRange)> emitBody) {
  auto forOp = scf::ForOp::create(
      b, lo, hi, step, init,
      [&](OpBuilder &nested, Location, Value iv, ValueRange accs) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToEnd(nested.getInsertionBlock());
        SmallVector<Value> next = emitBody(iv, accs);
        scf::YieldOp::create(b, next);
      });
  return forOp.getResults();
}

void StreamEmitter::when(Value condition, function_ref<void()> emitThen) {
  auto choice = scf::IfOp::create(b, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  emitThen();
}

Scope StreamEmitter::passAll(bool withOutputs) {
  if (width > 1)
    isAligned = areAccessesAligned();
  for (auto [size, outside] : llvm::zip_equal(k.sizes, sizes))
    size = kernel.pass(outside);
  auto passOperand = [&](StreamOperand &operand, bool isInput) {
    if (!operand.value)
      return;
    if (!operand.isBuffer()) {
      operand.value = kernel.pass(operand.value);
      return;
    }
    SmallVector<Value> dims = llvm::map_to_vector(
        operand.loops, [&](unsigned loop) { return sizes[loop]; });
    if (operand.bit)
      dims.back() = fold<arith::CeilDivUIOp>(host, dims.back(), index(host, 8));
    bool isConstant = isInput && !mayOverlap(k.op, operand.value);
    operand.value = kernel.passBuffer(operand.value, dims, isConstant);
  };
  for (StreamOperand &input : k.inputs)
    passOperand(input, true);
  if (withOutputs)
    for (StreamOperand &output : k.outputs)
      passOperand(output, false);
  Scope top = body.makeScope();
  passCaptured(kernel, k.op, top.scalars);
  return top;
}

/// Whether each vector access is aligned to its size: the host looks at the
/// addresses and strides.
Value StreamEmitter::areAccessesAligned() {
  Value excess = index(host, 0);
  auto look = [&](const StreamOperand &operand) {
    if (!operand.isBuffer() || !operand.sees(k.getVectorLoop()) || operand.bit)
      return;
    auto type = cast<MemRefType>(operand.value.getType());
    int64_t bytes = getElementBytes(type.getElementType());
    Value mask = index(host, width * bytes - 1), size = index(host, bytes);
    auto metadata =
        memref::ExtractStridedMetadataOp::create(host, operand.value);
    auto [strides, offset] = type.getStridesAndOffset();
    auto scaled = [&](int64_t known, Value v) {
      return fold<arith::MulIOp>(
          host, ShapedType::isDynamic(known) ? v : index(host, known), size);
    };
    // Where a table is, only the kernel knows; it begins at a multiple of more.
    Value at = getTable(operand.value)
                   ? index(host, 0)
                   : memref::ExtractAlignedPointerAsIndexOp::create(
                         host, operand.value);
    at = fold<arith::AddIOp>(host, at, scaled(offset, metadata.getOffset()));
    for (auto [known, stride] : llvm::zip_equal(
             ArrayRef(strides).drop_back(), metadata.getStrides().drop_back()))
      at = fold<arith::OrIOp>(host, at, scaled(known, stride));
    excess =
        fold<arith::OrIOp>(host, excess, fold<arith::AndIOp>(host, at, mask));
  };
  llvm::for_each(k.inputs, look);
  llvm::for_each(k.outputs, look);
  return arith::CmpIOp::create(host, CmpIPredicate::eq, excess, index(host, 0));
}

SmallVector<Value> StreamEmitter::neutral() {
  SmallVector<Value> values;
  for (auto [i, kind] : llvm::enumerate(k.reductions))
    if (kind)
      values.push_back(
          getNeutral(b, *kind, k.getOutputArg(i).getType(), width));
  return values;
}

void StreamEmitter::preload(Scope &scope) {
  auto load = [&](Value arg, const StreamOperand &operand) {
    if (!arg.use_empty() && operand.isBuffer() &&
        operand.sees(k.getVectorLoop()) && !scope.vectors.contains(arg))
      scope.vectors[arg] = body.load(scope, operand);
  };
  for (auto [i, input] : llvm::enumerate(k.inputs))
    load(input.bit ? input.bit : k.getInputArg(i), input);
}

/// Computes the elements at scope.ivs and stores what is not summed.
SmallVector<Value> StreamEmitter::emitVector(Scope &scope, ValueRange accs) {
  unsigned next = 0;
  for (auto [i, reduction] : llvm::enumerate(k.reductions))
    if (reduction)
      scope.vectors[k.getOutputArg(i)] = accs[next++];
  body.emit(scope);
  SmallVector<Value> results;
  for (auto [i, reduction] : llvm::enumerate(k.reductions)) {
    Value v = body.getYielded(scope, i);
    if (!reduction)
      body.store(scope, k.outputs[i], v);
    else if (scope.mask)
      results.push_back(
          arith::SelectOp::create(b, scope.mask, v, accs[results.size()]));
    else
      results.push_back(v);
  }
  return results;
}

/// The exponent of the largest power of two up to v, which is at least 1.
Value StreamEmitter::floorLog2(Value v) {
  if (std::optional<int64_t> known = getConstantIntValue(v))
    return index(host, llvm::Log2_64(*known));
  Type i64 = host.getI64Type();
  Value zeros = math::CountLeadingZerosOp::create(
      host, arith::IndexCastUIOp::create(host, i64, v));
  zeros = arith::IndexCastUIOp::create(host, host.getIndexType(), zeros);
  return arith::SubIOp::create(host, index(host, 63), zeros);
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

/// How many threads make a team, and which share of a row each team has: by
/// the sizes alone.
void RowEmitter::planTeams() {
  // The chip's number is of accesses of 16 bytes. Lanes whose bits make a byte
  // are two of these.
  int64_t bytes = options.target.getAccessBytes();
  if (packsBits(k))
    bytes = std::max(bytes, 2 * kAccessBytes);
  unroll =
      k.isReduction()
          ? getSumUnroll(width)
          : std::max<int64_t>(1, options.target.unroll * kAccessBytes / bytes);
  for (unsigned d = 0; d < k.getVectorLoop(); ++d)
    (k.isReduction() && !k.kept[d] ? runLoops : rowLoops).push_back(d);
  isFlat = k.getNumLoops() == 1;
  Value run = sizes[k.getVectorLoop()];
  Value one = index(host, 1);
  int64_t perThread = width * unroll;
  teamShift = index(host, llvm::Log2_64(kBlockThreads));
  if (!isFlat) {
    Value threads = fold<arith::DivUIOp>(host, run, index(host, perThread));
    threads = fold<arith::MaxUIOp>(host, threads, one);
    teamShift = fold<arith::MinUIOp>(host, floorLog2(threads), teamShift);
  }
  Value chunk = fold<arith::ShLIOp>(host, index(host, perThread), teamShift);
  chunks = fold<arith::CeilDivUIOp>(host, run, chunk);
  items = fold<arith::MulIOp>(host, chunks, product(runLoops));
  rows = product(rowLoops);

  // As many parts as fill the machine.
  int64_t limit = k.isReduction() ? kMaxPartials : options.target.maxBlocks;
  Value perBlock =
      fold<arith::ShRUIOp>(host, index(host, kBlockThreads), teamShift);
  Value teams = fold<arith::MulIOp>(host, index(host, limit), perBlock);
  parts = fold<arith::CeilDivUIOp>(host, teams,
                                   fold<arith::MaxUIOp>(host, rows, one));
  parts = fold<arith::MinUIOp>(host, parts, items);
  if (k.isReduction()) // even an empty sum is written
    parts = fold<arith::MaxUIOp>(host, parts, one);
  blocks = fold<arith::CeilDivUIOp>(
      host, fold<arith::MulIOp>(host, rows, parts), perBlock);
}

SmallVector<Value> RowEmitter::emitItem(Scope scope, Value item,
                                        ValueRange accs) {
  unsigned v = k.getVectorLoop();
  Value run = k.sizes[v], inside = kernel.pass(chunks);
  Value chunk = item;
  if (!runLoops.empty()) {
    chunk = fold<arith::RemUIOp>(b, item, inside);
    decompose(fold<arith::DivUIOp>(b, item, inside), runLoops, scope);
    body.emit(scope);
  }
  Value vectorStep = fold<arith::MulIOp>(b, teamSize, index(b, width));
  Value chunkSize = fold<arith::MulIOp>(b, vectorStep, index(b, unroll));
  Value first = fold<arith::MulIOp>(b, chunk, chunkSize);
  Value end = fold<arith::AddIOp>(b, first, chunkSize);
  Value at = fold<arith::AddIOp>(b, first,
                                 fold<arith::MulIOp>(b, lane, index(b, width)));
  auto emitBranch = [&](Block *block, function_ref<ValueRange()> emitBody) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToEnd(block);
    SmallVector<Value> results(emitBody());
    scf::YieldOp::create(b, results);
  };
  SmallVector<Value> results;
  auto isWhole = arith::CmpIOp::create(b, CmpIPredicate::ule, end, run);
  auto whole = scf::IfOp::create(b, ValueRange(accs).getTypes(), isWhole,
                                 /*addThenBlock=*/true, /*addElseBlock=*/true);
  emitBranch(whole.thenBlock(), [&]() -> ValueRange {
    SmallVector<Scope> scopes(unroll, scope);
    for (auto [u, lanes] : llvm::enumerate(scopes)) {
      lanes.width = width;
      lanes.ivs[v] = fold<arith::AddIOp>(
          b, at, fold<arith::MulIOp>(b, vectorStep, index(b, u)));
      preload(lanes);
    }
    results.assign(accs.begin(), accs.end());
    for (Scope &lanes : scopes)
      results = emitVector(lanes, results);
    return results;
  });
  emitBranch(whole.elseBlock(), [&]() -> ValueRange {
    results = loop(at, run, vectorStep, accs, [&](Value i, ValueRange next) {
      Scope lanes = scope;
      lanes.width = width;
      lanes.ivs[v] = i;
      if (width == 1)
        return emitVector(lanes, next);
      SmallVector<Value> sums;
      Value left = fold<arith::SubIOp>(b, run, i);
      auto isVector =
          arith::CmpIOp::create(b, CmpIPredicate::uge, left, index(b, width));
      auto choice = scf::IfOp::create(b, next.getTypes(), isVector, true, true);
      emitBranch(choice.thenBlock(), [&]() -> ValueRange {
        Scope vector = lanes;
        sums = emitVector(vector, next);
        return sums;
      });
      emitBranch(choice.elseBlock(), [&]() -> ValueRange {
        auto type = VectorType::get({width}, b.getIndexType());
        SmallVector<int64_t> numbers = llvm::to_vector(llvm::seq(width));
        Value number = arith::ConstantOp::create(
            b, DenseIntElementsAttr::get(type, numbers));
        lanes.mask =
            arith::CmpIOp::create(b, CmpIPredicate::ult, number,
                                  vector::BroadcastOp::create(b, type, left));
        sums = emitVector(lanes, next);
        return sums;
      });
      return SmallVector<Value>(choice.getResults());
    });
    return results;
  });
  return SmallVector<Value>(whole.getResults());
}

Value RowEmitter::reduceWarp(Value acc, arith::AtomicRMWKind kind) {
  Value sum = addLanes(b, kind, acc);
  for (int64_t offset = kWarpThreads / 2; offset > 0; offset /= 2) {
    Value both = arith::getReductionOp(kind, b, b.getLoc(), sum,
                                       shuffleXor(b, sum, offset));
    if (isFlat) {
      sum = both;
      continue;
    }
    Value isInTeam = less(index(b, offset), teamSize);
    sum = arith::SelectOp::create(b, isInTeam, both, sum);
  }
  return sum;
}

SmallVector<Value> RowEmitter::reduceTeam(ValueRange accs) {
  Value warp = arith::DivUIOp::create(b, kernel.thread, index(b, kWarpThreads));
  Value lead = arith::RemUIOp::create(b, kernel.thread, index(b, kWarpThreads));
  lead = arith::CmpIOp::create(b, CmpIPredicate::eq, lead, index(b, 0));
  SmallVector<Value> sums, shared;
  SmallVector<arith::AtomicRMWKind> kinds;
  for (auto kind : k.reductions)
    if (kind)
      kinds.push_back(*kind);
  for (auto [acc, kind] : llvm::zip_equal(accs, kinds)) {
    Value sum = reduceWarp(acc, kind);
    sums.push_back(sum);
    shared.push_back(
        kernel.addShared(kBlockThreads / kWarpThreads, sum.getType()));
  }
  when(lead, [&] {
    for (auto [sum, memory] : llvm::zip_equal(sums, shared))
      memref::StoreOp::create(b, sum, memory, warp);
  });
  gpu::BarrierOp::create(b);
  Value warps = fold<arith::DivUIOp>(b, teamSize, index(b, kWarpThreads));
  Value one = index(b, 1);
  return loop(one, warps, one, sums, [&](Value i, ValueRange next) {
    SmallVector<Value> added;
    Value at = arith::AddIOp::create(b, warp, i);
    // Only the first thread of a team needs the sum, and only for
    // that one the warps that follow are of the team.
    at = arith::RemUIOp::create(b, at, index(b, kBlockThreads / kWarpThreads));
    for (auto [sum, memory, kind] : llvm::zip_equal(next, shared, kinds))
      added.push_back(arith::getReductionOp(
          kind, b, b.getLoc(), sum, memref::LoadOp::create(b, memory, at)));
    return added;
  });
}

void RowEmitter::emit() {
  planTeams();
  std::optional<BlockSums> sums;
  if (k.isReduction())
    sums.emplace(kernel, k, sizes, parts, /*keptLast=*/false, options);
  Scope scope = passAll();
  if (sums)
    sums->passAll();
  Value numParts = kernel.pass(parts), end = kernel.pass(items), part;
  Value shift = kernel.pass(teamShift), isRow;
  teamSize = fold<arith::ShLIOp>(b, index(b, 1), shift);
  if (isFlat) {
    part = kernel.block;
    lane = kernel.thread;
    body.emit(scope);
  } else {
    Value mask = fold<arith::SubIOp>(b, teamSize, index(b, 1));
    lane = arith::AndIOp::create(b, kernel.thread, mask);
    Value perBlock = fold<arith::ShRUIOp>(b, index(b, kBlockThreads), shift);
    team = fold<arith::ShRUIOp>(b, kernel.thread, shift);
    team = fold<arith::AddIOp>(
        b, fold<arith::MulIOp>(b, kernel.block, perBlock), team);
    part = fold<arith::RemUIOp>(b, team, numParts);
    Value row = fold<arith::DivUIOp>(b, team, numParts);
    // The last block may have more teams than there are rows left.
    isRow = less(row, kernel.pass(rows));
    row = arith::SelectOp::create(b, isRow, row, index(b, 0));
    end = arith::SelectOp::create(b, isRow, end, index(b, 0));
    body.emit(scope);
    decompose(row, rowLoops, scope);
    body.emit(scope);
  }
  SmallVector<Value> accs =
      loop(part, end, numParts, neutral(), [&](Value item, ValueRange next) {
        return emitItem(scope, item, next);
      });
  if (sums) {
    accs = reduceTeam(accs);
    Value isFirst =
        arith::CmpIOp::create(b, CmpIPredicate::eq, lane, index(b, 0));
    if (isRow)
      isFirst = arith::AndIOp::create(b, isFirst, isRow);
    when(isFirst, [&] { sums->store(b, scope.ivs, part, accs); });
  }
  kernel.launch(blocks, isAligned);
  if (sums)
    sums->finish();
}

//===----------------------------------------------------------------------===//
// Columns
//===----------------------------------------------------------------------===//

/// The sums of the threads that have the same columns, in the first of them.
SmallVector<Value> ColumnEmitter::reduceBlock(ValueRange accs, Value shift,
                                              Value isFirst) {
  SmallVector<Value> shared;
  SmallVector<arith::AtomicRMWKind> kinds;
  for (auto kind : k.reductions)
    if (kind)
      kinds.push_back(*kind);
  // One lane after the other, so that neighbours write to different banks.
  auto slot = [&](Value thread, int64_t i) {
    return fold<arith::AddIOp>(b, thread, index(b, i * kBlockThreads));
  };
  for (Value acc : accs) {
    Type element = getElementTypeOrSelf(acc.getType());
    shared.push_back(kernel.addShared(kBlockThreads * width, element));
    for (int64_t i = 0; i < width; ++i) {
      Value lane = vector::ExtractOp::create(b, acc, i);
      memref::StoreOp::create(b, lane, shared.back(), slot(kernel.thread, i));
    }
  }
  gpu::BarrierOp::create(b);
  Value columns = fold<arith::ShLIOp>(b, index(b, 1), shift);
  Value zero = index(b, 0);
  Value end =
      arith::SelectOp::create(b, isFirst, index(b, kBlockThreads), zero);
  Value next = arith::AddIOp::create(b, kernel.thread, columns);
  return loop(next, end, columns, accs, [&](Value thread, ValueRange sums) {
    SmallVector<Value> added;
    for (auto [sum, memory, kind] : llvm::zip_equal(sums, shared, kinds)) {
      SmallVector<Value> lanes;
      for (int64_t i = 0; i < width; ++i)
        lanes.push_back(memref::LoadOp::create(b, memory, slot(thread, i)));
      Value other = vector::FromElementsOp::create(
          b, cast<VectorType>(sum.getType()), lanes);
      added.push_back(arith::getReductionOp(kind, b, b.getLoc(), sum, other));
    }
    return added;
  });
}

void ColumnEmitter::emit() {
  unsigned v = k.getVectorLoop();
  SmallVector<unsigned> keptLoops, runLoops;
  for (unsigned d = 0; d < v; ++d)
    (k.kept[d] ? keptLoops : runLoops).push_back(d);
  Value one = index(host, 1);
  Value vectors = fold<arith::DivUIOp>(host, sizes[v], index(host, width));
  Value rows = product(runLoops), outer = product(keptLoops);
  // As many threads side by side as there are vectors, up to a warp.
  Value twice = fold<arith::SubIOp>(
      host,
      fold<arith::ShLIOp>(host, fold<arith::MaxUIOp>(host, vectors, one), one),
      one);
  Value teamShift = floorLog2(twice);
  teamShift = fold<arith::MinUIOp>(host, teamShift,
                                   index(host, llvm::Log2_64(kWarpThreads)));
  Value side = fold<arith::ShLIOp>(host, one, teamShift);
  Value deep =
      fold<arith::ShRUIOp>(host, index(host, kBlockThreads), teamShift);
  Value groups = fold<arith::CeilDivUIOp>(host, vectors, side);
  Value others =
      fold<arith::MaxUIOp>(host, fold<arith::MulIOp>(host, outer, groups), one);
  Value parts = fold<arith::CeilDivUIOp>(
      host, rows, fold<arith::MulIOp>(host, deep, index(host, kColumnRows)));
  parts = fold<arith::MinUIOp>(
      host, parts,
      fold<arith::DivUIOp>(host, index(host, kMaxPartials), others));
  parts = fold<arith::MaxUIOp>(host, parts, one);
  Value blocks = fold<arith::MulIOp>(
      host, fold<arith::MulIOp>(host, outer, groups), parts);
  Value stride = fold<arith::MulIOp>(host, parts, deep);

  BlockSums sums(kernel, k, sizes, parts, /*keptLast=*/true, options);
  Scope scope = passAll();
  sums.passAll();
  body.emit(scope);
  Value numParts = kernel.pass(parts), numGroups = kernel.pass(groups);
  Value shift = kernel.pass(teamShift), step = kernel.pass(stride);
  Value part = fold<arith::RemUIOp>(b, kernel.block, numParts);
  Value rest = fold<arith::DivUIOp>(b, kernel.block, numParts);
  Value group = fold<arith::RemUIOp>(b, rest, numGroups);
  if (!keptLoops.empty()) {
    decompose(fold<arith::DivUIOp>(b, rest, numGroups), keptLoops, scope);
    body.emit(scope);
  }
  Value unit = index(b, 1), zero = index(b, 0);
  Value mask =
      fold<arith::SubIOp>(b, fold<arith::ShLIOp>(b, unit, shift), unit);
  Value across = arith::AndIOp::create(b, kernel.thread, mask);
  Value down = fold<arith::ShRUIOp>(b, kernel.thread, shift);
  Value vector =
      fold<arith::AddIOp>(b, fold<arith::ShLIOp>(b, group, shift), across);
  Value isColumn = less(vector, kernel.pass(vectors));
  vector = arith::SelectOp::create(b, isColumn, vector, zero);
  scope.width = width;
  scope.ivs[v] = fold<arith::MulIOp>(b, vector, index(b, width));
  body.emit(scope);

  Value first = fold<arith::AddIOp>(
      b,
      fold<arith::MulIOp>(
          b, part, fold<arith::ShRUIOp>(b, index(b, kBlockThreads), shift)),
      down);
  Value end = arith::SelectOp::create(b, isColumn, kernel.pass(rows), zero);
  // Several rows at once, then those that are left.
  auto rowAt = [&](Value row) {
    Scope at = scope;
    decompose(row, runLoops, at);
    return at;
  };
  int64_t unroll = getSumUnroll(width);
  Value bulkStep = fold<arith::MulIOp>(b, step, index(b, unroll));
  Value bulkEnd = arith::SubIOp::create(
      b, end, fold<arith::MulIOp>(b, step, index(b, unroll - 1)));
  SmallVector<Value> accs = neutral();
  accs.push_back(first);
  accs = loop(first, bulkEnd, bulkStep, accs, [&](Value row, ValueRange next) {
    SmallVector<Scope> scopes;
    for (int64_t u = 0; u < unroll; ++u) {
      scopes.push_back(rowAt(fold<arith::AddIOp>(
          b, row, fold<arith::MulIOp>(b, step, index(b, u)))));
      preload(scopes.back());
    }
    SmallVector<Value> results(next.drop_back());
    for (Scope &at : scopes)
      results = emitVector(at, results);
    results.push_back(arith::AddIOp::create(b, row, bulkStep));
    return results;
  });
  first = accs.pop_back_val();
  accs = loop(first, end, step, accs, [&](Value row, ValueRange next) {
    Scope at = rowAt(row);
    return emitVector(at, next);
  });
  Value isFirst =
      arith::CmpIOp::create(b, CmpIPredicate::eq, down, index(b, 0));
  accs = reduceBlock(accs, shift, isFirst);
  isFirst = arith::AndIOp::create(b, isFirst, isColumn);
  when(isFirst, [&] { sums.store(b, scope.ivs, part, accs); });
  kernel.launch(blocks, isAligned);
  sums.finish();
}

//===----------------------------------------------------------------------===//
// Choice
//===----------------------------------------------------------------------===//

int64_t quant_ste::getVectorWidth(const StreamKernel &k, int64_t accessBytes) {
  int64_t bytes = 1;
  auto look = [&](const StreamOperand &operand) {
    if (operand.isBuffer() && operand.sees(k.getVectorLoop()) && !operand.bit)
      bytes =
          std::max(bytes, getElementBytes(getElementTypeOrSelf(operand.value)));
  };
  llvm::for_each(k.inputs, look);
  llvm::for_each(k.outputs, look);
  if (packsBits(k))
    return 8;
  // Types of one byte are computed in wider ones.
  return accessBytes / std::max<int64_t>(bytes, 2);
}

static void emitColumns(ImplicitLocOpBuilder &host, const StreamKernel &k,
                        const KernelOptions &options) {
  int64_t width = getVectorWidth(k, kAccessBytes), shared = 0;
  for (auto [output, kind] : llvm::zip_equal(k.outputs, k.reductions))
    if (kind)
      shared +=
          kBlockThreads * getElementBytes(getElementTypeOrSelf(output.value));
  while (width > 1 && shared * width > kMaxSharedBytes)
    width /= 2;
  auto emit = [&](int64_t lanes) {
    StreamKernel copy = k;
    KernelBuilder kernel(host, options.library, options.name,
                         getMinBlocks(copy, options.target), options.passSizes);
    ColumnEmitter(kernel, copy, options, lanes).emit();
  };
  if (width == 1)
    return emit(1);
  Value rest = host.createOrFold<arith::RemUIOp>(
      k.sizes[k.getVectorLoop()], KernelBuilder::index(host, width));
  if (std::optional<int64_t> known = getConstantIntValue(rest))
    return emit(*known ? 1 : width);
  Value isWhole = arith::CmpIOp::create(host, CmpIPredicate::eq, rest,
                                        KernelBuilder::index(host, 0));
  auto choice = scf::IfOp::create(host, isWhole, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(host);
  host.setInsertionPointToStart(choice.thenBlock());
  emit(width);
  host.setInsertionPointToStart(choice.elseBlock());
  emit(1);
}

bool quant_ste::canEmitGpuStream(const StreamKernel &k, std::string &why) {
  bool runsDown = k.isReduction() && k.kept[k.getVectorLoop()];
  if (!runsDown || !packsBits(k))
    return true;
  linalg::GenericOp op = k.op;
  int64_t columns = 1, shared = 0;
  for (unsigned loop : k.loops.back()) {
    int64_t size = op.getStaticLoopRanges()[loop];
    columns = ShapedType::isDynamic(size) ? 1 : columns * size;
  }
  for (auto [output, kind] : llvm::zip_equal(k.outputs, k.reductions))
    if (kind)
      shared += 8 * kBlockThreads *
                getElementBytes(getElementTypeOrSelf(output.value));
  if (columns % 8 == 0 && shared <= kMaxSharedBytes)
    return true;
  why = "sums down columns and whole bytes of bits do not go together";
  return false;
}

void quant_ste::emitGpuStream(OpBuilder &builder, StreamKernel &k,
                              const KernelOptions &options) {
  ImplicitLocOpBuilder host(k.op.getLoc(), builder);
  host.setInsertionPoint(k.op);
  k.materialize(host);
  if (k.isReduction() && k.kept[k.getVectorLoop()]) {
    emitColumns(host, k, options);
  } else {
    int64_t bytes =
        k.isReduction() ? kAccessBytes : options.target.getAccessBytes();
    KernelBuilder kernel(host, options.library, options.name,
                         getMinBlocks(k, options.target), options.passSizes);
    RowEmitter(kernel, k, options, getVectorWidth(k, bytes)).emit();
  }
  k.op.erase();
}
