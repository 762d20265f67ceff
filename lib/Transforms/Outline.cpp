//===- Outline.cpp - equal kernels, compiled once -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEOUTLINEPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

/// A function of more kernels holds none of them: LLVM need not optimize what
/// only calls others, of which there may be thousands.
static constexpr unsigned kManyKernels = 64;

static bool isConstant(Value v) {
  Operation *op = v.getDefiningOp();
  return op && op->hasTrait<OpTrait::ConstantLike>();
}

namespace {
/// Ops that are equal up to the buffers they run on, and the function that
/// holds one of them.
struct Kernel {
  OwningOpRef<func::FuncOp> function;
  SmallVector<linalg::LinalgOp> users;
};
} // namespace

/// What a kernel's function takes: all but the constants, which it makes.
static SmallVector<Value> getArguments(linalg::LinalgOp op) {
  return llvm::filter_to_vector(op->getOperands(),
                                [](Value v) { return !isConstant(v); });
}

static OwningOpRef<func::FuncOp> buildFunction(linalg::LinalgOp op) {
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  if (!llvm::all_of(captured, isConstant))
    return nullptr;

  SmallVector<Value> arguments = getArguments(op);
  OpBuilder b(op.getContext());
  Location loc = op.getLoc();
  auto function = func::FuncOp::create(
      b, loc, ("kernel_" + op->getName().stripDialect()).str(),
      b.getFunctionType(TypeRange(ValueRange(arguments)), {}));
  function.setPrivate();
  // Its name is nobody's but this module's, in the object too.
  function->setAttr(
      "llvm.linkage",
      LLVM::LinkageAttr::get(op.getContext(), LLVM::Linkage::Internal));
  // LLVM would undo it. `no_inline` is lost on the way there.
  function->setAttr("passthrough", b.getStrArrayAttr({"noinline"}));
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  IRMapping map;
  captured.insert_range(op->getOperands());
  for (Value v : captured)
    if (isConstant(v))
      b.clone(*v.getDefiningOp(), map);
  // By position: a buffer may be an operand twice.
  Operation *body = b.clone(*op, map);
  auto argument = entry->args_begin();
  for (OpOperand &operand : body->getOpOperands())
    if (!isConstant(operand.get()))
      operand.set(*argument++);
  func::ReturnOp::create(b, loc);
  return function;
}

namespace {
struct Outline : quant_ste::impl::QuantSTEOutlinePassBase<Outline> {
  using QuantSTEOutlinePassBase::QuantSTEOutlinePassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    // A function's type tells most kernels apart.
    DenseMap<FunctionType, SmallVector<unsigned>> byType;
    SmallVector<Kernel> kernels;
    DenseMap<Operation *, unsigned> numKernels;
    module.walk([&](linalg::LinalgOp op) {
      if (!op.hasPureBufferSemantics())
        return;
      ++numKernels[op->getParentOfType<func::FuncOp>()];
      OwningOpRef<func::FuncOp> function = buildFunction(op);
      if (!function)
        return;
      SmallVector<unsigned> &alike = byType[function->getFunctionType()];
      auto *same = llvm::find_if(alike, [&](unsigned k) {
        return OperationEquivalence::isRegionEquivalentTo(
            &kernels[k].function->getBody(), &function->getBody(),
            OperationEquivalence::IgnoreLocations);
      });
      if (same != alike.end()) {
        kernels[*same].users.push_back(op);
        return;
      }
      alike.push_back(kernels.size());
      kernels.push_back({std::move(function), {op}});
    });

    SymbolTable symbols(module);
    for (Kernel &kernel : kernels) {
      if (kernel.users.size() < minUses &&
          llvm::none_of(kernel.users, [&](linalg::LinalgOp op) {
            return numKernels.lookup(op->getParentOfType<func::FuncOp>()) >
                   kManyKernels;
          }))
        continue;
      func::FuncOp function = kernel.function.release();
      symbols.insert(function);
      for (linalg::LinalgOp op : kernel.users) {
        OpBuilder b(op);
        func::CallOp::create(b, op.getLoc(), function, getArguments(op));
        op->erase();
        ++numCalls;
      }
      ++numFunctions;
    }
  }
};
} // namespace
