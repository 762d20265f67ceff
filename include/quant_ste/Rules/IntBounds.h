//===- IntBounds.h - integer bounds given as attributes
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_INTBOUNDS_H
#define QUANT_STE_RULES_INTBOUNDS_H

#include "quant_ste/Rules/ScalarAlgebra.h"

namespace mlir::quant_ste::rules {

/// Integer bounds given as attributes, and what is wrong with them.
struct IntBounds {
  int64_t qmin, qmax;

  template <class Op> static IntBounds of(Op op) {
    return {static_cast<int64_t>(op.getQmin()),
            static_cast<int64_t>(op.getQmax())};
  }
  std::string invalid() const {
    constexpr int64_t lowest = -(int64_t(1) << 31);
    constexpr int64_t highest = (int64_t(1) << 32) - 1;
    for (int64_t bound : {qmin, qmax})
      if (bound < lowest || bound > highest)
        return "expected qmin and qmax in [" + std::to_string(lowest) + ", " +
               std::to_string(highest) + "], got " + std::to_string(bound);
    if (qmin > qmax)
      return "expected qmin <= qmax, got " + std::to_string(qmin) + " and " +
             std::to_string(qmax);
    return {};
  }
  template <class S> S min() const { return S(double(qmin)); }
  template <class S> S max() const { return S(double(qmax)); }
};

/// What is wrong with a gradient's factor given as an attribute.
inline std::string invalidFactor(std::string_view name, double factor) {
  if (std::isfinite(factor))
    return {};
  return "expected a finite " + std::string(name) + ", got " +
         std::to_string(factor);
}

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_INTBOUNDS_H
