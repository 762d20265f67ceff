//===- Kernels.cpp - the kernels of a module as a file ----------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Execution/Kernels.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "quant_ste/Pipelines/Pipelines.h"
#include "quant_ste/Transforms/DeviceCode.h"

using namespace mlir;
using namespace mlir::quant_ste;

FailureOr<std::string> quant_ste::emitKernels(ModuleOp module, StringRef kind,
                                              const CompileOptions &options) {
  if (kind != "ptx" && kind != "cubin" && kind != "fatbin")
    return emitError(module.getLoc(), "expected ptx, cubin or fatbin, got '")
           << kind << "'";
  if (!options.isForGpu())
    return emitError(module.getLoc(), "expected a target cuda or cuda:<chip>, "
                                      "got '")
           << options.target << "'";
  GpuPipelineOptions pipeline;
  std::string errors;
  llvm::raw_string_ostream os(errors);
  if (failed(pipeline.parseFromString(options.pipelineOptions, os)))
    return emitError(module.getLoc(), "pipeline options '")
           << options.pipelineOptions << "': " << StringRef(errors).rtrim();
  if (!options.function.empty())
    for (auto f : module.getOps<func::FuncOp>())
      if (f.isPublic() && !f.isExternal() && f.getName() != options.function)
        f.setPrivate();
  if (StringRef chip = StringRef(options.target).split(':').second;
      !chip.empty())
    pipeline.chip = chip.str();
  for (const std::string &path : options.rules)
    pipeline.rules.push_back(path);
  pipeline.stopAfter = GpuPhase::Binary;
  PassManager pm(module.getContext(), ModuleOp::getOperationName());
  if (options.configurePasses && failed(options.configurePasses(pm)))
    return failure();
  buildGpuPipeline(pm, pipeline);
  if (failed(pm.run(module)))
    return failure();
  StringRef ptx = getDeviceCode(module);
  if (ptx.empty())
    return emitError(module.getLoc(), "expected something to compute, got a "
                                      "module without kernels");
  if (kind == "ptx")
    return ptx.str();
  auto binary = assembleDeviceCode(ptx, pipeline.chip,
                                   kind == "cubin" ? DeviceBinary::Cubin
                                                   : DeviceBinary::Fatbin);
  if (!binary)
    return emitError(module.getLoc(), llvm::toString(binary.takeError()));
  return *binary;
}
