//===- PackedBits.cpp - bits in the bodies of generics -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/PackedBits.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Matchers.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

using namespace mlir;
using namespace mlir::quant_ste;

AffineExpr quant_ste::getPlaceInRow(ArrayRef<int64_t> shape, int64_t rowDims,
                                    MLIRContext *context) {
  unsigned first = shape.size() - rowDims;
  AffineExpr place = getAffineDimExpr(first, context);
  for (unsigned d = first + 1; d < shape.size(); ++d)
    place = place * shape[d] + getAffineDimExpr(d, context);
  return place;
}

AffineMap quant_ste::getByteMap(ArrayRef<int64_t> shape, int64_t rowDims,
                                MLIRContext *context) {
  SmallVector<AffineExpr> results;
  for (unsigned d = 0; d < shape.size() - rowDims; ++d)
    results.push_back(getAffineDimExpr(d, context));
  results.push_back(getPlaceInRow(shape, rowDims, context).floorDiv(8));
  return AffineMap::get(shape.size(), 0, results, context);
}

/// The rows that the operand's map fits, if it is one of bytes.
static std::optional<int64_t> matchRowDims(linalg::GenericOp op,
                                           AffineMap map) {
  unsigned numLoops = op.getNumLoops();
  if (map.getNumResults() == 0 || map.getNumResults() > numLoops ||
      map.isProjectedPermutation())
    return std::nullopt;
  SmallVector<int64_t> shape = op.getStaticLoopRanges();
  int64_t rowDims = numLoops - map.getNumResults() + 1;
  if (ShapedType::isDynamicShape(ArrayRef(shape).take_back(rowDims - 1)) ||
      map != getByteMap(shape, rowDims, op.getContext()))
    return std::nullopt;
  return rowDims;
}

/// Whether v is `n mod 8` of the loops, as an i8; adds the ops to `ops`.
static bool matchPlace(linalg::GenericOp op, Value v, int64_t rowDims,
                       SmallVector<Operation *> &ops) {
  auto cast = v.getDefiningOp<arith::IndexCastOp>();
  auto apply =
      cast ? cast.getIn().getDefiningOp<affine::AffineApplyOp>() : nullptr;
  if (!apply)
    return false;
  SmallVector<AffineExpr> loops;
  SmallVector<Operation *> found{cast, apply};
  for (Value operand : apply.getMapOperands()) {
    auto index = operand.getDefiningOp<linalg::IndexOp>();
    if (!index)
      return false;
    loops.push_back(getAffineDimExpr(index.getDim(), op.getContext()));
    found.push_back(index);
  }
  AffineMap map = apply.getAffineMap();
  unsigned numLoops = op.getNumLoops();
  AffineExpr place = map.getResult(0).replaceDimsAndSymbols(
      ArrayRef(loops).take_front(map.getNumDims()),
      ArrayRef(loops).drop_front(map.getNumDims()));
  AffineExpr expected =
      getPlaceInRow(op.getStaticLoopRanges(), rowDims, op.getContext()) % 8;
  place = simplifyAffineExpr(place, numLoops, 0);
  expected = simplifyAffineExpr(expected, numLoops, 0);
  if (place != expected)
    return false;
  ops.append(found);
  return true;
}

/// trunci (shrui byte, place)
static std::optional<PackedOperand>
matchRead(linalg::GenericOp op, BlockArgument byte, int64_t rowDims) {
  PackedOperand result{rowDims, {}, {}};
  if (!byte.hasOneUse())
    return std::nullopt;
  auto shift = dyn_cast<arith::ShRUIOp>(*byte.user_begin());
  if (!shift || shift.getLhs() != byte || !shift->hasOneUse())
    return std::nullopt;
  auto trunc = dyn_cast<arith::TruncIOp>(*shift->user_begin());
  if (!trunc || !trunc.getType().isInteger(1) ||
      !matchPlace(op, shift.getRhs(), rowDims, result.ops))
    return std::nullopt;
  result.bit = trunc.getResult();
  result.ops.append({shift, trunc});
  return result;
}

/// ori (select (place == 0), 0, before), (shli (extui bit), place)
static std::optional<PackedOperand>
matchWrite(linalg::GenericOp op, OpOperand &operand, int64_t rowDims) {
  PackedOperand result{rowDims, {}, {}};
  BlockArgument before = op.getMatchingBlockArgument(&operand);
  Value yielded = op.getMatchingYieldValue(&operand)->get();
  auto combine = yielded.getDefiningOp<arith::OrIOp>();
  if (!combine || !combine->hasOneUse())
    return std::nullopt;
  auto select = combine.getLhs().getDefiningOp<arith::SelectOp>();
  auto shift = combine.getRhs().getDefiningOp<arith::ShLIOp>();
  if (!select || !shift || !select->hasOneUse() || !shift->hasOneUse() ||
      !before.hasOneUse() || select.getFalseValue() != before ||
      !matchPattern(select.getTrueValue(), m_Zero()))
    return std::nullopt;
  auto compare = select.getCondition().getDefiningOp<arith::CmpIOp>();
  auto extend = shift.getLhs().getDefiningOp<arith::ExtUIOp>();
  if (!compare || compare.getPredicate() != arith::CmpIPredicate::eq ||
      compare.getLhs() != shift.getRhs() ||
      !matchPattern(compare.getRhs(), m_Zero()) || !extend ||
      !extend.getIn().getType().isInteger(1) ||
      !matchPlace(op, shift.getRhs(), rowDims, result.ops))
    return std::nullopt;
  result.bit = extend.getIn();
  result.ops.append({compare, extend, shift, select, combine});
  return result;
}

std::optional<PackedOperand> quant_ste::matchPackedOperand(linalg::GenericOp op,
                                                           OpOperand &operand) {
  if (!getElementTypeOrSelf(operand.get().getType()).isInteger(8))
    return std::nullopt;
  auto rowDims = matchRowDims(op, op.getMatchingIndexingMap(&operand));
  if (!rowDims)
    return std::nullopt;
  if (op.isDpsInit(&operand))
    return matchWrite(op, operand, *rowDims);
  return matchRead(op, op.getMatchingBlockArgument(&operand), *rowDims);
}

//===----------------------------------------------------------------------===//
// Fusion
//===----------------------------------------------------------------------===//

bool quant_ste::isByteMap(linalg::GenericOp op, AffineMap map) {
  return matchRowDims(op, map).has_value();
}

bool quant_ste::hasByteMap(linalg::GenericOp op) {
  return llvm::any_of(op.getIndexingMapsArray(),
                      [&](AffineMap map) { return isByteMap(op, map); });
}

/// Does some operand see one of the two loops and not the other?
static bool areApart(ArrayRef<linalg::GenericOp> ops, unsigned d, unsigned e) {
  for (linalg::GenericOp op : ops)
    for (AffineMap map : op.getIndexingMapsArray())
      if (!isByteMap(op, map) &&
          map.isFunctionOfDim(d) != map.isFunctionOfDim(e))
        return true;
  return false;
}

bool quant_ste::canShareLoops(linalg::GenericOp first,
                              linalg::GenericOp second) {
  std::array ops{first, second};
  if (llvm::none_of(ops, hasByteMap))
    return true;
  // Loops whose indices count are not merged.
  if (llvm::any_of(ops, [](linalg::GenericOp op) {
        return op.hasIndexSemantics() && !hasByteMap(op);
      }))
    return false;
  bool sums = llvm::any_of(ops, [](linalg::GenericOp op) {
    return llvm::any_of(op.getDpsInitsMutable(), [&](OpOperand &init) {
      AffineMap map = op.getMatchingIndexingMap(&init);
      return !isByteMap(op, map) && map.getNumResults() < op.getNumLoops();
    });
  });
  for (linalg::GenericOp op : ops)
    for (AffineMap map : op.getIndexingMapsArray()) {
      auto rowDims = matchRowDims(op, map);
      if (!rowDims)
        continue;
      unsigned begin = op.getNumLoops() - *rowDims, end = op.getNumLoops();
      for (unsigned d = begin + 1; d < end; ++d)
        if (areApart(ops, begin, d))
          return false;
      // A loop that would run along with the row if this were not of bytes.
      int64_t row = getRowSize(op.getStaticLoopRanges(), *rowDims);
      bool isWhole = !ShapedType::isDynamic(row) && row % 8 == 0;
      if (sums && begin > 0 && !isWhole && !areApart(ops, begin - 1, begin))
        return false;
    }
  return true;
}
