//===- SurrogateTest.cpp - partials are derivatives of the surrogate -*- C++
//-*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Each rule names the function whose true derivative its partials are. Central
// differences of that function, in double precision, away from its kinks.
//
//===----------------------------------------------------------------------===//

#include "RuleCases.h"
#include "quant_ste/Rules/Readings/RuleReadings.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace mlir::quant_ste;
using namespace mlir::quant_ste::test;

using S = Host<double>;

template <class Rule>
static double surrogateAt(const Rule &rule, const std::array<S, Rule::arity> &x,
                          const std::array<S, Rule::arity> &frozen) {
  return std::apply(
             [&](const auto &...v) {
               return rule.template surrogate<S>(v..., frozen);
             },
             x)
      .v;
}

template <size_t arity>
static std::array<double, arity> sample(const Ranges &ranges,
                                        std::mt19937_64 &random) {
  std::array<double, arity> v;
  for (size_t i = 0; i < arity; ++i)
    v[i] = std::uniform_real_distribution<double>(ranges[i].first,
                                                  ranges[i].second)(random);
  return v;
}

TEST(SurrogateTest, PartialsMatchCentralDifferences) {
  std::mt19937_64 random(2);
  size_t compared = 0, skipped = 0;
  forEachRule([&](const char *name, auto rule, const Ranges &ranges) {
    using Rule = decltype(rule);
    size_t matched = 0;
    for (int trial = 0; trial < 300; ++trial) {
      std::array<double, Rule::arity> at = sample<Rule::arity>(ranges, random);
      std::array<S, Rule::arity> s;
      std::copy(at.begin(), at.end(), s.begin());
      auto partials = callPartials(rule, s, callForward(rule, s));
      for (unsigned i = 0; i < Rule::arity; ++i) {
        double h = 1e-5;
        auto up = s, down = s;
        up[i].v += h;
        down[i].v -= h;
        double here = surrogateAt(rule, s, s);
        double right = (surrogateAt(rule, up, s) - here) / h;
        double left = (here - surrogateAt(rule, down, s)) / h;
        double slope = (left + right) / 2;
        double scale = std::max(1.0, std::fabs(slope));
        // On a kink the two sides disagree: a rounded value at its bound.
        if (!(std::fabs(right - left) < 1e-4 * scale)) {
          ++skipped;
          continue;
        }
        EXPECT_NEAR(partials[i].apply(S(1.0)).v, slope, 2e-6 * scale)
            << name << " operand " << i << " at x = " << at[0];
        ++matched;
      }
    }
    // A NaN bound has no slope to compare.
    if (std::string_view(name).find("nan") == std::string_view::npos) {
      EXPECT_GT(matched, 250u) << name;
    }
    compared += matched;
  });
  EXPECT_GT(compared, 10000u);
  EXPECT_LT(skipped, compared / 4);
}
