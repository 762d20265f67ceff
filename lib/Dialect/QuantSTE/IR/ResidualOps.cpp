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

static int64_t bytesOfRow(int64_t bits) {
  return ShapedType::isDynamic(bits) ? bits : llvm::divideCeil(bits, 8);
}

RankedTensorType quant_ste::getPackedType(RankedTensorType bits) {
  SmallVector<int64_t> shape(bits.getShape());
  shape.back() = bytesOfRow(shape.back());
  return RankedTensorType::get(shape, IntegerType::get(bits.getContext(), 8));
}

static LogicalResult verifyPacked(Operation *op, Type bits, Type packed) {
  RankedTensorType expected = getPackedType(cast<RankedTensorType>(bits));
  if (expected == packed)
    return success();
  return op->emitOpError("expected bytes of type ")
         << expected << " for the bits of " << bits << ", got " << packed;
}

//===----------------------------------------------------------------------===//
// pack_bits
//===----------------------------------------------------------------------===//

void PackBitsOp::build(OpBuilder &, OperationState &state, Value x) {
  state.addOperands(x);
  state.addTypes(getPackedType(cast<RankedTensorType>(x.getType())));
}

LogicalResult PackBitsOp::verify() {
  return verifyPacked(*this, getX().getType(), getPacked().getType());
}

OpFoldResult PackBitsOp::fold(FoldAdaptor adaptor) {
  // Whole bytes have no bits that packing would clear.
  if (auto unpack = getX().getDefiningOp<UnpackBitsOp>()) {
    int64_t row = cast<RankedTensorType>(getX().getType()).getShape().back();
    if (!ShapedType::isDynamic(row) && row % 8 == 0)
      return unpack.getPacked();
  }
  auto bits = dyn_cast_or_null<DenseIntElementsAttr>(adaptor.getX());
  if (!bits || bits.empty())
    return {};
  int64_t row = bits.getType().getShape().back();
  SmallVector<uint8_t> bytes;
  for (auto [i, bit] : llvm::enumerate(bits.getValues<bool>())) {
    int64_t k = i % row % 8;
    if (k == 0)
      bytes.push_back(0);
    bytes.back() |= uint8_t(bit) << k;
  }
  return DenseElementsAttr::getFromRawBuffer(
      cast<ShapedType>(getPacked().getType()),
      ArrayRef(reinterpret_cast<const char *>(bytes.data()), bytes.size()));
}

//===----------------------------------------------------------------------===//
// unpack_bits
//===----------------------------------------------------------------------===//

LogicalResult UnpackBitsOp::verify() {
  auto type = cast<RankedTensorType>(getX().getType());
  bool isDynamic = type.isDynamicDim(type.getRank() - 1);
  if (isDynamic != bool(getSize()))
    return emitOpError(isDynamic
                           ? "expected the size of the last dimension of "
                           : "expected no size for the last dimension of ")
           << type << ", got " << (isDynamic ? "none" : "one");
  return verifyPacked(*this, type, getPacked().getType());
}

OpFoldResult UnpackBitsOp::fold(FoldAdaptor adaptor) {
  if (auto pack = getPacked().getDefiningOp<PackBitsOp>())
    if (!getSize() && pack.getX().getType() == getX().getType())
      return pack.getX();
  auto packed = dyn_cast_or_null<DenseIntElementsAttr>(adaptor.getPacked());
  auto type = cast<RankedTensorType>(getX().getType());
  if (!packed || !type.hasStaticShape() || packed.empty())
    return {};
  SmallVector<uint8_t> bytes(packed.getValues<uint8_t>());
  int64_t row = type.getShape().back(), rowBytes = bytesOfRow(row);
  SmallVector<bool> bits;
  for (int64_t i = 0, n = type.getNumElements(); i < n; ++i)
    bits.push_back(bytes[i / row * rowBytes + i % row / 8] >> (i % row % 8) &
                   1);
  return DenseElementsAttr::get(type, bits);
}
