//===- FakeQuantize.h - torch's fake quantizers
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_FAKEQUANTIZE_H
#define QUANT_STE_RULES_FAKEQUANTIZE_H

#include "quant_ste/Rules/Clamp.h"
#include "quant_ste/Rules/IntBounds.h"
#include "quant_ste/Rules/IntRange.h"

namespace mlir::quant_ste::rules {

/// Whether x is multiplied by 1 / scale or divided by it, and whether the zero
/// point is added to the rounded value or before rounding: the systems differ,
/// and at ties so do the integers.
enum class Scaling : uint8_t { reciprocal, divide };
enum class ZeroPointPosition : uint8_t { after, before };

template <class S> S toSteps(S x, S scale, Scaling scaling) {
  if (scaling == Scaling::divide)
    return x / scale;
  S inverse = S(1.0) / scale;
  return x * inverse;
}

/// x as an integer that is not clamped yet; there is no -0.
template <class S>
S toInteger(S x, S scale, S zeroPoint, Scaling scaling,
            ZeroPointPosition position) {
  S t = toSteps(x, scale, scaling);
  if (position == ZeroPointPosition::before) {
    S shifted = t + zeroPoint;
    S whole = roundEven(shifted);
    return whole + S(0.0);
  }
  S whole = roundEven(t);
  return zeroPoint + whole;
}

/// q in [qmin, qmax], and where it was there before; NaN becomes qmin.
template <class S> struct Saturated {
  typename S::Bool inside;
  S q;
};
template <class S> Saturated<S> saturate(S q, S qmin, S qmax) {
  auto atLeast = q >= qmin;
  auto above = q > qmax;
  auto notAbove = !above;
  auto inside = atLeast && notAbove;
  S upper = select(above, qmax, q);
  return {inside, select(atLeast, upper, qmin)};
}

/// torch.fake_quantize_per_tensor_affine and _per_channel_affine.
struct FakeQuantizeRule {
  static constexpr unsigned arity = 3;
  static constexpr std::array<std::string_view, 1> words{"clipped"};
  IntBounds bounds;
  Scaling scaling = Scaling::reciprocal;
  ZeroPointPosition position = ZeroPointPosition::after;

  template <class Op> static FakeQuantizeRule of(Op op) {
    return {IntBounds::of(op), static_cast<Scaling>(op.getScaling()),
            static_cast<ZeroPointPosition>(op.getZeroPointPosition())};
  }
  std::string invalid() const { return bounds.invalid(); }

  template <class S> Saturated<S> quantize(S x, S scale, S zeroPoint) const {
    S q = toInteger(x, scale, zeroPoint, scaling, position);
    return saturate(q, bounds.min<S>(), bounds.max<S>());
  }

  template <class S> S forward(S x, S scale, S zeroPoint) const {
    S q = quantize(x, scale, zeroPoint).q;
    S w = q - zeroPoint;
    return w * scale;
  }
  template <class S>
  std::array<Partial<S>, 3> partials(S x, S scale, S zeroPoint, S) const {
    auto inside = quantize(x, scale, zeroPoint).inside;
    return {mask<S>(inside), zero<S>(), zero<S>()};
  }
  /// The rounding error, the scale and the zero point are held fixed.
  template <class S> S surrogate(S x, S, S, Frozen<S, 3> at) const {
    S whole = toInteger(at[0], at[1], at[2], scaling, position);
    S moved = x - at[0];
    S steps = moved / at[1];
    S q = whole + steps;
    S saturated = saturate(q, bounds.min<S>(), bounds.max<S>()).q;
    S w = saturated - at[2];
    return w * at[1];
  }

  template <class Warn> void lint(KnownConstants known, Warn warn) const {
    lintScales(known[1], warn);
    for (double z : known[2])
      if (!(z >= double(bounds.qmin) && z <= double(bounds.qmax)))
        return warn("expected a zero point in [qmin, qmax], found " +
                    std::to_string(z));
  }
};

/// torch's _fake_quantize_learnable_per_tensor_affine and _per_channel_affine,
/// with one zero point z = clamp(round(zero_point)) in both passes.
///
/// The range is judged, as there, on q = round(x (1/scale) + z):
///                dx   dscale                          dzero_point
///   in range      1   ((q - z) scale - x) (1/scale) g      0
///   clipped       0   (bound - z) g                   -scale g
struct LearnableFakeQuantizeRule {
  static constexpr unsigned arity = 3;
  static constexpr std::array<std::string_view, 2> words{"clipped", "unfused"};
  IntBounds bounds;
  double gradFactor = 1.0;
  bool unfused = false;

  template <class Op> static LearnableFakeQuantizeRule of(Op op) {
    return {IntBounds::of(op), op.getGradFactor().convertToDouble(),
            op.getGrad().getWord() == "unfused"};
  }
  bool hasOwnVjp() const { return unfused; }
  std::string invalid() const {
    std::string wrong = bounds.invalid();
    return wrong.empty() ? invalidFactor("grad_factor", gradFactor) : wrong;
  }

  template <class S> S roundedZeroPoint(S zeroPoint) const {
    S whole = roundEven(zeroPoint);
    return saturate(whole, bounds.min<S>(), bounds.max<S>()).q;
  }

  template <class S> S forward(S x, S scale, S zeroPoint) const {
    S z = roundedZeroPoint(zeroPoint);
    return FakeQuantizeRule{bounds}.forward(x, scale, z);
  }
  /// What both forms of the gradient share.
  template <class S> struct Terms {
    S inverse;
    Saturated<S> quantized;
    S w, error;
  };
  template <class S> Terms<S> terms(S x, S scale, S zeroPoint) const {
    S z = roundedZeroPoint(zeroPoint);
    S inverse = S(1.0) / scale;
    S t = x * inverse;
    S shifted = t + z;
    S whole = roundEven(shifted);
    Saturated<S> quantized = saturate(whole, bounds.min<S>(), bounds.max<S>());
    S w = quantized.q - z;
    S back = w * scale;
    return {inverse, quantized, w, back - x};
  }

  template <class S>
  std::array<Partial<S>, 3> partials(S x, S scale, S zeroPoint, S) const {
    Terms<S> q = terms(x, scale, zeroPoint);
    auto clipped = !q.quantized.inside;
    S errorInSteps = q.error * q.inverse;
    // Where x is clipped, q is the bound.
    S slope = select(q.quantized.inside, errorInSteps, q.w);
    S falling = -scale;
    return {mask<S>(q.quantized.inside), value<S>(slope * S(gradFactor)),
            masked<S>(clipped, falling * S(gradFactor))};
  }

  /// The same with the cotangent first, as torch multiplies; a clipped element
  /// multiplies it by 0.
  template <class S>
  std::array<S, 3> vjp(S x, S scale, S zeroPoint, S, S dy) const {
    Terms<S> q = terms(x, scale, zeroPoint);
    S isInside = select(q.quantized.inside, S(1.0), S(0.0));
    S dx = dy * isInside;
    S ofError = dy * q.error;
    S inSteps = ofError * q.inverse;
    S ofBound = dy * q.w;
    S slope = select(q.quantized.inside, inSteps, ofBound);
    S falling = -dy;
    S scaled = falling * scale;
    S below = scaled * S(gradFactor);
    return {dx, slope * S(gradFactor),
            select(q.quantized.inside, S(0.0), below)};
  }

  /// The rounding errors are held fixed.
  template <class S>
  S surrogate(S x, S scale, S zeroPoint, Frozen<S, 3> at) const {
    S fixedZ = roundedZeroPoint(at[2]);
    S fixedSteps = at[0] / at[1];
    S fixedShifted = fixedSteps + fixedZ;
    S fixedWhole = roundEven(fixedShifted);
    S error = fixedWhole - fixedShifted;
    S scaleChange = scale - at[1];
    S zeroPointChange = zeroPoint - at[2];
    S s = at[1] + scaleChange * S(gradFactor);
    S z = fixedZ + zeroPointChange * S(gradFactor);
    S t = x / s;
    S shifted = t + z;
    S whole = shifted + error;
    S q = saturate(whole, bounds.min<S>(), bounds.max<S>()).q;
    S w = q - z;
    return w * s;
  }

  template <class Warn> void lint(KnownConstants known, Warn warn) const {
    lintScales(known[1], warn);
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_FAKEQUANTIZE_H
