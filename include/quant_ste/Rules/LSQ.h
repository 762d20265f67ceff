//===- LSQ.h - learned step size, without and with an offset
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_LSQ_H
#define QUANT_STE_RULES_LSQ_H

#include "quant_ste/Rules/Clamp.h"
#include "quant_ste/Rules/IntBounds.h"
#include "quant_ste/Rules/IntRange.h"

namespace mlir::quant_ste::rules {

/// What LSQ and LSQ+ share, on the position t in steps.
struct LSQRange {
  static constexpr std::array<std::string_view, 2> words{"lsq",
                                                         "lsq_inclusive"};
  IntBounds bounds;
  double gradScale;
  bool inclusive;

  template <class Op> static LSQRange of(Op op) {
    return {IntBounds::of(op), op.getGradScale().convertToDouble(),
            op.getGrad().getWord() == "lsq_inclusive"};
  }
  std::string invalid() const {
    std::string wrong = bounds.invalid();
    return wrong.empty() ? invalidFactor("grad_scale", gradScale) : wrong;
  }

  template <class S> S quantize(S t) const {
    S clipped = scalarClamp(t, bounds.min<S>(), bounds.max<S>());
    return roundEven(clipped);
  }

  template <class S> struct Slopes {
    typename S::Bool clipped;
    S scale;
  };
  /// Where t is clipped, and d(result) / d(scale), times gradScale.
  template <class S> Slopes<S> slopes(S t) const {
    S qmin = bounds.min<S>();
    S qmax = bounds.max<S>();
    auto below = inclusive ? t < qmin : t <= qmin;
    auto above = inclusive ? t > qmax : t >= qmax;
    auto clipped = below || above;
    S whole = roundEven(t);
    S error = whole - t;
    S bound = select(below, qmin, qmax);
    S slope = select(clipped, bound, error);
    return {clipped, slope * S(gradScale)};
  }

  /// A learned value whose gradient is gradScale times the true one.
  template <class S> S scaled(S learned, S at) const {
    S change = learned - at;
    return at + change * S(gradScale);
  }
  /// quantize with the rounding error that it has at `at` held fixed.
  template <class S> S smooth(S t, S at) const {
    S whole = roundEven(at);
    S error = whole - at;
    S qmin = bounds.min<S>();
    S qmax = bounds.max<S>();
    auto below = t < qmin;
    auto above = t > qmax;
    S moved = t + error;
    S upper = select(above, qmax, moved);
    return select(below, qmin, upper);
  }
};

/// LSQ (Esser et al. 2020, arXiv:1902.08153): the clamp comes before the
/// rounding, so the range is judged on t = x / scale.
struct LSQRule {
  static constexpr unsigned arity = 2;
  static constexpr auto words = LSQRange::words;
  LSQRange range;

  template <class Op> static LSQRule of(Op op) { return {LSQRange::of(op)}; }
  std::string invalid() const { return range.invalid(); }

  template <class S> S forward(S x, S scale) const {
    S t = x / scale;
    S q = range.quantize(t);
    return q * scale;
  }
  template <class S> std::array<Partial<S>, 2> partials(S x, S scale, S) const {
    S t = x / scale;
    LSQRange::Slopes<S> d = range.slopes(t);
    auto inside = !d.clipped;
    return {mask<S>(inside), value<S>(d.scale)};
  }
  template <class S> S surrogate(S x, S scale, Frozen<S, 2> at) const {
    S learned = range.scaled(scale, at[1]);
    S t = x / learned;
    S fixed = at[0] / at[1];
    S q = range.smooth(t, fixed);
    return q * learned;
  }

  template <class Warn> void lint(KnownConstants known, Warn warn) const {
    lintScales(known[1], warn);
  }
};

/// LSQ+ (Bhalgat et al. 2020, arXiv:2004.09576): LSQ of x - beta.
struct LSQPlusRule {
  static constexpr unsigned arity = 3;
  static constexpr auto words = LSQRange::words;
  LSQRange range;

  template <class Op> static LSQPlusRule of(Op op) {
    return {LSQRange::of(op)};
  }
  std::string invalid() const { return range.invalid(); }

  template <class S> S forward(S x, S scale, S beta) const {
    S shifted = x - beta;
    S t = shifted / scale;
    S q = range.quantize(t);
    S scaled = q * scale;
    return scaled + beta;
  }
  template <class S>
  std::array<Partial<S>, 3> partials(S x, S scale, S beta, S) const {
    S shifted = x - beta;
    S t = shifted / scale;
    LSQRange::Slopes<S> d = range.slopes(t);
    auto inside = !d.clipped;
    return {mask<S>(inside), value<S>(d.scale),
            masked<S>(d.clipped, S(range.gradScale))};
  }
  template <class S> S surrogate(S x, S scale, S beta, Frozen<S, 3> at) const {
    S learnedScale = range.scaled(scale, at[1]);
    S learnedBeta = range.scaled(beta, at[2]);
    S shifted = x - learnedBeta;
    S t = shifted / learnedScale;
    S fixedShifted = at[0] - at[2];
    S fixed = fixedShifted / at[1];
    S q = range.smooth(t, fixed);
    S scaled = q * learnedScale;
    return scaled + learnedBeta;
  }

  template <class Warn> void lint(KnownConstants known, Warn warn) const {
    lintScales(known[1], warn);
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_LSQ_H
