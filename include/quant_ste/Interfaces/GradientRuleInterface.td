//===- GradientRuleInterface.td - an op's math on scalars ------*- tablegen -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_INTERFACES_GRADIENTRULEINTERFACE_TD
#define QUANT_STE_INTERFACES_GRADIENTRULEINTERFACE_TD

include "mlir/IR/OpBase.td"

def QuantSTE_GradientRuleInterface : OpInterface<"GradientRuleInterface"> {
  let cppNamespace = "::mlir::quant_ste";
  let description = [{
    An elementwise op with a declared gradient, described on scalars.

    Contract:
    * Operand 0 (the data) spans the iteration space with the identity map.
      Every other operand's map is a projection of it: read forwards a
      broadcast, read backwards the reduction of that operand's gradient.
    * Operands are ranked float tensors or plain floats. When operand 0 is a
      plain float, all operands and results are, and all maps are `() -> ()`.
    * Scalars passed in and handed out have the type `getComputeType()`; the
      caller widens and rounds.
    * `emitVjp` gives one value per operand and a null Value where the gradient
      is zero; a null cotangent means zero. `getFootprint` agrees with it: an
      operand whose kind is Zero gets a null Value.
    * `emitJvp` gives one value per result; a null tangent means zero. It fails
      when the rule is not linear in the cotangent.
    * `evaluate...` computes the same functions on constants, one IEEE rounding
      per operation, bit for bit what the emitted code computes. Where it cannot
      (the emitted code calls a math library), and for `evaluateJvp` where the
      rule is not linear in the cotangent, it fails, and says why through
      `emitError` unless that is null.
  }];
  let methods = [
    InterfaceMethod<"The indexing map of each operand.",
      "::llvm::SmallVector<::mlir::AffineMap>", "getOperandMaps">,
    InterfaceMethod<"The indexing map of each result.",
      "::llvm::SmallVector<::mlir::AffineMap>", "getResultMaps">,
    InterfaceMethod<"The float type in which the scalars are computed.",
      "::mlir::FloatType", "getComputeType">,
    InterfaceMethod<"Emits the forward function: one scalar per result.",
      "::llvm::SmallVector<::mlir::Value>", "emitForward",
      (ins "::mlir::ImplicitLocOpBuilder &":$b, "::mlir::ValueRange":$scalars)>,
    InterfaceMethod<"Emits the cotangent of each operand.",
      "::llvm::SmallVector<::mlir::Value>", "emitVjp",
      (ins "::mlir::ImplicitLocOpBuilder &":$b, "::mlir::ValueRange":$scalars,
           "::mlir::ValueRange":$results,
           "::llvm::ArrayRef<::mlir::Value>":$cotangents)>,
    InterfaceMethod<"Emits the tangent of each result.",
      "::mlir::FailureOr<::llvm::SmallVector<::mlir::Value>>", "emitJvp",
      (ins "::mlir::ImplicitLocOpBuilder &":$b, "::mlir::ValueRange":$scalars,
           "::mlir::ValueRange":$results,
           "::llvm::ArrayRef<::mlir::Value>":$tangents)>,
    InterfaceMethod<"The kind of each operand's gradient and the primal values it reads.",
      "::llvm::SmallVector<::mlir::quant_ste::PartialFootprint>", "getFootprint">,
    InterfaceMethod<"Forward on constants of the compute type.",
      "::mlir::FailureOr<::llvm::SmallVector<::llvm::APFloat>>",
      "evaluateForward",
      (ins "::llvm::ArrayRef<::llvm::APFloat>":$scalars,
           "::mlir::quant_ste::EmitErrorFn":$emitError)>,
    InterfaceMethod<"Cotangent of each operand on constants; a zero gradient is +0.",
      "::mlir::FailureOr<::llvm::SmallVector<::llvm::APFloat>>", "evaluateVjp",
      (ins "::llvm::ArrayRef<::llvm::APFloat>":$scalars,
           "::llvm::ArrayRef<::llvm::APFloat>":$cotangents,
           "::mlir::quant_ste::EmitErrorFn":$emitError)>,
    InterfaceMethod<"Tangent of each result on constants; no tangent means zero.",
      "::mlir::FailureOr<::llvm::SmallVector<::llvm::APFloat>>", "evaluateJvp",
      (ins "::llvm::ArrayRef<::llvm::APFloat>":$scalars,
           "::llvm::ArrayRef<::std::optional<::llvm::APFloat>>":$tangents,
           "::mlir::quant_ste::EmitErrorFn":$emitError)>,
    InterfaceMethod<[{
        Reports what is defined but surely not meant, given the constants known
        for each operand (empty: unknown).}],
      "void", "lint",
      (ins "::llvm::ArrayRef<::llvm::SmallVector<double>>":$constants,
           "::llvm::function_ref<void(const ::llvm::Twine &)>":$warn),
      [{}], [{}]>
  ];
}

#endif // QUANT_STE_INTERFACES_GRADIENTRULEINTERFACE_TD
