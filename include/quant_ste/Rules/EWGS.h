//===- EWGS.h - the discretizer of element-wise gradient scaling
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_EWGS_H
#define QUANT_STE_RULES_EWGS_H

#include "quant_ste/Rules/Round.h"

namespace mlir::quant_ste::rules {

/// The discretizer of Lee et al. 2021 (arXiv:2104.00903): the nearest of
/// `levels` evenly spaced values of [0, 1], for x that lies there already.
struct EWGSRule {
  static constexpr unsigned arity = 1;
  static constexpr std::array<std::string_view, 1> words{"ewgs"};
  int64_t levels;
  Surrogate grad;

  template <class Op> static EWGSRule of(Op op) {
    return {static_cast<int64_t>(op.getLevels()), Surrogate::of(op)};
  }
  std::string invalid() const {
    if (levels >= 2 && levels <= int64_t(1) << 32)
      return {};
    return "expected levels in [2, 4294967296], got " + std::to_string(levels);
  }

  template <class S> S forward(S x) const {
    S steps = S(double(levels - 1));
    S position = x * steps;
    S whole = roundEven(position);
    return whole / steps;
  }
  template <class S> std::array<Partial<S>, 1> partials(S x, S y) const {
    return {grad.partial(x, y)};
  }
  template <class S> S surrogate(S x, Frozen<S, 1> at) const {
    return grad.integral(x, forward(at[0]));
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_EWGS_H
