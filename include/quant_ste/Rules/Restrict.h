//===- Restrict.h - what a scale may be
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_RESTRICT_H
#define QUANT_STE_RULES_RESTRICT_H

#include "quant_ste/Rules/Clamp.h"
#include "quant_ste/Rules/Round.h"
#include "quant_ste/Rules/Sign.h"

namespace mlir::quant_ste::rules {

/// brevitas ScalarSignedClampMinSte: keeps abs(x) at or above min, with x's
/// sign; the gradient passes through clipped elements as well.
struct ScalarSignedClampMinRule {
  static constexpr unsigned arity = 1;
  static constexpr std::array<std::string_view, 1> words{"ste"};
  double min;

  template <class Op> static ScalarSignedClampMinRule of(Op op) {
    return {op.getMin().convertToDouble()};
  }

  template <class S> S forward(S x) const {
    if (std::isnan(min))
      return notANumberLike(x);
    S sign = binarySign(x);
    S magnitude = abs(x);
    auto below = magnitude < S(min);
    S raised = select(below, S(min), magnitude);
    return sign * raised;
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

/// R(log2(x)) of a positive, finite x, exactly: log2(x) lies between two whole
/// numbers, and never halfway.
template <class D> D roundedLog2InDouble(RoundingMode mode, D x) {
  D down = floorLog2InDouble(x);
  D back = -down;
  D mantissa = scaleByPowerOfTwo(x, back);
  D up = down + D(1.0);
  // The largest double below sqrt(2).
  double edge = mode == RoundingMode::round || mode == RoundingMode::dpu
                    ? 0x1.6a09e667f3bccp+0
                    : 1.0;
  auto isAbove = mantissa > D(edge);
  D rounded = select(isAbove, up, down);
  if (mode == RoundingMode::floor)
    return down;
  if (mode != RoundingMode::round_to_zero)
    return rounded;
  auto isNegative = down < D(0.0);
  return select(isNegative, rounded, down);
}

/// 2^R(log2(x)), correctly rounded: 0 for both zeros, inf for inf, NaN for NaN
/// and below zero.
template <class D> D nearPowerOfTwoInDouble(RoundingMode mode, D x) {
  D number = loggable(x);
  D n = roundedLog2InDouble(mode, number);
  D power = scaleByPowerOfTwo(D(1.0), n);
  auto isNumber = number == x;
  auto isZero = x == D(0.0);
  auto isPositive = x > D(0.0);
  D nan = D(std::numeric_limits<double>::quiet_NaN());
  D large = select(isPositive, x, nan);
  D limit = select(isZero, D(0.0), large);
  return select(isNumber, power, limit);
}

/// Brevitas' PowerOfTwoRestrictValue: y = 2^R(log2(x)), or y = 2^R(x) for an x
/// that is a logarithm already, with R straight through.
struct PowerOfTwoRule {
  static constexpr unsigned arity = 1;
  static constexpr std::array<std::string_view, 1> words{"ste"};
  bool isLog2;
  RoundingMode rounding;

  template <class Op> static PowerOfTwoRule of(Op op) {
    return {op.getIsLog2(), static_cast<RoundingMode>(op.getRounding())};
  }

  template <class S> S forward(S x) const {
    if (isLog2) {
      S whole = roundBy(rounding, x);
      return exp2(whole);
    }
    return inDouble(x, [mode = rounding](auto d) {
      return nearPowerOfTwoInDouble(mode, d);
    });
  }
  template <class S> std::array<Partial<S>, 1> partials(S x, S y) const {
    if (isLog2)
      return {value<S>(y * S(kLn2))};
    return {value<S>(y / x)};
  }
  /// The rounding error of the exponent is held fixed.
  template <class S> S surrogate(S x, Frozen<S, 1> at) const {
    S fixed = forward(at[0]);
    if (!isLog2) {
      S ratio = fixed / at[0];
      return x * ratio;
    }
    S moved = x - at[0];
    S factor = exp2(moved);
    return fixed * factor;
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_RESTRICT_H
