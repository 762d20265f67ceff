//===- ScaleOps.td - from observations to scales -*- tablegen -*--===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_DIALECT_QUANTSTE_IR_SCALEOPS_TD
#define QUANT_STE_DIALECT_QUANTSTE_IR_SCALEOPS_TD

include "quant_ste/Dialect/QuantSTE/IR/QuantSTEBase.td"

def QuantSTE_Detached : QuantSTE_GradientWord<"Detached", "detached",
    "nothing: what is observed or kept from step to step is constant in training">;

//===----------------------------------------------------------------------===//
// Observers
//===----------------------------------------------------------------------===//

def QuantSTE_MovingAverageOp
    : QuantSTE_RuleOp<"moving_average", "MovingAverageRule", ["observed"],
                      (ins F64Attr:$constant, UnitAttr:$weighted),
                      "`constant` `(` $constant `)` (`weighted` $weighted^)?",
                      "state"> {
  let summary = "a running statistic, one step on";
  let description = [{
    `y = state + constant * (observed - state)`; an infinite state is one that
    has seen nothing, and y is what is observed. `weighted`:
    `y = state * (1 - constant) + observed * constant`, the same but for
    rounding. NaN stays for good. constant in [0, 1]. No gradient.
    Source: torch.ao.quantization.MovingAverageMinMaxObserver and
    torch.fused_moving_avg_obs_fake_quant, whose state starts as inf and -inf;
    `weighted`: the running statistics of Brevitas, after their first step.

    ```mlir
    %low = quant_ste.minimum %x grad(first) : tensor<?x?xf32> -> tensor<f32>
    %min = quant_ste.moving_average %state, %low constant(0.01) grad(detached)
      : tensor<f32>, tensor<f32>
    ```
  }];
}

def QuantSTE_ChooseQParamsScaleOp
    : QuantSTE_RuleOp<"choose_qparams_scale", "ChooseScaleRule", ["max"],
    (ins I64Attr:$qmin, I64Attr:$qmax, UnitAttr:$symmetric, UnitAttr:$observer),
    [{`qmin` `(` $qmin `)` `qmax` `(` $qmax `)` (`symmetric` $symmetric^)?
      (`observer` $observer^)?}], "min"> {
  let summary = "the scale of a range of numbers";
  let description = [{
    The scale that maps [min, max], extended to hold 0, to the integers of
    [qmin, qmax]: `(max - min) / (qmax - qmin)`, computed in double precision
    and rounded once; 0.1 where that is 0 or has an infinite reciprocal, and
    6.1e-5 (a number of f32) at least. `symmetric`: where the range holds 0, it
    is first extended to `[-(h + 1) t, h t]`, with h = (qmax - qmin) div 2 and
    `t = max(abs(min / (h + 1)), abs(max / h))`. NaN gives NaN. No gradient.
    qmin < qmax.
    Source: ChooseQuantizationParams of ATen and FBGEMM, as
    torch.fused_moving_avg_obs_fake_quant calls it.

    `observer`: what the observers of torch.ao.quantization compute, without
    double precision: 2^-23 at least, and `symmetric`
    `max(-min, max) / ((qmax - qmin) / 2)`. Theirs is 1 where nothing was
    observed (inf and -inf), this one 2^-23.

    ```mlir
    %s = quant_ste.choose_qparams_scale %min, %max qmin(0) qmax(255) grad(detached)
      : tensor<f32>, tensor<f32>
    ```
  }];
}

def QuantSTE_ChooseQParamsZeroPointOp
    : QuantSTE_RuleOp<"choose_qparams_zero_point", "ChooseZeroPointRule",
    ["max"],
    (ins I64Attr:$qmin, I64Attr:$qmax, UnitAttr:$symmetric, UnitAttr:$observer),
    [{`qmin` `(` $qmin `)` `qmax` `(` $qmax `)` (`symmetric` $symmetric^)?
      (`observer` $observer^)?}], "min"> {
  let summary = "the integer that stands for 0 in a range of numbers";
  let description = [{
    The zero point that goes with `choose_qparams_scale` of the same range and
    words. In double precision `qmin - min / scale` or `qmax - max / scale`,
    the former if `abs(qmin) + abs(min / scale)` is less than
    `abs(qmax) + abs(max / scale)`; clamped to [qmin, qmax] and rounded half to
    even. A scale held at 6.1e-5 widens the range first. `symmetric`, where the
    range has 0 inside: the middle of qmin and qmax. NaN gives NaN, where
    torch has the least int32; so do infinite ranges. No gradient.
    Source: ChooseQuantizationParams of ATen and FBGEMM.

    `observer`: as the observers of torch.ao.quantization,
    `qmin - roundeven(min / scale)`, clamped; `symmetric`: 0 if qmin is
    negative, else the upper of the middle integers (128 for 0 to 255, as
    quint8 has; with quant_min and quant_max of one's own, torch takes the
    lower one).

    ```mlir
    %z = quant_ste.choose_qparams_zero_point %min, %max qmin(0) qmax(255)
      grad(detached) : tensor<f32>, tensor<f32>
    ```
  }];
}

//===----------------------------------------------------------------------===//
// Scales that cannot become negative
//===----------------------------------------------------------------------===//

def QuantSTE_Exp2Op : QuantSTE_RuleOp<"exp2", "Exp2Rule"> {
  let summary = "a scale learned as its logarithm";
  let description = [{
    `y = 2^x`, `dx = dy * (y * ln2)`: x is the parameter that is learned, y the
    scale, positive whatever x is. Exact for whole x; the same bits on every
    machine (2 ULP in f64). For powers of two alone see `power_of_two of_log2`.
    Source: brevitas.core.restrict_val.LogFloatRestrictValue.

    ```mlir
    %scale = quant_ste.exp2 %log2_scale grad(exact) : tensor<64xf32>
    ```
  }];
}

def QuantSTE_SoftplusOp : QuantSTE_RuleOp<"softplus", "SoftplusRule"> {
  let summary = "a scale learned through softplus";
  let description = [{
    `y = ln(1 + e^x)`, `dx = dy / (1 + e^-x)`: positive whatever x is, and x
    itself where it is large. Computed as `max(x, 0) + ln(1 + e^-abs(x))` in
    double precision and rounded once, so that small results keep their digits;
    the same bits on every machine.
    Source: torch.nn.functional.softplus, which takes x itself above 20.

    ```mlir
    %scale = quant_ste.softplus %raw grad(exact) : tensor<64xf32>
    ```
  }];
}

//===----------------------------------------------------------------------===//
// Where a scale starts
//===----------------------------------------------------------------------===//

def QuantSTE_PercentileRank
    : I32EnumAttr<"PercentileRank", "which element a percentile is", [
    I32EnumAttrCase<"nearest", 0>, I32EnumAttrCase<"ceil", 1>]> {
  let cppNamespace = "::mlir::quant_ste";
  let genSpecializedAttr = 0;
}
def QuantSTE_PercentileRankAttr
    : EnumAttr<QuantSTE_Dialect, QuantSTE_PercentileRank, "percentile_rank"> {
  let assemblyFormat = "`<` $value `>`";
}

/// What is computed from x over the dimensions that are not in `axes`, without
/// a gradient.
class QuantSTE_StatisticOp<string mnemonic, dag operands = (ins),
                           dag attributes = (ins), string operandsFormat = "",
                           string words = "", string types = "">
    : QuantSTE_Op<mnemonic, [Pure, QuantSTE_StopsGradient]> {
  let arguments = !con((ins RankedTensorOf<[QuantSTE_Float]>:$x), operands,
                       (ins OptionalAttr<DenseI64ArrayAttr>:$axes), attributes,
                       (ins QuantSTE_Grad:$grad));
  let results = (outs RankedTensorOf<[QuantSTE_Float]>:$y);
  let assemblyFormat = "$x " # operandsFormat # " (`axes` `(` $axes^ `)`)? " #
      words # " custom<Grad>($grad) attr-dict `:` type($x) " # types #
      " `->` type($y)";
  let extraClassDeclaration = [{
    /// Where an element of x goes: onto the dimensions in `axes`.
    ::mlir::AffineMap getResultMap() {
      return getAxesMap(getX().getType(), getAxes());
    }
  }];
  let hasVerifier = 1;
}

def QuantSTE_PercentileOp : QuantSTE_StatisticOp<"percentile", (ins),
    (ins F64Attr:$q,
         DefaultValuedAttr<QuantSTE_PercentileRankAttr,
             "::mlir::quant_ste::PercentileRank::nearest">:$rank,
         UnitAttr:$of_magnitudes), "",
    "(`of_magnitudes` $of_magnitudes^)? `q` `(` $q `)` "
    "custom<PercentileRank>($rank)"> {
  let summary = "an order statistic";
  let description = [{
    The k-th smallest of the n elements over the dimensions that `axes` does not
    list, or of their magnitudes (`of_magnitudes`): an element of x, nothing is
    interpolated. k is `floor(q / 100 n + 1/2)`, with `rank(ceil)`
    `ceil(q / 100 n)`, within 1..n. NaN is above inf, -0 below +0; over nothing
    y is NaN. q in [0, 100]. No gradient.
    Exact, and the same whatever is tiled: bits of the result are found one by
    one, each by counting, in as many passes over x as its type has bits (f16
    and bf16: 32).
    Source: brevitas.core.stats.AbsPercentile (`of_magnitudes`),
    NegativePercentileOrZero and PercentileInterval (`ceil` for the low end),
    before they clamp.

    ```mlir
    %t = quant_ste.percentile %x of_magnitudes q(99.9) grad(detached)
      : tensor<?x?xf32> -> tensor<f32>
    ```
  }];
}

def QuantSTE_MSEScaleOp : QuantSTE_StatisticOp<"mse_scale",
    (ins RankedTensorOf<[QuantSTE_Float]>:$start),
    (ins I64Attr:$qmin, I64Attr:$qmax, I64Attr:$candidates), "`,` $start",
    [{`qmin` `(` $qmin `)` `qmax` `(` $qmax `)`
      `candidates` `(` $candidates `)`}], "`,` type($start)"> {
  let summary = "the scale of least squared error on a grid";
  let description = [{
    Of the scales `s_i = base + (start - base) (i / (candidates - 1))`, with
    `base = start / candidates` and i from 0, the first with the least
    `SUM (x - clamp(roundeven(x / s_i), qmin, qmax) s_i)^2` over the dimensions
    that `axes` does not list; start has the result's type. Each difference is
    computed in the data's compute type, squares and sums in f64, in the fixed
    order of all sums. start itself where no sum is a number below inf (all
    zeros with start 0). candidates >= 2. No gradient.
    Source: brevitas.core.stats.MSE with mse_search_method = 'grid' and its
    default MSEUniformStepBase, which sums in f32.

    ```mlir
    %max = quant_ste.absmax %w axes([0]) grad(first) : tensor<64x128xf32> -> tensor<64xf32>
    %start = arith.divf %max, %steps : tensor<64xf32> // 127 in each
    %s = quant_ste.mse_scale %w, %start axes([0]) qmin(-127) qmax(127)
      candidates(20) grad(detached) : tensor<64x128xf32>, tensor<64xf32> -> tensor<64xf32>
    ```
  }];
}

#endif // QUANT_STE_DIALECT_QUANTSTE_IR_SCALEOPS_TD
