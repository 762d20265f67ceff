//===- BitMoves.cpp - vectors of bits to and from memory -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A vector of i1 is a mask register on AVX-512: as bytes it is one kmov. AVX2
// and SSE have movmsk.
//
//===----------------------------------------------------------------------===//

#include "BitMoves.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace mlir::quant_ste;

static SmallVector<Value> toBytes(ImplicitLocOpBuilder &b, ValueRange at) {
  SmallVector<Value> bytes(at);
  Value three = arith::ConstantIndexOp::create(b, 3);
  bytes.back() = b.createOrFold<arith::ShRUIOp>(bytes.back(), three);
  return bytes;
}

static VectorType bytesOf(ImplicitLocOpBuilder &b, int64_t width) {
  return VectorType::get({width / 8}, b.getI8Type());
}

/// The bytes that have a bit which exists.
static Value toByteMask(ImplicitLocOpBuilder &b, Value mask) {
  VectorType type = bytesOf(b, cast<VectorType>(mask.getType()).getDimSize(0));
  Value bytes = vector::BitCastOp::create(b, type, mask);
  Value zero = arith::ConstantOp::create(b, type, b.getZeroAttr(type));
  return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, bytes, zero);
}

Value quant_ste::loadBits(ImplicitLocOpBuilder &b, Value buffer, ValueRange at,
                          int64_t width, Value mask) {
  VectorType type = bytesOf(b, width);
  SmallVector<Value> byteAt = toBytes(b, at);
  Value bytes;
  if (mask) {
    Value zero = arith::ConstantOp::create(b, type, b.getZeroAttr(type));
    bytes = vector::MaskedLoadOp::create(b, type, buffer, byteAt,
                                         toByteMask(b, mask), zero);
  } else {
    bytes = vector::LoadOp::create(b, type, buffer, byteAt);
  }
  return vector::BitCastOp::create(b, VectorType::get({width}, b.getI1Type()),
                                   bytes);
}

void quant_ste::storeBits(ImplicitLocOpBuilder &b, Value buffer, ValueRange at,
                          Value booleans, Value mask) {
  SmallVector<Value> byteAt = toBytes(b, at);
  if (mask)
    booleans = arith::AndIOp::create(b, booleans, mask);
  VectorType type =
      bytesOf(b, cast<VectorType>(booleans.getType()).getDimSize(0));
  Value bytes = vector::BitCastOp::create(b, type, booleans);
  if (mask)
    vector::MaskedStoreOp::create(b, buffer, byteAt, toByteMask(b, mask),
                                  bytes);
  else
    vector::StoreOp::create(b, bytes, buffer, byteAt);
}

//===----------------------------------------------------------------------===//
// Without mask registers
//===----------------------------------------------------------------------===//

/// f(0), f(1), ... as a vector of i32.
static Value makeLanes(ImplicitLocOpBuilder &b, int64_t width,
                       function_ref<int32_t(int64_t)> f) {
  auto lanes =
      llvm::to_vector(llvm::map_range(llvm::seq<int64_t>(0, width), f));
  auto type = VectorType::get({width}, b.getI32Type());
  return arith::ConstantOp::create(
      b, DenseElementsAttr::get(type, ArrayRef<int32_t>(lanes)));
}

Value quant_ste::shiftBitsOut(ImplicitLocOpBuilder &b, Value buffer,
                              ValueRange at, int64_t width) {
  Value byte = memref::LoadOp::create(b, buffer, toBytes(b, at));
  byte = arith::ExtUIOp::create(b, b.getI32Type(), byte);
  if (width < 8) {
    Value seven = arith::ConstantIndexOp::create(b, 7);
    Value place = arith::AndIOp::create(b, at.back(), seven);
    place = arith::IndexCastUIOp::create(b, b.getI32Type(), place);
    byte = arith::ShRUIOp::create(b, byte, place);
  }
  Value single = makeLanes(b, width, [](int64_t i) { return 1 << i; });
  Type type = single.getType();
  Value lanes = vector::BroadcastOp::create(b, type, byte);
  lanes = arith::AndIOp::create(b, lanes, single);
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(type));
  return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, lanes, zero);
}

void quant_ste::shiftBitsIn(ImplicitLocOpBuilder &b, Value buffer,
                            ValueRange at, Value booleans, Value mask) {
  assert(cast<VectorType>(booleans.getType()).getDimSize(0) == 8 &&
         "a byte has one writer");
  if (mask)
    booleans = arith::AndIOp::create(b, booleans, mask);
  Value single = makeLanes(b, 8, [](int64_t i) { return 1 << i; });
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(single.getType()));
  Value lanes = arith::SelectOp::create(b, booleans, single, zero);
  Value byte = vector::ReductionOp::create(b, vector::CombiningKind::OR, lanes);
  byte = arith::TruncIOp::create(b, b.getI8Type(), byte);
  memref::StoreOp::create(b, byte, buffer, toBytes(b, at));
}
