//===- ArithMathModels.cpp - elementwise derivatives -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The partial derivatives of arith and math, said once per op: `propagate`
// gives t times the partial by one operand. The Jacobian of an elementwise op
// is diagonal, so that the same function serves reverse mode (t: cotangent) and
// forward mode (t: tangent), on plain floats and on tensors.
//
// Where a derivative has no value, the choice is made by a select, never by a
// multiplication, so that what is not chosen does not matter, finite or not:
// * maximumf and its kin give t to the operands equal to the result, half each
//   where both are, as torch.maximum and JAX do;
// * absf and copysign give 0 at 0;
// * powf and fpowi give 0 to the base where the exponent is 0, and powf gives 0
//   to the exponent where the base is 0.
// math.clampf has no model: its description and its lowerings say max(min(x,
// lower), upper), which is hardly meant. quant_ste.tensor_clamp is the op to
// use.
//
//===----------------------------------------------------------------------===//

#include "ModelUtils.h"
#include "quant_ste/Interfaces/DifferentiableOpInterfaces.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::quant_ste;

//===----------------------------------------------------------------------===//
// Terms: values, or literals that become values where they meet one
//===----------------------------------------------------------------------===//

namespace {
/// Where terms are emitted; a literal takes its type and its sizes from `t`,
/// the tangent or cotangent, never from a primal value.
struct Emitter {
  ImplicitLocOpBuilder &b;
  Value t;
};

class Term {
public:
  Term() = default;
  Term(double literal) : literal(literal) {}
  Term(Emitter &e, Value v) : e(&e), v(v) {}

  Value value() const { return v; }
  Emitter &emitter() const { return *e; }
  Value valueIn(Emitter &e) const {
    return v ? v : floatLike(e.b, literal, e.t);
  }

  friend Term operator+(Term x, Term y) { return binary<arith::AddFOp>(x, y); }
  friend Term operator-(Term x, Term y) { return binary<arith::SubFOp>(x, y); }
  friend Term operator*(Term x, Term y) { return binary<arith::MulFOp>(x, y); }
  friend Term operator/(Term x, Term y) { return binary<arith::DivFOp>(x, y); }
  Term operator-() const { return {*e, arith::NegFOp::create(e->b, v)}; }

  template <class Op> static Term binary(Term x, Term y) {
    auto [e, lhs, rhs] = materialize(x, y);
    return {e, Op::create(e.b, lhs, rhs)};
  }
  /// Both as values, the left one first; at least one of them is a value.
  static std::tuple<Emitter &, Value, Value> materialize(Term x, Term y) {
    Emitter &e = x.v ? *x.e : *y.e;
    Value lhs = x.valueIn(e);
    Value rhs = y.valueIn(e);
    return {e, lhs, rhs};
  }

private:
  Emitter *e = nullptr;
  Value v;
  double literal = 0;
};

/// What a derivative reads: operands, the result, and which operand is asked.
struct At {
  Operation *op;
  Emitter &e;
  unsigned i; ///< the operand by which we differentiate

  Term operator[](unsigned operand) const {
    return {e, op->getOperand(operand)};
  }
  Term y() const { return {e, op->getResult(0)}; }
};
} // namespace

template <class Op> static Term call(Term x) {
  return {x.emitter(), Op::create(x.emitter().b, x.value())};
}

static Value compare(arith::CmpFPredicate p, Term x, Term y) {
  auto [e, lhs, rhs] = Term::materialize(x, y);
  return arith::CmpFOp::create(e.b, p, lhs, rhs);
}
static Value equal(Term x, Term y) {
  return compare(arith::CmpFPredicate::OEQ, x, y);
}
static Value less(Term x, Term y) {
  return compare(arith::CmpFPredicate::OLT, x, y);
}

static Term select(Value c, Term x, Term y) {
  auto [e, lhs, rhs] = Term::materialize(x, y);
  return {e, arith::SelectOp::create(e.b, c, lhs, rhs)};
}

/// t * sign(x), and 0 at 0.
static Term timesSign(Term t, Term x) {
  Value positive = less(0.0, x);
  Value negative = less(x, 0.0);
  Term minus = -t;
  Term below = select(negative, minus, 0.0);
  return select(positive, t, below);
}

//===----------------------------------------------------------------------===//
// arith
//===----------------------------------------------------------------------===//

static Term propagate(arith::AddFOp, const At &, Term t) { return t; }
static Term propagate(arith::SubFOp, const At &at, Term t) {
  return at.i == 0 ? t : -t;
}
static Term propagate(arith::NegFOp, const At &, Term t) { return -t; }
static Term propagate(arith::MulFOp, const At &at, Term t) {
  return t * at[1 - at.i];
}
static Term propagate(arith::DivFOp, const At &at, Term t) {
  Term dx = t / at[1];
  return at.i == 0 ? dx : -(dx * at.y());
}
static Term propagate(arith::SelectOp op, const At &at, Term t) {
  if (at.i == 0)
    return {};
  Value c = op.getCondition();
  return at.i == 1 ? select(c, t, 0.0) : select(c, 0.0, t);
}
static Term propagate(arith::ExtFOp, const At &, Term t) { return t; }
static Term propagate(arith::TruncFOp, const At &, Term t) { return t; }

/// The larger or smaller of two: the operands equal to the result share t.
static Term propagateExtremum(const At &at, Term t) {
  Value isResult = equal(at[at.i], at.y());
  Value isTie = equal(at[0], at[1]);
  Term half = t * 0.5;
  Term share = select(isTie, half, t);
  return select(isResult, share, 0.0);
}
static Term propagate(arith::MaximumFOp, const At &at, Term t) {
  return propagateExtremum(at, t);
}
static Term propagate(arith::MinimumFOp, const At &at, Term t) {
  return propagateExtremum(at, t);
}
static Term propagate(arith::MaxNumFOp, const At &at, Term t) {
  return propagateExtremum(at, t);
}
static Term propagate(arith::MinNumFOp, const At &at, Term t) {
  return propagateExtremum(at, t);
}

//===----------------------------------------------------------------------===//
// math: powers and logarithms
//===----------------------------------------------------------------------===//

static constexpr double kLn2 = 0.69314718055994530942;
static constexpr double kLn10 = 2.30258509299404568402;
static constexpr double kTwoOverSqrtPi = 1.12837916709551257390;

static Term propagate(math::ExpOp, const At &at, Term t) { return t * at.y(); }
static Term propagate(math::Exp2Op, const At &at, Term t) {
  Term scaled = t * kLn2;
  return scaled * at.y();
}
static Term propagate(math::ExpM1Op, const At &at, Term t) {
  return t * call<math::ExpOp>(at[0]);
}
static Term propagate(math::LogOp, const At &at, Term t) { return t / at[0]; }
static Term propagate(math::Log2Op, const At &at, Term t) {
  return t / (at[0] * kLn2);
}
static Term propagate(math::Log10Op, const At &at, Term t) {
  return t / (at[0] * kLn10);
}
static Term propagate(math::Log1pOp, const At &at, Term t) {
  return t / (at[0] + 1.0);
}
static Term propagate(math::SqrtOp, const At &at, Term t) {
  Term half = t * 0.5;
  return half / at.y();
}
static Term propagate(math::RsqrtOp, const At &at, Term t) {
  // -t/2 * y / x
  Term half = t * -0.5;
  Term scaled = half * at.y();
  return scaled / at[0];
}
static Term propagate(math::CbrtOp, const At &at, Term t) {
  Term square = at.y() * at.y();
  return t / (square * 3.0);
}
static Term propagate(math::PowFOp, const At &at, Term t) {
  Term x = at[0], p = at[1];
  if (at.i == 0) {
    Term less = p - 1.0;
    Term power = Term::binary<math::PowFOp>(x, less);
    Term slope = p * power;
    Term dx = t * slope;
    return select(equal(p, 0.0), 0.0, dx);
  }
  Term log = call<math::LogOp>(x);
  Term slope = at.y() * log;
  Term dp = t * slope;
  return select(equal(x, 0.0), 0.0, dp);
}
static Term propagate(math::FPowIOp op, const At &at, Term t) {
  if (at.i == 1)
    return {};
  ImplicitLocOpBuilder &b = at.e.b;
  Value n = op.getRhs();
  Type type = getElementTypeOrSelf(n.getType());
  Value one = constantLike(b, b.getIntegerAttr(type, 1), at.e.t);
  Value zero = constantLike(b, b.getIntegerAttr(type, 0), at.e.t);
  Value less = arith::SubIOp::create(b, n, one);
  Term power(at.e, math::FPowIOp::create(b, op.getLhs(), less));
  Term factor(at.e, arith::SIToFPOp::create(b, op.getType(), n));
  Term slope = factor * power;
  Term dx = t * slope;
  Value isConstant =
      arith::CmpIOp::create(b, arith::CmpIPredicate::eq, n, zero);
  return select(isConstant, 0.0, dx);
}
static Term propagate(math::FmaOp, const At &at, Term t) {
  return at.i == 2 ? t : t * at[1 - at.i];
}

//===----------------------------------------------------------------------===//
// math: trigonometric and hyperbolic functions
//===----------------------------------------------------------------------===//

static Term square(Term x) { return x * x; }

static Term propagate(math::SinOp, const At &at, Term t) {
  return t * call<math::CosOp>(at[0]);
}
static Term propagate(math::CosOp, const At &at, Term t) {
  return -(t * call<math::SinOp>(at[0]));
}
static Term propagate(math::TanOp, const At &at, Term t) {
  return t * (square(at.y()) + 1.0);
}
static Term propagate(math::AsinOp, const At &at, Term t) {
  return t / call<math::SqrtOp>(1.0 - square(at[0]));
}
static Term propagate(math::AcosOp, const At &at, Term t) {
  return -(t / call<math::SqrtOp>(1.0 - square(at[0])));
}
static Term propagate(math::AtanOp, const At &at, Term t) {
  return t / (square(at[0]) + 1.0);
}
static Term propagate(math::Atan2Op, const At &at, Term t) {
  // atan2(y, x): dy = x / (x^2 + y^2), dx = -y / (x^2 + y^2)
  Term y2 = square(at[0]);
  Term x2 = square(at[1]);
  Term slope = at[1 - at.i] / (x2 + y2);
  Term product = t * slope;
  return at.i == 0 ? product : -product;
}
static Term propagate(math::SinhOp, const At &at, Term t) {
  return t * call<math::CoshOp>(at[0]);
}
static Term propagate(math::CoshOp, const At &at, Term t) {
  return t * call<math::SinhOp>(at[0]);
}
static Term propagate(math::TanhOp, const At &at, Term t) {
  return t * (1.0 - square(at.y()));
}
static Term propagate(math::AsinhOp, const At &at, Term t) {
  return t / call<math::SqrtOp>(square(at[0]) + 1.0);
}
static Term propagate(math::AcoshOp, const At &at, Term t) {
  return t / call<math::SqrtOp>(square(at[0]) - 1.0);
}
static Term propagate(math::AtanhOp, const At &at, Term t) {
  return t / (1.0 - square(at[0]));
}

//===----------------------------------------------------------------------===//
// math: the rest
//===----------------------------------------------------------------------===//

/// t * 2/sqrt(pi) * exp(-x^2)
static Term propagateErf(const At &at, Term t) {
  Term bell = call<math::ExpOp>(-square(at[0]));
  Term scaled = t * kTwoOverSqrtPi;
  return scaled * bell;
}
static Term propagate(math::ErfOp, const At &at, Term t) {
  return propagateErf(at, t);
}
static Term propagate(math::ErfcOp, const At &at, Term t) {
  return -propagateErf(at, t);
}
static Term propagate(math::AbsFOp, const At &at, Term t) {
  return timesSign(t, at[0]);
}
static Term propagate(math::CopySignOp, const At &at, Term t) {
  if (at.i == 1)
    return {};
  Term sign = Term::binary<math::CopySignOp>(1.0, at[1]);
  Term signedT = t * sign;
  return timesSign(signedT, at[0]);
}
//===----------------------------------------------------------------------===//
// The models
//===----------------------------------------------------------------------===//

namespace {
template <class Op>
struct PointwiseVjp : VjpOpInterface::ExternalModel<PointwiseVjp<Op>, Op> {
  FailureOr<SmallVector<Value>> buildVjp(Operation *op, OpBuilder &builder,
                                         ArrayRef<Value> cotangents,
                                         ArrayRef<bool> wanted) const {
    ImplicitLocOpBuilder b(op->getLoc(), builder);
    SmallVector<Value> grads(op->getNumOperands());
    for (auto [i, g] : llvm::enumerate(grads)) {
      if (!wanted[i])
        continue;
      Emitter e{b, cotangents[0]};
      At at{op, e, static_cast<unsigned>(i)};
      if (Value v = propagate(cast<Op>(op), at, Term(e, e.t)).value())
        g = convertFloat(b, v, op->getOperand(i).getType());
    }
    return grads;
  }
};

template <class Op>
struct PointwiseJvp : JvpOpInterface::ExternalModel<PointwiseJvp<Op>, Op> {
  FailureOr<SmallVector<Value>> buildJvp(Operation *op, OpBuilder &builder,
                                         ArrayRef<Value> tangents) const {
    ImplicitLocOpBuilder b(op->getLoc(), builder);
    Value sum;
    for (auto [i, t] : llvm::enumerate(tangents)) {
      if (!t)
        continue;
      Emitter e{b, t};
      At at{op, e, static_cast<unsigned>(i)};
      Value v = propagate(cast<Op>(op), at, Term(e, t)).value();
      if (!v)
        continue;
      v = convertFloat(b, v, op->getResult(0).getType());
      sum = sum ? arith::AddFOp::create(b, sum, v).getResult() : v;
    }
    return SmallVector<Value>{sum};
  }
};

/// (sin x, cos x)
struct SincosVjp : VjpOpInterface::ExternalModel<SincosVjp, math::SincosOp> {
  FailureOr<SmallVector<Value>> buildVjp(Operation *op, OpBuilder &builder,
                                         ArrayRef<Value> cotangents,
                                         ArrayRef<bool>) const {
    ImplicitLocOpBuilder b(op->getLoc(), builder);
    Value sin = op->getResult(0), cos = op->getResult(1), dx;
    if (cotangents[0])
      dx = arith::MulFOp::create(b, cotangents[0], cos);
    if (cotangents[1]) {
      Value down = arith::MulFOp::create(b, cotangents[1], sin);
      dx = dx ? arith::SubFOp::create(b, dx, down).getResult()
              : arith::NegFOp::create(b, down).getResult();
    }
    return SmallVector<Value>{dx};
  }
};
struct SincosJvp : JvpOpInterface::ExternalModel<SincosJvp, math::SincosOp> {
  FailureOr<SmallVector<Value>> buildJvp(Operation *op, OpBuilder &builder,
                                         ArrayRef<Value> tangents) const {
    ImplicitLocOpBuilder b(op->getLoc(), builder);
    Value dsin = arith::MulFOp::create(b, tangents[0], op->getResult(1));
    Value down = arith::MulFOp::create(b, tangents[0], op->getResult(0));
    return SmallVector<Value>{dsin, arith::NegFOp::create(b, down)};
  }
};

/// A step function has the derivative zero almost everywhere, which nobody who
/// trains through it means; a declared gradient is one op away.
LogicalResult refuseRounding(Operation *op, StringRef replacement) {
  InFlightDiagnostic diag =
      emitCannot(op, "its derivative is zero almost everywhere");
  diag.attachNote() << "use " << replacement
                    << ", which declares its gradient, or say "
                       "quant_ste.detach where zero is meant";
  return diag;
}

StringRef replacementOf(math::FloorOp) { return "quant_ste.floor"; }
StringRef replacementOf(math::CeilOp) { return "quant_ste.ceil"; }
StringRef replacementOf(math::RoundEvenOp) { return "quant_ste.round"; }
StringRef replacementOf(math::RoundOp) {
  return "quant_ste.round (which rounds ties to even)";
}
StringRef replacementOf(math::TruncOp) { return "quant_ste.round_to_zero"; }

template <class Op>
struct RoundingVjp : VjpOpInterface::ExternalModel<RoundingVjp<Op>, Op> {
  FailureOr<SmallVector<Value>>
  buildVjp(Operation *op, OpBuilder &, ArrayRef<Value>, ArrayRef<bool>) const {
    return refuseRounding(op, replacementOf(cast<Op>(op)));
  }
};
template <class Op>
struct RoundingJvp : JvpOpInterface::ExternalModel<RoundingJvp<Op>, Op> {
  FailureOr<SmallVector<Value>> buildJvp(Operation *op, OpBuilder &,
                                         ArrayRef<Value>) const {
    return refuseRounding(op, replacementOf(cast<Op>(op)));
  }
};

template <class... Ops> void attachPointwise(MLIRContext *ctx) {
  (Ops::template attachInterface<PointwiseVjp<Ops>, PointwiseJvp<Ops>>(*ctx),
   ...);
}
template <class... Ops> void attachRounding(MLIRContext *ctx) {
  (Ops::template attachInterface<RoundingVjp<Ops>, RoundingJvp<Ops>>(*ctx),
   ...);
}
} // namespace

void quant_ste::registerArithMathModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *ctx, arith::ArithDialect *) {
    attachPointwise<arith::AddFOp, arith::DivFOp, arith::ExtFOp,
                    arith::MaximumFOp, arith::MaxNumFOp, arith::MinimumFOp,
                    arith::MinNumFOp, arith::MulFOp, arith::NegFOp,
                    arith::SelectOp, arith::SubFOp, arith::TruncFOp>(ctx);
  });
  registry.addExtension(+[](MLIRContext *ctx, math::MathDialect *) {
    attachPointwise<math::AbsFOp, math::AcosOp, math::AcoshOp, math::AsinOp,
                    math::AsinhOp, math::AtanOp, math::Atan2Op, math::AtanhOp,
                    math::CbrtOp, math::CopySignOp, math::CosOp, math::CoshOp,
                    math::ErfOp, math::ErfcOp, math::ExpOp, math::Exp2Op,
                    math::ExpM1Op, math::FmaOp, math::FPowIOp, math::LogOp,
                    math::Log10Op, math::Log1pOp, math::Log2Op, math::PowFOp,
                    math::RsqrtOp, math::SinOp, math::SinhOp, math::SqrtOp,
                    math::TanOp, math::TanhOp>(ctx);
    attachRounding<math::CeilOp, math::FloorOp, math::RoundOp,
                   math::RoundEvenOp, math::TruncOp>(ctx);
    math::SincosOp::attachInterface<SincosVjp, SincosJvp>(*ctx);
  });
}
