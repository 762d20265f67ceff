//===- TorchOps.td - torch's fake quantizers -*- tablegen -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_DIALECT_QUANTSTE_IR_TORCHOPS_TD
#define QUANT_STE_DIALECT_QUANTSTE_IR_TORCHOPS_TD

include "quant_ste/Dialect/QuantSTE/IR/QuantSTEBase.td"

def QuantSTE_Scaling : I32EnumAttr<"Scaling", "how x is brought to steps", [
    I32EnumAttrCase<"reciprocal", 0>, I32EnumAttrCase<"divide", 1>]> {
  let cppNamespace = "::mlir::quant_ste";
  let genSpecializedAttr = 0;
}
def QuantSTE_ScalingAttr
    : EnumAttr<QuantSTE_Dialect, QuantSTE_Scaling, "scaling"> {
  let assemblyFormat = "`<` $value `>`";
}

def QuantSTE_ZeroPointPosition : I32EnumAttr<"ZeroPointPosition",
    "when the zero point is added", [
    I32EnumAttrCase<"after", 0>, I32EnumAttrCase<"before", 1>]> {
  let cppNamespace = "::mlir::quant_ste";
  let genSpecializedAttr = 0;
}
def QuantSTE_ZeroPointPositionAttr : EnumAttr<QuantSTE_Dialect,
    QuantSTE_ZeroPointPosition, "zero_point_position"> {
  let assemblyFormat = "`<` $value `>`";
}

def QuantSTE_FakeQuantizeOp : QuantSTE_RuleOp<"fake_quantize",
    "FakeQuantizeRule", ["scale", "zero_point"],
    (ins I64Attr:$qmin, I64Attr:$qmax,
         DefaultValuedAttr<QuantSTE_ScalingAttr,
                           "::mlir::quant_ste::Scaling::reciprocal">:$scaling,
         DefaultValuedAttr<QuantSTE_ZeroPointPositionAttr,
             "::mlir::quant_ste::ZeroPointPosition::after">
             :$zero_point_position),
    [{`qmin` `(` $qmin `)` `qmax` `(` $qmax `)` custom<Scaling>($scaling)
      custom<ZeroPointPosition>($zero_point_position)}]> {
  let summary = "fake quantization with fixed parameters";
  let description = [{
    `q = zero_point + roundeven(x * (1 / scale))`, saturated to [qmin, qmax];
    `y = (q - zero_point) * scale`. q is an integer: there is no -0, NaN gives
    qmin and infinities saturate. `grad(clipped)`: dx where
    `qmin <= q <= qmax` before saturation, so none for NaN; scale and zero_point
    get no gradient.

    Systems differ in two places, and at ties in the result:

    | word | meaning |
    |---|---|
    | `scaling(reciprocal)` | `x * (1 / scale)`, two roundings (torch; the default) |
    | `scaling(divide)` | `x / scale` |
    | `zero_point(after)` | added to the rounded value (torch; the default) |
    | `zero_point(before)` | `roundeven(x * (1 / scale) + zero_point)` (torch per channel with a float zero point; with `divide`, Brevitas) |

    Source: torch.fake_quantize_per_tensor_affine and
    torch.fake_quantize_per_channel_affine, bit for bit on f32, f16 and bf16 for
    whole zero points; all is computed in f32. Three differences:
    f64 is computed in f64, where torch rounds 1 / scale (per tensor, the result
    too) to f32; beyond 2^63 steps the result saturates, where torch per channel
    overflows to qmin; and a clipped element gets exactly 0, where torch
    multiplies the cotangent by 0. The zero point is a float that should be
    whole and in [qmin, qmax], which are integers in [-2^31, 2^32 - 1] with
    qmin <= qmax; it is not rounded. From 2^24 on f32 rounds q.

    ```mlir
    %y = quant_ste.fake_quantize %w, %s axes([0]), %z axes([0])
      qmin(-128) qmax(127) scaling(reciprocal) zero_point(after) grad(clipped)
      : tensor<64x128xf32>, tensor<64xf32>, tensor<64xf32>
    ```
  }];
}

def QuantSTE_LearnableFakeQuantizeOp
    : QuantSTE_RuleOp<"learnable_fake_quantize", "LearnableFakeQuantizeRule",
                      ["scale", "zero_point"],
    (ins I64Attr:$qmin, I64Attr:$qmax, F64Attr:$grad_factor),
    [{`qmin` `(` $qmin `)` `qmax` `(` $qmax `)`
      `grad_factor` `(` $grad_factor `)`}]> {
  let summary = "fake quantization with a learned scale and zero point";
  let description = [{
    The result is that of `fake_quantize` with torch's words and the zero point
    `z = clamp(roundeven(zero_point), qmin, qmax)`.

    `grad(clipped)`, with `i = 1 / scale`, `r = roundeven(x * i + z)`, q being r
    saturated and `g = grad_factor(...)`:

    | | dx | dscale = SUM dy * | dzero_point = SUM dy * |
    |---|---|---|---|
    | `qmin <= r <= qmax` | dy | `((q - z) * scale - x) * i * g` | 0 |
    | otherwise | 0 | `(q - z) * g` | `-scale * g` |

    As in torch, z is added before rounding here and after it in the forward
    pass: at a tie with an odd z the two may take neighbouring integers. NaN
    counts as below qmin, infinities saturate.

    Source: torch._fake_quantize_learnable_per_tensor_affine and
    _per_channel_affine, which multiply by dy first, as `grad(unfused)` does, and
    by masks (the same but for a few ULPs and infinite cotangents). The former's
    backward pass has `trunc(zero_point + 0.5)`, one too high for negative zero
    points; this op has the z of the forward pass, as the latter has. torch's
    AVX kernels contract `x * i + z` and `(q - z) * scale - x`; this op does not
    (ATEN_CPU_CAPABILITY=default compares equal).
    torch.ao has `g = 1 / sqrt(N qmax)` for N elements that share a scale; 1.0
    scales nothing.

    ```mlir
    %y = quant_ste.learnable_fake_quantize %x, %s, %z qmin(0) qmax(255)
      grad_factor(1.0) grad(clipped) : tensor<?xf32>, tensor<f32>, tensor<f32>
    ```
  }];
}

#endif // QUANT_STE_DIALECT_QUANTSTE_IR_TORCHOPS_TD
