//===- Target.h - processors to compile for ---------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_EXECUTION_TARGET_H
#define QUANT_STE_EXECUTION_TARGET_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace llvm {
class TargetMachine;
} // namespace llvm

namespace mlir::quant_ste {

/// How to make machine code.
struct CodegenOptions {
  /// 0 to 3, as in clang -O.
  unsigned optLevel = 2;
  /// As in llc -mtriple; empty: this machine's.
  std::string triple;
  /// As in llc -mcpu and -mattr; empty: this machine's, or the most general
  /// processor of the triple.
  std::string cpu;
  std::string features;
  /// Line tables that lead to the source of the module.
  bool debugInfo = false;
  /// Told how long each step took, in seconds; may be empty.
  std::function<void(llvm::StringRef step, double seconds)> reportTime;
};

/// A processor that code is compiled for, of the one or several among which a
/// program chooses when it is loaded.
struct Level {
  /// As written: "x86-64-v3", "haswell,-avx2".
  std::string name;
  CodegenOptions codegen;
  /// "sm_90": a GPU of which this is the host's code; empty: none.
  std::string chip = {};
};

/// A target word: `cpu` (this machine's), `cpu:x86-64-v3`, `x86_64`,
/// `aarch64:neoverse-n1`, `cpu:x86-64-v2+x86-64-v4`.
struct CpuTarget {
  /// In the order written; a program takes the last that it can run.
  std::vector<Level> levels;

  /// What each level has that `base` does not say: triple, processor, features.
  static llvm::Expected<CpuTarget> parse(llvm::StringRef word,
                                         const CodegenOptions &base);
};

/// Measures from where it is made to where it goes.
class StepTimer {
public:
  StepTimer(const CodegenOptions &options, llvm::StringRef step)
      : options(options), step(step) {}
  StepTimer(const StepTimer &) = delete;
  ~StepTimer() {
    if (options.reportTime)
      options.reportTime(
          step, std::chrono::duration<double>(Clock::now() - begin).count());
  }

private:
  using Clock = std::chrono::steady_clock;
  const CodegenOptions &options;
  llvm::StringRef step;
  Clock::time_point begin = Clock::now();
};

/// Makes LLVM's back end for this machine known; false when there is none.
bool initializeNativeTarget();

/// A description of the machine that checks names of processors and features.
/// The code it makes never contracts two floating point operations.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createTargetMachine(const CodegenOptions &options);

/// An error when this machine lacks an instruction set that code compiled with
/// these options may use.
llvm::Error checkRunsHere(const CodegenOptions &options);

/// What of the cpuid instruction code for an x86-64 processor relies on.
struct CpuidMask {
  /// Registers that are looked at.
  enum Word { Leaf1ECX, Leaf7EBX, Leaf7ECX, Leaf7EDX, Leaf7_1EAX, ExtendedECX };
  static constexpr unsigned kNumWords = ExtendedECX + 1;

  std::array<uint32_t, kNumWords> words{};
  /// Of XCR0: which registers the system must save.
  uint32_t xcr0 = 0;
};
CpuidMask getCpuidMask(const llvm::TargetMachine &machine);

} // namespace mlir::quant_ste

#endif // QUANT_STE_EXECUTION_TARGET_H
