//===- DoReFa.h - DoReFa-Net's quantizers
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_DOREFA_H
#define QUANT_STE_RULES_DOREFA_H

#include "quant_ste/Rules/Clamp.h"
#include "quant_ste/Rules/IntRange.h"

namespace mlir::quant_ste::rules {

/// round(x n) / n on the 2^bits - 1 = n steps of [0, 1].
template <class S> S roundToSteps(S x, int64_t bits) {
  S steps = S(std::ldexp(1.0, int(bits)) - 1.0);
  S position = x * steps;
  S whole = roundEven(position);
  return whole / steps;
}

/// The activation quantizer of DoReFa-Net (Zhou et al. 2016, arXiv:1606.06160);
/// bitorch's gradient drops the clipping.
struct DoReFaRule {
  static constexpr unsigned arity = 1;
  static constexpr std::array<std::string_view, 2> words{"ste", "dorefa"};
  int64_t bits;
  bool ste;

  template <class Op> static DoReFaRule of(Op op) {
    return {static_cast<int64_t>(op.getBits()),
            op.getGrad().getWord() == "ste"};
  }
  std::string invalid() const { return invalidBits(bits); }

  template <class S> S forward(S x) const {
    S clipped = scalarClamp(x, S(0.0), S(1.0));
    return roundToSteps(clipped, bits);
  }
  template <class S> std::array<Partial<S>, 1> partials(S x, S) const {
    if (ste)
      return {one<S>()};
    auto below = x < S(0.0);
    auto above = x > S(1.0);
    auto clipped = below || above;
    return {mask<S>(!clipped)};
  }
  template <class S> S surrogate(S x, Frozen<S, 1>) const {
    return ste ? x : scalarClamp(x, S(0.0), S(1.0));
  }
};

/// The weight quantizer of DoReFa-Net; `max` is the largest abs(tanh(x)) of the
/// tensor, held constant.
struct DoReFaWeightRule {
  static constexpr unsigned arity = 2;
  static constexpr std::array<std::string_view, 2> words{"ste", "dorefa"};
  int64_t bits;
  bool ste;

  template <class Op> static DoReFaWeightRule of(Op op) {
    return {static_cast<int64_t>(op.getBits()),
            op.getGrad().getWord() == "ste"};
  }
  std::string invalid() const { return invalidBits(bits); }

  template <class S> S forward(S x, S max) const {
    S t = tanh(x);
    S width = S(2.0) * max;
    S ratio = t / width;
    S unit = ratio + S(0.5);
    S quantized = roundToSteps(unit, bits);
    S doubled = S(2.0) * quantized;
    return doubled - S(1.0);
  }
  template <class S> std::array<Partial<S>, 2> partials(S x, S max, S) const {
    if (ste)
      return {one<S>(), zero<S>()};
    S t = tanh(x);
    S square = t * t;
    S slope = S(1.0) - square;
    return {value<S>(slope / max), zero<S>()};
  }
  template <class S> S surrogate(S x, S, Frozen<S, 2> at) const {
    if (ste)
      return x;
    S t = tanh(x);
    return t / at[1];
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_DOREFA_H
