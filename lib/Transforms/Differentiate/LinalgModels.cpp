//===- LinalgModels.cpp - models of the linalg dialect -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GenericDraft.h"
#include "LinalgDerivative.h"
#include "ModelUtils.h"
#include "quant_ste/Interfaces/DifferentiableOpInterfaces.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::quant_ste;

template <class Op>
static constexpr bool isMatmul = std::is_same_v<Op, linalg::MatmulOp> ||
                                 std::is_same_v<Op, linalg::BatchMatmulOp>;

/// y += x * w, as a matrix product or a convolution.
static bool isSumOfProducts(linalg::LinalgOp op) {
  if (!op.hasPureTensorSemantics() || op.getNumDpsInputs() != 2 ||
      op.getNumDpsInits() != 1)
    return false;
  if (linalg::isaContractionOpInterface(op))
    return true;
  // A pooling reads its second operand for the sizes alone.
  return linalg::isaConvolutionOpInterface(op) &&
         llvm::none_of(op.getBlock()->getArguments(),
                       [](BlockArgument arg) { return arg.use_empty(); });
}

namespace {
template <class Op>
struct LinalgVjp : VjpOpInterface::ExternalModel<LinalgVjp<Op>, Op> {
  FailureOr<SmallVector<Value>> buildVjp(Operation *op, OpBuilder &b,
                                         ArrayRef<Value> cotangents,
                                         ArrayRef<bool> wanted) const {
    auto linalgOp = cast<linalg::LinalgOp>(op);
    if constexpr (isMatmul<Op>)
      if (auto grads = buildMatmulVjp(linalgOp, b, cotangents[0], wanted))
        return *grads;
    return buildLinalgVjp(linalgOp, b, cotangents, wanted);
  }
};

template <class Op>
struct LinalgJvp : JvpOpInterface::ExternalModel<LinalgJvp<Op>, Op> {
  FailureOr<SmallVector<Value>> buildJvp(Operation *op, OpBuilder &b,
                                         ArrayRef<Value> tangents) const {
    auto linalgOp = cast<linalg::LinalgOp>(op);
    if (isSumOfProducts(linalgOp))
      return buildProductJvp(linalgOp, b, tangents);
    return buildLinalgJvp(linalgOp, b, tangents);
  }
};

struct GenericCaptures
    : DifferentiatesCapturesOpInterface::ExternalModel<GenericCaptures,
                                                       linalg::GenericOp> {};

/// The Jacobian of y = softmax(x) is symmetric, so that both modes are
/// y * (t - sum(t * y)), the sum over the softmax's dimension.
FailureOr<SmallVector<Value>> deriveSoftmax(Operation *op, OpBuilder &builder,
                                            Value t, unsigned numInputs) {
  ImplicitLocOpBuilder b(op->getLoc(), builder);
  auto softmax = cast<linalg::SoftmaxOp>(op);
  if (op->getNumResults() != 1)
    return emitCannot(op, "expected tensors, got memrefs");
  Value y = op->getResult(0);
  auto type = cast<RankedTensorType>(y.getType());
  FloatType sumType = accumulatorType(type.getElementType());
  unsigned rank = type.getRank(), dim = softmax.getDimension();
  AffineMap identity = b.getMultiDimIdentityMap(rank);
  AffineMap kept = identity.dropResult(dim);
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, b.getLoc(), t);
  SmallVector<OpFoldResult> sumSizes = sizes;
  sumSizes.erase(sumSizes.begin() + dim);

  GenericDraft sum(b, rank);
  Value ti = sum.addInput(t, identity), yi = sum.addInput(y, identity);
  Value total = sum.addInit(zeros(b, sumSizes, sumType), kept);
  ImplicitLocOpBuilder &inSum = sum.getBodyBuilder();
  ti = convertFloat(inSum, ti, sumType);
  yi = convertFloat(inSum, yi, sumType);
  Value term = arith::MulFOp::create(inSum, ti, yi);
  sum.yield({arith::AddFOp::create(inSum, total, term)});
  Value sums = sum.finish().front();

  GenericDraft rest(b, rank);
  ti = rest.addInput(t, identity);
  yi = rest.addInput(y, identity);
  Value si = rest.addInput(sums, kept);
  rest.addInit(tensor::EmptyOp::create(b, sizes, type.getElementType()),
               identity);
  ImplicitLocOpBuilder &in = rest.getBodyBuilder();
  ti = convertFloat(in, ti, sumType);
  yi = convertFloat(in, yi, sumType);
  Value shifted = arith::SubFOp::create(in, ti, si);
  Value product = arith::MulFOp::create(in, yi, shifted);
  rest.yield({convertFloat(in, product, type.getElementType())});
  SmallVector<Value> derivatives(numInputs);
  derivatives[0] = castTo(b, rest.finish().front(), type);
  return derivatives;
}

struct SoftmaxVjp
    : VjpOpInterface::ExternalModel<SoftmaxVjp, linalg::SoftmaxOp> {
  FailureOr<SmallVector<Value>> buildVjp(Operation *op, OpBuilder &b,
                                         ArrayRef<Value> cotangents,
                                         ArrayRef<bool> wanted) const {
    // The second operand gives the result its place.
    if (!wanted[0])
      return SmallVector<Value>(2);
    return deriveSoftmax(op, b, cotangents[0], 2);
  }
};

struct SoftmaxJvp
    : JvpOpInterface::ExternalModel<SoftmaxJvp, linalg::SoftmaxOp> {
  FailureOr<SmallVector<Value>> buildJvp(Operation *op, OpBuilder &b,
                                         ArrayRef<Value> tangents) const {
    if (!tangents[0])
      return SmallVector<Value>(1);
    return deriveSoftmax(op, b, tangents[0], 1);
  }
};

template <class... Ops> struct LinalgModels {
  static void attach(MLIRContext *ctx) {
    (Ops::template attachInterface<LinalgVjp<Ops>, LinalgJvp<Ops>>(*ctx), ...);
  }
};
} // namespace

void quant_ste::registerLinalgModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *ctx, linalg::LinalgDialect *) {
    LinalgModels<
#define GET_OP_LIST
#include "mlir/Dialect/Linalg/IR/LinalgStructuredOps.cpp.inc"
        >::attach(ctx);
    linalg::GenericOp::attachInterface<GenericCaptures>(*ctx);
    linalg::SoftmaxOp::attachInterface<SoftmaxVjp, SoftmaxJvp>(*ctx);
  });
}
