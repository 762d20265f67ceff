//===- FloatQuantTest.cpp - products for quotients by units -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// FloatQuantRule multiplies by the inverse of a power of two where others
// divide by the power: the same bits, for every float.
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Rules/Rules.h"

#include "gtest/gtest.h"
#include <bit>

using namespace mlir::quant_ste::rules;

/// Formats whose least units, or the inverses of whose largest, are the last
/// normal numbers of f32 or the first denormal ones.
static constexpr FloatFormat kEdges[] = {
    {8, 3, 124, 0x1p127, FloatOverflow::none},
    {8, 3, 125, 0x1p127, FloatOverflow::none},
    {8, 7, 127, 0x1p127, FloatOverflow::none},
    {8, 0, 127, 0x1p127, FloatOverflow::none},
    {8, 0, 128, 0x1p126, FloatOverflow::none},
    {1, 0, -126, 0x1p127, FloatOverflow::none},
    {1, 0, -125, 0x1p126, FloatOverflow::none},
    {1, 1, -126, 0x1p127, FloatOverflow::none},
    {4, 23, 7, 255.0, FloatOverflow::none},
};

template <class T> static T divideByUnit(const FloatFormat &format, T t) {
  T magnitude = std::fabs(t);
  int exponent = int(format.minExponent());
  if (magnitude > std::ldexp(T(1), exponent))
    exponent = std::isinf(t)
                   ? int(format.maxExponent())
                   : std::min(std::ilogb(magnitude), int(format.maxExponent()));
  T unit = std::ldexp(T(1), exponent - int(format.mantissa));
  T position = t / unit;
  T whole = std::nearbyint(position);
  return unit * whole;
}

template <class T> static bool isSame(T x, T y) {
  return (std::isnan(x) && std::isnan(y)) ||
         (x == y && std::signbit(x) == std::signbit(y));
}

template <class T> static void compare(const FloatFormat &format, T t) {
  ASSERT_EQ(format.invalid(), "");
  FloatQuantRule rule{format, true, true, false};
  T v = rule.terms(Host<T>(t), Host<T>(1.0)).v.v;
  ASSERT_TRUE(isSame(v, divideByUnit(format, t)))
      << "mantissa " << format.mantissa << ", bias " << format.bias
      << ", t = " << t << ": " << v;
}

template <class Visit> static void forEachFormat(Visit visit) {
  for (const NamedFloatFormat &named : kFloatFormats)
    visit(named.format);
  for (const FloatFormat &format : kEdges)
    visit(format);
}

static void compareFloats(uint64_t step) {
  forEachFormat([&](const FloatFormat &format) {
    for (uint64_t bits = 0; bits < uint64_t(1) << 32; bits += step)
      compare(format, std::bit_cast<float>(uint32_t(bits)));
  });
}
TEST(FloatQuantTest, Floats) { compareFloats(65519); }
TEST(FloatQuantTest, DISABLED_AllFloats) { compareFloats(1); }

/// Every exponent, with mantissas at the ends and in the middle of a unit.
TEST(FloatQuantTest, EdgesOfUnits) {
  forEachFormat([](const FloatFormat &format) {
    for (int exponent = -160; exponent < 128; ++exponent)
      for (double m : {1.0, 1.0625, 1.125, 1.25, 1.5, 1.75, 1.9375, 1.96875})
        for (double sign : {1.0, -1.0}) {
          double t = sign * std::ldexp(m, exponent);
          compare(format, float(t));
          compare(format, std::nextafter(float(t), 0.0f));
          compare(format, std::nextafter(float(t), HUGE_VALF));
          compare(format, t);
          compare(format, std::nextafter(t, 0.0));
        }
    for (double t : {0.0, -0.0, HUGE_VAL, -HUGE_VAL,
                     std::numeric_limits<double>::quiet_NaN()}) {
      compare(format, float(t));
      compare(format, t);
    }
  });
}
