//===- Pipelines.h - from quant_ste to executable code -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_PIPELINES_PIPELINES_H
#define QUANT_STE_PIPELINES_PIPELINES_H

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "quant_ste/Transforms/GpuTarget.h"

namespace mlir::quant_ste {

/// The phases of quant-ste-cpu-pipeline, in order. What holds after each:
enum class CpuPhase {
  /// No request for a derivative is left.
  Differentiate,
  /// func, arith, math, tensor, linalg, scf: no op of quant_ste is left.
  Linalg,
  /// One linalg.generic per pass over memory.
  Fuse,
  /// memref instead of tensor; every buffer has an owner that frees it.
  Bufferize,
  /// scf and vector loops instead of linalg.
  Vectorize,
  /// The LLVM dialect.
  LLVM,
};

/// The names of the phases, in order.
template <typename Phase> ArrayRef<StringLiteral> getPhaseNames();
template <> ArrayRef<StringLiteral> getPhaseNames<CpuPhase>();

/// Parses a phase by name, and says which names there are.
template <typename Phase> struct PhaseParser : llvm::cl::parser<Phase> {
  using llvm::cl::parser<Phase>::parser;
  bool parse(llvm::cl::Option &option, StringRef, StringRef arg, Phase &phase) {
    ArrayRef<StringLiteral> names = getPhaseNames<Phase>();
    const auto *found = llvm::find(names, arg);
    if (found == names.end())
      return option.error("expected a phase (" + llvm::join(names, ", ") +
                          "), found '" + arg + "'");
    phase = static_cast<Phase>(found - names.begin());
    return false;
  }
  static void print(raw_ostream &os, Phase phase) {
    os << getPhaseNames<Phase>()[static_cast<size_t>(phase)];
  }
};

/// What computes matrix products and convolutions.
enum class CpuMatmul {
  /// Vector loops in the code itself.
  Inline,
  /// The runtime's kernel: the same bits, faster.
  Own,
  /// The library that was found when this was built: other roundings.
  Library,
  /// The library if there is one, else the runtime's kernel.
  Auto,
};

/// How vectors of f32 are divided by one number. The bits are the same.
enum class CpuDivision {
  /// By the processor's instruction.
  Instruction,
  /// By a reciprocal and two fused multiply-adds.
  Reciprocal,
};

struct CpuPipelineOptions : PassPipelineOptions<CpuPipelineOptions> {
  ListOption<std::string> rules{
      *this, "rules",
      llvm::cl::desc("Files with the quant_ste.rules that are declared, but "
                     "not defined")};
  Option<bool> openmp{
      *this, "openmp",
      llvm::cl::desc("Run large loops on the threads of OpenMP. The results "
                     "have the same bits for any number of threads."),
      llvm::cl::init(true)};
  Option<CpuMatmul> matmul{
      *this, "matmul",
      llvm::cl::desc("What computes matrix products and convolutions"),
      llvm::cl::values(
          clEnumValN(CpuMatmul::Inline, "inline",
                     "Vector loops in the code itself, which calls nothing"),
          clEnumValN(CpuMatmul::Own, "own",
                     "The runtime's kernel: the same bits (default)"),
          clEnumValN(CpuMatmul::Library, "library",
                     "The library found when this was built; an error without "
                     "one. It rounds otherwise"),
          clEnumValN(CpuMatmul::Auto, "auto",
                     "The library if there is one, else the runtime's kernel")),
      llvm::cl::init(CpuMatmul::Own)};
  Option<CpuDivision> division{
      *this, "division",
      llvm::cl::desc("How vectors of f32 are divided by one number; the bits "
                     "are the same"),
      llvm::cl::values(
          clEnumValN(CpuDivision::Instruction, "instruction",
                     "By the processor's instruction (default)"),
          clEnumValN(CpuDivision::Reciprocal, "reciprocal",
                     "By a reciprocal and its correction: for processors that "
                     "divide slowly and have fused multiply-adds")),
      llvm::cl::init(CpuDivision::Instruction)};
  Option<bool> verifyRuntime{
      *this, "verify-runtime",
      llvm::cl::desc("Check shapes and indices while the code runs; an error "
                     "names the op and its location"),
      llvm::cl::init(false)};
  Option<CpuPhase, PhaseParser<CpuPhase>> stopAfter{
      *this, "stop-after",
      llvm::cl::desc("Leave the IR as it is after this phase: differentiate, "
                     "linalg, fuse, bufferize, vectorize or llvm"),
      llvm::cl::init(CpuPhase::LLVM)};
};

/// Lowers a module to the LLVM dialect. What a caller of the code can rely on:
/// each public function @f has a C entry point _mlir_ciface_f; it never writes
/// to the buffers of its tensor arguments, except to those that say
/// `{bufferization.writable = true}`; each tensor it returns is a buffer of its
/// own, to be released with free(); a result marked `quant_ste.destination` is
/// not returned, but written to a buffer that is a further argument.
void buildCpuPipeline(OpPassManager &pm, const CpuPipelineOptions &options);

/// The phases of quant-ste-gpu-pipeline, in order. Up to Bufferize they are
/// those of the CPU.
enum class GpuPhase {
  Differentiate,
  Linalg,
  Fuse,
  Bufferize,
  /// Kernels in a gpu.module, launched by gpu.launch_func.
  Kernels,
  /// The kernels in the NVVM dialect.
  NVVM,
  /// The kernels as PTX in a gpu.binary.
  Binary,
  /// The host in the LLVM dialect, with calls of Runtime/Cuda.h.
  LLVM,
};

template <> ArrayRef<StringLiteral> getPhaseNames<GpuPhase>();

/// What multiplies matrices on a GPU.
enum class GpuMatmul { Inline, Cublas };

struct GpuPipelineOptions : PassPipelineOptions<GpuPipelineOptions> {
  ListOption<std::string> rules{
      *this, "rules",
      llvm::cl::desc("Files with the quant_ste.rules that are declared, but "
                     "not defined")};
  Option<std::string> chip{
      *this, "chip",
      llvm::cl::desc("The chip that code is made for: sm_75 to sm_121. PTX for "
                     "one runs on all later ones."),
      llvm::cl::init("sm_80")};
  Option<unsigned> ptx{
      *this, "ptx",
      llvm::cl::desc("PTX version, 78 for 7.8 (0: the first that knows the "
                     "chip)"),
      llvm::cl::init(0)};
  Option<bool> bitcode{*this, "bitcode",
                       llvm::cl::desc("LLVM bitcode in place of PTX"),
                       llvm::cl::init(false)};
  Option<DeviceImage> image{
      *this, "image", llvm::cl::desc("What the host code contains"),
      llvm::cl::values(
          clEnumValN(DeviceImage::PTX, "ptx",
                     "Assembly, which the driver compiles when it is first "
                     "used (default)"),
          clEnumValN(DeviceImage::Cubin, "cubin",
                     "Code for the chip alone, by ptxas"),
          clEnumValN(DeviceImage::Fatbin, "fatbin",
                     "Both, by ptxas and fatbinary")),
      llvm::cl::init(DeviceImage::PTX)};
  Option<unsigned> unroll{
      *this, "unroll",
      llvm::cl::desc("16-byte accesses of each operand that a thread has under "
                     "way (0: what the table says of the chip)"),
      llvm::cl::init(0)};
  Option<unsigned> minBlocks{
      *this, "min-blocks",
      llvm::cl::desc("Blocks that must fit on a multiprocessor at once (0: the "
                     "table)"),
      llvm::cl::init(0)};
  Option<int64_t> maxBlocks{
      *this, "max-blocks",
      llvm::cl::desc("Blocks of a kernel without sums (0: the table)"),
      llvm::cl::init(0)};
  Option<GpuSums> sums{
      *this, "sums", llvm::cl::desc("How the sums of blocks are added"),
      llvm::cl::values(
          clEnumValN(GpuSums::Ordered, "ordered",
                     "By a second kernel: the same bits in every run and on "
                     "every chip (default)"),
          clEnumValN(GpuSums::Atomic, "atomic",
                     "By atomic additions of f32 and f64, whose order, and so "
                     "the last bits, change from run to run")),
      llvm::cl::init(GpuSums::Ordered)};
  Option<bool> batch{
      *this, "batch",
      llvm::cl::desc("Launch small kernels that are equal at once: all weight "
                     "quantizers of a network, say (default: true)"),
      llvm::cl::init(true)};
  Option<GpuMatmul> matmul{
      *this, "matmul",
      llvm::cl::desc("What computes matrix products and convolutions"),
      llvm::cl::values(
          clEnumValN(GpuMatmul::Inline, "inline",
                     "A plain kernel: the bits of the CPU (default)"),
          clEnumValN(GpuMatmul::Cublas, "cublas",
                     "cuBLAS, which has to be there when the code runs. It "
                     "rounds otherwise, but f32 is never narrowed")),
      llvm::cl::init(GpuMatmul::Inline)};
  Option<int64_t> gatherBytes{
      *this, "gather-bytes",
      llvm::cl::desc("Bytes of temporary memory that a convolution by cuBLAS "
                     "may take (default: 256 MiB)"),
      llvm::cl::init(int64_t(256) << 20)};
  Option<GpuPhase, PhaseParser<GpuPhase>> stopAfter{
      *this, "stop-after",
      llvm::cl::desc("Leave the IR as it is after this phase: differentiate, "
                     "linalg, fuse, bufferize, kernels, nvvm, binary or llvm"),
      llvm::cl::init(GpuPhase::LLVM)};
};

/// Lowers a module to the LLVM dialect, with the kernels' code as a constant.
/// The functions take and return buffers in the memory of the GPU, otherwise as
/// those of the CPU pipeline; their work is under way, on the stream of the
/// calling thread, when they return (Runtime/Cuda.h).
void buildGpuPipeline(OpPassManager &pm, const GpuPipelineOptions &options);

void registerQuantSTEPipelines();

} // namespace mlir::quant_ste

#endif // QUANT_STE_PIPELINES_PIPELINES_H
