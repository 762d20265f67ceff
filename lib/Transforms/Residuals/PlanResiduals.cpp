//===- PlanResiduals.cpp - what a backward keeps -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ResidualPlan.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEPLANRESIDUALSPASS
#define GEN_PASS_DEF_QUANTSTEPRINTRESIDUALSPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir::quant_ste;

/// A choice between a value and what chooses between the same value and another
/// is one by both conditions, so that one mask is kept, not two.
static void mergeChoices(func::FuncOp f) {
  f.walk([](arith::SelectOp outer) {
    auto inner = outer.getFalseValue().getDefiningOp<arith::SelectOp>();
    if (!inner || !inner->hasOneUse() ||
        inner->getBlock() != outer->getBlock() ||
        inner.getTrueValue() != outer.getTrueValue() ||
        inner.getCondition().getType() != outer.getCondition().getType())
      return;
    OpBuilder b(outer);
    Value either = arith::OrIOp::create(b, outer.getLoc(), outer.getCondition(),
                                        inner.getCondition());
    outer.getConditionMutable().assign(either);
    outer.getFalseValueMutable().assign(inner.getFalseValue());
    inner.erase();
  });
}

/// Calls `use` on the plan of each function, and goes on where one fails.
template <class Pass>
static LogicalResult planAll(Pass &pass, ModuleOp module,
                             function_ref<void(ResidualPlan &)> use) {
  ResidualOptions options;
  options.policy = pass.policy;
  options.keepArguments = pass.keepArguments;
  options.keepResults = pass.keepResults;
  options.pack = pass.packBits;
  options.recomputeProducts = pass.recomputeProducts;
  options.dynamicSize = pass.dynamicSize;
  if (options.dynamicSize < 0)
    return module.emitError("expected a dynamic-size of at least 0, got ")
           << options.dynamicSize;
  if (pass.budget >= 0)
    options.budget = pass.budget;
  auto functions = findJointFunctions(module, pass.function);
  if (failed(functions))
    return failure();
  LogicalResult result = success();
  for (func::FuncOp f : *functions) {
    mergeChoices(f);
    auto joint = JointFunction::get(f);
    auto plan = failed(joint) ? FailureOr<ResidualPlan>(failure())
                              : ResidualPlan::make(*joint, options);
    if (failed(plan))
      result = failure();
    else
      use(*plan);
  }
  return result;
}

namespace {
struct PlanResiduals
    : quant_ste::impl::QuantSTEPlanResidualsPassBase<PlanResiduals> {
  using QuantSTEPlanResidualsPassBase::budget;
  using QuantSTEPlanResidualsPassBase::dynamicSize;
  using QuantSTEPlanResidualsPassBase::function;
  using QuantSTEPlanResidualsPassBase::keepArguments;
  using QuantSTEPlanResidualsPassBase::keepResults;
  using QuantSTEPlanResidualsPassBase::packBits;
  using QuantSTEPlanResidualsPassBase::policy;
  using QuantSTEPlanResidualsPassBase::QuantSTEPlanResidualsPassBase;
  using QuantSTEPlanResidualsPassBase::recomputeProducts;

  void runOnOperation() override {
    if (failed(planAll(*this, getOperation(),
                       [](ResidualPlan &plan) { plan.apply(); })))
      signalPassFailure();
  }
};

struct PrintResiduals
    : quant_ste::impl::QuantSTEPrintResidualsPassBase<PrintResiduals> {
  using QuantSTEPrintResidualsPassBase::budget;
  using QuantSTEPrintResidualsPassBase::dynamicSize;
  using QuantSTEPrintResidualsPassBase::function;
  using QuantSTEPrintResidualsPassBase::keepArguments;
  using QuantSTEPrintResidualsPassBase::keepResults;
  using QuantSTEPrintResidualsPassBase::packBits;
  using QuantSTEPrintResidualsPassBase::policy;
  using QuantSTEPrintResidualsPassBase::QuantSTEPrintResidualsPassBase;
  using QuantSTEPrintResidualsPassBase::recomputeProducts;

  void runOnOperation() override {
    if (failed(planAll(*this, getOperation(),
                       [](ResidualPlan &plan) { plan.print(llvm::errs()); })))
      signalPassFailure();
    markAllAnalysesPreserved();
  }
};
} // namespace
