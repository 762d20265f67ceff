//===- Reductions.cpp - sums of lanes and of units -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Reductions.h"
#include "Scratch.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Utils/Utils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

#include <numeric>

using namespace mlir;
using namespace mlir::quant_ste;
using arith::AtomicRMWKind;

static TypedAttr getNeutralAttr(OpBuilder &b, Location loc, AtomicRMWKind kind,
                                Type element) {
  // Not upstream's -0.0, which would make an empty sum negative.
  if (kind == AtomicRMWKind::addf)
    return b.getZeroAttr(element);
  return arith::getIdentityValueAttr(kind, element, b, loc);
}

Value quant_ste::getNeutral(ImplicitLocOpBuilder &b, AtomicRMWKind kind,
                            Type element, int64_t width) {
  auto type = VectorType::get({width}, element);
  Attribute neutral = getNeutralAttr(b, b.getLoc(), kind, element);
  return arith::ConstantOp::create(b, type,
                                   DenseElementsAttr::get(type, neutral));
}

static int64_t getWidth(Value lanes) {
  return cast<VectorType>(lanes.getType()).getDimSize(0);
}

static Value addHalves(ImplicitLocOpBuilder &b, AtomicRMWKind kind, Value v) {
  SmallVector<int64_t> low(getWidth(v) / 2), high(low.size());
  std::iota(low.begin(), low.end(), 0);
  std::iota(high.begin(), high.end(), low.size());
  Value x = vector::ShuffleOp::create(b, v, v, low);
  Value y = vector::ShuffleOp::create(b, v, v, high);
  return arith::getReductionOp(kind, b, b.getLoc(), x, y);
}

Value quant_ste::reduceLanes(ImplicitLocOpBuilder &b, AtomicRMWKind kind,
                             Value hasLanes, Value lanes, Value tail) {
  auto halve = [&](ImplicitLocOpBuilder &b, Value v, int64_t width) {
    while (getWidth(v) > width)
      v = addHalves(b, kind, v);
    return v;
  };
  int64_t tailWidth = getWidth(tail);
  if (matchPattern(hasLanes, m_One())) {
    lanes = halve(b, lanes, tailWidth);
  } else {
    // Neutral lanes, added by halves, are neutral.
    auto yield = [&](OpBuilder &nested, Location loc, bool isLong) {
      ImplicitLocOpBuilder inner(loc, nested);
      Value v =
          isLong ? halve(inner, lanes, tailWidth)
                 : getNeutral(inner, kind,
                              getElementTypeOrSelf(lanes.getType()), tailWidth);
      scf::YieldOp::create(inner, v);
    };
    lanes = scf::IfOp::create(
                b, hasLanes,
                [&](OpBuilder &n, Location loc) { yield(n, loc, true); },
                [&](OpBuilder &n, Location loc) { yield(n, loc, false); })
                .getResult(0);
  }
  Value sum = arith::getReductionOp(kind, b, b.getLoc(), lanes, tail);
  return vector::ExtractOp::create(b, halve(b, sum, 1), 0);
}

/// Of two vectors with rows of `length` lanes side by side: the lower or the
/// upper half of each row. Short ones stay in their part of a register.
static SmallVector<int64_t> getHalves(int64_t width, int64_t length,
                                      bool isUpper) {
  constexpr int64_t kPart = 4;
  int64_t part = length > kPart ? width : kPart;
  SmallVector<int64_t> halves;
  for (int64_t first = 0; first < width; first += part)
    for (int64_t vector : {int64_t(0), width})
      for (int64_t row = first; row < first + part; row += length)
        for (int64_t i = 0; i < length / 2; ++i)
          halves.push_back(vector + row + isUpper * length / 2 + i);
  return halves;
}

Value quant_ste::reduceRows(ImplicitLocOpBuilder &b, AtomicRMWKind kind,
                            int64_t width,
                            function_ref<Value(int64_t)> getRow) {
  // Where each vector's row ends up.
  SmallVector<SmallVector<int64_t>> places;
  for (int64_t i = 0; i < width; ++i)
    places.emplace_back(width, i);
  for (int64_t length = width; length > 1; length /= 2) {
    SmallVector<int64_t> lower = getHalves(width, length, /*isUpper=*/false);
    for (size_t i = 0; i < places.size() / 2; ++i) {
      SmallVector<int64_t> both(places[2 * i]);
      llvm::append_range(both, places[2 * i + 1]);
      places[i] =
          llvm::map_to_vector(lower, [&](int64_t lane) { return both[lane]; });
    }
    places.truncate(places.size() / 2);
  }
  SmallVector<Value> vectors(width);
  for (auto [row, place] : llvm::enumerate(places.front()))
    vectors[place] = getRow(row);
  for (int64_t length = width; length > 1; length /= 2) {
    for (size_t i = 0; i < vectors.size() / 2; ++i) {
      Value x = vectors[2 * i], y = vectors[2 * i + 1];
      auto take = [&](bool isUpper) -> Value {
        return vector::ShuffleOp::create(b, x, y,
                                         getHalves(width, length, isUpper));
      };
      Value lower = take(false), upper = take(true);
      vectors[i] = arith::getReductionOp(kind, b, b.getLoc(), lower, upper);
    }
    vectors.truncate(vectors.size() / 2);
  }
  return vectors.front();
}

//===----------------------------------------------------------------------===//
// Partial sums
//===----------------------------------------------------------------------===//

PartialSums::PartialSums(ImplicitLocOpBuilder &b, StreamKernel &kernel,
                         ValueRange kept, ValueRange cut, bool keptLast)
    : k(kernel), kept(kept), cut(cut), keptLast(keptLast) {
  SmallVector<Value> sizes = getIndices(this->kept, this->cut);
  for (auto [output, kind] : llvm::zip_equal(k.outputs, k.reductions))
    if (kind)
      buffers.push_back(
          allocateScratch(b, k.op, sizes, getElementTypeOrSelf(output.value)));
}

SmallVector<Value> PartialSums::getIndices(ArrayRef<Value> kept,
                                           ArrayRef<Value> cut) const {
  SmallVector<Value> at(keptLast ? cut : kept);
  llvm::append_range(at, keptLast ? kept : cut);
  return at;
}

Type quant_ste::getWideType(Type element, OpBuilder &b) {
  if (!isa<FloatType>(element))
    return element;
  return element.getIntOrFloatBitWidth() < 32 ? Type(b.getF32Type())
                                              : Type(b.getF64Type());
}

void PartialSums::finish(ImplicitLocOpBuilder &b) {
  Location loc = b.getLoc();
  Value zero = arith::ConstantIndexOp::create(b, 0);
  Value one = arith::ConstantIndexOp::create(b, 1);
  auto nest =
      [&](OpBuilder &builder, ValueRange sizes, ValueRange init,
          function_ref<SmallVector<Value>(OpBuilder &, ValueRange, ValueRange)>
              emitBody) {
        SmallVector<Value> lower(sizes.size(), zero), steps(sizes.size(), one);
        return scf::buildLoopNest(
            builder, loc, lower, sizes, steps, init,
            [&](OpBuilder &nested, Location, ValueRange ivs, ValueRange accs) {
              return emitBody(nested, ivs, accs);
            });
      };

  unsigned reduction = 0;
  for (auto [i, output, kind] : llvm::enumerate(k.outputs, k.reductions)) {
    if (!kind)
      continue;
    bool isZero = k.isZero(i);
    Value buffer = buffers[reduction++];
    Type element = getElementTypeOrSelf(buffer.getType());
    Type wide = getWideType(element, b);
    auto sumUnits = [&](OpBuilder &outer, ValueRange keptIvs, ValueRange) {
      Value neutral = arith::ConstantOp::create(
          outer, loc, getNeutralAttr(outer, loc, *kind, wide));
      auto sum = nest(outer, cut, neutral,
                      [&](OpBuilder &inner, ValueRange cutIvs,
                          ValueRange acc) -> SmallVector<Value> {
                        Value part = memref::LoadOp::create(
                            inner, loc, buffer,
                            getIndices(SmallVector<Value>(keptIvs),
                                       SmallVector<Value>(cutIvs)));
                        if (wide != element)
                          part = arith::ExtFOp::create(inner, loc, wide, part);
                        return {arith::getReductionOp(*kind, inner, loc,
                                                      acc.front(), part)};
                      });
      Value total = sum.results.front();
      if (wide != element)
        total = arith::TruncFOp::create(outer, loc, element, total);
      // The output's dimensions are the kept loops, perhaps in another order.
      SmallVector<Value> at;
      for (unsigned loop : output.loops) {
        unsigned position = 0;
        for (unsigned d = 0; d < loop; ++d)
          position += k.kept[d];
        at.push_back(keptIvs[position]);
      }
      if (!isZero) {
        Value old = memref::LoadOp::create(outer, loc, output.value, at);
        total = arith::getReductionOp(*kind, outer, loc, old, total);
      }
      memref::StoreOp::create(outer, loc, total, output.value, at);
      return SmallVector<Value>();
    };
    nest(b, kept, {}, sumUnits);
  }
}
