//===- UnrollWindows.cpp - convolutions as dense loops -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A window x[2*i + k] is, for one k, a strided slice of x. Loops over the taps
// k, outside of everything else, leave products, sums and extrema of slices:
//
//   for kh, kw:  y += x[:, kh::2, kw::2, :] * w[kh, kw]
//
// A result that is indexed so, as in the gradient by x, is updated in the same
// way, slice by slice. No element is computed twice and none is a padded zero.
//
//===----------------------------------------------------------------------===//

#include "Products.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEUNROLLWINDOWSPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

namespace {
/// constant + sum_d coefficients[d] * d, with no negative coefficient.
struct LinearExpr {
  int64_t constant = 0;
  SmallVector<int64_t> coefficients;

  static std::optional<LinearExpr> get(AffineExpr e, unsigned numDims);

  bool sees(unsigned d) const { return coefficients[d] != 0; }
  /// The only loop outside of `taps` that it sees.
  std::optional<unsigned> getInner(const llvm::SmallBitVector &taps) const {
    for (unsigned d = 0; d < coefficients.size(); ++d)
      if (sees(d) && !taps.test(d))
        return d;
    return std::nullopt;
  }
};

class Unroller {
public:
  Unroller(RewriterBase &rewriter, linalg::GenericOp op)
      : op(op), b(op.getLoc(), rewriter), rewriter(rewriter),
        taps(op.getNumLoops()) {}
  LogicalResult run();

private:
  /// What one iteration of the taps' loops sees of an operand.
  struct Slice {
    SmallVector<OpFoldResult> offsets, sizes, strides;
    RankedTensorType type;
    AffineMap map;
    bool isWhole, isContiguous;
  };

  /// The place of a loop among those that are no taps.
  unsigned getInnerPosition(unsigned loop) const {
    llvm::SmallBitVector before(taps);
    before.resize(loop);
    return loop - before.count();
  }

  LogicalResult analyze();
  void chooseTaps(const LinearExpr &e);
  Value getSize(unsigned loop);
  Slice getSlice(OpOperand &operand, ArrayRef<Value> numbers);
  Value extract(Value v, const Slice &slice);
  SmallVector<Value> emitInner(ArrayRef<Value> numbers, ValueRange inits);

  linalg::GenericOp op;
  ImplicitLocOpBuilder b;
  RewriterBase &rewriter;
  /// The loops that become loops around the others.
  llvm::SmallBitVector taps;
  SmallVector<SmallVector<LinearExpr>> maps; ///< of each operand
};
} // namespace

std::optional<LinearExpr> LinearExpr::get(AffineExpr e, unsigned numDims) {
  LinearExpr out{0, SmallVector<int64_t>(numDims)};
  if (auto constant = dyn_cast<AffineConstantExpr>(e)) {
    out.constant = constant.getValue();
    return out;
  }
  if (auto dim = dyn_cast<AffineDimExpr>(e)) {
    out.coefficients[dim.getPosition()] = 1;
    return out;
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(e);
  if (!binary)
    return std::nullopt;
  std::optional<LinearExpr> lhs = get(binary.getLHS(), numDims);
  if (!lhs)
    return std::nullopt;
  if (e.getKind() == AffineExprKind::Mul) {
    auto factor = dyn_cast<AffineConstantExpr>(binary.getRHS());
    if (!factor || factor.getValue() <= 0)
      return std::nullopt;
    for (int64_t &c : lhs->coefficients)
      c *= factor.getValue();
    lhs->constant *= factor.getValue();
    return lhs;
  }
  if (e.getKind() != AffineExprKind::Add)
    return std::nullopt;
  std::optional<LinearExpr> rhs = get(binary.getRHS(), numDims);
  if (!rhs)
    return std::nullopt;
  for (auto [mine, other] :
       llvm::zip_equal(lhs->coefficients, rhs->coefficients))
    mine += other;
  lhs->constant += rhs->constant;
  return lhs;
}

/// All loops but one of a sum of loops, the shortest ones: those of a filter
/// rather than those of an image.
void Unroller::chooseTaps(const LinearExpr &e) {
  SmallVector<int64_t> sizes = op.getStaticLoopRanges();
  SmallVector<unsigned> loops;
  for (unsigned d = 0; d < sizes.size(); ++d)
    if (e.sees(d) && !taps.test(d))
      loops.push_back(d);
  auto length = [&](unsigned d) {
    return ShapedType::isDynamic(sizes[d]) ? std::numeric_limits<int64_t>::max()
                                           : sizes[d];
  };
  // Of equal ones the last: named ops have their reductions at the end.
  llvm::sort(loops, [&](unsigned x, unsigned y) {
    return length(x) != length(y) ? length(x) > length(y) : x < y;
  });
  for (unsigned d : ArrayRef(loops).drop_front(loops.empty() ? 0 : 1))
    taps.set(d);
}

LogicalResult Unroller::analyze() {
  unsigned numLoops = op.getNumLoops();
  bool hasWindows = false;
  for (AffineMap map : op.getIndexingMapsArray()) {
    hasWindows |= !map.isProjectedPermutation();
    maps.emplace_back();
    for (AffineExpr e : map.getResults()) {
      std::optional<LinearExpr> linear = LinearExpr::get(e, numLoops);
      if (!linear)
        return failure();
      maps.back().push_back(*linear);
    }
  }
  if (!hasWindows)
    return failure();
  for (ArrayRef<LinearExpr> map : maps)
    for (const LinearExpr &e : map)
      chooseTaps(e);
  // A diagonal has no slice.
  for (ArrayRef<LinearExpr> map : maps) {
    llvm::SmallBitVector seen(numLoops);
    for (const LinearExpr &e : map)
      if (std::optional<unsigned> d = e.getInner(taps)) {
        if (seen.test(*d))
          return failure();
        seen.set(*d);
      }
  }
  return success();
}

/// A loop's number of iterations, from an operand that it indexes directly.
Value Unroller::getSize(unsigned loop) {
  int64_t size = op.getStaticLoopRanges()[loop];
  if (ShapedType::isStatic(size))
    return arith::ConstantIndexOp::create(b, size);
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    if (auto position = map.getResultPosition(b.getAffineDimExpr(loop)))
      return tensor::DimOp::create(b, operand.get(), *position);
  }
  llvm_unreachable(
      "a structured op has an operand that tells each loop's size");
}

Unroller::Slice Unroller::getSlice(OpOperand &operand,
                                   ArrayRef<Value> numbers) {
  unsigned numLoops = op.getNumLoops(), numInner = numLoops - taps.count();
  Slice slice;
  slice.isWhole = slice.isContiguous = true;
  SmallVector<int64_t> staticSizes = op.getStaticLoopRanges(), shape;
  SmallVector<AffineExpr> results;
  for (const LinearExpr &e : maps[operand.getOperandNumber()]) {
    AffineExpr offset = b.getAffineConstantExpr(e.constant);
    for (unsigned d = 0; d < numLoops; ++d)
      if (taps.test(d) && e.sees(d))
        offset = offset + b.getAffineDimExpr(d) * e.coefficients[d];
    slice.offsets.push_back(affine::makeComposedFoldedAffineApply(
        b, b.getLoc(), AffineMap::get(numLoops, 0, offset),
        getAsOpFoldResult(numbers)));
    std::optional<unsigned> inner = e.getInner(taps);
    int64_t stride = inner ? e.coefficients[*inner] : 1;
    slice.strides.push_back(b.getIndexAttr(stride));
    slice.isWhole &=
        inner && stride == 1 && e.constant == 0 &&
        llvm::count_if(e.coefficients, [](int64_t c) { return c != 0; }) == 1;
    if (!inner) {
      slice.sizes.push_back(b.getIndexAttr(1));
      slice.isContiguous = false;
      continue;
    }
    int64_t size = staticSizes[*inner];
    slice.sizes.push_back(ShapedType::isStatic(size)
                              ? OpFoldResult(b.getIndexAttr(size))
                              : OpFoldResult(getSize(*inner)));
    slice.isContiguous = stride == 1; // of the last one, in the end
    shape.push_back(size);
    results.push_back(b.getAffineDimExpr(getInnerPosition(*inner)));
  }
  slice.type =
      RankedTensorType::get(shape, getElementTypeOrSelf(operand.get()));
  slice.map = AffineMap::get(numInner, 0, results, b.getContext());
  return slice;
}

/// Vector loops run along memory: where a slice does not, its elements are put
/// together first, which is little work beside that on them.
Value Unroller::extract(Value v, const Slice &slice) {
  if (slice.isWhole)
    return v;
  Value part = tensor::ExtractSliceOp::create(b, slice.type, v, slice.offsets,
                                              slice.sizes, slice.strides);
  if (slice.isContiguous || slice.type.getRank() == 0)
    return part;
  return bufferization::AllocTensorOp::create(b, slice.type, ValueRange(),
                                              part);
}

SmallVector<Value> Unroller::emitInner(ArrayRef<Value> numbers,
                                       ValueRange inits) {
  SmallVector<Value> inputs, outputs;
  SmallVector<AffineMap> newMaps;
  SmallVector<Slice> slices;
  llvm::BitVector dropped(op->getNumOperands());
  for (OpOperand *operand : op.getDpsInputOperands()) {
    if (!isa<RankedTensorType>(operand->get().getType())) {
      inputs.push_back(operand->get());
      newMaps.push_back(
          AffineMap::get(op.getNumLoops() - taps.count(), 0, b.getContext()));
      continue;
    }
    Slice slice = getSlice(*operand, numbers);
    // The taps of a pooling are read for their number alone.
    if (slice.type.getRank() == 0 &&
        op.getMatchingBlockArgument(operand).use_empty()) {
      dropped.set(operand->getOperandNumber());
      continue;
    }
    inputs.push_back(extract(operand->get(), slice));
    newMaps.push_back(slice.map);
  }
  for (auto [operand, init] : llvm::zip_equal(op.getDpsInitsMutable(), inits)) {
    slices.push_back(getSlice(operand, numbers));
    outputs.push_back(extract(init, slices.back()));
    newMaps.push_back(slices.back().map);
  }

  SmallVector<utils::IteratorType> iterators;
  for (auto [d, type] : llvm::enumerate(op.getIteratorTypesArray())) {
    if (taps.test(d))
      continue;
    bool isParallel = llvm::all_of(slices, [&, d = d](const Slice &slice) {
      return slice.map.isFunctionOfDim(getInnerPosition(d));
    });
    iterators.push_back(isParallel ? utils::IteratorType::parallel : type);
  }
  auto inner = linalg::GenericOp::create(b, TypeRange(ValueRange(outputs)),
                                         inputs, outputs, newMaps, iterators);
  IRMapping map;
  op.getRegion().cloneInto(&inner.getRegion(), map);
  Block &body = inner.getRegion().front();
  body.eraseArguments(dropped);
  for (auto index :
       llvm::make_early_inc_range(body.getOps<linalg::IndexOp>())) {
    unsigned d = index.getDim();
    if (taps.test(d))
      rewriter.replaceOp(index, numbers[d]);
    else
      index.setDim(getInnerPosition(d));
  }
  SmallVector<Value> results;
  for (auto [result, slice, init] :
       llvm::zip_equal(inner.getResults(), slices, inits)) {
    Value whole = result;
    if (!slice.isWhole)
      whole = tensor::InsertSliceOp::create(b, result, init, slice.offsets,
                                            slice.sizes, slice.strides);
    results.push_back(whole);
  }
  return results;
}

LogicalResult Unroller::run() {
  if (failed(analyze()))
    return failure();
  rewriter.setInsertionPoint(op);
  b.setInsertionPoint(op);
  SmallVector<Value> lows, highs, steps;
  SmallVector<unsigned> loops;
  for (unsigned d : taps.set_bits()) {
    loops.push_back(d);
    lows.push_back(arith::ConstantIndexOp::create(b, 0));
    highs.push_back(getSize(d));
    steps.push_back(arith::ConstantIndexOp::create(b, 1));
  }
  // Numbers of the other loops are not read.
  Value none = arith::ConstantIndexOp::create(b, 0);
  scf::LoopNest nest = scf::buildLoopNest(
      b, b.getLoc(), lows, highs, steps, op.getDpsInits(),
      [&](OpBuilder &nested, Location, ValueRange ivs, ValueRange accs) {
        SmallVector<Value> numbers(op.getNumLoops(), none);
        for (auto [d, iv] : llvm::zip_equal(loops, ivs))
          numbers[d] = iv;
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPoint(nested.getInsertionBlock(),
                            nested.getInsertionPoint());
        return emitInner(numbers, accs);
      });
  rewriter.replaceOp(op, nest.results);
  return success();
}

namespace {
struct UnrollWindows
    : quant_ste::impl::QuantSTEUnrollWindowsPassBase<UnrollWindows> {
  using QuantSTEUnrollWindowsPassBase::QuantSTEUnrollWindowsPassBase;

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<linalg::LinalgOp> ops;
    getOperation()->walk([&](linalg::LinalgOp op) {
      bool hasWindows =
          llvm::any_of(op.getIndexingMapsArray(), [](AffineMap map) {
            return !map.isProjectedPermutation();
          });
      std::string why;
      if (hasWindows && op.hasPureTensorSemantics() &&
          !(keepProducts && quant_ste::canGatherWindows(op, why)))
        ops.push_back(op);
    });
    for (linalg::LinalgOp op : ops) {
      auto generic = dyn_cast<linalg::GenericOp>(op.getOperation());
      if (!generic) {
        rewriter.setInsertionPoint(op);
        FailureOr<linalg::GenericOp> made =
            linalg::generalizeNamedOp(rewriter, op);
        if (failed(made))
          continue;
        generic = *made;
      }
      // What is no window of this kind stays, for plain loops.
      (void)Unroller(rewriter, generic).run();
    }
  }
};
} // namespace
