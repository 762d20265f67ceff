//===- PairedLanes.h - bf16 by pairs that share 32 bits ---------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_LIB_EXECUTION_PAIREDLANES_H
#define QUANT_STE_LIB_EXECUTION_PAIREDLANES_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/SetVector.h"

namespace llvm {
class Function;
class Instruction;
class ShuffleVectorInst;
class Use;
class Value;
} // namespace llvm

namespace mlir::quant_ste {

/// Two neighbours of bf16 are one i32: the second is, but for the lower half,
/// the f32 that it stands for, and a shift makes that of the first. So the
/// bits of f32 cost one cheap instruction a register, and no widening, which
/// has one or two ports, if of each 32 elements the 16 even ones stand before
/// the 16 odd ones. What is computed lane by lane does not care. This gives the
/// vectors of a loop's body that order, from what is read to what is rounded;
/// sums are put back in order behind the loop, so that no bit changes.
///
/// A function where some vector of the body has another use, is stored in f32
/// say, stays as it is.
class PairedLanes {
public:
  /// Reorders the lanes of f, if that is possible.
  explicit PairedLanes(llvm::Function &f);

  /// Where the upper halves of an even and an odd register are stored: a shift
  /// and an or, unless an instruction has rounded them by now.
  void joinTops();

private:
  bool collect(llvm::Function &f);
  bool takeOperand(llvm::Value *v);
  void reorder();

  unsigned lanes = 0;
  /// Widened bf16: the instruction that makes a bf16 the upper half of an i32.
  SmallVector<llvm::Instruction *> roots;
  /// All that has the new order, roots as well.
  llvm::SetVector<llvm::Instruction *> body;
  /// Cut to 16 bits, which is where the order ends.
  llvm::SetVector<llvm::Instruction *> tops;
  /// Uses behind the loop.
  SmallVector<llvm::Use *> uses;
  SmallVector<llvm::ShuffleVectorInst *> joined;
};

} // namespace mlir::quant_ste

#endif // QUANT_STE_LIB_EXECUTION_PAIREDLANES_H
