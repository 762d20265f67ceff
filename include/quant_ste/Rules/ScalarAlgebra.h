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
// ceil, abs, exp2. Comparisons give S::Bool with ! && ||. There is no `if` on
// an S. Each operator is one IEEE operation; nothing is contracted.
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

#include <array>
#include <cmath>
#include <cstdint>
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

/// The operands at which a surrogate is differentiated. A surrogate may read
/// them as constants, for example to hold a rounding error fixed.
template <class S, unsigned N> using Frozen = std::array<S, N>;

/// Constants known for each operand (empty: unknown), for `lint`.
using KnownConstants = std::span<const std::vector<double>>;

/// ln 2, rounded to the compute type where it is used.
inline constexpr double kLn2 = 0.6931471805599453094;

//===----------------------------------------------------------------------===//
// exp2: one polynomial for every reading and target
//===----------------------------------------------------------------------===//

/// 2^x on a double-precision scalar D that has powerOfTwo (2^n for whole
/// |n| <= 1023). Exact for whole x; elsewhere within 2 ULP of the true value.
/// f32 and narrower types are computed here and rounded once.
template <class D> D exp2InDouble(D x) {
  // Beyond +-1200 the result is 0 or inf; NaN takes the branch of 0 and comes
  // back through f.
  D low = select(x < D(-1200.0), D(-1200.0), x);
  D clamped = select(low > D(1200.0), D(1200.0), low);
  auto isNumber = clamped == clamped;
  D number = select(isNumber, clamped, D(0.0));
  D n = roundEven(number);
  D f = clamped - n; // exact: |f| <= 1/2
  // Taylor series of 2^f: the first omitted term is below 2^-57.
  constexpr double c[] = {1.0,
                          6.93147180559945286e-01,
                          2.40226506959100722e-01,
                          5.55041086648215762e-02,
                          9.61812910762847688e-03,
                          1.33335581464284411e-03,
                          1.54035303933816061e-04,
                          1.52527338040598393e-05,
                          1.32154867901443053e-06,
                          1.01780860092396960e-07,
                          7.05491162080112087e-09,
                          4.44553827187081007e-10,
                          2.56784359934881940e-11,
                          1.36914888539041280e-12};
  constexpr int degree = sizeof(c) / sizeof(c[0]) - 1;
  D p = f * D(c[degree]);
  for (int i = degree - 1; i > 0; --i) {
    D sum = p + D(c[i]);
    p = sum * f;
  }
  D mantissa = p + D(c[0]);
  // 2^n in two factors, so that neither overflows on its own.
  D halfway = n * D(0.5);
  D half = floor(halfway);
  D rest = n - half;
  D first = powerOfTwo(half);
  D second = powerOfTwo(rest);
  D scaled = mantissa * first;
  return scaled * second;
}

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
  friend Host exp2(Host a) { return exp2InDouble(Host<double>(a.v)).v; }
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
  friend Footprint exp2(Footprint a) { return a; }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_SCALARALGEBRA_H
