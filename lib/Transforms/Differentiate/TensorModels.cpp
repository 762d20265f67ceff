//===- TensorModels.cpp - models of the tensor dialect -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// These ops move elements and are linear: the jvp is the op on tangents, the
// vjp moves the cotangent back. tensor.empty and tensor.dim read no element, so
// that nothing flows through them.
//
//===----------------------------------------------------------------------===//

#include "ModelUtils.h"
#include "quant_ste/Interfaces/DifferentiableOpInterfaces.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::quant_ste;

using Values = SmallVector<Value>;

/// What a linear op does with cotangents (tangents), as overloads on the op.
/// `t`: the cotangent of the only result; `wanted[i]`: whether operand i's is
/// asked for. `ts[i]`: operand i's tangent, null for zero.

static Value orZeros(ImplicitLocOpBuilder &b, Value t, Value like) {
  return t ? t : zerosLike(b, like);
}

/// a - b - c
static OpFoldResult subtract(ImplicitLocOpBuilder &b, OpFoldResult x,
                             OpFoldResult y, OpFoldResult z) {
  AffineExpr d0, d1, d2;
  bindDims(b.getContext(), d0, d1, d2);
  return affine::makeComposedFoldedAffineApply(b, b.getLoc(), d0 - d1 - d2,
                                               {x, y, z});
}

//===----------------------------------------------------------------------===//
// Shapes: cast, expand_shape, collapse_shape, reshape
//===----------------------------------------------------------------------===//

/// t in the shape of `like`, by a list of its sizes.
static Value reshapeLike(ImplicitLocOpBuilder &b, Value t, Value like) {
  Values sizes;
  for (OpFoldResult size : tensor::getMixedSizes(b, b.getLoc(), like))
    sizes.push_back(getValueOrCreateConstantIndexOp(b, b.getLoc(), size));
  auto type = RankedTensorType::get(sizes.size(), b.getIndexType());
  Value shape = tensor::FromElementsOp::create(b, type, sizes);
  return tensor::ReshapeOp::create(b, cast<TensorType>(like.getType()), t,
                                   shape);
}

static Values vjp(tensor::CastOp op, ImplicitLocOpBuilder &b, Value t,
                  ArrayRef<bool>) {
  return {castTo(b, t, op.getSource().getType())};
}
static Value jvp(tensor::CastOp op, ImplicitLocOpBuilder &b,
                 ArrayRef<Value> ts) {
  return castTo(b, ts[0], op.getType());
}

static Values vjp(tensor::ExpandShapeOp op, ImplicitLocOpBuilder &b, Value t,
                  ArrayRef<bool>) {
  return {tensor::CollapseShapeOp::create(b, op.getSrcType(), t,
                                          op.getReassociationIndices())};
}
static Value jvp(tensor::ExpandShapeOp op, ImplicitLocOpBuilder &b,
                 ArrayRef<Value> ts) {
  return tensor::ExpandShapeOp::create(b, op.getResultType(), ts[0],
                                       op.getReassociationIndices(),
                                       op.getMixedOutputShape());
}

static Values vjp(tensor::CollapseShapeOp op, ImplicitLocOpBuilder &b, Value t,
                  ArrayRef<bool>) {
  RankedTensorType type = op.getSrcType();
  // A group with one dynamic size is told by the cotangent; more need x.
  auto sizes = tensor::ExpandShapeOp::inferOutputShape(
      b, b.getLoc(), type, op.getReassociationIndices(),
      tensor::getMixedSizes(b, b.getLoc(), t));
  if (failed(sizes))
    sizes = tensor::getMixedSizes(b, b.getLoc(), op.getSrc());
  return {tensor::ExpandShapeOp::create(b, type, t,
                                        op.getReassociationIndices(), *sizes)};
}
static Value jvp(tensor::CollapseShapeOp op, ImplicitLocOpBuilder &b,
                 ArrayRef<Value> ts) {
  return tensor::CollapseShapeOp::create(b, op.getResultType(), ts[0],
                                         op.getReassociationIndices());
}

static FailureOr<Values> vjp(tensor::ReshapeOp op, ImplicitLocOpBuilder &b,
                             Value t, ArrayRef<bool>) {
  if (!isa<RankedTensorType>(op.getSource().getType())) {
    emitCannot(op, "expected a ranked source");
    return failure();
  }
  Values grads(op->getNumOperands());
  grads[0] = reshapeLike(b, t, op.getSource());
  return grads;
}
static Value jvp(tensor::ReshapeOp op, ImplicitLocOpBuilder &b,
                 ArrayRef<Value> ts) {
  return tensor::ReshapeOp::create(b, op.getResult().getType(), ts[0],
                                   op.getShape());
}

//===----------------------------------------------------------------------===//
// Slices: extract_slice, insert_slice, pad, concat
//===----------------------------------------------------------------------===//

static Values vjp(tensor::ExtractSliceOp op, ImplicitLocOpBuilder &b, Value t,
                  ArrayRef<bool>) {
  Values grads(op->getNumOperands());
  grads[0] = tensor::InsertSliceOp::create(
      b, t, zerosLike(b, op.getSource()), op.getMixedOffsets(),
      op.getMixedSizes(), op.getMixedStrides());
  return grads;
}
static Value jvp(tensor::ExtractSliceOp op, ImplicitLocOpBuilder &b,
                 ArrayRef<Value> ts) {
  return tensor::ExtractSliceOp::create(
      b, op.getType(), ts[0], op.getMixedOffsets(), op.getMixedSizes(),
      op.getMixedStrides());
}

static Values vjp(tensor::InsertSliceOp op, ImplicitLocOpBuilder &b, Value t,
                  ArrayRef<bool> wanted) {
  Values grads(op->getNumOperands());
  if (wanted[0])
    grads[0] = tensor::ExtractSliceOp::create(
        b, op.getSourceType(), t, op.getMixedOffsets(), op.getMixedSizes(),
        op.getMixedStrides());
  if (wanted[1]) {
    Value none = zeros(b, op.getMixedSizes(), op.getType().getElementType());
    grads[1] =
        tensor::InsertSliceOp::create(b, none, t, op.getMixedOffsets(),
                                      op.getMixedSizes(), op.getMixedStrides());
  }
  return grads;
}
static Value jvp(tensor::InsertSliceOp op, ImplicitLocOpBuilder &b,
                 ArrayRef<Value> ts) {
  Value source = orZeros(b, ts[0], op.getSource());
  Value dest = orZeros(b, ts[1], op.getDest());
  return tensor::InsertSliceOp::create(b, source, dest, op.getMixedOffsets(),
                                       op.getMixedSizes(),
                                       op.getMixedStrides());
}

static Values vjp(tensor::PadOp op, ImplicitLocOpBuilder &b, Value t,
                  ArrayRef<bool>) {
  RankedTensorType type = op.getSourceType();
  SmallVector<OpFoldResult> low = op.getMixedLowPad();
  SmallVector<OpFoldResult> high = op.getMixedHighPad();
  SmallVector<OpFoldResult> sizes;
  for (int64_t d = 0; d < type.getRank(); ++d) {
    if (!type.isDynamicDim(d)) {
      sizes.push_back(b.getIndexAttr(type.getDimSize(d)));
      continue;
    }
    OpFoldResult padded = tensor::getMixedSize(b, b.getLoc(), t, d);
    sizes.push_back(subtract(b, padded, low[d], high[d]));
  }
  SmallVector<OpFoldResult> strides(type.getRank(), b.getIndexAttr(1));
  Values grads(op->getNumOperands());
  Value slice = tensor::ExtractSliceOp::create(b, t, low, sizes, strides);
  grads[0] = castTo(b, slice, type);
  return grads;
}
static Value jvp(tensor::PadOp op, ImplicitLocOpBuilder &b,
                 ArrayRef<Value> ts) {
  Type element = op.getSourceType().getElementType();
  Value zero = arith::ConstantOp::create(b, b.getFloatAttr(element, 0.0));
  return tensor::PadOp::create(b, op.getType(), ts[0], op.getMixedLowPad(),
                               op.getMixedHighPad(), zero, op.getNofold());
}

static Values vjp(tensor::ConcatOp op, ImplicitLocOpBuilder &b, Value t,
                  ArrayRef<bool> wanted) {
  AffineExpr d0, d1;
  bindDims(b.getContext(), d0, d1);
  Values grads;
  SmallVector<OpFoldResult> offsets(op.getType().getRank(), b.getIndexAttr(0));
  SmallVector<OpFoldResult> strides(op.getType().getRank(), b.getIndexAttr(1));
  OpFoldResult &at = offsets[op.getDim()];
  for (auto [input, isWanted] : llvm::zip_equal(op.getInputs(), wanted)) {
    SmallVector<OpFoldResult> sizes =
        tensor::getMixedSizes(b, b.getLoc(), input);
    Value slice;
    if (isWanted) {
      slice = tensor::ExtractSliceOp::create(b, t, offsets, sizes, strides);
      slice = castTo(b, slice, input.getType());
    }
    grads.push_back(slice);
    at = affine::makeComposedFoldedAffineApply(b, b.getLoc(), d0 + d1,
                                               {at, sizes[op.getDim()]});
  }
  return grads;
}
static Value jvp(tensor::ConcatOp op, ImplicitLocOpBuilder &b,
                 ArrayRef<Value> ts) {
  Values inputs;
  for (auto [t, input] : llvm::zip_equal(ts, op.getInputs()))
    inputs.push_back(orZeros(b, t, input));
  return tensor::ConcatOp::create(b, op.getType(), op.getDim(), inputs);
}

//===----------------------------------------------------------------------===//
// Elements: extract, insert, from_elements, splat
//===----------------------------------------------------------------------===//

static Values vjp(tensor::ExtractOp op, ImplicitLocOpBuilder &b, Value t,
                  ArrayRef<bool>) {
  Values grads(op->getNumOperands());
  grads[0] = tensor::InsertOp::create(b, t, zerosLike(b, op.getTensor()),
                                      op.getIndices());
  return grads;
}
static Value jvp(tensor::ExtractOp op, ImplicitLocOpBuilder &b,
                 ArrayRef<Value> ts) {
  return tensor::ExtractOp::create(b, ts[0], op.getIndices());
}

static Values vjp(tensor::InsertOp op, ImplicitLocOpBuilder &b, Value t,
                  ArrayRef<bool> wanted) {
  Values grads(op->getNumOperands());
  if (wanted[0])
    grads[0] = tensor::ExtractOp::create(b, t, op.getIndices());
  if (wanted[1])
    grads[1] = tensor::InsertOp::create(b, zerosLike(b, op.getScalar()), t,
                                        op.getIndices());
  return grads;
}
static Value jvp(tensor::InsertOp op, ImplicitLocOpBuilder &b,
                 ArrayRef<Value> ts) {
  Value scalar = orZeros(b, ts[0], op.getScalar());
  Value dest = orZeros(b, ts[1], op.getDest());
  return tensor::InsertOp::create(b, scalar, dest, op.getIndices());
}

static Values vjp(tensor::FromElementsOp op, ImplicitLocOpBuilder &b, Value t,
                  ArrayRef<bool> wanted) {
  Values grads;
  ArrayRef<int64_t> shape = op.getType().getShape();
  for (auto [i, isWanted] : llvm::enumerate(wanted)) {
    Value element;
    if (isWanted) {
      // Elements are listed in row-major order.
      Values at(shape.size());
      int64_t rest = i;
      for (int64_t d = shape.size() - 1; d >= 0; --d) {
        at[d] = arith::ConstantIndexOp::create(b, rest % shape[d]);
        rest /= shape[d];
      }
      element = tensor::ExtractOp::create(b, t, at);
    }
    grads.push_back(element);
  }
  return grads;
}
static Value jvp(tensor::FromElementsOp op, ImplicitLocOpBuilder &b,
                 ArrayRef<Value> ts) {
  Values elements;
  for (auto [t, element] : llvm::zip_equal(ts, op.getElements()))
    elements.push_back(orZeros(b, t, element));
  return tensor::FromElementsOp::create(b, op.getType(), elements);
}

static Values vjp(tensor::SplatOp op, ImplicitLocOpBuilder &b, Value t,
                  ArrayRef<bool>) {
  FloatType sumType = accumulatorType(op.getInput().getType());
  unsigned rank = op.getType().getRank();
  Value start = zeros(b, {}, sumType);
  auto sum = linalg::ReduceOp::create(
      b, t, start, llvm::to_vector(llvm::seq<int64_t>(0, rank)),
      [&](OpBuilder &nested, Location loc, ValueRange args) {
        ImplicitLocOpBuilder body(loc, nested);
        Value term = convertFloat(body, args[0], sumType);
        Value next = arith::AddFOp::create(body, args[1], term);
        linalg::YieldOp::create(body, next);
      });
  Value scalar = tensor::ExtractOp::create(b, sum->getResult(0), ValueRange());
  Values grads(op->getNumOperands());
  grads[0] = convertFloat(b, scalar, op.getInput().getType());
  return grads;
}
static Value jvp(tensor::SplatOp op, ImplicitLocOpBuilder &b,
                 ArrayRef<Value> ts) {
  return tensor::SplatOp::create(b, op.getType(), ts[0], op.getDynamicSizes());
}

//===----------------------------------------------------------------------===//
// The models
//===----------------------------------------------------------------------===//

namespace {
template <class Op>
struct LinearVjp : VjpOpInterface::ExternalModel<LinearVjp<Op>, Op> {
  FailureOr<SmallVector<Value>> buildVjp(Operation *op, OpBuilder &builder,
                                         ArrayRef<Value> cotangents,
                                         ArrayRef<bool> wanted) const {
    ImplicitLocOpBuilder b(op->getLoc(), builder);
    return vjp(cast<Op>(op), b, cotangents[0], wanted);
  }
};

template <class Op>
struct LinearJvp : JvpOpInterface::ExternalModel<LinearJvp<Op>, Op> {
  FailureOr<SmallVector<Value>> buildJvp(Operation *op, OpBuilder &builder,
                                         ArrayRef<Value> tangents) const {
    ImplicitLocOpBuilder b(op->getLoc(), builder);
    return SmallVector<Value>{jvp(cast<Op>(op), b, tangents)};
  }
};

template <class... Ops> void attachLinear(MLIRContext *ctx) {
  (Ops::template attachInterface<LinearVjp<Ops>, LinearJvp<Ops>>(*ctx), ...);
}
} // namespace

void quant_ste::registerTensorModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *ctx, tensor::TensorDialect *) {
    attachLinear<tensor::CastOp, tensor::CollapseShapeOp, tensor::ConcatOp,
                 tensor::ExpandShapeOp, tensor::ExtractOp,
                 tensor::ExtractSliceOp, tensor::FromElementsOp,
                 tensor::InsertOp, tensor::InsertSliceOp, tensor::PadOp,
                 tensor::ReshapeOp, tensor::SplatOp>(ctx);
  });
}
