//===- StatisticsOps.td - what scales are derived from -*- tablegen -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_DIALECT_QUANTSTE_IR_STATISTICSOPS_TD
#define QUANT_STE_DIALECT_QUANTSTE_IR_STATISTICSOPS_TD

include "quant_ste/Dialect/QuantSTE/IR/QuantSTEBase.td"

def QuantSTE_First : QuantSTE_GradientWord<"First", "first",
    "to the first element, in row-major order, that has the extremum">;
def QuantSTE_Shared : QuantSTE_GradientWord<"Shared", "shared",
    "in equal parts to all elements that have the extremum">;

/// An extremum over the dimensions of x that are not in `axes`; kind is a case
/// of the C++ enum Extremum.
class QuantSTE_ExtremumOp<string mnemonic, string kind>
    : QuantSTE_Op<mnemonic, [Pure]> {
  let arguments = (ins RankedTensorOf<[QuantSTE_Float]>:$x,
                       OptionalAttr<DenseI64ArrayAttr>:$axes,
                       QuantSTE_Grad:$grad);
  let results = (outs RankedTensorOf<[QuantSTE_Float]>:$y);
  let assemblyFormat = [{
    $x (`axes` `(` $axes^ `)`)? custom<Grad>($grad) attr-dict
    `:` type($x) `->` type($y)
  }];
  let extraClassDeclaration = [{
    static ::mlir::quant_ste::Extremum getExtremum() {
      return ::mlir::quant_ste::Extremum::}] # kind # [{;
    }
    /// Where an element of x goes: onto the dimensions in `axes`.
    ::mlir::AffineMap getResultMap() {
      return getAxesMap(getX().getType(), getAxes());
    }
  }];
  let extraClassDefinition = [{
    ::llvm::LogicalResult $cppClass::verify() { return verifyExtremum(*this); }
  }];
  let hasVerifier = 1;
}

def QuantSTE_AbsMaxOp : QuantSTE_ExtremumOp<"absmax", "absmax"> {
  let summary = "the largest magnitude";
  let description = [{
    `y = max abs(x)` over the dimensions that `axes` does not list: no axes, one
    value for the whole tensor. NaN if any element is; +0 over nothing.

    The gradient goes to one element, `grad(first)`, as torch.max over a
    dimension and Brevitas' AbsMax per channel have it, or to all that have the
    extremum in equal parts, `grad(shared)`, as torch.amax and AbsMax over the
    whole tensor have it: `dx = dy sgn0(x)`, 0 at x = 0. A NaN gets none.

    ```mlir
    %m = quant_ste.absmax %w axes([0]) grad(first) : tensor<64x128xf32> -> tensor<64xf32>
    ```
  }];
}

def QuantSTE_MaximumOp : QuantSTE_ExtremumOp<"maximum", "maximum"> {
  let summary = "the largest element";
  let description = [{
    As `absmax`, of x itself: -inf over nothing, `dx = dy`.

    ```mlir
    %m = quant_ste.maximum %x grad(shared) : tensor<?x?xf32> -> tensor<f32>
    ```
  }];
}

def QuantSTE_MinimumOp : QuantSTE_ExtremumOp<"minimum", "minimum"> {
  let summary = "the smallest element";
  let description = [{
    As `maximum`: +inf over nothing.

    ```mlir
    %m = quant_ste.minimum %x grad(shared) : tensor<?x?xf32> -> tensor<f32>
    ```
  }];
}

#endif // QUANT_STE_DIALECT_QUANTSTE_IR_STATISTICSOPS_TD
