//===- ResidualOps.cpp - what a backward keeps -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::quant_ste;

int64_t quant_ste::getRowSize(ArrayRef<int64_t> shape, int64_t rowDims) {
  int64_t size = 1;
  for (int64_t d : shape.take_back(rowDims)) {
    if (ShapedType::isDynamic(d))
      return d;
    size *= d;
  }
  return size;
}

RankedTensorType quant_ste::getPackedType(RankedTensorType bits,
                                          int64_t rowDims) {
  SmallVector<int64_t> shape(bits.getShape().drop_back(rowDims));
  int64_t row = getRowSize(bits.getShape(), rowDims);
  shape.push_back(ShapedType::isDynamic(row) ? row : llvm::divideCeil(row, 8));
  return RankedTensorType::get(shape, IntegerType::get(bits.getContext(), 8));
}

static LogicalResult verifyPacked(Operation *op, Type bits, Type packed,
                                  int64_t rowDims) {
  auto type = cast<RankedTensorType>(bits);
  if (rowDims < 1 || rowDims > type.getRank())
    return op->emitOpError("expected row_dims from 1 to the rank of ")
           << type << ", got " << rowDims;
  ArrayRef<int64_t> inner = type.getShape().take_back(rowDims - 1);
  if (ShapedType::isDynamicShape(inner))
    return op->emitOpError("expected static sizes after the first of the ")
           << rowDims << " dimensions that make a row, got " << type;
  RankedTensorType expected = getPackedType(type, rowDims);
  if (expected == packed)
    return success();
  return op->emitOpError("expected bytes of type ")
         << expected << " for the bits of " << bits << ", got " << packed;
}

//===----------------------------------------------------------------------===//
// pack_bits
//===----------------------------------------------------------------------===//

LogicalResult PackBitsOp::verify() {
  return verifyPacked(*this, getX().getType(), getPacked().getType(),
                      getRowDims());
}

OpFoldResult PackBitsOp::fold(FoldAdaptor adaptor) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(getX().getType()).getShape();
  int64_t row = quant_ste::getRowSize(shape, getRowDims());
  // Whole bytes have no bits that packing would clear.
  if (auto unpack = getX().getDefiningOp<UnpackBitsOp>())
    if (unpack.getPacked().getType() == getPacked().getType() &&
        unpack.getRowDims() == getRowDims() && !ShapedType::isDynamic(row) &&
        row % 8 == 0)
      return unpack.getPacked();
  auto bits = dyn_cast_or_null<DenseIntElementsAttr>(adaptor.getX());
  if (!bits || bits.empty())
    return {};
  SmallVector<uint8_t> bytes;
  for (auto [i, bit] : llvm::enumerate(bits.getValues<bool>())) {
    int64_t k = static_cast<int64_t>(i) % row % 8;
    if (k == 0)
      bytes.push_back(0);
    bytes.back() |= static_cast<uint8_t>(bit) << k;
  }
  return DenseElementsAttr::get(cast<ShapedType>(getPacked().getType()),
                                ArrayRef<uint8_t>(bytes));
}

//===----------------------------------------------------------------------===//
// unpack_bits
//===----------------------------------------------------------------------===//

LogicalResult UnpackBitsOp::verify() {
  auto type = cast<RankedTensorType>(getX().getType());
  if (failed(verifyPacked(*this, type, getPacked().getType(), getRowDims())))
    return failure();
  bool isDynamic = type.isDynamicDim(type.getRank() - getRowDims());
  if (isDynamic == bool(getSize()))
    return success();
  return emitOpError(isDynamic ? "expected" : "expected no")
         << " size for the first dimension of a row of " << type << ", got "
         << (isDynamic ? "none" : "one");
}

OpFoldResult UnpackBitsOp::fold(FoldAdaptor adaptor) {
  auto type = cast<RankedTensorType>(getX().getType());
  if (auto pack = getPacked().getDefiningOp<PackBitsOp>())
    if (!getSize() && pack.getX().getType() == type &&
        pack.getRowDims() == getRowDims())
      return pack.getX();
  auto packed = dyn_cast_or_null<DenseIntElementsAttr>(adaptor.getPacked());
  if (!packed || !type.hasStaticShape() || packed.empty())
    return {};
  SmallVector<uint8_t> bytes(packed.getValues<uint8_t>());
  int64_t row = quant_ste::getRowSize(type.getShape(), getRowDims());
  int64_t rowBytes = llvm::divideCeil(row, 8);
  SmallVector<bool> bits;
  for (int64_t i = 0, n = type.getNumElements(); i < n; ++i)
    bits.push_back(bytes[i / row * rowBytes + i % row / 8] >> (i % row % 8) &
                   1);
  return DenseElementsAttr::get(type, bits);
}
