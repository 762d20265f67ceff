//===- DivisionTest.cpp - the proof of ExactDivision.cpp -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "gtest/gtest.h"
#include <cmath>
#include <cstdint>

/// As ExactDivision.cpp has it, of mantissas as whole numbers.
static float divide(float a, float b, float reciprocal) {
  float first = a * reciprocal;
  float rest = std::fma(-b, first, a);
  return std::fma(rest, reciprocal, first);
}

/// The inverse of an odd number modulo 2^32, by Newton's iteration.
static uint32_t invert(uint32_t odd) {
  uint32_t inverse = odd; // modulo 2^3
  for (int i = 0; i < 4; ++i)
    inverse *= 2 - odd * inverse;
  return inverse;
}

/// Every dividend whose quotient by `b` is so close to the middle of two floats
/// that rounding errors may take it to the other side: a 2^25 = b m - c with m
/// odd, 2^24 < m < 2^25, and |c| <= 8. Returns how many there are.
static int checkDivisor(int64_t b, int &wrong) {
  int shift = __builtin_ctzll(b), count = 0;
  if ((8 >> shift) == 0)
    return 0; // c is a multiple of 2^shift, and not 0
  auto divisor = static_cast<float>(b);
  float reciprocal = 1 / divisor;
  uint32_t inverse = invert(b >> shift);
  int64_t modulus = int64_t(1) << (25 - shift);
  for (int64_t c = -(8 >> shift) | 1; c <= 8 >> shift; c += 2) {
    int64_t m = inverse * static_cast<uint32_t>(c) & (modulus - 1);
    for (; m < 1 << 25; m += modulus) {
      if (m < 1 << 24)
        continue;
      int64_t product = b * m - c * (int64_t(1) << shift);
      EXPECT_EQ(product & ((1 << 25) - 1), 0);
      auto dividend = static_cast<float>(product >> 25);
      wrong += divide(dividend, divisor, reciprocal) != dividend / divisor;
      ++count;
    }
  }
  return count;
}

TEST(ExactDivision, AllQuotientsCloseToATie) {
  int64_t count = 0;
  int wrong = 0;
  for (int64_t b = 1 << 23; b < 1 << 24; ++b)
    count += checkDivisor(b, wrong);
  EXPECT_EQ(wrong, 0);
  // Half of the odd c for odd b, both for b = 2 (mod 4), ...
  EXPECT_GT(count, 25000000);
}
