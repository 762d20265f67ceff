//===- QuantSTE.h - the quant_ste dialect -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_DIALECT_QUANTSTE_IR_QUANTSTE_H
#define QUANT_STE_DIALECT_QUANTSTE_IR_QUANTSTE_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "quant_ste/Dialect/QuantSTE/IR/RuleOp.h"

namespace mlir::quant_ste {

/// The number of a gradient word, as in grad(swish(5.0)).
ParseResult parseNumber(AsmParser &parser, FloatAttr &number);
void printNumber(AsmPrinter &printer, FloatAttr number);

/// A word's own numbers are finite and of type f64.
LogicalResult verifyNumbers(function_ref<InFlightDiagnostic()> emitError,
                            StringRef word, ArrayRef<FloatAttr> numbers);

} // namespace mlir::quant_ste

#include "quant_ste/Dialect/QuantSTE/IR/QuantSTEDialect.h.inc"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTEEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTEAttrs.h.inc"

namespace mlir::quant_ste {

/// `grad(word)`, as every op prints it.
ParseResult parseGrad(OpAsmParser &parser, GradientAttrInterface &grad);
void printGrad(OpAsmPrinter &printer, Operation *op,
               GradientAttrInterface grad);

/// `signed` or `unsigned`: one of them is always said.
ParseResult parseSignedness(OpAsmParser &parser, UnitAttr &isSigned);
void printSignedness(OpAsmPrinter &printer, Operation *op, UnitAttr isSigned);

/// `rounding(word)`; round when left out.
ParseResult parseRounding(OpAsmParser &parser, RoundingAttr &rounding);
void printRounding(OpAsmPrinter &printer, Operation *op, RoundingAttr rounding);
ParseResult parseScaling(OpAsmParser &parser, ScalingAttr &scaling);
void printScaling(OpAsmPrinter &printer, Operation *op, ScalingAttr scaling);
ParseResult parseZeroPointPosition(OpAsmParser &parser,
                                   ZeroPointPositionAttr &position);
void printZeroPointPosition(OpAsmPrinter &printer, Operation *op,
                            ZeroPointPositionAttr position);

/// `rank(word)`; nearest when left out.
ParseResult parsePercentileRank(OpAsmParser &parser, PercentileRankAttr &rank);
void printPercentileRank(OpAsmPrinter &printer, Operation *op,
                         PercentileRankAttr rank);

enum class Extremum : uint8_t { absmax, maximum, minimum };

/// The projection of the data's dimensions onto those listed.
AffineMap getAxesMap(RankedTensorType data,
                     std::optional<ArrayRef<int64_t>> axes);

/// y has x's element type and the dimensions of x that `axes` lists, none if
/// there is no such attribute.
LogicalResult verifyReduced(Operation *op);
LogicalResult verifyExtremum(Operation *op);

/// The bytes that hold the bits of an i1 tensor, whose last `rowDims` dimensions
/// are a row.
RankedTensorType getPackedType(RankedTensorType bits, int64_t rowDims);
/// The elements of a row, unless that is dynamic.
int64_t getRowSize(ArrayRef<int64_t> shape, int64_t rowDims);

/// A format's name, or its fields: `4, 3, 7, 448.0, nan`.
ParseResult parseFloatFormat(AsmParser &parser, FloatFormatAttr &format);
void printFloatFormat(AsmPrinter &printer, FloatFormatAttr format);
inline void printFloatFormat(OpAsmPrinter &printer, Operation *,
                             FloatFormatAttr format) {
  printFloatFormat(printer, format);
}

/// The operands after the first of a custom op, each perhaps with axes([...]).
ParseResult
parseParameters(OpAsmParser &parser,
                SmallVectorImpl<OpAsmParser::UnresolvedOperand> &parameters,
                ArrayAttr &axes);
void printParameters(OpAsmPrinter &printer, Operation *op,
                     OperandRange parameters, ArrayAttr axes);

/// `forward(...) {...}` and `partials(...) {...}` or `vjp(...) {...}`.
ParseResult parseRuleRegions(OpAsmParser &parser, Region &forward,
                             Region &partials, Region &vjp);
void printRuleRegions(OpAsmPrinter &printer, Operation *op, Region &forward,
                      Region &partials, Region &vjp);

/// The same, or `int8`, which is no attribute.
ParseResult parseMXElement(OpAsmParser &parser, FloatFormatAttr &format);
void printMXElement(OpAsmPrinter &printer, Operation *, FloatFormatAttr format);

/// f returns a float, and the arguments to differentiate it by exist, are
/// floats, and are listed once; else an error at `op`.
LogicalResult verifyWrt(Operation *op, FunctionOpInterface f,
                        ArrayRef<int64_t> wrt);

} // namespace mlir::quant_ste

#define GET_OP_CLASSES
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTEOps.h.inc"

#endif // QUANT_STE_DIALECT_QUANTSTE_IR_QUANTSTE_H
