//===- IRScalar.h - reading of a rule that emits MLIR
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_READINGS_IRSCALAR_H
#define QUANT_STE_RULES_READINGS_IRSCALAR_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "quant_ste/Rules/ScalarAlgebra.h"

namespace mlir::quant_ste {

/// An i1 value, and the float type of the values it was compared from.
struct IRBool {
  ImplicitLocOpBuilder *b = nullptr;
  FloatType type;
  Value v;

  friend IRBool operator&&(IRBool x, IRBool y) {
    return {x.b, x.type, arith::AndIOp::create(*x.b, x.v, y.v)};
  }
  friend IRBool operator||(IRBool x, IRBool y) {
    return {x.b, x.type, arith::OrIOp::create(*x.b, x.v, y.v)};
  }
  friend IRBool operator!(IRBool x) {
    Value yes = arith::ConstantIntOp::create(*x.b, 1, 1);
    return {x.b, x.type, arith::XOrIOp::create(*x.b, x.v, yes)};
  }
};

/// A float value, or a literal that becomes an arith.constant of the right type
/// when it meets a value. No fast-math flag is ever set.
class IRScalar {
public:
  using Bool = IRBool;
  IRScalar() = default;
  IRScalar(double literal) : literal(literal) {}
  IRScalar(ImplicitLocOpBuilder &b, Value v) : b(&b), v(v) {}

  /// The value, made a constant of `type` if it is a literal.
  Value materialize(ImplicitLocOpBuilder &builder, FloatType type) const {
    if (v)
      return v;
    return arith::ConstantOp::create(builder,
                                     builder.getFloatAttr(type, literal));
  }

  friend IRScalar operator+(IRScalar x, IRScalar y) {
    return binary<arith::AddFOp>(x, y);
  }
  friend IRScalar operator-(IRScalar x, IRScalar y) {
    return binary<arith::SubFOp>(x, y);
  }
  friend IRScalar operator*(IRScalar x, IRScalar y) {
    return binary<arith::MulFOp>(x, y);
  }
  friend IRScalar operator/(IRScalar x, IRScalar y) {
    return binary<arith::DivFOp>(x, y);
  }
  friend IRScalar operator-(IRScalar x) { return unary<arith::NegFOp>(x); }
  friend IRBool operator<(IRScalar x, IRScalar y) {
    return compare(arith::CmpFPredicate::OLT, x, y);
  }
  friend IRBool operator>(IRScalar x, IRScalar y) {
    return compare(arith::CmpFPredicate::OGT, x, y);
  }
  friend IRBool operator<=(IRScalar x, IRScalar y) {
    return compare(arith::CmpFPredicate::OLE, x, y);
  }
  friend IRBool operator>=(IRScalar x, IRScalar y) {
    return compare(arith::CmpFPredicate::OGE, x, y);
  }
  friend IRBool operator==(IRScalar x, IRScalar y) {
    return compare(arith::CmpFPredicate::OEQ, x, y);
  }
  friend IRScalar select(IRBool m, IRScalar x, IRScalar y) {
    Value ifTrue = x.materialize(*m.b, m.type);
    Value ifFalse = y.materialize(*m.b, m.type);
    return {*m.b, arith::SelectOp::create(*m.b, m.v, ifTrue, ifFalse)};
  }
  friend IRScalar roundEven(IRScalar x) { return unary<math::RoundEvenOp>(x); }
  friend IRScalar floor(IRScalar x) { return unary<math::FloorOp>(x); }
  friend IRScalar ceil(IRScalar x) { return unary<math::CeilOp>(x); }
  friend IRScalar abs(IRScalar x) { return unary<math::AbsFOp>(x); }

  /// 2^n for a whole double n, |n| <= 1022: the exponent field, shifted. Next
  /// to 1.5 * 2^52 the last bits of a double are a whole number, so that no
  /// target has to convert 64-bit integers, which many cannot do in vectors.
  friend IRScalar powerOfTwo(IRScalar n) {
    ImplicitLocOpBuilder &b = *n.b;
    IRScalar biased = n + IRScalar(0x1.8p52 + 1023);
    Value bits = arith::BitcastOp::create(b, b.getI64Type(), biased.v);
    Value mantissaBits = arith::ConstantIntOp::create(b, 52, 64);
    Value field = arith::ShLIOp::create(b, bits, mantissaBits);
    return {b, arith::BitcastOp::create(b, b.getF64Type(), field)};
  }
  /// floor(log2(x)) of a positive, normal, finite double: its exponent field,
  /// made the last bits of a number next to 2^52.
  friend IRScalar exponent(IRScalar x) {
    ImplicitLocOpBuilder &b = *x.b;
    Value bits = arith::BitcastOp::create(b, b.getI64Type(), x.v);
    Value mantissaBits = arith::ConstantIntOp::create(b, 52, 64);
    Value field = arith::ShRUIOp::create(b, bits, mantissaBits);
    Value large = arith::ConstantIntOp::create(b, 0x4330000000000000, 64);
    Value sumBits = arith::OrIOp::create(b, field, large);
    IRScalar sum(b, arith::BitcastOp::create(b, b.getF64Type(), sumBits));
    return sum - IRScalar(0x1p52 + 1023);
  }
  /// The exponent field alone.
  friend IRScalar floorToPowerOfTwo(IRScalar x) {
    APInt field =
        APFloat::getInf(x.type().getFloatSemantics()).bitcastToAPInt();
    return onBits(x, [&](ImplicitLocOpBuilder &b, Value bits) -> Value {
      Value mask =
          arith::ConstantOp::create(b, b.getIntegerAttr(bits.getType(), field));
      return arith::AndIOp::create(b, bits, mask);
    });
  }
  /// The exponent field, moved by k.
  friend IRScalar scalePowerOfTwo(IRScalar x, int k) {
    FloatType type = x.type();
    APInt field(type.getWidth(), k, /*isSigned=*/true);
    field <<= type.getFPMantissaWidth() - 1;
    return onBits(x, [&](ImplicitLocOpBuilder &b, Value bits) -> Value {
      Value shift =
          arith::ConstantOp::create(b, b.getIntegerAttr(bits.getType(), field));
      return arith::AddIOp::create(b, bits, shift);
    });
  }
  /// The exponent field, mirrored at that of 1.
  friend IRScalar inverseOfPowerOfTwo(IRScalar x) {
    APInt one = APFloat(x.type().getFloatSemantics(), 1).bitcastToAPInt();
    return onBits(x, [&](ImplicitLocOpBuilder &b, Value bits) -> Value {
      Value twice = arith::ConstantOp::create(
          b, b.getIntegerAttr(bits.getType(), one.shl(1)));
      return arith::SubIOp::create(b, twice, bits);
    });
  }
  template <class F> friend IRScalar inDouble(IRScalar x, F f) {
    ImplicitLocOpBuilder &b = *x.b;
    Type type = x.v.getType(), f64 = b.getF64Type();
    if (type == f64)
      return f(x);
    Value wide = arith::ExtFOp::create(b, f64, x.v);
    return {b, arith::TruncFOp::create(b, type, f(IRScalar(b, wide)).v)};
  }
  template <size_t n, class F>
  friend IRScalar inDouble(const std::array<IRScalar, n> &x, F f) {
    ImplicitLocOpBuilder &b = *x[0].b;
    Type type = x[0].v.getType(), f64 = b.getF64Type();
    if (type == f64)
      return f(x);
    std::array<IRScalar, n> wide;
    for (auto [to, from] : llvm::zip_equal(wide, x))
      to = IRScalar(b, arith::ExtFOp::create(b, f64, from.v));
    return {b, arith::TruncFOp::create(b, type, f(wide).v)};
  }

private:
  ImplicitLocOpBuilder *b = nullptr;
  Value v;
  double literal = 0;

  FloatType type() const { return cast<FloatType>(v.getType()); }

  /// What `change` makes of the number's bits.
  static IRScalar
  onBits(IRScalar x,
         function_ref<Value(ImplicitLocOpBuilder &, Value)> change) {
    ImplicitLocOpBuilder &b = *x.b;
    FloatType type = x.type();
    Type integer = b.getIntegerType(type.getWidth());
    Value bits = arith::BitcastOp::create(b, integer, x.v);
    Value changed = change(b, bits);
    return {b, arith::BitcastOp::create(b, type, changed)};
  }
  template <class Op> static IRScalar binary(IRScalar x, IRScalar y) {
    IRScalar typed = x.v ? x : y;
    assert(typed.v && "two literals: say the constant instead");
    Value lhs = x.materialize(*typed.b, typed.type());
    Value rhs = y.materialize(*typed.b, typed.type());
    return {*typed.b, Op::create(*typed.b, lhs, rhs)};
  }
  template <class Op> static IRScalar unary(IRScalar x) {
    return {*x.b, Op::create(*x.b, x.v)};
  }
  static IRBool compare(arith::CmpFPredicate p, IRScalar x, IRScalar y) {
    IRScalar typed = x.v ? x : y;
    assert(typed.v && "two literals: say the constant instead");
    Value lhs = x.materialize(*typed.b, typed.type());
    Value rhs = y.materialize(*typed.b, typed.type());
    return {typed.b, typed.type(),
            arith::CmpFOp::create(*typed.b, p, lhs, rhs)};
  }
};

} // namespace mlir::quant_ste

#endif // QUANT_STE_RULES_READINGS_IRSCALAR_H
