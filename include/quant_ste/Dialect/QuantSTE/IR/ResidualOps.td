//===- ResidualOps.td - what a backward keeps -*- tablegen -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_DIALECT_QUANTSTE_IR_RESIDUALOPS_TD
#define QUANT_STE_DIALECT_QUANTSTE_IR_RESIDUALOPS_TD

include "quant_ste/Dialect/QuantSTE/IR/QuantSTEBase.td"

def QuantSTE_ResidualOp : QuantSTE_Op<"residual", [
    Pure, SameOperandsAndResultType]> {
  let summary = "a value that the forward keeps for the backward";
  let description = [{
    The operand. What is computed from the result belongs to the backward
    function, all else that sees no cotangent to the forward one:
    quant-ste-plan-residuals puts these ops in, quant-ste-split cuts there. It
    is no copy; where nothing is split, convert-quant-ste-to-linalg drops it.
    `alive` says that the caller has the value anyway, as an argument or a
    result of the forward, and need not be given it for this.

    ```mlir
    %k = quant_ste.residual %mask : tensor<?x1xi8>
    %w = quant_ste.residual %arg1 alive : tensor<4x8xf32>
    ```
  }];
  let arguments = (ins AnyType:$x, UnitAttr:$alive);
  let results = (outs AnyType:$y);
  let assemblyFormat = "$x (`alive` $alive^)? attr-dict `:` type($x)";
}

def QuantSTE_PackBitsOp : QuantSTE_Op<"pack_bits", [Pure]> {
  let summary = "eight booleans to the byte";
  let description = [{
    The last dimension, or the last `row_dims` dimensions together, are a row
    of n booleans in row-major order; they become one dimension of `ceil(n/8)`
    bytes. Each row starts on a byte of its own; its element `8 j + k` is the
    bit of value `2^k` of byte j, as numpy.packbits has it with `axis=-1,
    bitorder='little'`. The bits after the row's end are 0. Thus the layout
    depends on the shape and `row_dims` alone, not on the loops that write it.
    Only the first dimension of a row may be dynamic.

    In linalg it is a result of a generic over the booleans that is indexed by
    `n floordiv 8`; it fuses with what computes them, and quant-ste-vectorize
    makes moves of mask registers of it, so that they never are in memory as
    bytes.

    ```mlir
    %p = quant_ste.pack_bits %m : tensor<?x12xi1> -> tensor<?x2xi8>
    %p = quant_ste.pack_bits %m row_dims(2) : tensor<?x7x7xi1> -> tensor<?x7xi8>
    ```
  }];
  let arguments = (ins Non0RankedTensorOf<[I1]>:$x,
                       DefaultValuedAttr<I64Attr, "1">:$row_dims);
  let results = (outs Non0RankedTensorOf<[I8]>:$packed);
  let assemblyFormat = [{
    $x (`row_dims` `(` $row_dims^ `)`)? attr-dict `:` type($x) `->`
    type($packed)
  }];
  let hasFolder = 1;
  let hasVerifier = 1;
}

def QuantSTE_UnpackBitsOp : QuantSTE_Op<"unpack_bits", [Pure]> {
  let summary = "booleans from the bits of bytes";
  let description = [{
    The inverse of `pack_bits`; bits after a row's end are ignored. `size` has
    the size of the first dimension of a row if that is dynamic; it must fit
    the bytes: `ceil(n/8)` of them.

    ```mlir
    %m = quant_ste.unpack_bits %p : tensor<?x2xi8> -> tensor<?x12xi1>
    %m = quant_ste.unpack_bits %p size(%n) : tensor<?x?xi8> -> tensor<?x?xi1>
    %m = quant_ste.unpack_bits %p size(%n) row_dims(2) : tensor<?xi8> -> tensor<?x12xi1>
    ```
  }];
  let arguments = (ins Non0RankedTensorOf<[I8]>:$packed,
                       Optional<Index>:$size,
                       DefaultValuedAttr<I64Attr, "1">:$row_dims);
  let results = (outs Non0RankedTensorOf<[I1]>:$x);
  let assemblyFormat = [{
    $packed (`size` `(` $size^ `)`)? (`row_dims` `(` $row_dims^ `)`)? attr-dict
    `:` type($packed) `->` type($x)
  }];
  let hasFolder = 1;
  let hasVerifier = 1;
}

#endif // QUANT_STE_DIALECT_QUANTSTE_IR_RESIDUALOPS_TD
