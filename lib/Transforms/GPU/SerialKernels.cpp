//===- SerialKernels.cpp - code that visits elements -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A shuffle, a scatter or the count of right answers is a loop that reads and
// writes elements, in an order that matters. The host cannot reach them, so the
// loop becomes a kernel of one block.
//
//===----------------------------------------------------------------------===//

#include "SerialKernels.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::quant_ste;

bool quant_ste::isOfHost(Value buffer) {
  Operation *root = getRootBuffer(buffer).getDefiningOp();
  return isa_and_nonnull<memref::AllocaOp, memref::GetGlobalOp>(root);
}

//===----------------------------------------------------------------------===//
// What one block can run
//===----------------------------------------------------------------------===//

static bool isScalar(Type type) { return type.isIntOrIndexOrFloat(); }

/// An op whose elements threads can compute in any order.
static bool isElementwise(linalg::GenericOp op) {
  auto isPlain = [](AffineMap map) { return map.isProjectedPermutation(); };
  return op.hasPureBufferSemantics() &&
         op.getNumParallelLoops() == op.getNumLoops() &&
         llvm::all_of(op.getIndexingMapsArray(), isPlain) &&
         llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &output) {
           return op.getMatchingIndexingMap(&output).isPermutation();
         });
}

static bool isAccess(Operation *op) {
  if (auto load = dyn_cast<memref::LoadOp>(op))
    return !isOfHost(load.getMemref());
  auto store = dyn_cast<memref::StoreOp>(op);
  return store && !isOfHost(store.getMemref());
}

static bool canRunInBlock(Operation *op) {
  auto isKnown = [](Type type) {
    return isScalar(type) || isa<MemRefType>(type);
  };
  if (!llvm::all_of(op->getOperandTypes(), isKnown) ||
      !llvm::all_of(op->getResultTypes(), isKnown))
    return false;
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    return isElementwise(generic);
  if (auto load = dyn_cast<memref::LoadOp>(op))
    return isAccess(op) || getTable(load.getMemref());
  if (isa<memref::StoreOp>(op))
    return isAccess(op);
  if (isa<scf::ForOp, scf::IfOp, scf::WhileOp>(op))
    return llvm::all_of(op->getResultTypes(), isScalar) &&
           llvm::all_of(op->getRegions(), [](Region &region) {
             return llvm::all_of(region.getOps(), [](Operation &inside) {
               return canRunInBlock(&inside);
             });
           });
  if (isa<scf::YieldOp, scf::ConditionOp, memref::DimOp>(op))
    return true;
  bool isView = isa<ViewLikeOpInterface>(op);
  return op->getNumRegions() == 0 && isMemoryEffectFree(op) &&
         !isa<memref::GetGlobalOp>(op) &&
         (isView || llvm::all_of(op->getResultTypes(), isScalar));
}

/// Outside of the bodies of linalg ops, which are kernels of their own.
static bool visitsElements(Operation *op) {
  return op
      ->walk<WalkOrder::PreOrder>([](Operation *inside) {
        if (isa<linalg::LinalgOp>(inside))
          return WalkResult::skip();
        return isAccess(inside) ? WalkResult::interrupt()
                                : WalkResult::advance();
      })
      .wasInterrupted();
}

SmallVector<Operation *> quant_ste::findSerialCode(func::FuncOp function) {
  SmallVector<Operation *> found;
  function.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (isa<linalg::LinalgOp>(op))
      return WalkResult::skip();
    bool isNest = isa<scf::ForOp, scf::IfOp, scf::WhileOp>(op) &&
                  visitsElements(op) && canRunInBlock(op);
    bool isStore = isa<memref::StoreOp>(op) && isAccess(op);
    if (!isNest && !isStore)
      return WalkResult::advance();
    found.push_back(op);
    return WalkResult::skip();
  });
  return found;
}

//===----------------------------------------------------------------------===//
// The kernel
//===----------------------------------------------------------------------===//

namespace {
class SerialEmitter {
public:
  SerialEmitter(OpBuilder &builder, Operation *op, const KernelOptions &options)
      : host(op->getLoc(), builder), op(op),
        kernel((host.setInsertionPoint(op), host), options.library,
               options.name + "_serial", /*minBlocks=*/1),
        b(kernel.device) {}
  void emit();

private:
  void pass();
  void addResults();
  void storeResults(Operation *inside);
  void shareOut(linalg::GenericOp generic);
  void storeOnce(memref::StoreOp store);
  scf::IfOp inFirstThread(OpBuilder &builder, Location loc);

  ImplicitLocOpBuilder host;
  Operation *op;
  KernelBuilder kernel;
  ImplicitLocOpBuilder &b;
  IRMapping map;
  /// One a result that is used; null for the others. Of the host, and inside.
  SmallVector<Value> results, inside;
};
} // namespace

/// Values from outside, of which buffers keep their types: those of views that
/// are taken of them follow from these.
void SerialEmitter::pass() {
  SetVector<Value> captured(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  for (Value v : captured) {
    auto type = dyn_cast<MemRefType>(v.getType());
    if (!type) {
      map.map(v, kernel.pass(v));
      continue;
    }
    SmallVector<Value> dims;
    for (int64_t d = 0; d < type.getRank(); ++d)
      dims.push_back(host.createOrFold<memref::DimOp>(v, d));
    Value buffer = kernel.passBuffer(v, dims, /*isConstant=*/false);
    if (buffer.getType() != type)
      buffer = memref::CastOp::create(b, type, buffer);
    map.map(v, buffer);
  }
}

void SerialEmitter::addResults() {
  for (Value result : op->getResults()) {
    results.emplace_back();
    inside.emplace_back();
    if (result.use_empty())
      continue;
    auto type = MemRefType::get({}, result.getType());
    results.back() = memref::AllocOp::create(host, type);
    inside.back() = kernel.passBuffer(results.back(), {}, false);
  }
}

scf::IfOp SerialEmitter::inFirstThread(OpBuilder &builder, Location loc) {
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  Value isFirst = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                        kernel.thread, zero);
  return scf::IfOp::create(builder, loc, isFirst, /*withElseRegion=*/false);
}

void SerialEmitter::storeResults(Operation *clone) {
  for (auto [result, buffer] : llvm::zip_equal(clone->getResults(), inside))
    if (buffer)
      memref::StoreOp::create(b, result, buffer);
}

/// The op's elements, each by one thread.
void SerialEmitter::shareOut(linalg::GenericOp generic) {
  ImplicitLocOpBuilder n(generic.getLoc(), generic);
  gpu::BarrierOp::create(n);
  SmallVector<Value> sizes(generic.getNumLoops());
  for (OpOperand &operand : generic->getOpOperands())
    for (auto [d, expr] :
         llvm::enumerate(generic.getMatchingIndexingMap(&operand).getResults()))
      sizes[cast<AffineDimExpr>(expr).getPosition()] =
          n.createOrFold<memref::DimOp>(operand.get(), d);
  Value total = KernelBuilder::index(n, 1);
  for (Value size : sizes)
    total = KernelBuilder::fold<arith::MulIOp>(n, total, size);
  auto loop = scf::ForOp::create(n, kernel.thread, total,
                                 KernelBuilder::index(n, kBlockThreads));
  n.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> ivs(sizes.size());
  Value rest = loop.getInductionVar();
  for (unsigned d = sizes.size(); d-- > 0;) {
    ivs[d] = d == 0 ? rest : n.createOrFold<arith::RemUIOp>(rest, sizes[d]);
    if (d > 0)
      rest = n.createOrFold<arith::DivUIOp>(rest, sizes[d]);
  }
  auto indicesOf = [&](OpOperand &operand) {
    return llvm::map_to_vector(
        generic.getMatchingIndexingMap(&operand).getResults(),
        [&](AffineExpr expr) {
          return ivs[cast<AffineDimExpr>(expr).getPosition()];
        });
  };
  IRMapping values;
  for (OpOperand &operand : generic->getOpOperands()) {
    BlockArgument argument = generic.getMatchingBlockArgument(&operand);
    if (!isa<MemRefType>(operand.get().getType()))
      values.map(argument, operand.get());
    else if (!argument.use_empty())
      values.map(argument,
                 memref::LoadOp::create(n, operand.get(), indicesOf(operand)));
  }
  Block &body = generic.getRegion().front();
  for (Operation &each : body.without_terminator())
    if (auto index = dyn_cast<linalg::IndexOp>(each))
      values.map(index.getResult(), ivs[index.getDim()]);
    else
      n.clone(each, values);
  for (auto [v, output] : llvm::zip_equal(body.getTerminator()->getOperands(),
                                          generic.getDpsInitsMutable()))
    memref::StoreOp::create(n, values.lookupOrDefault(v), output.get(),
                            indicesOf(output));
  n.setInsertionPoint(generic);
  gpu::BarrierOp::create(n);
  generic.erase();
}

/// After all threads have read what was there, before any reads what will be.
void SerialEmitter::storeOnce(memref::StoreOp store) {
  OpBuilder n(store);
  gpu::BarrierOp::create(n, store.getLoc());
  auto first = inFirstThread(n, store.getLoc());
  gpu::BarrierOp::create(n, store.getLoc());
  store->moveBefore(first.thenBlock()->getTerminator());
}

void SerialEmitter::emit() {
  pass();
  addResults();
  SmallVector<linalg::GenericOp> generics;
  op->walk([&](linalg::GenericOp generic) { generics.push_back(generic); });
  OpBuilder::InsertionGuard guard(b);
  if (generics.empty()) {
    auto first = inFirstThread(b, b.getLoc());
    OpBuilder::InsertionGuard inner(b);
    b.setInsertionPointToStart(first.thenBlock());
    storeResults(b.clone(*op, map));
  } else {
    Operation *clone = b.clone(*op, map);
    generics.clear();
    SmallVector<memref::StoreOp> stores;
    clone->walk<WalkOrder::PreOrder>([&](Operation *each) {
      if (auto generic = dyn_cast<linalg::GenericOp>(each)) {
        generics.push_back(generic);
        return WalkResult::skip();
      }
      if (auto store = dyn_cast<memref::StoreOp>(each))
        stores.push_back(store);
      return WalkResult::advance();
    });
    for (memref::StoreOp store : stores)
      storeOnce(store);
    for (linalg::GenericOp generic : generics)
      shareOut(generic);
    auto first = inFirstThread(b, b.getLoc());
    OpBuilder::InsertionGuard inner(b);
    b.setInsertionPointToStart(first.thenBlock());
    storeResults(clone);
  }
  kernel.launch(KernelBuilder::index(host, 1));
  for (auto [result, buffer] : llvm::zip_equal(op->getResults(), results)) {
    if (!buffer)
      continue;
    auto load = memref::LoadOp::create(host, buffer);
    result.replaceAllUsesWith(load);
    memref::DeallocOp::create(host, buffer);
  }
  op->erase();
}

void quant_ste::emitGpuSerial(OpBuilder &builder, Operation *op,
                              const KernelOptions &options) {
  SerialEmitter(builder, op, options).emit();
}

//===----------------------------------------------------------------------===//
// What the host waits for
//===----------------------------------------------------------------------===//

static LLVM::LLVMFuncOp declare(ModuleOp module, StringRef name,
                                ArrayRef<Type> arguments) {
  if (auto function = module.lookupSymbol<LLVM::LLVMFuncOp>(name))
    return function;
  OpBuilder top = OpBuilder::atBlockEnd(module.getBody());
  auto type = LLVM::LLVMFunctionType::get(
      LLVM::LLVMVoidType::get(module.getContext()), arguments);
  return LLVM::LLVMFuncOp::create(top, module.getLoc(), name, type);
}

void quant_ste::readFromHost(memref::LoadOp op) {
  ImplicitLocOpBuilder b(op.getLoc(), op);
  auto module = op->getParentOfType<ModuleOp>();
  Type element = op.getType(), word = b.getI64Type();
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  Value copy;
  {
    OpBuilder::InsertionGuard guard(b);
    auto function = op->getParentOfType<func::FuncOp>();
    b.setInsertionPointToStart(&function.getBody().front());
    copy = memref::AllocaOp::create(b, MemRefType::get({}, element));
  }
  // What the host goes on with if the copy fails.
  Value zero = arith::ConstantOp::create(b, element, b.getZeroAttr(element));
  memref::StoreOp::create(b, zero, copy);

  int64_t bytes = element.isIndex()
                      ? 8
                      : llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
  auto metadata = memref::ExtractStridedMetadataOp::create(b, op.getMemref());
  Value at = metadata.getOffset();
  for (auto [index, stride] :
       llvm::zip_equal(op.getIndices(), metadata.getStrides()))
    at = b.createOrFold<arith::AddIOp>(
        at, b.createOrFold<arith::MulIOp>(index, stride));
  at = b.createOrFold<arith::MulIOp>(at, KernelBuilder::index(b, bytes));
  auto addressOf = [&](Value buffer, Value offset) -> Value {
    Value address = memref::ExtractAlignedPointerAsIndexOp::create(b, buffer);
    if (offset)
      address = arith::AddIOp::create(b, address, offset);
    address = arith::IndexCastOp::create(b, word, address);
    return LLVM::IntToPtrOp::create(b, pointer, address);
  };
  Value to = addressOf(copy, {}), from = addressOf(op.getMemref(), at);
  Value size = arith::ConstantIntOp::create(b, word, bytes);
  LLVM::CallOp::create(
      b,
      declare(module, "quant_ste_cuda_copy_to_host", {pointer, pointer, word}),
      ValueRange{to, from, size});
  LLVM::CallOp::create(b, declare(module, "quant_ste_cuda_synchronize", {}),
                       ValueRange());
  op.replaceAllUsesWith(memref::LoadOp::create(b, copy).getResult());
  op.erase();
}
