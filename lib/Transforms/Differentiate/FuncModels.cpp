//===- FuncModels.cpp - models of the func dialect -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The derivative of a call is a request for the derivative of the callee, which
// quant-ste-differentiate serves like any other: each function is
// differentiated once for each set of arguments.
//
//===----------------------------------------------------------------------===//

#include "ModelUtils.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace mlir::quant_ste;

/// The operands in which there is a derivative to ask for. An active operand of
/// another type (a memref, say) has none that could be passed on.
static FailureOr<SmallVector<int64_t>> getWrt(func::CallOp call,
                                              ArrayRef<bool> wanted) {
  SmallVector<int64_t> wrt;
  for (auto [i, type] : llvm::enumerate(call.getOperandTypes())) {
    if (!wanted[i])
      continue;
    if (!isDifferentiable(type)) {
      emitCannot(call, "expected operand #" + Twine(i) +
                           ", which carries a derivative, to be a float or a "
                           "ranked tensor of floats, got ")
          << type;
      return failure();
    }
    wrt.push_back(i);
  }
  return wrt;
}

namespace {
struct CallVjp : VjpOpInterface::ExternalModel<CallVjp, func::CallOp> {
  FailureOr<SmallVector<Value>> buildVjp(Operation *op, OpBuilder &builder,
                                         ArrayRef<Value> given,
                                         ArrayRef<bool> wanted) const {
    ImplicitLocOpBuilder b(op->getLoc(), builder);
    auto call = cast<func::CallOp>(op);
    auto wrt = getWrt(call, wanted);
    if (failed(wrt))
      return failure();
    SmallVector<Value> cotangents;
    for (auto [r, t] : llvm::zip_equal(call.getResults(), given))
      if (isDifferentiable(r.getType()))
        cotangents.push_back(t ? t : zerosLike(b, r));
    SmallVector<Type> types(call.getResultTypes());
    for (int64_t i : *wrt)
      types.push_back(call.getOperand(i).getType());
    auto vjp = VjpOp::create(b, types, call.getCallee(), call.getOperands(),
                             cotangents, *wrt);
    SmallVector<Value> grads(call.getNumOperands());
    for (auto [i, g] : llvm::zip_equal(
             *wrt, vjp.getResults().drop_front(call.getNumResults())))
      grads[i] = g;
    return grads;
  }
};

struct CallJvp : JvpOpInterface::ExternalModel<CallJvp, func::CallOp> {
  FailureOr<SmallVector<Value>> buildJvp(Operation *op, OpBuilder &builder,
                                         ArrayRef<Value> given) const {
    ImplicitLocOpBuilder b(op->getLoc(), builder);
    auto call = cast<func::CallOp>(op);
    auto wanted = llvm::map_to_vector(
        given, [](Value t) { return static_cast<bool>(t); });
    auto wrt = getWrt(call, wanted);
    if (failed(wrt))
      return failure();
    SmallVector<Value> tangents;
    for (int64_t i : *wrt)
      tangents.push_back(given[i]);
    SmallVector<Type> types(call.getResultTypes());
    llvm::append_range(types, llvm::make_filter_range(call.getResultTypes(),
                                                      isDifferentiable));
    auto jvp = JvpOp::create(b, types, call.getCallee(), call.getOperands(),
                             tangents, *wrt);
    SmallVector<Value> out(call.getNumResults());
    unsigned next = call.getNumResults();
    for (auto [i, type] : llvm::enumerate(call.getResultTypes()))
      if (isDifferentiable(type))
        out[i] = jvp.getResults()[next++];
    return out;
  }
};
} // namespace

void quant_ste::registerFuncModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *ctx, func::FuncDialect *) {
    func::CallOp::attachInterface<CallVjp, CallJvp>(*ctx);
  });
}
