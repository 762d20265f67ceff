//===- Sign.h - binary and ternary sign
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_SIGN_H
#define QUANT_STE_RULES_SIGN_H

#include "quant_ste/Rules/Round.h"

namespace mlir::quant_ste::rules {

/// +1 for x >= 0 (both zeros), -1 below and for NaN (Brevitas, Python back
/// end).
template <class S> S binarySign(S x) {
  auto atLeastZero = x >= S(0.0);
  return select(atLeastZero, S(1.0), S(-1.0));
}

/// brevitas.function.ops_ste.binary_sign_ste.
struct BinarySignRule {
  static constexpr unsigned arity = 1;
  static constexpr std::array<std::string_view, 1> words{"ste"};

  template <class Op> static BinarySignRule of(Op) { return {}; }

  template <class S> S forward(S x) const { return binarySign(x); }
  template <class S> std::array<Partial<S>, 1> partials(S, S) const {
    return {one<S>()};
  }
  template <class S> S surrogate(S x, Frozen<S, 1>) const { return x; }
};

/// brevitas.function.ops_ste.ternary_sign_ste.
struct TernarySignRule {
  static constexpr unsigned arity = 1;
  static constexpr std::array<std::string_view, 1> words{"ste"};

  template <class Op> static TernarySignRule of(Op) { return {}; }

  template <class S> S forward(S x) const { return signOrZero(x); }
  template <class S> std::array<Partial<S>, 1> partials(S, S) const {
    return {one<S>()};
  }
  template <class S> S surrogate(S x, Frozen<S, 1>) const { return x; }
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
