//===- Activity.cpp - where a derivative flows -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModelUtils.h"
#include "quant_ste/Transforms/Differentiate.h"

#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::quant_ste;

/// Wider than isDifferentiable: a float in any container must not lose its
/// derivative silently, so that the op that puts it there is asked for a model.
static bool carriesDerivative(Type type) {
  return isa<FloatType, ComplexType>(getElementTypeOrSelf(type));
}

/// The values that an op reads: its operands, and what its regions capture.
static llvm::SetVector<Value> capturedBy(Operation *op) {
  llvm::SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  return captured;
}

SmallVector<Value> quant_ste::getDifferentiableInputs(Operation *op) {
  SmallVector<Value> inputs(op->getOperands());
  if (isa<DifferentiatesCapturesOpInterface>(op))
    llvm::append_range(inputs, capturedBy(op));
  return inputs;
}

static bool mayWriteMemory(Operation *op) {
  return !isMemoryEffectFree(op) &&
         llvm::any_of(op->getOperandTypes(), llvm::IsaPred<BaseMemRefType>);
}

FailureOr<Activity> Activity::get(Block &block, ValueRange seeds,
                                  ValueRange targets) {
  llvm::DenseSet<Value> varied(seeds.begin(), seeds.end());
  auto isVaried = [&](Value v) { return varied.contains(v); };
  SmallVector<Operation *> variedOps;
  for (Operation &op : block) {
    if (op.hasTrait<OpTrait::IsTerminator>() || op.hasTrait<StopsGradient>() ||
        (llvm::none_of(op.getOperands(), isVaried) &&
         llvm::none_of(capturedBy(&op), isVaried)))
      continue;
    if (mayWriteMemory(&op))
      return emitCannot(
          &op, "it may write a value that carries a derivative to memory");
    variedOps.push_back(&op);
    for (Value r : op.getResults())
      if (carriesDerivative(r.getType()))
        varied.insert(r);
  }

  Activity activity;
  for (Value v : targets)
    if (isVaried(v))
      activity.values.insert(v);
  bool failed = false;
  for (Operation *op : llvm::reverse(variedOps)) {
    if (llvm::none_of(op->getResults(),
                      [&](Value r) { return activity.isActive(r); }))
      continue;
    activity.ops.push_back(op);
    for (Value v : getDifferentiableInputs(op))
      if (isVaried(v))
        activity.values.insert(v);
    if (isa<DifferentiatesCapturesOpInterface>(op))
      continue;
    // A model looks at operands: what flows in through a capture would be lost.
    llvm::SetVector<Value> captured = capturedBy(op);
    auto active = llvm::find_if(captured, isVaried);
    if (active == captured.end())
      continue;
    for (Value v : captured)
      if (isVaried(v))
        activity.values.insert(v);
    failed = true;
    if (!isa<VjpOpInterface, JvpOpInterface>(op)) {
      emitNoRule(op, "VjpOpInterface, JvpOpInterface",
                 "quant_ste.vjp, quant_ste.jvp");
      continue;
    }
    InFlightDiagnostic diag =
        emitCannot(op, "its region reads a value from outside that carries a "
                       "derivative");
    diag.attachNote(active->getLoc())
        << "this value; pass it as an operand, stop its gradient with "
           "quant_ste.detach, or give the function around it a rule of its own "
           "(attribute quant_ste.vjp, quant_ste.jvp)";
  }
  if (failed)
    return failure();
  std::reverse(activity.ops.begin(), activity.ops.end());
  return activity;
}
