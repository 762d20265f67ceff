//===- HoistFrames.cpp - memory of the frame in serial loops ----*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEHOISTFRAMESPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

namespace {
struct HoistFrames : quant_ste::impl::QuantSTEHoistFramesPassBase<HoistFrames> {
  void runOnOperation() override {
    Region &body = getOperation().getFunctionBody();
    if (body.empty())
      return;
    SmallVector<memref::AllocaOp> allocas;
    body.walk([&](memref::AllocaOp op) {
      if (op->getNumOperands() == 0 && isa<scf::ParallelOp>(op->getParentOp()))
        allocas.push_back(op);
    });
    Block &entry = body.front();
    for (memref::AllocaOp op : llvm::reverse(allocas))
      op->moveBefore(&entry, entry.begin());
  }
};
} // namespace
