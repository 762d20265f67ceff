//===- GpuPipeline.cpp - from quant_ste to PTX -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Phases.h"

#include "quant_ste/Transforms/GpuTarget.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace mlir::quant_ste;
using namespace mlir::quant_ste::phases;

template <> ArrayRef<StringLiteral> quant_ste::getPhaseNames<GpuPhase>() {
  static constexpr StringLiteral names[] = {"differentiate", "linalg",  "fuse",
                                            "bufferize",     "kernels", "nvvm",
                                            "binary",        "llvm"};
  return names;
}

//===----------------------------------------------------------------------===//
// Phases
//===----------------------------------------------------------------------===//

static void addKernels(OpPassManager &pm, const GpuPipelineOptions &options) {
  if (options.matmul == GpuMatmul::Cublas) {
    pm.addNestedPass<func::FuncOp>(
        createQuantSTEGatherWindowsPass({options.gatherBytes}));
    QuantSTEProductsToRuntimePassOptions products;
    products.device = true;
    pm.addPass(createQuantSTEProductsToRuntimePass(products));
  }
  QuantSTEMapToGPUPassOptions map;
  map.chip = options.chip;
  map.unroll = options.unroll;
  map.minBlocks = options.minBlocks;
  map.maxBlocks = options.maxBlocks;
  map.sums = options.sums;
  map.shareSmall = options.batch;
  // Before bodies are taken apart: the polynomials are the ones of the CPU.
  pm.addPass(createQuantSTEExpandMathPass());
  pm.addPass(createQuantSTEMapToGPUPass(map));
  cleanUp(pm);
  if (options.batch) {
    pm.addPass(createQuantSTEBatchLaunchesPass());
    cleanUp(pm);
  }
}

static void addNVVM(OpPassManager &module, const GpuPipelineOptions &options) {
  OpPassManager &pm = module.nest<gpu::GPUModuleOp>();
  // As on CPUs, nothing is computed in bf16.
  arith::ArithEmulateUnsupportedFloatsOptions emulate;
  emulate.sourceTypeStrs = {"bf16"};
  pm.addPass(arith::createArithEmulateUnsupportedFloats(emulate));
  pm.addPass(math::createMathExtendToSupportedTypes());
  auto target = lookupGpuTarget(options.chip);
  if (!target)
    llvm::consumeError(target.takeError()); // the first pass says it
  else if (!(*target)->hasBFloat())
    pm.addPass(createQuantSTEExpandBFloatPass());
  pm.addPass(createLoopInvariantCodeMotionPass());
  pm.addPass(createQuantSTEExactDivisionPass());
  pm.addPass(createQuantSTEDeviceMathPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createLoopInvariantCodeMotionPass());
  pm.addPass(createSCFToControlFlowPass());
  cleanUp(pm);
  ConvertGpuOpsToNVVMOpsOptions nvvm;
  nvvm.useBarePtrCallConv = true;
  nvvm.indexBitwidth = 64;
  pm.addPass(createConvertGpuOpsToNVVMOps(nvvm));
  pm.addPass(createReconcileUnrealizedCastsPass());
  cleanUp(pm);
  pm.addPass(createQuantSTEFenceExtensionsPass());
}

static void addBinary(OpPassManager &pm, const GpuPipelineOptions &options) {
  QuantSTESerializeGPUPassOptions serialize;
  serialize.chip = options.chip;
  serialize.ptx = options.ptx;
  serialize.bitcode = options.bitcode;
  serialize.image = options.image;
  pm.addPass(createQuantSTESerializeGPUPass(serialize));
}

void quant_ste::buildGpuPipeline(OpPassManager &pm,
                                 const GpuPipelineOptions &options) {
  CpuPipelineOptions host;
  for (const std::string &path : options.rules)
    host.rules.push_back(path);
  host.openmp = false;
  auto wants = [&](GpuPhase phase) { return phase <= options.stopAfter; };
  addDifferentiate(pm, host);
  if (wants(GpuPhase::Linalg))
    addLinalg(pm);
  if (wants(GpuPhase::Fuse)) {
    pm.addNestedPass<func::FuncOp>(createQuantSTEDeviceScalarsPass());
    bool byCublas = options.matmul == GpuMatmul::Cublas;
    addFuse(pm, /*productsToRuntime=*/byCublas, /*gatherWindows=*/byCublas);
  }
  if (wants(GpuPhase::Bufferize))
    // The arrays of a kernel do not overlap.
    addBufferize(pm, /*reuseBuffers=*/false);
  if (wants(GpuPhase::Kernels))
    addKernels(pm, options);
  if (wants(GpuPhase::NVVM))
    addNVVM(pm, options);
  if (wants(GpuPhase::Binary))
    addBinary(pm, options);
  if (wants(GpuPhase::LLVM)) {
    pm.addPass(createQuantSTELowerLaunchesPass());
    addLLVM(pm, host);
    pm.addPass(createQuantSTEDeviceMemoryPass());
  }
}
