//===- ExpandMinifloats.cpp - conversions of 8-bit floats -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM has no 8-bit floats; MLIR stores them as i8. The formats are those of
// OCP 8-bit Floating Point Specification (OFP8), 2023.
//
//===----------------------------------------------------------------------===//

#include "ExpandMinifloats.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::quant_ste;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

namespace {
struct Format {
  int mantissaBits, bias;
  /// The code that everything too large becomes.
  int overflow;
  /// Values from here on are too large, or, if `!isAt`, beyond it.
  float limit;
  bool isAt;
};
} // namespace

/// 448 is the largest f8E4M3FN; the next would be 480, a NaN's place.
static constexpr Format kE4M3FN = {3, 7, 0x7f, 464, false};
/// 57344 is the largest f8E5M2; the next would be 65536.
static constexpr Format kE5M2 = {2, 15, 0x7c, 61440, true};

static const Format *getFormat(Type type) {
  return llvm::TypeSwitch<Type, const Format *>(getElementTypeOrSelf(type))
      .Case([](Float8E4M3FNType) { return &kE4M3FN; })
      .Case([](Float8E5M2Type) { return &kE5M2; })
      .Default([](Type) { return nullptr; });
}

static bool isMinifloat(Type type) {
  Type element = getElementTypeOrSelf(type);
  return isa<FloatType>(element) && element.getIntOrFloatBitWidth() == 8;
}

static Type withElement(Type like, Type element) {
  auto shaped = dyn_cast<ShapedType>(like);
  return shaped ? shaped.clone(element) : element;
}

namespace {
/// Ops on values shaped like one type.
struct Lanes {
  ImplicitLocOpBuilder &b;
  Type like;

  Type f32() { return withElement(like, b.getF32Type()); }
  Type i32() { return withElement(like, b.getI32Type()); }
  Type i8() { return withElement(like, b.getI8Type()); }
  Value constant(Type type, TypedAttr scalar) {
    if (auto shaped = dyn_cast<ShapedType>(type))
      return arith::ConstantOp::create(
          b, DenseElementsAttr::get(shaped, Attribute(scalar)));
    return arith::ConstantOp::create(b, scalar);
  }
  Value integer(int64_t v) {
    return constant(i32(), b.getI32IntegerAttr(static_cast<int32_t>(v)));
  }
  Value real(float v) { return constant(f32(), b.getF32FloatAttr(v)); }
  Value bitsOf(Value x) { return arith::BitcastOp::create(b, i32(), x); }
  Value floatOf(Value bits) { return arith::BitcastOp::create(b, f32(), bits); }
  Value less(Value x, Value y) {
    return arith::CmpIOp::create(b, CmpIPredicate::ult, x, y);
  }
};
} // namespace

/// The sign of f32's bits as that of a code.
static Value getSign(Lanes &l, Value bits) {
  Value shift = l.integer(24), mask = l.integer(0x80);
  Value top = arith::ShRUIOp::create(l.b, bits, shift);
  return arith::AndIOp::create(l.b, top, mask);
}

/// The code of a NaN without its sign: quiet, with what fits of the payload.
static Value getNaN(Lanes &l, const Format &format, Value magnitude) {
  if (&format == &kE4M3FN)
    return l.integer(0x7f);
  Value shift = l.integer(23 - format.mantissaBits), mask = l.integer(0x3);
  Value payload = arith::ShRUIOp::create(l.b, magnitude, shift);
  payload = arith::AndIOp::create(l.b, payload, mask);
  Value quiet = l.integer(0x7e);
  return arith::OrIOp::create(l.b, payload, quiet);
}

/// Codes as i32 by integer arithmetic. A normal one is what is left of f32's
/// bits, rounded, less the difference of the biases. A subnormal one is the
/// mantissa of the sum with a number whose last bit is the format's smallest.
static Value encode(Lanes &l, const Format &format, Value x) {
  ImplicitLocOpBuilder &b = l.b;
  int drop = 23 - format.mantissaBits;
  Value bits = l.bitsOf(x);
  Value magnitude = arith::AndIOp::create(b, bits, l.integer(0x7fffffff));
  Value dropped = l.integer(drop), one = l.integer(1);
  Value odd = arith::ShRUIOp::create(b, magnitude, dropped);
  odd = arith::AndIOp::create(b, odd, one);
  Value half = l.integer((1 << (drop - 1)) - 1);
  Value normal = arith::AddIOp::create(b, magnitude, half);
  normal = arith::AddIOp::create(b, normal, odd);
  normal = arith::ShRUIOp::create(b, normal, dropped);
  Value rebias = l.integer((127 - format.bias) << format.mantissaBits);
  normal = arith::SubIOp::create(b, normal, rebias);
  Value largest = l.integer(format.overflow);
  Value fits = l.less(normal, largest);
  normal = arith::SelectOp::create(b, fits, normal, largest);

  // 2^23 times the smallest subnormal.
  int exponent = 127 + 23 + 1 - format.bias - format.mantissaBits;
  Value base = l.integer(static_cast<int64_t>(exponent) << 23);
  Value baseValue = l.floatOf(base), small = l.floatOf(magnitude);
  Value sum = arith::AddFOp::create(b, small, baseValue);
  Value subnormal = arith::SubIOp::create(b, l.bitsOf(sum), base);
  Value smallest = l.integer((128 - format.bias) << 23);
  Value isSubnormal = l.less(magnitude, smallest);
  Value code = arith::SelectOp::create(b, isSubnormal, subnormal, normal);
  Value infinity = l.integer(0x7f800000);
  Value isNaN = l.less(infinity, magnitude);
  Value nan = getNaN(l, format, magnitude);
  code = arith::SelectOp::create(b, isNaN, nan, code);
  return arith::OrIOp::create(b, code, getSign(l, bits));
}

/// cvt.rn.satfinite of each two, in i8; of one beside a zero.
static Value convertBySaturation(Lanes &l, Type to, Value x) {
  ImplicitLocOpBuilder &b = l.b;
  Type word = b.getI16Type();
  auto convert = [&](Value high, Value low) -> Value {
    return NVVM::ConvertF32x2ToF8x2Op::create(
        b, word, high, low, NVVM::FPRoundingMode::RN,
        NVVM::SaturationMode::SATFINITE, /*relu=*/false,
        getElementTypeOrSelf(to));
  };
  auto type = dyn_cast<VectorType>(x.getType());
  Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0));
  if (!type)
    return arith::TruncIOp::create(b, b.getI8Type(), convert(zero, x));
  if (type.getRank() != 1 || type.isScalable())
    return {};
  int64_t size = type.getDimSize(0);
  SmallVector<Value> words;
  for (int64_t i = 0; i < size; i += 2) {
    Value low = vector::ExtractOp::create(b, x, i);
    Value high = zero;
    if (i + 1 < size)
      high = vector::ExtractOp::create(b, x, i + 1);
    words.push_back(convert(high, low));
  }
  auto wide = VectorType::get({static_cast<int64_t>(words.size())}, word);
  Value all = vector::FromElementsOp::create(b, wide, words);
  all = vector::BitCastOp::create(
      b, VectorType::get({2 * wide.getDimSize(0)}, b.getI8Type()), all);
  if (size % 2)
    all = vector::ExtractStridedSliceOp::create(b, all, ArrayRef<int64_t>{0},
                                                ArrayRef<int64_t>{size},
                                                ArrayRef<int64_t>{1});
  return all;
}

/// The instruction makes the largest number of what is too large, and its own
/// NaN.
static Value encodeByInstruction(Lanes &l, const Format &format, Type to,
                                 Value x) {
  ImplicitLocOpBuilder &b = l.b;
  Value code = convertBySaturation(l, to, x);
  if (!code)
    return code;
  Value bits = l.bitsOf(x);
  Value magnitude = arith::AndIOp::create(b, bits, l.integer(0x7fffffff));
  Value size = l.floatOf(magnitude), limit = l.real(format.limit);
  // True of NaN, too.
  Value isSpecial = arith::CmpFOp::create(
      b, format.isAt ? CmpFPredicate::UGE : CmpFPredicate::UGT, size, limit);
  Value special = l.integer(format.overflow);
  Value infinity = l.integer(0x7f800000);
  Value isNaN = l.less(infinity, magnitude);
  Value nan = getNaN(l, format, magnitude);
  special = arith::SelectOp::create(b, isNaN, nan, special);
  special = arith::OrIOp::create(b, special, getSign(l, bits));
  special = arith::TruncIOp::create(b, l.i8(), special);
  return arith::SelectOp::create(b, isSpecial, special, code);
}

/// f32 of a code. f8E5M2 is the upper half of f16. The bits of f8E4M3FN, moved
/// to their places in f32, are too small by the difference of the biases.
static Value decode(Lanes &l, const Format &format, Value code) {
  ImplicitLocOpBuilder &b = l.b;
  if (&format == &kE5M2) {
    Type i16 = withElement(l.like, b.getI16Type());
    Type f16 = withElement(l.like, b.getF16Type());
    Value wide = arith::ExtUIOp::create(b, i16, code);
    Value shift = l.constant(i16, b.getI16IntegerAttr(8));
    wide = arith::ShLIOp::create(b, wide, shift);
    Value half = arith::BitcastOp::create(b, f16, wide);
    return arith::ExtFOp::create(b, l.f32(), half);
  }
  Value wide = arith::ExtUIOp::create(b, l.i32(), code);
  Value magnitude = arith::AndIOp::create(b, wide, l.integer(0x7f));
  Value placed =
      arith::ShLIOp::create(b, magnitude, l.integer(23 - format.mantissaBits));
  Value scale = l.integer(static_cast<int64_t>(127 + 127 - format.bias) << 23);
  Value scaled = arith::MulFOp::create(b, l.floatOf(placed), l.floatOf(scale));
  Value isNaN =
      arith::CmpIOp::create(b, CmpIPredicate::eq, magnitude, l.integer(0x7f));
  Value bits = arith::SelectOp::create(b, isNaN, l.integer(0x7fc00000),
                                       l.bitsOf(scaled));
  Value sign = arith::AndIOp::create(b, wide, l.integer(0x80));
  sign = arith::ShLIOp::create(b, sign, l.integer(24));
  return l.floatOf(arith::OrIOp::create(b, bits, sign));
}

static LogicalResult expand(arith::TruncFOp op, bool hasInstruction) {
  const Format *format = getFormat(op.getType());
  if (!format)
    return op.emitError("expected f8E4M3FN or f8E5M2, got a conversion to ")
           << getElementTypeOrSelf(op.getType());
  auto nearest = arith::RoundingMode::to_nearest_even;
  if (op.getRoundingmode().value_or(nearest) != nearest)
    return op.emitError("expected rounding to nearest even, got another");
  ImplicitLocOpBuilder b(op.getLoc(), op);
  Lanes l{b, op.getType()};
  Value x = op.getIn();
  Type from = getElementTypeOrSelf(x.getType());
  if (from.isF64())
    x = roundToOdd(b, x);
  else if (!from.isF32())
    x = arith::ExtFOp::create(b, l.f32(), x);
  Value code;
  if (hasInstruction)
    code = encodeByInstruction(l, *format, op.getType(), x);
  if (!code)
    code = arith::TruncIOp::create(b, l.i8(), encode(l, *format, x));
  op.replaceAllUsesWith(
      arith::BitcastOp::create(b, op.getType(), code).getResult());
  op.erase();
  return success();
}

static LogicalResult expand(arith::ExtFOp op) {
  const Format *format = getFormat(op.getIn().getType());
  if (!format)
    return op.emitError("expected f8E4M3FN or f8E5M2, got a conversion from ")
           << getElementTypeOrSelf(op.getIn().getType());
  ImplicitLocOpBuilder b(op.getLoc(), op);
  Lanes l{b, op.getType()};
  Value code = arith::BitcastOp::create(b, l.i8(), op.getIn());
  Value x = decode(l, *format, code);
  Type to = getElementTypeOrSelf(op.getType());
  if (to.isF64())
    x = arith::ExtFOp::create(b, op.getType(), x);
  else if (!to.isF32()) // exact
    x = arith::TruncFOp::create(b, op.getType(), x);
  op.replaceAllUsesWith(x);
  op.erase();
  return success();
}

LogicalResult quant_ste::expandMinifloats(Operation *root,
                                          bool hasInstruction) {
  SmallVector<Operation *> conversions;
  root->walk([&](Operation *op) {
    auto truncate = dyn_cast<arith::TruncFOp>(op);
    auto extend = dyn_cast<arith::ExtFOp>(op);
    if ((truncate && isMinifloat(truncate.getType())) ||
        (extend && isMinifloat(extend.getIn().getType())))
      conversions.push_back(op);
  });
  for (Operation *op : conversions) {
    if (auto truncate = dyn_cast<arith::TruncFOp>(op)) {
      if (failed(expand(truncate, hasInstruction)))
        return failure();
    } else if (failed(expand(cast<arith::ExtFOp>(op)))) {
      return failure();
    }
  }
  return success();
}
