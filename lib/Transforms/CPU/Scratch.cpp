//===- Scratch.cpp - buffers that a kernel needs for itself -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Scratch.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

Value quant_ste::allocateScratch(OpBuilder &b, Operation *user,
                                 ArrayRef<Value> sizes, Type element) {
  SmallVector<int64_t> shape;
  SmallVector<Value> dynamic;
  for (Value size : sizes) {
    std::optional<int64_t> known = getConstantIntValue(size);
    shape.push_back(known.value_or(ShapedType::kDynamic));
    if (!known)
      dynamic.push_back(size);
  }
  // Not out of a parallel loop, whose iterations would share the buffer.
  Operation *outermost = user;
  if (dynamic.empty())
    while (isa<scf::ForOp, scf::IfOp, scf::WhileOp>(outermost->getParentOp()))
      outermost = outermost->getParentOp();
  OpBuilder::InsertionGuard guard(b);
  // Behind the sizes, which are made at the insertion point.
  if (outermost != user)
    b.setInsertionPoint(outermost);
  Location loc = user->getLoc();
  Value buffer =
      memref::AllocOp::create(b, loc, MemRefType::get(shape, element), dynamic,
                              b.getI64IntegerAttr(64));
  b.setInsertionPointAfter(outermost);
  memref::DeallocOp::create(b, loc, buffer);
  return buffer;
}
