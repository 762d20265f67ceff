//===- Forward.cpp - forward mode on a block -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ModelUtils.h"
#include "quant_ste/Transforms/Differentiate.h"

using namespace mlir;
using namespace mlir::quant_ste;

FailureOr<SmallVector<Value>>
quant_ste::pushForward(OpBuilder &b, const Activity &activity, ValueRange seeds,
                       ArrayRef<Value> tangents, ValueRange targets) {
  llvm::DenseMap<Value, Value> tangentOf;
  for (auto [v, t] : llvm::zip_equal(seeds, tangents))
    if (t)
      tangentOf[v] = t;

  bool failed = false;
  for (Operation *op : activity.getOps()) {
    auto given = llvm::map_to_vector(getDifferentiableInputs(op), [&](Value v) {
      return tangentOf.lookup(v);
    });
    if (llvm::none_of(given, [](Value t) { return static_cast<bool>(t); }))
      continue;
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointAfter(op);
    auto model = dyn_cast<JvpOpInterface>(op);
    FailureOr<SmallVector<Value>> results = failure();
    if (model)
      results = model.buildJvp(b, given);
    else
      emitNoRule(op, "JvpOpInterface", "quant_ste.jvp");
    failed |= mlir::failed(results);
    for (auto [i, r] : llvm::enumerate(op->getResults())) {
      // After a failure any value will do, to report further ops in this run.
      Value t = succeeded(results) ? (*results)[i] : r;
      assert((!t || t.getType() == r.getType()) &&
             "a tangent has its value's type");
      if (t && activity.isActive(r))
        tangentOf[r] = t;
    }
  }
  if (failed)
    return failure();
  return llvm::map_to_vector(targets,
                             [&](Value v) { return tangentOf.lookup(v); });
}
