//===- LinalgModels.cpp - models of the linalg dialect -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "LinalgDerivative.h"
#include "ModelUtils.h"
#include "quant_ste/Interfaces/DifferentiableOpInterfaces.h"

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
  });
}
