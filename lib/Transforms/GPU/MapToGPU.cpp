//===- MapToGPU.cpp - linalg on buffers to kernels -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "../ExpandMinifloats.h"
#include "../Products.h"
#include "KernelEmitter.h"
#include "RowGroups.h"
#include "SerialKernels.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEMAPTOGPUPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir::quant_ste;

/// Then the sums are kept in registers, and take their first value there.
static bool sumOverSameLoops(linalg::GenericOp op) {
  std::optional<AffineMap> reduced;
  for (OpOperand &output : op.getDpsInitsMutable()) {
    AffineMap map = op.getMatchingIndexingMap(&output);
    if (map.getNumResults() == op.getNumLoops())
      continue;
    if (!map.isProjectedPermutation() || (reduced && *reduced != map))
      return false;
    reduced = map;
  }
  return true;
}

/// Where it is not known which of some buffers a function owns, bufferization
/// makes lists of their addresses, and a helper compares them. These lists are
/// the host's: they go from allocated memory to the stack.
static void moveListsToStack(func::FuncOp function) {
  SetVector<memref::AllocOp> lists;
  function.walk([&](func::CallOp call) {
    if (!call.getCallee().starts_with("dealloc_helper"))
      return;
    for (Value operand : call.getOperands()) {
      if (auto cast = operand.getDefiningOp<memref::CastOp>())
        operand = cast.getSource();
      if (auto list = operand.getDefiningOp<memref::AllocOp>();
          list && list.getType().hasStaticShape())
        lists.insert(list);
    }
  });
  for (memref::AllocOp list : lists) {
    OpBuilder b = OpBuilder::atBlockBegin(&function.getBody().front());
    Value onStack = memref::AllocaOp::create(b, list.getLoc(), list.getType());
    for (Operation *user : llvm::make_early_inc_range(list->getUsers()))
      if (isa<memref::DeallocOp>(user))
        user->erase();
    list.replaceAllUsesWith(onStack);
    list.erase();
  }
}

/// What helps to free buffers compares addresses in the host's memory.
static bool isHelper(func::FuncOp function) {
  return function.isPrivate() &&
         function.getName().starts_with("dealloc_helper");
}

/// Do kernels and the host alone read a table of constants, each its own copy?
static bool isOnlyRead(memref::GetGlobalOp table) {
  SmallVector<Value> views{table};
  while (!views.empty())
    for (Operation *user : views.pop_back_val().getUsers()) {
      if (isa<memref::DimOp, memref::LoadOp, memref::CopyOp, linalg::LinalgOp>(
              user))
        continue;
      if (!isa<ViewLikeOpInterface>(user))
        return false;
      llvm::append_range(views, user->getResults());
    }
  return true;
}

/// Something else wants the address of a table: of a buffer that a kernel
/// copies it to, as long as the function runs.
static void copyTables(func::FuncOp function) {
  SmallVector<memref::GetGlobalOp> tables;
  function.walk([&](memref::GetGlobalOp table) {
    if (!isOnlyRead(table))
      tables.push_back(table);
  });
  for (memref::GetGlobalOp table : tables) {
    Block &entry = function.getBody().front();
    table->moveBefore(&entry, entry.begin());
    OpBuilder b(table->getContext());
    b.setInsertionPointAfter(table);
    Location loc = table.getLoc();
    Value buffer = memref::AllocOp::create(b, loc, table.getType());
    auto copy = memref::CopyOp::create(b, loc, table, buffer);
    table.getResult().replaceAllUsesExcept(buffer, copy);
    b.setInsertionPoint(entry.getTerminator());
    memref::DeallocOp::create(b, loc, buffer);
  }
}

/// Elements below which a launch takes longer than its kernel.
static constexpr int64_t kSmall = 1 << 20;

/// Is it a small kernel that streams, of which the shapes are known?
static bool isSmall(linalg::GenericOp op) {
  int64_t elements = 1;
  for (int64_t size : op.getStaticLoopRanges()) {
    if (ShapedType::isDynamic(size))
      return false;
    elements *= size;
    if (elements > kSmall)
      return false;
  }
  for (Value operand : op->getOperands())
    if (auto type = dyn_cast<MemRefType>(operand.getType());
        type && !type.getLayout().isIdentity())
      return false;
  std::string why;
  FailureOr<StreamKernel> kernel = StreamKernel::analyze(op, why);
  return succeeded(kernel) && !kernel->isContraction && kernel->packing.empty();
}

static Type eraseShape(Type type) {
  auto buffer = dyn_cast<MemRefType>(type);
  if (!buffer)
    return type;
  SmallVector<int64_t> shape(buffer.getRank(), ShapedType::kDynamic);
  return MemRefType::Builder(buffer).setShape(shape);
}

/// Do they differ in their shapes alone?
static bool areAlike(linalg::GenericOp a, linalg::GenericOp b) {
  auto types = [](linalg::GenericOp op) {
    return llvm::map_to_vector(op->getOperandTypes(), eraseShape);
  };
  return types(a) == types(b) &&
         a.getIndexingMapsAttr() == b.getIndexingMapsAttr() &&
         a.getIteratorTypesAttr() == b.getIteratorTypesAttr() &&
         OperationEquivalence::isRegionEquivalentTo(
             &a.getRegion(), &b.getRegion(),
             OperationEquivalence::IgnoreLocations);
}

/// Small tensors that are quantized alike: of whatever shapes they are, they
/// get one kernel, which can be launched for many at once.
static DenseSet<Operation *> findAlike(func::FuncOp function) {
  SmallVector<SmallVector<linalg::GenericOp>> kinds;
  // Comparing bodies is not cheap: only of those with the same maps and size.
  DenseMap<std::pair<Attribute, size_t>, SmallVector<size_t>> candidates;
  function.walk([&](linalg::GenericOp op) {
    if (!isSmall(op))
      return;
    SmallVector<size_t> &known = candidates[{
        op.getIndexingMapsAttr(), op.getBody()->getOperations().size()}];
    auto *kind = llvm::find_if(
        known, [&](size_t i) { return areAlike(kinds[i].front(), op); });
    if (kind != known.end()) {
      kinds[*kind].push_back(op);
      return;
    }
    known.push_back(kinds.size());
    kinds.push_back({op});
  });
  DenseSet<Operation *> found;
  for (ArrayRef<linalg::GenericOp> alike : kinds)
    if (alike.size() > 1)
      found.insert(alike.begin(), alike.end());
  return found;
}

/// No kernel can be made for a rank that only the run tells.
static LogicalResult checkRanks(func::FuncOp function) {
  auto checked = function.walk([&](Operation *op) {
    auto isUnranked = [](Type type) { return isa<UnrankedMemRefType>(type); };
    if (llvm::none_of(op->getOperandTypes(), isUnranked))
      return WalkResult::advance();
    op->emitError("expected tensors of known rank, got ")
        << *llvm::find_if(op->getOperandTypes(), isUnranked);
    return WalkResult::interrupt();
  });
  return failure(checked.wasInterrupted());
}

namespace {
struct MapToGPU : quant_ste::impl::QuantSTEMapToGPUPassBase<MapToGPU> {
  using QuantSTEMapToGPUPassBase::QuantSTEMapToGPUPassBase;

  /// Everything that runs through buffers as a linalg.generic.
  void generalize(func::FuncOp function) {
    IRRewriter rewriter(&getContext());
    SmallVector<memref::CopyOp> copies;
    function.walk([&](memref::CopyOp op) { copies.push_back(op); });
    for (memref::CopyOp copy : copies) {
      rewriter.setInsertionPoint(copy);
      rewriter.replaceOpWithNewOp<linalg::CopyOp>(copy, copy.getSource(),
                                                  copy.getTarget());
    }
    SmallVector<linalg::LinalgOp> named;
    function.walk([&](linalg::LinalgOp op) {
      if (!isa<linalg::GenericOp, linalg::FillOp>(op))
        named.push_back(op);
    });
    for (linalg::LinalgOp op : named) {
      rewriter.setInsertionPoint(op);
      (void)linalg::generalizeNamedOp(rewriter, op);
    }
  }

  /// Its sums are added to what the fill leaves in memory.
  bool addsAtomically(linalg::GenericOp op) {
    if (sums != GpuSums::Atomic)
      return false;
    std::string why;
    FailureOr<StreamKernel> kernel = StreamKernel::analyze(op, why);
    return succeeded(kernel) && !kernel->isContraction &&
           canEmitGpuStream(*kernel, why) && canAddAtomically(*kernel);
  }

  /// Takes the fills of sums out. What is left of them becomes kernels too.
  void takeFills(func::FuncOp function) {
    function.walk([&](linalg::GenericOp op) {
      if (!sumOverSameLoops(op) || addsAtomically(op))
        return;
      for (auto [i, output] : llvm::enumerate(op.getDpsInitsMutable())) {
        AffineMap map = op.getMatchingIndexingMap(&output);
        if (map.getNumResults() == op.getNumLoops())
          continue;
        if (linalg::FillOp fill = findFill(op, output.get())) {
          initial[op][i] = fill.value();
          fill.erase();
        }
      }
    });
    IRRewriter rewriter(&getContext());
    SmallVector<linalg::FillOp> fills;
    function.walk([&](linalg::FillOp op) { fills.push_back(op); });
    for (linalg::FillOp op : fills) {
      rewriter.setInsertionPoint(op);
      (void)linalg::generalizeNamedOp(rewriter, op);
    }
  }

  /// The table's row for the chip, with what the options change.
  llvm::Expected<GpuTarget> getTarget() {
    auto found = lookupGpuTarget(chip);
    if (!found)
      return found.takeError();
    GpuTarget target = **found;
    constexpr unsigned kMost = 32;
    if (unroll > kMost || minBlocks > kMost)
      return llvm::createStringError(
          "expected unroll and min-blocks of at most " + Twine(kMost) +
          ", got " + Twine(unroll) + " and " + Twine(minBlocks));
    if (maxBlocks < 0 || maxBlocks > INT32_MAX)
      return llvm::createStringError("expected max-blocks in 0..2147483647, "
                                     "got " +
                                     Twine(maxBlocks));
    if (unroll)
      target.unroll = unroll;
    if (minBlocks)
      target.minBlocks = target.minBlocksOfSum = minBlocks;
    if (maxBlocks)
      target.maxBlocks = maxBlocks;
    return target;
  }

  void runOnOperation() override {
    auto found = getTarget();
    if (!found) {
      getOperation().emitError(llvm::toString(found.takeError()));
      return signalPassFailure();
    }
    ModuleOp module = getOperation();
    OpBuilder builder(&getContext());
    gpu::GPUModuleOp kernels;
    std::optional<KernelLibrary> library;
    for (auto function : module.getOps<func::FuncOp>()) {
      if (failed(checkRanks(function)))
        return signalPassFailure();
      moveListsToStack(function);
      copyTables(function);
      generalize(function);
      takeFills(function);
      recomputeInRowGroups(function, *found, initial);
      DenseSet<Operation *> alike;
      if (shareSmall)
        alike = findAlike(function);
      auto getOptions = [&](Operation *op) {
        if (!library) {
          builder.setInsertionPointToEnd(module.getBody());
          kernels = gpu::GPUModuleOp::create(builder, module.getLoc(),
                                             "quant_ste_kernels");
          library.emplace(kernels);
        }
        return KernelOptions{
            *library,           *found, function.getName().str(),
            initial.lookup(op), sums,   alike.contains(op)};
      };
      if (!isHelper(function))
        for (Operation *op : findSerialCode(function))
          emitGpuSerial(builder, op, getOptions(op));
      SmallVector<linalg::GenericOp> generics;
      function.walk([&](linalg::GenericOp op) { generics.push_back(op); });
      // From the end: an op may be the last of a group, or part of a longer
      // one.
      DenseSet<Operation *> grouped;
      SmallVector<RowGroup> groups;
      for (linalg::GenericOp op : llvm::reverse(generics)) {
        if (grouped.contains(op))
          continue;
        if (std::optional<RowGroup> group = RowGroup::find(op, *found)) {
          grouped.insert_range(group->stages);
          groups.push_back(std::move(*group));
        }
      }
      for (const RowGroup &group : llvm::reverse(groups))
        emitGpuRowGroup(builder, group, initial,
                        getOptions(group.stages.front()));
      for (linalg::GenericOp op : generics)
        if (!grouped.contains(op))
          emit(builder, op, getOptions(op));
      if (!isHelper(function))
        readElements(function);
    }
    if (library && failed(expandMinifloats(kernels, found->hasMinifloats())))
      return signalPassFailure();
    if (library)
      module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(),
                      builder.getUnitAttr());
  }

  /// What is left of accesses to elements.
  void readElements(func::FuncOp function) {
    SmallVector<memref::LoadOp> loads;
    function.walk([&](memref::LoadOp op) {
      if (!isOfHost(op.getMemref()))
        loads.push_back(op);
    });
    for (memref::LoadOp op : loads) {
      remark::missed(op.getLoc(), remark::RemarkOpts::name("HostReads")
                                      .category(getArgument())
                                      .function(function.getName()))
          << "the host waits for the GPU to read an element";
      readFromHost(op);
    }
  }

  void emit(OpBuilder &builder, linalg::GenericOp op,
            const KernelOptions &options) {
    std::string why;
    FailureOr<StreamKernel> kernel = StreamKernel::analyze(op, why);
    if (succeeded(kernel) && kernel->isContraction)
      why = "its products must be added in order";
    else if (succeeded(kernel) && canEmitGpuStream(*kernel, why))
      return emitGpuStream(builder, *kernel, options);
    if (!why.empty())
      remark::missed(op.getLoc(), remark::RemarkOpts::name("PlainLoops")
                                      .category(getArgument())
                                      .function(options.name))
          << "one thread for each element: " << why;
    emitGpuLoops(builder, op, options);
  }

  InitialValues initial;
};
} // namespace
