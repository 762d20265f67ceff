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

using namespace mlir;
using namespace mlir::quant_ste;
using utils::IteratorType;

/// (..., j) -> (..., j floordiv 8)
static AffineMap byteMap(OpBuilder &b, int64_t rank) {
  auto results = llvm::to_vector(b.getMultiDimIdentityMap(rank).getResults());
  results.back() = results.back().floorDiv(8);
  return AffineMap::get(rank, 0, results, b.getContext());
}

/// The place of the current bit in its byte, as an i8.
static Value emitPlace(ImplicitLocOpBuilder &b, int64_t rank) {
  Value j = linalg::IndexOp::create(b, rank - 1);
  Value eight = arith::ConstantIndexOp::create(b, 8);
  Value place = arith::RemUIOp::create(b, j, eight);
  return arith::IndexCastOp::create(b, b.getI8Type(), place);
}

Value quant_ste::buildPackBits(OpBuilder &builder, PackBitsOp op) {
  ImplicitLocOpBuilder b(op.getLoc(), builder);
  auto type = cast<RankedTensorType>(op.getPacked().getType());
  int64_t rank = type.getRank();
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(b, op.getLoc(), op.getX());
  sizes.back() = affine::makeComposedFoldedAffineApply(
      b, op.getLoc(), b.getAffineDimExpr(0).ceilDiv(8), {sizes.back()});
  Value init = tensor::EmptyOp::create(b, sizes, type.getElementType());
  SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(rank), byteMap(b, rank)};
  // Bits of a byte come one after the other.
  SmallVector<IteratorType> iterators(rank, IteratorType::parallel);
  iterators.back() = IteratorType::reduction;
  auto body = [&](OpBuilder &nested, Location loc, ValueRange args) {
    ImplicitLocOpBuilder inner(loc, nested);
    Value place = emitPlace(inner, rank);
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
  int64_t rank = type.getRank();
  SmallVector<OpFoldResult> sizes =
      tensor::getMixedSizes(b, op.getLoc(), op.getPacked());
  sizes.back() = op.getSize() ? OpFoldResult(op.getSize())
                              : b.getIndexAttr(type.getShape().back());
  Value init = tensor::EmptyOp::create(b, sizes, type.getElementType());
  SmallVector<AffineMap> maps{byteMap(b, rank), b.getMultiDimIdentityMap(rank)};
  SmallVector<IteratorType> iterators(rank, IteratorType::parallel);
  auto body = [&](OpBuilder &nested, Location loc, ValueRange args) {
    ImplicitLocOpBuilder inner(loc, nested);
    Value place = emitPlace(inner, rank);
    Value shifted = arith::ShRUIOp::create(inner, args[0], place);
    Value bit = arith::TruncIOp::create(inner, inner.getI1Type(), shifted);
    linalg::YieldOp::create(inner, bit);
  };
  return linalg::GenericOp::create(b, TypeRange{type},
                                   ValueRange{op.getPacked()}, ValueRange{init},
                                   maps, iterators, body)
      .getResult(0);
}
