//===- QuantSTEOps.td - one record per op -*- tablegen -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_DIALECT_QUANTSTE_IR_QUANTSTEOPS_TD
#define QUANT_STE_DIALECT_QUANTSTE_IR_QUANTSTEOPS_TD

include "quant_ste/Dialect/QuantSTE/IR/QuantSTEBase.td"
include "quant_ste/Dialect/QuantSTE/IR/StatisticsOps.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

//===----------------------------------------------------------------------===//
// Rounding
//===----------------------------------------------------------------------===//

def QuantSTE_RoundOp : QuantSTE_RuleOp<"round", "RoundRule"> {
  let summary = "round half to even";
  let description = [{
    `y = roundeven(x)`. -0, infinities and NaN stay as they are. `grad(ste)` is
    brevitas.function.ops_ste.round_ste; `grad(ewgs(delta))` the discretizer of
    Lee et al. 2021 on x scaled to whole numbers: its `x - x_q` is in units of
    one step there, so delta is the paper's divided by the number of steps.

    ```mlir
    %y = quant_ste.round %x grad(ste) : tensor<?xf32>
    ```
  }];
  let hasCanonicalizer = 1;
}

def QuantSTE_FloorOp : QuantSTE_RuleOp<"floor", "FloorRule"> {
  let summary = "largest integer not above x";
  let description = [{
    `y = floor(x)`, `dx = dy`. Source: brevitas.function.ops_ste.floor_ste.

    ```mlir
    %y = quant_ste.floor %x grad(ste) : tensor<?xf32>
    ```
  }];
  let hasCanonicalizer = 1;
}

def QuantSTE_CeilOp : QuantSTE_RuleOp<"ceil", "CeilRule"> {
  let summary = "smallest integer not below x";
  let description = [{
    `y = ceil(x)`, `dx = dy`. Source: brevitas.function.ops_ste.ceil_ste.

    ```mlir
    %y = quant_ste.ceil %x grad(ste) : tensor<?xf32>
    ```
  }];
  let hasCanonicalizer = 1;
}

def QuantSTE_RoundToZeroOp
    : QuantSTE_RuleOp<"round_to_zero", "RoundToZeroRule"> {
  let summary = "round toward zero";
  let description = [{
    `y = sgn0(x) * floor(abs(x))` with `sgn0(x) = (x > 0) - (x < 0)`, `dx = dy`.
    Unlike trunc, -0 gives +0 and -0.5 gives -0, so applying it twice is not
    the same as once. Source: brevitas.function.ops_ste.round_to_zero_ste.

    ```mlir
    %y = quant_ste.round_to_zero %x grad(ste) : tensor<?xf32>
    ```
  }];
}

def QuantSTE_DpuRoundOp : QuantSTE_RuleOp<"dpu_round", "DpuRoundRule"> {
  let summary = "round half to even, negative ties upward";
  let description = [{
    `y = ceil(x)` where `x < 0` and `x - floor(x) == 0.5`, `roundeven(x)`
    elsewhere; `dx = dy`. -1.5 gives -1, 1.5 gives 2, 2.5 gives 2.
    Source: brevitas.function.ops_ste.dpu_round_ste.

    ```mlir
    %y = quant_ste.dpu_round %x grad(ste) : tensor<?xf32>
    ```
  }];
  let hasCanonicalizer = 1;
}

//===----------------------------------------------------------------------===//
// Signs
//===----------------------------------------------------------------------===//

def QuantSTE_BinarySignOp : QuantSTE_RuleOp<"binary_sign", "BinarySignRule",
    [], (ins UnitAttr:$nan_positive), "(`nan_positive` $nan_positive^)?"> {
  let summary = "+1 from zero up, -1 below";
  let description = [{
    `y = x >= 0 ? 1 : -1`; both zeros give +1, NaN gives -1, and +1 with
    `nan_positive`. The gradient is a word of its own:

    | spelling | source |
    |---|---|
    | `grad(ste)` | brevitas.function.ops_ste.binary_sign_ste |
    | `nan_positive grad(ste)` | bitorch Sign |
    | `nan_positive grad(approx_sign)` | bitorch ApproxSign; Bi-Real Net |
    | `nan_positive grad(swish(5.0))` | bitorch SwishSign; BNN+ |
    | `grad(window(-1.0, 1.0))` | Courbariaux et al. 2016 |
    | `grad(tanh(k))`, `grad(sigmoid(k))` | soft steps |

    Brevitas' documentation once said 0 below zero; its code gives -1, and so
    does this op.

    ```mlir
    %y = quant_ste.binary_sign %x grad(ste) : tensor<?xf32>
    ```
  }];
}

def QuantSTE_TernarySignOp
    : QuantSTE_RuleOp<"ternary_sign", "TernarySignRule"> {
  let summary = "+1, 0 or -1";
  let description = [{
    `y = (x > 0) - (x < 0)`. Both zeros and NaN give +0. Source:
    brevitas.function.ops_ste.ternary_sign_ste, which has `grad(ste)`.

    ```mlir
    %y = quant_ste.ternary_sign %x grad(ste) : tensor<?xf32>
    ```
  }];
}

def QuantSTE_HeavisideOp : QuantSTE_RuleOp<"heaviside", "HeavisideRule"> {
  let summary = "+1 above zero, -1 from zero down";
  let description = [{
    `y = x > 0 ? 1 : -1`: unlike binary_sign, both zeros give -1; so does NaN.
    Source: bitorch SteHeaviside, which has `grad(window(-1.0, 1.0))`.

    ```mlir
    %y = quant_ste.heaviside %x grad(window(-1.0, 1.0)) : tensor<?xf32>
    ```
  }];
}

def QuantSTE_ProgressiveSignOp
    : QuantSTE_RuleOp<"progressive_sign", "ProgressiveSignRule", [],
                      (ins F64Attr:$temperature),
                      "`temperature` `(` $temperature `)`"> {
  let summary = "a ramp that steepens into a sign";
  let description = [{
    `y = clamp(x / max(1 - temperature, 1e-7), -1, 1)`, temperature in [0, 1];
    NaN stays NaN. Source: bitorch ProgressiveSign in training, which has
    `grad(ste)`, without the slope of the ramp; in evaluation it is binary_sign.

    ```mlir
    %y = quant_ste.progressive_sign %x temperature(0.5) grad(ste) : tensor<?xf32>
    ```
  }];
}

def QuantSTE_AbsBinarySignGradOp
    : QuantSTE_RuleOp<"abs_binary_sign_grad", "AbsBinarySignGradRule"> {
  let summary = "absolute value with a gradient at zero";
  let description = [{
    `y = abs(x)`, `dx = binary_sign(x) * dy`: +dy at both zeros, -dy at NaN.
    Source: brevitas.function.ops_ste.abs_binary_sign_grad.

    ```mlir
    %y = quant_ste.abs_binary_sign_grad %x grad(binary_sign) : tensor<?xf32>
    ```
  }];
}

//===----------------------------------------------------------------------===//
// Clamps
//===----------------------------------------------------------------------===//

def QuantSTE_ScalarClampOp : QuantSTE_RuleOp<"scalar_clamp", "ScalarClampRule",
    [], (ins F64Attr:$min, F64Attr:$max),
    "`min` `(` $min `)` `max` `(` $max `)`"> {
  let summary = "clamp to constant bounds, straight through";
  let description = [{
    `t = x < min ? min : x; y = t > max ? max : t`: the upper bound wins where
    the bounds are reversed; a NaN bound makes every result NaN; `x == bound`
    keeps x. `dx = dy`, for clipped elements too.
    Source: brevitas.function.ops_ste.scalar_clamp_ste.

    ```mlir
    %y = quant_ste.scalar_clamp %x min(-1.0) max(1.0) grad(ste) : tensor<?xf32>
    ```
  }];
}

def QuantSTE_ScalarClampMinOp
    : QuantSTE_RuleOp<"scalar_clamp_min", "ScalarClampMinRule", [],
                      (ins F64Attr:$min), "`min` `(` $min `)`"> {
  let summary = "clamp to a constant lower bound, straight through";
  let description = [{
    `y = x < min ? min : x`, NaN everywhere for a NaN bound; `dx = dy`.
    Source: brevitas.function.ops_ste.scalar_clamp_min_ste.

    ```mlir
    %y = quant_ste.scalar_clamp_min %x min(1.0e-6) grad(ste) : tensor<?xf32>
    ```
  }];
}

def QuantSTE_TensorClampOp : QuantSTE_RuleOp<"tensor_clamp", "TensorClampRule",
                                             ["min", "max"]> {
  let summary = "clamp to bounds given as values";
  let description = [{
    `t = x > max ? max : x; y = t < min ? min : t`: the lower bound wins where
    the bounds are reversed; NaN x stays NaN, a NaN bound is ignored.

    `grad(ste)`: `dx = dy`; the bounds get no gradient
    (brevitas.function.ops_ste.tensor_clamp_ste).
    `grad(exact)`: dx where neither bound clips (inclusive: `x == min` and
    `x == max` pass), dmin where the lower bound clips, dmax where only the
    upper one does (brevitas.function.ops.tensor_clamp).

    ```mlir
    %y = quant_ste.tensor_clamp %x, %min axes([0]), %max grad(exact)
      : tensor<4x?xf32>, tensor<4xf32>, tensor<f32>
    ```
  }];
}

//===----------------------------------------------------------------------===//
// Integer ranges
//===----------------------------------------------------------------------===//

def QuantSTE_MaxIntOp : QuantSTE_RuleOp<"max_int", "MaxIntRule", [],
    (ins UnitAttr:$is_signed, UnitAttr:$narrow_range),
    "custom<Signedness>($is_signed) (`narrow_range` $narrow_range^)?",
    "bit_width"> {
  let summary = "largest integer of a bit width";
  let description = [{
    Signed: `2^(bit_width - 1) - 1` (narrow_range changes nothing). Unsigned:
    `2^bit_width - 1`, or `- 2` with narrow_range. Exact for whole bit widths;
    a fractional one is within 1 ULP (f64: 2). The gradient is the true one,
    `ln2 * 2^...`. Source: brevitas.function.ops.max_int.

    ```mlir
    %qmax = quant_ste.max_int %bits signed narrow_range grad(exact) : tensor<f32>
    ```
  }];
}

def QuantSTE_MinIntOp : QuantSTE_RuleOp<"min_int", "MinIntRule", [],
    (ins UnitAttr:$is_signed, UnitAttr:$narrow_range),
    "custom<Signedness>($is_signed) (`narrow_range` $narrow_range^)?",
    "bit_width"> {
  let summary = "smallest integer of a bit width";
  let description = [{
    Signed: `-2^(bit_width - 1)`, `+ 1` with narrow_range. Unsigned:
    `0 * bit_width`. The gradient is the true one, `-ln2 * 2^(bit_width - 1)`
    or 0. Source: brevitas.function.ops.min_int.

    ```mlir
    %qmin = quant_ste.min_int %bits signed grad(exact) : tensor<f32>
    ```
  }];
}

def QuantSTE_MaxUIntOp : QuantSTE_RuleOp<"max_uint", "MaxIntRule", [],
    (ins UnitAttr:$narrow_range), "(`narrow_range` $narrow_range^)?",
    "bit_width"> {
  let summary = "largest unsigned integer of a bit width";
  let description = [{
    `max_int` unsigned, under the name Brevitas had until 2020.

    ```mlir
    %qmax = quant_ste.max_uint %bits grad(exact) : f32
    ```
  }];
}

//===----------------------------------------------------------------------===//
// Quantizers
//===----------------------------------------------------------------------===//

def QuantSTE_DoReFaOp : QuantSTE_RuleOp<"dorefa", "DoReFaRule", [],
    (ins I64Attr:$bits), "`bits` `(` $bits `)`"> {
  let summary = "DoReFa-Net's activation quantizer";
  let description = [{
    With `n = 2^bits - 1` and c = x clamped to [0, 1] as `scalar_clamp` does:
    `y = roundeven(c * n) / n`. bits in 1..32.
    `grad(ste)`: `dx = dy`, clipped elements too (bitorch InputDoReFa).
    `grad(dorefa)`: dx where `!(x < 0 || x > 1)` (Zhou et al. 2016,
    arXiv:1606.06160).

    ```mlir
    %y = quant_ste.dorefa %x bits(2) grad(dorefa) : tensor<?xf32>
    ```
  }];
}

def QuantSTE_DoReFaWeightOp
    : QuantSTE_RuleOp<"dorefa_weight", "DoReFaWeightRule", ["max"],
                      (ins I64Attr:$bits), "`bits` `(` $bits `)`"> {
  let summary = "DoReFa-Net's weight quantizer";
  let description = [{
    With `n = 2^bits - 1`, `t = tanh(x)` and `a = t / (2 max) + 1/2`:
    `y = 2 (roundeven(a n) / n) - 1`, where max is the largest abs(tanh(x)) of
    the whole tensor, which is the tanh of its largest abs(x). max gets no
    gradient; all zeros give NaN. bits in 1..32.
    `grad(ste)`: `dx = dy` (bitorch WeightDoReFa). `grad(dorefa)`:
    `dx = dy (1 - t^2) / max` (Zhou et al. 2016, arXiv:1606.06160, max held).

    ```mlir
    %y = quant_ste.dorefa_weight %w, %max bits(2) grad(dorefa)
      : tensor<?x?xf32>, tensor<f32>
    ```
  }];
}

def QuantSTE_PactOp : QuantSTE_RuleOp<"pact", "PactRule", ["alpha"],
    (ins I64Attr:$bits), "`bits` `(` $bits `)`"> {
  let summary = "parameterized clipping activation quantizer";
  let description = [{
    With `n = 2^bits - 1`, `s = (1 / alpha) * n` and c = x clamped to
    [0, alpha] as `scalar_clamp` does: `y = roundeven(c * s) / s`.
    `dx = dy` on `!(x < 0 || x > alpha)`, `dalpha = SUM dy` over `x >= alpha`;
    at `x == alpha` both. NaN x gives NaN and passes dy to dx. bits in 1..32.
    `grad(pact)`: bitorch PactActFn. `grad(pact_paper)`: dx where
    `!(x < 0 || x >= alpha)`, so that `x == alpha` gives to dalpha alone
    (Choi et al. 2018, arXiv:1805.06085).

    ```mlir
    %y = quant_ste.pact %x, %alpha bits(4) grad(pact) : tensor<?x?xf32>, tensor<f32>
    ```
  }];
}

def QuantSTE_Rounding : I32EnumAttr<"Rounding", "float-to-int rounding", [
    I32EnumAttrCase<"round", 0>, I32EnumAttrCase<"floor", 1>,
    I32EnumAttrCase<"ceil", 2>, I32EnumAttrCase<"round_to_zero", 3>,
    I32EnumAttrCase<"dpu", 4>]> {
  let cppNamespace = "::mlir::quant_ste";
  let genSpecializedAttr = 0;
}
def QuantSTE_RoundingAttr
    : EnumAttr<QuantSTE_Dialect, QuantSTE_Rounding, "rounding"> {
  let assemblyFormat = "`<` $value `>`";
}

def QuantSTE_IntQuantOp : QuantSTE_RuleOp<"int_quant", "IntQuantRule",
    ["scale", "zero_point", "bit_width"],
    (ins UnitAttr:$is_signed, UnitAttr:$narrow_range,
         DefaultValuedAttr<QuantSTE_RoundingAttr,
                           "::mlir::quant_ste::Rounding::round">:$rounding),
    [{custom<Signedness>($is_signed) (`narrow_range` $narrow_range^)?
      custom<Rounding>($rounding)}]> {
  let summary = "integer fake quantizer with learnable parameters";
  let description = [{
    `t = x / scale; r = R(t + zero_point); c = clamp(r, qmin, qmax)`
    `y = (c - zero_point) * scale`, where qmin and qmax are `min_int` and
    `max_int` of bit_width, the clamp is that of `tensor_clamp`, and R is
    `rounding(round | floor | ceil | round_to_zero | dpu)`.

    `grad(clipped)`, with `w = c - zero_point`:
    in range `dx = dy`, `dscale = SUM dy * (w - t)`, `dzero_point = 0`;
    clipped `dx = 0`, `dscale = SUM dy * w`, `dzero_point = SUM -dy * scale`,
    `dbit_width = SUM dy * scale * d(bound)/dbit_width`.
    Range is judged on the rounded value. `grad(ste)`: clipped elements pass dy
    as well, and neither zero_point nor bit_width gets a gradient.
    Source: brevitas.core.quant.int_base.IntQuant; dx is the masked cotangent,
    where the library has `(dy * scale) / scale`. `grad(unfused)` is the
    library's rule bit for bit: that, and `dscale = dy w - (dr x/scale)/scale`
    with the two terms rounded, NaN for infinite x.

    ```mlir
    %q = quant_ste.int_quant %w, %s axes([0]), %z, %b signed narrow_range
      rounding(round) grad(clipped)
      : tensor<64x128xf32>, tensor<64xf32>, tensor<f32>, tensor<f32>
    ```
  }];
}

include "quant_ste/Dialect/QuantSTE/IR/BrevitasOps.td"
include "quant_ste/Dialect/QuantSTE/IR/LiteratureOps.td"
include "quant_ste/Dialect/QuantSTE/IR/ScaleOps.td"
include "quant_ste/Dialect/QuantSTE/IR/TorchOps.td"

//===----------------------------------------------------------------------===//
// Asking for derivatives
//===----------------------------------------------------------------------===//

def QuantSTE_DetachOp : QuantSTE_Op<"detach", [
    Pure, SameOperandsAndResultType, QuantSTE_StopsGradient]> {
  let summary = "the value, without a gradient";
  let description = [{
    The operand, through which no gradient flows (torch's detach, JAX's
    stop_gradient). It stays in place until convert-quant-ste-to-linalg.

    ```mlir
    %m = quant_ste.detach %max : tensor<?xf32>
    ```
  }];
  let arguments = (ins AnyType:$x);
  let results = (outs AnyType:$y);
  let assemblyFormat = "$x attr-dict `:` type($x)";
}

class QuantSTE_RequestOp<string mnemonic, list<Trait> traits = []>
    : QuantSTE_Op<mnemonic, !listconcat(traits, [
        DeclareOpInterfaceMethods<SymbolUserOpInterface>])>;

def QuantSTE_ValueAndGradOp : QuantSTE_RequestOp<"value_and_grad"> {
  let summary = "a function's value and its gradient";
  let description = [{
    Calls @f, whose only result is one float (a plain float or a rank-0 tensor),
    and gives that value followed by its gradient with respect to each argument
    listed in `wrt`, in that order. Nothing else is computed.
    `quant-ste-differentiate` replaces it by a call of the generated @f_vjp.

    ```mlir
    %loss, %dw = quant_ste.value_and_grad @loss(%x, %w) wrt [1]
      : (tensor<?x8xf32>, tensor<8xf32>) -> (tensor<f32>, tensor<8xf32>)
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<AnyType>:$operands_,
                       DenseI64ArrayAttr:$wrt);
  let results = (outs Variadic<AnyType>:$results_);
  let assemblyFormat = [{
    $callee `(` $operands_ `)` `wrt` $wrt attr-dict
    `:` functional-type($operands_, $results_)
  }];
}

def QuantSTE_VjpOp : QuantSTE_RequestOp<"vjp", [AttrSizedOperandSegments]> {
  let summary = "a function's results and its pullback of given cotangents";
  let description = [{
    Calls @f and gives its results, followed by the vector-Jacobian product of
    the cotangents (one per float result of @f, of its type) with respect to
    each argument listed in `wrt`. `quant-ste-differentiate` replaces it by a
    call of the generated @f_vjp.

    ```mlir
    %y, %dx = quant_ste.vjp @f(%x) cotangents(%dy) wrt [0]
      : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<AnyType>:$operands_,
                       Variadic<AnyType>:$cotangents, DenseI64ArrayAttr:$wrt);
  let results = (outs Variadic<AnyType>:$results_);
  let assemblyFormat = [{
    $callee `(` $operands_ `)` `cotangents` `(` $cotangents `)` `wrt` $wrt
    attr-dict `:` `(` type($operands_) `)` `,` `(` type($cotangents) `)` `->`
    `(` type($results_) `)`
  }];
}

def QuantSTE_JvpOp : QuantSTE_RequestOp<"jvp", [AttrSizedOperandSegments]> {
  let summary = "a function's results and its pushforward of given tangents";
  let description = [{
    Calls @f and gives its results, followed by the tangent of each float
    result, given one tangent for each argument listed in `wrt` (the others
    are constant). `quant-ste-differentiate` replaces it by a call of the
    generated @f_jvp.

    ```mlir
    %y, %ty = quant_ste.jvp @f(%x) tangents(%tx) wrt [0]
      : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>)
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<AnyType>:$operands_,
                       Variadic<AnyType>:$tangents, DenseI64ArrayAttr:$wrt);
  let results = (outs Variadic<AnyType>:$results_);
  let assemblyFormat = [{
    $callee `(` $operands_ `)` `tangents` `(` $tangents `)` `wrt` $wrt
    attr-dict `:` `(` type($operands_) `)` `,` `(` type($tangents) `)` `->`
    `(` type($results_) `)`
  }];
}

//===----------------------------------------------------------------------===//
// One op's derivative, as differentiation leaves it
//===----------------------------------------------------------------------===//

/// Both hold one op with a gradient rule in a region that is isolated, so that
/// no pass mistakes it for the op itself.
class QuantSTE_DerivativeOp<string mnemonic> : QuantSTE_Op<mnemonic, [
    Pure, IsolatedFromAbove, SingleBlock, AttrSizedOperandSegments]> {
  let regions = (region SizedRegion<1>:$body);
  let hasVerifier = 1;
}

def QuantSTE_PullbackOp : QuantSTE_DerivativeOp<"pullback"> {
  let summary = "gradients of one op, given its cotangent";
  let description = [{
    The vector-Jacobian product of the op in the region: `cotangents` are those
    of its results, and the results are the gradients of the operands listed in
    `wrt`. The block arguments are the primal operands. Made by
    quant-ste-differentiate, lowered by convert-quant-ste-to-linalg.

    ```mlir
    %dx, %dalpha = quant_ste.pullback(%dy) at(%x, %alpha) wrt [0, 1] {
    ^bb0(%a: tensor<?xf32>, %b: tensor<f32>):
      %y = quant_ste.pact %a, %b bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
      quant_ste.yield %y : tensor<?xf32>
    } : (tensor<?xf32>), (tensor<?xf32>, tensor<f32>) -> (tensor<?xf32>, tensor<f32>)
    ```
  }];
  let arguments = (ins Variadic<QuantSTE_Data>:$cotangents,
                       Variadic<QuantSTE_Data>:$primals,
                       DenseI64ArrayAttr:$wrt);
  let results = (outs Variadic<QuantSTE_Data>:$gradients);
  let assemblyFormat = [{
    `(` $cotangents `)` `at` `(` $primals `)` `wrt` $wrt $body attr-dict
    `:` `(` type($cotangents) `)` `,` `(` type($primals) `)` `->`
    `(` type($gradients) `)`
  }];
  let hasCanonicalizer = 1;
}

def QuantSTE_PushforwardOp : QuantSTE_DerivativeOp<"pushforward"> {
  let summary = "tangents of one op's results, given those of its operands";
  let description = [{
    The Jacobian-vector product of the op in the region: `tangents` are those of
    the operands listed in `wrt`; the others are constant.

    ```mlir
    %ty = quant_ste.pushforward(%tx) at(%x) wrt [0] {
    ^bb0(%a: tensor<?xf32>):
      %y = quant_ste.round %a grad(ste) : tensor<?xf32>
      quant_ste.yield %y : tensor<?xf32>
    } : (tensor<?xf32>), (tensor<?xf32>) -> (tensor<?xf32>)
    ```
  }];
  let arguments = (ins Variadic<QuantSTE_Data>:$tangents,
                       Variadic<QuantSTE_Data>:$primals,
                       DenseI64ArrayAttr:$wrt);
  let results = (outs Variadic<QuantSTE_Data>:$result_tangents);
  let assemblyFormat = [{
    `(` $tangents `)` `at` `(` $primals `)` `wrt` $wrt $body attr-dict
    `:` `(` type($tangents) `)` `,` `(` type($primals) `)` `->`
    `(` type($result_tangents) `)`
  }];
}

def QuantSTE_YieldOp : QuantSTE_Op<"yield", [
    Pure, ReturnLike, Terminator, ParentOneOf<[
        "PullbackOp", "PushforwardOp", "CustomOp", "NamedRuleOp"]>]> {
  let summary = "ends the region of a derivative or of a rule";
  let arguments = (ins Variadic<AnyTypeOf<[QuantSTE_Data, I1]>>:$values);
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

include "quant_ste/Dialect/QuantSTE/IR/QuantSTECustomOps.td"
include "quant_ste/Dialect/QuantSTE/IR/ResidualOps.td"

#endif // QUANT_STE_DIALECT_QUANTSTE_IR_QUANTSTEOPS_TD
