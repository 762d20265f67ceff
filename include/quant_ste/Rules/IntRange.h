//===- IntRange.h - the integers that a bit width can hold
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_INTRANGE_H
#define QUANT_STE_RULES_INTRANGE_H

#include "quant_ste/Rules/ScalarAlgebra.h"

namespace mlir::quant_ste::rules {

/// What is wrong with a bit width given as an attribute; empty when nothing is.
inline std::string invalidBits(int64_t bits) {
  if (bits >= 1 && bits <= 32)
    return {};
  return "expected bits in 1..32, got " + std::to_string(bits);
}

/// What lint says of scales and of bit widths given as values.
template <class Warn>
void lintScales(const std::vector<double> &scales, Warn warn) {
  for (double s : scales)
    if (!(s > 0.0) || std::isinf(s))
      return warn("expected a positive, finite scale, found " +
                  std::to_string(s));
}
template <class Warn>
void lintBitWidths(const std::vector<double> &widths, Warn warn) {
  for (double bits : widths)
    if (!(bits >= 1.0 && bits <= 32.0))
      return warn("expected a bit width in 1..32, found " +
                  std::to_string(bits));
}

/// brevitas.function.ops.max_int and min_int (0.13). The bit width is a float
/// and may be fractional; it is differentiable. Whole bit widths are exact.
struct IntRange {
  bool isSigned, narrow;

  /// 2^(bits - 1) signed, 2^bits unsigned.
  template <class S> S power(S bits) const {
    if (!isSigned)
      return exp2(bits);
    S exponent = bits - S(1.0);
    return exp2(exponent);
  }
  template <class S> S max(S power) const {
    return power - S(!isSigned && narrow ? 2.0 : 1.0);
  }
  template <class S> S min(S power, S bits) const {
    if (!isSigned)
      return S(0.0) * bits; // NaN and inf bit widths give NaN
    S lowest = -power;
    return narrow ? lowest + S(1.0) : lowest;
  }
  /// d max / d bits; d min / d bits is its negative (signed) or 0.
  template <class S> S slope(S power) const { return power * S(kLn2); }
};

/// max_int, and max_uint for an unsigned range.
struct MaxIntRule {
  static constexpr unsigned arity = 1;
  static constexpr std::array<std::string_view, 1> words{"exact"};
  IntRange range;

  template <class Op> static MaxIntRule of(Op op) {
    if constexpr (requires { op.getIsSigned(); })
      return {{op.getIsSigned(), op.getNarrowRange()}};
    else
      return {{false, op.getNarrowRange()}};
  }

  template <class S> S forward(S bits) const {
    S power = range.power(bits);
    return range.max(power);
  }
  template <class S> std::array<Partial<S>, 1> partials(S bits, S) const {
    S power = range.power(bits);
    S slope = range.slope(power);
    return {value<S>(slope)};
  }
  template <class S> S surrogate(S bits, Frozen<S, 1>) const {
    return forward(bits);
  }
};

struct MinIntRule {
  static constexpr unsigned arity = 1;
  static constexpr std::array<std::string_view, 1> words{"exact"};
  IntRange range;

  template <class Op> static MinIntRule of(Op op) {
    return {{op.getIsSigned(), op.getNarrowRange()}};
  }

  template <class S> S forward(S bits) const {
    S power = range.isSigned ? range.power(bits) : bits;
    return range.min(power, bits);
  }
  template <class S> std::array<Partial<S>, 1> partials(S bits, S) const {
    if (!range.isSigned)
      return {zero<S>()};
    S power = range.power(bits);
    S slope = range.slope(power);
    S falling = -slope;
    return {value<S>(falling)};
  }
  template <class S> S surrogate(S bits, Frozen<S, 1>) const {
    return forward(bits);
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_INTRANGE_H
