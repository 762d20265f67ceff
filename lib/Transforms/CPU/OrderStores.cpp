//===- OrderStores.cpp - a fence behind stores past the caches -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEORDERSTORESPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

namespace {
struct OrderStores : quant_ste::impl::QuantSTEOrderStoresPassBase<OrderStores> {
  void runOnOperation() override {
    SetVector<Operation *> owners;
    getOperation()->walk([&](LLVM::StoreOp store) {
      if (!store.getNontemporal())
        return;
      Operation *owner = store->getParentOfType<omp::ParallelOp>();
      owners.insert(owner ? owner : store->getParentOfType<LLVM::LLVMFuncOp>());
    });
    for (Operation *owner : owners)
      for (Block &block : owner->getRegion(0)) {
        Operation *end = block.getTerminator();
        if (!isa<omp::TerminatorOp, LLVM::ReturnOp>(end))
          continue;
        OpBuilder b(end);
        LLVM::FenceOp::create(b, end->getLoc(), LLVM::AtomicOrdering::seq_cst);
      }
  }
};
} // namespace
