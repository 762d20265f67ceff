//===- MovingAverage.h - running statistics
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_MOVINGAVERAGE_H
#define QUANT_STE_RULES_MOVINGAVERAGE_H

#include "quant_ste/Rules/ScalarAlgebra.h"

namespace mlir::quant_ste::rules {

/// What torch's observers keep: moved by a part of the distance to what is
/// observed; an infinite state has seen nothing yet. `weighted`: as Brevitas
/// does it, the sum of both, each with its weight.
struct MovingAverageRule {
  static constexpr unsigned arity = 2;
  static constexpr std::array<std::string_view, 1> words{"detached"};
  double constant;
  bool weighted = false;

  template <class Op> static MovingAverageRule of(Op op) {
    return {op.getConstant().convertToDouble(), op.getWeighted()};
  }
  std::string invalid() const {
    if (constant >= 0.0 && constant <= 1.0)
      return {};
    return "expected a constant in [0, 1], got " + std::to_string(constant);
  }

  template <class S> S moved(S state, S observed) const {
    if (!weighted) {
      S distance = observed - state;
      S step = distance * S(constant);
      return state + step;
    }
    S kept = state * S(1.0 - constant);
    S added = observed * S(constant);
    return kept + added;
  }

  template <class S> S forward(S state, S observed) const {
    S magnitude = abs(state);
    auto isNew = magnitude == S(HUGE_VAL);
    S next = moved(state, observed);
    return select(isNew, observed, next);
  }
  template <class S> std::array<Partial<S>, 2> partials(S, S, S) const {
    return {zero<S>(), zero<S>()};
  }
  template <class S> S surrogate(S, S, Frozen<S, 2> at) const {
    return forward(at[0], at[1]);
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_MOVINGAVERAGE_H
