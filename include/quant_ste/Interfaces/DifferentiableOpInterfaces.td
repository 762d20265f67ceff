//===- DifferentiableOpInterfaces.td - reverse and forward mode -*- tablegen -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_INTERFACES_DIFFERENTIABLEOPINTERFACES_TD
#define QUANT_STE_INTERFACES_DIFFERENTIABLEOPINTERFACES_TD

include "mlir/IR/OpBase.td"

/// An op through which no derivative flows, whatever its operands.
def QuantSTE_StopsGradient : NativeOpTrait<"StopsGradient"> {
  let cppNamespace = "::mlir::quant_ste";
}

def QuantSTE_VjpOpInterface : OpInterface<"VjpOpInterface"> {
  let cppNamespace = "::mlir::quant_ste";
  let description = [{
    Reverse mode of one op on tensors or scalars: what `quant-ste-differentiate`
    asks of every op on the way back.

    Contract:
    * The op itself stands earlier in the same block; its operands and results
      are the primal values and may be read.
    * `cotangents[i]` belongs to result i and has its type; null means zero. At
      least one is not null.
    * The answer has one value per input, of that input's type; null means zero.
      `wanted[i]` is false when nobody asks for input i's gradient. The inputs
      are the operands; those of a DifferentiatesCapturesOpInterface also what
      its regions capture.
    * Sizes are taken from the cotangents, never from the primal values, so that
      a split backward does not keep a tensor alive for its shape.
    * On failure the op has emitted an error that says why.
  }];
  let methods = [
    InterfaceMethod<"Builds the gradient of each operand.",
      "::mlir::FailureOr<::llvm::SmallVector<::mlir::Value>>", "buildVjp",
      (ins "::mlir::OpBuilder &":$b,
           "::llvm::ArrayRef<::mlir::Value>":$cotangents,
           "::llvm::ArrayRef<bool>":$wanted)>
  ];
}

def QuantSTE_JvpOpInterface : OpInterface<"JvpOpInterface"> {
  let cppNamespace = "::mlir::quant_ste";
  let description = [{
    Forward mode of one op on tensors or scalars. `tangents[i]` belongs to
    input i (an operand or, as above, a capture) and has its type; null means zero, and at least one is not null.
    The answer has one value per result, of its type; null means zero. On
    failure the op has emitted an error that says why.
  }];
  let methods = [
    InterfaceMethod<"Builds the tangent of each result.",
      "::mlir::FailureOr<::llvm::SmallVector<::mlir::Value>>", "buildJvp",
      (ins "::mlir::OpBuilder &":$b,
           "::llvm::ArrayRef<::mlir::Value>":$tangents)>
  ];
}

def QuantSTE_DifferentiatesCapturesOpInterface
    : OpInterface<"DifferentiatesCapturesOpInterface"> {
  let cppNamespace = "::mlir::quant_ste";
  let description = [{
    An op whose models also take care of the values that its regions capture:
    they come after its operands, in the order of `getDifferentiableInputs`. Of
    any other op, what the regions capture counts as constant: differentiation
    refuses it where it captures an active value.
  }];
}

#endif // QUANT_STE_INTERFACES_DIFFERENTIABLEOPINTERFACES_TD
