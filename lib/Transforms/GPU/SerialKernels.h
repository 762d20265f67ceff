//===- SerialKernels.h - code that visits elements -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_GPU_SERIALKERNELS_H
#define QUANT_STE_TRANSFORMS_GPU_SERIALKERNELS_H

#include "KernelEmitter.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace mlir::quant_ste {

/// The outermost loops and branches of a function that visit single elements of
/// buffers and that one block can run: nothing else in them than scalars and
/// elementwise ops on views. Then the stores that are left.
SmallVector<Operation *> findSerialCode(func::FuncOp function);

/// Replaces such an op by the launch of one block. Where there are ops on
/// views, their elements are shared out among its threads, and all of these run
/// the rest; else one thread does it all. What the op returns is read back.
void emitGpuSerial(OpBuilder &builder, Operation *op,
                   const KernelOptions &options);

/// Replaces an access of the host to the memory of the GPU by a copy of the one
/// element, for which the host waits.
void readFromHost(memref::LoadOp op);

/// Has the host the buffer in its own memory too: a list on its stack, or a
/// table of constants?
bool isOfHost(Value buffer);

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_GPU_SERIALKERNELS_H
