//===- IntQuant.h - Brevitas' integer quantizer
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_INTQUANT_H
#define QUANT_STE_RULES_INTQUANT_H

#include "quant_ste/Rules/Clamp.h"
#include "quant_ste/Rules/IntRange.h"
#include "quant_ste/Rules/Round.h"

namespace mlir::quant_ste::rules {

/// What a clamp to the range of a bit width hands on, step by step as automatic
/// differentiation does it.
template <class S> struct ClampGradients {
  S value, bits;
};
template <class S>
ClampGradients<S> throughClamp(const IntRange &range, S power, Clamped<S> c,
                               S dy) {
  S fromAbove = select(c.below, S(0.0), dy);
  S dvalue = select(c.above, S(0.0), fromAbove);
  S slope = range.slope(power);
  S dmax = select(c.above, fromAbove, S(0.0));
  S rise = dmax * slope;
  S dmin = select(c.below, dy, S(0.0));
  S down = -dmin;
  S fall = range.isSigned ? down * slope : dmin * S(0.0);
  return {dvalue, fall + rise};
}

/// brevitas.core.quant.int_base.IntQuant: divide, add the zero point, round,
/// clamp the rounded value, and back: y = (clamp(round(x/s + z)) - z) * s.
///
/// With t = x/s, r = round(t + z), w = clamp(r) - z, y = w*s and the rounding
/// straight through:
///                dx   ds      dz    dbits
///   in range      1   w - t    0    0
///   clipped       0   w       -s    s * d(bound)/dbits
/// dx is the masked cotangent, not Brevitas' (dy*s)/s. grad(ste) lets clipped
/// elements pass and gives the bounds no gradient (TensorClampSte).
struct IntQuantRule {
  static constexpr unsigned arity = 4;
  static constexpr std::array<std::string_view, 3> words{"clipped", "ste",
                                                         "unfused"};
  IntRange range;
  RoundingMode rounding;
  bool ste;
  bool unfused = false;

  template <class Op> static IntQuantRule of(Op op) {
    return {{op.getIsSigned(), op.getNarrowRange()},
            static_cast<RoundingMode>(op.getRounding()),
            op.getGrad().getWord() == "ste",
            op.getGrad().getWord() == "unfused"};
  }

  bool hasOwnVjp() const { return unfused; }

  /// What forward and partials share.
  template <class S> struct Terms {
    S power, qmin, qmax, t, r;
  };
  template <class S> Terms<S> terms(S x, S s, S z, S bits) const {
    S power = range.power(bits);
    S qmin = range.min(power, bits);
    S qmax = range.max(power);
    S t = x / s;
    S shifted = t + z;
    S r = roundBy(rounding, shifted);
    return {power, qmin, qmax, t, r};
  }

  template <class S> S forward(S x, S s, S z, S bits) const {
    Terms<S> q = terms(x, s, z, bits);
    S clamped = tensorClamp(q.r, q.qmin, q.qmax);
    S w = clamped - z;
    return w * s;
  }

  template <class S>
  std::array<Partial<S>, 4> partials(S x, S s, S z, S bits, S) const {
    Terms<S> q = terms(x, s, z, bits);
    Clamped<S> c = clampToBounds(q.r, q.qmin, q.qmax);
    S w = c.value - z;
    S error = w - q.t;
    if (ste)
      return {one<S>(), value<S>(error), zero<S>(), zero<S>()};
    auto clipped = c.isClipped();
    auto inside = !clipped;
    S ds = select(clipped, w, error);
    S dz = -s;
    S slope = range.slope(q.power);
    S step = s * slope;
    // The lower bound is constant for unsigned ranges and falls for signed
    // ones.
    S fall = range.isSigned ? -step : S(0.0);
    S dbits = select(c.below, fall, step);
    return {mask<S>(inside), value<S>(ds), masked<S>(clipped, dz),
            masked<S>(clipped, dbits)};
  }

  /// The same step by step, as automatic differentiation of the library's graph
  /// computes it: dx = (dy s) / s, and ds of an infinite x is NaN.
  template <class S>
  std::array<S, 4> vjp(S x, S s, S z, S bits, S, S dy) const {
    Terms<S> q = terms(x, s, z, bits);
    Clamped<S> c = clampToBounds(q.r, q.qmin, q.qmax);
    S w = c.value - z;
    S dw = dy * s;
    ClampGradients<S> back = throughClamp(range, q.power, c, dw);
    S dr = back.value;
    S dx = dr / s;
    S direct = dy * w;
    S ratio = q.t / s;
    S falling = -dr;
    S inner = falling * ratio;
    S ds = direct + inner;
    S falls = -dw;
    S dz = falls + dr;
    return {dx, ds, dz, back.bits};
  }

  /// The rounding error r - (t + z) is held fixed.
  template <class S> S surrogate(S x, S s, S z, S bits, Frozen<S, 4> at) const {
    Terms<S> fixed = terms(at[0], at[1], at[2], at[3]);
    S fixedShifted = fixed.t + at[2];
    S error = fixed.r - fixedShifted;
    Terms<S> q = terms(x, s, z, bits);
    S shifted = q.t + z;
    S r = shifted + error;
    S clamped = tensorClamp(r, q.qmin, q.qmax);
    if (ste) {
      S fixedClamped = tensorClamp(fixed.r, fixed.qmin, fixed.qmax);
      S clipping = fixedClamped - fixed.r;
      clamped = r + clipping;
    }
    S w = clamped - z;
    return w * s;
  }

  template <class Warn> void lint(KnownConstants known, Warn warn) const {
    lintScales(known[1], warn);
    lintBitWidths(known[3], warn);
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_INTQUANT_H
