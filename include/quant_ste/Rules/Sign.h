//===- Sign.h - binary and ternary sign
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_SIGN_H
#define QUANT_STE_RULES_SIGN_H

#include "quant_ste/Rules/Clamp.h"
#include "quant_ste/Rules/Round.h"

namespace mlir::quant_ste::rules {

/// +1 for x >= 0 (both zeros), -1 below and for NaN (Brevitas, Python back
/// end).
template <class S> S binarySign(S x) {
  auto atLeastZero = x >= S(0.0);
  return select(atLeastZero, S(1.0), S(-1.0));
}

/// A sign with a gradient of its own choosing.
template <class Sign> struct SignRule {
  static constexpr unsigned arity = 1;
  static constexpr auto words = Surrogate::forSigns;
  Surrogate grad;
  Sign sign;

  template <class Op> static SignRule of(Op op) {
    return {Surrogate::of(op), Sign::of(op)};
  }

  template <class S> S forward(S x) const { return sign(x); }
  template <class S> std::array<Partial<S>, 1> partials(S x, S y) const {
    return {grad.partial(x, y)};
  }
  template <class S> S surrogate(S x, Frozen<S, 1> at) const {
    return grad.integral(x, forward(at[0]));
  }
};

/// brevitas.function.ops_ste.binary_sign_ste; with NaN at +1, bitorch's signs.
struct BinarySign {
  bool nanIsPositive = false;
  template <class Op> static BinarySign of(Op op) {
    return {op.getNanPositive()};
  }
  template <class S> S operator()(S x) const {
    if (!nanIsPositive)
      return binarySign(x);
    auto isNegative = x < S(0.0);
    return select(isNegative, S(-1.0), S(1.0));
  }
};
using BinarySignRule = SignRule<BinarySign>;

/// brevitas.function.ops_ste.ternary_sign_ste.
struct TernarySign {
  template <class Op> static TernarySign of(Op) { return {}; }
  template <class S> S operator()(S x) const { return signOrZero(x); }
};
using TernarySignRule = SignRule<TernarySign>;

/// bitorch SteHeaviside: +1 above zero, -1 from zero down.
struct Heaviside {
  template <class Op> static Heaviside of(Op) { return {}; }
  template <class S> S operator()(S x) const {
    auto isPositive = x > S(0.0);
    return select(isPositive, S(1.0), S(-1.0));
  }
};
using HeavisideRule = SignRule<Heaviside>;

/// bitorch ProgressiveSign in training: hardtanh(x / width), width the larger
/// of 1 - temperature and 1e-7.
struct ProgressiveSign {
  double temperature;
  template <class Op> static ProgressiveSign of(Op op) {
    return {op.getTemperature().convertToDouble()};
  }
  template <class S> S operator()(S x) const {
    S ramp = x / S(std::max(1.0 - temperature, 1e-7));
    return scalarClamp(ramp, S(-1.0), S(1.0));
  }
};
struct ProgressiveSignRule : SignRule<ProgressiveSign> {
  template <class Op> static ProgressiveSignRule of(Op op) {
    return {SignRule::of(op)};
  }
  std::string invalid() const {
    if (sign.temperature >= 0.0 && sign.temperature <= 1.0)
      return {};
    return "expected temperature in [0, 1], got " +
           std::to_string(sign.temperature);
  }
};

/// brevitas.function.ops_ste.abs_binary_sign_grad: abs with the subgradient +1
/// at both zeros (and -1 at NaN).
struct AbsBinarySignGradRule {
  static constexpr unsigned arity = 1;
  static constexpr std::array<std::string_view, 1> words{"binary_sign"};

  template <class Op> static AbsBinarySignGradRule of(Op) { return {}; }

  template <class S> S forward(S x) const { return abs(x); }
  template <class S> std::array<Partial<S>, 1> partials(S x, S) const {
    S sign = binarySign(x);
    return {value<S>(sign)};
  }
  template <class S> S surrogate(S x, Frozen<S, 1>) const { return abs(x); }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_SIGN_H
