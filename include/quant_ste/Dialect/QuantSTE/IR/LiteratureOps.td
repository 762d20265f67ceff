//===- LiteratureOps.td - quantizers as papers define them -*- tablegen -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_DIALECT_QUANTSTE_IR_LITERATUREOPS_TD
#define QUANT_STE_DIALECT_QUANTSTE_IR_LITERATUREOPS_TD

include "quant_ste/Dialect/QuantSTE/IR/QuantSTEBase.td"

//===----------------------------------------------------------------------===//
// Learned scales
//===----------------------------------------------------------------------===//

def QuantSTE_LSQOp : QuantSTE_RuleOp<"lsq", "LSQRule", ["scale"],
    (ins I64Attr:$qmin, I64Attr:$qmax, F64Attr:$grad_scale),
    [{`qmin` `(` $qmin `)` `qmax` `(` $qmax `)`
      `grad_scale` `(` $grad_scale `)`}]> {
  let summary = "learned step size quantization";
  let description = [{
    `t = x / scale; y = roundeven(clamp(t, qmin, qmax)) * scale`, the clamp that
    of `scalar_clamp`. The range is judged on t, before rounding:

    | | `grad(lsq)` | `grad(lsq_inclusive)` | dx | dscale = SUM dy * |
    |---|---|---|---|---|
    | in range | `qmin < t < qmax` | `qmin <= t <= qmax` | dy | `(roundeven(t) - t) g` |
    | below | `t <= qmin` | `t < qmin` | 0 | `qmin g` |
    | above | `t >= qmax` | `t > qmax` | 0 | `qmax g` |

    NaN counts as in range. `grad(lsq)` is the paper's; `lsq_inclusive` is what
    differentiating torch.clamp gives, as public ports do.

    `g = grad_scale(...)` multiplies the gradient of the scale alone. The paper
    has `1 / sqrt(N qmax)`, N being the number of elements that share one scale:
    for `tensor<64x128xf32>`, 8192 per tensor and 128 with `axes([0])`; for
    activations the paper leaves out the batch. 1.0 scales nothing.

    qmin <= qmax, integers in [-2^31, 2^32 - 1], rounded to the compute type.
    Source: Esser et al. 2020, "Learned Step Size Quantization"
    (arXiv:1902.08153), where they are -Q_N and Q_P.

    ```mlir
    %y = quant_ste.lsq %w, %s axes([0]) qmin(-8) qmax(7) grad_scale(0.0334)
      grad(lsq) : tensor<64x128xf32>, tensor<64xf32>
    ```
  }];
}

def QuantSTE_LSQPlusOp : QuantSTE_RuleOp<"lsq_plus", "LSQPlusRule",
    ["scale", "beta"],
    (ins I64Attr:$qmin, I64Attr:$qmax, F64Attr:$grad_scale),
    [{`qmin` `(` $qmin `)` `qmax` `(` $qmax `)`
      `grad_scale` `(` $grad_scale `)`}]> {
  let summary = "learned step size quantization with a learned offset";
  let description = [{
    `t = (x - beta) / scale`
    `y = roundeven(clamp(t, qmin, qmax)) * scale + beta`.
    Range, dx and dscale are those of `lsq` on this t; `dbeta = SUM dy g` over
    the clipped elements. `g = grad_scale(...)` multiplies both.
    Source: Bhalgat et al. 2020, "LSQ+" (arXiv:2004.09576). Some public ports
    round half away from zero; this op rounds half to even, as torch.round.

    ```mlir
    %y = quant_ste.lsq_plus %x, %s, %b qmin(0) qmax(15) grad_scale(0.01)
      grad(lsq) : tensor<?x128xf32>, tensor<f32>, tensor<f32>
    ```
  }];
}

def QuantSTE_TQTOp : QuantSTE_RuleOp<"tqt", "TQTRule", ["log2_threshold"],
    (ins I64Attr:$bits, UnitAttr:$is_signed),
    "`bits` `(` $bits `)` custom<Signedness>($is_signed)"> {
  let summary = "trained quantization thresholds, with power-of-two scales";
  let description = [{
    With `b = bits - 1`, `n = -2^b` signed, `b = bits`, `n = 0` unsigned, and
    `p = 2^b - 1`:
    `s = 2^ceil(log2_threshold) / 2^b`
    `r = roundeven(x / s); y = clamp(r, n, p) * s`, the clamp that of
    `scalar_clamp`. Where `!(r < n || r > p)`, `dx = dy`. The ceil is straight
    through: `dlog2_threshold = SUM dy * (s ln2) * v`, with v being `r - x / s`
    in range, n below and p above. bits in 1..32.
    Source: Jain et al. 2020, "Trained Quantization Thresholds"
    (arXiv:1903.08066).

    ```mlir
    %y = quant_ste.tqt %x, %t bits(8) signed grad(tqt) : tensor<?xf32>, tensor<f32>
    ```
  }];
}

//===----------------------------------------------------------------------===//
// Gradients that look at the rounding error; rounding by chance
//===----------------------------------------------------------------------===//

def QuantSTE_EWGSOp : QuantSTE_RuleOp<"ewgs", "EWGSRule", [],
    (ins I64Attr:$levels), "`levels` `(` $levels `)`"> {
  let summary = "the discretizer of element-wise gradient scaling";
  let description = [{
    For x in [0, 1] and `n = levels - 1`: `y = roundeven(x * n) / n` and
    `dx = dy * (1 + sign(dy) * (delta * (x - y)))`, with sign 0 for zeros and
    NaN; reverse mode only. x is not clamped: clamp it first (`scalar_clamp`,
    `tensor_clamp`). levels in 2..2^32.
    Source: Lee et al. 2021, "Network Quantization with Element-wise Gradient
    Scaling" (arXiv:2104.00903). `round grad(ewgs(delta))` has whole steps.

    ```mlir
    %y = quant_ste.ewgs %x levels(4) grad(ewgs(0.001)) : tensor<?xf32>
    ```
  }];
}

def QuantSTE_StochasticRoundOp
    : QuantSTE_RuleOp<"stochastic_round", "StochasticRoundRule", ["u"]> {
  let summary = "round up with the probability of the fraction";
  let description = [{
    `f = floor(x); y = u < x - f ? f + 1 : f`, where u is uniform in [0, 1): the
    mean of y is x. One u for each element needs all axes of x. -0, infinities
    and NaN stay as they are; `x == floor(x)` stays whatever u is. u gets no
    gradient. `grad(ste)` is `dx = dy`; the other words are those of `round`.

    The probabilities are as fine as u: an f16 u has 2^11 values, so give f16
    data an f32 u, as `uniform` gives. Source: Gupta et al. 2015
    (arXiv:1502.02551). Brevitas draws u itself and refuses infinities and NaN.

    ```mlir
    %y = quant_ste.stochastic_round %x, %u axes([0, 1]) grad(ste)
      : tensor<?x?xf16>, tensor<?x?xf32>
    ```
  }];
}

def QuantSTE_UniformOp : QuantSTE_Op<"uniform", [Pure]> {
  let summary = "random numbers in [0, 1), each from its own index";
  let description = [{
    A pure function of the seed, the step and the element's place: whatever is
    tiled, run in threads or computed again for a gradient, no bit changes. The
    element at the row-major position i is word `i mod 4` of Philox 4x32-10 with
    the counter `(i div 4, step)` and the key `seed`, each a 64-bit number of
    two words, the low one first; its upper 24 bits are the steps of 2^-24.
    `sizes` has the size of each dynamic dimension.

    Draw with another step in each step of the training, and with another seed
    for each use. Source: Salmon et al. 2011, "Parallel Random Numbers: As Easy
    as 1, 2, 3"; elements 0 to 3 for seed 0 and step 0 are its first test
    vector.

    ```mlir
    %u = quant_ste.uniform seed(%seed) step(%step) sizes(%n) : tensor<?x8xf32>
    %y = quant_ste.stochastic_round %x, %u axes([0, 1]) grad(ste)
      : tensor<?x8xf32>, tensor<?x8xf32>
    ```
  }];
  let arguments = (ins I64:$seed, I64:$step, Variadic<Index>:$sizes);
  let results = (outs RankedTensorOf<[F32]>:$u);
  let assemblyFormat = [{
    `seed` `(` $seed `)` `step` `(` $step `)` (`sizes` `(` $sizes^ `)`)? attr-dict
    `:` type($u)
  }];
  let hasVerifier = 1;
}

#endif // QUANT_STE_DIALECT_QUANTSTE_IR_LITERATUREOPS_TD
