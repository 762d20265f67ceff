//===- EvaluateTest.cpp - constants agree with host arithmetic -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The constant reading of a rule (APFloatScalar, which folds and interprets)
// against the host reading (Host<T>), bit for bit.
//
//===----------------------------------------------------------------------===//

#include "RuleCases.h"
#include "quant_ste/Rules/Readings/RuleReadings.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::quant_ste;
using namespace mlir::quant_ste::test;

template <class T> static APFloat toAPFloat(T v) { return APFloat(v); }

/// Same bits, or both NaN: the payload of a NaN is not part of the meaning.
template <class T> static bool same(T host, const APFloat &folded) {
  if (std::isnan(host))
    return folded.isNaN();
  return APFloat(host).bitwiseIsEqual(folded);
}

template <class T> class EvaluateTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(EvaluateTest, Formats);

TYPED_TEST(EvaluateTest, ForwardAndGradientsMatchHost) {
  using T = TypeParam;
  using S = Host<T>;
  size_t compared = 0;
  forEachRule([&](const char *name, auto rule, const Ranges &) {
    using Rule = decltype(rule);
    for (const auto &tuple : operandTuples<T, Rule::arity>())
      for (T dy : {T(1), T(-0.3), std::numeric_limits<T>::infinity()}) {
        std::array<S, Rule::arity> s;
        SmallVector<APFloat> constants;
        for (unsigned i = 0; i < Rule::arity; ++i) {
          s[i] = tuple[i];
          constants.push_back(toAPFloat(tuple[i]));
        }
        S y = callForward(rule, s);
        EXPECT_TRUE(same(y.v, evaluateRuleForward(rule, constants).front()))
            << name << " forward at x = " << tuple[0];
        SmallVector<APFloat> folded =
            evaluateRuleVjp(rule, constants, toAPFloat(dy));
        auto partials = callPartials(rule, s, y);
        for (unsigned i = 0; i < Rule::arity; ++i)
          EXPECT_TRUE(same(partials[i].apply(S(dy)).v, folded[i]))
              << name << " gradient " << i << " at x = " << tuple[0]
              << ", dy = " << dy;
        ++compared;
      }
  });
  EXPECT_GT(compared, 10000u);
}
