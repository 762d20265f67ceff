//===- Passes.td - conversions -*- tablegen -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_CONVERSION_PASSES_TD
#define QUANT_STE_CONVERSION_PASSES_TD

include "mlir/Pass/PassBase.td"

def ConvertQuantSTEToLinalgPass : Pass<"convert-quant-ste-to-linalg"> {
  let summary = "Lower ops with a gradient rule, and their derivatives, to linalg";
  let description = [{
    One pattern for every op that implements GradientRuleInterface: on tensors
    one `linalg.generic` whose body is the rule's forward function, on plain
    floats the scalar ops themselves. A `quant_ste.pullback` becomes one
    multi-result `linalg.generic` that reads the primals and the cotangent once
    and gives dx and every parameter gradient; a `quant_ste.pushforward` becomes
    one generic of the tangent. `quant_ste.detach` is replaced by its operand.

    All reduced gradients of one pullback accumulate over the same dimensions,
    in the compute type; a second, small op finishes coarser ones and rounds
    once to the parameter's type. Sizes come from the cotangent.

    Before:
    ```mlir
    %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
    ```
    After:
    ```mlir
    %y = linalg.generic {indexing_maps = [(d0) -> (d0), (d0) -> (), (d0) -> (d0)],
        iterator_types = ["parallel"]} ins(%x, %a) outs(%empty) {
      ^bb0(%in: f32, %alpha: f32, %out: f32):
        ... linalg.yield %rounded : f32
    }
    ```
    Fails when an op of the dialect remains, and says which.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect"];
}

def ConvertQuantSTEToQuantPass : Pass<"convert-quant-ste-to-quant"> {
  let summary = "Turn fake quantizers into quant.qcast and quant.dcast";
  let description = [{
    For deployment: a fake quantizer with constant parameters becomes a pair of
    casts through a `!quant.uniform` type, per tensor or per axis. The gradient is
    gone with it, so this comes after differentiation.

    A remark at each op says what changes; nothing is approximated in silence.
    The `quant` dialect leaves all roundings open (upstream's `lower-quant-ops`
    truncates), and what NaN becomes; quantizers here round ties to even.

    | op | |
    |---|---|
    | `fake_quantize scaling(divide) zero_point(before)` | quant's own formula |
    | `fake_quantize` otherwise | differs: reciprocal, or zero point after rounding |
    | `int_quant rounding(round)` | quant's formula; bounds from the bit width |
    | any other quantizer | an error that says why (`partial`: it stays) |

    Before:
    ```mlir
    %y = quant_ste.int_quant %x, %scale, %zero, %eight signed rounding(round)
      grad(clipped) : tensor<?xf32>, f32, f32, f32
    ```
    After:
    ```mlir
    %q = quant.qcast %x : tensor<?xf32> to tensor<?x!quant.uniform<i8:f32, 0.5>>
    %y = quant.dcast %q : tensor<?x!quant.uniform<i8:f32, 0.5>> to tensor<?xf32>
    ```
    The pair must not be folded away, although some compilers do: it rounds.
  }];
  let options = [
    Option<"partial", "partial", "bool", "false",
           "leave quantizers without a form in quant, with a remark">];
  let dependentDialects = ["::mlir::quant::QuantDialect"];
}

def ConvertQuantToQuantSTEPass : Pass<"convert-quant-to-quant-ste"> {
  let summary = "Turn quant.qcast and quant.dcast into fake quantizers";
  let description = [{
    A `quant.qcast` whose results all go to `quant.dcast` becomes one
    `quant_ste.fake_quantize scaling(divide) zero_point(before)`, which has a
    gradient: quant's formula, with the roundings that it leaves open chosen
    (ties to even; saturating; NaN to the lowest value). Per tensor, per axis and,
    where the shape is static, per block (sub-channel), by `tensor.expand_shape`.
    A cast that stands alone, so that integers leave or enter, is an error
    (`partial`: it stays, with a remark).

    Before:
    ```mlir
    %q = quant.qcast %x : tensor<4x?xf32> to tensor<4x?x!quant.uniform<i8:f32:0, {1.0,2.0,3.0,4.0}>>
    %y = quant.dcast %q : tensor<4x?x!quant.uniform<i8:f32:0, {1.0,2.0,3.0,4.0}>> to tensor<4x?xf32>
    ```
    After:
    ```mlir
    %y = quant_ste.fake_quantize %x, %scales axes([0]), %zeros axes([0]) qmin(-128) qmax(127)
      scaling(divide) zero_point(before) grad(clipped)
      : tensor<4x?xf32>, tensor<4xf32>, tensor<4xf32>
    ```
  }];
  let options = [
    Option<"partial", "partial", "bool", "false",
           "leave casts without a partner, with a remark">];
  let dependentDialects = [
    "::mlir::quant_ste::QuantSTEDialect", "::mlir::arith::ArithDialect",
    "::mlir::tensor::TensorDialect"];
}

#endif // QUANT_STE_CONVERSION_PASSES_TD
