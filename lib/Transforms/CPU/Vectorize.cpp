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
#include "mlir/IR/Remarks.h"

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

static void emit(RewriterBase &rewriter, linalg::GenericOp op) {
  for (linalg::GenericOp part : hoistParameters(rewriter, op)) {
    std::string why;
    FailureOr<StreamKernel> kernel = StreamKernel::analyze(part, why);
    // What is not one is left to plain loops, like any other.
    if (succeeded(kernel))
      emitStreamKernel(rewriter, *kernel);
  }
}

namespace {
struct Vectorize : quant_ste::impl::QuantSTEVectorizePassBase<Vectorize> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<memref::CopyOp> copies;
    getOperation().walk([&](memref::CopyOp op) { copies.push_back(op); });
    for (memref::CopyOp copy : copies)
      rewriteCopy(rewriter, copy);

    SmallVector<linalg::LinalgOp> named;
    getOperation().walk([&](linalg::LinalgOp op) {
      if (!isa<linalg::GenericOp>(op))
        named.push_back(op);
    });
    for (linalg::LinalgOp op : named) {
      rewriter.setInsertionPoint(op);
      // What cannot be generalized, convert-linalg-to-loops still lowers.
      (void)linalg::generalizeNamedOp(rewriter, op);
    }

    SmallVector<linalg::GenericOp> generics;
    getOperation().walk([&](linalg::GenericOp op) {
      if (op.hasPureBufferSemantics())
        generics.push_back(op);
    });
    for (linalg::GenericOp op : generics) {
      std::string why;
      FailureOr<StreamKernel> kernel = StreamKernel::analyze(op, why);
      if (succeeded(kernel)) {
        emit(rewriter, op);
        ++numKernels;
        continue;
      }
      ++numPlainLoops;
      if (why.empty())
        continue;
      remark::missed(op.getLoc(), remark::RemarkOpts::name("PlainLoops")
                                      .category(getArgument())
                                      .function(getOperation().getName()))
          << "left to plain loops: " << why;
    }
  }
};
} // namespace
