//===- FloatFormat.h - minifloat formats
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_FLOATFORMAT_H
#define QUANT_STE_RULES_FLOATFORMAT_H

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace mlir::quant_ste::rules {

/// What a format has above its largest number.
enum class FloatOverflow : uint8_t { none, inf, nan };

/// Its numbers are k 2^l with whole k, |k| < 2^(mantissa + 1) and
/// l >= 1 - bias - mantissa, up to max.
struct FloatFormat {
  int64_t exponent, mantissa, bias;
  double max;
  FloatOverflow overflow;

  /// From the attribute.
  template <class Attr> static FloatFormat of(Attr attr) {
    return {attr.getExponent(), attr.getMantissa(), attr.getBias(),
            attr.getMax().getValueAsDouble(),
            static_cast<FloatOverflow>(attr.getOverflow())};
  }

  bool operator==(const FloatFormat &) const = default;

  /// The exponents of the units of the subnormals and of max, each with a
  /// mantissa of 1.
  int64_t minExponent() const { return 1 - bias; }
  int64_t maxExponent() const {
    return std::max<int64_t>(std::ilogb(max), minExponent());
  }

  /// What is wrong with it; empty when nothing is.
  std::string invalid() const {
    auto expected = [](const char *what, auto got) {
      return std::string("expected ") + what + ", got " + std::to_string(got);
    };
    if (exponent < 1 || exponent > 8)
      return expected("1..8 exponent bits", exponent);
    if (mantissa < 0 || mantissa > 23)
      return expected("0..23 mantissa bits", mantissa);
    // All of its numbers are numbers of f32.
    if (bias < -126 || minExponent() - mantissa < -149)
      return expected("a bias whose format lies within that of f32", bias);
    if (!(max > 0.0 && max <= std::numeric_limits<float>::max()))
      return expected("a largest number that is positive and finite in f32",
                      max);
    int64_t top = (int64_t(1) << exponent) - 1 - bias;
    double k = std::ldexp(max, int(mantissa - maxExponent()));
    if (maxExponent() > top || k != std::floor(k))
      return expected("a largest number that the format has", max);
    return {};
  }
};

struct NamedFloatFormat {
  std::string_view name;
  FloatFormat format;
};

/// Without a suffix as Brevitas has them, all codes being numbers; _ocp: OCP
/// FP8 (arXiv:2209.05433); FP6 and FP4 are those of OCP MX 1.0; _fnuz: Noune et
/// al. 2022 (arXiv:2206.02915).
inline constexpr std::array<NamedFloatFormat, 9> kFloatFormats{{
    {"e4m3", {4, 3, 7, 480.0, FloatOverflow::none}},
    {"e5m2", {5, 2, 15, 114688.0, FloatOverflow::none}},
    {"e4m3_ocp", {4, 3, 7, 448.0, FloatOverflow::nan}},
    {"e5m2_ocp", {5, 2, 15, 57344.0, FloatOverflow::inf}},
    {"e4m3_fnuz", {4, 3, 8, 240.0, FloatOverflow::nan}},
    {"e5m2_fnuz", {5, 2, 16, 57344.0, FloatOverflow::nan}},
    {"e3m2", {3, 2, 3, 28.0, FloatOverflow::none}},
    {"e2m3", {2, 3, 1, 7.5, FloatOverflow::none}},
    {"e2m1", {2, 1, 1, 6.0, FloatOverflow::none}},
}};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_FLOATFORMAT_H
