//===- SerialPath.cpp - one task without the runtime ------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTESERIALPATHPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

/// Cheaper to make again than to pass.
static bool isRemade(Value v) {
  Operation *op = v.getDefiningOp();
  return op && (op->hasTrait<OpTrait::ConstantLike>() ||
                isa<vector::BroadcastOp>(op));
}

/// What the loop's body takes from outside, and how to make the rest of it.
static void collect(Value v, SetVector<Value> &arguments,
                    SetVector<Operation *> &remade) {
  if (!isRemade(v)) {
    arguments.insert(v);
    return;
  }
  for (Value operand : v.getDefiningOp()->getOperands())
    collect(operand, arguments, remade);
  remade.insert(v.getDefiningOp());
}

namespace {
struct SerialPath : quant_ste::impl::QuantSTESerialPathPassBase<SerialPath> {
  void runOnOperation() override {
    SmallVector<scf::ParallelOp> loops;
    getOperation().walk([&](scf::ParallelOp loop) {
      if (loop.getNumReductions() == 0 &&
          !loop->getParentOfType<scf::ParallelOp>())
        loops.push_back(loop);
    });
    if (loops.empty())
      return;
    SymbolTable symbols(getOperation());
    for (scf::ParallelOp loop : loops)
      split(loop, symbols);
  }

  void split(scf::ParallelOp loop, SymbolTable &symbols);
};
} // namespace

/// The body, as a function of the induction variables and what it captures.
static func::FuncOp outlineBody(scf::ParallelOp loop, ArrayRef<Value> arguments,
                                ArrayRef<Operation *> remade) {
  auto parent = loop->getParentOfType<func::FuncOp>();
  OpBuilder b(loop.getContext());
  Location loc = loop.getLoc();
  SmallVector<Type> types(loop.getInductionVars().size(),
                          IndexType::get(loop.getContext()));
  llvm::append_range(types, TypeRange(ValueRange(arguments)));
  auto function = func::FuncOp::create(
      b, loc, (parent.getName() + "_task").str(), b.getFunctionType(types, {}));
  function.setPrivate();
  function->setAttr(
      "llvm.linkage",
      LLVM::LinkageAttr::get(b.getContext(), LLVM::Linkage::Internal));
  // Else LLVM would compile it twice.
  function->setAttr("passthrough", b.getStrArrayAttr({"noinline"}));
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  IRMapping map;
  unsigned next = 0;
  for (Value v : loop.getInductionVars())
    map.map(v, entry->getArgument(next++));
  for (Value v : arguments)
    map.map(v, entry->getArgument(next++));
  for (Operation *op : remade)
    b.clone(*op, map);
  for (Operation &op : loop.getBody()->without_terminator())
    b.clone(op, map);
  func::ReturnOp::create(b, loc);
  return function;
}

void SerialPath::split(scf::ParallelOp loop, SymbolTable &symbols) {
  SetVector<Value> captured, arguments;
  SetVector<Operation *> remade;
  getUsedValuesDefinedAbove(loop.getRegion(), captured);
  for (Value v : captured)
    collect(v, arguments, remade);
  func::FuncOp function =
      outlineBody(loop, arguments.getArrayRef(), remade.getArrayRef());
  symbols.insert(function);

  ImplicitLocOpBuilder b(loop.getLoc(), loop);
  auto call = [&](OpBuilder &at, Location loc, ValueRange ivs) {
    SmallVector<Value> operands(ivs);
    llvm::append_range(operands, arguments);
    func::CallOp::create(at, loc, function, operands);
  };
  Value total;
  for (auto [lower, upper, step] : llvm::zip_equal(
           loop.getLowerBound(), loop.getUpperBound(), loop.getStep())) {
    Value length = arith::SubIOp::create(b, upper, lower);
    Value count = arith::CeilDivSIOp::create(b, length, step);
    total = total ? arith::MulIOp::create(b, total, count).getResult() : count;
  }
  Value one = arith::ConstantIndexOp::create(b, 1);
  Value several =
      arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, total, one);
  auto branch = scf::IfOp::create(b, several, /*withElseRegion=*/true);

  b.setInsertionPointToStart(branch.thenBlock());
  scf::ParallelOp::create(
      b, loop.getLowerBound(), loop.getUpperBound(), loop.getStep(),
      [&](OpBuilder &at, Location loc, ValueRange ivs) { call(at, loc, ivs); });
  // One task, or none.
  b.setInsertionPointToStart(branch.elseBlock());
  Value isOne = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, total, one);
  auto single = scf::IfOp::create(b, isOne, /*withElseRegion=*/false);
  b.setInsertionPointToStart(single.thenBlock());
  call(b, b.getLoc(), loop.getLowerBound());
  loop.erase();
}
