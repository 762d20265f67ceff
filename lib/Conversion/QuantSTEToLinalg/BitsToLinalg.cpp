//===- BitsToLinalg.cpp - packed bits as linalg.generic -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Both are loops over the bits, so that they fuse with what makes or reads the
// booleans. StreamKernel knows these bodies and turns them into whole-vector
// moves of bits; where it does not, they are right as they stand, run in order.
//
//===----------------------------------------------------------------------===//

#include "BitsToLinalg.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "quant_ste/Transforms/PackedBits.h"

using namespace mlir;
using namespace mlir::quant_ste;
using utils::IteratorType;

/// The place of the current bit in its byte, as an i8.
static Value emitPlace(ImplicitLocOpBuilder &b, ArrayRef<int64_t> shape,
                       int64_t rowDims) {
  AffineExpr place = getPlaceInRow(shape, rowDims, b.getContext()) % 8;
  SmallVector<Value> indices;
  for (unsigned d = 0; d < shape.size(); ++d)
    indices.push_back(linalg::IndexOp::create(b, d));
  Value inByte = affine::AffineApplyOp::create(
      b, b.getLoc(), AffineMap::get(shape.size(), 0, place), indices);
  return arith::IndexCastOp::create(b, b.getI8Type(), inByte);
}

Value quant_ste::buildPackBits(OpBuilder &builder, PackBitsOp op) {
  ImplicitLocOpBuilder b(op.getLoc(), builder);
  auto type = cast<RankedTensorType>(op.getPacked().getType());
  ArrayRef<int64_t> shape =
      cast<RankedTensorType>(op.getX().getType()).getShape();
  int64_t rank = shape.size(), rowDims = op.getRowDims();
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(b, op.getLoc(), op.getX());
  sizes.truncate(rank - rowDims + 1);
  int64_t inner = getRowSize(shape, rowDims - 1);
  sizes.back() = affine::makeComposedFoldedAffineApply(
      b, op.getLoc(), (b.getAffineDimExpr(0) * inner).ceilDiv(8),
      {sizes.back()});
  Value init = tensor::EmptyOp::create(b, sizes, type.getElementType());
  SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(rank),
                              getByteMap(shape, rowDims, b.getContext())};
  // Bits of a byte come one after the other.
  SmallVector<IteratorType> iterators(rank - rowDims, IteratorType::parallel);
  iterators.append(rowDims, IteratorType::reduction);
  auto body = [&](OpBuilder &nested, Location loc, ValueRange args) {
    ImplicitLocOpBuilder inner(loc, nested);
    Value place = emitPlace(inner, shape, rowDims);
    Value zero = arith::ConstantIntOp::create(inner, 0, 8);
    Value isFirst =
        arith::CmpIOp::create(inner, arith::CmpIPredicate::eq, place, zero);
    Value bit = arith::ExtUIOp::create(inner, inner.getI8Type(), args[0]);
    Value shifted = arith::ShLIOp::create(inner, bit, place);
    Value before = arith::SelectOp::create(inner, isFirst, zero, args[1]);
    Value byte = arith::OrIOp::create(inner, before, shifted);
    linalg::YieldOp::create(inner, byte);
  };
  return linalg::GenericOp::create(b, TypeRange{type}, ValueRange{op.getX()},
                                   ValueRange{init}, maps, iterators, body)
      .getResult(0);
}

Value quant_ste::buildUnpackBits(OpBuilder &builder, UnpackBitsOp op) {
  ImplicitLocOpBuilder b(op.getLoc(), builder);
  auto type = cast<RankedTensorType>(op.getX().getType());
  ArrayRef<int64_t> shape = type.getShape();
  int64_t rank = shape.size(), rowDims = op.getRowDims();
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(b, op.getLoc(), op.getPacked());
  sizes.pop_back();
  for (int64_t size : shape.take_back(rowDims))
    sizes.push_back(ShapedType::isDynamic(size) ? OpFoldResult(op.getSize())
                                                : b.getIndexAttr(size));
  Value init = tensor::EmptyOp::create(b, sizes, type.getElementType());
  SmallVector<AffineMap> maps{getByteMap(shape, rowDims, b.getContext()),
                              b.getMultiDimIdentityMap(rank)};
  SmallVector<IteratorType> iterators(rank, IteratorType::parallel);
  auto body = [&](OpBuilder &nested, Location loc, ValueRange args) {
    ImplicitLocOpBuilder inner(loc, nested);
    Value place = emitPlace(inner, shape, rowDims);
    Value shifted = arith::ShRUIOp::create(inner, args[0], place);
    Value bit = arith::TruncIOp::create(inner, inner.getI1Type(), shifted);
    linalg::YieldOp::create(inner, bit);
  };
  return linalg::GenericOp::create(b, TypeRange{type},
                                   ValueRange{op.getPacked()}, ValueRange{init},
                                   maps, iterators, body)
      .getResult(0);
}
