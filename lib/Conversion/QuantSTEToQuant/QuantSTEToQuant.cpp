//===- QuantSTEToQuant.cpp - casts for deployment -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Conversion/Passes.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "mlir/IR/Matchers.h"
#include "llvm/Support/FormatVariadic.h"

namespace mlir::quant_ste {
#define GEN_PASS_DEF_CONVERTQUANTSTETOQUANTPASS
#include "quant_ste/Conversion/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir;
using namespace mlir::quant_ste;

namespace {
/// What a quantizer is in quant's terms, or why it has none.
struct Form {
  std::string refusal;
  /// How the op differs from quant's formula; empty: not at all.
  std::string difference;
  Value scale, zeroPoint;
  StringRef scaleName = "scale", zeroPointName = "zero_point";
  int64_t qmin = 0, qmax = 0;
  /// Of the storage type; 0: as few as hold qmin and qmax.
  unsigned width = 0;

  static Form refuse(const Twine &why) {
    Form form;
    form.refusal = why.str();
    return form;
  }
};
} // namespace

/// The values of a constant, one or one per channel.
static std::optional<SmallVector<double>> getConstants(Value value) {
  Attribute attr;
  if (!matchPattern(value, m_Constant(&attr)))
    return std::nullopt;
  if (auto scalar = dyn_cast<FloatAttr>(attr))
    return SmallVector<double>{scalar.getValueAsDouble()};
  auto dense = dyn_cast<DenseFPElementsAttr>(attr);
  if (!dense)
    return std::nullopt;
  return llvm::map_to_vector(dense.getValues<APFloat>(), [](APFloat v) {
    bool losesInfo;
    v.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
    return v.convertToDouble();
  });
}

static Form getForm(FakeQuantizeOp op) {
  Form form;
  form.scale = op.getScale();
  form.zeroPoint = op.getZeroPoint();
  form.qmin = op.getQmin();
  form.qmax = op.getQmax();
  if (op.getScaling() == Scaling::reciprocal)
    form.difference = "x is multiplied by 1 / scale, quant divides; ";
  if (op.getZeroPointPosition() == ZeroPointPosition::after)
    form.difference += "the zero point is added after rounding, quant adds it "
                       "before; ";
  return form;
}

static Form getForm(IntQuantOp op) {
  if (op.getRounding() != Rounding::round)
    return Form::refuse("quant says no rounding(" +
                        stringifyRounding(op.getRounding()) +
                        "); rounding(round) is what its users implement");
  auto bits = getConstants(op.getBitWidth());
  if (!bits || bits->size() != 1)
    return Form::refuse("expected one constant bit_width");
  double width = bits->front();
  if (!(width >= 1 && width <= 32) || width != std::floor(width))
    return Form::refuse("expected a whole bit_width in 1..32, got " +
                        llvm::formatv("{0}", width).str());
  Form form;
  form.scale = op.getScale();
  form.zeroPoint = op.getZeroPoint();
  form.width = static_cast<unsigned>(width);
  bool isNarrow = op.getNarrowRange();
  int64_t count = int64_t(1) << form.width;
  form.qmin = op.getIsSigned() ? -count / 2 + isNarrow : 0;
  form.qmax = op.getIsSigned() ? count / 2 - 1 : count - 1 - isNarrow;
  form.difference = "NaN stays NaN here, quant's integers have none; ";
  return form;
}

static Form getForm(Operation *op) {
  if (auto fake = dyn_cast<FakeQuantizeOp>(op))
    return getForm(fake);
  if (auto quant = dyn_cast<IntQuantOp>(op))
    return getForm(quant);
  return Form::refuse("quant has uniform types only, with a scale, a zero "
                      "point and bounds");
}

/// The uniform type of `form`, or null with the reason in form.refusal.
static quant::QuantizedType getType(Operation *op, Form &form) {
  Type data = op->getOperand(0).getType();
  Type expressed = getElementTypeOrSelf(data);
  auto refuse = [&](const Twine &why) -> quant::QuantizedType {
    form.refusal = why.str();
    return {};
  };
  auto scales = getConstants(form.scale);
  auto zeros = getConstants(form.zeroPoint);
  if (!scales || !zeros)
    return refuse(Twine("expected a constant '") +
                  (scales ? form.zeroPointName : form.scaleName) + "'");
  SmallVector<int64_t> zeroPoints;
  for (double zero : *zeros) {
    if (zero != std::floor(zero) || zero < form.qmin || zero > form.qmax)
      return refuse("expected a whole zero point in [" + Twine(form.qmin) +
                    ", " + Twine(form.qmax) + "], got " +
                    llvm::formatv("{0}", zero).str());
    zeroPoints.push_back(static_cast<int64_t>(zero));
  }
  bool isSigned = form.qmin < 0;
  unsigned width = form.width;
  for (int64_t bound : {form.qmin, form.qmax})
    width = std::max(
        width, isSigned ? llvm::APInt(64, bound, true).getSignificantBits()
                        : llvm::APInt(64, bound).getActiveBits());
  width = std::max(width, 1u);
  if (width > 32)
    return refuse("quant stores at most 32 bits, [" + Twine(form.qmin) + ", " +
                  Twine(form.qmax) + "] needs " + Twine(width));
  unsigned flags = isSigned ? quant::QuantizationFlags::Signed : 0;
  Type storage = IntegerType::get(op->getContext(), width);
  std::string why;
  ScopedDiagnosticHandler handler(op->getContext(), [&](Diagnostic &diag) {
    why += diag.str();
    return success();
  });
  auto emit = [&] { return emitError(op->getLoc()); };
  quant::QuantizedType type;
  auto axes =
      op->getAttrOfType<DenseI64ArrayAttr>((form.scaleName + "_axes").str());
  if (scales->size() == 1 && zeroPoints.size() == 1 && !axes) {
    type = quant::UniformQuantizedType::getChecked(
        emit, flags, storage, expressed, scales->front(), zeroPoints.front(),
        form.qmin, form.qmax);
  } else if (axes && axes.size() == 1) {
    zeroPoints.resize(scales->size(), zeroPoints.front());
    type = quant::UniformQuantizedPerAxisType::getChecked(
        emit, flags, storage, expressed, *scales, zeroPoints, axes[0],
        form.qmin, form.qmax);
  } else {
    return refuse("expected one scale, or one per index of one dimension; "
                  "quant has no parameters of several dimensions but blocks");
  }
  if (!type)
    form.refusal = why;
  return type;
}

namespace {
struct ConvertQuantSTEToQuant
    : quant_ste::impl::ConvertQuantSTEToQuantPassBase<ConvertQuantSTEToQuant> {
  using ConvertQuantSTEToQuantPassBase::ConvertQuantSTEToQuantPassBase;

  void runOnOperation() override {
    SmallVector<Operation *> quantizers;
    getOperation()->walk<WalkOrder::PreOrder>([&](Operation *op) {
      // What is inside a derivative is not computed forward.
      if (isa<PullbackOp, PushforwardOp, CustomOp>(op))
        return WalkResult::skip();
      if (isa<GradientRuleInterface>(op))
        quantizers.push_back(op);
      return WalkResult::advance();
    });
    for (Operation *op : quantizers)
      if (failed(convert(op)))
        signalPassFailure();
  }

  LogicalResult convert(Operation *op) {
    Form form = getForm(op);
    quant::QuantizedType type;
    if (form.refusal.empty())
      type = getType(op, form);
    if (!type) {
      if (partial) {
        op->emitRemark("stays: ") << form.refusal;
        return success();
      }
      return op->emitOpError("has no form in quant: ") << form.refusal;
    }
    Type data = op->getOperand(0).getType();
    Type element = getElementTypeOrSelf(data);
    if (!element.isF32() && !element.isF64())
      form.difference += "it computes in f32, quant in " +
                         llvm::formatv("{0}", element).str() + "; ";
    op->emitRemark("differs: ")
        << form.difference
        << "ties go to even, quant leaves its roundings open (lower-quant-ops "
           "truncates)";
    Type quantized = type;
    if (auto tensor = dyn_cast<RankedTensorType>(data))
      quantized = tensor.clone(type);
    OpBuilder b(op);
    Value q = quant::QuantizeCastOp::create(b, op->getLoc(), quantized,
                                            op->getOperand(0));
    Value y = quant::DequantizeCastOp::create(b, op->getLoc(), data, q);
    op->getResult(0).replaceAllUsesWith(y);
    op->erase();
    return success();
  }
};
} // namespace
