//===- Differentiate.h - derivatives of a straight line -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reverse and forward mode on one block. The ops are asked through
// VjpOpInterface and JvpOpInterface; none is named. The body of a function and
// the scalar body of a linalg.generic go through the same functions.
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_DIFFERENTIATE_H
#define QUANT_STE_TRANSFORMS_DIFFERENTIATE_H

#include "quant_ste/Interfaces/DifferentiableOpInterfaces.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir {
class DialectRegistry;
}

namespace mlir::quant_ste {

/// The values that the models of an op are asked about: its operands and, if it
/// implements DifferentiatesCapturesOpInterface, what its regions capture.
SmallVector<Value> getDifferentiableInputs(Operation *op);

/// Where a derivative flows in a block: the values that depend on a seed and on
/// which a target depends. Integers carry none, and quant_ste.detach stops it.
class Activity {
public:
  /// Looks at the ops that stand in `block` now. Fails, with an error at the
  /// op, where a derivative flows into a place that no model would see: a
  /// region that captures an active value, or memory.
  static FailureOr<Activity> get(Block &block, ValueRange seeds,
                                 ValueRange targets);

  bool isActive(Value v) const { return values.contains(v); }

  /// The ops through which a derivative flows, in their order.
  ArrayRef<Operation *> getOps() const { return ops; }

private:
  llvm::DenseSet<Value> values;
  SmallVector<Operation *> ops;
};

/// Says that `by`, which stands after `op` in its block with no other such pair
/// between them, gives op's results first, and then what a derivative needs. It
/// takes op's place when the derivative is complete: until then, both are there.
void supersede(Operation *op, Operation *by);
/// Does so for all such pairs in `root`.
void replaceSuperseded(Operation *root);

/// Reverse mode: emits, at `b`, the cotangent of each seed given those of the
/// targets. Null means zero, among the givens and in the answer.
FailureOr<SmallVector<Value>> pullBack(OpBuilder &b, const Activity &activity,
                                       ValueRange targets,
                                       ArrayRef<Value> cotangents,
                                       ValueRange seeds);

/// Forward mode: emits, after each op, its tangents, and gives those of the
/// targets. Null means zero.
FailureOr<SmallVector<Value>>
pushForward(OpBuilder &b, const Activity &activity, ValueRange seeds,
            ArrayRef<Value> tangents, ValueRange targets);

/// The gradient models of upstream dialects: arith, math, linalg, tensor, scf,
/// func.
void registerDifferentiableModels(DialectRegistry &registry);

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_DIFFERENTIATE_H
