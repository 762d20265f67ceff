//===- APFloatScalar.h - reading of a rule on constants
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_READINGS_APFLOATSCALAR_H
#define QUANT_STE_RULES_READINGS_APFLOATSCALAR_H

#include "quant_ste/Rules/ScalarAlgebra.h"
#include "llvm/ADT/APFloat.h"

namespace mlir::quant_ste {

/// To nearest even.
inline llvm::APFloat roundTo(llvm::APFloat v,
                             const llvm::fltSemantics &format) {
  bool losesInfo;
  v.convert(format, llvm::APFloat::rmNearestTiesToEven, &losesInfo);
  return v;
}

/// A truth value, and the format of the numbers it was compared from.
struct APFloatBool {
  const llvm::fltSemantics *format = nullptr;
  bool v = false;

  friend APFloatBool operator&&(APFloatBool x, APFloatBool y) {
    return {x.format, x.v && y.v};
  }
  friend APFloatBool operator||(APFloatBool x, APFloatBool y) {
    return {x.format, x.v || y.v};
  }
  friend APFloatBool operator!(APFloatBool x) { return {x.format, !x.v}; }
};

/// A constant in any float format, or a literal that takes the format of the
/// number it meets. One IEEE rounding (half to even) per operation.
class APFloatScalar {
  using APFloat = llvm::APFloat;

public:
  using Bool = APFloatBool;
  APFloatScalar() : APFloatScalar(0.0) {}
  APFloatScalar(double literal) : v(literal), isLiteral(true) {}
  APFloatScalar(APFloat v) : v(std::move(v)) {}

  APFloat in(const llvm::fltSemantics &format) const {
    return roundTo(v, format);
  }

  friend APFloatScalar operator+(const APFloatScalar &x,
                                 const APFloatScalar &y) {
    return binary(&APFloat::add, x, y);
  }
  friend APFloatScalar operator-(const APFloatScalar &x,
                                 const APFloatScalar &y) {
    return binary(&APFloat::subtract, x, y);
  }
  friend APFloatScalar operator*(const APFloatScalar &x,
                                 const APFloatScalar &y) {
    return binary(&APFloat::multiply, x, y);
  }
  friend APFloatScalar operator/(const APFloatScalar &x,
                                 const APFloatScalar &y) {
    return binary(&APFloat::divide, x, y);
  }
  friend APFloatScalar operator-(const APFloatScalar &x) {
    return APFloatScalar(llvm::neg(x.v));
  }
  friend APFloatBool operator<(const APFloatScalar &x, const APFloatScalar &y) {
    return compare(x, y, [](auto r) { return r == APFloat::cmpLessThan; });
  }
  friend APFloatBool operator>(const APFloatScalar &x, const APFloatScalar &y) {
    return compare(x, y, [](auto r) { return r == APFloat::cmpGreaterThan; });
  }
  friend APFloatBool operator<=(const APFloatScalar &x,
                                const APFloatScalar &y) {
    return compare(x, y, [](auto r) {
      return r == APFloat::cmpLessThan || r == APFloat::cmpEqual;
    });
  }
  friend APFloatBool operator>=(const APFloatScalar &x,
                                const APFloatScalar &y) {
    return compare(x, y, [](auto r) {
      return r == APFloat::cmpGreaterThan || r == APFloat::cmpEqual;
    });
  }
  friend APFloatBool operator==(const APFloatScalar &x,
                                const APFloatScalar &y) {
    return compare(x, y, [](auto r) { return r == APFloat::cmpEqual; });
  }
  friend APFloatScalar select(APFloatBool c, const APFloatScalar &x,
                              const APFloatScalar &y) {
    return APFloatScalar((c.v ? x : y).in(*c.format));
  }
  friend APFloatScalar roundEven(const APFloatScalar &x) {
    return x.integral(APFloat::rmNearestTiesToEven);
  }
  friend APFloatScalar floor(const APFloatScalar &x) {
    return x.integral(APFloat::rmTowardNegative);
  }
  friend APFloatScalar ceil(const APFloatScalar &x) {
    return x.integral(APFloat::rmTowardPositive);
  }
  friend APFloatScalar abs(const APFloatScalar &x) {
    return APFloatScalar(llvm::abs(x.v));
  }
  friend APFloatScalar powerOfTwo(const APFloatScalar &n) {
    return APFloatScalar(llvm::scalbn(APFloat(1.0), int(n.v.convertToDouble()),
                                      APFloat::rmNearestTiesToEven));
  }
  friend APFloatScalar exponent(const APFloatScalar &x) {
    return APFloatScalar(APFloat(double(ilogb(x.v))));
  }
  friend APFloatScalar floorToPowerOfTwo(const APFloatScalar &x) {
    APFloat one(x.v.getSemantics(), 1);
    return APFloatScalar(
        llvm::scalbn(one, ilogb(x.v), APFloat::rmNearestTiesToEven));
  }
  friend APFloatScalar scalePowerOfTwo(const APFloatScalar &x, int k) {
    return APFloatScalar(llvm::scalbn(x.v, k, APFloat::rmNearestTiesToEven));
  }
  friend APFloatScalar inverseOfPowerOfTwo(const APFloatScalar &x) {
    APFloat one(x.v.getSemantics(), 1);
    return APFloatScalar(
        llvm::scalbn(one, -ilogb(x.v), APFloat::rmNearestTiesToEven));
  }
  template <class F>
  friend APFloatScalar inDouble(const APFloatScalar &x, F f) {
    APFloatScalar wide(x.in(APFloat::IEEEdouble()));
    return APFloatScalar(f(wide).in(x.v.getSemantics()));
  }
  template <size_t n, class F>
  friend APFloatScalar inDouble(const std::array<APFloatScalar, n> &x, F f) {
    std::array<APFloatScalar, n> wide;
    for (auto [to, from] : llvm::zip_equal(wide, x))
      to = APFloatScalar(from.in(APFloat::IEEEdouble()));
    return APFloatScalar(f(wide).in(x[0].v.getSemantics()));
  }

private:
  APFloat v;
  bool isLiteral = false;

  static const llvm::fltSemantics &format(const APFloatScalar &x,
                                          const APFloatScalar &y) {
    return (x.isLiteral ? y : x).v.getSemantics();
  }
  using Operation = APFloat::opStatus (APFloat::*)(const APFloat &,
                                                   APFloat::roundingMode);
  static APFloatScalar binary(Operation op, const APFloatScalar &x,
                              const APFloatScalar &y) {
    APFloat out = x.in(format(x, y));
    (out.*op)(y.in(format(x, y)), APFloat::rmNearestTiesToEven);
    return APFloatScalar(out);
  }
  template <class Test>
  static APFloatBool compare(const APFloatScalar &x, const APFloatScalar &y,
                             Test test) {
    const llvm::fltSemantics &f = format(x, y);
    return {&f, test(x.in(f).compare(y.in(f)))};
  }
  APFloatScalar integral(APFloat::roundingMode mode) const {
    APFloat out = v;
    out.roundToIntegral(mode);
    return APFloatScalar(out);
  }
};

} // namespace mlir::quant_ste

#endif // QUANT_STE_RULES_READINGS_APFLOATSCALAR_H
