//===- Elementary.h - exp, log and their kin as fixed polynomials
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One sequence of additions, multiplications and divisions for every reading
// and target, so that a gradient has the same bits wherever it is computed.
// Everything runs in double precision (D): f32 and narrower types are widened,
// computed and rounded once, which makes them correctly rounded in nearly every
// case; f64 itself is within the bound stated at each function.
//
// Besides the vocabulary of ScalarAlgebra.h, D has powerOfTwo (2^n for whole
// |n| <= 1022) and exponent (floor(log2(x)) of a positive, normal, finite x).
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_ELEMENTARY_H
#define QUANT_STE_RULES_ELEMENTARY_H

#include <cmath>
#include <cstddef>
#include <limits>

namespace mlir::quant_ste::rules {

/// ln 2, rounded to the compute type where it is used.
inline constexpr double kLn2 = 0.6931471805599453094;

/// ln 2 in two parts: a whole number below 2^11 times the first is exact.
inline constexpr double kLn2High = 6.93147180369123816490e-01;
inline constexpr double kLn2Low = 1.90821492927058770002e-10;

/// c[0] + x * (c[1] + x * (c[2] + ...)).
template <class D, size_t n> D horner(D x, const double (&c)[n]) {
  D sum = D(c[n - 1]);
  for (size_t i = n - 1; i-- > 0;) {
    D product = x * sum;
    sum = product + D(c[i]);
  }
  return sum;
}

/// x where it is a number, 0 otherwise.
template <class D> D numberOrZero(D x) {
  auto isNumber = x == x;
  return select(isNumber, x, D(0.0));
}

template <class D> D clampBetween(D x, double low, double high) {
  auto below = x < D(low);
  D raised = select(below, D(low), x);
  auto above = raised > D(high);
  return select(above, D(high), raised);
}

/// m * 2^n in two factors, so that neither overflows on its own.
template <class D> D scaleByPowerOfTwo(D m, D n) {
  D halfway = n * D(0.5);
  D half = floor(halfway);
  D rest = n - half;
  D first = powerOfTwo(half);
  D second = powerOfTwo(rest);
  D scaled = m * first;
  return scaled * second;
}

/// 2^x. Exact for whole x; elsewhere within 2 ULP.
template <class D> D exp2InDouble(D x) {
  // Beyond +-1200 the result is 0 or inf; NaN takes the branch of 0 and comes
  // back through f.
  D clamped = clampBetween(x, -1200.0, 1200.0);
  D number = numberOrZero(clamped);
  D n = roundEven(number);
  D f = clamped - n; // exact: |f| <= 1/2
  // Taylor series of 2^f: the first omitted term is below 2^-57.
  constexpr double c[] = {1.0,
                          6.93147180559945286e-01,
                          2.40226506959100722e-01,
                          5.55041086648215762e-02,
                          9.61812910762847688e-03,
                          1.33335581464284411e-03,
                          1.54035303933816061e-04,
                          1.52527338040598393e-05,
                          1.32154867901443053e-06,
                          1.01780860092396960e-07,
                          7.05491162080112087e-09,
                          4.44553827187081007e-10,
                          2.56784359934881940e-11,
                          1.36914888539041280e-12};
  D mantissa = horner(f, c);
  return scaleByPowerOfTwo(mantissa, n);
}

/// x = n ln2 + r with whole n and |r| <= ln2 / 2, and e^r - 1.
template <class D> struct ReducedExp {
  D n, expm1;
};
template <class D> ReducedExp<D> reduceExp(D x) {
  D number = numberOrZero(x);
  D turns = number * D(1.4426950408889634074);
  D n = roundEven(turns);
  D high = n * D(kLn2High); // exact
  D low = n * D(kLn2Low);
  D near = x - high;
  D r = near - low;
  // Taylor series of (e^r - 1 - r) / r^2: the first omitted term is below
  // 2^-57 of the result.
  constexpr double c[] = {1.0 / 2,        1.0 / 6,         1.0 / 24,
                          1.0 / 120,      1.0 / 720,       1.0 / 5040,
                          1.0 / 40320,    1.0 / 362880,    1.0 / 3628800,
                          1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
  D tail = horner(r, c);
  D square = r * r;
  D curved = square * tail;
  return {n, r + curved};
}

/// 2^shift e^x.
template <class D> D shiftedExp(D x, double shift) {
  D clamped = clampBetween(x, -800.0, 800.0);
  ReducedExp<D> e = reduceExp(clamped);
  D mantissa = e.expm1 + D(1.0);
  D n = e.n + D(shift);
  return scaleByPowerOfTwo(mantissa, n);
}

/// e^x, within 2 ULP (results below 2^-1022: 2 of their steps).
template <class D> D expInDouble(D x) { return shiftedExp(x, 0.0); }

/// tanh(x), within 4 ULP; odd, and -0 for -0.
template <class D> D tanhInDouble(D x) {
  D magnitude = abs(x);
  auto isLarge = magnitude > D(20.0); // 1 - tanh is below 2^-57
  D limited = select(isLarge, D(20.0), magnitude);
  D twice = limited + limited;
  ReducedExp<D> e = reduceExp(twice);
  D power = powerOfTwo(e.n);
  D scaled = power * e.expm1;
  D whole = power - D(1.0);
  D expm1 = scaled + whole;
  D above = expm1 + D(2.0);
  D t = expm1 / above;
  D positive = select(isLarge, D(1.0), t);
  auto isNegative = x < D(0.0);
  D negative = -positive;
  D odd = select(isNegative, negative, positive);
  auto isZero = x == D(0.0);
  return select(isZero, x, odd);
}

/// cosh(x), within 3 ULP.
template <class D> D coshInDouble(D x) {
  D magnitude = abs(x);
  D negated = -magnitude;
  D up = shiftedExp(magnitude, -1.0);
  D down = shiftedExp(negated, -1.0);
  return up + down;
}

/// floor(log2(x)) for x > 0, exactly; inf for inf, NaN for NaN.
template <class D> D floorLog2InDouble(D x) {
  auto isDenormal = x < D(0x1p-1022);
  D lifted = x * D(0x1p54);
  D normal = select(isDenormal, lifted, x);
  auto isFinite = normal <= D(0x1.fffffffffffffp1023);
  D number = select(isFinite, normal, D(1.0));
  D e = exponent(number);
  D lowered = e - D(54.0);
  D whole = select(isDenormal, lowered, e);
  return select(isFinite, whole, x);
}

/// x = 2^e m with whole e and m in [sqrt(1/2), sqrt(2)], and ln m.
template <class D> struct ReducedLog {
  D e, log;
};
template <class D> ReducedLog<D> reduceLog(D x) {
  D down = floorLog2InDouble(x);
  D back = -down;
  D m = scaleByPowerOfTwo(x, back);
  auto isHigh = m > D(1.4142135623730951);
  D halved = m * D(0.5);
  D up = down + D(1.0);
  D mantissa = select(isHigh, halved, m);
  D e = select(isHigh, up, down);
  // ln m = 2 atanh((m - 1) / (m + 1)); the first omitted term of the series is
  // below 2^-60.
  D below = mantissa - D(1.0);
  D above = mantissa + D(1.0);
  D s = below / above;
  D square = s * s;
  constexpr double c[] = {2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,  2.0 / 11,
                          2.0 / 13, 2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21};
  D tail = horner(square, c);
  D curved = square * tail;
  D correction = s * curved;
  D twice = s + s;
  return {e, twice + correction};
}

/// The logarithm where it is a finite number; what IEEE says elsewhere.
template <class D> D withLogLimits(D x, D log) {
  auto isPositive = x > D(0.0);
  auto isFinite = x <= D(0x1.fffffffffffffp1023);
  auto isZero = x == D(0.0);
  D infinity = D(HUGE_VAL);
  D nan = D(std::numeric_limits<double>::quiet_NaN());
  D bottom = select(isZero, D(-HUGE_VAL), nan);
  D top = select(isPositive, infinity, bottom);
  return select(isPositive && isFinite, log, top);
}

/// A number that has a finite logarithm in place of one that has none.
template <class D> D loggable(D x) {
  auto isPositive = x > D(0.0);
  auto isFinite = x <= D(0x1.fffffffffffffp1023);
  return select(isPositive && isFinite, x, D(1.0));
}

/// log2(x). Exact for powers of two; elsewhere within 3 ULP.
template <class D> D log2InDouble(D x) {
  D number = loggable(x);
  ReducedLog<D> l = reduceLog(number);
  D fraction = l.log * D(1.4426950408889634074);
  D sum = l.e + fraction;
  return withLogLimits(x, sum);
}

/// ln(x), within 3 ULP.
template <class D> D logInDouble(D x) {
  D number = loggable(x);
  ReducedLog<D> l = reduceLog(number);
  D low = l.e * D(kLn2Low);
  D high = l.e * D(kLn2High); // exact
  D fraction = l.log + low;
  D sum = high + fraction;
  return withLogLimits(x, sum);
}

//===----------------------------------------------------------------------===//
// On every scalar: each has inDouble(x, f), f(x) computed in double precision
//===----------------------------------------------------------------------===//

template <class S> S exp2(S x) {
  return inDouble(x, [](auto d) { return exp2InDouble(d); });
}
template <class S> S exp(S x) {
  return inDouble(x, [](auto d) { return expInDouble(d); });
}
template <class S> S tanh(S x) {
  return inDouble(x, [](auto d) { return tanhInDouble(d); });
}
template <class S> S cosh(S x) {
  return inDouble(x, [](auto d) { return coshInDouble(d); });
}
template <class S> S log2(S x) {
  return inDouble(x, [](auto d) { return log2InDouble(d); });
}
template <class S> S log(S x) {
  return inDouble(x, [](auto d) { return logInDouble(d); });
}
/// floor(log2(x)) for x > 0, exactly.
template <class S> S floorLog2(S x) {
  return inDouble(x, [](auto d) { return floorLog2InDouble(d); });
}
/// 2^n for whole n, |n| <= 1022; cheaper than exp2.
template <class S> S wholePowerOfTwo(S n) {
  return inDouble(n, [](auto d) { return powerOfTwo(d); });
}

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_ELEMENTARY_H
