//===- CallerDestinations.cpp - results where the caller says ---*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTECALLERDESTINATIONSPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

static constexpr StringLiteral kDestination = "quant_ste.destination";

static bool isDestination(func::FuncOp f, unsigned result) {
  return f.getResultAttr(result, kDestination) != nullptr;
}

static LogicalResult check(func::FuncOp f) {
  for (auto [i, type] : llvm::enumerate(f.getResultTypes()))
    if (isDestination(f, i) && !isa<RankedTensorType>(type))
      return f.emitError("expected result #")
             << i << " with " << kDestination << " to be a ranked tensor, got "
             << type;
  if (!f.isExternal() && f.getBody().hasOneBlock())
    return success();
  return f.emitError("expected a function with ")
         << kDestination << " to have a body of one block";
}

/// Each marked result becomes the last argument.
static void moveResults(func::FuncOp f) {
  auto ret = cast<func::ReturnOp>(f.getBody().front().getTerminator());
  SmallVector<Value> kept, moved;
  SmallVector<DictionaryAttr> keptAttrs;
  for (auto [i, value] : llvm::enumerate(ret.getOperands())) {
    if (isDestination(f, i)) {
      moved.push_back(value);
      continue;
    }
    kept.push_back(value);
    keptAttrs.push_back(f.getResultAttrDict(i));
  }
  // All at once: each of them makes the function's type anew.
  unsigned first = f.getNumArguments();
  SmallVector<Type> types = llvm::map_to_vector(moved, [](Value value) -> Type {
    auto tensor = cast<RankedTensorType>(value.getType());
    return MemRefType::get(tensor.getShape(), tensor.getElementType());
  });
  [[maybe_unused]] LogicalResult inserted =
      f.insertArguments(SmallVector<unsigned>(moved.size(), first), types,
                        SmallVector<DictionaryAttr>(
                            moved.size(), DictionaryAttr::get(f.getContext())),
                        SmallVector<Location>(moved.size(), f.getLoc()));
  assert(succeeded(inserted) && "a function type takes any argument");
  OpBuilder b(ret);
  for (auto [i, value] : llvm::enumerate(moved))
    bufferization::MaterializeInDestinationOp::create(
        b, ret.getLoc(), TypeRange(), value, f.getArgument(first + i),
        /*restrict=*/true, /*writable=*/true);
  ret.getOperandsMutable().assign(kept);
  f.removeResAttrsAttr();
  f.setType(FunctionType::get(f.getContext(), f.getArgumentTypes(),
                              TypeRange(ValueRange(kept))));
  f.setAllResultAttrs(keptAttrs);
}

namespace {
struct CallerDestinations
    : quant_ste::impl::QuantSTECallerDestinationsPassBase<CallerDestinations> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<func::FuncOp> marked;
    for (auto f : module.getOps<func::FuncOp>())
      if (llvm::any_of(llvm::seq(f.getNumResults()),
                       [&](unsigned i) { return isDestination(f, i); }))
        marked.push_back(f);
    if (marked.empty())
      return;
    SymbolTableCollection tables;
    SymbolUserMap users(tables, module);
    SymbolTable &symbols = tables.getSymbolTable(module);
    for (func::FuncOp f : marked) {
      if (failed(check(f)))
        return signalPassFailure();
      if (!users.useEmpty(f)) {
        // Callers in the module want the results as values.
        func::FuncOp inner = f.clone();
        inner.setPrivate();
        inner.removeResAttrsAttr();
        symbols.insert(inner);
        users.replaceAllUsesWith(f, inner.getSymNameAttr());
      }
      moveResults(f);
    }
  }
};
} // namespace
