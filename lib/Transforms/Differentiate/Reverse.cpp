//===- Reverse.cpp - reverse mode on a block -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModelUtils.h"
#include "quant_ste/Transforms/Differentiate.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::quant_ste;

FailureOr<SmallVector<Value>>
quant_ste::pullBack(OpBuilder &b, const Activity &activity, ValueRange targets,
                    ArrayRef<Value> cotangents, ValueRange seeds) {
  llvm::DenseMap<Value, Value> cotangentOf;
  // A value that is used several times gets the sum.
  auto accumulate = [&](Value v, Value t, Location loc) {
    if (!t || !activity.isActive(v))
      return;
    assert(t.getType() == v.getType() && "a cotangent has its value's type");
    Value &sum = cotangentOf[v];
    sum = sum ? arith::AddFOp::create(b, loc, sum, t).getResult() : t;
  };
  for (auto [v, t] : llvm::zip_equal(targets, cotangents))
    accumulate(v, t, v.getLoc());

  bool failed = false;
  for (Operation *op : llvm::reverse(activity.getOps())) {
    auto given = llvm::map_to_vector(
        op->getResults(), [&](Value r) { return cotangentOf.lookup(r); });
    if (llvm::none_of(given, [](Value t) { return static_cast<bool>(t); }))
      continue;
    SmallVector<Value> inputs = getDifferentiableInputs(op);
    auto wanted = llvm::map_to_vector(
        inputs, [&](Value v) { return activity.isActive(v); });
    auto model = dyn_cast<VjpOpInterface>(op);
    FailureOr<SmallVector<Value>> gradients = failure();
    if (model)
      gradients = model.buildVjp(b, given, wanted);
    else
      emitNoRule(op, "VjpOpInterface", "quant_ste.vjp");
    if (succeeded(gradients)) {
      for (auto [v, g, w] : llvm::zip_equal(inputs, *gradients, wanted))
        if (w)
          accumulate(v, g, op->getLoc());
      continue;
    }
    // What comes before is asked as well, for any value would do: each op that
    // cannot be differentiated is reported in one run.
    failed = true;
    for (auto [v, w] : llvm::zip_equal(inputs, wanted))
      if (w)
        cotangentOf.try_emplace(v, v);
  }
  if (failed)
    return failure();
  return llvm::map_to_vector(seeds,
                             [&](Value v) { return cotangentOf.lookup(v); });
}
