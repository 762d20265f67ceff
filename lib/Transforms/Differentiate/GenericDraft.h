//===- GenericDraft.h - a linalg.generic, body first -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_LIB_TRANSFORMS_DIFFERENTIATE_GENERICDRAFT_H
#define QUANT_STE_LIB_TRANSFORMS_DIFFERENTIATE_GENERICDRAFT_H

#include "mlir/IR/AffineMap.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Region.h"

namespace mlir::quant_ste {

/// A linalg.generic whose body is written before its operands are chosen: what
/// the finished body does not read is no operand. Dropped unfinished, it leaves
/// nothing behind.
class GenericDraft {
public:
  GenericDraft(ImplicitLocOpBuilder &outer, unsigned numLoops);

  /// Both give the block argument that stands for an element.
  Value addInput(Value v, AffineMap map);
  Value addInit(Value v, AffineMap map);

  Block &getBlock() { return *block; }
  ImplicitLocOpBuilder &getBodyBuilder() { return inner; }

  /// Ends the body and erases what it does not need. Nothing may be added then.
  void yield(ValueRange values);

  /// Builds the op: a loop that some result does not see, or sees only in a sum
  /// of loops, is a reduction.
  SmallVector<Value> finish();

private:
  ImplicitLocOpBuilder &outer;
  unsigned numLoops;
  Region region;
  Block *block;
  ImplicitLocOpBuilder inner;
  SmallVector<Value> inputs, inits;
  SmallVector<AffineMap> inputMaps, initMaps;
};

} // namespace mlir::quant_ste

#endif // QUANT_STE_LIB_TRANSFORMS_DIFFERENTIATE_GENERICDRAFT_H
