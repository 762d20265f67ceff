//===- BrevitasOps.td - Brevitas' core quantizers -*- tablegen -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_DIALECT_QUANTSTE_IR_BREVITASOPS_TD
#define QUANT_STE_DIALECT_QUANTSTE_IR_BREVITASOPS_TD

//===----------------------------------------------------------------------===//
// One and two bits
//===----------------------------------------------------------------------===//

def QuantSTE_BinaryQuantOp
    : QuantSTE_RuleOp<"binary_quant", "BinaryQuantRule", ["scale"]> {
  let summary = "sign times a scale";
  let description = [{
    `y = b * scale` with b = `binary_sign` of x: +1 for both zeros, -1 for NaN.
    `grad(ste)`: `dx = dy * scale`, without a mask; `dscale = SUM dy * b`.
    Source: brevitas.core.quant.binary.BinaryQuant.

    ```mlir
    %y = quant_ste.binary_quant %x, %s grad(ste) : tensor<?xf32>, tensor<f32>
    ```
  }];
}

def QuantSTE_ClampedBinaryQuantOp
    : QuantSTE_RuleOp<"clamped_binary_quant", "ClampedBinaryQuantRule",
                      ["scale"]> {
  let summary = "sign times a scale, for an x clamped to that scale";
  let description = [{
    `y = b * scale` with b = `binary_sign` of x clamped to [-scale, scale] as
    `tensor_clamp` does. NaN gives -scale.
    `grad(clipped)`: `dx = dy * scale` on `!(x > scale || x < -scale)`;
    `dscale = SUM dy * b` there, `SUM dy * (b + scale)` above and
    `SUM dy * (b - scale)` below, as the clamp's bound counts as well.
    Source: brevitas.core.quant.binary.ClampedBinaryQuant, which adds dscale's
    two parts after summing; `grad(unfused)` adds them for each element, so that
    both gradients have the library's bits.

    ```mlir
    %y = quant_ste.clamped_binary_quant %x, %s grad(clipped)
      : tensor<?xf32>, tensor<f32>
    ```
  }];
}

def QuantSTE_TernaryQuantOp
    : QuantSTE_RuleOp<"ternary_quant", "TernaryQuantRule", ["scale"],
                      (ins F64Attr:$threshold),
                      "`threshold` `(` $threshold `)`"> {
  let summary = "-scale, 0 or +scale";
  let description = [{
    `y = (m * t) * scale` with `m = abs(x) > threshold * scale ? 1 : 0` and t =
    `ternary_sign` of x; NaN gives 0. threshold is finite and not below 0.
    `grad(ste)`: where m is 1, `dx = dy * scale` and `dscale = SUM dy * t`;
    elsewhere 0. m is constant.
    Source: brevitas.core.quant.ternary.TernaryQuant.

    ```mlir
    %y = quant_ste.ternary_quant %x, %s threshold(0.5) grad(ste)
      : tensor<?xf32>, tensor<f32>
    ```
  }];
}

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

def QuantSTE_DecoupledIntQuantOp
    : QuantSTE_RuleOp<"decoupled_int_quant", "DecoupledIntQuantRule",
    ["pre_scale", "pre_zero_point", "scale", "zero_point", "bit_width"],
    (ins UnitAttr:$is_signed, UnitAttr:$narrow_range,
         DefaultValuedAttr<QuantSTE_RoundingAttr,
                           "::mlir::quant_ste::Rounding::round">:$rounding),
    [{custom<Signedness>($is_signed) (`narrow_range` $narrow_range^)?
      custom<Rounding>($rounding)}]> {
  let summary = "int_quant with one scale on the way in, another on the way out";
  let description = [{
    `t = x / pre_scale; r = R(t + pre_zero_point); c = clamp(r, qmin, qmax)`
    `y = (c - zero_point) * scale`, otherwise as `int_quant`.

    `grad(clipped)`, with `w = c - zero_point` and `q = scale / pre_scale`:
    in range `dx = dy * q`, `dpre_scale = SUM dy * -(q * t)`,
    `dpre_zero_point = SUM dy * scale`; clipped, 0 for these three and
    `dbit_width = SUM dy * scale * d(bound)/dbit_width`. Everywhere
    `dscale = SUM dy * w`, `dzero_point = SUM dy * -scale`.
    `grad(ste)`: clipped elements count as in range, bit_width gets no gradient.
    Source: brevitas.core.quant.int_base.DecoupledIntQuant, which has
    `(dy * scale) / pre_scale` for `dy * q`; `grad(unfused)` is the library's
    rule bit for bit, NaN for dpre_scale of an infinite x.

    ```mlir
    %q = quant_ste.decoupled_int_quant %w, %ps, %pz, %s axes([0]), %z, %b
      signed rounding(round) grad(clipped)
      : tensor<64x128xf32>, tensor<f32>, tensor<f32>, tensor<64xf32>,
        tensor<f32>, tensor<f32>
    ```
  }];
}

def QuantSTE_TruncIntQuantOp
    : QuantSTE_RuleOp<"trunc_int_quant", "TruncIntQuantRule",
    ["scale", "zero_point", "input_bit_width", "output_bit_width"],
    (ins UnitAttr:$is_signed, UnitAttr:$narrow_range,
         DefaultValuedAttr<QuantSTE_RoundingAttr,
                           "::mlir::quant_ste::Rounding::round">:$rounding),
    [{custom<Signedness>($is_signed) (`narrow_range` $narrow_range^)?
      custom<Rounding>($rounding)}]> {
  let summary = "drops low bits of a quantized integer";
  let description = [{
    With `u = 2^(input_bit_width - output_bit_width)`, `t = x / scale`,
    `v = roundeven(t + zero_point) / u` and c = R(v) clamped to the integers of
    output_bit_width: `y = (c - zero_point / u) * (scale * u)`. The zero point
    `zero_point / u` need not be whole.

    `grad(clipped)`, with `k = (c - zero_point / u) * u`:
    in range `dx = dy`, `dscale = SUM dy * (k - t)`, `dzero_point = 0`,
    `dinput_bit_width = SUM dy * ln2 * scale * u * (c - v)`;
    clipped `dx = 0`, `dscale = SUM dy * k`, `dzero_point = SUM -dy * scale`,
    `dinput_bit_width = SUM dy * ln2 * scale * u * c`.
    output_bit_width gets the negative of dinput_bit_width, and where clipped
    `SUM dy * scale * u * d(bound)/doutput_bit_width` as well.
    Source: brevitas.core.quant.int.TruncIntQuant, whose gradients are these
    before cancelling factors; `grad(unfused)` computes them so.

    ```mlir
    %q = quant_ste.trunc_int_quant %x, %s, %z, %in, %out signed rounding(floor)
      grad(clipped)
      : tensor<?xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>
    ```
  }];
}

//===----------------------------------------------------------------------===//
// Minifloats
//===----------------------------------------------------------------------===//

def QuantSTE_FloatOverflow
    : I32EnumAttr<"FloatOverflow", "what lies above a format's largest number", [
    I32EnumAttrCase<"none", 0>, I32EnumAttrCase<"inf", 1>,
    I32EnumAttrCase<"nan", 2>]> {
  let cppNamespace = "::mlir::quant_ste";
  let genSpecializedAttr = 0;
}

def QuantSTE_FloatFormatAttr
    : AttrDef<QuantSTE_Dialect, "FloatFormat"> {
  let mnemonic = "float_format";
  let summary = "minifloat format";
  let description = [{
    A format by name, or by its exponent bits, mantissa bits, bias, largest
    number and what lies above it (`inf`, `nan` or, left out, nothing). One that
    has a name is printed by it.

    | name | largest | above |
    |---|---|---|
    | `e4m3`, `e5m2` (Brevitas: every code is a number) | 480, 114688 | |
    | `e4m3_ocp`, `e5m2_ocp` (arXiv:2209.05433) | 448, 57344 | NaN, inf |
    | `e4m3_fnuz`, `e5m2_fnuz` (arXiv:2206.02915) | 240, 57344 | NaN |
    | `e3m2`, `e2m3`, `e2m1` (OCP MX 1.0) | 28, 7.5, 6 | |

    ```mlir
    #quant_ste.float_format<e4m3_ocp>
    #quant_ste.float_format<4, 3, 7, 240.0, inf>
    ```
  }];
  let parameters = (ins "int64_t":$exponent, "int64_t":$mantissa,
                        "int64_t":$bias, "::mlir::FloatAttr":$max,
                        "::mlir::quant_ste::FloatOverflow":$overflow);
  let hasCustomAssemblyFormat = 1;
}

def QuantSTE_Exponent : QuantSTE_GradientWord<"Exponent", "exponent",
    "straight-through inside the range with the unit in the last place moving "
    "along: the cotangent times quantized / original; zero where clipped">;

def QuantSTE_FloatQuantOp
    : QuantSTE_RuleOp<"float_quant", "FloatQuantRule", ["scale"],
    (ins QuantSTE_FloatFormatAttr:$format, UnitAttr:$is_signed,
         UnitAttr:$saturating),
    [{`format` `(` custom<FloatFormat>($format) `)`
      custom<Signedness>($is_signed) (`saturating` $saturating^)?}]> {
  let summary = "minifloat fake quantizer";
  let description = [{
    `t = x / scale`; v is t rounded to the nearest number of the format, ties to
    even, as if it had no largest one; c is v clamped to [-max, max] (unsigned:
    [0, max]) as `tensor_clamp` does; `y = c * scale`. The exponent of t is
    exact. `saturating`: inf gives max. Without it, v above max gives what the
    format has there, inf or NaN with v's sign. NaN stays NaN, -0 stays -0 (in
    fnuz formats too).

    `grad(clipped)`: in range `dx = dy`, `dscale = SUM dy * (c - t)`;
    clipped `dx = 0`, `dscale = SUM dy * c`.
    `grad(exponent)`: the same, but for normal t in range `dx = dy * v / t` and
    `dscale = 0`: the gradient that Brevitas computes, where 2^floor(log2|t|)
    follows t and only the floor is straight through.
    Source: brevitas.core.quant.float.FloatQuant, before cancelling factors
    (Brevitas gives NaN for an infinite x, saturating or not).

    ```mlir
    %q = quant_ste.float_quant %w, %s axes([0]) format(e4m3_ocp) signed
      saturating grad(clipped) : tensor<64x128xf32>, tensor<64xf32>
    ```
  }];
}

//===----------------------------------------------------------------------===//
// What a scale may be
//===----------------------------------------------------------------------===//

def QuantSTE_ScalarSignedClampMinOp
    : QuantSTE_RuleOp<"scalar_signed_clamp_min", "ScalarSignedClampMinRule", [],
                      (ins F64Attr:$min), "`min` `(` $min `)`"> {
  let summary = "clamp the magnitude to a lower bound, straight through";
  let description = [{
    `m = abs(x) < min ? min : abs(x)`, `y = binary_sign(x) * m`: both zeros give
    +min, NaN stays NaN; a NaN bound makes every result NaN. `dx = dy`.
    Source: brevitas.core.function_wrapper.ScalarSignedClampMinSte.

    ```mlir
    %y = quant_ste.scalar_signed_clamp_min %s min(1.0e-6) grad(ste) : tensor<?xf32>
    ```
  }];
}

def QuantSTE_PowerOfTwoOp
    : QuantSTE_RuleOp<"power_of_two", "PowerOfTwoRule", [],
    (ins UnitAttr:$is_log2,
         DefaultValuedAttr<QuantSTE_RoundingAttr,
                           "::mlir::quant_ste::Rounding::round">:$rounding),
    "(`of_log2` $is_log2^)? custom<Rounding>($rounding)"> {
  let summary = "a power of two near x";
  let description = [{
    `y = 2^R(log2(x))`, where R is `rounding(round | floor | ceil |
    round_to_zero | dpu)`. The exponent is decided exactly, also beside a power
    of two, where a rounded log2 is not. 0 for both zeros, inf for inf, NaN
    below zero. `grad(ste)`: `dx = dy * (y / x)`, R being straight through.

    `of_log2`: x is a logarithm already, as learned in the log domain:
    `y = 2^R(x)`, `dx = dy * (y * ln2)`.
    Source: brevitas.core.restrict_val.PowerOfTwoRestrictValue, of_log2, and
    with the LogTwo that it puts before where a statistic is restricted.

    ```mlir
    %s = quant_ste.power_of_two %absmax rounding(ceil) grad(ste) : tensor<?xf32>
    %t = quant_ste.power_of_two %log2 of_log2 rounding(ceil) grad(ste) : f32
    ```
  }];
}

def QuantSTE_MXScaleOp
    : QuantSTE_RuleOp<"mx_scale", "MXScaleRule", [],
    (ins OptionalAttr<QuantSTE_FloatFormatAttr>:$element, UnitAttr:$brevitas),
    "`element` `(` custom<MXElement>($element) `)` (`brevitas` $brevitas^)?",
    "amax"> {
  let summary = "the scale that a group of an MX format shares";
  let description = [{
    `y = 2^floor(log2(amax)) / 2^emax`, within the range of e8m0,
    [2^-127, 2^127]; amax is the largest magnitude of a group, emax the exponent
    of the largest element: 8 for `element(e4m3_ocp)`, 15 for `e5m2_ocp`, 4 for
    `e3m2`, 2 for `e2m3` and `e2m1`, 6 for `int8` (whose scale is that of whole
    numbers, for `int_quant`). The exponent is exact; zeros and magnitudes too
    small for e8m0 give 2^-127, NaN and negative numbers NaN.
    `grad(ste)`, the floor straight through: `damax = dy * (y / amax)`, and 0
    where e8m0 clipped it. Detach amax for a scale without a gradient.

    `brevitas`: amax and the power of two are 1e-10 at least, straight through,
    and not clipped further; emax of `int8` is 7, so that the largest numbers of
    a group are clipped.
    Source: OCP Microscaling Formats 1.0; brevitas.quant.experimental.mx_quant_ocp.

    ```mlir
    %s = quant_ste.mx_scale %amax element(e2m1) grad(ste) : tensor<64x4xf32>
    %q = quant_ste.float_quant %w, %s axes([0, 1]) format(e2m1) signed saturating
      grad(clipped) : tensor<64x4x32xf32>, tensor<64x4xf32>
    ```
  }];
}

#endif // QUANT_STE_DIALECT_QUANTSTE_IR_BREVITASOPS_TD
