//===- TQT.h - trained quantization thresholds
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_TQT_H
#define QUANT_STE_RULES_TQT_H

#include "quant_ste/Rules/Clamp.h"
#include "quant_ste/Rules/IntRange.h"

namespace mlir::quant_ste::rules {

/// TQT (Jain et al. 2020, arXiv:1903.08066): a power-of-two scale from the
/// logarithm of the threshold, the ceil straight through. The range is judged
/// on the rounded value.
struct TQTRule {
  static constexpr unsigned arity = 2;
  static constexpr std::array<std::string_view, 1> words{"tqt"};
  int64_t bits;
  bool isSigned;

  template <class Op> static TQTRule of(Op op) {
    return {static_cast<int64_t>(op.getBits()), op.getIsSigned()};
  }
  std::string invalid() const { return invalidBits(bits); }

  double steps() const { return std::ldexp(1.0, int(bits - isSigned)); }
  double qmin() const { return isSigned ? -steps() : 0.0; }
  double qmax() const { return steps() - 1.0; }

  template <class S> S scaleOf(S log2Threshold) const {
    S whole = ceil(log2Threshold);
    S threshold = exp2(whole);
    return threshold / S(steps());
  }

  template <class S> S forward(S x, S log2Threshold) const {
    S scale = scaleOf(log2Threshold);
    S t = x / scale;
    S r = roundEven(t);
    S q = scalarClamp(r, S(qmin()), S(qmax()));
    return q * scale;
  }
  template <class S>
  std::array<Partial<S>, 2> partials(S x, S log2Threshold, S) const {
    S scale = scaleOf(log2Threshold);
    S t = x / scale;
    S r = roundEven(t);
    auto below = r < S(qmin());
    auto above = r > S(qmax());
    auto clipped = below || above;
    auto inside = !clipped;
    S error = r - t;
    S bound = select(below, S(qmin()), S(qmax()));
    S slope = select(clipped, bound, error);
    S rise = scale * S(kLn2);
    return {mask<S>(inside), value<S>(rise * slope)};
  }

  /// The rounding error r - t is held fixed, as is that of the ceil.
  template <class S> S surrogate(S x, S log2Threshold, Frozen<S, 2> at) const {
    S fixedScale = scaleOf(at[1]);
    S change = log2Threshold - at[1];
    S growth = exp2(change);
    S scale = fixedScale * growth;
    S fixed = at[0] / fixedScale;
    S whole = roundEven(fixed);
    S error = whole - fixed;
    S t = x / scale;
    S r = t + error;
    S q = scalarClamp(r, S(qmin()), S(qmax()));
    return q * scale;
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_TQT_H
