//===- QuantSTEBase.td - dialect, types and op families -*- tablegen -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_DIALECT_QUANTSTE_IR_QUANTSTEBASE_TD
#define QUANT_STE_DIALECT_QUANTSTE_IR_QUANTSTEBASE_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "quant_ste/Interfaces/DifferentiableOpInterfaces.td"
include "quant_ste/Interfaces/GradientAttrInterface.td"
include "quant_ste/Interfaces/GradientRuleInterface.td"

def QuantSTE_Dialect : Dialect {
  let name = "quant_ste";
  let cppNamespace = "::mlir::quant_ste";
  let summary = "Fake quantizers with declared gradients";
  let description = [{
    Quantization-aware training replaces the true derivative of a quantizer,
    zero almost everywhere, by a surrogate. Each op of this dialect is a
    quantizer together with its gradient rule, which it prints as a word:
    `grad(ste)`, `grad(clipped)`, `grad(pact)`.

    Shapes. The first operand `x` is a ranked float tensor of any rank or a
    plain float; the result has its type. Every further operand is a parameter:
    `axes([...])` after it lists the dimensions of `x` that its own dimensions
    run along, in ascending order. No axes: one value for the whole tensor (a
    rank-0 tensor or a plain float). `axes([1])`: one value per channel.
    `axes([0, 1])` on `x : [N, C, H]`: one per sample and channel. Its gradient
    is the sum over all other dimensions.

    Types. f16, bf16, f32, f64; parameters have the data's type or f32. f16 and
    bf16 are computed in f32 and rounded once to the result's type; f32 and f64
    are computed as they are. Each operation rounds once, to nearest, ties to
    even; nothing is contracted or reassociated. Gradients of parameters are
    accumulated in the compute type and rounded once to the parameter's type.

    Comparisons are false on NaN. A masked gradient is selected, never
    multiplied: a clipped element gets exactly 0, whatever the cotangent.

    Two words that every op takes reproduce libraries that do otherwise:
    `stepwise` rounds each step to the data's type (Brevitas and bitorch in f16
    and bf16; sums are accumulated in f32 all the same), `multiply_masks`
    multiplies by masks (torch, bitorch), so that an infinite cotangent makes NaN
    of a clipped element.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::tensor::TensorDialect"];
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 1;
  let hasOperationAttrVerify = 1;
  let extraClassDeclaration = [{
    /// Adds the ops; apart from initialize() because it instantiates the rules.
    void registerOps();
  }];
}

//===----------------------------------------------------------------------===//
// Gradient words
//===----------------------------------------------------------------------===//

/// `numbers` are the word's own parameters, finite numbers printed in
/// parentheses: grad(swish(5.0)).
class QuantSTE_GradientWord<string name, string word, string summary_,
                            list<string> numbers = [], bit isLinear = 1>
    : AttrDef<QuantSTE_Dialect, name, [
        DeclareAttrInterfaceMethods<QuantSTE_GradientAttrInterface, [
          "getParameters", "isLinear"]>]> {
  let mnemonic = word;
  let summary = summary_;
  let parameters = !dag(ins, !foreach(n, numbers, "::mlir::FloatAttr"), numbers);
  let assemblyFormat = !if(!empty(numbers), ?,
      "`(` " # !interleave(!foreach(n, numbers, "custom<Number>($" # n # ")"),
                           " `,` ") # " `)`");
  let genVerifyDecl = !not(!empty(numbers));
  let extraClassDefinition = [{
    ::llvm::StringRef $cppClass::getWord() const { return getMnemonic(); }
    bool $cppClass::isLinear() const { return }] # isLinear # [{; }
    ::mlir::DictionaryAttr $cppClass::getParameters() const {
      ::mlir::Builder b(getContext());
      return b.getDictionaryAttr({}] #
      !interleave(!foreach(n, numbers, "b.getNamedAttr(\"" # n #
          "\", getImpl()->" # n # ")"), ", ") # "}" # [{);
    }
  }] # !if(!empty(numbers), "", [{
    ::llvm::LogicalResult $cppClass::verify(
        ::llvm::function_ref<::mlir::InFlightDiagnostic()> emitError, }] #
        !interleave(!foreach(n, numbers, "::mlir::FloatAttr " # n), ", ") # [{) {
      return verifyNumbers(emitError, getMnemonic(), {}] #
      !interleave(numbers, ", ") # "}" # [{);
    }
  }]);
}

def QuantSTE_STE : QuantSTE_GradientWord<"STE", "ste",
    "straight-through: the cotangent passes unchanged (Bengio et al. 2013)">;
def QuantSTE_Exact : QuantSTE_GradientWord<"Exact", "exact",
    "the true derivative">;
def QuantSTE_Clipped : QuantSTE_GradientWord<"Clipped", "clipped",
    "straight-through inside the range, zero where the value was clipped">;
def QuantSTE_Unfused : QuantSTE_GradientWord<"Unfused", "unfused",
    "as clipped, computed step by step like the library's graph: dx = (dy s) / s">;
def QuantSTE_Window : QuantSTE_GradientWord<"Window", "window",
    "straight-through on the closed interval [low, high], zero outside; on "
    "[-1, 1] the hard tanh of binarized networks (Courbariaux et al. 2016, "
    "arXiv:1602.02830)", ["low", "high"]>;
def QuantSTE_OpenWindow : QuantSTE_GradientWord<"OpenWindow", "open_window",
    "straight-through on the open interval (low, high), zero outside",
    ["low", "high"]>;
def QuantSTE_ApproxSign : QuantSTE_GradientWord<"ApproxSign", "approx_sign",
    "the cotangent times 2 - 2|x| on [-1, 1], zero outside (Bi-Real Net, Liu et "
    "al. 2018, arXiv:1808.00278)">;
def QuantSTE_Swish : QuantSTE_GradientWord<"Swish", "swish",
    "the derivative of SignSwish, beta (2 - beta x tanh(beta x / 2)) / "
    "(1 + cosh(beta x)) (BNN+, Darabi et al. 2018, arXiv:1812.11800)",
    ["beta"]>;
def QuantSTE_Tanh : QuantSTE_GradientWord<"Tanh", "tanh",
    "the derivative of tanh(k x), k (1 - tanh(k x)^2)", ["k"]>;
def QuantSTE_Sigmoid : QuantSTE_GradientWord<"Sigmoid", "sigmoid",
    "the derivative of 2 sigmoid(k x) - 1, k/2 (1 - tanh(k x / 2)^2)", ["k"]>;
def QuantSTE_EWGS : QuantSTE_GradientWord<"EWGS", "ewgs",
    "element-wise gradient scaling, dy (1 + delta sign(dy) (x - y)) (Lee et al. "
    "2021, arXiv:2104.00903); not linear in dy", ["delta"], 0>;
def QuantSTE_DoReFa : QuantSTE_GradientWord<"DoReFa", "dorefa",
    "as published: Zhou et al. 2016, arXiv:1606.06160">;
def QuantSTE_BinarySign : QuantSTE_GradientWord<"BinarySign", "binary_sign",
    "the cotangent times binary_sign(x)">;
def QuantSTE_Pact : QuantSTE_GradientWord<"Pact", "pact",
    "PACT: dx on [0, alpha], dalpha on x >= alpha">;
def QuantSTE_PactPaper : QuantSTE_GradientWord<"PactPaper", "pact_paper",
    "PACT as published: dx on [0, alpha), dalpha on x >= alpha (Choi et al. "
    "2018, arXiv:1805.06085)">;
def QuantSTE_LSQ : QuantSTE_GradientWord<"LSQ", "lsq",
    "learned step size: dx on the open range (Esser et al. 2020, "
    "arXiv:1902.08153)">;
def QuantSTE_LSQInclusive : QuantSTE_GradientWord<"LSQInclusive",
    "lsq_inclusive",
    "learned step size, dx on the closed range: what differentiating "
    "torch.clamp gives">;
def QuantSTE_TQT : QuantSTE_GradientWord<"TQT", "tqt",
    "trained thresholds (Jain et al. 2020, arXiv:1903.08066)">;

/// Any attribute that names a gradient rule; printed and parsed as grad(word).
def QuantSTE_Grad : Attr<
    CPred<"::llvm::isa<::mlir::quant_ste::GradientAttrInterface>($_self)">,
    "gradient rule"> {
  let storageType = "::mlir::quant_ste::GradientAttrInterface";
  let returnType = "::mlir::quant_ste::GradientAttrInterface";
  let convertFromStorage = "$_self";
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

def QuantSTE_Float : AnyTypeOf<[F16, BF16, F32, F64]>;
def QuantSTE_Data : AnyTypeOf<
    [RankedTensorOf<[QuantSTE_Float]>, F16, BF16, F32, F64],
    "f16, bf16, f32 or f64, as a ranked tensor or plain">;

//===----------------------------------------------------------------------===//
// Op families
//===----------------------------------------------------------------------===//

class QuantSTE_Op<string mnemonic, list<Trait> traits = []>
    : Op<QuantSTE_Dialect, mnemonic, traits>;

/// The C++ trait RuleOp<rule> (RuleOp.h) has the interface methods; so the
/// interfaces are listed plainly, without DeclareOpInterfaceMethods.
class QuantSTE_ImplementsRule<string rule>
    : ParamNativeOpTrait<"RuleOp", rule> {
  let cppNamespace = "::mlir::quant_ste";
}

/// An elementwise op of any dialect whose math is the C++ class `rule`.
/// `parameters` are the operands after x; each gets an optional attribute
/// `<name>_axes`. `attributes` and `words` (their assembly) are the op's own.
class QuantSTE_DialectRuleOp<Dialect dialect, string mnemonic, string rule,
                             list<string> parameters = [],
                             dag attributes = (ins), string words = "",
                             string data = "x">
    : Op<dialect, mnemonic, [
        Pure, AllTypesMatch<[data, "y"]>, QuantSTE_ImplementsRule<rule>,
        QuantSTE_GradientRuleInterface, QuantSTE_VjpOpInterface,
        QuantSTE_JvpOpInterface]> {
  let arguments = !con(
      !dag(ins, [QuantSTE_Data], [data]),
      !dag(ins, !foreach(p, parameters, QuantSTE_Data), parameters),
      !dag(ins, !foreach(p, parameters, OptionalAttr<DenseI64ArrayAttr>),
           !foreach(p, parameters, p # "_axes")),
      attributes, (ins UnitAttr:$stepwise, UnitAttr:$multiply_masks,
                       QuantSTE_Grad:$grad));
  let results = (outs QuantSTE_Data:$y);
  let assemblyFormat = "$" # data # " " #
      !interleave(!foreach(p, parameters,
          "`,` $" # p # " (`axes` `(` $" # p # "_axes^ `)`)?"), " ") #
      " " # words # [{ (`stepwise` $stepwise^)?
          (`multiply_masks` $multiply_masks^)?}] # " custom<Grad>($grad) attr-dict `:` type($" # data # ")" #
      !interleave(!foreach(p, parameters, "`,` type($" # p # ")"), " ");
  let extraClassDeclaration = [{
    /// The operands' names, as diagnostics and the `<name>_axes` attributes use them.
    static ::llvm::ArrayRef<::llvm::StringRef> getOperandNames() {
      static const ::llvm::StringRef names[] = }] # "{\"" #
      !interleave(!listconcat([data], parameters), "\", \"") # "\"}" # [{;
      return names;
    }
  }];
}

/// One of this dialect; the rule is a class in quant_ste/Rules.
class QuantSTE_RuleOp<string mnemonic, string rule,
                      list<string> parameters = [],
                      dag attributes = (ins), string words = "",
                      string data = "x">
    : QuantSTE_DialectRuleOp<QuantSTE_Dialect, mnemonic,
                             "::mlir::quant_ste::rules::" # rule, parameters,
                             attributes, words, data>;

#endif // QUANT_STE_DIALECT_QUANTSTE_IR_QUANTSTEBASE_TD
