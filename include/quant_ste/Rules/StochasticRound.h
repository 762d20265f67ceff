//===- StochasticRound.h - rounding by chance
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_STOCHASTICROUND_H
#define QUANT_STE_RULES_STOCHASTICROUND_H

#include "quant_ste/Rules/Round.h"

namespace mlir::quant_ste::rules {

/// Up with the probability of the fraction: where u, uniform in [0, 1), is
/// below it. What u is does not matter to the gradient.
struct StochasticRoundRule {
  static constexpr unsigned arity = 2;
  static constexpr auto words = Surrogate::forRoundings;
  Surrogate grad;

  template <class Op> static StochasticRoundRule of(Op op) {
    return {Surrogate::of(op)};
  }

  template <class S> S forward(S x, S u) const {
    S below = floor(x);
    S fraction = x - below;
    auto isUp = u < fraction;
    S up = below + S(1.0);
    return select(isUp, up, below);
  }
  template <class S> std::array<Partial<S>, 2> partials(S x, S, S y) const {
    return {grad.partial(x, y), zero<S>()};
  }
  template <class S> S surrogate(S x, S, Frozen<S, 2> at) const {
    return grad.integral(x, forward(at[0], at[1]));
  }

  template <class Warn> void lint(KnownConstants known, Warn warn) const {
    for (double u : known[1])
      if (!(u >= 0.0 && u < 1.0))
        return warn("expected u in [0, 1), found " + std::to_string(u));
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_STOCHASTICROUND_H
