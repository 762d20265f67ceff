//===- MX.h - the shared scale of microscaling formats
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_MX_H
#define QUANT_STE_RULES_MX_H

#include "quant_ste/Rules/FloatFormat.h"
#include "quant_ste/Rules/Restrict.h"

#include <optional>

namespace mlir::quant_ste::rules {

/// The scale that a group shares (OCP MX 1.0), from its largest magnitude:
/// s = 2^floor(log2(amax)) / 2^emax, emax the exponent of the largest element,
/// within e8m0, [2^-127, 2^127]. The floor is straight through: ds = s / amax.
///
/// Brevitas: neither amax nor the power of two is below 1e-10, both straight
/// through; there is no e8m0. Its emax of int8 is 7: numbers up to 128.
struct MXScaleRule {
  static constexpr unsigned arity = 1;
  static constexpr std::array<std::string_view, 1> words{"ste"};
  std::optional<FloatFormat> element; ///< none: int8
  bool brevitas;

  template <class Op> static MXScaleRule of(Op op) {
    std::optional<FloatFormat> element;
    if (auto format = op.getElement())
      element = FloatFormat::of(*format);
    return {element, op.getBrevitas()};
  }
  std::string invalid() const {
    return element ? element->invalid() : std::string();
  }

  int64_t maxExponent() const {
    if (element)
      return element->maxExponent();
    return brevitas ? 7 : 6;
  }

  /// amax, the power of two at or below it, and that divided by 2^emax.
  template <class S> struct Terms {
    S amax, power, scale;
  };
  template <class S> Terms<S> terms(S x) const {
    S amax = brevitas ? atLeast(x, S(kBrevitasMin)) : x;
    S power = inDouble(amax, [](auto d) {
      return nearPowerOfTwoInDouble(RoundingMode::floor, d);
    });
    return {amax, power, power * unit<S>()};
  }

  template <class S> S forward(S x) const {
    Terms<S> m = terms(x);
    if (!brevitas)
      return scalarClamp(m.scale, S(kLeast), S(kLargest));
    S power = atLeast(m.power, S(kBrevitasMin));
    return power * unit<S>();
  }
  template <class S> std::array<Partial<S>, 1> partials(S x, S) const {
    Terms<S> m = terms(x);
    S ratio = m.scale / m.amax;
    if (brevitas)
      return {value<S>(ratio)};
    auto below = m.scale < S(kLeast);
    auto above = m.scale > S(kLargest);
    auto clipped = below || above;
    return {masked<S>(!clipped, ratio)};
  }
  /// The ratio of scale and amax is held fixed.
  template <class S> S surrogate(S x, Frozen<S, 1> at) const {
    Terms<S> fixed = terms(at[0]);
    S ratio = fixed.scale / fixed.amax;
    S scaled = x * ratio;
    return brevitas ? scaled : scalarClamp(scaled, S(kLeast), S(kLargest));
  }

private:
  /// The range of e8m0.
  static constexpr double kLeast = 0x1p-127, kLargest = 0x1p127;
  static constexpr double kBrevitasMin = 1e-10;

  template <class S> S unit() const {
    return S(std::ldexp(1.0, -int(maxExponent())));
  }
  template <class S> static S atLeast(S x, S min) {
    auto below = x < min;
    return select(below, min, x);
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_MX_H
