//===- Clamp.h - clamps to scalar and to tensor bounds
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_CLAMP_H
#define QUANT_STE_RULES_CLAMP_H

#include "quant_ste/Rules/ScalarAlgebra.h"

#include <limits>

namespace mlir::quant_ste::rules {

/// brevitas tensor_clamp: the upper bound first, so the lower one wins where
/// they are reversed; x == bound keeps x (and its -0); NaN x stays NaN and a
/// NaN bound is ignored.
template <class S> struct Clamped {
  typename S::Bool above, below; ///< beyond max; below min, or min above max
  S value;

  typename S::Bool isClipped() const { return above || below; }
};
template <class S> Clamped<S> clampToBounds(S x, S min, S max) {
  auto above = x > max;
  S upper = select(above, max, x);
  auto below = upper < min;
  return {above, below, select(below, min, upper)};
}
template <class S> S tensorClamp(S x, S min, S max) {
  return clampToBounds(x, min, max).value;
}

/// torch.clamp with numbers: the lower bound first, the upper one wins.
template <class S> S scalarClamp(S x, S min, S max) {
  auto below = x < min;
  S lower = select(below, min, x);
  auto above = lower > max;
  return select(above, max, lower);
}

/// torch.clamp with a NaN bound is NaN everywhere.
template <class S> S notANumberLike(S x) {
  auto isNumber = x == x;
  S nan = S(std::numeric_limits<double>::quiet_NaN());
  return select(isNumber, nan, x);
}

/// brevitas.function.ops_ste.scalar_clamp_ste: the gradient passes through
/// clipped elements as well.
struct ScalarClampRule {
  static constexpr unsigned arity = 1;
  static constexpr std::array<std::string_view, 1> words{"ste"};
  double min, max;

  template <class Op> static ScalarClampRule of(Op op) {
    return {op.getMin().convertToDouble(), op.getMax().convertToDouble()};
  }

  template <class S> S forward(S x) const {
    if (std::isnan(min) || std::isnan(max))
      return notANumberLike(x);
    return scalarClamp(x, S(min), S(max));
  }
  template <class S> std::array<Partial<S>, 1> partials(S, S) const {
    return {one<S>()};
  }
  template <class S> S surrogate(S x, Frozen<S, 1>) const { return x; }

  template <class Warn> void lint(KnownConstants, Warn warn) const {
    if (std::isnan(min) || std::isnan(max))
      warn("a bound is NaN: every result is NaN");
    else if (min > max)
      warn("min is above max: every result is max");
  }
};

/// brevitas.function.ops_ste.scalar_clamp_min_ste.
struct ScalarClampMinRule {
  static constexpr unsigned arity = 1;
  static constexpr std::array<std::string_view, 1> words{"ste"};
  double min;

  template <class Op> static ScalarClampMinRule of(Op op) {
    return {op.getMin().convertToDouble()};
  }

  template <class S> S forward(S x) const {
    if (std::isnan(min))
      return notANumberLike(x);
    auto below = x < S(min);
    return select(below, S(min), x);
  }
  template <class S> std::array<Partial<S>, 1> partials(S, S) const {
    return {one<S>()};
  }
  template <class S> S surrogate(S x, Frozen<S, 1>) const { return x; }

  template <class Warn> void lint(KnownConstants, Warn warn) const {
    if (std::isnan(min))
      warn("the bound is NaN: every result is NaN");
  }
};

/// brevitas.function.ops.tensor_clamp (exact) and ops_ste.tensor_clamp_ste.
/// The exact gradient is inclusive: x == min and x == max pass to x.
struct TensorClampRule {
  static constexpr unsigned arity = 3;
  static constexpr std::array<std::string_view, 2> words{"ste", "exact"};
  bool ste;

  template <class Op> static TensorClampRule of(Op op) {
    return {op.getGrad().getWord() == "ste"};
  }

  template <class S> S forward(S x, S min, S max) const {
    return tensorClamp(x, min, max);
  }
  template <class S>
  std::array<Partial<S>, 3> partials(S x, S min, S max, S) const {
    if (ste)
      return {one<S>(), zero<S>(), zero<S>()};
    Clamped<S> c = clampToBounds(x, min, max);
    auto clipped = c.isClipped();
    auto inside = !clipped;
    auto notBelow = !c.below;
    auto atMax = c.above && notBelow;
    return {mask<S>(inside), mask<S>(c.below), mask<S>(atMax)};
  }
  template <class S> S surrogate(S x, S min, S max, Frozen<S, 3>) const {
    return ste ? x : tensorClamp(x, min, max);
  }

  template <class Warn> void lint(KnownConstants known, Warn warn) const {
    const std::vector<double> &lo = known[1], &hi = known[2];
    for (size_t i = 0, n = std::max(lo.size(), hi.size()); i < n; ++i) {
      if (lo.empty() || hi.empty() ||
          (lo.size() != hi.size() && lo.size() != 1 && hi.size() != 1))
        break;
      if (lo[lo.size() == 1 ? 0 : i] > hi[hi.size() == 1 ? 0 : i])
        return warn("min is above max: every result is min");
    }
    for (const std::vector<double> *bound : {&lo, &hi})
      for (double b : *bound)
        if (std::isnan(b))
          return warn("a bound is NaN and is ignored");
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_CLAMP_H
