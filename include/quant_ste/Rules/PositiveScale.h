//===- PositiveScale.h - parameters whose scale is positive
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_POSITIVESCALE_H
#define QUANT_STE_RULES_POSITIVESCALE_H

#include "quant_ste/Rules/ScalarAlgebra.h"

namespace mlir::quant_ste::rules {

/// A scale whose logarithm is learned: y = 2^x.
struct Exp2Rule {
  static constexpr unsigned arity = 1;
  static constexpr std::array<std::string_view, 1> words{"exact"};

  template <class Op> static Exp2Rule of(Op) { return {}; }

  template <class S> S forward(S x) const { return exp2(x); }
  template <class S> std::array<Partial<S>, 1> partials(S, S y) const {
    return {value<S>(y * S(kLn2))};
  }
  template <class S> S surrogate(S x, Frozen<S, 1>) const { return exp2(x); }
};

/// ln(1 + e^x), within 8 ULP.
template <class D> D softplusInDouble(D x) {
  D magnitude = abs(x);
  D e = expInDouble(-magnitude);
  // ln(1 + e) = ln(u) e / (u - 1) undoes the rounding of u = 1 + e.
  D u = e + D(1.0);
  D rounded = u - D(1.0);
  D log = logInDouble(u);
  D scaled = log * e;
  D corrected = scaled / rounded;
  auto isLost = rounded == D(0.0);
  D small = select(isLost, e, corrected);
  auto isPositive = x > D(0.0);
  D large = select(isPositive, x, D(0.0));
  return large + small;
}

/// 1 / (1 + e^-x).
template <class D> D sigmoidInDouble(D x) {
  D e = expInDouble(-x);
  D above = e + D(1.0);
  return D(1.0) / above;
}

/// A scale learned through softplus: y = ln(1 + e^x).
struct SoftplusRule {
  static constexpr unsigned arity = 1;
  static constexpr std::array<std::string_view, 1> words{"exact"};

  template <class Op> static SoftplusRule of(Op) { return {}; }

  template <class S> S forward(S x) const {
    return inDouble(x, [](auto d) { return softplusInDouble(d); });
  }
  template <class S> std::array<Partial<S>, 1> partials(S x, S) const {
    S slope = inDouble(x, [](auto d) { return sigmoidInDouble(d); });
    return {value<S>(slope)};
  }
  template <class S> S surrogate(S x, Frozen<S, 1>) const { return forward(x); }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_POSITIVESCALE_H
