//===- Lint.cpp - warn of constants surely not meant -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/IR/Matchers.h"
#include "quant_ste/Rules/Readings/APFloatScalar.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTELINTPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir::quant_ste;

static double toDouble(APFloat v) {
  return roundTo(std::move(v), APFloat::IEEEdouble()).convertToDouble();
}

/// The elements of a constant (one for a splat); empty when it is not constant.
static SmallVector<double> getConstants(Value v) {
  Attribute attr;
  if (!matchPattern(v, m_Constant(&attr)))
    return {};
  if (auto f = dyn_cast<FloatAttr>(attr))
    return {toDouble(f.getValue())};
  auto dense = dyn_cast<DenseFPElementsAttr>(attr);
  if (!dense || dense.empty())
    return {};
  if (dense.isSplat())
    return {toDouble(dense.getSplatValue<APFloat>())};
  return llvm::map_to_vector(dense.getValues<APFloat>(), toDouble);
}

namespace {
struct LintPass : quant_ste::impl::QuantSTELintPassBase<LintPass> {
  void runOnOperation() override {
    getOperation()->walk([](GradientRuleInterface op) {
      auto constants = llvm::map_to_vector(op->getOperands(), getConstants);
      op.lint(constants,
              [&](const Twine &message) { op->emitWarning(message); });
    });
    markAllAnalysesPreserved();
  }
};
} // namespace
