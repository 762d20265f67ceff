//===- DeviceCodeTest.cpp - PTX, cubin and fatbin -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/DeviceCode.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "quant_ste/InitAll.h"
#include "quant_ste/Pipelines/Pipelines.h"
#include "llvm/Support/Program.h"
#include "gtest/gtest.h"
#include <cstdlib>

using namespace mlir;
using namespace mlir::quant_ste;

static std::string compile(StringRef chip) {
  DialectRegistry registry;
  registerEverything(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  auto module = parseSourceString<ModuleOp>(R"(
    func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
      %y = quant_ste.round %x grad(ste) : tensor<?xf32>
      return %y : tensor<?xf32>
    })",
                                            &context);
  GpuPipelineOptions options;
  options.chip = chip.str();
  options.stopAfter = GpuPhase::Binary;
  PassManager pm(&context);
  buildGpuPipeline(pm, options);
  EXPECT_TRUE(succeeded(pm.run(*module)));
  return getDeviceCode(*module).str();
}

static bool hasTools() {
  return llvm::sys::findProgramByName("ptxas") &&
         llvm::sys::findProgramByName("fatbinary");
}

TEST(DeviceCode, TargetsOfTheTable) {
  for (const GpuTarget &target : getGpuTargets()) {
    std::string ptx = compile(target.chip);
    EXPECT_NE(ptx.find((".target " + target.chip).str()), std::string::npos);
    std::string version = ".version " + std::to_string(target.minPtx / 10) +
                          "." + std::to_string(target.minPtx % 10);
    EXPECT_NE(ptx.find(version), std::string::npos) << target.chip.str();
  }
}

TEST(DeviceCode, CubinAndFatbin) {
  if (!hasTools())
    GTEST_SKIP() << "there is no ptxas or no fatbinary on the path";
  std::string ptx = compile("sm_90");
  auto cubin = assembleDeviceCode(ptx, "sm_90", DeviceBinary::Cubin);
  ASSERT_TRUE(bool(cubin)) << llvm::toString(cubin.takeError());
  EXPECT_EQ(cubin->substr(1, 3), "ELF");
  auto fatbin = assembleDeviceCode(ptx, "sm_90", DeviceBinary::Fatbin);
  ASSERT_TRUE(bool(fatbin)) << llvm::toString(fatbin.takeError());
  EXPECT_GT(fatbin->size(), cubin->size());
}

TEST(DeviceCode, WhatToolsSay) {
  if (!hasTools())
    GTEST_SKIP() << "there is no ptxas or no fatbinary on the path";
  auto cubin = assembleDeviceCode("nonsense", "sm_90", DeviceBinary::Cubin);
  ASSERT_FALSE(bool(cubin));
  std::string text = llvm::toString(cubin.takeError());
  EXPECT_EQ(text.rfind("ptxas: ", 0), 0u) << text;
}

TEST(DeviceCode, MissingTool) {
  setenv("QUANT_STE_CUDA_BIN", "/nowhere", 1);
  auto cubin = assembleDeviceCode("", "sm_90", DeviceBinary::Cubin);
  unsetenv("QUANT_STE_CUDA_BIN");
  ASSERT_FALSE(bool(cubin));
  std::string text = llvm::toString(cubin.takeError());
  EXPECT_EQ(text.rfind("expected 'ptxas' of the CUDA toolkit in "
                       "$QUANT_STE_CUDA_BIN",
                       0),
            0u)
      << text;
}
