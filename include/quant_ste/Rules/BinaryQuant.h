//===- BinaryQuant.h - Brevitas' one- and two-bit quantizers
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_BINARYQUANT_H
#define QUANT_STE_RULES_BINARYQUANT_H

#include "quant_ste/Rules/Clamp.h"
#include "quant_ste/Rules/IntRange.h"
#include "quant_ste/Rules/Sign.h"

#include <limits>

namespace mlir::quant_ste::rules {

/// brevitas.core.quant.binary.BinaryQuant: y = binary_sign(x) * s. The sign is
/// straight through, so dx is scaled by s.
struct BinaryQuantRule {
  static constexpr unsigned arity = 2;
  static constexpr std::array<std::string_view, 1> words{"ste"};

  template <class Op> static BinaryQuantRule of(Op) { return {}; }

  template <class S> S forward(S x, S s) const {
    S sign = binarySign(x);
    return sign * s;
  }
  template <class S> std::array<Partial<S>, 2> partials(S x, S s, S) const {
    S sign = binarySign(x);
    return {value<S>(s), value<S>(sign)};
  }
  /// sign(x) - x is held fixed.
  template <class S> S surrogate(S x, S s, Frozen<S, 2> at) const {
    S sign = binarySign(at[0]);
    S moved = x - at[0];
    S through = sign + moved;
    return through * s;
  }

  template <class Warn> void lint(KnownConstants known, Warn warn) const {
    lintScales(known[1], warn);
  }
};

/// brevitas.core.quant.binary.ClampedBinaryQuant: x is clamped to [-s, s]
/// first, so clipped elements get no dx, and their bound gives s a gradient of
/// its own: d(s^2)/ds = 2s in place of s, with the sign straight through.
struct ClampedBinaryQuantRule {
  static constexpr unsigned arity = 2;
  static constexpr std::array<std::string_view, 2> words{"clipped", "unfused"};
  bool unfused = false;

  template <class Op> static ClampedBinaryQuantRule of(Op op) {
    return {op.getGrad().getWord() == "unfused"};
  }

  bool hasOwnVjp() const { return unfused; }

  template <class S> S forward(S x, S s) const {
    S clamped = tensorClamp(x, -s, s);
    S sign = binarySign(clamped);
    return sign * s;
  }
  template <class S> std::array<Partial<S>, 2> partials(S x, S s, S) const {
    S low = -s;
    Clamped<S> c = clampToBounds(x, low, s);
    S sign = binarySign(c.value);
    auto clipped = c.isClipped();
    S raised = sign + s;
    S lowered = sign - s;
    S high = select(c.above, raised, sign);
    S ds = select(c.below, lowered, high);
    return {masked<S>(!clipped, s), value<S>(ds)};
  }
  /// The same step by step, as automatic differentiation of the library's graph
  /// computes it.
  template <class S> std::array<S, 2> vjp(S x, S s, S, S dy) const {
    S low = -s;
    Clamped<S> c = clampToBounds(x, low, s);
    S sign = binarySign(c.value);
    S through = dy * s;
    S fromAbove = select(c.below, S(0.0), through);
    S dx = select(c.above, S(0.0), fromAbove);
    S direct = dy * sign;
    S ofHigh = select(c.above, fromAbove, S(0.0));
    S ofLow = select(c.below, through, S(0.0));
    S raised = direct + ofHigh;
    return {dx, raised - ofLow};
  }
  template <class S> S surrogate(S x, S s, Frozen<S, 2> at) const {
    S fixed = tensorClamp(at[0], -at[1], at[1]);
    S sign = binarySign(fixed);
    S clamped = tensorClamp(x, -s, s);
    S moved = clamped - fixed;
    S through = sign + moved;
    return through * s;
  }

  template <class Warn> void lint(KnownConstants known, Warn warn) const {
    lintScales(known[1], warn);
  }
};

/// brevitas.core.quant.ternary.TernaryQuant: y = [|x| > threshold * s] *
/// ternary_sign(x) * s. The sign is straight through, the mask is constant.
struct TernaryQuantRule {
  static constexpr unsigned arity = 2;
  static constexpr std::array<std::string_view, 1> words{"ste"};
  double threshold;

  template <class Op> static TernaryQuantRule of(Op op) {
    return {op.getThreshold().convertToDouble()};
  }
  std::string invalid() const {
    if (threshold >= 0.0 && threshold <= std::numeric_limits<double>::max())
      return {};
    return "expected a finite threshold, not below 0, got " +
           std::to_string(threshold);
  }

  template <class S> typename S::Bool isKept(S x, S s) const {
    S magnitude = abs(x);
    S bound = S(threshold) * s;
    return magnitude > bound;
  }

  template <class S> S forward(S x, S s) const {
    auto kept = isKept(x, s);
    S keep = select(kept, S(1.0), S(0.0));
    S sign = signOrZero(x);
    S level = keep * sign; // -0 for a small negative x
    return level * s;
  }
  template <class S> std::array<Partial<S>, 2> partials(S x, S s, S) const {
    auto kept = isKept(x, s);
    S sign = signOrZero(x);
    return {masked<S>(kept, s), masked<S>(kept, sign)};
  }
  template <class S> S surrogate(S x, S s, Frozen<S, 2> at) const {
    auto kept = isKept(at[0], at[1]);
    S sign = signOrZero(at[0]);
    S moved = x - at[0];
    S through = sign + moved;
    S level = select(kept, through, S(0.0));
    return level * s;
  }

  template <class Warn> void lint(KnownConstants known, Warn warn) const {
    lintScales(known[1], warn);
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_BINARYQUANT_H
