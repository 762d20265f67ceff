//===- BodyEmitter.h - a kernel's body in lanes -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_CPU_BODYEMITTER_H
#define QUANT_STE_TRANSFORMS_CPU_BODYEMITTER_H

#include "quant_ste/Transforms/StreamKernel.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"

namespace mlir::quant_ste {

/// Emits a kernel's body piece by piece: at each depth of the loop nest, what
/// depends on no deeper loop. So a per-tensor parameter and all that follows
/// from it is computed once, one per channel once a row, and only the rest in
/// the innermost loop. Values that vary along the vector loop are vectors, all
/// others scalars.
class BodyEmitter {
public:
  /// A place in the nest and what has been emitted above it. A scope inside it
  /// starts as a copy.
  struct Scope {
    /// The index in each loop; null for the loops that are not entered yet.
    SmallVector<Value> ivs;
    IRMapping scalars;
    /// Vectors of `width` lanes.
    DenseMap<Value, Value> vectors;
    int64_t width = 0;
    /// Which lanes exist; null for all.
    Value mask;
    /// Are whole vectors stored past the caches, at the start of a line?
    bool isNonTemporal = false;
    /// May the lanes belong to different rows? Then all that is not the same
    /// everywhere is a vector.
    bool hasRowsInLanes = false;
  };

  /// `hasMaskRegisters`: a vector of booleans is a register, as on CPUs.
  BodyEmitter(ImplicitLocOpBuilder &b, StreamKernel &kernel,
              bool hasMaskRegisters = true);

  /// The scope outside of all loops.
  Scope makeScope();

  /// Loads and computes all that the loops entered so far suffice for.
  void emit(Scope &scope);

  /// The value that the body yields for an output.
  Value getYielded(Scope &scope, unsigned output);

  /// An operand's element, or as many as there are lanes if it sees the vector
  /// loop.
  Value load(Scope &scope, const StreamOperand &operand);
  void store(Scope &scope, const StreamOperand &operand, Value value);
  /// The same for any buffer and indices: lanes, or a scalar to store.
  Value loadAt(Scope &scope, Value buffer, ValueRange at);
  void storeAt(Scope &scope, Value buffer, ValueRange at, Value value);

  VectorType getVectorType(Scope &scope, Type element) {
    return VectorType::get({scope.width}, element);
  }

private:
  Value getScalar(Scope &scope, Value v);
  Value getVector(Scope &scope, Value v);
  bool isEmitted(Scope &scope, Value v) {
    return scope.scalars.contains(v) || scope.vectors.contains(v);
  }
  /// Are all loops entered that `v` depends on?
  bool isReady(Scope &scope, Value v);
  bool isVector(Scope &scope, Value v) {
    auto it = seen.find(v);
    return it != seen.end() &&
           (scope.hasRowsInLanes ? it->second.any()
                                 : it->second.test(k.getVectorLoop()));
  }
  void emitOp(Scope &scope, Operation &op);
  void emitIndex(Scope &scope, linalg::IndexOp op);

  ImplicitLocOpBuilder &b;
  StreamKernel &k;
  bool hasMaskRegisters;
  /// The loops that each value of the body depends on.
  DenseMap<Value, llvm::SmallBitVector> seen;
};

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_CPU_BODYEMITTER_H
