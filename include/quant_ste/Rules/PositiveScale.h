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

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_POSITIVESCALE_H
