//===- PhiloxTest.cpp - published test vectors ------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Rules/Philox.h"

#include "gtest/gtest.h"

using namespace mlir::quant_ste::rules;

namespace {
struct Vector {
  std::array<uint32_t, 4> counter;
  std::array<uint32_t, 2> key;
  std::array<uint32_t, 4> result;
};
} // namespace

/// philox4x32 10 in kat_vectors of Random123, the authors' library.
static constexpr Vector kVectors[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

TEST(PhiloxTest, PublishedVectors) {
  for (const Vector &v : kVectors) {
    auto words = philox4x32<HostWord>(
        {v.counter[0], v.counter[1], v.counter[2], v.counter[3]},
        {v.key[0], v.key[1]});
    for (unsigned i = 0; i < 4; ++i)
      EXPECT_EQ(words[i].v, v.result[i]);
  }
}

/// The index says which of the four words it is.
TEST(PhiloxTest, WordOfBlock) {
  for (const Vector &v : kVectors)
    for (uint32_t i = 0; i < 4; ++i) {
      HostWord word = philoxWord<HostWord>({v.counter[0], v.counter[1]}, 4 + i,
                                           {v.counter[2], v.counter[3]},
                                           {v.key[0], v.key[1]});
      EXPECT_EQ(word.v, v.result[i]);
    }
}

TEST(PhiloxTest, ElementsOfUniform) {
  for (uint64_t i = 0; i < 4; ++i)
    EXPECT_EQ(uniformAt(0, 0, i),
              float(kVectors[0].result[i] >> 8) / float(1 << 24));
}
