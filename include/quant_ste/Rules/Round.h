//===- Round.h - rounding with a straight-through gradient
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_ROUND_H
#define QUANT_STE_RULES_ROUND_H

#include "quant_ste/Rules/Surrogate.h"

namespace mlir::quant_ste::rules {

/// (x > 0) - (x < 0): +0 for NaN and for both zeros (torch.sign).
template <class S> S signOrZero(S x) {
  auto positive = x > S(0.0);
  auto negative = x < S(0.0);
  S up = select(positive, S(1.0), S(0.0));
  return select(negative, S(-1.0), up);
}

/// sgn0(x) * floor(abs(x)): unlike trunc, -0 gives +0 and -0.5 gives -0.
template <class S> S roundToZero(S x) {
  S sign = signOrZero(x);
  S magnitude = abs(x);
  S whole = floor(magnitude);
  return sign * whole;
}

/// Half to even, except that a negative tie goes up (Xilinx DPU).
template <class S> S dpuRound(S x) {
  S below = floor(x);
  S fraction = x - below;
  auto isNegative = x < S(0.0);
  auto isTie = fraction == S(0.5);
  S up = ceil(x);
  S even = roundEven(x);
  return select(isNegative && isTie, up, even);
}

/// Brevitas' float-to-int functions; printed as a word by the ops that take
/// one.
enum class RoundingMode : uint8_t { round, floor, ceil, round_to_zero, dpu };

template <class S> S roundBy(RoundingMode mode, S x) {
  switch (mode) {
  case RoundingMode::round:
    return roundEven(x);
  case RoundingMode::floor:
    return floor(x);
  case RoundingMode::ceil:
    return ceil(x);
  case RoundingMode::round_to_zero:
    return roundToZero(x);
  case RoundingMode::dpu:
    return dpuRound(x);
  }
  return x;
}

/// brevitas.function.ops_ste.{round,floor,ceil,round_to_zero,dpu_round}_ste
/// with grad(ste); EWGS' discretizer with grad(ewgs(delta)).
template <RoundingMode mode> struct RoundingRule {
  static constexpr unsigned arity = 1;
  static constexpr auto words = Surrogate::forRoundings;
  Surrogate grad;

  template <class Op> static RoundingRule of(Op op) {
    return {Surrogate::of(op)};
  }

  template <class S> S forward(S x) const { return roundBy(mode, x); }
  template <class S> std::array<Partial<S>, 1> partials(S x, S y) const {
    return {grad.partial(x, y)};
  }
  template <class S> S surrogate(S x, Frozen<S, 1> at) const {
    return grad.integral(x, forward(at[0]));
  }
};

using RoundRule = RoundingRule<RoundingMode::round>;
using FloorRule = RoundingRule<RoundingMode::floor>;
using CeilRule = RoundingRule<RoundingMode::ceil>;
using RoundToZeroRule = RoundingRule<RoundingMode::round_to_zero>;
using DpuRoundRule = RoundingRule<RoundingMode::dpu>;

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_ROUND_H
