//===- FloatQuant.h - minifloat quantizer
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_FLOATQUANT_H
#define QUANT_STE_RULES_FLOATQUANT_H

#include "quant_ste/Rules/Clamp.h"
#include "quant_ste/Rules/FloatFormat.h"
#include "quant_ste/Rules/IntRange.h"

namespace mlir::quant_ste::rules {

/// brevitas.core.quant.float.FloatQuant: t = x/s is rounded to the nearest
/// number v of the format, ties to even, as if it had no largest number;
/// then clamped to c, and y = c*s.
///
///                       dx    ds            with grad(exponent)  dx   ds
///   subnormal            1    c - t                              1    c - t
///   normal, in range     1    c - t                              v/t  0
///   clipped              0    c                                  0    c
/// grad(clipped) holds the unit in the last place fixed. grad(exponent) is what
/// Brevitas computes: its unit is 2^floor(log2|t|) with only the floor straight
/// through, so it moves with t.
struct FloatQuantRule {
  static constexpr unsigned arity = 2;
  static constexpr std::array<std::string_view, 2> words{"clipped", "exponent"};
  FloatFormat format;
  bool isSigned, saturating;
  bool moving; ///< grad(exponent)

  template <class Op> static FloatQuantRule of(Op op) {
    return {FloatFormat::of(op.getFormat()), op.getIsSigned(),
            op.getSaturating(), op.getGrad().getWord() == "exponent"};
  }
  std::string invalid() const {
    if (std::string wrong = format.invalid(); !wrong.empty())
      return wrong;
    if (!saturating && format.overflow == FloatOverflow::none)
      return "expected 'saturating', as the format has neither inf nor NaN";
    return {};
  }

  /// What forward and partials share.
  template <class S> struct Terms {
    S t, magnitude, v;
  };
  template <class S> Terms<S> terms(S x, S s) const {
    S t = x / s;
    S magnitude = abs(t);
    // The unit of the subnormals below, that of max above: a t beyond it, even
    // an infinite one, is clipped whatever its unit is. NaN takes any.
    S least = S(std::ldexp(1.0, int(format.minExponent())));
    S largest = S(std::ldexp(1.0, int(format.maxExponent())));
    auto isNormal = magnitude > least;
    S raised = select(isNormal, magnitude, least);
    auto isLarge = raised > largest;
    S anchor = select(isLarge, largest, raised);
    S unit = unitAt(anchor);
    S position = inUnits(t, unit); // exact, or beyond max
    S whole = roundEven(position);
    return {t, magnitude, unit * whole};
  }

  template <class S> S clamp(S v) const {
    return tensorClamp(v, S(lowerBound()), S(format.max));
  }

  template <class S> S forward(S x, S s) const {
    Terms<S> q = terms(x, s);
    S c = overflowed(q.v, clamp(q.v));
    return c * s;
  }

  template <class S> std::array<Partial<S>, 2> partials(S x, S s, S) const {
    Terms<S> q = terms(x, s);
    auto above = q.v > S(format.max);
    auto below = q.v < S(lowerBound());
    auto clipped = above || below;
    auto inside = !clipped;
    S c = overflowed(q.v, clamp(q.v));
    S error = c - q.t;
    if (!moving) {
      S ds = select(clipped, c, error);
      return {mask<S>(inside), value<S>(ds)};
    }
    typename S::Bool isNormal = isNormalNumber(q.magnitude);
    S stretch = q.v / q.t;
    S dx = select(isNormal, stretch, S(1.0));
    S ds = select(clipped, c, error);
    auto isSubnormal = !isNormal;
    auto counts = clipped || isSubnormal;
    return {masked<S>(inside, dx), masked<S>(counts, ds)};
  }

  /// The rounding error v - t is held fixed; with grad(exponent), in the normal
  /// range, the ratio v/t.
  template <class S> S surrogate(S x, S s, Frozen<S, 2> at) const {
    Terms<S> fixed = terms(at[0], at[1]);
    S t = x / s;
    S error = fixed.v - fixed.t;
    S v = t + error;
    if (moving) {
      auto isNormal = isNormalNumber(fixed.magnitude);
      S stretch = fixed.v / fixed.t;
      S stretched = t * stretch;
      v = select(isNormal, stretched, v);
    }
    S c = overflowed(v, clamp(v));
    return c * s;
  }

  template <class Warn> void lint(KnownConstants known, Warn warn) const {
    lintScales(known[1], warn);
  }

private:
  /// 2^(floor(log2(anchor)) - mantissa), exactly.
  template <class S> S unitAt(S anchor) const {
    if (hasNormalUnits()) {
      S power = floorToPowerOfTwo(anchor);
      return scalePowerOfTwo(power, -int(format.mantissa));
    }
    S exponent = floorLog2(anchor);
    S lowest = exponent - S(double(format.mantissa));
    return wholePowerOfTwo(lowest);
  }

  /// t / unit. The product with an exact inverse is that, bit for bit: both
  /// round the same real number once.
  template <class S> S inUnits(S t, S unit) const {
    if (!hasNormalUnits())
      return t / unit;
    S inverse = inverseOfPowerOfTwo(unit);
    return t * inverse;
  }

  /// Are all units normal numbers of f32, and so are their inverses?
  bool hasNormalUnits() const {
    return format.minExponent() - format.mantissa >= -126 &&
           format.maxExponent() - format.mantissa <= 126;
  }

  double lowerBound() const { return isSigned ? -format.max : 0.0; }

  template <class S> typename S::Bool isNormalNumber(S magnitude) const {
    return magnitude >= S(std::ldexp(1.0, int(format.minExponent())));
  }

  /// What becomes of a v beyond the largest number, clamped to c otherwise.
  template <class S> S overflowed(S v, S c) const {
    if (saturating)
      return c;
    bool toInf = format.overflow == FloatOverflow::inf;
    double beyond = toInf ? HUGE_VAL : std::numeric_limits<double>::quiet_NaN();
    auto above = v > S(format.max);
    S high = select(above, S(beyond), c);
    if (!isSigned)
      return high;
    auto below = v < S(-format.max);
    return select(below, S(-beyond), high);
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_FLOATQUANT_H
