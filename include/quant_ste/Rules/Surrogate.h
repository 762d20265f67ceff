//===- Surrogate.h - gradients of functions of one value
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_SURROGATE_H
#define QUANT_STE_RULES_SURROGATE_H

#include "quant_ste/Rules/ScalarAlgebra.h"

namespace mlir::quant_ste::rules {

/// The gradient that stands in for a staircase's own: a word, chosen apart from
/// the forward function. The formulas are with the words (QuantSTEBase.td).
struct Surrogate {
  enum class Kind : uint8_t {
    ste,
    window,
    open_window,
    approx_sign,
    swish,
    tanh,
    sigmoid,
    ewgs
  };
  Kind kind = Kind::ste;
  double a = 0, b = 0; ///< the word's numbers

  /// What a sign may take, and what a rounding may.
  static constexpr std::array<std::string_view, 7> forSigns{
      "ste",   "window", "open_window", "approx_sign",
      "swish", "tanh",   "sigmoid"};
  static constexpr std::array<std::string_view, 4> forRoundings{
      "ste", "window", "open_window", "ewgs"};

  template <class Op> static Surrogate of(Op op) {
    std::string_view word = op.getGrad().getWord();
    if (word == "window")
      return {Kind::window, op.getGradNumber("low"), op.getGradNumber("high")};
    if (word == "open_window")
      return {Kind::open_window, op.getGradNumber("low"),
              op.getGradNumber("high")};
    if (word == "approx_sign")
      return {Kind::approx_sign};
    if (word == "swish")
      return {Kind::swish, op.getGradNumber("beta")};
    if (word == "tanh")
      return {Kind::tanh, op.getGradNumber("k")};
    if (word == "sigmoid")
      return {Kind::sigmoid, op.getGradNumber("k")};
    if (word == "ewgs")
      return {Kind::ewgs, op.getGradNumber("delta")};
    return {};
  }

  /// dy/dx at x, where the result is y.
  template <class S> Partial<S> partial(S x, S y) const {
    switch (kind) {
    case Kind::ste:
      return one<S>();
    case Kind::window: {
      auto atLeast = x >= S(a);
      auto atMost = x <= S(b);
      return mask<S>(atLeast && atMost);
    }
    case Kind::open_window: {
      auto above = x > S(a);
      auto below = x < S(b);
      return mask<S>(above && below);
    }
    case Kind::approx_sign: {
      S magnitude = abs(x);
      auto isNear = magnitude <= S(1.0);
      S twice = S(2.0) * magnitude;
      S slope = S(2.0) - twice;
      return masked<S>(isNear, slope);
    }
    case Kind::swish: {
      S bx = S(a) * x;
      S half = bx / S(2.0);
      S bend = tanh(half);
      S product = bx * bend;
      S rest = S(2.0) - product;
      S numerator = S(a) * rest;
      S growth = cosh(bx);
      S denominator = S(1.0) + growth;
      return value<S>(numerator / denominator);
    }
    case Kind::tanh:
      return value<S>(stepSlope(x, a, a));
    case Kind::sigmoid:
      return value<S>(stepSlope(x, a / 2, a / 2));
    case Kind::ewgs: {
      S error = x - y;
      return bySign<S>(S(a) * error);
    }
    }
    return one<S>();
  }

  /// A function with this derivative, up to a constant, where the result is y0;
  /// for ewgs, that for a positive cotangent.
  template <class S> S integral(S x, S y0) const {
    switch (kind) {
    case Kind::ste:
      return x;
    case Kind::ewgs: {
      S middle = S(0.5) * x;
      S error = middle - y0;
      S scaled = S(a) * error;
      return x + x * scaled;
    }
    case Kind::window:
    case Kind::open_window: {
      auto below = x < S(a);
      S raised = select(below, S(a), x);
      auto above = raised > S(b);
      return select(above, S(b), raised);
    }
    case Kind::approx_sign: {
      S magnitude = abs(x);
      auto isFar = magnitude > S(1.0);
      S near = select(isFar, S(1.0), magnitude);
      S square = near * near;
      S twice = S(2.0) * near;
      S rise = twice - square;
      auto isNegative = x < S(0.0);
      return select(isNegative, -rise, rise);
    }
    case Kind::swish: {
      // 2 s (1 + b x (1 - s)) - 1 with s = sigmoid(b x).
      S bx = S(a) * x;
      S half = bx * S(0.5);
      S bend = tanh(half);
      S s = S(0.5) + S(0.5) * bend;
      S other = S(1.0) - s;
      S inner = S(1.0) + bx * other;
      return S(2.0) * s * inner;
    }
    case Kind::tanh: {
      S kx = S(a) * x;
      return tanh(kx);
    }
    case Kind::sigmoid: {
      S kx = S(a / 2) * x;
      return tanh(kx);
    }
    }
    return x;
  }

private:
  /// factor * (1 - tanh(k x)^2)
  template <class S> static S stepSlope(S x, double k, double factor) {
    S kx = S(k) * x;
    S t = tanh(kx);
    S square = t * t;
    S rest = S(1.0) - square;
    return S(factor) * rest;
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_SURROGATE_H
