//===- DeviceScalars.cpp - scalars that are in the GPU's memory -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEDEVICESCALARSPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

static tensor::ExtractOp getExtract(Value v) {
  auto extract = v.getDefiningOp<tensor::ExtractOp>();
  return extract && extract.getIndices().empty() ? extract
                                                 : tensor::ExtractOp();
}

namespace {
/// How a scalar is computed from elements of tensors: these, the other scalars
/// that go in, and the ops between, in order.
struct Recipe {
  SetVector<Value> elements, scalars;
  SetVector<Operation *> ops;

  void add(Value v) {
    if (getExtract(v)) {
      elements.insert(v);
      return;
    }
    Operation *op = v.getDefiningOp();
    if (!op || op->getNumRegions() || op->getNumResults() != 1 ||
        !isMemoryEffectFree(op) ||
        !llvm::all_of(op->getOperandTypes(),
                      [](Type type) { return type.isIntOrIndexOrFloat(); })) {
      scalars.insert(v);
      return;
    }
    if (ops.contains(op))
      return;
    for (Value operand : op->getOperands())
      add(operand);
    ops.insert(op);
  }
};

struct DeviceScalars
    : quant_ste::impl::QuantSTEDeviceScalarsPassBase<DeviceScalars> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    IRRewriter rewriter(&getContext());
    SmallVector<tensor::FromElementsOp> made;
    function.walk([&](tensor::FromElementsOp op) {
      if (op.getElements().size() == 1)
        made.push_back(op);
    });
    for (tensor::FromElementsOp op : made)
      fill(rewriter, op);
    SmallVector<tensor::InsertOp> inserted;
    function.walk([&](tensor::InsertOp op) { inserted.push_back(op); });
    for (tensor::InsertOp op : inserted)
      insert(rewriter, op);
    SmallVector<linalg::FillOp> fills;
    function.walk([&](linalg::FillOp op) { fills.push_back(op); });
    for (linalg::FillOp op : fills) {
      rewriter.setInsertionPoint(op);
      if (isOfDevice(op.value()))
        (void)linalg::generalizeNamedOp(rewriter, op);
    }
    SmallVector<linalg::GenericOp> generics;
    function.walk([&](linalg::GenericOp op) { generics.push_back(op); });
    for (linalg::GenericOp op : generics)
      sink(rewriter, op);
  }

  bool isOfDevice(Value scalar) {
    Recipe recipe;
    recipe.add(scalar);
    return !recipe.elements.empty();
  }

  /// The host does not write to memory: a kernel does.
  Value fill(IRRewriter &rewriter, Location loc, RankedTensorType type,
             Value scalar) {
    Value empty = tensor::EmptyOp::create(rewriter, loc, type.getShape(),
                                          type.getElementType());
    return linalg::FillOp::create(rewriter, loc, scalar, empty).result();
  }

  void fill(IRRewriter &rewriter, tensor::FromElementsOp op) {
    rewriter.setInsertionPoint(op);
    Value filled =
        fill(rewriter, op.getLoc(), op.getType(), op.getElements().front());
    rewriter.replaceOp(op, filled);
  }

  void insert(IRRewriter &rewriter, tensor::InsertOp op) {
    rewriter.setInsertionPoint(op);
    auto one = RankedTensorType::get({}, op.getScalar().getType());
    Value filled = fill(rewriter, op.getLoc(), one, op.getScalar());
    SmallVector<OpFoldResult> ones(op.getDest().getType().getRank(),
                                   rewriter.getIndexAttr(1));
    rewriter.replaceOpWithNewOp<tensor::InsertSliceOp>(
        op, filled, op.getDest(), getAsOpFoldResult(op.getIndices()), ones,
        ones);
  }

  void sink(IRRewriter &rewriter, linalg::GenericOp op) {
    Recipe recipe;
    SmallVector<unsigned> sunk;
    for (OpOperand *input : op.getDpsInputOperands())
      if (!isa<ShapedType>(input->get().getType()) &&
          isOfDevice(input->get())) {
        sunk.push_back(input->getOperandNumber());
        recipe.add(input->get());
      }
    if (sunk.empty())
      return;

    unsigned numLoops = op.getNumLoops();
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    SmallVector<Value> inputs(op.getInputs());
    Block &body = op.getRegion().front();
    IRMapping inside;
    auto add = [&](Value scalar, Value operand) {
      maps.insert(maps.begin() + inputs.size(),
                  AffineMap::get(numLoops, 0, op.getContext()));
      inside.map(scalar, body.insertArgument(inputs.size(), scalar.getType(),
                                             op.getLoc()));
      inputs.push_back(operand);
    };
    for (Value element : recipe.elements)
      add(element, getExtract(element).getTensor());
    for (Value scalar : recipe.scalars)
      add(scalar, scalar);
    rewriter.setInsertionPointToStart(&body);
    for (Operation *between : recipe.ops)
      rewriter.clone(*between, inside);
    for (unsigned i : sunk)
      body.getArgument(i).replaceAllUsesWith(inside.lookup(op->getOperand(i)));
    for (unsigned i : llvm::reverse(sunk)) {
      body.eraseArgument(i);
      maps.erase(maps.begin() + i);
      inputs.erase(inputs.begin() + i);
    }
    rewriter.setInsertionPoint(op);
    auto wide = linalg::GenericOp::create(
        rewriter, op.getLoc(), op.getResultTypes(), inputs, op.getOutputs(),
        maps, op.getIteratorTypesArray());
    wide->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    wide.getRegion().takeBody(op.getRegion());
    rewriter.replaceOp(op, wide);
  }
};
} // namespace
