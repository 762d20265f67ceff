//===- driver.h - the host reading of a rule on arrays ----------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What mutate.py compiles with each mutated rule header; no MLIR.
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TEST_MUTATION_DRIVER_H
#define QUANT_STE_TEST_MUTATION_DRIVER_H

#include "quant_ste/Rules/Philox.h"
#include "quant_ste/Rules/Rules.h"

#include <bit>
#include <cstddef>
#include <cstring>
#include <tuple>

namespace mlir::quant_ste::test {

using namespace mlir::quant_ste::rules;

/// A function of Elementary.h on its own, as if it were an op.
#define QUANT_STE_FUNCTION(f)                                                  \
  struct Function_##f {                                                        \
    static constexpr unsigned arity = 1;                                       \
    template <class S> S forward(S x) const { return rules::f(x); }            \
    template <class S> std::array<Partial<S>, 1> partials(S, S) const {        \
      return {one<S>()};                                                       \
    }                                                                          \
  };
QUANT_STE_FUNCTION(exp)
QUANT_STE_FUNCTION(exp2)
QUANT_STE_FUNCTION(tanh)
QUANT_STE_FUNCTION(cosh)
QUANT_STE_FUNCTION(log)
QUANT_STE_FUNCTION(log2)
QUANT_STE_FUNCTION(floorLog2)
QUANT_STE_FUNCTION(wholePowerOfTwo)
#undef QUANT_STE_FUNCTION

/// quant_ste.uniform at a seed, a step and an index, which are bits of doubles.
struct Function_uniformAt {
  static constexpr unsigned arity = 3;
  template <class S> S forward(S seed, S step, S index) const {
    return S(double(uniformAt(bitsOf(seed), bitsOf(step), bitsOf(index))));
  }
  template <class S> std::array<Partial<S>, 3> partials(S, S, S, S) const {
    return {one<S>(), one<S>(), one<S>()};
  }

private:
  template <class S> static uint64_t bitsOf(S s) {
    return std::bit_cast<uint64_t>(s.v);
  }
};

/// Partials times the cotangent, or the vjp that a rule spells out.
template <class Rule, class S, class... Operands>
std::array<S, Rule::arity> gradientsOf(const Rule &rule, S t, S y,
                                       const Operands &...x) {
  if constexpr (requires { rule.hasOwnVjp(); })
    if (rule.hasOwnVjp())
      return rule.template vjp<S>(x..., y, t);
  auto partials = rule.template partials<S>(x..., y);
  std::array<S, Rule::arity> grads;
  for (unsigned i = 0; i < Rule::arity; ++i)
    grads[i] = partials[i].apply(t);
  return grads;
}

/// y and the gradients of n elements; every array has n.
template <class Rule, class T>
void runRule(const void *bytes, size_t n, const void *const *operands,
             const void *cotangent, void *result, void *const *gradients) {
  using S = Host<T>;
  Rule rule;
  std::memcpy(&rule, bytes, sizeof(Rule));
  for (size_t k = 0; k < n; ++k) {
    std::array<S, Rule::arity> s;
    for (unsigned i = 0; i < Rule::arity; ++i)
      s[i] = static_cast<const T *>(operands[i])[k];
    S y = std::apply(
        [&](const auto &...x) { return rule.template forward<S>(x...); }, s);
    S t = static_cast<const T *>(cotangent)[k];
    auto grads = std::apply(
        [&](const auto &...x) { return gradientsOf(rule, t, y, x...); }, s);
    static_cast<T *>(result)[k] = y.v;
    for (unsigned i = 0; i < Rule::arity; ++i)
      static_cast<T *>(gradients[i])[k] = grads[i].v;
  }
}

} // namespace mlir::quant_ste::test

#endif // QUANT_STE_TEST_MUTATION_DRIVER_H
