//===- StatisticsModels.cpp - gradients of extrema -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An extremum is the sum of its elements, each times a weight: grad(first) 1
// for the first that has it, grad(shared) 1/n for each of the n that have it,
// 0 for all others. What is done with the weights is linear: the vjp spreads
// the cotangent by them, the jvp sums the tangents.
//
//===----------------------------------------------------------------------===//

#include "GenericDraft.h"
#include "ModelUtils.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"
#include "quant_ste/Rules/Readings/IRScalar.h"
#include "quant_ste/Rules/Round.h"

using namespace mlir;
using namespace mlir::quant_ste;

namespace {
/// An extremum op, with what its derivatives share.
template <class Op> struct Weights {
  Op op;
  ImplicitLocOpBuilder &b;
  AffineMap identity, kept;
  SmallVector<OpFoldResult> sizes;
  Value chosen; ///< grad(first): the row-major number of the element, per group
  Value count;  ///< grad(shared): how many elements have it, per group

  Weights(Op op, ImplicitLocOpBuilder &b)
      : op(op), b(b), identity(AffineMap::getMultiDimIdentityMap(
                          op.getX().getType().getRank(), b.getContext())),
        kept(op.getResultMap()),
        sizes(tensor::getMixedSizes(b, b.getLoc(), op.getX())) {
    if (isa<FirstAttr>(op.getGrad()))
      chosen = findFirst();
    else
      count = countAll();
  }

  Value hasExtremum(ImplicitLocOpBuilder &in, Value x, Value y) {
    if (Op::getExtremum() == Extremum::absmax)
      x = math::AbsFOp::create(in, x);
    return arith::CmpFOp::create(in, arith::CmpFPredicate::OEQ, x, y);
  }

  /// The element's number in row-major order.
  Value number(ImplicitLocOpBuilder &in) {
    Value n;
    for (auto [d, size] : llvm::enumerate(sizes)) {
      Value i = linalg::IndexOp::create(in, d);
      if (!n) {
        n = i;
        continue;
      }
      Value extent = getValueOrCreateConstantIndexOp(in, in.getLoc(), size);
      n = arith::MulIOp::create(in, n, extent);
      n = arith::AddIOp::create(in, n, i);
    }
    if (!n)
      n = arith::ConstantIndexOp::create(in, 0);
    return arith::IndexCastOp::create(in, in.getI64Type(), n);
  }

  SmallVector<OpFoldResult> keptSizes() {
    SmallVector<OpFoldResult> out;
    for (unsigned r = 0; r < kept.getNumResults(); ++r)
      out.push_back(sizes[kept.getDimPosition(r)]);
    return out;
  }

  Value findFirst() {
    IntegerType type = b.getI64Type();
    IntegerAttr none =
        b.getIntegerAttr(type, std::numeric_limits<int64_t>::max());
    Value scalar = arith::ConstantOp::create(b, none);
    Value empty = tensor::EmptyOp::create(b, keptSizes(), type);
    Value init = linalg::FillOp::create(b, scalar, empty).getResult(0);
    GenericDraft draft(b, identity.getNumDims());
    Value x = draft.addInput(op.getX(), identity);
    Value y = draft.addInput(op.getY(), kept);
    Value best = draft.addInit(init, kept);
    ImplicitLocOpBuilder &in = draft.getBodyBuilder();
    Value is = hasExtremum(in, x, y);
    Value last = arith::ConstantOp::create(in, none);
    Value n = arith::SelectOp::create(in, is, number(in), last);
    draft.yield({arith::MinSIOp::create(in, best, n)});
    return draft.finish().front();
  }

  Value countAll() {
    Type type = accumulatorType(op.getY().getType());
    GenericDraft draft(b, identity.getNumDims());
    Value x = draft.addInput(op.getX(), identity);
    Value y = draft.addInput(op.getY(), kept);
    Value sum = draft.addInit(zeros(b, keptSizes(), type), kept);
    ImplicitLocOpBuilder &in = draft.getBodyBuilder();
    Value is = hasExtremum(in, x, y);
    Value one = arith::ConstantOp::create(in, in.getFloatAttr(type, 1.0));
    Value zero = arith::ConstantOp::create(in, in.getFloatAttr(type, 0.0));
    Value add = arith::SelectOp::create(in, is, one, zero);
    draft.yield({arith::AddFOp::create(in, sum, add)});
    return draft.finish().front();
  }

  /// t times the weight of the element, in the accumulator's type.
  Value weigh(GenericDraft &draft, Value t) {
    Value x = draft.addInput(op.getX(), identity);
    Value y = draft.addInput(op.getY(), kept);
    Value which = draft.addInput(chosen ? chosen : count, kept);
    ImplicitLocOpBuilder &in = draft.getBodyBuilder();
    FloatType type = accumulatorType(op.getY().getType());
    Value is = chosen ? arith::CmpIOp::create(in, arith::CmpIPredicate::eq,
                                              number(in), which)
                            .getResult()
                      : hasExtremum(in, x, y);
    Value share = convertFloat(in, t, type);
    if (count)
      share = arith::DivFOp::create(in, share, which);
    if (Op::getExtremum() == Extremum::absmax) {
      IRScalar sign =
          rules::signOrZero(IRScalar(in, convertFloat(in, x, type)));
      share = arith::MulFOp::create(in, share, sign.materialize(in, type));
    }
    Value zero = arith::ConstantOp::create(in, in.getFloatAttr(type, 0.0));
    return arith::SelectOp::create(in, is, share, zero);
  }
};

template <class Op>
struct ExtremumVjp : VjpOpInterface::ExternalModel<ExtremumVjp<Op>, Op> {
  FailureOr<SmallVector<Value>> buildVjp(Operation *op, OpBuilder &builder,
                                         ArrayRef<Value> cotangents,
                                         ArrayRef<bool>) const {
    ImplicitLocOpBuilder b(op->getLoc(), builder);
    Weights<Op> weights(cast<Op>(op), b);
    Type type = cast<Op>(op).getX().getType().getElementType();
    GenericDraft draft(b, weights.identity.getNumDims());
    Value t = draft.addInput(cotangents.front(), weights.kept);
    Value term = weights.weigh(draft, t);
    Value empty = tensor::EmptyOp::create(b, weights.sizes, type);
    draft.addInit(empty, weights.identity);
    draft.yield({convertFloat(draft.getBodyBuilder(), term, type)});
    return draft.finish();
  }
};

template <class Op>
struct ExtremumJvp : JvpOpInterface::ExternalModel<ExtremumJvp<Op>, Op> {
  FailureOr<SmallVector<Value>> buildJvp(Operation *op, OpBuilder &builder,
                                         ArrayRef<Value> tangents) const {
    ImplicitLocOpBuilder b(op->getLoc(), builder);
    Weights<Op> weights(cast<Op>(op), b);
    Type result = cast<Op>(op).getY().getType();
    GenericDraft draft(b, weights.identity.getNumDims());
    Value t = draft.addInput(tangents.front(), weights.identity);
    Value term = weights.weigh(draft, t);
    Value sum = draft.addInit(
        zeros(b, weights.keptSizes(), accumulatorType(result)), weights.kept);
    draft.yield({arith::AddFOp::create(draft.getBodyBuilder(), sum, term)});
    return SmallVector<Value>{convertFloat(b, draft.finish().front(), result)};
  }
};

template <class... Ops> void attachExtremum(MLIRContext *ctx) {
  (Ops::template attachInterface<ExtremumVjp<Ops>, ExtremumJvp<Ops>>(*ctx),
   ...);
}
} // namespace

void quant_ste::registerStatisticsModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *ctx, QuantSTEDialect *) {
    attachExtremum<AbsMaxOp, MaximumOp, MinimumOp>(ctx);
  });
}
