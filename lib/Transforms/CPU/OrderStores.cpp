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

/// LLVM would make one plain store of this and the one in the other branch. An
/// instruction that only one of them has, and that is none, keeps it from that.
static void keepApart(LLVM::StoreOp store) {
  OpBuilder b(store->getContext());
  b.setInsertionPointAfter(store);
  LLVM::InlineAsmOp::create(
      b, store.getLoc(), /*res=*/TypeRange(), /*operands=*/ValueRange(),
      /*asm_string=*/"", /*constraints=*/"", /*has_side_effects=*/true,
      /*is_align_stack=*/false, LLVM::TailCallKind::None,
      LLVM::AsmDialectAttr::get(b.getContext(), LLVM::AsmDialect::AD_ATT),
      /*operand_attrs=*/ArrayAttr());
}

namespace {
struct OrderStores : quant_ste::impl::QuantSTEOrderStoresPassBase<OrderStores> {
  void runOnOperation() override {
    SetVector<Operation *> owners;
    getOperation()->walk([&](LLVM::StoreOp store) {
      if (!store.getNontemporal())
        return;
      keepApart(store);
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
