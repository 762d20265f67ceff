//===- ModelUtils.cpp - what gradient models are built of -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModelUtils.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"
#include "quant_ste/Transforms/Differentiate.h"

using namespace mlir;
using namespace mlir::quant_ste;

InFlightDiagnostic quant_ste::emitCannot(Operation *op, const Twine &why) {
  return op->emitError("cannot differentiate '")
         << op->getName() << "': " << why;
}

InFlightDiagnostic quant_ste::emitNoRule(Operation *op, StringRef interface,
                                         StringRef attribute) {
  InFlightDiagnostic diag =
      emitCannot(op, "it has no gradient rule (" + interface + ")");
  diag.attachNote() << "stop the gradient with quant_ste.detach, or give the "
                       "function around it a rule of its own (attribute "
                    << attribute << ")";
  return diag;
}

Value quant_ste::constantLike(ImplicitLocOpBuilder &b, TypedAttr element,
                              Value like) {
  auto shaped = dyn_cast<ShapedType>(like.getType());
  if (!shaped)
    return arith::ConstantOp::create(b, element);
  if (shaped.hasStaticShape())
    return arith::ConstantOp::create(
        b, DenseElementsAttr::get(shaped.clone(element.getType()),
                                  ArrayRef<Attribute>(element)));
  Value scalar = arith::ConstantOp::create(b, element);
  Value init = tensor::EmptyOp::create(
      b, tensor::getMixedSizes(b, b.getLoc(), like), element.getType());
  return linalg::FillOp::create(b, scalar, init).getResult(0);
}

Value quant_ste::floatLike(ImplicitLocOpBuilder &b, double literal,
                           Value like) {
  Type type = getElementTypeOrSelf(like.getType());
  return constantLike(b, b.getFloatAttr(type, literal), like);
}

Value quant_ste::zeros(ImplicitLocOpBuilder &b, ArrayRef<OpFoldResult> sizes,
                       Type elementType) {
  Value zero = arith::ConstantOp::create(b, b.getFloatAttr(elementType, 0.0));
  Value init = tensor::EmptyOp::create(b, sizes, elementType);
  return linalg::FillOp::create(b, zero, init).getResult(0);
}

Value quant_ste::zerosLike(ImplicitLocOpBuilder &b, Value like) {
  auto tensor = dyn_cast<RankedTensorType>(like.getType());
  if (!tensor)
    return floatLike(b, 0.0, like);
  return zeros(b, tensor::getMixedSizes(b, b.getLoc(), like),
               tensor.getElementType());
}

Value quant_ste::convertFloat(ImplicitLocOpBuilder &b, Value v, Type to) {
  auto from = cast<FloatType>(getElementTypeOrSelf(v.getType()));
  auto element = cast<FloatType>(getElementTypeOrSelf(to));
  if (from == element)
    return v;
  Type type = element;
  if (auto shaped = dyn_cast<ShapedType>(v.getType()))
    type = shaped.clone(element);
  if (from.getWidth() < element.getWidth())
    return arith::ExtFOp::create(b, type, v);
  if (from.getWidth() > element.getWidth())
    return arith::TruncFOp::create(b, type, v);
  // f16 and bf16: neither holds the other.
  Type wide = b.getF32Type();
  if (auto shaped = dyn_cast<ShapedType>(v.getType()))
    wide = shaped.clone(wide);
  Value widened = arith::ExtFOp::create(b, wide, v);
  return arith::TruncFOp::create(b, type, widened);
}

Value quant_ste::castTo(ImplicitLocOpBuilder &b, Value v, Type type) {
  return v.getType() == type ? v : tensor::CastOp::create(b, type, v);
}

FloatType quant_ste::accumulatorType(Type type) {
  auto element = cast<FloatType>(getElementTypeOrSelf(type));
  return element.getWidth() < 32 ? Float32Type::get(type.getContext())
                                 : element;
}

void quant_ste::registerDifferentiableModels(DialectRegistry &registry) {
  registerArithMathModels(registry);
  registerFuncModels(registry);
  registerLinalgModels(registry);
  registerSCFModels(registry);
  registerStatisticsModels(registry);
  registerTensorModels(registry);
}
