//===- Philox.h - a counter-based generator of random numbers
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Philox 4x32-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1,
// 2, 3"): four 32-bit words from a counter of four and a key of two, without a
// state. Said once, on a word W that has ^, + and the functions multiplyHigh,
// multiplyLow, hasBit and select.
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_PHILOX_H
#define QUANT_STE_RULES_PHILOX_H

#include <array>
#include <cstdint>

namespace mlir::quant_ste::rules {

template <class W>
std::array<W, 4> philox4x32(std::array<W, 4> counter, std::array<W, 2> key) {
  constexpr unsigned rounds = 10;
  for (unsigned round = 0; round < rounds; ++round) {
    W high0 = multiplyHigh(counter[0], 0xD2511F53u);
    W low0 = multiplyLow(counter[0], 0xD2511F53u);
    W high1 = multiplyHigh(counter[2], 0xCD9E8D57u);
    W low1 = multiplyLow(counter[2], 0xCD9E8D57u);
    W mixed0 = high1 ^ counter[1];
    W mixed1 = high0 ^ counter[3];
    W first = mixed0 ^ key[0];
    W third = mixed1 ^ key[1];
    counter = {first, low1, third, low0};
    if (round + 1 == rounds)
      break;
    W bumped0 = key[0] + W(0x9E3779B9u);
    W bumped1 = key[1] + W(0xBB67AE85u);
    key = {bumped0, bumped1};
  }
  return counter;
}

/// A 64-bit number as words, the low one first.
template <class W> using Words = std::array<W, 2>;

/// Word `index % 4` of the block whose counter is (index / 4, step), keyed by
/// the seed. `lane` is the low word of the index.
template <class W>
W philoxWord(Words<W> block, W lane, Words<W> step, Words<W> seed) {
  std::array<W, 4> words =
      philox4x32<W>({block[0], block[1], step[0], step[1]}, seed);
  auto isOdd = hasBit(lane, 0);
  auto isInUpperHalf = hasBit(lane, 1);
  W lower = select(isOdd, words[1], words[0]);
  W upper = select(isOdd, words[3], words[2]);
  return select(isInUpperHalf, upper, lower);
}

/// The upper 24 bits of a word are the number of steps of 2^-24.
inline constexpr unsigned kUniformShift = 8;
inline constexpr double kUniformStep = 0x1p-24;

/// Reading on numbers.
struct HostWord {
  uint32_t v = 0;
  HostWord() = default;
  HostWord(uint32_t v) : v(v) {}

  friend HostWord operator^(HostWord a, HostWord b) { return a.v ^ b.v; }
  friend HostWord operator+(HostWord a, HostWord b) { return a.v + b.v; }
  friend HostWord multiplyHigh(HostWord a, uint32_t b) {
    return static_cast<uint32_t>(uint64_t(a.v) * b >> 32);
  }
  friend HostWord multiplyLow(HostWord a, uint32_t b) { return a.v * b; }
  friend bool hasBit(HostWord a, unsigned bit) { return a.v >> bit & 1; }
  friend HostWord select(bool c, HostWord a, HostWord b) { return c ? a : b; }
};

inline Words<HostWord> wordsOf(uint64_t v) {
  return {HostWord(static_cast<uint32_t>(v)),
          HostWord(static_cast<uint32_t>(v >> 32))};
}

/// The element at `index` of quant_ste.uniform.
inline float uniformAt(uint64_t seed, uint64_t step, uint64_t index) {
  HostWord word = philoxWord<HostWord>(wordsOf(index / 4), wordsOf(index)[0],
                                       wordsOf(step), wordsOf(seed));
  return static_cast<float>((word.v >> kUniformShift) * kUniformStep);
}

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_PHILOX_H
