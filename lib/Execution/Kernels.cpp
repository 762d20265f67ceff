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
#include "quant_ste/Execution/AheadOfTime.h"
#include "quant_ste/Pipelines/Pipelines.h"
#include "quant_ste/Transforms/DeviceCode.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace mlir::quant_ste;

/// The kernels of a module, which is changed, for one chip.
static FailureOr<ChipCode> emitPTX(ModuleOp module, StringRef chip,
                                   const CompileOptions &options) {
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
  pipeline.chip = chip.str();
  pipeline.image = DeviceImage::PTX;
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
  return ChipCode{chip.str(), ptx.str()};
}

static std::optional<DeviceImage> parseImage(StringRef kind) {
  return llvm::StringSwitch<std::optional<DeviceImage>>(kind)
      .Case("ptx", DeviceImage::PTX)
      .Case("cubin", DeviceImage::Cubin)
      .Case("fatbin", DeviceImage::Fatbin)
      .Default(std::nullopt);
}

FailureOr<std::string> quant_ste::emitKernels(ModuleOp module, StringRef kind,
                                              const CompileOptions &options) {
  std::optional<DeviceImage> image = parseImage(kind);
  if (!image)
    return emitError(module.getLoc(), "expected ptx, cubin or fatbin, got '")
           << kind << "'";
  auto target =
      parseGpuTarget(options.target, options.pipelineOptions, options.codegen);
  if (!target)
    return emitError(module.getLoc(), llvm::toString(target.takeError()));
  if (target->levels.size() > 1 && *image != DeviceImage::Fatbin)
    return emitError(module.getLoc(), "expected one chip for ")
           << kind << ", got '" << options.target
           << "'; a fatbin has room for several";
  SmallVector<ChipCode> codes;
  for (const Level &level : target->levels) {
    OwningOpRef<ModuleOp> clone = module.clone();
    auto code = emitPTX(*clone, level.chip, options);
    if (failed(code))
      return failure();
    codes.push_back(std::move(*code));
  }
  auto binary = assembleDeviceCode(codes, *image);
  if (!binary)
    return emitError(module.getLoc(), llvm::toString(binary.takeError()));
  return *binary;
}
