//===- KernelBuilder.h - a kernel and its launch -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_GPU_KERNELBUILDER_H
#define QUANT_STE_TRANSFORMS_GPU_KERNELBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::quant_ste {

/// Threads of every block.
inline constexpr int64_t kBlockThreads = 256;
inline constexpr int64_t kWarpThreads = 32;

/// Of an integer, an index or a float, in memory.
int64_t getElementBytes(Type element);

/// The buffer that a value is a view of.
Value getRootBuffer(Value buffer);

/// The table of constants that a value is a view of, if it is one.
memref::GetGlobalOp getTable(Value buffer);

/// The kernels of a module. Of several that are equal it keeps one.
class KernelLibrary {
public:
  explicit KernelLibrary(gpu::GPUModuleOp module) : module(module) {}
  gpu::GPUModuleOp getModule() { return module; }

  /// Takes the function in, or erases it in favour of an equal one.
  gpu::GPUFuncOp unique(gpu::GPUFuncOp function);

  /// Makes the kernels have a table of constants of their own.
  void addTable(memref::GetGlobalOp table);

private:
  gpu::GPUModuleOp module;
  DenseMap<FunctionType, SmallVector<gpu::GPUFuncOp>> byType;
};

/// Builds a kernel and, beside it, what the host computes to launch it.
class KernelBuilder {
public:
  /// `minBlocks`: how many blocks must fit on a multiprocessor at once.
  /// `passSizes`: what the host computes is an argument, be it a constant, so
  /// that kernels of several shapes are one.
  KernelBuilder(ImplicitLocOpBuilder &host, KernelLibrary &library,
                StringRef name, unsigned minBlocks, bool passSizes = false);

  /// The value inside the kernel: an argument, or a constant made again.
  Value pass(Value scalar);
  /// The buffer inside the kernel, where its sizes are `sizes` of the host. A
  /// constant buffer is one that nothing writes to while the kernel runs. A
  /// table of constants is no argument: the kernels have it.
  Value passBuffer(Value buffer, ArrayRef<Value> sizes, bool isConstant);
  /// Memory that a block shares.
  Value addShared(int64_t size, Type element);

  /// Launches as many blocks; without any, it is no launch. Where a kernel has
  /// vector accesses, `isAligned` of the host (or null) says whether to launch
  /// a second version, in which they are aligned to their size.
  void launch(Value blocks, Value isAligned = {});

  template <class Op>
  static Value fold(ImplicitLocOpBuilder &b, Value x, Value y) {
    return b.createOrFold<Op>(b.getLoc(), x, y);
  }
  static Value index(ImplicitLocOpBuilder &b, int64_t v) {
    return arith::ConstantIndexOp::create(b, v);
  }

  ImplicitLocOpBuilder &host;
  ImplicitLocOpBuilder device;
  /// The number of the block, and of the thread in it.
  Value block, thread;

private:
  Value addArgument(Value value, ArrayRef<NamedAttribute> attributes = {});
  Value addTable(memref::GetGlobalOp table);
  void launchFunction(gpu::GPUFuncOp callee, Value blocks);

  KernelLibrary &library;
  bool passSizes;
  gpu::GPUFuncOp function;
  SmallVector<Value> arguments;
  DenseMap<Value, Value> passed;
};

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_GPU_KERNELBUILDER_H
