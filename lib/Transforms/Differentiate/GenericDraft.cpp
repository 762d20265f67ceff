//===- GenericDraft.cpp - a linalg.generic, body first -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "GenericDraft.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;
using namespace mlir::quant_ste;
using utils::IteratorType;

GenericDraft::GenericDraft(ImplicitLocOpBuilder &outer, unsigned numLoops)
    : outer(outer), numLoops(numLoops), block(&region.emplaceBlock()),
      inner(outer.getLoc(), outer.getContext()) {
  inner.setInsertionPointToEnd(block);
}

Value GenericDraft::addInput(Value v, AffineMap map) {
  unsigned at = inputs.size();
  inputs.push_back(v);
  inputMaps.push_back(map);
  return block->insertArgument(at, getElementTypeOrSelf(v.getType()),
                               outer.getLoc());
}

Value GenericDraft::addInit(Value v, AffineMap map) {
  inits.push_back(v);
  initMaps.push_back(map);
  return block->addArgument(getElementTypeOrSelf(v.getType()), outer.getLoc());
}

void GenericDraft::yield(ValueRange values) {
  linalg::YieldOp::create(inner, values);
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(*block)))
    if (isOpTriviallyDead(&op))
      op.erase();
}

SmallVector<Value> GenericDraft::finish() {
  // An input that is not read stays only where the sizes of the loops could not
  // be told without it.
  llvm::SmallBitVector known(numLoops);
  auto addDims = [&](AffineMap map) {
    bool isNew = false;
    for (AffineExpr e : map.getResults())
      if (auto d = dyn_cast<AffineDimExpr>(e); d && !known[d.getPosition()]) {
        known.set(d.getPosition());
        isNew = true;
      }
    return isNew;
  };
  for (AffineMap map : initMaps)
    addDims(map);
  for (unsigned i = 0; i < inputs.size(); ++i)
    if (!block->getArgument(i).use_empty())
      addDims(inputMaps[i]);
  llvm::BitVector unread(block->getNumArguments());
  for (unsigned i = 0; i < inputs.size(); ++i)
    if (block->getArgument(i).use_empty() && !addDims(inputMaps[i]))
      unread.set(i);
  block->eraseArguments(unread);

  SmallVector<Value> keptInputs;
  SmallVector<AffineMap> maps;
  for (unsigned i = 0; i < inputs.size(); ++i)
    if (!unread[i]) {
      keptInputs.push_back(inputs[i]);
      maps.push_back(inputMaps[i]);
    }
  llvm::append_range(maps, initMaps);

  SmallVector<IteratorType> iterators;
  for (unsigned d = 0; d < numLoops; ++d)
    iterators.push_back(llvm::all_of(initMaps,
                                     [&](AffineMap m) {
                                       return m.getResultPosition(
                                           outer.getAffineDimExpr(d));
                                     })
                            ? IteratorType::parallel
                            : IteratorType::reduction);
  auto generic = linalg::GenericOp::create(outer, TypeRange(ValueRange(inits)),
                                           keptInputs, inits, maps, iterators);
  generic.getRegion().takeBody(region);
  return SmallVector<Value>(generic.getResults());
}
