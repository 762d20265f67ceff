//===- UniformToLinalg.cpp - random numbers as linalg.generic -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "UniformToLinalg.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "quant_ste/Rules/Philox.h"

using namespace mlir;
using namespace mlir::quant_ste;
using mlir::quant_ste::rules::Words;

namespace {
/// Reading of the generator that emits MLIR: an i32, or a literal that becomes
/// one when it meets a value.
class IRWord {
public:
  IRWord() = default;
  IRWord(uint32_t literal) : literal(literal) {}
  IRWord(ImplicitLocOpBuilder &b, Value v) : b(&b), v(v) {}

  Value getValue() const { return v; }

  friend IRWord operator^(IRWord x, IRWord y) {
    return x.binary<arith::XOrIOp>(y);
  }
  friend IRWord operator+(IRWord x, IRWord y) {
    return x.binary<arith::AddIOp>(y);
  }
  friend IRWord multiplyHigh(IRWord x, uint32_t y) {
    ImplicitLocOpBuilder &b = *x.b;
    Value product = x.wideProduct(y);
    Value shift = arith::ConstantIntOp::create(b, 32, 64);
    Value high = arith::ShRUIOp::create(b, product, shift);
    return {b, arith::TruncIOp::create(b, b.getI32Type(), high)};
  }
  friend IRWord multiplyLow(IRWord x, uint32_t y) {
    return x.binary<arith::MulIOp>(y);
  }
  friend Value hasBit(IRWord x, unsigned bit) {
    ImplicitLocOpBuilder &b = *x.b;
    IRWord masked = x.binary<arith::AndIOp>(uint32_t(1) << bit);
    Value zero = arith::ConstantIntOp::create(b, 0, 32);
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, masked.v, zero);
  }
  friend IRWord select(Value c, IRWord x, IRWord y) {
    return {*x.b, arith::SelectOp::create(*x.b, c, x.v, y.v)};
  }

private:
  ImplicitLocOpBuilder *b = nullptr;
  Value v;
  uint32_t literal = 0;

  Value materialize(ImplicitLocOpBuilder &builder) const {
    return v ? v : arith::ConstantIntOp::create(builder, int32_t(literal), 32);
  }
  template <class Op> IRWord binary(IRWord y) const {
    return {*b, Op::create(*b, v, y.materialize(*b))};
  }
  Value wideProduct(uint32_t y) const {
    Value wide = arith::ExtUIOp::create(*b, b->getI64Type(), v);
    Value factor = arith::ConstantIntOp::create(*b, y, 64);
    return arith::MulIOp::create(*b, wide, factor);
  }
};
} // namespace

static Value shiftRight(ImplicitLocOpBuilder &b, Value v, unsigned by) {
  Value shift =
      arith::ConstantIntOp::create(b, by, v.getType().getIntOrFloatBitWidth());
  return arith::ShRUIOp::create(b, v, shift);
}

static Words<IRWord> wordsOf(ImplicitLocOpBuilder &b, Value v) {
  Type i32 = b.getI32Type();
  Value low = arith::TruncIOp::create(b, i32, v);
  Value upper = shiftRight(b, v, 32);
  Value high = arith::TruncIOp::create(b, i32, upper);
  return {IRWord(b, low), IRWord(b, high)};
}

/// The element at the linear index, an i64.
static Value emitElement(ImplicitLocOpBuilder &b, Value seed, Value step,
                         Value index) {
  Words<IRWord> seedWords = wordsOf(b, seed);
  Words<IRWord> stepWords = wordsOf(b, step);
  Words<IRWord> indexWords = wordsOf(b, index);
  Value block = shiftRight(b, index, 2);
  Words<IRWord> blockWords = wordsOf(b, block);
  IRWord word = rules::philoxWord<IRWord>(blockWords, indexWords[0], stepWords,
                                          seedWords);
  // 24 bits: the conversion of signed integers, which processors have.
  Value upper = shiftRight(b, word.getValue(), rules::kUniformShift);
  FloatType f32 = b.getF32Type();
  Value steps = arith::SIToFPOp::create(b, f32, upper);
  Value unit =
      arith::ConstantOp::create(b, b.getFloatAttr(f32, rules::kUniformStep));
  return arith::MulFOp::create(b, steps, unit);
}

/// The row-major position of the loops' indices; `sizes` has the size of each
/// dimension after the first.
static Value emitLinearIndex(ImplicitLocOpBuilder &b, int64_t rank,
                             ArrayRef<Value> sizes) {
  if (rank == 0)
    return arith::ConstantIndexOp::create(b, 0);
  Value linear = linalg::IndexOp::create(b, 0);
  for (int64_t d = 1; d < rank; ++d) {
    Value before = arith::MulIOp::create(b, linear, sizes[d - 1]);
    Value inner = linalg::IndexOp::create(b, d);
    linear = arith::AddIOp::create(b, before, inner);
  }
  return linear;
}

Value quant_ste::buildUniform(OpBuilder &builder, UniformOp op) {
  ImplicitLocOpBuilder b(op.getLoc(), builder);
  RankedTensorType type = op.getType();
  int64_t rank = type.getRank();
  SmallVector<OpFoldResult> sizes =
      getMixedValues(type.getShape(), op.getSizes(), b);
  Value init = tensor::EmptyOp::create(b, sizes, type.getElementType());

  // Scalars are operands, so that the body refers to nothing outside of it.
  SmallVector<Value> inputs{op.getSeed(), op.getStep()};
  for (OpFoldResult size : llvm::drop_begin(sizes, rank ? 1 : 0))
    if (auto value = dyn_cast<Value>(size))
      inputs.push_back(value);
  SmallVector<AffineMap> maps(inputs.size(),
                              AffineMap::get(rank, 0, b.getContext()));
  maps.push_back(b.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  auto body = [&](OpBuilder &nested, Location loc, ValueRange args) {
    ImplicitLocOpBuilder inner(loc, nested);
    unsigned nextSize = 2;
    SmallVector<Value> innerSizes;
    for (int64_t d = 1; d < rank; ++d)
      innerSizes.push_back(
          type.isDynamicDim(d)
              ? args[nextSize++]
              : arith::ConstantIndexOp::create(inner, type.getDimSize(d))
                    .getResult());
    Value linear = emitLinearIndex(inner, rank, innerSizes);
    Value index = arith::IndexCastOp::create(inner, inner.getI64Type(), linear);
    Value u = emitElement(inner, args[0], args[1], index);
    linalg::YieldOp::create(inner, u);
  };
  return linalg::GenericOp::create(b, TypeRange{type}, inputs, ValueRange{init},
                                   maps, iterators, body)
      .getResult(0);
}
