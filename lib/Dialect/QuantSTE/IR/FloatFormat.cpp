//===- FloatFormat.cpp - assembly of minifloat formats -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"

#include "quant_ste/Rules/FloatFormat.h"

using namespace mlir;
using namespace mlir::quant_ste;

static FloatFormatAttr getFormat(MLIRContext *ctx,
                                 const rules::FloatFormat &format) {
  return FloatFormatAttr::get(ctx, format.exponent, format.mantissa,
                              format.bias,
                              FloatAttr::get(Float64Type::get(ctx), format.max),
                              static_cast<FloatOverflow>(format.overflow));
}

/// `4, 3, 7, 448.0, nan`; the last is left out where it is `none`.
static ParseResult parseFields(AsmParser &parser, FloatFormatAttr &format) {
  int64_t exponent, mantissa, bias;
  FloatAttr max;
  if (parser.parseInteger(exponent) || parser.parseComma() ||
      parser.parseInteger(mantissa) || parser.parseComma() ||
      parser.parseInteger(bias) || parser.parseComma() ||
      parseNumber(parser, max))
    return failure();
  FloatOverflow overflow = FloatOverflow::none;
  if (succeeded(parser.parseOptionalComma())) {
    StringRef word;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseKeyword(&word))
      return failure();
    std::optional<FloatOverflow> found = symbolizeFloatOverflow(word);
    if (!found)
      return parser.emitError(loc)
             << "expected what lies above the largest number, one of none, "
                "inf, nan, got '"
             << word << "'";
    overflow = *found;
  }
  format = FloatFormatAttr::get(parser.getContext(), exponent, mantissa, bias,
                                max, overflow);
  return success();
}

ParseResult quant_ste::parseFloatFormat(AsmParser &parser,
                                        FloatFormatAttr &format) {
  StringRef word;
  SMLoc loc = parser.getCurrentLocation();
  if (failed(parser.parseOptionalKeyword(&word)))
    return parseFields(parser, format);
  const auto *found = llvm::find_if(rules::kFloatFormats,
                                    [&](const rules::NamedFloatFormat &named) {
                                      return StringRef(named.name) == word;
                                    });
  if (found != rules::kFloatFormats.end()) {
    format = getFormat(parser.getContext(), found->format);
    return success();
  }
  InFlightDiagnostic diag = parser.emitError(loc)
                            << "expected a float format, one of ";
  for (const rules::NamedFloatFormat &named : rules::kFloatFormats)
    diag << StringRef(named.name) << ", ";
  return diag << "or its exponent bits, mantissa bits, bias and largest "
                 "number, got '"
              << word << "'";
}

void quant_ste::printFloatFormat(AsmPrinter &printer, FloatFormatAttr format) {
  for (const rules::NamedFloatFormat &named : rules::kFloatFormats)
    if (getFormat(format.getContext(), named.format) == format) {
      printer << StringRef(named.name);
      return;
    }
  printer << format.getExponent() << ", " << format.getMantissa() << ", "
          << format.getBias() << ", ";
  printNumber(printer, format.getMax());
  if (format.getOverflow() != FloatOverflow::none)
    printer << ", " << stringifyFloatOverflow(format.getOverflow());
}

ParseResult quant_ste::parseMXElement(OpAsmParser &parser,
                                      FloatFormatAttr &format) {
  if (succeeded(parser.parseOptionalKeyword("int8")))
    return success();
  return parseFloatFormat(parser, format);
}

void quant_ste::printMXElement(OpAsmPrinter &printer, Operation *,
                               FloatFormatAttr format) {
  if (format)
    printFloatFormat(printer, format);
  else
    printer << "int8";
}

Attribute FloatFormatAttr::parse(AsmParser &parser, Type) {
  FloatFormatAttr format;
  if (parser.parseLess() || parseFloatFormat(parser, format) ||
      parser.parseGreater())
    return {};
  return format;
}

void FloatFormatAttr::print(AsmPrinter &printer) const {
  printer << "<";
  printFloatFormat(printer, *this);
  printer << ">";
}
