//===- StreamKernel.h - a generic as loops along memory -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a code generator for streaming kernels has to know of a linalg.generic
// on buffers, whatever the target: in which order to run its loops, which of
// them are one, what each operand sees of them, and what is summed.
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_STREAMKERNEL_H
#define QUANT_STE_TRANSFORMS_STREAMKERNEL_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/SmallBitVector.h"
#include "llvm/ADT/SmallPtrSet.h"

namespace mlir::quant_ste {

struct StreamOperand {
  /// A buffer, collapsed by StreamKernel::materialize, or a plain scalar; null
  /// for what an emitter has otherwise.
  Value value;
  /// The kernel's loop of each dimension of the collapsed buffer.
  SmallVector<unsigned> loops;
  /// The dimensions of the original buffer that each of them stands for.
  SmallVector<ReassociationIndices> dims;
  /// Of bytes that hold a bit for each element of the vector loop: that bit, in
  /// the body. The last dimension counts bits in `loops`.
  Value bit = {};
  /// Of a sum whose terms are wanted themselves: these, in the body.
  Value term = {};

  bool isBuffer() const { return value && isa<MemRefType>(value.getType()); }
  bool sees(unsigned loop) const { return llvm::is_contained(loops, loop); }
};

struct StreamKernel {
  linalg::GenericOp op;
  /// Each loop is a run of loops of the op, in its order of execution; the last
  /// one is the vector loop, along memory in each operand that sees it.
  SmallVector<SmallVector<unsigned>> loops;
  SmallVector<StreamOperand> inputs, outputs;
  /// For each output: how it is reduced, unless it sees all loops.
  SmallVector<std::optional<arith::AtomicRMWKind>> reductions;
  /// Outputs that are sums and hold zeros until then: nobody reads these.
  llvm::SmallBitVector startsAtZero;
  /// Loops that every reduced output sees; all, if there is none.
  llvm::SmallBitVector kept;
  /// A sum of products of two operands that see different loops. Its terms must
  /// be added in the order of the loops.
  bool isContraction = false;
  /// Ops of the body that only pack or unpack bits, or add terms that are
  /// wanted themselves.
  llvm::SmallPtrSet<Operation *, 8> packing;
  /// The number of iterations of each loop; set by materialize.
  SmallVector<Value> sizes;

  unsigned getNumLoops() const { return loops.size(); }
  unsigned getVectorLoop() const { return loops.size() - 1; }
  bool isZero(unsigned output) const {
    return output < startsAtZero.size() && startsAtZero[output];
  }
  bool isReduction() const {
    return llvm::any_of(reductions, [](auto &r) { return r.has_value(); });
  }
  Block &getBody() { return op.getRegion().front(); }
  BlockArgument getInputArg(unsigned i) { return getBody().getArgument(i); }
  BlockArgument getOutputArg(unsigned i) {
    return getBody().getArgument(inputs.size() + i);
  }

  /// Looks at `op`, which has pure buffer semantics, without changing the IR.
  /// When it is no such kernel, `why` gets the reason, if it is of interest.
  static FailureOr<StreamKernel> analyze(linalg::GenericOp op,
                                         std::string &why);

  /// Makes the collapsed buffers and the sizes.
  void materialize(ImplicitLocOpBuilder &b);
};

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_STREAMKERNEL_H
