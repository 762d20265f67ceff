//===- NestEmitter.cpp - the loops of a stream kernel -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "NestEmitter.h"
#include "BodyEmitter.h"
#include "Reductions.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::quant_ste;
using Scope = BodyEmitter::Scope;

/// Part of the meaning of a sum: lanes and blocks by element index.
static constexpr int64_t kLanes = 64, kTailLanes = 16;
static constexpr int64_t kTile = 16384;   // elements of a unit along memory
static constexpr int64_t kRows = 64;      // rows of a unit that sums columns
static constexpr int64_t kColumns = 4096; // its columns
/// Columns that are summed at a time: each has its own sum, so that this is a
/// free choice. Values that columns have of their own live in registers.
static constexpr int64_t kColumnLanes = 32;
/// What columns have of their own, and their sums, stay in registers for
/// several rows if these are as short as lines of the caches, and together no
/// longer than kLongRow, or if each has a page of memory of its own. In
/// between, several rows would be read out of order: memory is slow then.
static constexpr int64_t kLongRow = 128, kShortRows = 16, kPage = 4096;
static constexpr int64_t kLongRows = 8, kSummedLongRows = 4;
/// Sums of at most so many elements, which the caches hold, need no such care.
static constexpr int64_t kCachedElements = 32768;
/// Results of a kernel that moves so many bytes would not stay in the caches.
static constexpr int64_t kStreamedBytes = 32 << 20;
static constexpr int64_t kLine = 64; // bytes, at least as many as a vector's
/// Work that is worth starting threads for. Tasks are whole units, so that this
/// changes no result.
static constexpr int64_t kTaskElements = 65536, kTaskProducts = 1 << 20;
/// Rows of at most so many elements are run through as if they were one; where
/// they are summed, these have no more than the lanes of their rest.
static constexpr int64_t kFlatRow = 1024, kFlatSummedRow = kLanes - 1;
/// Products of matrices add in order, so that these are free choices.
static constexpr int64_t kProductLanes = 32, kProductRows = 4;
static constexpr int64_t kProductUnitRows = 64, kProductUnitColumns = 256;

namespace {
/// One of the loops that units are counted along.
struct UnitLoop {
  unsigned loop;
  int64_t block; // iterations of the loop in one unit
  Value count;   // units
};

class NestEmitter;

/// A kernel whose vectors run on from row to row. Those that are summed go in
/// groups of as many as a vector has lanes: each begins with a line, whatever
/// their length, and the innermost cache keeps what a group leaves.
struct FlatForm {
  Value whether; // this form is used
  int64_t lanes; // of a vector
  /// Elementwise. Has the results, and what is as large, in one dimension.
  StreamKernel kernel;
  /// For each sum: its lanes for each row of a group.
  SmallVector<Value> sums;
  std::unique_ptr<NestEmitter> emitter;
  Scope top;
};

class NestEmitter {
public:
  NestEmitter(OpBuilder &builder, StreamKernel &k)
      : b(k.op.getLoc(), builder), k(k), body(b, k) {}
  void emit();

private:
  using Range = std::pair<Value, Value>;

  Value index(int64_t v) { return arith::ConstantIndexOp::create(b, v); }
  template <class Op> Value fold(Value x, Value y) {
    return b.createOrFold<Op>(b.getLoc(), x, y);
  }
  /// Emits the body of a loop with the builder `b`.
  SmallVector<Value>
  loop(Value lo, Value hi, Value step, ValueRange init,
       function_ref<SmallVector<Value>(Value, ValueRange)> emitBody);

  bool hasValuesOfColumns();
  void planUnits();
  Value countUnitsPerTask();
  void forEachUnit(function_ref<void(ArrayRef<Value>)> emitUnit);
  void forUnits(Value first, Value end,
                function_ref<void(ArrayRef<Value>)> emitUnit);
  Range getRange(const UnitLoop &unit, Value number);
  Value testStreaming(bool isFlat);

  std::optional<StreamKernel> flatten(int64_t &lanes);
  Value testFlat(int64_t lanes);
  void prepareFlat();
  Value countElements();
  Value countRows();
  Value countFlatTasks();
  Value countRowsPerTask();
  /// The emitter of the flat form, where this one is.
  NestEmitter &getFlatEmitter() {
    flat->emitter->b.restoreInsertionPoint(b.saveInsertionPoint());
    return *flat->emitter;
  }
  void allocateSums(bool isTask);
  void emitFlatTask(Value number);
  void emitFlatSums(Range rows);
  void emitFlatRange(Range range, Range rows);
  SmallVector<Value> emitFlatLanes(Scope &at, ValueRange row, Value left);
  SmallVector<Value> addTerms(ValueRange accs, ValueRange terms, Value left,
                              bool isBehind);
  void storeLanes(Value row, ValueRange lanes);
  SmallVector<Value> stepRow(ValueRange row);

  void emitUnit(Scope scope, ArrayRef<Value> numbers);
  SmallVector<Value>
  forLanes(const Scope &scope, Range range, int64_t width, bool isMasked,
           ValueRange init,
           function_ref<SmallVector<Value>(Scope &, ValueRange)> emit);
  Value getSplit(Range range, int64_t width);
  void emitRowUnit(Scope &scope, Range range, ArrayRef<Value> numbers);
  Value countRowsTogether(int64_t longRows);
  void emitRowsTogether(Scope &scope, Range columns, Range rows);
  void emitColumns(Scope &scope, Range columns, Range rows,
                   ArrayRef<Value> numbers);
  void forColumns(Scope &scope, Range columns, int64_t width,
                  function_ref<void(Scope &)> emitLanes);
  void emitEither(Value whether, function_ref<void()> emitThen,
                  function_ref<void()> emitElse = {});
  void emitSums(Scope &scope, ArrayRef<unsigned> inner, Range rows,
                ArrayRef<Value> numbers);
  void emitProduct(Scope &scope, Range rows);
  void emitProductRows(Scope &scope, Value row, int64_t count);
  SmallVector<Value> emitInner(Scope &scope, ArrayRef<unsigned> inner,
                               ArrayRef<Range> ranges, Value row, int64_t count,
                               ValueRange accs);
  SmallVector<Value> emitInnermost(Scope &scope, ValueRange accs);
  /// The place of a unit's partial results.
  SmallVector<Value> getPartialIndices(Scope &scope, ArrayRef<Value> numbers);
  void addToOutput(Scope &scope, unsigned output, Value sum);
  Value sumUnits(Scope &scope, Value buffer, arith::AtomicRMWKind kind);
  std::optional<unsigned> findSummedLanes();
  void finishLanes(Scope &scope, unsigned loop, unsigned last);

  ImplicitLocOpBuilder b;
  StreamKernel &k;
  BodyEmitter body;
  SmallVector<UnitLoop> units;
  /// Sums go down columns: the vector loop is kept and outside of these.
  bool isColumnForm = false;
  SmallVector<unsigned> innerLoops;
  /// The loop of which several iterations run together: of a contraction, or
  /// where the columns of an elementwise kernel have values of their own.
  std::optional<unsigned> rowLoop;
  std::optional<PartialSums> partials;
  std::optional<FlatForm> flat;
  /// Whether stores go past the caches; null for never.
  Value streams;
};
} // namespace

/// Of an element in memory.
static int64_t getBytes(const StreamOperand &operand) {
  Type type = getElementTypeOrSelf(operand.value);
  return type.isIntOrFloat() ? llvm::divideCeil(type.getIntOrFloatBitWidth(), 8)
                             : sizeof(int64_t);
}

SmallVector<Value> NestEmitter::loop(
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

//===----------------------------------------------------------------------===//
// Units
//===----------------------------------------------------------------------===//

/// Does an elementwise kernel read what is the same for the rows of the loop
/// around the vector loop, and nothing that rows have of their own?
bool NestEmitter::hasValuesOfColumns() {
  unsigned v = k.getVectorLoop();
  if (v == 0)
    return false;
  auto isOfColumns = [&](const StreamOperand &input) {
    return input.sees(v) && !input.sees(v - 1);
  };
  auto isOfRows = [&](const StreamOperand &input) {
    return input.sees(v - 1) && !input.sees(v);
  };
  return llvm::any_of(k.inputs, isOfColumns) &&
         llvm::none_of(k.inputs, isOfRows);
}

void NestEmitter::planUnits() {
  unsigned v = k.getVectorLoop();
  isColumnForm = k.isReduction() && k.kept[v];
  for (unsigned d = 0; d < k.getNumLoops(); ++d)
    if (isColumnForm && !k.kept[d]) {
      if (!k.isContraction)
        innerLoops.clear(); // the last one only
      innerLoops.push_back(d);
    } else if (k.isContraction && d != v) {
      rowLoop = d;
    }
  if (!k.isReduction() && hasValuesOfColumns())
    rowLoop = v - 1;
  for (unsigned d = 0; d < k.getNumLoops(); ++d) {
    int64_t block = 1;
    if (!isColumnForm)
      block = d == v ? kTile : d == rowLoop ? kShortRows : 1;
    else if (d == v)
      block = k.isContraction ? kProductUnitColumns : kColumns;
    else if (d == rowLoop)
      block = kProductUnitRows;
    else if (llvm::is_contained(innerLoops, d)) {
      if (k.isContraction)
        continue; // not cut: added in order
      block = kRows;
    }
    Value count = block == 1
                      ? k.sizes[d]
                      : fold<arith::CeilDivUIOp>(k.sizes[d], index(block));
    units.push_back({d, block, count});
  }
}

/// Few elements are not worth a task.
Value NestEmitter::countUnitsPerTask() {
  Value elements = index(1);
  for (unsigned d = 0; d < k.getNumLoops(); ++d) {
    auto unit = llvm::find_if(
        units, [&](const UnitLoop &unit) { return unit.loop == d; });
    Value length = k.sizes[d];
    if (unit != units.end())
      length = fold<arith::MinUIOp>(length, index(unit->block));
    elements = fold<arith::MulIOp>(elements, length);
  }
  elements = fold<arith::MaxUIOp>(elements, index(1));
  Value units = fold<arith::DivUIOp>(
      index(k.isContraction ? kTaskProducts : kTaskElements), elements);
  return fold<arith::MaxUIOp>(units, index(1));
}

void NestEmitter::forEachUnit(function_ref<void(ArrayRef<Value>)> emitUnit) {
  Value total = index(1);
  for (const UnitLoop &unit : units)
    total = fold<arith::MulIOp>(total, unit.count);
  Value perTask = countUnitsPerTask();
  Value tasks = fold<arith::CeilDivUIOp>(total, perTask);
  if (flat) {
    tasks = b.createOrFold<arith::SelectOp>(b.getLoc(), flat->whether,
                                            countFlatTasks(), tasks);
  }
  auto emitUnits = [&](Value task) {
    if (!task)
      return forUnits(Value(), total, emitUnit);
    Value first = fold<arith::MulIOp>(task, perTask);
    Value end = fold<arith::AddIOp>(first, perTask);
    end = fold<arith::MinUIOp>(end, total);
    if (getConstantIntValue(perTask) == 1)
      end = Value();
    forUnits(first, end, emitUnit);
  };
  auto emitTask = [&](Value task) {
    if (!flat)
      return emitUnits(task);
    allocateSums(/*isTask=*/task != nullptr);
    emitEither(
        flat->whether, [&] { emitFlatTask(task ? task : index(0)); },
        [&] { emitUnits(task); });
  };
  std::optional<int64_t> numTasks = getConstantIntValue(tasks);
  if (numTasks == 0)
    return;
  if (numTasks == 1)
    return emitTask(Value());
  scf::ForallOp::create(b, SmallVector<OpFoldResult>{tasks}, ValueRange(),
                        std::nullopt,
                        [&](OpBuilder &nested, Location, ValueRange ids) {
                          OpBuilder::InsertionGuard guard(b);
                          b.setInsertionPointToEnd(nested.getInsertionBlock());
                          emitTask(ids.front());
                          scf::InParallelOp::create(b);
                        });
}

/// The units from `first` (null: the very first) to `end` (null: that one
/// only). Dividing the number of each unit would cost more than a short row: so
/// the indices count on.
void NestEmitter::forUnits(Value first, Value end,
                           function_ref<void(ArrayRef<Value>)> emitUnit) {
  SmallVector<unsigned> counted; // where there is anything to count
  for (auto [i, unit] : llvm::enumerate(units))
    if (getConstantIntValue(unit.count) != 1)
      counted.push_back(i);
  SmallVector<Value> start(units.size(), index(0));
  if (counted.empty())
    return emitUnit(start);
  if (first) {
    Value rest = first;
    for (unsigned i : llvm::reverse(ArrayRef(counted).drop_front())) {
      start[i] = fold<arith::RemUIOp>(rest, units[i].count);
      rest = fold<arith::DivUIOp>(rest, units[i].count);
    }
    start[counted.front()] = rest;
  }
  if (!end)
    return emitUnit(start);
  SmallVector<Value> init = llvm::map_to_vector(
      ArrayRef(counted).drop_front(), [&](unsigned i) { return start[i]; });
  if (counted.size() == 1) {
    Value lo = first ? first : index(0);
    loop(lo, end, index(1), {},
         [&](Value unit, ValueRange) -> SmallVector<Value> {
           SmallVector<Value> numbers(start);
           numbers[counted.front()] = unit;
           emitUnit(numbers);
           return {};
         });
    return;
  }
  init.insert(init.begin(), start[counted.front()]);
  Value lo = first ? first : index(0);
  loop(lo, end, index(1), init, [&](Value, ValueRange at) {
    SmallVector<Value> numbers(start);
    for (auto [i, n] : llvm::zip_equal(counted, at))
      numbers[i] = n;
    emitUnit(numbers);
    SmallVector<Value> next(at);
    Value carry;
    for (unsigned j = counted.size(); j-- > 0;) {
      Value stepped = arith::AddIOp::create(b, at[j], index(1));
      if (carry)
        stepped = arith::SelectOp::create(b, carry, stepped, at[j]);
      if (j == 0) {
        next[j] = stepped;
        break;
      }
      carry = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, stepped,
                                    units[counted[j]].count);
      next[j] = arith::SelectOp::create(b, carry, index(0), stepped);
    }
    return next;
  });
}

NestEmitter::Range NestEmitter::getRange(const UnitLoop &unit, Value number) {
  Value size = k.sizes[unit.loop];
  if (getConstantIntValue(unit.count) == 1)
    return {index(0), size};
  Value lo = fold<arith::MulIOp>(number, index(unit.block));
  Value hi = fold<arith::AddIOp>(lo, index(unit.block));
  return {lo, fold<arith::MinUIOp>(hi, size)};
}

void NestEmitter::emitUnit(Scope scope, ArrayRef<Value> numbers) {
  unsigned v = k.getVectorLoop();
  Range along, rows{index(0), index(1)};
  for (auto [unit, number] : llvm::zip_equal(units, numbers)) {
    if (unit.loop == v)
      along = getRange(unit, number);
    else if (unit.block != 1)
      rows = getRange(unit, number);
    else
      scope.ivs[unit.loop] = number;
  }
  body.emit(scope);
  if (isColumnForm)
    emitColumns(scope, along, rows, numbers);
  else if (rowLoop)
    emitRowsTogether(scope, along, rows);
  else
    emitRowUnit(scope, along, numbers);
}

/// Are the results so large that the caches could not keep them, and whole
/// lines in memory? Storing past the caches then saves reading them first.
Value NestEmitter::testStreaming(bool isFlat) {
  if (k.isContraction)
    return {};
  unsigned v = k.getVectorLoop();
  auto isWhole = [&](const StreamOperand &operand) {
    return operand.isBuffer() &&
           getElementTypeOrSelf(operand.value).isIntOrFloat() &&
           llvm::all_of(llvm::seq(k.getNumLoops()),
                        [&](unsigned d) { return operand.sees(d); });
  };
  int64_t bytes = 0, smallest = kLine;
  SmallVector<Value> results;
  for (const StreamOperand &input : k.inputs)
    if (isWhole(input))
      bytes += getBytes(input);
  for (auto [output, kind] : llvm::zip_equal(k.outputs, k.reductions)) {
    if (kind || output.term)
      continue;
    auto type = cast<MemRefType>(output.value.getType());
    if (!isWhole(output) || !type.getLayout().isIdentity())
      return {};
    bytes += getBytes(output);
    smallest = std::min(smallest, getBytes(output));
    results.push_back(output.value);
  }
  int64_t lanes = isColumnForm ? kColumnLanes : kLanes;
  if (results.empty() || (!isFlat && lanes * smallest % kLine))
    return {};
  auto compare = [&](arith::CmpIPredicate predicate, Value x, int64_t y) {
    return b.createOrFold<arith::CmpIOp>(b.getLoc(), predicate, x, index(y));
  };
  Value elements = index(1);
  for (Value size : k.sizes)
    elements = fold<arith::MulIOp>(elements, size);
  Value test = compare(arith::CmpIPredicate::uge, elements,
                       llvm::divideCeil(kStreamedBytes, bytes));
  if (getConstantIntValue(test) == 0)
    return {};
  Value odd = index(0);
  if (k.getNumLoops() > 1 && !isFlat)
    odd = fold<arith::MulIOp>(k.sizes[v], index(smallest));
  for (Value result : results)
    odd = fold<arith::OrIOp>(
        odd, memref::ExtractAlignedPointerAsIndexOp::create(b, result));
  odd = fold<arith::AndIOp>(odd, index(kLine - 1));
  return fold<arith::AndIOp>(test, compare(arith::CmpIPredicate::eq, odd, 0));
}

//===----------------------------------------------------------------------===//
// Rows: the vector loop is innermost
//===----------------------------------------------------------------------===//

/// Computes the elements at scope.ivs and stores what is not summed. Gives the
/// sums, or the terms that are wanted themselves.
SmallVector<Value> NestEmitter::emitInnermost(Scope &scope, ValueRange accs) {
  unsigned next = 0;
  for (auto [i, reduction] : llvm::enumerate(k.reductions))
    if (reduction)
      scope.vectors[k.getOutputArg(i)] = accs[next++];
  body.emit(scope);
  SmallVector<Value> results;
  SmallVector<std::pair<unsigned, Value>> stores;
  for (auto [i, reduction] : llvm::enumerate(k.reductions)) {
    Value v = body.getYielded(scope, i);
    if (k.outputs[i].term)
      results.push_back(v);
    else if (!reduction)
      stores.emplace_back(i, v);
    else if (scope.mask && !isColumnForm)
      results.push_back(
          arith::SelectOp::create(b, scope.mask, v, accs[results.size()]));
    else
      results.push_back(v);
  }
  auto emitStores = [&] {
    for (auto [output, v] : stores)
      body.store(scope, k.outputs[output], v);
  };
  if (!streams || scope.mask || stores.empty()) {
    emitStores();
    return results;
  }
  auto emitPastCaches = [&] {
    scope.isNonTemporal = true;
    emitStores();
    scope.isNonTemporal = false;
  };
  emitEither(streams, emitPastCaches, emitStores);
  return results;
}

/// The lanes of `range` in vectors of `width`; in the last one only some exist
/// if `isMasked`.
SmallVector<Value> NestEmitter::forLanes(
    const Scope &scope, Range range, int64_t width, bool isMasked,
    ValueRange init,
    function_ref<SmallVector<Value>(Scope &, ValueRange)> emit) {
  auto [lo, hi] = range;
  return loop(lo, hi, index(width), init,
              [&, hi = hi](Value i, ValueRange accs) {
                Scope lanes = scope;
                lanes.width = width;
                lanes.ivs[k.getVectorLoop()] = i;
                if (isMasked) {
                  Value left = arith::SubIOp::create(b, hi, i);
                  lanes.mask = vector::CreateMaskOp::create(
                      b, body.getVectorType(lanes, b.getI1Type()), left);
                }
                return emit(lanes, accs);
              });
}

/// Where the whole vectors of `width` lanes end.
Value NestEmitter::getSplit(Range range, int64_t width) {
  auto [lo, hi] = range;
  Value rest =
      fold<arith::AndIOp>(fold<arith::SubIOp>(hi, lo), index(width - 1));
  return fold<arith::SubIOp>(hi, rest);
}

/// The whole vectors from range.first on, then the rest in shorter ones, the
/// last of them masked.
void NestEmitter::emitRowUnit(Scope &scope, Range range,
                              ArrayRef<Value> numbers) {
  auto [lo, hi] = range;
  Value split = getSplit(range, kLanes);
  auto neutral = [&](int64_t width) {
    SmallVector<Value> values;
    for (auto [output, kind] : llvm::zip_equal(k.outputs, k.reductions))
      if (kind)
        values.push_back(
            getNeutral(b, *kind, getElementTypeOrSelf(output.value), width));
    return values;
  };
  auto emitLanes = [&](Scope &lanes, ValueRange accs) {
    return emitInnermost(lanes, accs);
  };
  auto whole = forLanes(scope, {lo, split}, kLanes, /*isMasked=*/false,
                        neutral(kLanes), emitLanes);
  SmallVector<Value> tail = neutral(kTailLanes);
  // Where there are many rows, most of a short one needs no mask either.
  Value end = split;
  if (k.getNumLoops() > 1 && !flat) {
    end = getSplit(range, kTailLanes);
    tail = forLanes(scope, {split, end}, kTailLanes, /*isMasked=*/false, tail,
                    emitLanes);
  }
  tail = forLanes(scope, {end, hi}, kTailLanes, /*isMasked=*/true, tail,
                  emitLanes);
  Value isLong = b.createOrFold<arith::CmpIOp>(
      b.getLoc(), arith::CmpIPredicate::ne, split, lo);
  unsigned next = 0;
  for (auto [i, kind] : llvm::enumerate(k.reductions)) {
    if (!kind)
      continue;
    Value sum = reduceLanes(b, *kind, isLong, whole[next], tail[next]);
    if (partials)
      body.storeAt(scope, partials->getBuffer(next),
                   getPartialIndices(scope, numbers), sum);
    else
      addToOutput(scope, i, sum);
    ++next;
  }
}

/// Some rows of an elementwise kernel: what the columns have of their own is
/// loaded once for all of them.
void NestEmitter::emitRowsTogether(Scope &scope, Range columns, Range rows) {
  Value together = countRowsTogether(kLongRows);
  auto emitLanes = [&](Scope &lanes, Range rows) {
    body.emit(lanes);
    loop(rows.first, rows.second, index(1), {},
         [&](Value row, ValueRange) -> SmallVector<Value> {
           Scope at = lanes;
           at.ivs[*rowLoop] = row;
           emitInnermost(at, {});
           return {};
         });
  };
  loop(rows.first, rows.second, together, {},
       [&, last = rows.second](Value first, ValueRange) -> SmallVector<Value> {
         Value end = arith::AddIOp::create(b, first, together);
         end = arith::MinUIOp::create(b, end, last);
         forColumns(scope, columns, kLanes,
                    [&](Scope &lanes) { emitLanes(lanes, {first, end}); });
         return {};
       });
}

/// Of rows as long as a page of memory, `longRows`.
Value NestEmitter::countRowsTogether(int64_t longRows) {
  Value length = k.sizes[k.getVectorLoop()];
  Value some = fold<arith::DivUIOp>(index(kLongRow),
                                    fold<arith::MaxUIOp>(length, index(1)));
  some = fold<arith::MinUIOp>(some, index(kShortRows));
  some = fold<arith::MaxUIOp>(some, index(1));
  int64_t bytes = 1;
  for (const StreamOperand &output : k.outputs)
    bytes = std::max(bytes, getBytes(output));
  Value isLong = b.createOrFold<arith::CmpIOp>(
      b.getLoc(), arith::CmpIPredicate::uge, length, index(kPage / bytes));
  return b.createOrFold<arith::SelectOp>(b.getLoc(), isLong, index(longRows),
                                         some);
}

//===----------------------------------------------------------------------===//
// Flat rows: vectors run on from one to the next
//===----------------------------------------------------------------------===//

/// Is this, which rows have of their own, cheap enough to make in the lanes of
/// a vector that has two rows?
static bool isCheap(Operation &op) {
  return isa<arith::ArithDialect>(op.getDialect()) &&
         !isa<arith::DivFOp, arith::RemFOp>(op) &&
         !op.getResult(0).getType().isF64();
}

/// Do the units' sums, one for each row, lie in memory in the order of the
/// rows? So it is where the outermost loops are summed over, and no others.
static bool areSumsOfRows(StreamKernel &k) {
  unsigned v = k.getVectorLoop();
  if (v == 0 || k.kept[v] || !k.kept[v - 1])
    return false;
  for (unsigned d = 1; d < v; ++d)
    if (k.kept[d - 1] && !k.kept[d])
      return false;
  for (auto [output, kind] : llvm::zip_equal(k.outputs, k.reductions)) {
    auto type = cast<MemRefType>(output.value.getType());
    if (kind && (!type.getLayout().isIdentity() ||
                 !type.getElementType().isIntOrFloat() ||
                 !llvm::equal(output.loops, k.kept.set_bits())))
      return false;
  }
  return true;
}

/// An elementwise kernel, or what is elementwise of one that sums rows, with
/// values that rows have of their own and none that columns have.
std::optional<StreamKernel> NestEmitter::flatten(int64_t &lanes) {
  unsigned v = k.getVectorLoop();
  Block &block = k.getBody();
  if (v == 0 || k.isContraction || !k.packing.empty() ||
      !block.getOps<linalg::IndexOp>().empty() ||
      (k.isReduction() && !areSumsOfRows(k)))
    return std::nullopt;
  StreamKernel flat = k;
  flat.startsAtZero.clear();
  for (auto [i, kind] : llvm::enumerate(flat.reductions)) {
    if (!kind)
      continue;
    kind.reset();
    Operation *add = block.getTerminator()->getOperand(i).getDefiningOp();
    bool isFirst = add->getOperand(0) == k.getOutputArg(i);
    flat.outputs[i] = {Value(), {v}, {}};
    flat.outputs[i].term = add->getOperand(isFirst ? 1 : 0);
    flat.packing.insert(add);
  }
  lanes = kTailLanes;
  SmallVector<StreamOperand *> whole;
  llvm::SmallPtrSet<Value, 8> ofRows;
  for (auto [i, input] : llvm::enumerate(flat.inputs)) {
    if (input.bit)
      return std::nullopt;
    if (input.isBuffer() && input.sees(v))
      whole.push_back(&input);
    else if (input.isBuffer() && !input.loops.empty())
      ofRows.insert(k.getInputArg(i));
  }
  for (StreamOperand &output : flat.outputs)
    if (!output.term)
      whole.push_back(&output);
  for (StreamOperand *operand : whole) {
    auto type = cast<MemRefType>(operand->value.getType());
    if (operand->bit || !type.getElementType().isIntOrFloat() ||
        !type.getLayout().isIdentity() ||
        !llvm::equal(operand->loops, llvm::seq(v + 1)))
      return std::nullopt;
    // A vector is of whole lines of each.
    lanes = std::max(lanes, kLine / getBytes(*operand));
  }
  if (k.isReduction() && lanes > kFlatSummedRow)
    return std::nullopt;
  constexpr unsigned kFewOps = 4;
  unsigned opsOfRows = 0;
  for (Operation &op : block.without_terminator()) {
    bool isOfRows =
        !ofRows.empty() && op.getNumOperands() != 0 &&
        llvm::all_of(op.getOperands(), [&](Value operand) {
          return operand.getParentBlock() != &block || ofRows.contains(operand);
        });
    isOfRows &= llvm::any_of(op.getOperands(), [&](Value operand) {
      return ofRows.contains(operand);
    });
    if (!isOfRows)
      continue;
    if (!isCheap(op) || ++opsOfRows > kFewOps)
      return std::nullopt;
    ofRows.insert(op.getResult(0));
  }
  for (StreamOperand *operand : whole)
    operand->loops = {v};
  return flat;
}

/// Are rows short, but no shorter than a vector?
Value NestEmitter::testFlat(int64_t lanes) {
  Value length = k.sizes[k.getVectorLoop()];
  auto compare = [&](arith::CmpIPredicate predicate, int64_t bound) {
    return b.createOrFold<arith::CmpIOp>(b.getLoc(), predicate, length,
                                         index(bound));
  };
  Value isLong = compare(arith::CmpIPredicate::uge, lanes);
  Value isShort = compare(arith::CmpIPredicate::ule,
                          k.isReduction() ? kFlatSummedRow : kFlatRow);
  return fold<arith::AndIOp>(isLong, isShort);
}

/// The indices of the row behind `row`; of the first one behind the last.
SmallVector<Value> NestEmitter::stepRow(ValueRange row) {
  SmallVector<Value> next(row);
  Value carry;
  for (unsigned d = row.size(); d-- > 0;) {
    Value stepped = fold<arith::AddIOp>(row[d], index(1));
    Value isEnd = b.createOrFold<arith::CmpIOp>(
        b.getLoc(), arith::CmpIPredicate::eq, stepped, k.sizes[d]);
    Value wrapped =
        b.createOrFold<arith::SelectOp>(b.getLoc(), isEnd, index(0), stepped);
    next[d] = carry ? b.createOrFold<arith::SelectOp>(b.getLoc(), carry,
                                                      wrapped, row[d])
                    : wrapped;
    carry = carry ? fold<arith::AndIOp>(carry, isEnd) : isEnd;
  }
  return next;
}

/// A vector that begins in `row` and may end in the one behind it, of which
/// `left` elements belong to the first.
SmallVector<Value> NestEmitter::emitFlatLanes(Scope &at, ValueRange row,
                                              Value left) {
  unsigned v = k.getVectorLoop();
  at.hasRowsInLanes = true;
  for (auto [d, iv] : llvm::enumerate(row))
    at.ivs[d] = iv;
  SmallVector<Value> nextRow = stepRow(row);
  Value isInRow = vector::CreateMaskOp::create(
      b, body.getVectorType(at, b.getI1Type()), left);
  for (auto [i, input] : llvm::enumerate(k.inputs)) {
    BlockArgument arg = k.getInputArg(i);
    if (!input.isBuffer() || input.loops.empty() || input.sees(v) ||
        arg.use_empty())
      continue;
    auto loadLanes = [&, &input = input](ValueRange indices) -> Value {
      SmallVector<Value> where = llvm::map_to_vector(
          input.loops, [&](unsigned d) { return indices[d]; });
      Value scalar = memref::LoadOp::create(b, input.value, where);
      return vector::BroadcastOp::create(
          b, body.getVectorType(at, scalar.getType()), scalar);
    };
    Value here = loadLanes(row), there = loadLanes(nextRow);
    at.vectors[arg] = arith::SelectOp::create(b, isInRow, here, there);
  }
  return getFlatEmitter().emitInnermost(at, {});
}

/// The vectors of `range`, which begins at a whole number of them and has
/// elements of `rows`. In a row, what belongs to it is loaded once; one vector
/// each has lanes of two rows. Rows that are summed are a group, whose lanes of
/// sums are left in flat->sums.
void NestEmitter::emitFlatRange(Range range, Range rows) {
  unsigned v = k.getVectorLoop();
  Value hi = range.second, length = k.sizes[v];
  int64_t lanes = flat->lanes;
  auto getRow = [&](Value number) {
    SmallVector<Value> row(v);
    for (unsigned d = v; d-- > 1;) {
      row[d] = fold<arith::RemUIOp>(number, k.sizes[d]);
      number = fold<arith::DivUIOp>(number, k.sizes[d]);
    }
    row[0] = number;
    return row;
  };
  auto emitInRow = [&](ValueRange row, Range part, bool isMasked,
                       ValueRange accs) {
    Scope scope = flat->top;
    for (auto [d, iv] : llvm::enumerate(row))
      scope.ivs[d] = iv;
    getFlatEmitter().body.emit(scope);
    return forLanes(
        scope, part, lanes, isMasked, accs, [&](Scope &at, ValueRange accs) {
          Value left;
          if (isMasked)
            left = fold<arith::SubIOp>(part.second, at.ivs[v]);
          return addTerms(accs, getFlatEmitter().emitInnermost(at, {}), left,
                          /*isBehind=*/false);
        });
  };
  SmallVector<Value> neutral;
  for (auto [output, kind] : llvm::zip_equal(k.outputs, k.reductions))
    if (kind)
      neutral.push_back(
          getNeutral(b, *kind, getElementTypeOrSelf(output.value), kTailLanes));
  auto [first, end] = rows;
  SmallVector<Value> init{range.first};
  llvm::append_range(init, getRow(first));
  llvm::append_range(init, neutral);
  Value split = getSplit(range, lanes);
  auto emitRow = [&, first = first](Value number, ValueRange at) {
    Value from = at.front();
    ValueRange row = at.slice(1, v), accs = at.drop_front(1 + v);
    Value rowEnd =
        fold<arith::MulIOp>(fold<arith::AddIOp>(number, index(1)), length);
    Value inRow = getSplit({from, fold<arith::MinUIOp>(rowEnd, hi)}, lanes);
    SmallVector<Value> sums =
        emitInRow(row, {from, inRow}, /*isMasked=*/false, accs);
    // The last row of all has none behind it.
    Value behind =
        fold<arith::MinUIOp>(fold<arith::AddIOp>(inRow, index(lanes)), split);
    behind = b.createOrFold<arith::SelectOp>(
        b.getLoc(),
        b.createOrFold<arith::CmpIOp>(b.getLoc(), arith::CmpIPredicate::eq,
                                      inRow, rowEnd),
        inRow, behind);
    llvm::append_range(sums, neutral);
    sums =
        forLanes(flat->top, {inRow, behind}, lanes, /*isMasked=*/false, sums,
                 [&](Scope &lanes, ValueRange accs) {
                   Value left = fold<arith::SubIOp>(rowEnd, inRow);
                   SmallVector<Value> terms = emitFlatLanes(lanes, row, left);
                   ValueRange here = accs.take_front(neutral.size());
                   ValueRange there = accs.drop_front(neutral.size());
                   SmallVector<Value> sums =
                       addTerms(here, terms, left, /*isBehind=*/false);
                   llvm::append_range(
                       sums, addTerms(there, terms, left, /*isBehind=*/true));
                   return sums;
                 });
    storeLanes(fold<arith::SubIOp>(number, first),
               ArrayRef(sums).take_front(neutral.size()));
    SmallVector<Value> next{behind};
    llvm::append_range(next, stepRow(row));
    llvm::append_range(next, ArrayRef(sums).drop_front(neutral.size()));
    return next;
  };
  loop(first, end, index(1), init, emitRow);
  // What is left belongs to one row, which is no shorter than a vector.
  Value isLeft = b.createOrFold<arith::CmpIOp>(
      b.getLoc(), arith::CmpIPredicate::ne, split, hi);
  emitEither(isLeft, [&, first = first, end = end] {
    Value last = fold<arith::SubIOp>(end, index(1));
    Value inGroup = fold<arith::SubIOp>(last, first);
    Scope scope;
    scope.width = kTailLanes;
    SmallVector<Value> accs =
        llvm::map_to_vector(flat->sums, [&](Value buffer) {
          return body.loadAt(scope, buffer, {inGroup, index(0)});
        });
    accs = emitInRow(getRow(last), {split, hi}, /*isMasked=*/true, accs);
    storeLanes(inGroup, accs);
  });
}

/// Makes `flat`, if the kernel may have that form.
void NestEmitter::prepareFlat() {
  int64_t lanes = 0;
  std::optional<StreamKernel> kernel = flatten(lanes);
  if (!kernel)
    return;
  Value whether = testFlat(lanes);
  if (getConstantIntValue(whether) == 0)
    return;
  auto all = llvm::to_vector<2>(llvm::seq<int64_t>(k.getNumLoops()));
  auto collapse = [&](StreamOperand &operand) {
    if (operand.isBuffer() && operand.sees(k.getVectorLoop()))
      operand.value = memref::CollapseShapeOp::create(
          b, operand.value, ReassociationIndices(all));
  };
  llvm::for_each(kernel->inputs, collapse);
  llvm::for_each(kernel->outputs, collapse);
  flat.emplace();
  flat->whether = whether;
  flat->lanes = lanes;
  flat->kernel = std::move(*kernel);
  flat->emitter = std::make_unique<NestEmitter>(b, flat->kernel);
  NestEmitter &emitter = *flat->emitter;
  emitter.streams = testStreaming(/*isFlat=*/true);
  emitter.b.restoreInsertionPoint(b.saveInsertionPoint());
  flat->top = emitter.body.makeScope();
  emitter.body.emit(flat->top);
}

Value NestEmitter::countElements() {
  Value elements = index(1);
  for (Value size : k.sizes)
    elements = fold<arith::MulIOp>(elements, size);
  return elements;
}

Value NestEmitter::countRows() {
  Value rows = index(1);
  for (Value size : ArrayRef(k.sizes).drop_back())
    rows = fold<arith::MulIOp>(rows, size);
  return rows;
}

/// Of rows that are summed, whole groups.
Value NestEmitter::countRowsPerTask() {
  Value length = fold<arith::MaxUIOp>(k.sizes[k.getVectorLoop()], index(1));
  Value groups = fold<arith::DivUIOp>(
      index(kTaskElements), fold<arith::MulIOp>(length, index(flat->lanes)));
  groups = fold<arith::MaxUIOp>(groups, index(1));
  return fold<arith::MulIOp>(groups, index(flat->lanes));
}

Value NestEmitter::countFlatTasks() {
  if (k.isReduction())
    return fold<arith::CeilDivUIOp>(countRows(), countRowsPerTask());
  return fold<arith::CeilDivUIOp>(countElements(), index(kTaskElements));
}

/// In the frame of a task, or of the function: in that of a loop they would
/// take memory again in each iteration.
void NestEmitter::allocateSums(bool isTask) {
  OpBuilder::InsertionGuard guard(b);
  if (!isTask)
    b.setInsertionPointToStart(&k.op->getParentOfType<FunctionOpInterface>()
                                    .getFunctionBody()
                                    .front());
  for (auto [output, kind] : llvm::zip_equal(k.outputs, k.reductions))
    if (kind)
      flat->sums.push_back(memref::AllocaOp::create(
          b,
          MemRefType::get({flat->lanes, 2 * kTailLanes},
                          getElementTypeOrSelf(output.value)),
          b.getI64IntegerAttr(kLine)));
}

/// So many elements from a line on, or so many groups of rows.
void NestEmitter::emitFlatTask(Value number) {
  Value length = k.sizes[k.getVectorLoop()];
  if (!k.isReduction()) {
    Value lo = fold<arith::MulIOp>(number, index(kTaskElements));
    Value hi = fold<arith::AddIOp>(lo, index(kTaskElements));
    hi = fold<arith::MinUIOp>(hi, countElements());
    emitFlatRange({lo, hi}, {fold<arith::DivUIOp>(lo, length),
                             fold<arith::CeilDivUIOp>(hi, length)});
    return;
  }
  Value perTask = countRowsPerTask();
  Value first = fold<arith::MulIOp>(number, perTask);
  Value last = fold<arith::AddIOp>(first, perTask);
  last = fold<arith::MinUIOp>(last, countRows());
  loop(first, last, index(flat->lanes), {},
       [&](Value row, ValueRange) -> SmallVector<Value> {
         Value end = fold<arith::AddIOp>(row, index(flat->lanes));
         end = fold<arith::MinUIOp>(end, last);
         emitFlatRange({fold<arith::MulIOp>(row, length),
                        fold<arith::MulIOp>(end, length)},
                       {row, end});
         emitFlatSums({row, end});
         return {};
       });
}

/// The lanes of each sum with the terms of a vector, of which `left` elements
/// exist if that is given.
SmallVector<Value> NestEmitter::addTerms(ValueRange accs, ValueRange terms,
                                         Value left, bool isBehind) {
  SmallVector<Value> sums(accs);
  unsigned next = 0;
  for (auto &kind : k.reductions) {
    if (!kind)
      continue;
    Value term = terms[next], &sum = sums[next];
    ++next;
    for (int64_t i = 0; i < flat->lanes; i += kTailLanes) {
      auto lanes = llvm::to_vector(llvm::seq(i, i + kTailLanes));
      Value part = b.createOrFold<vector::ShuffleOp>(b.getLoc(), term, term,
                                                     ArrayRef(lanes));
      Value added = arith::getReductionOp(*kind, b, b.getLoc(), sum, part);
      if (left) {
        Value mask = vector::CreateMaskOp::create(
            b, VectorType::get({kTailLanes}, b.getI1Type()),
            fold<arith::SubIOp>(left, index(i)));
        added = isBehind ? arith::SelectOp::create(b, mask, sum, added)
                         : arith::SelectOp::create(b, mask, added, sum);
      }
      sum = added;
    }
  }
  return sums;
}

/// The lanes of a row's sums, which begin where the row begins in a vector:
/// stored twice they can be loaded from there on.
void NestEmitter::storeLanes(Value row, ValueRange lanes) {
  Scope scope;
  for (auto [buffer, sum] : llvm::zip_equal(flat->sums, lanes))
    for (int64_t i : {int64_t(0), kTailLanes})
      body.storeAt(scope, buffer, {row, index(i)}, sum);
}

/// The sums of a group's rows, for as many rows at a time as there are lanes.
void NestEmitter::emitFlatSums(Range rows) {
  auto [first, end] = rows;
  Value length = k.sizes[k.getVectorLoop()];
  Value count = fold<arith::SubIOp>(end, first);
  auto emitSums = [&, first = first](Value row, ValueRange) {
    Scope scope;
    scope.width = kTailLanes;
    Scope masked = scope;
    masked.mask = vector::CreateMaskOp::create(
        b, body.getVectorType(masked, b.getI1Type()),
        fold<arith::SubIOp>(count, row));
    Value at = fold<arith::AddIOp>(first, row);
    unsigned next = 0;
    for (auto [i, kind] : llvm::enumerate(k.reductions)) {
      if (!kind)
        continue;
      Value sum = reduceRows(b, *kind, kTailLanes, [&](int64_t i) {
        Value inGroup = fold<arith::AddIOp>(row, index(i));
        Value start = fold<arith::AndIOp>(fold<arith::MulIOp>(inGroup, length),
                                          index(kTailLanes - 1));
        return body.loadAt(scope, flat->sums[next], {inGroup, start});
      });
      Value buffer = partials ? partials->getBuffer(next) : k.outputs[i].value;
      int64_t rank = cast<MemRefType>(buffer.getType()).getRank();
      if (rank > 1) {
        auto all = llvm::to_vector<2>(llvm::seq<int64_t>(rank));
        buffer = memref::CollapseShapeOp::create(b, buffer,
                                                 ReassociationIndices(all));
      }
      if (!partials && !k.isZero(i)) {
        Value old = body.loadAt(masked, buffer, at);
        sum = arith::getReductionOp(*kind, b, b.getLoc(), old, sum);
      }
      body.storeAt(masked, buffer, at, sum);
      ++next;
    }
    return SmallVector<Value>();
  };
  loop(index(0), count, index(kTailLanes), {}, emitSums);
}

//===----------------------------------------------------------------------===//
// Columns: the vector loop is outside of the reduced ones
//===----------------------------------------------------------------------===//

void NestEmitter::forColumns(Scope &scope, Range columns, int64_t width,
                             function_ref<void(Scope &)> emitLanes) {
  auto [lo, hi] = columns;
  Value split = getSplit(columns, width);
  for (auto [from, to, lanes, isMasked] :
       {std::tuple(lo, split, width, false),
        std::tuple(split, hi, kTailLanes, true)})
    forLanes(scope, {from, to}, lanes, isMasked, {},
             [&](Scope &lanes, ValueRange) -> SmallVector<Value> {
               emitLanes(lanes);
               return {};
             });
}

void NestEmitter::emitColumns(Scope &scope, Range columns, Range rows,
                              ArrayRef<Value> numbers) {
  if (k.isContraction)
    return forColumns(scope, columns, kProductLanes,
                      [&](Scope &lanes) { emitProduct(lanes, rows); });
  if (!partials)
    return forColumns(scope, columns, kColumnLanes, [&](Scope &lanes) {
      emitSums(lanes, innerLoops, rows, numbers);
    });
  forColumns(scope, columns, kColumnLanes, [&](Scope &lanes) {
    unsigned next = 0;
    for (auto [output, kind] : llvm::zip_equal(k.outputs, k.reductions))
      if (kind)
        body.storeAt(lanes, partials->getBuffer(next++),
                     getPartialIndices(lanes, numbers),
                     getNeutral(b, *kind, getElementTypeOrSelf(output.value),
                                lanes.width));
  });
  Value together = countRowsTogether(kSummedLongRows);
  loop(rows.first, rows.second, together, {},
       [&, last = rows.second](Value first, ValueRange) -> SmallVector<Value> {
         Value end = arith::AddIOp::create(b, first, together);
         end = arith::MinUIOp::create(b, end, last);
         forColumns(scope, columns, kColumnLanes, [&](Scope &lanes) {
           emitSums(lanes, innerLoops, {first, end}, numbers);
         });
         return {};
       });
}

/// Emits `whether`'s branches with the builder `b`, or the one that is taken.
void NestEmitter::emitEither(Value whether, function_ref<void()> emitThen,
                             function_ref<void()> emitElse) {
  if (std::optional<int64_t> known = getConstantIntValue(whether)) {
    if (*known)
      emitThen();
    else if (emitElse)
      emitElse();
    return;
  }
  auto branch = [&](function_ref<void()> emitBranch) {
    return [this, emitBranch](OpBuilder &nested, Location) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToEnd(nested.getInsertionBlock());
      emitBranch();
      scf::YieldOp::create(b);
    };
  };
  if (emitElse)
    scf::IfOp::create(b, whether, branch(emitThen), branch(emitElse));
  else
    scf::IfOp::create(b, whether, branch(emitThen));
}

/// Computes the columns' elements of some rows, or of the one that has been
/// entered. Adds them to the unit's partial results; or, if these are all the
/// rows there are, to the outputs.
void NestEmitter::emitSums(Scope &scope, ArrayRef<unsigned> inner, Range rows,
                           ArrayRef<Value> numbers) {
  if (!inner.empty())
    body.emit(scope); // what each column has of its own
  SmallVector<Value> sums;
  for (auto [output, kind] : llvm::zip_equal(k.outputs, k.reductions)) {
    if (!kind)
      continue;
    Type element = getElementTypeOrSelf(output.value);
    if (partials)
      sums.push_back(body.loadAt(scope, partials->getBuffer(sums.size()),
                                 getPartialIndices(scope, numbers)));
    else
      sums.push_back(getNeutral(b, *kind, element, scope.width));
  }
  sums = emitInner(scope, inner, rows, Value(), 1, sums);
  unsigned next = 0;
  for (auto [i, kind] : llvm::enumerate(k.reductions)) {
    if (!kind)
      continue;
    if (partials)
      body.storeAt(scope, partials->getBuffer(next),
                   getPartialIndices(scope, numbers), sums[next]);
    else
      addToOutput(scope, i, sums[next]);
    ++next;
  }
}

void NestEmitter::emitProduct(Scope &scope, Range rows) {
  body.emit(scope);
  if (!rowLoop)
    return emitProductRows(scope, Value(), 1);
  auto [lo, hi] = rows;
  Value rest =
      fold<arith::AndIOp>(fold<arith::SubIOp>(hi, lo), index(kProductRows - 1));
  Value split = fold<arith::SubIOp>(hi, rest);
  for (auto [from, to, step] :
       {std::tuple(lo, split, kProductRows), std::tuple(split, hi, int64_t(1))})
    loop(from, to, index(step), {},
         [&, step = step](Value row, ValueRange) -> SmallVector<Value> {
           emitProductRows(scope, row, step);
           return {};
         });
}

/// `count` rows of a product, from `row` on: they share each vector of the
/// second factor.
void NestEmitter::emitProductRows(Scope &scope, Value row, int64_t count) {
  auto rowScope = [&](int64_t r) {
    Scope at = scope;
    if (row)
      at.ivs[*rowLoop] = fold<arith::AddIOp>(row, index(r));
    return at;
  };
  SmallVector<Value> sums;
  for (int64_t r = 0; r < count; ++r) {
    Scope at = rowScope(r);
    sums.push_back(body.load(at, k.outputs.front()));
  }
  SmallVector<Range> ranges;
  for (unsigned d : innerLoops)
    ranges.push_back({index(0), k.sizes[d]});
  sums = emitInner(scope, innerLoops, ranges, row, count, sums);
  for (int64_t r = 0; r < count; ++r) {
    Scope at = rowScope(r);
    body.store(at, k.outputs.front(), sums[r]);
  }
}

SmallVector<Value> NestEmitter::emitInner(Scope &scope,
                                          ArrayRef<unsigned> inner,
                                          ArrayRef<Range> ranges, Value row,
                                          int64_t count, ValueRange accs) {
  if (!inner.empty())
    return loop(ranges.front().first, ranges.front().second, index(1), accs,
                [&](Value i, ValueRange next) {
                  Scope at = scope;
                  at.ivs[inner.front()] = i;
                  // What the rows share; with the last loop entered the body
                  // would need the accumulators.
                  if (row || inner.size() > 1)
                    body.emit(at);
                  return emitInner(at, inner.drop_front(), ranges.drop_front(),
                                   row, count, next);
                });
  if (!row)
    return emitInnermost(scope, accs);
  SmallVector<Value> sums;
  for (int64_t r = 0; r < count; ++r) {
    Scope at = scope;
    at.ivs[*rowLoop] = fold<arith::AddIOp>(row, index(r));
    sums.append(emitInnermost(at, accs[r]));
  }
  return sums;
}

//===----------------------------------------------------------------------===//
// Results of reductions
//===----------------------------------------------------------------------===//

SmallVector<Value> NestEmitter::getPartialIndices(Scope &scope,
                                                  ArrayRef<Value> numbers) {
  SmallVector<Value> cut, kept;
  for (auto [unit, number] : llvm::zip_equal(units, numbers)) {
    if (!k.kept[unit.loop])
      cut.push_back(number);
    else
      kept.push_back(unit.block == 1 ? number : scope.ivs[unit.loop]);
  }
  return partials->getIndices(kept, cut);
}

void NestEmitter::addToOutput(Scope &scope, unsigned output, Value sum) {
  if (!k.isZero(output)) {
    Value old = body.load(scope, k.outputs[output]);
    sum = arith::getReductionOp(*k.reductions[output], b, b.getLoc(), old, sum);
  }
  body.store(scope, k.outputs[output], sum);
}

/// The units' partial results for the columns of `scope`, added in order.
Value NestEmitter::sumUnits(Scope &scope, Value buffer,
                            arith::AtomicRMWKind kind) {
  SmallVector<Value> kept, cut, counts;
  for (const UnitLoop &unit : units)
    if (k.kept[unit.loop])
      kept.push_back(scope.ivs[unit.loop]);
    else
      counts.push_back(unit.count);
  Type element = getElementTypeOrSelf(buffer.getType());
  Type wide = getWideType(element, b);
  VectorType wideLanes = body.getVectorType(scope, wide);
  std::function<SmallVector<Value>(ValueRange)> add =
      [&](ValueRange accs) -> SmallVector<Value> {
    if (cut.size() < counts.size())
      return loop(index(0), counts[cut.size()], index(1), accs,
                  [&](Value number, ValueRange next) {
                    cut.push_back(number);
                    SmallVector<Value> sums = add(next);
                    cut.pop_back();
                    return sums;
                  });
    Value part = body.loadAt(scope, buffer, partials->getIndices(kept, cut));
    if (wide != element)
      part = arith::ExtFOp::create(b, wideLanes, part);
    return {arith::getReductionOp(kind, b, b.getLoc(), accs.front(), part)};
  };
  Value sum = add(getNeutral(b, kind, wide, scope.width)).front();
  if (wide != element)
    sum = arith::TruncFOp::create(b, body.getVectorType(scope, element), sum);
  return sum;
}

/// The last kept loop, if all sums run along memory in it: then vectors of
/// partial results are added.
std::optional<unsigned> NestEmitter::findSummedLanes() {
  if (isColumnForm)
    return k.getVectorLoop();
  int last = k.kept.find_last();
  if (last < 0)
    return std::nullopt;
  for (auto [output, kind] : llvm::zip_equal(k.outputs, k.reductions))
    if (kind &&
        (output.loops.back() != static_cast<unsigned>(last) ||
         !cast<MemRefType>(output.value.getType()).isLastDimUnitStride()))
      return std::nullopt;
  return last;
}

/// Adds the partial results to the outputs, from the kept loop `loop` on, in
/// vectors along the kept loop `last`.
void NestEmitter::finishLanes(Scope &scope, unsigned loop, unsigned last) {
  while (loop < last && !k.kept[loop])
    ++loop;
  if (loop < last) {
    this->loop(index(0), k.sizes[loop], index(1), {},
               [&](Value i, ValueRange) -> SmallVector<Value> {
                 Scope at = scope;
                 at.ivs[loop] = i;
                 finishLanes(at, loop + 1, last);
                 return {};
               });
    return;
  }
  forColumns(scope, {index(0), k.sizes[last]}, kColumnLanes, [&](Scope &lanes) {
    lanes.ivs[last] = lanes.ivs[k.getVectorLoop()];
    unsigned next = 0;
    for (auto [i, kind] : llvm::enumerate(k.reductions)) {
      if (!kind)
        continue;
      const StreamOperand &output = k.outputs[i];
      auto at = llvm::map_to_vector(
          output.loops, [&](unsigned loop) { return lanes.ivs[loop]; });
      Value sum = sumUnits(lanes, partials->getBuffer(next++), *kind);
      if (!k.isZero(i)) {
        Value old = body.loadAt(lanes, output.value, at);
        sum = arith::getReductionOp(*kind, b, b.getLoc(), old, sum);
      }
      body.storeAt(lanes, output.value, at, sum);
    }
  });
}

void NestEmitter::emit() {
  b.setInsertionPoint(k.op);
  k.materialize(b);
  prepareFlat();
  planUnits();
  Scope top = body.makeScope();
  body.emit(top);
  SmallVector<Value> kept, cut;
  bool isWhole = true; // each reduced loop is in one unit
  Value elements = index(1);
  for (const UnitLoop &unit : units) {
    elements = fold<arith::MulIOp>(elements, k.sizes[unit.loop]);
    if (k.kept[unit.loop]) {
      kept.push_back(k.sizes[unit.loop]);
      continue;
    }
    cut.push_back(unit.count);
    isWhole &= getConstantIntValue(unit.count) == 1;
  }
  if (isColumnForm)
    isWhole &= getConstantIntValue(elements).value_or(kCachedElements + 1) <=
               kCachedElements;
  std::optional<unsigned> lanes = findSummedLanes();
  if (k.isReduction() && !k.isContraction && !isWhole)
    partials.emplace(b, k, kept, cut, /*keptLast=*/lanes.has_value());
  streams = testStreaming(/*isFlat=*/false);
  forEachUnit([&](ArrayRef<Value> numbers) { emitUnit(top, numbers); });
  if (partials && lanes)
    finishLanes(top, 0, *lanes);
  else if (partials)
    partials->finish(b);
  k.op.erase();
}

void quant_ste::emitStreamKernel(OpBuilder &builder, StreamKernel &kernel) {
  NestEmitter(builder, kernel).emit();
}
