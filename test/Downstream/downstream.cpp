//===- downstream.cpp - the dialect in somebody else's compiler -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Prints what the CPU pipeline makes of a quantizer's backward pass.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "quant_ste/InitAll.h"
#include "quant_ste/Pipelines/Pipelines.h"

using namespace mlir;

static constexpr llvm::StringLiteral kSource = R"mlir(
  func.func private @quantize(%x: tensor<?xf32>, %alpha: tensor<f32>) -> tensor<?xf32> {
    %y = quant_ste.pact %x, %alpha bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
    return %y : tensor<?xf32>
  }
  func.func @backward(%x: tensor<?xf32>, %alpha: tensor<f32>, %dy: tensor<?xf32>)
      -> (tensor<?xf32>, tensor<f32>) {
    %y, %dx, %dalpha = quant_ste.vjp @quantize(%x, %alpha) cotangents(%dy) wrt [0, 1]
      : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
      -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
    return %dx, %dalpha : tensor<?xf32>, tensor<f32>
  }
)mlir";

int main() {
  DialectRegistry registry;
  quant_ste::registerEverything(registry);
  MLIRContext context(registry);
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(kSource, &context);
  if (!module)
    return 1;
  PassManager pm(&context);
  quant_ste::CpuPipelineOptions options;
  options.stopAfter = quant_ste::CpuPhase::Vectorize;
  quant_ste::buildCpuPipeline(pm, options);
  if (failed(pm.run(*module)))
    return 1;
  module->print(llvm::outs());
  return 0;
}
