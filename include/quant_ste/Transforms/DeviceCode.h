//===- DeviceCode.h - code for a GPU -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_DEVICECODE_H
#define QUANT_STE_TRANSFORMS_DEVICECODE_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "quant_ste/Transforms/GpuTarget.h"

namespace mlir::quant_ste {

enum class DeviceFormat {
  /// Assembly, which the driver compiles for its GPU. Needs no CUDA toolkit.
  PTX,
  /// LLVM bitcode of what the assembly is made from.
  LLVM,
};

struct DeviceCodeOptions {
  /// "sm_90"
  std::string chip = "sm_80";
  /// 78 for PTX 7.8; 0: the first version that knows the chip.
  unsigned ptx = 0;
  DeviceFormat format = DeviceFormat::PTX;
};

/// Compiles a module in the NVVM dialect. No two floating point operations are
/// contracted, and nothing is linked in. On failure an error was emitted.
FailureOr<std::string> emitDeviceCode(gpu::GPUModuleOp module,
                                      const DeviceCodeOptions &options);

/// The code of a module that went through the GPU pipeline up to the phase
/// "binary"; empty if it has no kernels.
StringRef getDeviceCode(ModuleOp module);

/// PTX, and the chip that it was made for.
struct ChipCode {
  std::string chip, ptx;
};

/// What a CUDA toolkit makes of PTX: a cubin of one chip, or code for all of
/// these chips and the PTX of the last, which later chips can run. Runs ptxas,
/// and fatbinary: from $QUANT_STE_CUDA_BIN where that is set, else
/// from $PATH, $CUDA_HOME/bin or /usr/local/cuda/bin. The error says which tool
/// is missing, or what it said.
llvm::Expected<std::string> assembleDeviceCode(ArrayRef<ChipCode> codes,
                                               DeviceImage kind);

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_DEVICECODE_H
