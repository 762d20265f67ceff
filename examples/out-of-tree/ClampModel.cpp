#include "Demo.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "quant_ste/Interfaces/DifferentiableOpInterfaces.h"

using namespace mlir;

/// t where x is in [min, max], else 0: the straight-through clip.
static Value passInside(OpBuilder &b, math::ClampFOp op, Value t) {
  Location loc = op.getLoc();
  auto holds = [&](arith::CmpFPredicate p, Value x, Value y) {
    return arith::CmpFOp::create(b, loc, p, x, y);
  };
  Value x = op.getValue();
  Value above = holds(arith::CmpFPredicate::OGE, x, op.getMin());
  Value below = holds(arith::CmpFPredicate::OLE, x, op.getMax());
  Value inside = arith::AndIOp::create(b, loc, above, below);
  Value zero = arith::ConstantOp::create(
      b, loc, cast<TypedAttr>(b.getZeroAttr(t.getType())));
  return arith::SelectOp::create(b, loc, inside, t, zero);
}

namespace {
struct ClampVjp
    : quant_ste::VjpOpInterface::ExternalModel<ClampVjp, math::ClampFOp> {
  FailureOr<SmallVector<Value>> buildVjp(Operation *op, OpBuilder &b,
                                         ArrayRef<Value> cotangents,
                                         ArrayRef<bool> wanted) const {
    SmallVector<Value> gradients(3);
    if (wanted[0])
      gradients[0] = passInside(b, cast<math::ClampFOp>(op), cotangents[0]);
    if (wanted[1] || wanted[2])
      return op->emitError("the demo's clamp has no gradient for its bounds");
    return gradients;
  }
};
struct ClampJvp
    : quant_ste::JvpOpInterface::ExternalModel<ClampJvp, math::ClampFOp> {
  FailureOr<SmallVector<Value>> buildJvp(Operation *op, OpBuilder &b,
                                         ArrayRef<Value> tangents) const {
    if (tangents[1] || tangents[2])
      return op->emitError("the demo's clamp has no gradient for its bounds");
    return SmallVector<Value>{
        passInside(b, cast<math::ClampFOp>(op), tangents[0])};
  }
};
} // namespace

void demo::registerClampModel(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, math::MathDialect *) {
    math::ClampFOp::attachInterface<ClampVjp, ClampJvp>(*context);
  });
}
