//===- Vectorize.cpp - linalg on buffers to vector loops -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "HoistParameters.h"
#include "NestEmitter.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEVECTORIZEPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir::quant_ste;

/// A copy of fewer bytes is left to memcpy.
static constexpr int64_t kLargeCopy = 65536;

/// A kernel's vectors are of whole bytes, or of booleans.
static bool isStreamed(Type element) {
  return element.isInteger(1) ||
         (element.isIntOrFloat() && element.getIntOrFloatBitWidth() % 8 == 0);
}

/// Upstream lowers a copy that is contiguous to memcpy, which runs on one
/// thread and mostly through the caches, and any other to a call of its own
/// run-time library.
static bool isLeftToUpstream(memref::CopyOp copy) {
  auto isContiguous = [](Value v) {
    auto type = dyn_cast<MemRefType>(v.getType());
    return !type || type.getLayout().isIdentity();
  };
  if (!isContiguous(copy.getSource()) || !isContiguous(copy.getTarget()))
    return false;
  auto type = dyn_cast<MemRefType>(copy.getTarget().getType());
  if (!type || type.getRank() == 0 || !isStreamed(type.getElementType()))
    return true;
  int64_t bytes =
      llvm::divideCeil(type.getElementType().getIntOrFloatBitWidth(), 8);
  return type.hasStaticShape() && type.getNumElements() < kLargeCopy / bytes;
}

static void rewriteCopy(RewriterBase &rewriter, memref::CopyOp copy) {
  if (isLeftToUpstream(copy))
    return;
  rewriter.setInsertionPoint(copy);
  rewriter.replaceOpWithNewOp<linalg::CopyOp>(copy, copy.getSource(),
                                              copy.getTarget());
}

//===----------------------------------------------------------------------===//
// Sums that start at zero
//===----------------------------------------------------------------------===//

static Value getBase(Value buffer) {
  while (auto view = buffer.getDefiningOp<ViewLikeOpInterface>())
    buffer = view.getViewSource();
  return buffer;
}

/// The op that makes `buffer` zero for `op`, if nothing in between looks at it.
static linalg::FillOp findZeros(linalg::GenericOp op, Value buffer) {
  Value base = getBase(buffer);
  for (Operation *at = op->getPrevNode(); at; at = at->getPrevNode()) {
    auto fill = dyn_cast<linalg::FillOp>(at);
    if (fill && fill.output() == buffer)
      return matchPattern(fill.value(), m_PosZeroFloat()) ? fill : nullptr;
    if (isMemoryEffectFree(at) ||
        isa<memref::AllocOp, memref::AllocaOp, memref::DeallocOp>(at))
      continue;
    if (!isa<linalg::LinalgOp>(at) ||
        llvm::any_of(at->getOperands(), [&](Value v) {
          return isa<MemRefType>(v.getType()) && getBase(v) == base;
        }))
      return {};
  }
  return {};
}

/// For each result of the op that is a sum: where its zeros come from.
static SmallVector<linalg::FillOp> findZeros(linalg::GenericOp op) {
  SmallVector<linalg::FillOp> fills;
  for (OpOperand &init : op.getDpsInitsMutable()) {
    Value base = getBase(init.get());
    bool isRead = llvm::count_if(op->getOperands(), [&](Value v) {
                    return isa<MemRefType>(v.getType()) && getBase(v) == base;
                  }) != 1;
    fills.push_back(isRead ? nullptr : findZeros(op, init.get()));
  }
  return fills;
}

/// The sums are stored where they would be added to zeros.
static void absorbZeros(RewriterBase &rewriter, StreamKernel &kernel,
                        MutableArrayRef<linalg::FillOp> fills) {
  kernel.startsAtZero.resize(kernel.outputs.size());
  for (auto [i, fill] : llvm::enumerate(fills)) {
    if (!fill || kernel.isContraction ||
        kernel.reductions[i] != arith::AtomicRMWKind::addf ||
        kernel.op.getDpsInitOperand(i)->get() != fill.output())
      continue;
    kernel.startsAtZero.set(i);
    rewriter.eraseOp(fill);
  }
}

static void emit(RewriterBase &rewriter, linalg::GenericOp op,
                 MutableArrayRef<linalg::FillOp> fills) {
  for (linalg::GenericOp part : hoistParameters(rewriter, op)) {
    std::string why;
    FailureOr<StreamKernel> kernel = StreamKernel::analyze(part, why);
    // What is not one is left to plain loops, like any other.
    if (failed(kernel))
      continue;
    if (part.getNumDpsInits() == static_cast<int64_t>(fills.size()))
      absorbZeros(rewriter, *kernel, fills);
    emitStreamKernel(rewriter, *kernel);
  }
}

namespace {
struct Vectorize : quant_ste::impl::QuantSTEVectorizePassBase<Vectorize> {
  /// Those that were left to plain loops.
  DenseSet<Operation *> seen;

  void runOnOperation() override {
    seen.clear();
    IRRewriter rewriter(&getContext());
    SmallVector<memref::CopyOp> copies;
    getOperation().walk([&](memref::CopyOp op) { copies.push_back(op); });
    for (memref::CopyOp copy : copies)
      rewriteCopy(rewriter, copy);

    // Fills come last: sums take the zeros of some.
    generalize(rewriter, [](linalg::LinalgOp op) {
      return !isa<linalg::GenericOp, linalg::FillOp>(op);
    });
    emitGenerics(rewriter);
    generalize(rewriter,
               [](linalg::LinalgOp op) { return isa<linalg::FillOp>(op); });
    emitGenerics(rewriter);
  }

  void generalize(RewriterBase &rewriter,
                  function_ref<bool(linalg::LinalgOp)> isWanted);
  void emitGenerics(RewriterBase &rewriter);
};
} // namespace

void Vectorize::generalize(RewriterBase &rewriter,
                           function_ref<bool(linalg::LinalgOp)> isWanted) {
  SmallVector<linalg::LinalgOp> named;
  getOperation().walk([&](linalg::LinalgOp op) {
    if (isWanted(op))
      named.push_back(op);
  });
  for (linalg::LinalgOp op : named) {
    rewriter.setInsertionPoint(op);
    // What cannot be generalized, convert-linalg-to-loops still lowers.
    (void)linalg::generalizeNamedOp(rewriter, op);
  }
}

void Vectorize::emitGenerics(RewriterBase &rewriter) {
  // All zeros are found while all ops are there.
  SmallVector<std::pair<linalg::GenericOp, SmallVector<linalg::FillOp>>>
      generics;
  getOperation().walk([&](linalg::GenericOp op) {
    if (op.hasPureBufferSemantics() && !seen.contains(op))
      generics.emplace_back(op, findZeros(op));
  });
  for (auto &[op, fills] : generics) {
    std::string why;
    FailureOr<StreamKernel> kernel = StreamKernel::analyze(op, why);
    if (succeeded(kernel)) {
      emit(rewriter, op, fills);
      ++numKernels;
      continue;
    }
    seen.insert(op);
    ++numPlainLoops;
    if (why.empty())
      continue;
    remark::missed(op.getLoc(), remark::RemarkOpts::name("PlainLoops")
                                    .category(getArgument())
                                    .function(getOperation().getName()))
        << "left to plain loops: " << why;
  }
}
