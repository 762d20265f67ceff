//===- LoopsEmitter.cpp - a kernel of plain loops -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "KernelEmitter.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Utils/Utils.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace mlir::quant_ste;

bool quant_ste::mayOverlap(linalg::GenericOp op, Value input) {
  return llvm::any_of(op.getDpsInits(), [&](Value output) {
    return getRootBuffer(output) == getRootBuffer(input);
  });
}

void quant_ste::passCaptured(KernelBuilder &kernel, linalg::GenericOp op,
                             IRMapping &map) {
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(op.getRegion(), captured);
  for (Value v : captured) {
    auto type = dyn_cast<MemRefType>(v.getType());
    if (!type) {
      map.map(v, kernel.pass(v));
      continue;
    }
    // A table, of which the body reads any element.
    SmallVector<Value> dims;
    for (int64_t d = 0; d < type.getRank(); ++d)
      dims.push_back(kernel.host.createOrFold<memref::DimOp>(v, d));
    map.map(v, kernel.passBuffer(v, dims, /*isConstant=*/false));
  }
}

namespace {
class LoopsEmitter {
public:
  LoopsEmitter(OpBuilder &builder, linalg::GenericOp op,
               const KernelOptions &options)
      : host(op.getLoc(), builder), op(op),
        kernel((host.setInsertionPoint(op), host), options.library,
               options.name, /*minBlocks=*/1),
        options(options), b(kernel.device) {}
  void emit();

private:
  template <class Op> Value fold(ImplicitLocOpBuilder &b, Value x, Value y) {
    return KernelBuilder::fold<Op>(b, x, y);
  }
  void findSizes();
  void passOperands();
  void emitElement(Value element);
  SmallVector<Value> emitInnermost(ValueRange accs);
  SmallVector<Value> indicesOf(OpOperand &operand);
  bool isInRegister(OpOperand &output);

  ImplicitLocOpBuilder host;
  linalg::GenericOp op;
  KernelBuilder kernel;
  const KernelOptions &options;
  ImplicitLocOpBuilder &b;
  /// Of the host; one a loop.
  SmallVector<Value> sizes;
  /// Loops that every output sees: their elements are independent.
  SmallVector<unsigned> kept, inner;
  /// In the kernel; one an operand.
  SmallVector<Value> operands;
  SmallVector<Value> ivs;
  IRMapping captured;
};
} // namespace

void LoopsEmitter::findSizes() {
  // As in linalg's shapes-to-loops map: the first operand dimension that is
  // this loop and nothing else.
  sizes.assign(op.getNumLoops(), Value());
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (auto [d, expr] : llvm::enumerate(map.getResults()))
      if (auto dim = dyn_cast<AffineDimExpr>(expr);
          dim && !sizes[dim.getPosition()])
        sizes[dim.getPosition()] =
            host.createOrFold<memref::DimOp>(operand.get(), d);
  }
  for (unsigned loop = 0; loop < op.getNumLoops(); ++loop) {
    bool isKept = llvm::all_of(op.getDpsInitsMutable(), [&](OpOperand &output) {
      AffineMap map = op.getMatchingIndexingMap(&output);
      return map.getResultPosition(getAffineDimExpr(loop, op.getContext())) !=
             std::nullopt;
    });
    (isKept ? kept : inner).push_back(loop);
  }
}

void LoopsEmitter::passOperands() {
  for (OpOperand &operand : op->getOpOperands()) {
    Value v = operand.get();
    auto type = dyn_cast<MemRefType>(v.getType());
    if (!type) {
      operands.push_back(kernel.pass(v));
      continue;
    }
    SmallVector<Value> dims;
    for (int64_t d = 0; d < type.getRank(); ++d)
      dims.push_back(host.createOrFold<memref::DimOp>(v, d));
    bool isConstant = op.isDpsInput(&operand) && !mayOverlap(op, v);
    operands.push_back(kernel.passBuffer(v, dims, isConstant));
  }
}

SmallVector<Value> LoopsEmitter::indicesOf(OpOperand &operand) {
  SmallVector<Value> at;
  AffineMap map = op.getMatchingIndexingMap(&operand);
  for (AffineExpr expr : map.getResults()) {
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      at.push_back(ivs[dim.getPosition()]);
    else
      at.push_back(affine::AffineApplyOp::create(
          b, AffineMap::get(map.getNumDims(), 0, expr), ivs));
  }
  return at;
}

/// An output that sees no inner loop changes in a register.
bool LoopsEmitter::isInRegister(OpOperand &output) {
  AffineMap map = op.getMatchingIndexingMap(&output);
  return llvm::none_of(
      inner, [&](unsigned loop) { return map.isFunctionOfDim(loop); });
}

SmallVector<Value> LoopsEmitter::emitInnermost(ValueRange accs) {
  IRMapping map = captured;
  Block &body = op.getRegion().front();
  unsigned next = 0;
  for (auto [operand, value] : llvm::zip_equal(op->getOpOperands(), operands)) {
    BlockArgument arg = op.getMatchingBlockArgument(&operand);
    if (op.isDpsInit(&operand) && isInRegister(operand))
      map.map(arg, accs[next++]);
    else if (!isa<MemRefType>(value.getType()))
      map.map(arg, value);
    else if (!arg.use_empty())
      map.map(arg, memref::LoadOp::create(b, value, indicesOf(operand)));
  }
  for (Operation &inside : body.without_terminator()) {
    if (auto index = dyn_cast<linalg::IndexOp>(inside))
      map.map(index.getResult(), ivs[index.getDim()]);
    else
      b.clone(inside, map);
  }
  SmallVector<Value> results;
  for (auto [i, output] : llvm::enumerate(op.getDpsInitsMutable())) {
    Value v = map.lookupOrDefault(body.getTerminator()->getOperand(i));
    if (isInRegister(output))
      results.push_back(v);
    else
      memref::StoreOp::create(b, v, operands[output.getOperandNumber()],
                              indicesOf(output));
  }
  return results;
}

void LoopsEmitter::emitElement(Value element) {
  ivs.assign(op.getNumLoops(), Value());
  Value rest = element;
  for (unsigned loop : llvm::reverse(kept)) {
    Value size = kernel.pass(sizes[loop]);
    ivs[loop] =
        loop == kept.front() ? rest : fold<arith::RemUIOp>(b, rest, size);
    if (loop != kept.front())
      rest = fold<arith::DivUIOp>(b, rest, size);
  }
  SmallVector<OpOperand *> inRegister;
  SmallVector<Value> accs;
  for (auto [i, output] : llvm::enumerate(op.getDpsInitsMutable())) {
    if (!isInRegister(output))
      continue;
    inRegister.push_back(&output);
    Value initial = options.initial.lookup(i);
    // Where nobody reads it, a load of it is dropped again.
    accs.push_back(
        initial ? kernel.pass(initial)
                : memref::LoadOp::create(b, operands[output.getOperandNumber()],
                                         indicesOf(output))
                      .getResult());
  }
  if (inner.empty()) {
    accs = emitInnermost(accs);
  } else {
    SmallVector<Value> zeros(inner.size(), KernelBuilder::index(b, 0));
    SmallVector<Value> ones(inner.size(), KernelBuilder::index(b, 1));
    SmallVector<Value> ends = llvm::map_to_vector(
        inner, [&](unsigned loop) { return kernel.pass(sizes[loop]); });
    accs = scf::buildLoopNest(
               b, b.getLoc(), zeros, ends, ones, accs,
               [&](OpBuilder &nested, Location, ValueRange at,
                   ValueRange next) -> scf::ValueVector {
                 OpBuilder::InsertionGuard guard(b);
                 b.setInsertionPointToEnd(nested.getInsertionBlock());
                 for (auto [loop, iv] : llvm::zip_equal(inner, at))
                   ivs[loop] = iv;
                 return emitInnermost(next);
               })
               .results;
  }
  for (auto [output, value] : llvm::zip_equal(inRegister, accs))
    memref::StoreOp::create(b, value, operands[output->getOperandNumber()],
                            indicesOf(*output));
}

void LoopsEmitter::emit() {
  findSizes();
  passOperands();
  passCaptured(kernel, op, captured);
  Value total = KernelBuilder::index(host, 1);
  for (unsigned loop : kept)
    total = fold<arith::MulIOp>(host, total, sizes[loop]);
  Value threads = KernelBuilder::index(host, kBlockThreads);
  Value blocks = fold<arith::CeilDivUIOp>(host, total, threads);
  blocks = fold<arith::MinUIOp>(
      host, blocks, KernelBuilder::index(host, 8 * options.target.maxBlocks));

  Value first = fold<arith::AddIOp>(
      b,
      fold<arith::MulIOp>(b, kernel.block,
                          KernelBuilder::index(b, kBlockThreads)),
      kernel.thread);
  Value step = kernel.pass(fold<arith::MulIOp>(host, blocks, threads));
  scf::ForOp::create(
      b, first, kernel.pass(total), step, ValueRange(),
      [&](OpBuilder &nested, Location, Value element, ValueRange) {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToEnd(nested.getInsertionBlock());
        emitElement(element);
        scf::YieldOp::create(b);
      });
  kernel.launch(blocks);
  op.erase();
}

void quant_ste::emitGpuLoops(OpBuilder &builder, linalg::GenericOp op,
                             const KernelOptions &options) {
  LoopsEmitter(builder, op, options).emit();
}
