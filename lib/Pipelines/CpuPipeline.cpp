//===- CpuPipeline.cpp - from quant_ste to LLVM, for CPUs -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Phases.h"

#include "quant_ste/Conversion/Passes.h"
#include "quant_ste/Pipelines/Pipelines.h"
#include "quant_ste/Transforms/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace mlir::quant_ste;
using namespace mlir::quant_ste::phases;

template <> ArrayRef<StringLiteral> quant_ste::getPhaseNames<CpuPhase>() {
  static constexpr StringLiteral names[] = {
      "differentiate", "linalg", "fuse", "bufferize", "vectorize", "llvm"};
  return names;
}

//===----------------------------------------------------------------------===//
// Phases
//===----------------------------------------------------------------------===//

/// Upstream's pattern for a value that a loop carries twice compares all that
/// it carries in pairs, and anew for each change in its body: most of the time
/// of a training loop, which carries every parameter. One clean-up per pipeline
/// has it.
static void addCanonicalizer(OpPassManager &pm, bool mergesCarried) {
  GreedyRewriteConfig config; // As the pass has it by default.
  config.setUseTopDownTraversal().setRegionSimplificationLevel(
      GreedySimplifyRegionLevel::Normal);
  // The name of a type, as the compiler of LLVM spells it.
  SmallVector<std::string> slow = {
      "(anonymous namespace)::RemoveDuplicateSuccessorInputUses",
      "{anonymous}::RemoveDuplicateSuccessorInputUses"};
  if (mergesCarried)
    slow.clear();
  pm.addPass(createCanonicalizerPass(config, slow));
}

void phases::cleanUp(OpPassManager &pm) {
  addCanonicalizer(pm, /*mergesCarried=*/false);
  pm.addPass(createCSEPass());
}

/// Functions are not inlined yet: a call may carry its own gradient.
void phases::addDifferentiate(OpPassManager &pm,
                              const CpuPipelineOptions &options) {
  pm.addPass(createQuantSTELinkRulesPass(
      {llvm::to_vector(ArrayRef<std::string>(options.rules))}));
  pm.addPass(createQuantSTEDifferentiatePass());
  cleanUp(pm);
}

void phases::addLinalg(OpPassManager &pm) {
  // Calls that stay would cost buffers: what a callee returns it must allocate.
  pm.addPass(createInlinerPass());
  pm.addPass(createSymbolDCEPass());
  pm.addPass(createConvertElementwiseToLinalgPass());
  pm.addPass(createQuantSTEDecomposeAggregatesPass());
  pm.addPass(createConvertQuantSTEToLinalgPass());
  cleanUp(pm);
}

void phases::addFuse(OpPassManager &pm, bool productsToRuntime,
                     bool gatherWindows) {
  pm.addPass(createQuantSTEFusePass());
  cleanUp(pm);
  pm.addPass(createQuantSTEFuseSiblingsPass());
  pm.addPass(createQuantSTEUnrollWindowsPass({/*keepProducts=*/gatherWindows}));
  if (productsToRuntime)
    pm.addPass(createQuantSTEAbsorbTransposesPass());
  pm.addPass(
      createQuantSTETransposeFactorsPass({/*narrowSums=*/productsToRuntime}));
  // Merges what the fused bodies have in common.
  addCanonicalizer(pm, /*mergesCarried=*/true);
  pm.addPass(createCSEPass());
}

void phases::addBufferize(OpPassManager &pm, bool reuseBuffers) {
  pm.addPass(createQuantSTECallerDestinationsPass());
  pm.addPass(createQuantSTEExposeFunctionsPass());
  pm.addPass(createQuantSTEOwnDestinationsPass({/*carried=*/reuseBuffers}));
  pm.addPass(bufferization::createEmptyTensorEliminationPass());
  pm.addPass(createQuantSTEBufferizePass());
  // Drops the loop-carried buffers that never change.
  addCanonicalizer(pm, /*mergesCarried=*/false);
  pm.addNestedPass<func::FuncOp>(createQuantSTEOwnResultsPass());
  // Hoisting must come before deallocation: after it, the allocations would
  // leave the loops and the deallocations stay.
  pm.addNestedPass<func::FuncOp>(bufferization::createBufferHoistingPass());
  pm.addNestedPass<func::FuncOp>(bufferization::createBufferLoopHoistingPass());
  if (reuseBuffers)
    pm.addNestedPass<func::FuncOp>(createQuantSTEReuseBuffersPass());
  bufferization::buildBufferDeallocationPipeline(pm);
  cleanUp(pm);
  pm.addPass(createConvertBufferizationToMemRefPass());
}

static void addVectorize(OpPassManager &pm, const CpuPipelineOptions &options) {
  if (options.matmul != CpuMatmul::Inline) {
    QuantSTEProductsToRuntimePassOptions products;
    products.library = options.matmul != CpuMatmul::Own;
    products.requireLibrary = options.matmul == CpuMatmul::Library;
    products.parallel = options.openmp;
    pm.addPass(createQuantSTEProductsToRuntimePass(products));
  }
  pm.addPass(createQuantSTEOutlinePass());
  pm.addPass(createQuantSTEExpandMathPass());
  pm.addNestedPass<func::FuncOp>(createQuantSTEVectorizePass());
  if (options.division == CpuDivision::Reciprocal)
    pm.addNestedPass<func::FuncOp>(createQuantSTEExactDivisionPass());
  pm.addPass(createConvertLinalgToLoopsPass());
  cleanUp(pm);
}

void phases::addLLVM(OpPassManager &pm, const CpuPipelineOptions &options) {
  pm.addNestedPass<func::FuncOp>(createForallToParallelLoopPass());
  if (options.openmp) {
    pm.addPass(createQuantSTESerialPathPass());
    pm.addPass(createConvertSCFToOpenMPPass());
    pm.addPass(createQuantSTEGuardParallelPass());
    // Folds the alloca scopes, which must be of one block from here on.
    addCanonicalizer(pm, /*mergesCarried=*/false);
  } else {
    pm.addNestedPass<func::FuncOp>(createQuantSTEHoistFramesPass());
  }
  pm.addPass(createQuantSTEExpandShapePass());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createSCFToControlFlowPass());
  // No processor is taken to compute in bf16 or to call functions of f16.
  arith::ArithEmulateUnsupportedFloatsOptions emulate;
  emulate.sourceTypeStrs = {"bf16"};
  pm.addPass(arith::createArithEmulateUnsupportedFloats(emulate));
  pm.addPass(math::createMathExtendToSupportedTypes());
  pm.addPass(createQuantSTEExpandBFloatPass());
  arith::ArithExpandOpsPassOptions expand;
  expand.includeBf16 = true;
  pm.addPass(arith::createArithExpandOpsPass(expand));
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertIndexToLLVMPass());
  pm.addPass(createQuantSTELowerAssertionsPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createUBToLLVMConversionPass());
  if (options.openmp)
    pm.addPass(createConvertOpenMPToLLVMPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  cleanUp(pm);
  if (options.openmp)
    pm.addPass(createQuantSTEPackCapturesPass());
  pm.addPass(createQuantSTEFenceExtensionsPass());
  pm.addPass(createQuantSTEOrderStoresPass());
}

void quant_ste::buildCpuPipeline(OpPassManager &pm,
                                 const CpuPipelineOptions &options) {
  auto wants = [&](CpuPhase phase) { return phase <= options.stopAfter; };
  addDifferentiate(pm, options);
  if (wants(CpuPhase::Linalg))
    addLinalg(pm);
  if (wants(CpuPhase::Fuse)) {
    addFuse(pm, options.matmul != CpuMatmul::Inline);
    // Not earlier: an assertion between two ops would keep them apart.
    if (options.verifyRuntime) {
      pm.addPass(createGenerateRuntimeVerificationPass());
      cleanUp(pm);
    }
  }
  if (wants(CpuPhase::Bufferize))
    addBufferize(pm, /*reuseBuffers=*/true);
  if (wants(CpuPhase::Vectorize))
    addVectorize(pm, options);
  if (wants(CpuPhase::LLVM))
    addLLVM(pm, options);
}

void quant_ste::registerQuantSTEPipelines() {
  PassPipelineRegistration<CpuPipelineOptions>(
      "quant-ste-cpu-pipeline",
      "Lower quant_ste, and tensors in general, to the LLVM dialect for CPUs",
      buildCpuPipeline);
  PassPipelineRegistration<GpuPipelineOptions>(
      "quant-ste-gpu-pipeline",
      "Lower quant_ste, and tensors in general, to PTX for NVIDIA GPUs and the "
      "LLVM dialect for the host",
      buildGpuPipeline);
}
