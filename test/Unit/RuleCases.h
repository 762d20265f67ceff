//===- RuleCases.h - every rule, in every configuration -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// What the unit tests walk: each rule with each setting of its attributes, and
// values that sit on and beside every boundary a rule can have.
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TEST_UNIT_RULECASES_H
#define QUANT_STE_TEST_UNIT_RULECASES_H

#include "quant_ste/Rules/Rules.h"

#include <limits>
#include <random>

namespace mlir::quant_ste::test {

using namespace mlir::quant_ste::rules;

/// Where each operand lies in ordinary use: positive scales, ordered bounds.
using Ranges = std::vector<std::pair<double, double>>;

/// Calls visit(name, rule, ranges) for every rule and setting.
template <class Visit> void forEachRule(Visit visitor) {
  auto visit = [&](const char *name, auto rule, Ranges ranges = {}) {
    constexpr unsigned arity = decltype(rule)::arity;
    if (ranges.empty())
      ranges.assign(arity - 1, {0.2, 1.7});
    if (ranges.size() < arity)
      ranges.insert(ranges.begin(), {-4.0, 4.0});
    visitor(name, rule, ranges);
  };
  Ranges bounds{{-1.5, -0.2}, {0.2, 1.5}};
  Ranges integer{{0.06, 0.45}, {-3, 3}, {1.7, 4.5}}, width{{1.2, 7.0}};
  double nan = std::numeric_limits<double>::quiet_NaN();
  visit("round", RoundRule{});
  visit("floor", FloorRule{});
  visit("ceil", CeilRule{});
  visit("round_to_zero", RoundToZeroRule{});
  visit("dpu_round", DpuRoundRule{});
  visit("round ewgs", RoundRule{{Surrogate::Kind::ewgs, 0.25}});
  visit("floor window", FloorRule{{Surrogate::Kind::window, -1.0, 2.0}});
  for (Surrogate grad :
       {Surrogate{}, Surrogate{Surrogate::Kind::window, -1.0, 1.0},
        Surrogate{Surrogate::Kind::open_window, -1.0, 1.0},
        Surrogate{Surrogate::Kind::approx_sign},
        Surrogate{Surrogate::Kind::swish, 5.0},
        Surrogate{Surrogate::Kind::tanh, 2.0},
        Surrogate{Surrogate::Kind::sigmoid, 3.0}}) {
    visit("binary_sign", BinarySignRule{grad, {}});
    visit("ternary_sign", TernarySignRule{grad, {}});
  }
  visit("binary_sign nan_positive", BinarySignRule{{}, {true}});
  visit("heaviside", HeavisideRule{{Surrogate::Kind::window, -1.0, 1.0}, {}});
  for (double temperature : {0.0, 0.5, 1.0})
    visit("progressive_sign", ProgressiveSignRule{{{}, {temperature}}});
  for (bool ste : {false, true}) {
    visit("dorefa", DoReFaRule{2, ste});
    visit("dorefa_weight", DoReFaWeightRule{2, ste});
  }
  visit("abs_binary_sign_grad", AbsBinarySignGradRule{});
  visit("scalar_clamp", ScalarClampRule{-1.5, 0.1});
  visit("scalar_clamp reversed", ScalarClampRule{1.0, -1.0});
  visit("scalar_clamp nan", ScalarClampRule{nan, 1.0});
  visit("scalar_clamp zeros", ScalarClampRule{-0.0, 0.0});
  visit("scalar_clamp_min", ScalarClampMinRule{0.25});
  visit("scalar_clamp_min nan", ScalarClampMinRule{nan});
  visit("tensor_clamp ste", TensorClampRule{true}, bounds);
  visit("tensor_clamp exact", TensorClampRule{false}, bounds);
  for (bool isSigned : {false, true})
    for (bool narrow : {false, true}) {
      visit("max_int", MaxIntRule{{isSigned, narrow}}, width);
      visit("min_int", MinIntRule{{isSigned, narrow}}, width);
      visit("int_quant",
            IntQuantRule{{isSigned, narrow}, RoundingMode::round, false},
            integer);
    }
  for (auto mode : {RoundingMode::floor, RoundingMode::ceil,
                    RoundingMode::round_to_zero, RoundingMode::dpu})
    visit("int_quant rounding", IntQuantRule{{true, false}, mode, false},
          integer);
  for (bool isSigned : {false, true})
    visit("int_quant unfused",
          IntQuantRule{{isSigned, false}, RoundingMode::round, false, true},
          integer);
  visit("int_quant ste", IntQuantRule{{true, false}, RoundingMode::round, true},
        integer);
  for (int64_t bits : {1, 2, 4, 8, 32})
    visit("pact", PactRule{bits});
  visit("binary_quant", BinaryQuantRule{});
  visit("clamped_binary_quant", ClampedBinaryQuantRule{});
  visit("ternary_quant", TernaryQuantRule{0.5});
  Ranges decoupled{{0.06, 0.45}, {-3, 3}, {0.2, 1.7}, {-3, 3}, {1.7, 4.5}};
  Ranges truncated{{0.006, 0.045}, {-3, 3}, {6.5, 8.5}, {3.5, 5.5}};
  for (bool isSigned : {false, true}) {
    for (bool ste : {false, true})
      visit("decoupled_int_quant",
            DecoupledIntQuantRule{{isSigned, false}, RoundingMode::round, ste},
            decoupled);
    visit("decoupled_int_quant unfused",
          DecoupledIntQuantRule{
              {isSigned, false}, RoundingMode::round, false, true},
          decoupled);
    visit("trunc_int_quant",
          TruncIntQuantRule{{isSigned, false}, RoundingMode::floor}, truncated);
  }
  for (const NamedFloatFormat &named : kFloatFormats)
    for (bool isMoving : {false, true})
      visit("float_quant", FloatQuantRule{named.format, true, true, isMoving});
  for (FloatOverflow overflow : {FloatOverflow::inf, FloatOverflow::nan}) {
    FloatFormat format{4, 3, 7, 448.0, overflow};
    visit("float_quant overflowing", FloatQuantRule{format, true, false, true});
    visit("float_quant unsigned", FloatQuantRule{format, false, false, false},
          Ranges{{0.05, 4.0}, {0.2, 1.7}});
  }
  for (bool brevitas : {false, true}) {
    visit("mx_scale", MXScaleRule{{}, brevitas}, Ranges{{0.1, 20.0}});
    visit("mx_scale", MXScaleRule{kFloatFormats[2].format, brevitas},
          Ranges{{0.1, 20.0}});
  }
  visit("scalar_signed_clamp_min", ScalarSignedClampMinRule{0.25});
  visit("scalar_signed_clamp_min nan", ScalarSignedClampMinRule{nan});
  for (auto mode :
       {RoundingMode::round, RoundingMode::floor, RoundingMode::ceil,
        RoundingMode::round_to_zero, RoundingMode::dpu}) {
    visit("power_of_two", PowerOfTwoRule{false, mode}, Ranges{{0.1, 20.0}});
    visit("power_of_two of_log2", PowerOfTwoRule{true, mode});
  }
  visit("pact paper", PactRule{4, true});
  Ranges offset{{0.06, 0.45}, {-1.0, 1.0}}, shifted{{0.06, 0.45}, {-3, 3}};
  for (bool inclusive : {false, true}) {
    visit("lsq", LSQRule{{{-8, 7}, 0.25, inclusive}}, {{0.06, 0.45}});
    visit("lsq_plus", LSQPlusRule{{{0, 15}, 0.3, inclusive}}, offset);
  }
  for (bool isSigned : {false, true})
    visit("tqt", TQTRule{3, isSigned}, {{-0.5, 2.5}});
  visit("ewgs", EWGSRule{4, {Surrogate::Kind::ewgs, 0.25}}, {{0.0, 1.0}});
  for (Scaling scaling : {Scaling::reciprocal, Scaling::divide})
    for (auto position : {ZeroPointPosition::after, ZeroPointPosition::before})
      visit("fake_quantize", FakeQuantizeRule{{-8, 7}, scaling, position},
            shifted);
  for (bool unfused : {false, true})
    visit("learnable_fake_quantize",
          LearnableFakeQuantizeRule{{-8, 7}, 0.3, unfused}, shifted);
  visit("stochastic_round", StochasticRoundRule{}, {{0.0, 1.0}});
  for (bool weighted : {false, true})
    visit("moving_average", MovingAverageRule{0.1, weighted});
  for (bool symmetric : {false, true})
    for (bool observer : {false, true}) {
      ChooseQParams chosen{{-8, 7}, symmetric, observer};
      visit("choose_qparams_scale", ChooseScaleRule{chosen});
      visit("choose_qparams_zero_point", ChooseZeroPointRule{chosen});
    }
  visit("exp2", Exp2Rule{});
  visit("softplus", SoftplusRule{});
}

/// Values on and beside the boundaries: zeros, halves and their neighbours,
/// denormals, the largest, infinities, NaN.
template <class T> std::vector<T> adversarialValues() {
  using L = std::numeric_limits<T>;
  std::vector<T> v{
      T(0),           -T(0),           L::infinity(),    -L::infinity(),
      L::quiet_NaN(), L::denorm_min(), -L::denorm_min(), L::min(),
      -L::min(),      L::max(),        L::lowest(),      T(1e10),
      T(-1e10)};
  for (int i = -40; i <= 40; ++i) {
    T half = T(i) / 2;
    v.push_back(half);
    v.push_back(std::nextafter(half, L::infinity()));
    v.push_back(std::nextafter(half, -L::infinity()));
    v.push_back(half * T(0.1));
  }
  std::mt19937_64 random(0);
  std::normal_distribution<double> normal;
  for (double spread : {0.01, 1.0, 30.0})
    for (int i = 0; i < 40; ++i)
      v.push_back(T(normal(random) * spread));
  return v;
}

/// Values for operand `i` of a rule of `arity` operands: the data gets the
/// adversarial values, parameters (bounds, scales, bit widths) a mixed list.
template <class T> std::vector<T> parameterValues(unsigned i) {
  using L = std::numeric_limits<T>;
  if (i == 3) // bit widths
    return {T(1), T(2), T(4), T(8), T(2.5), T(32)};
  return {T(1),  T(0.1), T(0.037),      T(6),           T(-1.5), T(0),
          -T(0), T(3),   L::infinity(), L::quiet_NaN(), T(0.5)};
}

/// Operand tuples of a rule: every adversarial x, with parameters in turn.
template <class T, unsigned N> std::vector<std::array<T, N>> operandTuples() {
  std::vector<T> xs = adversarialValues<T>();
  std::vector<std::array<T, N>> tuples;
  size_t turn = 0;
  for (T x : xs)
    for (int repeat = 0; repeat < (N == 1 ? 1 : 5); ++repeat) {
      std::array<T, N> tuple{x};
      for (unsigned i = 1; i < N; ++i) {
        std::vector<T> values = parameterValues<T>(i);
        tuple[i] = values[(turn * (2 * i + 1) + turn / 7) % values.size()];
      }
      ++turn;
      tuples.push_back(tuple);
    }
  return tuples;
}

} // namespace mlir::quant_ste::test

#endif // QUANT_STE_TEST_UNIT_RULECASES_H
