//===- Pact.h - parameterized clipping activation
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_PACT_H
#define QUANT_STE_RULES_PACT_H

#include "quant_ste/Rules/Clamp.h"
#include "quant_ste/Rules/IntRange.h"

namespace mlir::quant_ste::rules {

/// PACT (Choi et al. 2018, arXiv:1805.06085) as bitorch computes it: clip to
/// [0, alpha], then round on 2^bits - 1 steps of alpha, by a reciprocal and a
/// multiplication. At x == alpha dalpha receives the cotangent, and dx as well
/// unless the gradient is the paper's; the gradient of alpha ignores the
/// rounding.
struct PactRule {
  static constexpr unsigned arity = 2;
  static constexpr std::array<std::string_view, 2> words{"pact", "pact_paper"};
  int64_t bits;
  bool paper = false;

  template <class Op> static PactRule of(Op op) {
    return {static_cast<int64_t>(op.getBits()),
            op.getGrad().getWord() == "pact_paper"};
  }
  std::string invalid() const { return invalidBits(bits); }

  template <class S> S forward(S x, S alpha) const {
    S clipped = scalarClamp(x, S(0.0), alpha);
    S inverse = S(1.0) / alpha;
    S steps = inverse * S(std::ldexp(1.0, int(bits)) - 1.0);
    S position = clipped * steps;
    S whole = roundEven(position);
    return whole / steps;
  }
  template <class S> std::array<Partial<S>, 2> partials(S x, S alpha, S) const {
    auto below = x < S(0.0);
    auto saturated = x >= alpha;
    auto above = paper ? saturated : x > alpha;
    auto clipped = below || above;
    auto inside = !clipped;
    return {mask<S>(inside), mask<S>(saturated)};
  }
  template <class S> S surrogate(S x, S alpha, Frozen<S, 2>) const {
    return scalarClamp(x, S(0.0), alpha);
  }

  template <class Warn> void lint(KnownConstants known, Warn warn) const {
    for (double alpha : known[1])
      if (!(alpha > 0.0) || std::isinf(alpha))
        return warn("expected a positive, finite alpha, found " +
                    std::to_string(alpha));
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_PACT_H
