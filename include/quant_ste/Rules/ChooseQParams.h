//===- ChooseQParams.h - torch's choice of a scale and a zero point
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_CHOOSEQPARAMS_H
#define QUANT_STE_RULES_CHOOSEQPARAMS_H

#include "quant_ste/Rules/IntBounds.h"

namespace mlir::quant_ste::rules {

/// A range of numbers that is to be mapped to the integers of [qmin, qmax].
template <class S> struct RealRange {
  S min, max;
};

/// What the two numbers that torch chooses for a range share: `observer` as
/// torch.ao's observers compute them, else as ATen and FBGEMM do.
struct ChooseQParams {
  static constexpr unsigned arity = 2;
  static constexpr std::array<std::string_view, 1> words{"detached"};
  IntBounds bounds;
  bool symmetric, observer;

  template <class Op> static ChooseQParams of(Op op) {
    return {IntBounds::of(op), op.getSymmetric(), op.getObserver()};
  }
  std::string invalid() const {
    if (std::string wrong = bounds.invalid(); !wrong.empty())
      return wrong;
    if (bounds.qmin < bounds.qmax)
      return {};
    return "expected qmin < qmax, got " + std::to_string(bounds.qmin) +
           " and " + std::to_string(bounds.qmax);
  }

  template <class S> std::array<Partial<S>, 2> partials(S, S, S) const {
    return {zero<S>(), zero<S>()};
  }

protected:
  /// 6.1e-5f, below which f16 scales would be denormal.
  static constexpr double kLeast = 0x1.ffb480p-15;
  static constexpr double kLeastObserved = 0x1p-23;

  double stepCount() const { return double(bounds.qmax - bounds.qmin); }

  /// With 0 in it. NaN stays NaN.
  template <class S> static RealRange<S> withZero(S min, S max) {
    auto isPositive = min > S(0.0);
    auto isNegative = max < S(0.0);
    return {select(isPositive, S(0.0), min), select(isNegative, S(0.0), max)};
  }
  /// A range with 0 inside, as large on both sides as its integers are.
  template <class S> RealRange<S> balanced(S min, S max) const {
    auto isNegative = min < S(0.0);
    auto isPositive = max > S(0.0);
    auto hasBoth = isNegative && isPositive;
    int64_t half = (bounds.qmax - bounds.qmin) / 2;
    S lowest = S(double(-half - 1));
    S highest = S(double(half));
    S fromMin = min / lowest;
    S fromMax = abs(max / highest);
    auto isLess = fromMin < fromMax;
    S step = select(isLess, fromMax, fromMin);
    S low = step * lowest;
    S high = step * highest;
    return {select(hasBoth, low, min), select(hasBoth, high, max)};
  }
  template <class S> RealRange<S> range(S min, S max) const {
    if (!symmetric || observer)
      return withZero(min, max);
    RealRange<S> both = balanced(min, max);
    return withZero(both.min, both.max);
  }

  /// Before it is held above the least.
  template <class S> S wantedScale(RealRange<S> r) const {
    S steps = inDouble(std::array<S, 2>{r.min, r.max}, [this](auto range) {
      auto width = range[1] - range[0];
      return width / decltype(width)(stepCount());
    });
    S inverse = S(1.0) / steps;
    auto isZero = steps == S(0.0);
    auto isTiny = inverse == S(HUGE_VAL);
    return select(isZero || isTiny, S(0.1), steps);
  }
  template <class S> S observedScale(RealRange<S> r) const {
    if (!symmetric)
      return atLeast((r.max - r.min) / S(stepCount()), kLeastObserved);
    S mirrored = -r.min;
    auto isLarger = mirrored > r.max;
    S larger = select(isLarger, mirrored, r.max);
    auto isNumber = mirrored == mirrored;
    S reach = select(isNumber, larger, mirrored);
    S scale = reach / S(stepCount() / 2.0);
    return atLeast(scale, kLeastObserved);
  }
  template <class S> static S atLeast(S scale, double least) {
    auto isSmall = scale < S(least);
    return select(isSmall, S(least), scale);
  }
};

struct ChooseScaleRule : ChooseQParams {
  template <class Op> static ChooseScaleRule of(Op op) {
    return {ChooseQParams::of(op)};
  }

  template <class S> S forward(S min, S max) const {
    RealRange<S> r = range(min, max);
    if (observer)
      return observedScale(r);
    S wanted = wantedScale(r);
    return atLeast(wanted, kLeast);
  }
  template <class S> S surrogate(S, S, Frozen<S, 2> at) const {
    return forward(at[0], at[1]);
  }
};

struct ChooseZeroPointRule : ChooseQParams {
  template <class Op> static ChooseZeroPointRule of(Op op) {
    return {ChooseQParams::of(op)};
  }

  template <class S> S forward(S min, S max) const {
    RealRange<S> r = range(min, max);
    if (observer)
      return observedZeroPoint(r);
    S wanted = wantedScale(r);
    RealRange<S> wide = widened(r, wanted);
    S scale = atLeast(wanted, kLeast);
    return inDouble(
        std::array<S, 3>{wide.min, wide.max, scale},
        [this](const auto &v) { return this->nearestEnd(v[0], v[1], v[2]); });
  }
  template <class S> S surrogate(S, S, Frozen<S, 2> at) const {
    return forward(at[0], at[1]);
  }

private:
  /// What the integers reach with the least scale, where that is more than was
  /// wanted. (torch computes an end from the other that is 0 in another way,
  /// but takes the zero point by the end that is 0.)
  template <class S> static RealRange<S> widened(RealRange<S> r, S wanted) {
    auto isSmall = wanted < S(kLeast);
    S factor = S(kLeast) / wanted;
    S lowered = r.min * factor;
    S raised = r.max * factor;
    return {select(isSmall, lowered, r.min), select(isSmall, raised, r.max)};
  }

  /// The zero point by the end of the range that gives it with less error.
  template <class D> D nearestEnd(D min, D max, D scale) const {
    D qmin = bounds.min<D>();
    D qmax = bounds.max<D>();
    D below = min / scale;
    D above = max / scale;
    D byMin = qmin - below;
    D byMax = qmax - above;
    D errorOfMin = abs(below) + D(std::abs(double(bounds.qmin)));
    D errorOfMax = abs(above) + D(std::abs(double(bounds.qmax)));
    auto isBetter = errorOfMin < errorOfMax;
    D chosen = select(isBetter, byMin, byMax);
    if (symmetric) {
      auto isNegative = min < D(0.0);
      auto isPositive = max > D(0.0);
      D middle = D(double(bounds.qmin + bounds.qmax) / 2.0);
      chosen = select(isNegative && isPositive, middle, chosen);
    }
    D whole = roundEven(clamped(chosen));
    return whole + D(0.0); // an integer: there is no -0
  }

  template <class S> S observedZeroPoint(RealRange<S> r) const {
    if (symmetric)
      return S(bounds.qmin < 0 ? 0.0
                               : double((bounds.qmin + bounds.qmax + 1) / 2));
    S scale = observedScale(r);
    S below = r.min / scale;
    S whole = roundEven(below);
    S wanted = bounds.min<S>() - whole;
    return clamped(wanted);
  }

  template <class S> S clamped(S z) const {
    S qmin = bounds.min<S>();
    S qmax = bounds.max<S>();
    auto isBelow = z < qmin;
    auto isAbove = z > qmax;
    S upper = select(isAbove, qmax, z);
    return select(isBelow, qmin, upper);
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_CHOOSEQPARAMS_H
