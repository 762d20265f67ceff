//===- ResidualPlan.h - what a backward keeps -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The nodes of the graph are the values that see no cotangent: tensors, and the
// scalars in the bodies of elementwise generics, each of which stands for a
// tensor over the generic's loops. A node costs its bytes, or nothing if it is
// alive anyway. Sources are what cannot or shall not be computed twice, sinks
// are what ops read that see a cotangent. A minimum cut between the two is
// kept; what lies behind it is computed again.
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_RESIDUALS_RESIDUALPLAN_H
#define QUANT_STE_TRANSFORMS_RESIDUALS_RESIDUALPLAN_H

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::quant_ste {

struct ResidualOptions {
  ResidualPolicy policy = ResidualPolicy::minimal;
  bool keepArguments = true;
  bool keepResults = true;
  bool pack = true;
  bool recomputeProducts = false;
  int64_t dynamicSize = 256;
  std::optional<int64_t> budget;
};

/// What a function made by quant-ste-differentiate is made of.
struct JointFunction {
  func::FuncOp f;
  SmallVector<Value> primals, cotangents;
  int64_t numPrimalResults = 0;

  Block &getBlock() const { return func::FuncOp(f).getBody().front(); }
  /// Emits an error where the function is none.
  static FailureOr<JointFunction> get(func::FuncOp f);
  /// The results of the primal, in order; the gradients.
  SmallVector<Value> getPrimalResults() const;
  SmallVector<Value> getGradients() const;
};

/// The functions of the module that have cotangents, or the one of that name.
FailureOr<SmallVector<func::FuncOp>> findJointFunctions(ModuleOp module,
                                                        StringRef name);

/// What an op reads, its regions included.
llvm::SetVector<Value> readBy(Operation *op);

/// The seeds, and everything computed from them in the block.
llvm::DenseSet<Value> sliceFrom(Block &block, ArrayRef<Value> seeds);

/// Made from constants alone, without contents of its own: in no need of being
/// kept.
bool isRemade(Value v);

class ResidualPlan {
public:
  struct Kept {
    Value value;
    int64_t bytes = 0;
    std::string formula; ///< where sizes are dynamic, a product with `?`
    std::string why;
  };
  struct Recomputed {
    Operation *op;
    int64_t bytes = 0; ///< of what need not be kept
  };

  /// Emits an error where the budget is too small.
  static FailureOr<ResidualPlan> make(JointFunction joint,
                                      const ResidualOptions &options);

  /// Puts quant_ste.residual ops into the function, and what is computed again
  /// behind them.
  void apply();
  void print(raw_ostream &os);
  int64_t getBytes() const;

private:
  ResidualPlan(JointFunction joint, const ResidualOptions &options)
      : joint(std::move(joint)), options(options) {}
  class Graph;
  class Materializer;
  /// Products that are allowed to be computed again together.
  using Step = SmallVector<Operation *>;

  JointFunction joint;
  ResidualOptions options;
  /// Products that are computed again all the same.
  llvm::DenseSet<Operation *> allowed;
  llvm::DenseSet<Value> late;
  /// Tensors and scalars of bodies that are kept.
  llvm::SetVector<Value> cut;
  /// What the backward has, kept or computed again.
  llvm::DenseSet<Value> wanted;
  /// A scalar of a body as the result that it is yielded for.
  DenseMap<Value, Value> resultOf;
  SmallVector<Kept> kept;
  SmallVector<Recomputed> recomputed;
};

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_RESIDUALS_RESIDUALPLAN_H
