//===- LongFunctions.h - sequences of thousands of calls --------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_LIB_EXECUTION_LONGFUNCTIONS_H
#define QUANT_STE_LIB_EXECUTION_LONGFUNCTIONS_H

namespace llvm {
class Module;
} // namespace llvm

namespace mlir::quant_ste {

/// What calls the kernels of a network grows with it, and LLVM takes more than
/// linear time for a long block and for a call of many arguments, to no avail:
/// the time goes to the kernels. Marks functions that are long and compute
/// nothing in loops as not to be optimized (`optnone`), and gives those of them
/// that are only called from here their arguments in memory.
void simplifyLongFunctions(llvm::Module &module);

} // namespace mlir::quant_ste

#endif // QUANT_STE_LIB_EXECUTION_LONGFUNCTIONS_H
