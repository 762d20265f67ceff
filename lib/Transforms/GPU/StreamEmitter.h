//===- StreamEmitter.h - kernels that stream through memory -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_GPU_STREAMEMITTER_H
#define QUANT_STE_TRANSFORMS_GPU_STREAMEMITTER_H

#include "../CPU/BodyEmitter.h"
#include "KernelEmitter.h"

namespace mlir::quant_ste {

/// Blocks that are to fit on a multiprocessor: none of a thread's registers may
/// end in memory for it.
unsigned getMinBlocks(StreamKernel &kernel, const GpuTarget &target);

/// Lanes of a vector, of which a thread stores whole bytes: the widest operand
/// that the vector loop runs along fills an access of so many bytes.
int64_t getVectorWidth(const StreamKernel &kernel, int64_t accessBytes);

/// Bytes of a memory access of a kernel with sums, on every chip: how a sum is
/// cut is part of its meaning. So are the vectors that a thread takes at once.
inline constexpr int64_t kSumAccessBytes = 16;
int64_t getSumUnroll(int64_t width);

/// What both kinds of kernels have in common. Loops, with their sizes on the
/// host; operands and the body in the kernel.
class StreamEmitter {
public:
  StreamEmitter(KernelBuilder &kernel, StreamKernel &k,
                const KernelOptions &options, int64_t width)
      : host(kernel.host), k(k), options(options), width(width), kernel(kernel),
        b(kernel.device), sizes(k.sizes),
        body(b, k, /*hasMaskRegisters=*/false) {}

protected:
  using Scope = BodyEmitter::Scope;

  template <class Op> Value fold(ImplicitLocOpBuilder &b, Value x, Value y) {
    return KernelBuilder::fold<Op>(b, x, y);
  }
  Value index(ImplicitLocOpBuilder &b, int64_t v) {
    return KernelBuilder::index(b, v);
  }
  Value less(Value x, Value y) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ult, x, y);
  }
  Value product(ArrayRef<unsigned> loops) {
    Value n = index(host, 1);
    for (unsigned loop : loops)
      n = fold<arith::MulIOp>(host, n, sizes[loop]);
    return n;
  }
  /// The number of an iteration of some loops as an index of each.
  void decompose(Value number, ArrayRef<unsigned> loops, Scope &scope);
  SmallVector<Value>
  loop(Value lo, Value hi, Value step, ValueRange init,
       function_ref<SmallVector<Value>(Value, ValueRange)> emitBody);
  /// Emits the body of an scf.if without results.
  void when(Value condition, function_ref<void()> emitThen);

  /// Operands (those to store to only if asked), sizes and captured values
  /// inside the kernel.
  Scope passAll(bool withOutputs = true);
  Value areAccessesAligned();
  Value floorLog2(Value v);
  SmallVector<Value> neutral();
  /// Loads what the vector loop runs along.
  void preload(Scope &scope);
  SmallVector<Value> emitVector(Scope &scope, ValueRange accs);

  ImplicitLocOpBuilder &host;
  StreamKernel &k;
  const KernelOptions &options;
  int64_t width;
  KernelBuilder &kernel;
  ImplicitLocOpBuilder &b;
  /// Of the host. Those of `k` are the kernel's, as soon as passAll was called.
  SmallVector<Value> sizes;
  /// Of the host: null for scalar accesses.
  Value isAligned;
  BodyEmitter body;
};

/// The vector loop is run through by teams of threads, a team in each row.
/// Outer loops of a sum are either kept, and make the row, or part of the run.
class RowEmitter : protected StreamEmitter {
public:
  using StreamEmitter::StreamEmitter;
  void emit();

protected:
  void planTeams();
  /// Computes one share of a row; the sums go on.
  SmallVector<Value> emitItem(Scope scope, Value item, ValueRange accs);
  /// The sum of a warp's threads, or of a team's if that is smaller, in all of
  /// them.
  Value reduceWarp(Value acc, arith::AtomicRMWKind kind);
  /// The sum of a team's threads, in its first thread.
  SmallVector<Value> reduceTeam(ValueRange accs);

  SmallVector<unsigned> rowLoops, runLoops;
  int64_t unroll;
  // Of the host.
  Value teamShift, chunks, items, parts, rows, blocks;
  /// The number of a thread in its team, in the kernel.
  Value lane, team, teamSize;
  bool isFlat = false; // no outer loop: a team is a block
};

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_GPU_STREAMEMITTER_H
