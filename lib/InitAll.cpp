//===- InitAll.cpp - everything in three calls -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/InitAll.h"

#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "quant_ste/Conversion/Passes.h"
#include "quant_ste/Dialect/QuantSTE/IR/QuantSTE.h"
#include "quant_ste/Pipelines/Pipelines.h"
#include "quant_ste/Transforms/Differentiate.h"
#include "quant_ste/Transforms/Passes.h"

using namespace mlir;

void quant_ste::registerAllDialects(DialectRegistry &registry) {
  registry.insert<QuantSTEDialect>();
  registerDifferentiableModels(registry);
}

void quant_ste::registerAllPasses() {
  registerQuantSTEConversionPasses();
  registerQuantSTETransformsPasses();
}

void quant_ste::registerAllPipelines() { registerQuantSTEPipelines(); }

void quant_ste::registerEverything(DialectRegistry &registry) {
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllPasses();
  mlir::registerAllToLLVMIRTranslations(registry);
  quant_ste::registerAllDialects(registry);
  quant_ste::registerAllPasses();
  quant_ste::registerAllPipelines();
}
