//===- DecoupledIntQuant.h - integer quantizers with two scales
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RULES_DECOUPLEDINTQUANT_H
#define QUANT_STE_RULES_DECOUPLEDINTQUANT_H

#include "quant_ste/Rules/IntQuant.h"

namespace mlir::quant_ste::rules {

/// brevitas.core.quant.int_base.DecoupledIntQuant: IntQuant with a scale and
/// zero point of its own on the way in (ps, pz).
///
/// With t = x/ps, r = round(t + pz), w = clamp(r) - z, y = w*s, q = s/ps and
/// the rounding straight through:
///                dx   dps    dpz   ds   dz   dbits
///   in range      q   -q*t    s     w   -s    0
///   clipped       0     0     0     w   -s    s * d(bound)/dbits
/// grad(ste) lets clipped elements pass and gives the bounds no gradient.
struct DecoupledIntQuantRule {
  static constexpr unsigned arity = 6;
  static constexpr std::array<std::string_view, 3> words{"clipped", "ste",
                                                         "unfused"};
  IntRange range;
  RoundingMode rounding;
  bool ste;
  bool unfused = false;

  template <class Op> static DecoupledIntQuantRule of(Op op) {
    return {{op.getIsSigned(), op.getNarrowRange()},
            static_cast<RoundingMode>(op.getRounding()),
            op.getGrad().getWord() == "ste",
            op.getGrad().getWord() == "unfused"};
  }

  bool hasOwnVjp() const { return unfused; }

  /// What forward and partials share.
  template <class S> struct Terms {
    S power, qmin, qmax, t, shifted, r;
  };
  template <class S> Terms<S> terms(S x, S ps, S pz, S bits) const {
    S power = range.power(bits);
    S qmin = range.min(power, bits);
    S qmax = range.max(power);
    S t = x / ps;
    S shifted = t + pz;
    S r = roundBy(rounding, shifted);
    return {power, qmin, qmax, t, shifted, r};
  }

  template <class S> S forward(S x, S ps, S pz, S s, S z, S bits) const {
    Terms<S> q = terms(x, ps, pz, bits);
    S clamped = tensorClamp(q.r, q.qmin, q.qmax);
    S w = clamped - z;
    return w * s;
  }

  template <class S>
  std::array<Partial<S>, 6> partials(S x, S ps, S pz, S s, S z, S bits,
                                     S) const {
    Terms<S> q = terms(x, ps, pz, bits);
    Clamped<S> c = clampToBounds(q.r, q.qmin, q.qmax);
    S w = c.value - z;
    S ratio = s / ps;
    S pull = ratio * q.t;
    S dps = -pull;
    S dz = -s;
    if (ste)
      return {value<S>(ratio), value<S>(dps), value<S>(s),
              value<S>(w),     value<S>(dz),  zero<S>()};
    auto clipped = c.isClipped();
    auto inside = !clipped;
    S slope = range.slope(q.power);
    S step = s * slope;
    // The lower bound is constant for unsigned ranges and falls for signed
    // ones.
    S fall = range.isSigned ? -step : S(0.0);
    S dbits = select(c.below, fall, step);
    return {masked<S>(inside, ratio),
            masked<S>(inside, dps),
            masked<S>(inside, s),
            value<S>(w),
            value<S>(dz),
            masked<S>(clipped, dbits)};
  }

  /// The same step by step, as automatic differentiation of the library's graph
  /// computes it: dx = (dy s) / ps, and dps of an infinite x is NaN.
  template <class S>
  std::array<S, 6> vjp(S x, S ps, S pz, S s, S z, S bits, S, S dy) const {
    Terms<S> q = terms(x, ps, pz, bits);
    Clamped<S> c = clampToBounds(q.r, q.qmin, q.qmax);
    S w = c.value - z;
    S dw = dy * s;
    ClampGradients<S> back = throughClamp(range, q.power, c, dw);
    S dr = back.value;
    S dx = dr / ps;
    S ratio = q.t / ps;
    S falling = -dr;
    S dps = falling * ratio;
    S ds = dy * w;
    S dz = -dw;
    return {dx, dps, dr, ds, dz, back.bits};
  }

  /// The rounding error r - (t + pz) is held fixed.
  template <class S>
  S surrogate(S x, S ps, S pz, S s, S z, S bits, Frozen<S, 6> at) const {
    Terms<S> fixed = terms(at[0], at[1], at[2], at[5]);
    S error = fixed.r - fixed.shifted;
    Terms<S> q = terms(x, ps, pz, bits);
    S r = q.shifted + error;
    S clamped = tensorClamp(r, q.qmin, q.qmax);
    if (ste) {
      S fixedClamped = tensorClamp(fixed.r, fixed.qmin, fixed.qmax);
      S clipping = fixedClamped - fixed.r;
      clamped = r + clipping;
    }
    S w = clamped - z;
    return w * s;
  }

  template <class Warn> void lint(KnownConstants known, Warn warn) const {
    lintScales(known[1], warn);
    lintScales(known[3], warn);
    lintBitWidths(known[5], warn);
  }
};

/// brevitas.core.quant.int.TruncIntQuant: an integer of in bits is shifted to
/// out bits. With u = 2^(in - out), r = roundeven(x/s + z), v = r/u,
/// c = clamp(R(v)), the result is y = (c - z/u) * (s*u). Roundings straight
/// through:
///                dx   ds         dz    din                dout
///   in range      1   k - x/s     0    ln2*s*u * (c - v)  -din
///   clipped       0   k          -s    ln2*s*u * c        s*u * d(bound)/dout
///                                                           - din
/// where k = (c - z/u) * u.
struct TruncIntQuantRule {
  static constexpr unsigned arity = 5;
  static constexpr std::array<std::string_view, 2> words{"clipped", "unfused"};
  IntRange range;
  RoundingMode rounding;
  bool unfused = false;

  template <class Op> static TruncIntQuantRule of(Op op) {
    return {{op.getIsSigned(), op.getNarrowRange()},
            static_cast<RoundingMode>(op.getRounding()),
            op.getGrad().getWord() == "unfused"};
  }

  bool hasOwnVjp() const { return unfused; }

  /// What forward and partials share.
  template <class S> struct Terms {
    S power, qmin, qmax, t, shifted, r, unit, v, r2;
  };
  template <class S> Terms<S> terms(S x, S s, S z, S in, S out) const {
    S power = range.power(out);
    S qmin = range.min(power, out);
    S qmax = range.max(power);
    S t = x / s;
    S shifted = t + z;
    S r = roundEven(shifted);
    S dropped = in - out;
    S unit = exp2(dropped);
    S v = r / unit;
    S r2 = roundBy(rounding, v);
    return {power, qmin, qmax, t, shifted, r, unit, v, r2};
  }

  template <class S> S forward(S x, S s, S z, S in, S out) const {
    Terms<S> q = terms(x, s, z, in, out);
    S clamped = tensorClamp(q.r2, q.qmin, q.qmax);
    return dequantize(clamped, s, z, q.unit);
  }

  template <class S>
  std::array<Partial<S>, 5> partials(S x, S s, S z, S in, S out, S) const {
    Terms<S> q = terms(x, s, z, in, out);
    Clamped<S> c = clampToBounds(q.r2, q.qmin, q.qmax);
    auto clipped = c.isClipped();
    auto inside = !clipped;
    S outZero = z / q.unit;
    S w = c.value - outZero;
    S k = w * q.unit;
    S error = k - q.t;
    S ds = select(clipped, k, error);
    S dz = -s;
    S scale = s * q.unit;
    S lost = c.value - q.v;
    S kept = select(clipped, c.value, lost);
    S growth = scale * S(kLn2);
    S din = growth * kept;
    S slope = range.slope(q.power);
    S step = scale * slope;
    S fall = range.isSigned ? -step : S(0.0);
    S bound = select(c.below, fall, step);
    S moved = select(clipped, bound, S(0.0));
    S dout = moved - din;
    return {mask<S>(inside), value<S>(ds), masked<S>(clipped, dz),
            value<S>(din), value<S>(dout)};
  }

  /// The same step by step, as automatic differentiation of the library's graph
  /// computes it.
  template <class S>
  std::array<S, 5> vjp(S x, S s, S z, S in, S out, S, S dy) const {
    Terms<S> q = terms(x, s, z, in, out);
    Clamped<S> c = clampToBounds(q.r2, q.qmin, q.qmax);
    S outScale = s * q.unit;
    S outZero = z / q.unit;
    S w = c.value - outZero;
    S dw = dy * outScale;
    ClampGradients<S> back = throughClamp(range, q.power, c, dw);
    S dv = back.value;
    S dr = dv / q.unit;
    S dx = dr / s;
    S ofOutScale = dy * w;
    S direct = ofOutScale * q.unit;
    S ratio = q.t / s;
    S falling = -dr;
    S inner = falling * ratio;
    S ds = direct + inner;
    S ofOutZero = -dw;
    S shifted = ofOutZero / q.unit;
    S dz = shifted + dr;
    // The unit divides z and r and multiplies s.
    S zeroPerUnit = outZero / q.unit;
    S ofZero = dw * zeroPerUnit;
    S ofScale = ofOutScale * s;
    S valuePerUnit = q.v / q.unit;
    S minusDv = -dv;
    S ofValue = minusDv * valuePerUnit;
    S ofBoth = ofZero + ofScale;
    S ofUnit = ofBoth + ofValue;
    S growth = q.unit * S(kLn2);
    S din = ofUnit * growth;
    S dout = back.bits - din;
    return {dx, ds, dz, din, dout};
  }

  /// Both rounding errors are held fixed.
  template <class S>
  S surrogate(S x, S s, S z, S in, S out, Frozen<S, 5> at) const {
    Terms<S> fixed = terms(at[0], at[1], at[2], at[3], at[4]);
    S error = fixed.r - fixed.shifted;
    S error2 = fixed.r2 - fixed.v;
    Terms<S> q = terms(x, s, z, in, out);
    S r = q.shifted + error;
    S v = r / q.unit;
    S r2 = v + error2;
    S clamped = tensorClamp(r2, q.qmin, q.qmax);
    return dequantize(clamped, s, z, q.unit);
  }

  template <class Warn> void lint(KnownConstants known, Warn warn) const {
    lintScales(known[1], warn);
    lintBitWidths(known[3], warn);
    lintBitWidths(known[4], warn);
  }

private:
  template <class S> static S dequantize(S clamped, S s, S z, S unit) {
    S outZero = z / unit;
    S w = clamped - outZero;
    S scale = s * unit;
    return w * scale;
  }
};

} // namespace mlir::quant_ste::rules

#endif // QUANT_STE_RULES_DECOUPLEDINTQUANT_H
