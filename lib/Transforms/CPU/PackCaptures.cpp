//===- PackCaptures.cpp - one pointer for what threads take over -*- C++
//-*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEPACKCAPTURESPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

/// Fewer values than this LLVM passes as well by itself.
static constexpr size_t kFewest = 2;

/// What the callees in the region do not look at need not be handed to them.
static void dropUnusedArguments(Region &region,
                                SymbolTableCollection &symbols) {
  region.walk([&](LLVM::CallOp call) {
    auto callee = dyn_cast_if_present<LLVM::LLVMFuncOp>(
        call.resolveCallableInTable(&symbols));
    if (!callee || callee.isExternal() || callee.isVarArg())
      return;
    OpBuilder b(call);
    for (auto [i, argument] : llvm::enumerate(callee.getArguments()))
      if (argument.use_empty() && !callee.getArgAttrDict(i))
        call.getArgOperandsMutable()[i].set(
            LLVM::PoisonOp::create(b, call.getLoc(), argument.getType()));
  });
}

/// Constants are made again inside.
static void cloneConstants(Region &region) {
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(region, captured);
  OpBuilder b = OpBuilder::atBlockBegin(&region.front());
  for (Value v : captured) {
    Operation *op = v.getDefiningOp();
    if (op && op->hasTrait<OpTrait::ConstantLike>())
      replaceAllUsesInRegionWith(v, b.clone(*op)->getResult(0), region);
  }
}

static void pack(omp::ParallelOp parallel) {
  Region &region = parallel.getRegion();
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(region, captured);
  if (captured.size() < kFewest || !llvm::all_of(captured, [](Value v) {
        return LLVM::isCompatibleType(v.getType());
      }))
    return;
  auto function = parallel->getParentOfType<LLVM::LLVMFuncOp>();
  MLIRContext *ctx = parallel.getContext();
  auto type = LLVM::LLVMStructType::getLiteral(
      ctx, llvm::to_vector(TypeRange(captured.getArrayRef())));
  auto pointer = LLVM::LLVMPointerType::get(ctx);
  auto b = ImplicitLocOpBuilder::atBlockBegin(parallel.getLoc(),
                                              &function.getBody().front());
  Value one = LLVM::ConstantOp::create(b, b.getI64Type(), 1);
  Value memory = LLVM::AllocaOp::create(b, pointer, type, one);
  auto getField = [&](size_t i) {
    return LLVM::GEPOp::create(b, pointer, type, memory,
                               ArrayRef<LLVM::GEPArg>{0, int32_t(i)});
  };
  b.setInsertionPoint(parallel);
  for (auto [i, v] : llvm::enumerate(captured))
    LLVM::StoreOp::create(b, v, getField(i));
  b.setInsertionPointToStart(&region.front());
  for (auto [i, v] : llvm::enumerate(captured)) {
    Value loaded = LLVM::LoadOp::create(b, v.getType(), getField(i));
    replaceAllUsesInRegionWith(v, loaded, region);
  }
}

namespace {
struct PackCaptures
    : quant_ste::impl::QuantSTEPackCapturesPassBase<PackCaptures> {
  void runOnOperation() override {
    SymbolTableCollection symbols;
    getOperation().walk([&](omp::ParallelOp parallel) {
      if (!isa<LLVM::LLVMFuncOp>(parallel->getParentOp()))
        return; // inside of another one, or of what is no function
      dropUnusedArguments(parallel.getRegion(), symbols);
      cloneConstants(parallel.getRegion());
      pack(parallel);
    });
  }
};
} // namespace
