//===- ModelUtils.h - what gradient models are built of -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_LIB_TRANSFORMS_DIFFERENTIATE_MODELUTILS_H
#define QUANT_STE_LIB_TRANSFORMS_DIFFERENTIATE_MODELUTILS_H

#include "mlir/IR/BuiltinAttributeInterfaces.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/OpDefinition.h"

namespace mlir {
class DialectRegistry;
}

namespace mlir::quant_ste {

/// "cannot differentiate 'x.y': it has no gradient rule", and what to do.
InFlightDiagnostic emitNoRule(Operation *op, StringRef interface,
                              StringRef attribute);

/// "cannot differentiate 'x.y': " `why`, and what to do.
InFlightDiagnostic emitCannot(Operation *op, const Twine &why);

/// `element` in every place of a value that has the type of `like`, and its
/// sizes where they are dynamic. Null for a type that holds no such element.
Value constantLike(ImplicitLocOpBuilder &b, TypedAttr element, Value like);
Value floatLike(ImplicitLocOpBuilder &b, double literal, Value like);

/// +0 of the type and the sizes of `like`.
Value zerosLike(ImplicitLocOpBuilder &b, Value like);

/// A tensor of +0.
Value zeros(ImplicitLocOpBuilder &b, ArrayRef<OpFoldResult> sizes,
            Type elementType);

/// A float, or each float of a tensor, widened or rounded to that of `to`.
Value convertFloat(ImplicitLocOpBuilder &b, Value v, Type to);

/// tensor.cast where the types differ in what they know of the sizes.
Value castTo(ImplicitLocOpBuilder &b, Value v, Type type);

/// How many iterations of an scf.for the gradient may keep at a time: a number,
/// or "sqrt" of all.
inline constexpr StringLiteral kCheckpoint = "quant_ste.checkpoint";

/// Makes two nested loops of each that has a kCheckpoint.
void nestCheckpointedLoops(Operation *root);

/// Sums are accumulated in f32 for narrower types, and rounded once.
FloatType accumulatorType(Type type);

void registerArithMathModels(DialectRegistry &registry);
void registerFuncModels(DialectRegistry &registry);
void registerLinalgModels(DialectRegistry &registry);
void registerSCFModels(DialectRegistry &registry);
void registerStatisticsModels(DialectRegistry &registry);
void registerTensorModels(DialectRegistry &registry);

} // namespace mlir::quant_ste

#endif // QUANT_STE_LIB_TRANSFORMS_DIFFERENTIATE_MODELUTILS_H
