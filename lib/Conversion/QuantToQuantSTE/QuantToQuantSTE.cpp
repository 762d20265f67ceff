//===- QuantToQuantSTE.cpp - casts that can be trained -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Conversion/Passes.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/Support/FormatVariadic.h"

namespace mlir::quant_ste {
#define GEN_PASS_DEF_CONVERTQUANTTOQUANTSTEPASS
#include "quant_ste/Conversion/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir;
using namespace mlir::quant_ste;

namespace {
/// Scales and zero points, and the dimensions of the data that they run along;
/// of data whose dimensions are split into blocks, `expanded` is its shape.
struct Parameters {
  SmallVector<double> scales;
  SmallVector<int64_t> zeroPoints;
  SmallVector<int64_t> shape;
  std::optional<SmallVector<int64_t>> axes;
  std::optional<SmallVector<int64_t>> expanded;
  SmallVector<ReassociationIndices> groups;
};
} // namespace

static FailureOr<Parameters> getParameters(Operation *op,
                                           quant::QuantizedType type,
                                           Type dataType, std::string &why) {
  Parameters p;
  if (auto tensor = dyn_cast<quant::UniformQuantizedType>(type)) {
    p.scales = {tensor.getScale()};
    p.zeroPoints = {tensor.getZeroPoint()};
    return p;
  }
  if (auto axis = dyn_cast<quant::UniformQuantizedPerAxisType>(type)) {
    p.scales = llvm::to_vector(axis.getScales());
    p.zeroPoints = llvm::to_vector(axis.getZeroPoints());
    p.shape = {static_cast<int64_t>(p.scales.size())};
    p.axes = {{axis.getQuantizedDimension()}};
    return p;
  }
  auto blocks = dyn_cast<quant::UniformQuantizedSubChannelType>(type);
  if (!blocks) {
    why = llvm::formatv("expected a uniform type, got {0}", type);
    return failure();
  }
  auto data = dyn_cast<RankedTensorType>(dataType);
  if (!data || !data.hasStaticShape()) {
    why = llvm::formatv("expected a static shape to split into blocks, got {0}",
                        dataType);
    return failure();
  }
  for (APFloat scale : blocks.getScales().getValues<APFloat>()) {
    bool losesInfo;
    scale.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                  &losesInfo);
    p.scales.push_back(scale.convertToDouble());
  }
  for (APInt zero : blocks.getZeroPoints().getValues<APInt>())
    p.zeroPoints.push_back(zero.getSExtValue());
  // One scale per block along each dimension: [N] is [N / size, size], and a
  // dimension without blocks is one block.
  SmallVector<int64_t> sizes(data.getShape());
  for (auto [dim, size] : blocks.getBlockSizeInfo())
    sizes[dim] = size;
  p.axes.emplace();
  p.expanded.emplace();
  for (auto [extent, size] : llvm::zip_equal(data.getShape(), sizes)) {
    int64_t first = p.expanded->size();
    p.groups.push_back({first, first + 1});
    p.axes->push_back(first);
    p.shape.push_back(extent / size);
    p.expanded->push_back(extent / size);
    p.expanded->push_back(size);
  }
  return p;
}

template <class T>
static Value makeConstant(OpBuilder &b, Location loc, Type element,
                          const Parameters &p, ArrayRef<T> values,
                          bool isTensor) {
  SmallVector<Attribute> attrs = llvm::map_to_vector(values, [&](T v) {
    return Attribute(b.getFloatAttr(element, static_cast<double>(v)));
  });
  if (!isTensor)
    return arith::ConstantOp::create(b, loc, cast<TypedAttr>(attrs.front()));
  return arith::ConstantOp::create(
      b, loc,
      DenseElementsAttr::get(RankedTensorType::get(p.shape, element), attrs));
}

namespace {
struct ConvertQuantToQuantSTE
    : quant_ste::impl::ConvertQuantToQuantSTEPassBase<ConvertQuantToQuantSTE> {
  using ConvertQuantToQuantSTEPassBase::ConvertQuantToQuantSTEPassBase;

  void runOnOperation() override {
    SmallVector<quant::QuantizeCastOp> quantized;
    SmallVector<quant::DequantizeCastOp> lone;
    getOperation()->walk([&](Operation *op) {
      if (auto cast = dyn_cast<quant::QuantizeCastOp>(op))
        quantized.push_back(cast);
      auto cast = dyn_cast<quant::DequantizeCastOp>(op);
      if (cast && !cast.getInput().getDefiningOp<quant::QuantizeCastOp>())
        lone.push_back(cast);
    });
    for (quant::DequantizeCastOp cast : lone)
      refuse(cast, "its input does not come from a quant.qcast");
    for (quant::QuantizeCastOp cast : quantized)
      convert(cast);
  }

  void refuse(Operation *op, const Twine &why) {
    if (partial) {
      op->emitRemark("stays: ") << why;
      return;
    }
    op->emitOpError("has no form in quant_ste: ") << why;
    signalPassFailure();
  }

  void convert(quant::QuantizeCastOp op) {
    SmallVector<Operation *> users(op->getUsers());
    for (Operation *user : users)
      if (!isa<quant::DequantizeCastOp>(user)) {
        op->emitRemark("its integers go to ") << user->getName();
        return refuse(op, "expected its results to go to quant.dcast alone");
      }
    Type dataType = op.getInput().getType();
    auto type =
        cast<quant::QuantizedType>(getElementTypeOrSelf(op.getResult()));
    std::string why;
    auto p = getParameters(op, type, dataType, why);
    if (failed(p))
      return refuse(op, why);

    OpBuilder b(op);
    Location loc = op.getLoc();
    Type element = getElementTypeOrSelf(dataType);
    // Parameters of f16 and bf16 data are held in f32, in which it computes.
    Type parameter = element.isF64() ? element : b.getF32Type();
    auto data = dyn_cast<RankedTensorType>(dataType);
    Value scale =
        makeConstant<double>(b, loc, parameter, *p, p->scales, !!data);
    Value zero =
        makeConstant<int64_t>(b, loc, parameter, *p, p->zeroPoints, !!data);
    Value x = op.getInput();
    if (p->expanded)
      x = tensor::ExpandShapeOp::create(
          b, loc, RankedTensorType::get(*p->expanded, element), x, p->groups);
    DenseI64ArrayAttr axes;
    if (p->axes)
      axes = b.getDenseI64ArrayAttr(*p->axes);
    Value y = FakeQuantizeOp::create(
        b, loc, x.getType(), x, scale, zero, axes, axes,
        b.getI64IntegerAttr(type.getStorageTypeMin()),
        b.getI64IntegerAttr(type.getStorageTypeMax()),
        ScalingAttr::get(b.getContext(), Scaling::divide),
        ZeroPointPositionAttr::get(b.getContext(), ZeroPointPosition::before),
        UnitAttr(), UnitAttr(), ClippedAttr::get(b.getContext()));
    if (p->expanded)
      y = tensor::CollapseShapeOp::create(b, loc, data, y, p->groups);
    op.emitRemark(
        "exact: of the roundings that quant leaves open, ties to even");
    for (Operation *user : users) {
      user->getResult(0).replaceAllUsesWith(y);
      user->erase();
    }
    op.erase();
  }
};
} // namespace
