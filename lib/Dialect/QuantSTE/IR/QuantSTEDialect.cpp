//===- QuantSTEDialect.cpp - attributes, types, assembly -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "QuantSTEBytecode.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Transforms/InliningUtils.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::quant_ste;

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTEDialect.cpp.inc"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTEEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTEAttrs.cpp.inc"

namespace {
/// Every op may be inlined anywhere: none depends on where it stands.
struct QuantSTEInliner : DialectInlinerInterface {
  using DialectInlinerInterface::DialectInlinerInterface;
  bool isLegalToInline(Operation *, Region *, bool, IRMapping &) const final {
    return true;
  }
  bool isLegalToInline(Region *, Region *, bool, IRMapping &) const final {
    return true;
  }
};
} // namespace

void QuantSTEDialect::initialize() {
  addInterfaces<QuantSTEInliner>();
  detail::addBytecodeInterface(this);
  registerOps();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTEAttrs.cpp.inc"
      >();
}

Operation *QuantSTEDialect::materializeConstant(OpBuilder &b, Attribute value,
                                                Type type, Location loc) {
  return arith::ConstantOp::materialize(b, value, type, loc);
}

/// A loop may say how its gradient saves memory: by a number or a word.
static LogicalResult verifyCheckpoint(Operation *op, NamedAttribute attr) {
  if (op->getName().getStringRef() != "scf.for")
    return op->emitOpError("expected '")
           << attr.getName().getValue() << "' on an scf.for";
  auto number = dyn_cast<IntegerAttr>(attr.getValue());
  auto word = dyn_cast<StringAttr>(attr.getValue());
  bool isNumber =
      number && number.getType().isSignlessInteger(64) && number.getInt() > 0;
  if (isNumber || (word && word.getValue() == "sqrt"))
    return success();
  return op->emitOpError("expected '")
         << attr.getName().getValue()
         << "' to be \"sqrt\" or a positive i64, got " << attr.getValue();
}

/// A function may name a rule of its own; quant-ste-differentiate looks it up
/// and checks its type.
LogicalResult QuantSTEDialect::verifyOperationAttribute(Operation *op,
                                                        NamedAttribute attr) {
  StringRef name = attr.getName();
  if (name == "quant_ste.checkpoint")
    return verifyCheckpoint(op, attr);
  bool isForward = name == "quant_ste.vjp_forward";
  if (name != "quant_ste.vjp" && name != "quant_ste.jvp" && !isForward)
    return success();
  if (!isa<FunctionOpInterface>(op))
    return op->emitOpError("expected '") << name << "' on a function";
  if (!isa<FlatSymbolRefAttr>(attr.getValue()))
    return op->emitOpError("expected '")
           << name << "' to name a function, as in " << name << " = @rule, got "
           << attr.getValue();
  if (isForward && !op->hasAttr("quant_ste.vjp"))
    return op->emitOpError("expected 'quant_ste.vjp' beside '")
           << name << "', to take its residuals";
  return success();
}

//===----------------------------------------------------------------------===//
// grad(word)
//===----------------------------------------------------------------------===//

ParseResult quant_ste::parseNumber(AsmParser &parser, FloatAttr &number) {
  double value;
  if (parser.parseFloat(value))
    return failure();
  number = parser.getBuilder().getF64FloatAttr(value);
  return success();
}

void quant_ste::printNumber(AsmPrinter &printer, FloatAttr number) {
  printer.printFloat(number.getValue());
}

LogicalResult
quant_ste::verifyNumbers(function_ref<InFlightDiagnostic()> emitError,
                         StringRef word, ArrayRef<FloatAttr> numbers) {
  for (FloatAttr number : numbers)
    if (!number.getType().isF64() || !number.getValue().isFinite())
      return emitError() << "expected a finite number of type f64 in '" << word
                         << "', got " << number;
  return success();
}

ParseResult quant_ste::parseGrad(OpAsmParser &parser,
                                 GradientAttrInterface &grad) {
  if (parser.parseKeyword("grad") || parser.parseLParen())
    return failure();
  SMLoc loc = parser.getCurrentLocation();
  Attribute attr;
  StringRef word;
  // Other dialects write #dialect.word; a bare word is one of this dialect's.
  OptionalParseResult result = parser.parseOptionalAttribute(attr);
  if (!result.has_value())
    result = generatedAttributeParser(parser, &word, Type(), attr);
  if (result.has_value() && failed(*result))
    return failure();
  grad = dyn_cast_if_present<GradientAttrInterface>(attr);
  if (!grad) {
    InFlightDiagnostic diag =
        parser.emitError(loc)
        << "expected a gradient rule, a word of quant_ste "
           "or an attribute of another dialect, got '";
    if (attr)
      return diag << attr << "'";
    return diag << word << "'";
  }
  return parser.parseRParen();
}

void quant_ste::printGrad(OpAsmPrinter &printer, Operation *,
                          GradientAttrInterface grad) {
  printer << "grad(";
  if (isa<QuantSTEDialect>(grad.getDialect())) {
    if (failed(generatedAttributePrinter(grad, printer)))
      printer << grad;
  } else {
    printer << grad;
  }
  printer << ")";
}

//===----------------------------------------------------------------------===//
// signed | unsigned
//===----------------------------------------------------------------------===//

ParseResult quant_ste::parseSignedness(OpAsmParser &parser,
                                       UnitAttr &isSigned) {
  StringRef word;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseOptionalKeyword(&word, {"signed", "unsigned"}))
    return parser.emitError(loc) << "expected 'signed' or 'unsigned'";
  if (word == "signed")
    isSigned = parser.getBuilder().getUnitAttr();
  return success();
}

void quant_ste::printSignedness(OpAsmPrinter &printer, Operation *,
                                UnitAttr isSigned) {
  printer << (isSigned ? "signed" : "unsigned");
}

//===----------------------------------------------------------------------===//
// rounding(word), scaling(word), zero_point(word)
//===----------------------------------------------------------------------===//

/// keyword(word), where the word is a case of the enum; absent: its first case.
template <class EnumAttr>
static ParseResult parseWord(OpAsmParser &parser, StringRef keyword,
                             unsigned last, EnumAttr &attr) {
  using Enum = decltype(attr.getValue());
  if (failed(parser.parseOptionalKeyword(keyword))) {
    attr = EnumAttr::get(parser.getContext(), Enum());
    return success();
  }
  StringRef word;
  if (parser.parseLParen())
    return failure();
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&word))
    return failure();
  if (std::optional<Enum> value = symbolizeEnum<Enum>(word)) {
    attr = EnumAttr::get(parser.getContext(), *value);
    return parser.parseRParen();
  }
  auto words = llvm::map_range(llvm::seq_inclusive(0u, last), [](unsigned i) {
    return stringifyEnum(static_cast<Enum>(i));
  });
  return parser.emitError(loc)
         << "expected a " << keyword << ", one of " << llvm::join(words, ", ")
         << ", got '" << word << "'";
}

ParseResult quant_ste::parseRounding(OpAsmParser &parser,
                                     RoundingAttr &rounding) {
  return parseWord(parser, "rounding", getMaxEnumValForRounding(), rounding);
}

void quant_ste::printRounding(OpAsmPrinter &printer, Operation *,
                              RoundingAttr rounding) {
  printer << "rounding(" << stringifyRounding(rounding.getValue()) << ")";
}

ParseResult quant_ste::parseScaling(OpAsmParser &parser, ScalingAttr &scaling) {
  return parseWord(parser, "scaling", getMaxEnumValForScaling(), scaling);
}

void quant_ste::printScaling(OpAsmPrinter &printer, Operation *,
                             ScalingAttr scaling) {
  printer << "scaling(" << stringifyScaling(scaling.getValue()) << ")";
}

ParseResult quant_ste::parseZeroPointPosition(OpAsmParser &parser,
                                              ZeroPointPositionAttr &position) {
  return parseWord(parser, "zero_point", getMaxEnumValForZeroPointPosition(),
                   position);
}

void quant_ste::printZeroPointPosition(OpAsmPrinter &printer, Operation *,
                                       ZeroPointPositionAttr position) {
  printer << "zero_point(" << stringifyZeroPointPosition(position.getValue())
          << ")";
}

ParseResult quant_ste::parsePercentileRank(OpAsmParser &parser,
                                           PercentileRankAttr &rank) {
  return parseWord(parser, "rank", getMaxEnumValForPercentileRank(), rank);
}

void quant_ste::printPercentileRank(OpAsmPrinter &printer, Operation *,
                                    PercentileRankAttr rank) {
  printer << "rank(" << stringifyPercentileRank(rank.getValue()) << ")";
}
