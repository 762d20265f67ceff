//===- RuleReadings.h - a rule as IR, as constants and as a footprint
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The functions that the op family (RuleOp.h) forwards to. Included only where
// the ops are instantiated.
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_READINGS_RULEREADINGS_H
#define QUANT_STE_RULES_READINGS_RULEREADINGS_H

#include "quant_ste/Dialect/QuantSTE/IR/RuleOp.h"
#include "quant_ste/Rules/Readings/APFloatScalar.h"
#include "quant_ste/Rules/Readings/IRScalar.h"

namespace mlir::quant_ste {

/// rule.forward(s[0], ..., s[arity - 1])
template <class S, class Rule>
S callForward(const Rule &rule, const std::array<S, Rule::arity> &s) {
  return std::apply(
      [&](const auto &...x) { return rule.template forward<S>(x...); }, s);
}

/// rule.partials(s[0], ..., s[arity - 1], y)
template <class S, class Rule>
std::array<rules::Partial<S>, Rule::arity>
callPartials(const Rule &rule, const std::array<S, Rule::arity> &s, S y) {
  return std::apply(
      [&](const auto &...x) { return rule.template partials<S>(x..., y); }, s);
}

/// Whether the rule spells its vjp out, in place of partials times cotangent.
template <class Rule> bool hasOwnVjp(const Rule &rule) {
  if constexpr (requires { rule.hasOwnVjp(); })
    return rule.hasOwnVjp();
  return false;
}

/// p.apply(t), or with masks that multiply, as some libraries' do: 0 times an
/// infinite t is NaN then.
template <class S>
S applyPartial(const rules::Partial<S> &p, S t, bool multiplyMasks) {
  using rules::PartialKind;
  bool isMasked = p.kind == PartialKind::Mask || p.kind == PartialKind::Masked;
  if (!multiplyMasks || !isMasked)
    return p.apply(t);
  S zeroOrOne = select(p.mask, S(1.0), S(0.0));
  if (p.kind == PartialKind::Mask)
    return t * zeroOrOne;
  S slope = p.value * zeroOrOne;
  return slope * t;
}

/// The cotangent of each operand, given t, that of the result y.
template <class S, class Rule>
std::array<S, Rule::arity> callVjp(const Rule &rule,
                                   const std::array<S, Rule::arity> &s, S y,
                                   S t, bool multiplyMasks) {
  if constexpr (requires { rule.hasOwnVjp(); })
    if (rule.hasOwnVjp())
      return std::apply(
          [&](const auto &...x) { return rule.template vjp<S>(x..., y, t); },
          s);
  std::array<S, Rule::arity> grads;
  for (auto [grad, p] : llvm::zip_equal(grads, callPartials(rule, s, y)))
    grad = applyPartial(p, t, multiplyMasks);
  return grads;
}

template <class Rule>
std::array<IRScalar, Rule::arity> wrapScalars(ImplicitLocOpBuilder &b,
                                              ValueRange scalars) {
  std::array<IRScalar, Rule::arity> s;
  for (auto [slot, v] : llvm::zip_equal(s, scalars))
    slot = IRScalar(b, v);
  return s;
}

inline FloatType typeOf(ValueRange scalars) {
  return cast<FloatType>(scalars.front().getType());
}

template <class Rule>
SmallVector<Value> emitRuleForward(const Rule &rule, ImplicitLocOpBuilder &b,
                                   ValueRange scalars) {
  IRScalar y = callForward(rule, wrapScalars<Rule>(b, scalars));
  return {y.materialize(b, typeOf(scalars))};
}

template <class Rule>
SmallVector<PartialFootprint> ruleFootprint(const Rule &rule) {
  using rules::Footprint;
  std::array<Footprint, Rule::arity> s;
  uint32_t all = (1u << Rule::arity) - 1;
  for (unsigned i = 0; i < Rule::arity; ++i)
    s[i] = Footprint::leaf(1u << i);
  SmallVector<PartialFootprint> out;
  for (const auto &p :
       callPartials(rule, s, Footprint::leaf(Footprint::kResult)))
    if (hasOwnVjp(rule) && p.kind != rules::PartialKind::Zero)
      out.push_back({rules::PartialKind::Value, all});
    else
      out.push_back({p.kind, p.mask.needs | p.value.needs});
  return out;
}

template <class Rule>
SmallVector<Value> emitRuleVjp(const Rule &rule, ImplicitLocOpBuilder &b,
                               ValueRange scalars, Value result,
                               Value cotangent, bool multiplyMasks) {
  SmallVector<Value> grads(Rule::arity);
  if (!cotangent)
    return grads;
  auto values =
      callVjp(rule, wrapScalars<Rule>(b, scalars), IRScalar(b, result),
              IRScalar(b, cotangent), multiplyMasks);
  for (auto [grad, v, part] :
       llvm::zip_equal(grads, values, ruleFootprint(rule)))
    if (part.kind != rules::PartialKind::Zero)
      grad = v.materialize(b, typeOf(scalars));
  return grads;
}

template <class Rule>
SmallVector<Value> emitRuleJvp(const Rule &rule, ImplicitLocOpBuilder &b,
                               ValueRange scalars, Value result,
                               ArrayRef<Value> tangents, bool multiplyMasks) {
  auto partials =
      callPartials(rule, wrapScalars<Rule>(b, scalars), IRScalar(b, result));
  Value sum;
  for (auto [p, t] : llvm::zip_equal(partials, tangents)) {
    if (!t || p.kind == rules::PartialKind::Zero)
      continue;
    Value term = applyPartial(p, IRScalar(b, t), multiplyMasks)
                     .materialize(b, typeOf(scalars));
    sum = sum ? arith::AddFOp::create(b, sum, term).getResult() : term;
  }
  return {sum};
}

template <class Rule>
std::array<APFloatScalar, Rule::arity> wrapScalars(ArrayRef<APFloat> scalars) {
  std::array<APFloatScalar, Rule::arity> s;
  for (auto [slot, v] : llvm::zip_equal(s, scalars))
    slot = APFloatScalar(v);
  return s;
}

template <class Rule>
SmallVector<APFloat> evaluateRuleForward(const Rule &rule,
                                         ArrayRef<APFloat> scalars) {
  APFloatScalar y = callForward(rule, wrapScalars<Rule>(scalars));
  return {y.in(scalars.front().getSemantics())};
}

template <class Rule>
SmallVector<APFloat>
evaluateRuleVjp(const Rule &rule, ArrayRef<APFloat> scalars,
                const APFloat &cotangent, bool multiplyMasks) {
  auto s = wrapScalars<Rule>(scalars);
  APFloatScalar y = callForward(rule, s);
  SmallVector<APFloat> grads;
  for (const APFloatScalar &g :
       callVjp(rule, s, y, APFloatScalar(cotangent), multiplyMasks))
    grads.push_back(g.in(cotangent.getSemantics()));
  return grads;
}

template <class Rule>
SmallVector<APFloat>
evaluateRuleJvp(const Rule &rule, ArrayRef<APFloat> scalars,
                ArrayRef<std::optional<APFloat>> tangents, bool multiplyMasks) {
  auto s = wrapScalars<Rule>(scalars);
  APFloatScalar y = callForward(rule, s);
  const llvm::fltSemantics &format = scalars.front().getSemantics();
  std::optional<APFloat> sum;
  for (auto [p, t] : llvm::zip_equal(callPartials(rule, s, y), tangents)) {
    if (!t || p.kind == rules::PartialKind::Zero)
      continue;
    APFloat term = applyPartial(p, APFloatScalar(*t), multiplyMasks).in(format);
    sum = sum ? *sum + term : term;
  }
  return {sum.value_or(APFloat::getZero(format))};
}

template <class Rule>
void lintRule(const Rule &rule, ArrayRef<SmallVector<double>> constants,
              function_ref<void(const Twine &)> warn) {
  if constexpr (requires(rules::KnownConstants k) { rule.lint(k, warn); }) {
    std::vector<std::vector<double>> known;
    for (const SmallVector<double> &values : constants)
      known.emplace_back(values.begin(), values.end());
    rule.lint(rules::KnownConstants(known), warn);
  }
}

} // namespace mlir::quant_ste

#endif // QUANT_STE_RULES_READINGS_RULEREADINGS_H
