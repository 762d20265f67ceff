//===- BatchLaunches.cpp - small kernels at once -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelBuilder.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEBATCHLAUNCHESPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir::quant_ste;

/// More blocks than these keep a GPU busy for longer than a launch takes.
static constexpr int64_t kSmallGrid = 512;
/// What a kernel can have of arguments, and the driver's word for each.
static constexpr int64_t kMaxArgumentBytes = 4096, kArgumentBytes = 8;
/// Steps in which a block finds its part: the logarithm of these.
static constexpr size_t kMaxMembers = 128;

namespace {
/// A launch, or an op that chooses one of two with the same arguments.
struct Unit {
  Operation *op = nullptr;
  Value condition = {}; // null: `then` alone
  gpu::LaunchFuncOp then = {}, otherwise = {};
  gpu::GPUFuncOp thenKernel = {}, otherwiseKernel = {};

  static std::optional<Unit> match(Operation *op);
  int64_t getBlocks() { return *getConstantIntValue(then.getGridSizeX()); }
  std::pair<Operation *, Operation *> getKernels() {
    return {thenKernel, otherwiseKernel};
  }
};

/// Launches of the same kernels that may stand where the first of them does.
struct Group {
  SmallVector<Unit> members;
  int64_t position;
  Operation *getLeader() const { return members.front().op; }
};

/// Decides which launches of a block of the host join an earlier one.
class Schedule {
public:
  explicit Schedule(Block &block) : block(block) {}
  /// The groups of more than one.
  SmallVector<Group> run();

private:
  bool tryToJoin(Unit &unit, Group &group);
  bool findMoves(Value v, int64_t position, SetVector<Operation *> &moves);
  void noteAccess(Value buffer, bool writes, int64_t at);
  void noteAccesses(Operation *op, int64_t at);
  void noteLaunch(gpu::LaunchFuncOp launch, int64_t at);

  Block &block;
  DenseMap<Operation *, int64_t> positions;
  /// Of the last op that reads or writes a buffer, and that writes it.
  DenseMap<Value, int64_t> lastAccess, lastWrite;
  /// Of the last op of which it is not known what it touches.
  int64_t lastUnknown = -1;
};
} // namespace

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

/// The launch that is all there is in a block of the host.
static gpu::LaunchFuncOp getOnlyLaunch(Block *block) {
  if (!llvm::hasNItems(*block, 2))
    return nullptr;
  return dyn_cast<gpu::LaunchFuncOp>(block->front());
}

/// A kernel whose code can be made part of another one, if it is launched so.
static gpu::GPUFuncOp getKernel(gpu::LaunchFuncOp launch) {
  auto isOne = [](Value v) { return getConstantIntValue(v) == 1; };
  if (!isOne(launch.getGridSizeY()) || !isOne(launch.getGridSizeZ()) ||
      getConstantIntValue(launch.getBlockSizeX()) != kBlockThreads ||
      !isOne(launch.getBlockSizeY()) || !isOne(launch.getBlockSizeZ()) ||
      launch.getDynamicSharedMemorySize() || launch.hasClusterSize() ||
      launch.getAsyncToken() || !launch.getAsyncDependencies().empty())
    return nullptr;
  auto kernel = SymbolTable::lookupNearestSymbolFrom<gpu::GPUFuncOp>(
      launch, launch.getKernel());
  if (!kernel || !kernel.getBody().hasOneBlock() ||
      kernel.getNumPrivateAttributions())
    return nullptr;
  auto asksForGrid =
      kernel.walk([](gpu::GridDimOp) { return WalkResult::interrupt(); });
  return asksForGrid.wasInterrupted() ? nullptr : kernel;
}

std::optional<Unit> Unit::match(Operation *op) {
  Unit unit;
  unit.op = op;
  if (auto launch = dyn_cast<gpu::LaunchFuncOp>(op)) {
    unit.then = launch;
  } else if (auto choice = dyn_cast<scf::IfOp>(op)) {
    if (choice.getNumResults() || !choice.elseBlock())
      return std::nullopt;
    unit.condition = choice.getCondition();
    unit.then = getOnlyLaunch(choice.thenBlock());
    unit.otherwise = getOnlyLaunch(choice.elseBlock());
    if (!unit.then || !unit.otherwise ||
        !llvm::equal(unit.then->getOperands(), unit.otherwise->getOperands()) ||
        !(unit.otherwiseKernel = getKernel(unit.otherwise)))
      return std::nullopt;
  }
  if (!unit.then || !(unit.thenKernel = getKernel(unit.then)))
    return std::nullopt;
  std::optional<int64_t> blocks = getConstantIntValue(unit.then.getGridSizeX());
  if (!blocks || *blocks < 1 || *blocks > kSmallGrid)
    return std::nullopt;
  return unit;
}

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

/// Different buffers of these do not overlap: allocations, tables, and what a
/// function is given, as kernels take it, too.
static bool isDistinct(Value root) {
  if (auto arg = dyn_cast<BlockArgument>(root))
    return isa<func::FuncOp>(arg.getOwner()->getParentOp());
  return root.getDefiningOp<memref::AllocOp>() ||
         root.getDefiningOp<memref::GetGlobalOp>();
}

void Schedule::noteAccess(Value buffer, bool writes, int64_t at) {
  Value root = getRootBuffer(buffer);
  if (!isDistinct(root)) {
    lastUnknown = std::max(lastUnknown, at);
    return;
  }
  auto note = [&](DenseMap<Value, int64_t> &last) {
    auto [entry, isNew] = last.try_emplace(root, at);
    if (!isNew)
      entry->second = std::max(entry->second, at);
  };
  note(lastAccess);
  if (writes)
    note(lastWrite);
}

/// Of each argument that is a buffer, whether the kernel may write to it.
static void forEachBuffer(gpu::LaunchFuncOp launch,
                          function_ref<void(Value buffer, bool writes)> visit) {
  auto kernel = SymbolTable::lookupNearestSymbolFrom<gpu::GPUFuncOp>(
      launch, launch.getKernel());
  for (auto [i, v] : llvm::enumerate(launch.getKernelOperands()))
    if (isa<BaseMemRefType>(v.getType()))
      visit(v, !kernel || !kernel.getArgAttr(
                              i, LLVM::LLVMDialect::getReadonlyAttrName()));
}

void Schedule::noteLaunch(gpu::LaunchFuncOp launch, int64_t at) {
  forEachBuffer(launch, [&](Value buffer, bool writes) {
    noteAccess(buffer, writes, at);
  });
}

/// What an op of any other kind touches.
void Schedule::noteAccesses(Operation *op, int64_t at) {
  op->walk([&](Operation *inner) {
    if (isa<memref::AllocOp, memref::AllocaOp>(inner) ||
        (inner->getNumRegions() == 0 && isMemoryEffectFree(inner)))
      return;
    if (auto launch = dyn_cast<gpu::LaunchFuncOp>(inner))
      return noteLaunch(launch, at);
    if (!isa<memref::DeallocOp, memref::LoadOp, memref::StoreOp,
             memref::CopyOp>(inner)) {
      if (inner->getNumRegions() == 0 ||
          !inner->hasTrait<OpTrait::HasRecursiveMemoryEffects>())
        lastUnknown = at;
      return;
    }
    for (Value v : inner->getOperands())
      if (isa<BaseMemRefType>(v.getType()))
        noteAccess(v, /*writes=*/true, at);
  });
}

/// The ops behind a position that make a value, if they may stand before it.
bool Schedule::findMoves(Value v, int64_t position,
                         SetVector<Operation *> &moves) {
  Operation *op = v.getDefiningOp();
  if (!op || op->getBlock() != &block || positions.lookup(op) < position ||
      moves.contains(op))
    return true;
  if (op->getNumRegions() ||
      !(isMemoryEffectFree(op) || isa<memref::AllocOp>(op)))
    return false;
  for (Value operand : op->getOperands())
    if (!findMoves(operand, position, moves))
      return false;
  moves.insert(op);
  return true;
}

bool Schedule::tryToJoin(Unit &unit, Group &group) {
  int64_t to = group.position;
  if (lastUnknown >= to || group.members.size() == kMaxMembers)
    return false;
  bool isFree = true;
  // Two versions of a kernel do the same.
  forEachBuffer(unit.then, [&](Value buffer, bool writes) {
    Value root = getRootBuffer(buffer);
    const auto &last = writes ? lastAccess : lastWrite;
    auto found = last.find(root);
    isFree &= isDistinct(root) && (found == last.end() || found->second < to);
  });
  SetVector<Operation *> moves;
  if (!isFree || (unit.condition && !findMoves(unit.condition, to, moves)) ||
      !llvm::all_of(unit.then->getOperands(),
                    [&](Value v) { return findMoves(v, to, moves); }))
    return false;
  for (Operation *op : moves) {
    op->moveBefore(group.getLeader());
    positions[op] = to - 1;
  }
  group.members.push_back(unit);
  noteLaunch(unit.then, to);
  return true;
}

SmallVector<Group> Schedule::run() {
  SmallVector<Operation *> ops;
  for (Operation &op : block) {
    // Even numbers: what moves to before an op is between two of them.
    positions[&op] = 2 * static_cast<int64_t>(ops.size());
    ops.push_back(&op);
  }
  SmallVector<Group> groups;
  llvm::MapVector<std::pair<Operation *, Operation *>, size_t> open;
  for (Operation *op : ops) {
    int64_t at = positions.lookup(op);
    std::optional<Unit> unit = Unit::match(op);
    if (!unit) {
      // Not an op that has moved.
      if (at % 2 == 0)
        noteAccesses(op, at);
      continue;
    }
    auto [entry, isNew] = open.try_emplace(unit->getKernels(), groups.size());
    if (!isNew && tryToJoin(*unit, groups[entry->second]))
      continue;
    entry->second = groups.size();
    noteLaunch(unit->then, at);
    groups.push_back({{*unit}, at});
  }
  llvm::erase_if(groups, [](Group &group) { return group.members.size() < 2; });
  return groups;
}

//===----------------------------------------------------------------------===//
// The kernel of several
//===----------------------------------------------------------------------===//

namespace {
class BatchBuilder {
public:
  /// What launches them stands before `leader`.
  BatchBuilder(MutableArrayRef<Unit> members, Operation *leader,
               KernelLibrary &kernels)
      : members(members), kernels(kernels), host(leader),
        loc(leader->getLoc()) {}
  /// How many of the members a kernel has arguments for.
  static size_t countFitting(MutableArrayRef<Unit> members);
  void build();

private:
  Value addArgument(Value outside, ArrayRef<NamedAttribute> attributes = {});
  void planArguments();
  SmallVector<Value> emitChoice(OpBuilder &b, size_t low, size_t high);
  void emitBody(OpBuilder &b, gpu::GPUFuncOp callee, ValueRange arguments);

  MutableArrayRef<Unit> members;
  KernelLibrary &kernels;
  OpBuilder host;
  Location loc;
  gpu::GPUFuncOp function;
  SmallVector<Value> arguments; // of the host
  /// By member: its first block, the condition if there is one, and what its
  /// launch has of its own. The first member's first block is null: zero.
  SmallVector<SmallVector<Value>> own;
  /// By argument of the members' kernels: where all have the same, that one.
  SmallVector<Value> common;
  Value block;
  SmallVector<Value> shared;
};
} // namespace

/// Do all members have the same value there?
static bool isCommon(MutableArrayRef<Unit> members, unsigned argument) {
  Value first = members.front().then.getKernelOperands()[argument];
  std::optional<int64_t> number = getConstantIntValue(first);
  return llvm::all_of(members, [&](Unit &unit) {
    Value v = unit.then.getKernelOperands()[argument];
    return v == first || (number && getConstantIntValue(v) == number &&
                          v.getType() == first.getType());
  });
}

size_t BatchBuilder::countFitting(MutableArrayRef<Unit> members) {
  // As if none were common; one more for the first block, one for the
  // condition.
  size_t each = members.front().then.getKernelOperands().size() + 2;
  return std::min<size_t>(members.size(),
                          kMaxArgumentBytes / kArgumentBytes / each);
}

Value BatchBuilder::addArgument(Value outside,
                                ArrayRef<NamedAttribute> attributes) {
  unsigned at = arguments.size();
  arguments.push_back(outside);
  (void)function.insertArgument(at, outside.getType(),
                                host.getDictionaryAttr(attributes), loc);
  return function.getArgument(at);
}

void BatchBuilder::planArguments() {
  Unit &first = members.front();
  unsigned count = first.then.getKernelOperands().size();
  auto add = [&](Unit &unit, unsigned i) {
    auto attributes = unit.thenKernel.getArgAttrDict(i);
    return addArgument(unit.then.getKernelOperands()[i],
                       attributes ? attributes.getValue()
                                  : ArrayRef<NamedAttribute>());
  };
  common.resize(count);
  for (unsigned i = 0; i < count; ++i)
    if (isCommon(members, i))
      common[i] = add(first, i);
  int64_t blocks = 0;
  for (Unit &unit : members) {
    SmallVector<Value> &values = own.emplace_back();
    values.push_back(
        blocks ? addArgument(arith::ConstantIndexOp::create(host, loc, blocks))
               : Value());
    blocks += unit.getBlocks();
    if (unit.condition)
      values.push_back(addArgument(unit.condition));
    for (unsigned i = 0; i < count; ++i)
      if (!common[i])
        values.push_back(add(unit, i));
  }
}

/// What the member whose block this is has of its own, among some members.
SmallVector<Value> BatchBuilder::emitChoice(OpBuilder &b, size_t low,
                                            size_t high) {
  if (high - low == 1) {
    SmallVector<Value> values = own[low];
    if (!values.front())
      values.front() = arith::ConstantIndexOp::create(b, loc, 0);
    return values;
  }
  size_t middle = low + (high - low) / 2;
  Value isLow = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, block,
                                      own[middle].front());
  TypeRange types = ValueRange(own[middle]).getTypes();
  auto choice = scf::IfOp::create(b, loc, types, isLow, /*addThenBlock=*/true,
                                  /*addElseBlock=*/true);
  OpBuilder part = choice.getThenBodyBuilder();
  scf::YieldOp::create(part, loc, emitChoice(part, low, middle));
  part = choice.getElseBodyBuilder();
  scf::YieldOp::create(part, loc, emitChoice(part, middle, high));
  return SmallVector<Value>(choice.getResults());
}

/// The code of a member's kernel, with these arguments, in this block of the
/// member's.
void BatchBuilder::emitBody(OpBuilder &b, gpu::GPUFuncOp callee,
                            ValueRange values) {
  IRMapping map;
  map.map(ValueRange(callee.getArguments()).take_front(values.size() - 1),
          values.drop_front());
  // Of two versions one runs: they have the same memory where they can.
  SmallVector<Value> free(shared);
  for (BlockArgument memory : callee.getWorkgroupAttributions()) {
    auto *same = llvm::find_if(
        free, [&](Value v) { return v.getType() == memory.getType(); });
    if (same != free.end()) {
      map.map(memory, *same);
      free.erase(same);
      continue;
    }
    shared.push_back(function.addWorkgroupAttribution(
        cast<MemRefType>(memory.getType()), loc));
    map.map(memory, shared.back());
  }
  for (Operation &op : callee.getBody().front().without_terminator()) {
    if (auto id = dyn_cast<gpu::BlockIdOp>(op);
        id && id.getDimension() == gpu::Dimension::x)
      map.map(id.getResult(), values.front());
    else
      b.clone(op, map);
  }
}

void BatchBuilder::build() {
  Unit &first = members.front();
  gpu::GPUFuncOp model = first.thenKernel;
  OpBuilder device = OpBuilder::atBlockEnd(kernels.getModule().getBody());
  // Without the number of one of several kernels.
  StringRef stem = model.getName();
  StringRef unnumbered = stem.rtrim("0123456789");
  if (unnumbered.consume_back("_"))
    stem = unnumbered;
  stem.consume_back("_aligned");
  function = gpu::GPUFuncOp::create(device, loc, (stem + "_batch").str(),
                                    device.getFunctionType({}, {}));
  for (StringRef attribute : {gpu::GPUDialect::getKernelFuncAttrName(),
                              NVVM::NVVMDialect::getMinctasmAttrName()})
    if (Attribute value = model->getAttr(attribute))
      function->setAttr(attribute, value);
  function.setKnownBlockSizeAttr(model.getKnownBlockSizeAttr());
  device.setInsertionPointToStart(&function.getBody().front());
  planArguments();

  block = gpu::BlockIdOp::create(device, loc, gpu::Dimension::x);
  SmallVector<Value> chosen = emitChoice(device, 0, members.size());
  Value begin = chosen.front(), condition;
  ArrayRef<Value> rest = ArrayRef<Value>(chosen).drop_front();
  if (first.condition) {
    condition = rest.front();
    rest = rest.drop_front();
  }
  SmallVector<Value> values{arith::SubIOp::create(device, loc, block, begin)};
  for (Value v : common) {
    values.push_back(v ? v : rest.front());
    if (!v)
      rest = rest.drop_front();
  }
  if (condition) {
    auto choice = scf::IfOp::create(device, loc, condition,
                                    /*withElseRegion=*/true);
    OpBuilder part = choice.getThenBodyBuilder();
    emitBody(part, first.thenKernel, values);
    part = choice.getElseBodyBuilder();
    emitBody(part, first.otherwiseKernel, values);
  } else {
    emitBody(device, first.thenKernel, values);
  }
  gpu::ReturnOp::create(device, loc);
  function->remove();
  function = kernels.unique(function);

  int64_t blocks = 0;
  for (Unit &unit : members)
    blocks += unit.getBlocks();
  Value one = first.then.getGridSizeY();
  Value grid = arith::ConstantIndexOp::create(host, loc, blocks);
  gpu::LaunchFuncOp::create(
      host, loc, function, gpu::KernelDim3{grid, one, one},
      gpu::KernelDim3{first.then.getBlockSizeX(), one, one},
      /*dynamicSharedMemorySize=*/Value(), arguments);
}

namespace {
struct BatchLaunches
    : quant_ste::impl::QuantSTEBatchLaunchesPassBase<BatchLaunches> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    libraries.clear();
    SmallVector<Block *> blocks;
    for (auto function : module.getOps<func::FuncOp>())
      function.walk([&](Block *block) { blocks.push_back(block); });
    for (Block *block : blocks)
      for (Group &group : Schedule(*block).run())
        merge(group.members);
    eraseUnused(module);
  }

  void merge(MutableArrayRef<Unit> members) {
    gpu::GPUFuncOp kernel = members.front().thenKernel;
    Operation *leader = members.front().op;
    auto parent = kernel->getParentOfType<gpu::GPUModuleOp>();
    KernelLibrary &kernels =
        libraries.try_emplace(parent, KernelLibrary(parent)).first->second;
    SmallVector<Operation *> merged;
    while (members.size() > 1) {
      size_t count = BatchBuilder::countFitting(members);
      if (count < 2)
        break;
      BatchBuilder(members.take_front(count), leader, kernels).build();
      ++numBatches;
      numBatched += count;
      for (Unit &unit : members.take_front(count))
        merged.push_back(unit.op);
      members = members.drop_front(count);
    }
    for (Operation *op : merged)
      op->erase();
  }

  /// Kernels that are launched in batches only.
  void eraseUnused(ModuleOp module) {
    DenseSet<Operation *> used;
    module.walk([&](gpu::LaunchFuncOp launch) {
      used.insert(
          SymbolTable::lookupNearestSymbolFrom(launch, launch.getKernel()));
    });
    for (auto kernels : module.getOps<gpu::GPUModuleOp>())
      for (auto kernel :
           llvm::make_early_inc_range(kernels.getOps<gpu::GPUFuncOp>()))
        if (kernel.isKernel() && !used.contains(kernel))
          kernel.erase();
  }

  DenseMap<Operation *, KernelLibrary> libraries;
};
} // namespace
