//===- LowerAssertions.cpp - what a failed assertion does -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/FunctionCallUtils.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTELOWERASSERTIONSPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

/// The message behind the line that it is about, with the 0 that ends it.
static std::string getMessage(cf::AssertOp assertion) {
  std::string text;
  llvm::raw_string_ostream os(text);
  if (auto line = assertion.getLoc()->findInstanceOf<FileLineColLoc>())
    os << line.getFilename().getValue() << ':' << line.getLine() << ':'
       << line.getColumn() << ": ";
  os << assertion.getMsg() << '\0';
  return text;
}

static void lower(cf::AssertOp assertion, LLVM::LLVMFuncOp failed,
                  SymbolTable &symbols) {
  Block *block = assertion->getBlock();
  Block *holds = block->splitBlock(assertion->getNextNode());
  Block *fails = new Block;
  block->getParent()->push_back(fails);

  ImplicitLocOpBuilder b(assertion.getLoc(), assertion->getContext());
  std::string message = getMessage(assertion);
  auto type = LLVM::LLVMArrayType::get(b.getI8Type(), message.size());
  auto global = LLVM::GlobalOp::create(
      b, type, /*isConstant=*/true, LLVM::Linkage::Internal,
      "quant_ste_assertion", b.getStringAttr(message));
  symbols.insert(global);
  b.setInsertionPointToEnd(fails);
  Value text = LLVM::AddressOfOp::create(b, global);
  LLVM::CallOp::create(b, failed, text);
  LLVM::UnreachableOp::create(b);
  b.setInsertionPointToEnd(block);
  cf::CondBranchOp::create(b, assertion.getArg(), holds, fails);
  assertion.erase();
}

namespace {
struct LowerAssertions
    : quant_ste::impl::QuantSTELowerAssertionsPassBase<LowerAssertions> {
  void runOnOperation() override {
    SmallVector<cf::AssertOp> assertions;
    auto collected = getOperation()->walk([&](cf::AssertOp assertion) {
      if (assertion->getParentOfType<omp::ParallelOp>()) {
        assertion.emitError("expected assertions outside of parallel loops: "
                            "threads cannot leave one");
        return WalkResult::interrupt();
      }
      assertions.push_back(assertion);
      return WalkResult::advance();
    });
    if (collected.wasInterrupted())
      return signalPassFailure();
    if (assertions.empty())
      return;
    OpBuilder b(&getContext());
    SymbolTableCollection symbols;
    auto failed = LLVM::lookupOrCreateFn(
        b, getOperation(), "quant_ste_assertion_failed",
        LLVM::LLVMPointerType::get(&getContext()),
        LLVM::LLVMVoidType::get(&getContext()), /*isVarArg=*/false,
        /*isReserved=*/true, &symbols);
    if (mlir::failed(failed))
      return signalPassFailure();
    for (cf::AssertOp assertion : assertions)
      lower(assertion, *failed, symbols.getSymbolTable(getOperation()));
  }
};
} // namespace
