//===- MatmulDerivative.cpp - derivatives of matrix products -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// C[m,n] += A[m,k] B[k,n]:   dA = dC B^T,   dB = A^T dC,   dC0 = dC
//
// Named ops stay named, because the pipelines know what to do with a matmul. A
// left factor is transposed by its map (rows become columns of the outer loops,
// free of charge); a right factor by a linalg.transpose of its own, so that the
// inner loop runs along memory: transposing one matrix is nothing against the
// product.
//
//===----------------------------------------------------------------------===//

#include "LinalgDerivative.h"
#include "ModelUtils.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::quant_ste;

namespace {
/// A matrix (or a batch of them) as stored.
struct Matrix {
  Value v;
  bool isTransposed = false;
  Matrix transposed() const { return {v, !isTransposed}; }
};

/// Builds products of the op's kind: batch dimensions first.
struct ProductBuilder {
  ImplicitLocOpBuilder &b;
  unsigned numBatch;

  OpFoldResult size(Matrix x, unsigned dim) {
    unsigned position = numBatch + (x.isTransposed ? 1 - dim : dim);
    return tensor::getMixedSize(b, b.getLoc(), x.v, position);
  }

  Value transpose(Value v) {
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, b.getLoc(), v);
    std::swap(sizes[numBatch], sizes[numBatch + 1]);
    Value init =
        tensor::EmptyOp::create(b, sizes, getElementTypeOrSelf(v.getType()));
    SmallVector<int64_t> order =
        llvm::to_vector(llvm::seq<int64_t>(0, numBatch + 2));
    std::swap(order[numBatch], order[numBatch + 1]);
    return linalg::TransposeOp::create(b, v, init, order)->getResult(0);
  }

  /// lhs * rhs, summed in the accumulator type of `type` and rounded to it.
  Value product(Matrix lhs, Matrix rhs, Type type) {
    Value right = rhs.isTransposed ? transpose(rhs.v) : rhs.v;
    SmallVector<OpFoldResult> sizes =
        tensor::getMixedSizes(b, b.getLoc(), lhs.v);
    sizes.truncate(numBatch);
    sizes.push_back(size(lhs, 0));
    sizes.push_back(size(rhs, 1));
    FloatType widest = accumulatorType(type);
    for (Value factor : {lhs.v, rhs.v}) {
      FloatType own = accumulatorType(factor.getType());
      if (own.getWidth() > widest.getWidth())
        widest = own;
    }
    Value init = zeros(b, sizes, widest);
    Operation *op;
    if (numBatch)
      op = linalg::BatchMatmulOp::create(b, ValueRange{lhs.v, right}, init);
    else
      op = linalg::MatmulOp::create(b, ValueRange{lhs.v, right}, init);
    if (lhs.isTransposed) {
      auto maps = cast<linalg::LinalgOp>(op).getIndexingMapsArray();
      SmallVector<AffineExpr> dims(maps[0].getResults());
      std::swap(dims[numBatch], dims[numBatch + 1]);
      maps[0] = AffineMap::get(maps[0].getNumDims(), 0, dims, b.getContext());
      op->setAttr("indexing_maps", b.getAffineMapArrayAttr(maps));
    }
    return castTo(b, convertFloat(b, op->getResult(0), type), type);
  }
};

/// Straight, transposed, or neither (a broadcast).
std::optional<bool> isTransposed(AffineMap map, AffineMap straight,
                                 unsigned numBatch) {
  if (map == straight)
    return false;
  SmallVector<AffineExpr> dims(straight.getResults());
  std::swap(dims[numBatch], dims[numBatch + 1]);
  if (map == AffineMap::get(straight.getNumDims(), 0, dims, map.getContext()))
    return true;
  return std::nullopt;
}
} // namespace

std::optional<SmallVector<Value>>
quant_ste::buildMatmulVjp(linalg::LinalgOp op, OpBuilder &builder,
                          Value cotangent, ArrayRef<bool> wanted) {
  unsigned numBatch = isa<linalg::BatchMatmulOp>(op) ? 1 : 0;
  SmallVector<AffineMap> straight =
      numBatch ? linalg::BatchMatmulOp::getDefaultIndexingMaps(op->getContext())
               : linalg::MatmulOp::getDefaultIndexingMaps(op->getContext());
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  std::optional<bool> lhsT = isTransposed(maps[0], straight[0], numBatch);
  std::optional<bool> rhsT = isTransposed(maps[1], straight[1], numBatch);
  if (!lhsT || !rhsT || maps[2] != straight[2] || !op.hasPureTensorSemantics())
    return std::nullopt;

  ImplicitLocOpBuilder b(op.getLoc(), builder);
  ProductBuilder products{b, numBatch};
  Matrix lhs{op->getOperand(0), *lhsT}, rhs{op->getOperand(1), *rhsT};
  Matrix dC{cotangent};
  SmallVector<Value> grads(3);
  // A gradient is built as its matrix is stored: (X Y)^T = Y^T X^T.
  auto gradient = [&](Matrix x, Matrix y, const Matrix &like) {
    Type type = like.v.getType();
    return like.isTransposed
               ? products.product(y.transposed(), x.transposed(), type)
               : products.product(x, y, type);
  };
  if (wanted[0])
    grads[0] = gradient(dC, rhs.transposed(), lhs);
  if (wanted[1])
    grads[1] = gradient(lhs.transposed(), dC, rhs);
  if (wanted[2])
    grads[2] = cotangent;
  return grads;
}

SmallVector<Value> quant_ste::buildProductJvp(linalg::LinalgOp op,
                                              OpBuilder &builder,
                                              ArrayRef<Value> tangents) {
  ImplicitLocOpBuilder b(op.getLoc(), builder);
  // tC = tA B + A tB + tC0, each product the op itself on other factors.
  Value sum = tangents[2];
  for (unsigned i : {0u, 1u}) {
    if (!tangents[i])
      continue;
    if (!sum)
      sum = zerosLike(b, op->getOperand(2));
    Operation *product = b.clone(*op.getOperation());
    product->setOperand(i, tangents[i]);
    product->setOperand(2, sum);
    sum = product->getResult(0);
  }
  return {sum};
}
