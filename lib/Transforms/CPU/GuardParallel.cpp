//===- GuardParallel.cpp - no threads for a single task -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/OpenMP/OpenMPDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEGUARDPARALLELPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

/// The number of iterations of the region's loops, if it is known outside.
static Value countIterations(ImplicitLocOpBuilder &b,
                             omp::ParallelOp parallel) {
  SmallVector<omp::LoopNestOp> nests;
  parallel.getRegion().walk([&](omp::LoopNestOp nest) {
    if (nest->getParentOfType<omp::ParallelOp>() == parallel)
      nests.push_back(nest);
  });
  if (nests.size() != 1)
    return {};
  omp::LoopNestOp nest = nests.front();
  Value total;
  for (auto [lower, upper, step] :
       llvm::zip_equal(nest.getLoopLowerBounds(), nest.getLoopUpperBounds(),
                       nest.getLoopSteps())) {
    for (Value v : {lower, upper, step})
      if (parallel.getRegion().isAncestor(v.getParentRegion()))
        return {};
    Value length = arith::SubIOp::create(b, upper, lower);
    Value count = arith::CeilDivSIOp::create(b, length, step);
    total = total ? arith::MulIOp::create(b, total, count).getResult() : count;
  }
  return total;
}

namespace {
struct GuardParallel
    : quant_ste::impl::QuantSTEGuardParallelPassBase<GuardParallel> {
  void runOnOperation() override {
    getOperation()->walk([](omp::ParallelOp parallel) {
      if (parallel.getIfExpr())
        return;
      ImplicitLocOpBuilder b(parallel.getLoc(), parallel);
      Value total = countIterations(b, parallel);
      if (!total)
        return;
      Value one =
          arith::ConstantOp::create(b, b.getIntegerAttr(total.getType(), 1));
      Value several =
          arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, total, one);
      parallel.getIfExprMutable().assign(several);
    });
  }
};
} // namespace
