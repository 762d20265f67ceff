//===- Plugin.cpp - quant_ste for any mlir-opt -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Loaded by a tool that is linked against the same libMLIR:
//
//   mlir-opt --load-dialect-plugin=libQuantSTEPlugin.so \
//            --load-pass-plugin=libQuantSTEPlugin.so --pass-pipeline=...
//
//===----------------------------------------------------------------------===//

#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "quant_ste/InitAll.h"

using namespace mlir;

static constexpr const char *kName = "QuantSTE";

extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT DialectPluginLibraryInfo
mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, kName, QUANT_STE_VERSION,
          [](DialectRegistry *registry) {
            quant_ste::registerAllDialects(*registry);
          }};
}

extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT PassPluginLibraryInfo
mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, kName, QUANT_STE_VERSION, [] {
            quant_ste::registerAllPasses();
            quant_ste::registerAllPipelines();
          }};
}
