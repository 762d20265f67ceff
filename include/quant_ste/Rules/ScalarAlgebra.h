//===- ScalarAlgebra.h - the vocabulary of a rule ---------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A rule is a struct of attributes that says an op's math once, on a scalar S:
//
//   struct PactRule {
//     static constexpr unsigned arity = 2;
//     static constexpr std::array<std::string_view, 1> words{"pact"};
//     template <class Op> static PactRule of(Op op);     // attributes ->
//     fields template <class S> S forward(S x, S alpha) const; template <class
//     S> std::array<Partial<S>, 2> partials(S x, S alpha, S y) const; template
//     <class S> S surrogate(S x, S alpha, Frozen<S, 2> at) const;
//   };
//
// S has + - * / and unary -, the ordered comparisons < > <= >= == (false on
// NaN), literals (`0.0` converts), and the functions select, roundEven, floor,
// ceil, abs, and those of Elementary.h (exp, exp2, log, log2, tanh, cosh, ...),
// which are fixed polynomials; and floorToPowerOfTwo, the largest power of two
// that is at most x, for a positive, normal and finite x. Of powers of two,
// scalePowerOfTwo(x, k) is 2^k x and inverseOfPowerOfTwo(x) is 1/x, for x and
// results that are normal. Comparisons give S::Bool with ! && ||. There is no
// `if` on an S. Each operator is one IEEE operation; nothing is contracted.
// `inDouble(x, f)` computes f in double precision and rounds once; x is an S or
// an array of several.
//
// A rule may also have `invalid()`, a message for attributes out of range, and
// `lint(constants, warn)`, which names what is defined but surely not meant.
//
// Give every subexpression that does something a name: C++ leaves the order of
// operands open, and the IR printed must not depend on the compiler.
//
// Readings of a rule: Host<float|double> and Footprint (here), IRScalar (emits
// MLIR) and APFloatScalar (folds constants) in Rules/Readings.
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_SCALARALGEBRA_H
#define QUANT_STE_RULES_SCALARALGEBRA_H

#include "quant_ste/Rules/Elementary.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace mlir::quant_ste::rules {

/// How the tangent or cotangent t of one operand passes through an op.
enum class PartialKind : uint8_t {
  Zero,   ///< nothing
  One,    ///< t
  Mask,   ///< select(mask, t, 0)
  Value,  ///< t * value
  Masked, ///< select(mask, t * value, 0): 0 stays 0 when t is not finite
  BySign, ///< t * (1 + sign(t) * value), not linear: reverse mode only
};

/// The partial derivative of the result by one operand, in a form that keeps
/// masked gradients exact: a mask selects, it never multiplies.
template <class S> struct Partial {
  PartialKind kind = PartialKind::Zero;
  typename S::Bool mask{};
  S value{};

  S apply(S t) const {
    switch (kind) {
    case PartialKind::Zero:
      return S(0.0);
    case PartialKind::One:
      return t;
    case PartialKind::Mask:
      return select(mask, t, S(0.0));
    case PartialKind::Value:
      return t * value;
    case PartialKind::Masked: {
      S scaled = t * value;
      return select(mask, scaled, S(0.0));
    }
    case PartialKind::BySign: {
      auto isPositive = t > S(0.0);
      auto isNegative = t < S(0.0);
      S falling = -value;
      S down = select(isNegative, falling, S(0.0));
      S signedValue = select(isPositive, value, down);
      S factor = S(1.0) + signedValue;
      return t * factor;
    }
    }
    return t;
  }
};

template <class S> Partial<S> zero() { return {}; }
template <class S> Partial<S> one() { return {PartialKind::One, {}, {}}; }
template <class S> Partial<S> mask(typename S::Bool m) {
  return {PartialKind::Mask, m, {}};
}
template <class S> Partial<S> value(S v) { return {PartialKind::Value, {}, v}; }
template <class S> Partial<S> masked(typename S::Bool m, S v) {
  return {PartialKind::Masked, m, v};
}
template <class S> Partial<S> bySign(S v) {
  return {PartialKind::BySign, {}, v};
}

/// The operands at which a surrogate is differentiated. A surrogate may read
/// them as constants, for example to hold a rounding error fixed.
template <class S, unsigned N> using Frozen = std::array<S, N>;

/// Constants known for each operand (empty: unknown), for `lint`.
using KnownConstants = std::span<const std::vector<double>>;

//===----------------------------------------------------------------------===//
// Reading on numbers
//===----------------------------------------------------------------------===//

/// One IEEE operation of T per operator. Compile with -ffp-contract=off, in
/// round-to-nearest mode.
template <class T> struct Host {
  using Bool = bool;
  T v{};
  Host() = default;
  template <class U, class = std::enable_if_t<std::is_arithmetic_v<U>>>
  Host(U u) : v(static_cast<T>(u)) {}

  friend Host operator+(Host a, Host b) { return a.v + b.v; }
  friend Host operator-(Host a, Host b) { return a.v - b.v; }
  friend Host operator*(Host a, Host b) { return a.v * b.v; }
  friend Host operator/(Host a, Host b) { return a.v / b.v; }
  friend Host operator-(Host a) { return -a.v; }
  friend bool operator<(Host a, Host b) { return a.v < b.v; }
  friend bool operator>(Host a, Host b) { return a.v > b.v; }
  friend bool operator<=(Host a, Host b) { return a.v <= b.v; }
  friend bool operator>=(Host a, Host b) { return a.v >= b.v; }
  friend bool operator==(Host a, Host b) { return a.v == b.v; }
  friend Host select(bool c, Host a, Host b) { return c ? a : b; }
  friend Host roundEven(Host a) { return std::nearbyint(a.v); }
  friend Host floor(Host a) { return std::floor(a.v); }
  friend Host ceil(Host a) { return std::ceil(a.v); }
  friend Host abs(Host a) { return std::fabs(a.v); }
  friend Host powerOfTwo(Host n) { return std::ldexp(T(1), int(n.v)); }
  friend Host exponent(Host a) { return std::ilogb(a.v); }
  friend Host floorToPowerOfTwo(Host a) {
    // What nothing is promised for shows.
    if (!(std::isnormal(a.v) && a.v > T(0)))
      return std::numeric_limits<T>::quiet_NaN();
    return std::ldexp(T(1), std::ilogb(a.v));
  }
  friend Host scalePowerOfTwo(Host a, int k) {
    Host scaled = std::ldexp(a.v, k);
    bool isPromised =
        floorToPowerOfTwo(a) == a && floorToPowerOfTwo(scaled) == scaled;
    return isPromised ? scaled : std::numeric_limits<T>::quiet_NaN();
  }
  friend Host inverseOfPowerOfTwo(Host a) {
    Host inverse = T(1) / a.v;
    bool isPromised =
        floorToPowerOfTwo(a) == a && floorToPowerOfTwo(inverse) == inverse;
    return isPromised ? inverse : std::numeric_limits<T>::quiet_NaN();
  }
  template <class F> friend Host inDouble(Host a, F f) {
    return f(Host<double>(a.v)).v;
  }
  template <size_t n, class F>
  friend Host inDouble(const std::array<Host, n> &x, F f) {
    std::array<Host<double>, n> wide;
    for (size_t i = 0; i < n; ++i)
      wide[i] = x[i].v;
    return f(wide).v;
  }
};

//===----------------------------------------------------------------------===//
// Reading as a footprint
//===----------------------------------------------------------------------===//

/// Which leaves does an expression read? Bit i is operand i, kResult the
/// result.
struct Footprint {
  using Bool = Footprint;
  static constexpr uint32_t kResult = 1u << 31;
  uint32_t needs = 0;
  Footprint() = default;
  Footprint(double) {}
  static Footprint leaf(uint32_t bits) {
    Footprint f;
    f.needs = bits;
    return f;
  }
  static Footprint both(Footprint a, Footprint b) {
    return leaf(a.needs | b.needs);
  }

  friend Footprint operator+(Footprint a, Footprint b) { return both(a, b); }
  friend Footprint operator-(Footprint a, Footprint b) { return both(a, b); }
  friend Footprint operator*(Footprint a, Footprint b) { return both(a, b); }
  friend Footprint operator/(Footprint a, Footprint b) { return both(a, b); }
  friend Footprint operator-(Footprint a) { return a; }
  friend Footprint operator<(Footprint a, Footprint b) { return both(a, b); }
  friend Footprint operator>(Footprint a, Footprint b) { return both(a, b); }
  friend Footprint operator<=(Footprint a, Footprint b) { return both(a, b); }
  friend Footprint operator>=(Footprint a, Footprint b) { return both(a, b); }
  friend Footprint operator==(Footprint a, Footprint b) { return both(a, b); }
  friend Footprint operator&&(Footprint a, Footprint b) { return both(a, b); }
  friend Footprint operator||(Footprint a, Footprint b) { return both(a, b); }
  friend Footprint operator!(Footprint a) { return a; }
  friend Footprint select(Footprint c, Footprint a, Footprint b) {
    return both(c, both(a, b));
  }
  friend Footprint roundEven(Footprint a) { return a; }
  friend Footprint floor(Footprint a) { return a; }
  friend Footprint ceil(Footprint a) { return a; }
  friend Footprint abs(Footprint a) { return a; }
  friend Footprint floorToPowerOfTwo(Footprint a) { return a; }
  friend Footprint scalePowerOfTwo(Footprint a, int) { return a; }
  friend Footprint inverseOfPowerOfTwo(Footprint a) { return a; }
  template <class F> friend Footprint inDouble(Footprint a, F) { return a; }
  template <size_t n, class F>
  friend Footprint inDouble(const std::array<Footprint, n> &x, F) {
    Footprint all;
    for (Footprint a : x)
      all = both(all, a);
    return all;
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_SCALARALGEBRA_H
