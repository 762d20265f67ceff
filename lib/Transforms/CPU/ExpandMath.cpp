//===- ExpandMath.cpp - exp, log and their kin as polynomials -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Rules/Readings/IRScalar.h"
#include "quant_ste/Transforms/Passes.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEEXPANDMATHPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir::quant_ste;

/// The value in place of the op's; null for one that stays.
static Value expand(Operation *op) {
  if (op->getNumResults() != 1 || op->getNumOperands() != 1)
    return {};
  Type type = op->getResult(0).getType();
  if (!type.isF16() && !type.isBF16() && !type.isF32() && !type.isF64())
    return {};
  ImplicitLocOpBuilder b(op->getLoc(), op);
  IRScalar x(b, op->getOperand(0));
  auto emit = [&](IRScalar y) {
    return y.materialize(b, cast<FloatType>(type));
  };
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](math::ExpOp) { return emit(rules::exp(x)); })
      .Case([&](math::Exp2Op) { return emit(rules::exp2(x)); })
      .Case([&](math::LogOp) { return emit(rules::log(x)); })
      .Case([&](math::Log2Op) { return emit(rules::log2(x)); })
      .Case([&](math::TanhOp) { return emit(rules::tanh(x)); })
      .Case([&](math::CoshOp) { return emit(rules::cosh(x)); })
      .Default([](Operation *) { return Value(); });
}

namespace {
struct ExpandMath : quant_ste::impl::QuantSTEExpandMathPassBase<ExpandMath> {
  void runOnOperation() override {
    getOperation()->walk([](Operation *op) {
      Value expanded = expand(op);
      if (!expanded)
        return;
      op->getResult(0).replaceAllUsesWith(expanded);
      op->erase();
    });
  }
};
} // namespace
