//===- GradientAttrInterface.td - the word grad(...) says ------*- tablegen -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_INTERFACES_GRADIENTATTRINTERFACE_TD
#define QUANT_STE_INTERFACES_GRADIENTATTRINTERFACE_TD

include "mlir/IR/OpBase.td"

def QuantSTE_GradientAttrInterface : AttrInterface<"GradientAttrInterface"> {
  let cppNamespace = "::mlir::quant_ste";
  let description = [{
    Names a gradient rule: the attribute that an op prints as `grad(word)`.

    The set is open. An attribute of any dialect may implement this interface;
    an op (through its rule) says which words it accepts. A word may carry
    parameters of its own. `isLinear` states whether the rule is linear in the
    cotangent; only a linear rule has a forward mode (jvp).
  }];
  let methods = [
    InterfaceMethod<"The word printed between the parentheses of `grad(...)`.",
      "::llvm::StringRef", "getWord">,
    InterfaceMethod<"The rule's own parameters by name; empty for most words.",
      "::mlir::DictionaryAttr", "getParameters", (ins), [{}],
      [{ return ::mlir::DictionaryAttr::get($_attr.getContext()); }]>,
    InterfaceMethod<"Whether the rule is linear in the cotangent.",
      "bool", "isLinear", (ins), [{}], [{ return true; }]>
  ];
}

#endif // QUANT_STE_INTERFACES_GRADIENTATTRINTERFACE_TD
