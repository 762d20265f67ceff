//===- DeviceMath.cpp - math without a library -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEDEVICEMATHPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

/// The intrinsic that an op is, for which the GPU has exact instructions.
static StringRef getIntrinsic(Operation *op) {
  return llvm::TypeSwitch<Operation *, StringRef>(op)
      .Case([](math::AbsFOp) { return "llvm.fabs"; })
      .Case([](math::CeilOp) { return "llvm.ceil"; })
      .Case([](math::CopySignOp) { return "llvm.copysign"; })
      .Case([](math::CtPopOp) { return "llvm.ctpop"; })
      .Case([](math::FloorOp) { return "llvm.floor"; })
      .Case([](math::FmaOp) { return "llvm.fma"; })
      .Case([](math::RoundEvenOp) { return "llvm.roundeven"; })
      .Case([](math::RoundOp) { return "llvm.round"; })
      .Case([](math::SqrtOp) { return "llvm.sqrt"; })
      .Case([](math::TruncOp) { return "llvm.trunc"; })
      .Default([](Operation *) { return ""; });
}

/// Classes of floats, by comparisons.
static Value compareFloat(ImplicitLocOpBuilder &b, Operation *op) {
  using arith::CmpFPredicate;
  Value x = op->getOperand(0);
  if (isa<math::IsNaNOp>(op))
    return arith::CmpFOp::create(b, CmpFPredicate::UNO, x, x);
  Type type = x.getType();
  auto element = cast<FloatType>(getElementTypeOrSelf(type));
  FloatAttr value =
      b.getFloatAttr(element, APFloat::getInf(element.getFloatSemantics()));
  TypedAttr constant = value;
  if (auto shaped = dyn_cast<ShapedType>(type))
    constant = DenseElementsAttr::get(shaped, Attribute(value));
  Value infinity = arith::ConstantOp::create(b, constant);
  Value size = LLVM::CallIntrinsicOp::create(
                   b, type, b.getStringAttr("llvm.fabs"), ValueRange{x})
                   .getResult(0);
  return arith::CmpFOp::create(
      b, isa<math::IsInfOp>(op) ? CmpFPredicate::OEQ : CmpFPredicate::OLT, size,
      infinity);
}

/// Two roundings, as on CPUs.
static Value invertRoot(ImplicitLocOpBuilder &b, math::RsqrtOp op) {
  Type type = op.getType();
  FloatAttr value = b.getFloatAttr(getElementTypeOrSelf(type), 1.0);
  TypedAttr constant = value;
  if (auto shaped = dyn_cast<ShapedType>(type))
    constant = DenseElementsAttr::get(shaped, Attribute(value));
  Value one = arith::ConstantOp::create(b, constant);
  Value root =
      LLVM::CallIntrinsicOp::create(b, type, b.getStringAttr("llvm.sqrt"),
                                    ValueRange{op.getOperand()})
          .getResult(0);
  return arith::DivFOp::create(b, one, root);
}

namespace {
struct DeviceMath : quant_ste::impl::QuantSTEDeviceMathPassBase<DeviceMath> {
  /// Upstream's passes that widen bf16 allow that a narrowing and a widening
  /// cancel out, which would leave roundings out.
  void keepRoundings() {
    auto none = arith::FastMathFlags::none;
    getOperation().walk([&](Operation *op) {
      if (auto widening = dyn_cast<arith::ExtFOp>(op))
        widening.setFastmath(none);
      if (auto narrowing = dyn_cast<arith::TruncFOp>(op))
        narrowing.setFastmath(none);
    });
  }

  void runOnOperation() override {
    keepRoundings();
    WalkResult result = getOperation().walk([](Operation *op) {
      if (!isa<math::MathDialect>(op->getDialect()))
        return WalkResult::advance();
      ImplicitLocOpBuilder b(op->getLoc(), op);
      Value v;
      if (isa<math::IsNaNOp, math::IsInfOp, math::IsFiniteOp>(op)) {
        v = compareFloat(b, op);
      } else if (auto inverse = dyn_cast<math::RsqrtOp>(op)) {
        v = invertRoot(b, inverse);
      } else if (StringRef name = getIntrinsic(op); !name.empty()) {
        v = LLVM::CallIntrinsicOp::create(b, op->getResult(0).getType(),
                                          b.getStringAttr(name),
                                          op->getOperands())
                .getResult(0);
      } else {
        op->emitError("expected math that a GPU has exact instructions or the "
                      "dialect a polynomial for, got '")
            << op->getName()
            << "', a function of a library, whose results differ from one "
               "version to the next";
        return WalkResult::interrupt();
      }
      op->replaceAllUsesWith(ValueRange{v});
      op->erase();
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};
} // namespace
