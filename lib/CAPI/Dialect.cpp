//===- Dialect.cpp - the dialect for MLIR's C API ---------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste-c/Dialect.h"

#include "mlir/AsmParser/AsmParser.h"
#include "mlir/CAPI/IR.h"
#include "mlir/CAPI/Registration.h"
#include "mlir/CAPI/Support.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Pass/PassManager.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"
#include "quant_ste/InitAll.h"
#include "quant_ste/Transforms/Passes.h"
#include "llvm/Support/Format.h"

using namespace mlir;
using namespace mlir::quant_ste;

MLIR_DEFINE_CAPI_DIALECT_REGISTRATION(QuantSTE, quant_ste, QuantSTEDialect)

void quantSteRegisterAllDialects(MlirDialectRegistry registry) {
  registerAllDialects(*unwrap(registry));
}
void quantSteRegisterAllPasses() { registerAllPasses(); }
void quantSteRegisterAllPipelines() { registerAllPipelines(); }

MlirLogicalResult quantSteDifferentiate(MlirModule module) {
  ModuleOp op = unwrap(module);
  PassManager pm(op.getContext());
  pm.addPass(createQuantSTEDifferentiatePass());
  return wrap(pm.run(op));
}

MlirAttribute quantSteGradientAttrGet(MlirLocation location, MlirStringRef word,
                                      intptr_t numNumbers,
                                      const double *numbers) {
  Location loc = unwrap(location);
  MLIRContext *ctx = loc.getContext();
  ctx->getOrLoadDialect<QuantSTEDialect>();
  // Words are records of TableGen; the parser knows them all.
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "#quant_ste<" << unwrap(word);
  if (numNumbers) {
    os << '(';
    llvm::interleaveComma(ArrayRef(numbers, numNumbers), os, [&](double value) {
      os << llvm::format("%.17e", value);
    });
    os << ')';
  }
  os << '>';
  Attribute attr;
  {
    // The message speaks of a text that nobody wrote.
    bool isWrong = false;
    ScopedDiagnosticHandler quiet(ctx, [&](Diagnostic &) {
      isWrong = true;
      return success();
    });
    attr = parseAttribute(text, ctx);
    if (isWrong)
      attr = {};
  }
  // A word without numbers does not see those that follow it.
  auto gradient = dyn_cast_if_present<GradientAttrInterface>(attr);
  if (gradient &&
      gradient.getParameters().size() == static_cast<size_t>(numNumbers))
    return wrap(attr);
  emitError(loc) << "expected a gradient word with its numbers, got '"
                 << StringRef(text).drop_front(11).drop_back() << "'";
  return wrap(Attribute());
}

bool quantSteAttributeIsAGradient(MlirAttribute attribute) {
  return isa_and_nonnull<GradientAttrInterface>(unwrap(attribute));
}
MlirStringRef quantSteGradientAttrGetWord(MlirAttribute gradient) {
  return wrap(cast<GradientAttrInterface>(unwrap(gradient)).getWord());
}
bool quantSteGradientAttrIsLinear(MlirAttribute gradient) {
  return cast<GradientAttrInterface>(unwrap(gradient)).isLinear();
}
double quantSteGradientAttrGetNumber(MlirAttribute gradient,
                                     MlirStringRef name) {
  auto number = cast<GradientAttrInterface>(unwrap(gradient))
                    .getParameters()
                    .getAs<FloatAttr>(unwrap(name));
  return number ? number.getValueAsDouble()
                : std::numeric_limits<double>::quiet_NaN();
}

bool quantSteTypeIsDifferentiable(MlirType type) {
  return isDifferentiable(unwrap(type));
}
