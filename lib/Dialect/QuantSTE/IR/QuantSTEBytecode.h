//===- QuantSTEBytecode.h - versions of the dialect in bytecode -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_DIALECT_QUANTSTE_IR_QUANTSTEBYTECODE_H
#define QUANT_STE_DIALECT_QUANTSTE_IR_QUANTSTEBYTECODE_H

namespace mlir::quant_ste {

class QuantSTEDialect;

namespace detail {
/// Adds what writes the dialect's version and upgrades what older ones wrote.
void addBytecodeInterface(QuantSTEDialect *dialect);
} // namespace detail

} // namespace mlir::quant_ste

#endif // QUANT_STE_DIALECT_QUANTSTE_IR_QUANTSTEBYTECODE_H
