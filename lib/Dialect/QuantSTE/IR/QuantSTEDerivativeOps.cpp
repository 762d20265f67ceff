//===- QuantSTEDerivativeOps.cpp - requests and derivatives -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

using namespace mlir;
using namespace mlir::quant_ste;

//===----------------------------------------------------------------------===//
// value_and_grad, vjp, jvp
//===----------------------------------------------------------------------===//

/// The callee exists and is called with its argument types.
static FailureOr<FunctionOpInterface>
verifyCallee(Operation *op, SymbolTableCollection &symbols,
             FlatSymbolRefAttr callee, TypeRange operands) {
  auto f = symbols.lookupNearestSymbolFrom<FunctionOpInterface>(op, callee);
  if (!f)
    return op->emitOpError("expected a function named ")
           << callee << ", found none";
  ArrayRef<Type> expected = f.getArgumentTypes();
  if (TypeRange(expected) != operands)
    return op->emitOpError("expected operands of the types that ")
           << callee << " takes, (" << expected << "), got (" << operands
           << ")";
  return f;
}

LogicalResult quant_ste::verifyWrt(Operation *op, FunctionOpInterface f,
                                   ArrayRef<int64_t> wrt) {
  if (llvm::none_of(f.getResultTypes(), isDifferentiable))
    return op->emitOpError("expected @")
           << f.getName() << " to return a float or a tensor of floats, got ("
           << f.getResultTypes() << ")";
  llvm::SmallDenseSet<int64_t> seen;
  if (wrt.empty())
    return op->emitOpError("expected 'wrt' to list at least one argument");
  for (int64_t i : wrt) {
    if (i < 0 || i >= static_cast<int64_t>(f.getNumArguments()))
      return op->emitOpError("expected 'wrt' in [0, ")
             << f.getNumArguments() << "), got " << i;
    if (!seen.insert(i).second)
      return op->emitOpError("expected each argument once in 'wrt', got ")
             << i << " twice";
    Type type = f.getArgumentTypes()[i];
    if (!isDifferentiable(type))
      return op->emitOpError("expected a float argument in 'wrt', got ")
             << type << " for argument " << i;
  }
  return success();
}

static SmallVector<Type> floatResults(FunctionOpInterface f) {
  return llvm::filter_to_vector(f.getResultTypes(), isDifferentiable);
}

static LogicalResult verifyTypes(Operation *op, StringRef what,
                                 TypeRange expected, TypeRange got) {
  if (expected == got)
    return success();
  return op->emitOpError("expected ")
         << what << " of types (" << expected << "), got (" << got << ")";
}

static SmallVector<Type> argumentTypes(FunctionOpInterface f,
                                       ArrayRef<int64_t> wrt) {
  return llvm::map_to_vector(
      wrt, [&](int64_t i) -> Type { return f.getArgumentTypes()[i]; });
}

LogicalResult ValueAndGradOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto f = verifyCallee(*this, symbols, getCalleeAttr(), getOperandTypes());
  if (failed(f) || failed(verifyWrt(*this, *f, getWrt())))
    return failure();
  ArrayRef<Type> results = f->getResultTypes();
  auto isOneFloat = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return isDifferentiable(type) && (!tensor || tensor.getRank() == 0);
  };
  if (results.size() != 1 || !isOneFloat(results.front()))
    return emitOpError("expected ")
           << getCalleeAttr()
           << " to return one float (plain or a rank-0 tensor), got ("
           << results << ")";
  SmallVector<Type> expected(results);
  llvm::append_range(expected, argumentTypes(*f, getWrt()));
  return verifyTypes(*this, "results", expected, getResultTypes());
}

LogicalResult VjpOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto f =
      verifyCallee(*this, symbols, getCalleeAttr(), getOperands_().getTypes());
  if (failed(f) || failed(verifyWrt(*this, *f, getWrt())) ||
      failed(verifyTypes(*this, "cotangents", floatResults(*f),
                         getCotangents().getTypes())))
    return failure();
  SmallVector<Type> expected(f->getResultTypes());
  llvm::append_range(expected, argumentTypes(*f, getWrt()));
  return verifyTypes(*this, "results", expected, getResultTypes());
}

LogicalResult JvpOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto f =
      verifyCallee(*this, symbols, getCalleeAttr(), getOperands_().getTypes());
  if (failed(f) || failed(verifyWrt(*this, *f, getWrt())) ||
      failed(verifyTypes(*this, "tangents", argumentTypes(*f, getWrt()),
                         getTangents().getTypes())))
    return failure();
  SmallVector<Type> expected(f->getResultTypes());
  llvm::append_range(expected, floatResults(*f));
  return verifyTypes(*this, "results", expected, getResultTypes());
}

//===----------------------------------------------------------------------===//
// pullback, pushforward
//===----------------------------------------------------------------------===//

/// One op with a gradient rule on the block arguments, and its yield.
static FailureOr<GradientRuleInterface> verifyBody(Operation *op,
                                                   Region &region,
                                                   ValueRange primals,
                                                   ArrayRef<int64_t> wrt) {
  Block &block = region.front();
  if (block.getOperations().size() != 2)
    return op->emitOpError("expected one op and its yield in the region, got ")
           << block.getOperations().size() << " ops";
  auto rule = dyn_cast<GradientRuleInterface>(block.front());
  if (!rule)
    return op->emitOpError("expected an op with a gradient rule, got '")
           << block.front().getName() << "'";
  if (!isa<YieldOp>(block.back()) ||
      ValueRange(block.back().getOperands()) != ValueRange(rule->getResults()))
    return op->emitOpError("expected the region to yield the results of '")
           << rule->getName() << "'";
  if (ValueRange(rule->getOperands()) != ValueRange(block.getArguments()) ||
      block.getArgumentTypes() != primals.getTypes())
    return op->emitOpError("expected '")
           << rule->getName() << "' to take the block arguments, of types ("
           << primals.getTypes() << "), in their order";
  for (auto [n, i] : llvm::enumerate(wrt))
    if (i < 0 || i >= static_cast<int64_t>(primals.size()) ||
        (n && wrt[n - 1] >= i))
      return op->emitOpError("expected 'wrt' ascending in [0, ")
             << primals.size() << "), got [" << wrt << "]";
  return rule;
}

static SmallVector<Type> typesAt(ValueRange values, ArrayRef<int64_t> wrt) {
  return llvm::map_to_vector(wrt,
                             [&](int64_t i) { return values[i].getType(); });
}

LogicalResult PullbackOp::verify() {
  auto rule = verifyBody(*this, getBody(), getPrimals(), getWrt());
  if (failed(rule) ||
      failed(verifyTypes(*this, "cotangents", (*rule)->getResultTypes(),
                         getCotangents().getTypes())))
    return failure();
  return verifyTypes(*this, "gradients", typesAt(getPrimals(), getWrt()),
                     getResultTypes());
}

LogicalResult PushforwardOp::verify() {
  auto rule = verifyBody(*this, getBody(), getPrimals(), getWrt());
  if (failed(rule) || failed(verifyLinear(*rule)) ||
      failed(verifyTypes(*this, "tangents", typesAt(getPrimals(), getWrt()),
                         getTangents().getTypes())))
    return failure();
  return verifyTypes(*this, "result tangents", (*rule)->getResultTypes(),
                     getResultTypes());
}

namespace {
/// Gradients that nobody uses are not computed.
struct DropUnusedGradients : OpRewritePattern<PullbackOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PullbackOp op,
                                PatternRewriter &rewriter) const override {
    SmallVector<int64_t> wrt;
    SmallVector<Type> types;
    SmallVector<Value> kept;
    for (auto [i, g] : llvm::zip_equal(op.getWrt(), op.getGradients()))
      if (!g.use_empty()) {
        wrt.push_back(i);
        types.push_back(g.getType());
        kept.push_back(g);
      }
    if (wrt.size() == op.getWrt().size() || wrt.empty())
      return rewriter.notifyMatchFailure(op, "every gradient is used, or none");
    auto smaller = PullbackOp::create(rewriter, op.getLoc(), types,
                                      op.getCotangents(), op.getPrimals(), wrt);
    rewriter.inlineRegionBefore(op.getBody(), smaller.getBody(),
                                smaller.getBody().end());
    for (auto [from, to] : llvm::zip_equal(kept, smaller.getGradients()))
      rewriter.replaceAllUsesWith(from, to);
    rewriter.eraseOp(op);
    return success();
  }
};
} // namespace

void PullbackOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                             MLIRContext *ctx) {
  patterns.add<DropUnusedGradients>(ctx);
}
