//===- DeviceCodeTest.cpp - PTX, cubin and fatbin -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/DeviceCode.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "quant_ste/Execution/Kernels.h"
#include "quant_ste/InitAll.h"
#include "llvm/Support/Program.h"
#include "gtest/gtest.h"
#include <cstdlib>

using namespace mlir;
using namespace mlir::quant_ste;

/// The code, or what went wrong.
static std::string compile(StringRef target, StringRef kind = "ptx",
                           StringRef op = "quant_ste.round %x grad(ste)") {
  DialectRegistry registry;
  registerEverything(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  std::string errors;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
      errors += diagnostic.str();
    return success();
  });
  std::string text = "func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {\n"
                     "  %y = " +
                     op.str() +
                     " : tensor<?xf32>\n"
                     "  return %y : tensor<?xf32>\n"
                     "}";
  auto module = parseSourceString<ModuleOp>(text, &context);
  CompileOptions options;
  options.target = target.str();
  FailureOr<std::string> code = emitKernels(*module, kind, options);
  return succeeded(code) ? *code : errors;
}

static bool hasTools() {
  return llvm::sys::findProgramByName("ptxas") &&
         llvm::sys::findProgramByName("fatbinary");
}

TEST(DeviceCode, TargetsOfTheTable) {
  for (const GpuTarget &target : getGpuTargets()) {
    std::string ptx = compile(("cuda:" + target.chip).str());
    EXPECT_NE(ptx.find((".target " + target.chip).str()), std::string::npos);
    std::string version = ".version " + std::to_string(target.minPtx / 10) +
                          "." + std::to_string(target.minPtx % 10);
    EXPECT_NE(ptx.find(version), std::string::npos) << target.chip.str();
  }
}

TEST(DeviceCode, CubinAndFatbin) {
  if (!hasTools())
    GTEST_SKIP() << "there is no ptxas or no fatbinary on the path";
  std::string cubin = compile("cuda:sm_90", "cubin");
  EXPECT_EQ(cubin.substr(1, 3), "ELF");
  std::string fatbin = compile("cuda:sm_90", "fatbin");
  EXPECT_GT(fatbin.size(), cubin.size());
  EXPECT_GT(compile("cuda:sm_80+sm_90", "fatbin").size(), fatbin.size());
}

TEST(DeviceCode, WhatToolsSay) {
  if (!hasTools())
    GTEST_SKIP() << "there is no ptxas or no fatbinary on the path";
  auto cubin =
      assembleDeviceCode(ChipCode{"sm_90", "nonsense"}, DeviceImage::Cubin);
  ASSERT_FALSE(bool(cubin));
  std::string text = llvm::toString(cubin.takeError());
  EXPECT_EQ(text.rfind("ptxas: ", 0), 0u) << text;
}

TEST(DeviceCode, Refuses) {
  EXPECT_EQ(compile("cuda", "so"), "expected ptx, cubin or fatbin, got 'so'");
  EXPECT_EQ(compile("cpu"),
            "expected cuda, cuda:sm_90 or cuda:sm_80+sm_90, got 'cpu'");
  EXPECT_EQ(compile("cuda:sm_80+sm_90"),
            "expected one chip for ptx, got 'cuda:sm_80+sm_90'; a "
            "fatbin has room for several");
  EXPECT_EQ(compile("cuda:sm_60").rfind("expected a chip (sm_75, ", 0), 0u);
}

TEST(DeviceCode, MissingTool) {
  setenv("QUANT_STE_CUDA_BIN", "/nowhere", 1);
  auto cubin = assembleDeviceCode(ChipCode{"sm_90", ""}, DeviceImage::Cubin);
  unsetenv("QUANT_STE_CUDA_BIN");
  ASSERT_FALSE(bool(cubin));
  std::string text = llvm::toString(cubin.takeError());
  EXPECT_EQ(text.rfind("expected 'ptxas' of the CUDA toolkit in "
                       "$QUANT_STE_CUDA_BIN",
                       0),
            0u)
      << text;
}
