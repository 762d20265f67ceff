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
/// multiplication. At x == alpha both dx and dalpha receive the cotangent; the
/// gradient of alpha ignores the rounding.
struct PactRule {
  static constexpr unsigned arity = 2;
  static constexpr std::array<std::string_view, 1> words{"pact"};
  int64_t bits;

  template <class Op> static PactRule of(Op op) {
    return {static_cast<int64_t>(op.getBits())};
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
    auto above = x > alpha;
    auto clipped = below || above;
    auto inside = !clipped;
    auto saturated = x >= alpha;
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
