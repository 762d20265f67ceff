//===- DifferentiableOpInterfaces.h - reverse and forward mode --*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_INTERFACES_DIFFERENTIABLEOPINTERFACES_H
#define QUANT_STE_INTERFACES_DIFFERENTIABLEOPINTERFACES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"

namespace mlir::quant_ste {

/// What a derivative may be asked for and has a tangent and a cotangent of its
/// own type: plain floats and ranked tensors of floats.
inline bool isDifferentiable(Type type) {
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return isa<FloatType>(tensor.getElementType());
  return isa<FloatType>(type);
}

/// An op through which no derivative flows, whatever its operands.
template <class ConcreteOp>
class StopsGradient : public OpTrait::TraitBase<ConcreteOp, StopsGradient> {};

} // namespace mlir::quant_ste

#include "quant_ste/Interfaces/DifferentiableOpInterfaces.h.inc"

#endif // QUANT_STE_INTERFACES_DIFFERENTIABLEOPINTERFACES_H
