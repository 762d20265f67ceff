//===- MatmulTest.cpp - products against plain loops ------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// quant_ste_matmul gives the bits of plain loops: with each kind of
// instructions this processor has, for any number of threads, however the
// matrices are stored.
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Runtime/Matmul.h"

#include "gtest/gtest.h"
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace {
using Loops = std::vector<quant_ste_matmul_loop>;

/// Loops by kind, and how many elements the arrays need.
struct Problem {
  std::string name;
  Loops batch, rows, columns, terms;

  Loops all() const {
    Loops loops;
    for (const Loops *kind : {&batch, &rows, &columns, &terms})
      loops.insert(loops.end(), kind->begin(), kind->end());
    return loops;
  }
  int64_t span(int64_t quant_ste_matmul_loop::*stride) const {
    int64_t last = 0;
    for (const auto &loop : all())
      last += std::max<int64_t>(0, loop.size - 1) * (loop.*stride);
    return last + 1;
  }
};

Problem matmul(int64_t m, int64_t n, int64_t k, bool transposeA,
               bool transposeB, bool transposeC = false) {
  auto stride = [](bool transposed, int64_t major, int64_t minor) {
    return transposed ? std::pair<int64_t, int64_t>(1, minor)
                      : std::pair<int64_t, int64_t>(major, 1);
  };
  auto [am, ak] = stride(transposeA, k, m);
  auto [bk, bn] = stride(transposeB, n, k);
  auto [cm, cn] = stride(transposeC, n, m);
  std::string name = std::to_string(m) + "x" + std::to_string(n) + "x" +
                     std::to_string(k) + (transposeA ? " A^T" : "") +
                     (transposeB ? " B^T" : "") + (transposeC ? " C^T" : "");
  return {name, {}, {{m, am, 0, cm}}, {{n, 0, bn, cn}}, {{k, ak, bk, 0}}};
}

std::vector<Problem> problems() {
  std::vector<Problem> all;
  for (int64_t size : {1, 2, 5, 16, 17, 33})
    all.push_back(matmul(size, size + 1, 2 * size, false, false));
  for (int mask = 0; mask < 8; ++mask)
    all.push_back(matmul(37, 53, 300, mask & 1, mask & 2, mask & 4));
  all.push_back(matmul(3, 1030, 7, false, true)); // two blocks of columns
  all.push_back(matmul(200, 129, 260, true, false));
  all.push_back(matmul(4, 0, 3, false, false));
  all.push_back(matmul(4, 3, 0, false, false));
  all.push_back({"batch",
                 {{3, 70, 48, 35}},
                 {{5, 14, 0, 7}},
                 {{7, 0, 1, 1}},
                 {{6, 1, 8, 0}}}); // rows of a and of b have gaps
  all.push_back({"broadcast right factor",
                 {{9, 80, 0, 100}},
                 {{10, 8, 0, 10}},
                 {{10, 0, 1, 1}},
                 {{8, 1, 10, 0}}});
  // x[2][9][9][3], w[3][3][3][8], y[2][4][4][8], strides of 2.
  all.push_back({"convolution",
                 {},
                 {{2, 243, 0, 128}, {4, 54, 0, 32}, {4, 6, 0, 8}},
                 {{8, 0, 1, 1}},
                 {{3, 27, 72, 0}, {3, 3, 24, 0}, {3, 1, 8, 0}}});
  // Channels first: y's contiguous direction is a row's.
  all.push_back({"convolution, channels first",
                 {},
                 {{2, 243, 0, 128}, {4, 18, 0, 4}, {4, 2, 0, 1}},
                 {{8, 0, 27, 16}},
                 {{3, 81, 9, 0}, {3, 9, 3, 0}, {3, 1, 1, 0}}});
  return all;
}

float toFloat(uint16_t bits, int64_t type) {
  if (type == QUANT_STE_MATMUL_BF16)
    return std::bit_cast<float>(uint32_t(bits) << 16);
  int exponent = bits >> 10 & 0x1f, fraction = bits & 0x3ff;
  float magnitude = exponent ? std::ldexp(1024.0f + fraction, exponent - 25)
                             : std::ldexp(float(fraction), -24);
  return bits >> 15 ? -magnitude : magnitude;
}

/// The plain loops.
template <class T>
std::vector<T> reference(const Problem &p, const std::vector<T> &a,
                         const std::vector<T> &b, std::vector<T> c) {
  Loops loops = p.all();
  std::vector<int64_t> at(loops.size(), 0);
  for (const auto &loop : loops)
    if (loop.size == 0)
      return c;
  while (true) {
    int64_t i = 0, j = 0, k = 0;
    for (size_t d = 0; d < loops.size(); ++d) {
      i += at[d] * loops[d].a;
      j += at[d] * loops[d].b;
      k += at[d] * loops[d].c;
    }
    volatile T product = a[i] * b[j]; // never contracted
    c[k] = c[k] + product;
    size_t d = loops.size();
    while (d > 0 && ++at[d - 1] == loops[d - 1].size)
      at[--d] = 0;
    if (d == 0)
      return c;
  }
}

template <class T> void fill(std::vector<T> &values, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<T> draw(-1, 1);
  for (T &v : values)
    v = draw(random);
}

const std::vector<std::string> kPaths = {"baseline", "avx2", "avx512"};

template <class T> void checkAll(int64_t type) {
  std::string best = quant_ste_matmul_path();
  for (const Problem &p : problems()) {
    std::vector<T> a(p.span(&quant_ste_matmul_loop::a));
    std::vector<T> b(p.span(&quant_ste_matmul_loop::b));
    std::vector<T> c(p.span(&quant_ste_matmul_loop::c));
    fill(a, 1);
    fill(b, 2);
    fill(c, 3);
    std::vector<T> want = reference(p, a, b, c);
    Loops loops = p.all();
    for (const std::string &path : kPaths) {
      if (!quant_ste_matmul_set_path(path.c_str()))
        continue;
      for (int64_t threads : {1, 2, 3}) {
        std::vector<T> got = c;
        quant_ste_matmul_args args = {a.data(),
                                      b.data(),
                                      got.data(),
                                      type,
                                      type,
                                      type,
                                      int64_t(p.batch.size()),
                                      int64_t(p.rows.size()),
                                      int64_t(p.columns.size()),
                                      int64_t(p.terms.size()),
                                      threads,
                                      0};
        quant_ste_matmul(&args, loops.data());
        EXPECT_EQ(std::memcmp(got.data(), want.data(), got.size() * sizeof(T)),
                  0)
            << p.name << ", " << path << ", " << threads << " threads";
      }
    }
  }
  ASSERT_TRUE(quant_ste_matmul_set_path(best.c_str()));
}
} // namespace

TEST(Matmul, F32) { checkAll<float>(QUANT_STE_MATMUL_F32); }
TEST(Matmul, F64) { checkAll<double>(QUANT_STE_MATMUL_F64); }

TEST(Matmul, NarrowFactors) {
  Problem p = matmul(19, 40, 70, false, true);
  Loops loops = p.all();
  for (int64_t type : {QUANT_STE_MATMUL_F16, QUANT_STE_MATMUL_BF16}) {
    std::vector<uint16_t> a(19 * 70), b(40 * 70);
    std::mt19937 random(5);
    auto draw = [&] { // finite, subnormal ones among them
      uint32_t bits = random() & 0xffff;
      uint32_t exponents = type == QUANT_STE_MATMUL_F16 ? 0x4000 : 0x4080;
      return uint16_t((bits & 0x7fff) >= exponents ? bits & 0x83ff : bits);
    };
    std::vector<float> wideA, wideB;
    for (uint16_t &v : a)
      wideA.push_back(toFloat(v = draw(), type));
    for (uint16_t &v : b)
      wideB.push_back(toFloat(v = draw(), type));
    std::vector<float> c(19 * 40, 0.5f);
    std::vector<float> want = reference(p, wideA, wideB, c);
    quant_ste_matmul_args args = {
        a.data(), b.data(), c.data(), type, type, QUANT_STE_MATMUL_F32,
        0,        1,        1,        1,    1,    0};
    quant_ste_matmul(&args, loops.data());
    EXPECT_EQ(std::memcmp(c.data(), want.data(), c.size() * 4), 0) << type;
  }
}

namespace {
/// Within the rounding of an order of its own.
template <class T> void checkLibrary(int64_t type, double tolerance) {
  std::vector<Problem> all = problems();
  // The gradient of a convolution's weights: more terms than one block has.
  all.push_back({"many terms",
                 {},
                 {{8, 1764, 0, 9}, {3, 42, 0, 3}, {3, 1, 0, 1}},
                 {{9, 0, 1600, 72}},
                 {{2, 14112, 14400, 0}, {40, 42, 40, 0}, {40, 1, 1, 0}}});
  // Channels first: more columns than one block has.
  all.push_back({"many columns",
                 {},
                 {{3, 3872, 0, 10800}, {30, 62, 0, 30}, {30, 1, 0, 1}},
                 {{12, 0, 72, 900}},
                 {{8, 484, 9, 0}, {3, 62, 3, 0}, {3, 1, 1, 0}}});
  for (const Problem &p : all) {
    std::vector<T> a(p.span(&quant_ste_matmul_loop::a));
    std::vector<T> b(p.span(&quant_ste_matmul_loop::b));
    std::vector<T> c(p.span(&quant_ste_matmul_loop::c));
    fill(a, 1);
    fill(b, 2);
    fill(c, 3);
    std::vector<T> want = reference(p, a, b, c);
    Loops loops = p.all();
    for (int64_t threads : {1, 2}) {
      std::vector<T> got = c;
      quant_ste_matmul_args args = {a.data(),
                                    b.data(),
                                    got.data(),
                                    type,
                                    type,
                                    type,
                                    int64_t(p.batch.size()),
                                    int64_t(p.rows.size()),
                                    int64_t(p.columns.size()),
                                    int64_t(p.terms.size()),
                                    threads,
                                    1};
      quant_ste_matmul(&args, loops.data());
      for (size_t i = 0; i < got.size(); ++i)
        ASSERT_NEAR(got[i], want[i], tolerance)
            << p.name << " at " << i << ", " << threads << " threads";
    }
  }
}
} // namespace

TEST(Matmul, Library) {
  if (!quant_ste_matmul_library())
    GTEST_SKIP() << "built without one";
  int64_t ownBefore, libraryBefore, own, library;
  quant_ste_matmul_counts(&ownBefore, &libraryBefore);
  for (int mask = 0; mask < 4; ++mask) {
    Problem p = matmul(37, 53, 90, mask & 1, mask & 2);
    std::vector<float> a(37 * 90), b(53 * 90), c(37 * 53, 0.25f);
    fill(a, 1);
    fill(b, 2);
    std::vector<float> want = reference(p, a, b, c);
    Loops loops = p.all();
    quant_ste_matmul_args args = {a.data(), b.data(), c.data(), 2, 2, 2,
                                  0,        1,        1,        1, 2, 1};
    quant_ste_matmul(&args, loops.data());
    for (size_t i = 0; i < c.size(); ++i)
      ASSERT_NEAR(c[i], want[i], 1e-4) << p.name << " at " << i;
  }
  quant_ste_matmul_counts(&own, &library);
  // A machine without the library's file uses the kernel, and says so.
  EXPECT_EQ(own - ownBefore + library - libraryBefore, 4);
}

TEST(Matmul, LibraryOfAnyLoops) {
  if (!quant_ste_matmul_library())
    GTEST_SKIP() << "built without one";
  int64_t ignored, before, after;
  quant_ste_matmul_counts(&ignored, &before);
  checkLibrary<float>(QUANT_STE_MATMUL_F32, 1e-3);
  checkLibrary<double>(QUANT_STE_MATMUL_F64, 1e-11);
  quant_ste_matmul_counts(&ignored, &after);
  if (after == before)
    GTEST_SKIP() << "the library's file is not there";
  // Four products of matrices and two convolutions, at least, twice each.
  EXPECT_GE(after - before, 12);
}
