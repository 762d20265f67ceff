//===- LinalgDerivative.h - derivatives of structured ops -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_LIB_TRANSFORMS_DIFFERENTIATE_LINALGDERIVATIVE_H
#define QUANT_STE_LIB_TRANSFORMS_DIFFERENTIATE_LINALGDERIVATIVE_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::quant_ste {

/// Derivatives of any structured op, by differentiating its scalar body.
FailureOr<SmallVector<Value>> buildLinalgVjp(linalg::LinalgOp op, OpBuilder &b,
                                             ArrayRef<Value> cotangents,
                                             ArrayRef<bool> wanted);
FailureOr<SmallVector<Value>> buildLinalgJvp(linalg::LinalgOp op, OpBuilder &b,
                                             ArrayRef<Value> tangents);

/// Derivatives of linalg.matmul and linalg.batch_matmul as such ops, with
/// matrices stored straight or transposed; nullopt for other forms, which
/// buildLinalgVjp takes.
std::optional<SmallVector<Value>> buildMatmulVjp(linalg::LinalgOp op,
                                                 OpBuilder &b, Value cotangent,
                                                 ArrayRef<bool> wanted);
/// Of a sum of products of two factors, as two such ops.
SmallVector<Value> buildProductJvp(linalg::LinalgOp op, OpBuilder &b,
                                  ArrayRef<Value> tangents);

} // namespace mlir::quant_ste

#endif // QUANT_STE_LIB_TRANSFORMS_DIFFERENTIATE_LINALGDERIVATIVE_H
