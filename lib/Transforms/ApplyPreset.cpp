//===- ApplyPreset.cpp - the words that reproduce a library -----*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/IR/TypeUtilities.h"

namespace mlir::quant_ste {
#define GEN_PASS_DEF_QUANTSTEAPPLYPRESETPASS
#include "quant_ste/Transforms/Passes.h.inc"
} // namespace mlir::quant_ste

using namespace mlir;
using namespace mlir::quant_ste;

namespace {
enum class Masks : uint8_t { select, multiply };
enum class Bits : uint8_t { same, near }; ///< near: but for a few ULPs

/// An op as one library has it.
struct Form {
  StringRef op, grad; ///< as written: the mnemonic and the gradient word
  Masks masks = Masks::select;
  Bits bits = Bits::same;
  StringRef becomes = {}; ///< the gradient word that reproduces it, if another
  StringRef unit = {};    ///< a unit attribute that it sets
};

struct Library {
  StringRef name;
  /// Whether each step is rounded to f16 or bf16; else f32 is computed in.
  bool isStepwise;
  ArrayRef<Form> forms;
  /// What else the library does not have; empty when it has this op.
  std::string (*refuses)(Operation *);
};
} // namespace

static constexpr Form kBrevitas[] = {
    {"round", "ste"},
    {"floor", "ste"},
    {"ceil", "ste"},
    {"round_to_zero", "ste"},
    {"dpu_round", "ste"},
    {"binary_sign", "ste"},
    {"ternary_sign", "ste"},
    {"abs_binary_sign_grad", "binary_sign"},
    {"scalar_clamp", "ste"},
    {"scalar_clamp_min", "ste"},
    {"scalar_signed_clamp_min", "ste"},
    {"tensor_clamp", "ste"},
    {"tensor_clamp", "exact"},
    {"max_int", "exact", Masks::select, Bits::near},
    {"min_int", "exact", Masks::select, Bits::near},
    {"max_uint", "exact", Masks::select, Bits::near},
    {"int_quant", "clipped", Masks::select, Bits::same, "unfused"},
    {"int_quant", "unfused"},
    {"decoupled_int_quant", "clipped", Masks::select, Bits::same, "unfused"},
    {"decoupled_int_quant", "unfused"},
    {"trunc_int_quant", "clipped", Masks::select, Bits::same, "unfused"},
    {"trunc_int_quant", "unfused"},
    {"binary_quant", "ste"},
    {"clamped_binary_quant", "clipped", Masks::select, Bits::same, "unfused"},
    {"clamped_binary_quant", "unfused"},
    {"ternary_quant", "ste", Masks::multiply},
    {"float_quant", "exponent", Masks::select, Bits::near},
    {"power_of_two", "ste", Masks::select, Bits::near},
    {"mx_scale", "ste", Masks::select, Bits::near, {}, "brevitas"},
    {"exp2", "exact", Masks::select, Bits::near},
    {"moving_average", "detached", Masks::select, Bits::same, {}, "weighted"},
};

static constexpr Form kBitorch[] = {
    {"binary_sign", "ste", Masks::select, Bits::same, {}, "nan_positive"},
    {"binary_sign",
     "approx_sign",
     Masks::multiply,
     Bits::same,
     {},
     "nan_positive"},
    {"binary_sign", "swish", Masks::select, Bits::near, {}, "nan_positive"},
    {"heaviside", "window", Masks::multiply},
    {"progressive_sign", "ste"},
    {"dorefa", "ste"},
    {"dorefa_weight", "ste", Masks::select, Bits::near},
    {"pact", "pact", Masks::multiply},
};

static constexpr Form kTorch[] = {
    {"fake_quantize", "clipped", Masks::multiply},
    {"learnable_fake_quantize", "clipped", Masks::select, Bits::same,
     "unfused"},
    {"learnable_fake_quantize", "unfused"},
    {"choose_qparams_scale", "detached"},
    {"choose_qparams_zero_point", "detached"},
    {"moving_average", "detached"},
    {"softplus", "exact", Masks::select, Bits::near},
};

static bool isNarrow(Operation *op) {
  return getElementTypeOrSelf(op->getOperand(0)).getIntOrFloatBitWidth() < 32;
}

static std::string refusedByBrevitas(Operation *op) {
  if (auto sign = dyn_cast<BinarySignOp>(op); sign && sign.getNanPositive())
    return "'nan_positive', which is bitorch's";
  if (isNarrow(op) && isa<TernaryQuantOp>(op))
    return "a narrow result: the library's is f32";
  return {};
}

static std::string refusedByBitorch(Operation *op) {
  auto heaviside = dyn_cast<HeavisideOp>(op);
  if (!heaviside)
    return {};
  DictionaryAttr window = heaviside.getGrad().getParameters();
  if (cast<FloatAttr>(window.get("low")).getValueAsDouble() != -1.0 ||
      cast<FloatAttr>(window.get("high")).getValueAsDouble() != 1.0)
    return "this window: the library's is [-1, 1]";
  if (isNarrow(op))
    return "a narrow result: the library's is f32";
  return {};
}

static std::string refusedByTorch(Operation *op) {
  Type element = getElementTypeOrSelf(op->getOperand(0));
  if (element.isF64() && isa<FakeQuantizeOp>(op))
    return "f64: the library rounds 1 / scale to f32";
  if (!element.isF32() && isa<LearnableFakeQuantizeOp, ChooseQParamsScaleOp,
                              ChooseQParamsZeroPointOp, MovingAverageOp>(op))
    return "any element type but f32";
  return {};
}

static const Library *findLibrary(StringRef name) {
  static const Library libraries[] = {
      {"brevitas", true, kBrevitas, refusedByBrevitas},
      {"bitorch", true, kBitorch, refusedByBitorch},
      {"torch", false, kTorch, refusedByTorch}};
  const Library *found = llvm::find_if(
      libraries, [&](const Library &library) { return library.name == name; });
  return found == std::end(libraries) ? nullptr : found;
}

/// The library's form of an op, or what it is without.
static FailureOr<Form> findForm(const Library &library,
                                GradientRuleInterface op, std::string &lack) {
  StringRef mnemonic = op->getName().stripDialect();
  StringRef word = op->getAttrOfType<GradientAttrInterface>("grad").getWord();
  std::string words;
  for (const Form &form : library.forms) {
    if (form.op != mnemonic)
      continue;
    if (form.grad == word) {
      lack = library.refuses(op);
      if (lack.empty())
        return form;
      return failure();
    }
    words += (words.empty() ? "" : " and ") + ("'" + form.grad + "'").str();
  }
  lack = words.empty()
             ? "this op"
             : ("gradient rule '" + word + "', it has " + words).str();
  return failure();
}

/// A parameter that is rounded to the data's type before the first step, if the
/// library rounds each step to that type.
static bool hasWiderParameter(Operation *op) {
  Type data = getElementTypeOrSelf(op->getOperand(0));
  return llvm::any_of(op->getOperandTypes(), [&](Type type) {
    return getElementTypeOrSelf(type) != data;
  });
}

static void setUnit(Operation *op, StringRef name, bool on) {
  if (on)
    op->setAttr(name, UnitAttr::get(op->getContext()));
  else
    op->removeAttr(name);
}

static void setWords(const Library &library, const Form &form, Operation *op) {
  MLIRContext *ctx = op->getContext();
  setUnit(op, "stepwise", library.isStepwise && isNarrow(op));
  setUnit(op, "multiply_masks", form.masks == Masks::multiply);
  if (form.becomes == "unfused")
    op->setAttr("grad", UnfusedAttr::get(ctx));
  if (!form.unit.empty())
    setUnit(op, form.unit, true);
  if (auto average = dyn_cast<MovingAverageOp>(op))
    average.setWeighted(form.unit == "weighted");
  if (auto quantize = dyn_cast<FakeQuantizeOp>(op))
    quantize.setScaling(Scaling::reciprocal);
}

namespace {
struct ApplyPresetPass
    : quant_ste::impl::QuantSTEApplyPresetPassBase<ApplyPresetPass> {
  using QuantSTEApplyPresetPassBase::QuantSTEApplyPresetPassBase;

  void runOnOperation() override {
    StringRef name = this->library;
    const Library *found = findLibrary(name);
    if (!found) {
      getOperation()->emitError("expected library 'brevitas', 'bitorch' or "
                                "'torch', got '")
          << name << "'";
      return signalPassFailure();
    }
    bool refused = false;
    getOperation()->walk([&](GradientRuleInterface op) {
      // Rules of one's own say their arithmetic themselves.
      if (!isa<CustomOp, ApplyOp>(op))
        refused |= failed(apply(*found, op));
    });
    if (refused)
      signalPassFailure();
  }

private:
  LogicalResult apply(const Library &library, GradientRuleInterface op) {
    std::string lack;
    FailureOr<Form> form = findForm(library, op, lack);
    if (succeeded(form) && library.isStepwise && isNarrow(op) &&
        hasWiderParameter(op)) {
      lack = "parameters wider than its data: 'stepwise' rounds them";
      form = failure();
    }
    if (failed(form)) {
      InFlightDiagnostic diag = partial ? op->emitRemark() : op->emitError();
      diag << library.name << " does not have " << lack;
      return success(partial);
    }
    setWords(library, *form, op);
    if (form->bits == Bits::near)
      op->emitRemark() << library.name
                       << " may differ in the last bits: it computes this with "
                          "other elementary functions or in another order";
    return success();
  }
};
} // namespace
