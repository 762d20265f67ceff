//===- qopt-reduce.cpp - mlir-reduce with quant_ste -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/MLIRContext.h"
#include "mlir/Tools/mlir-reduce/MlirReduceMain.h"
#include "quant_ste/InitAll.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::quant_ste::registerEverything(registry);
  mlir::MLIRContext context(registry);
  return failed(mlir::mlirReduceMain(argc, argv, context)) ? EXIT_FAILURE
                                                           : EXIT_SUCCESS;
}
