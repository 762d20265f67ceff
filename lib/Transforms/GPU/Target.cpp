//===- Target.cpp - what kernels are made for -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Transforms/GpuTarget.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace mlir::quant_ste;

/// The newest PTX that LLVM 22 writes.
static constexpr unsigned kMaxPtx = 90;

// sm_89 is known to PTX 7.8, but its 8-bit floats to 8.1; sm_100 and sm_120
// to 8.6 and 8.7, but their accesses of 32 bytes to 8.8. With a fourth block of
// a sum ptxas leaves sm_120 and sm_121 too few registers. Estimated from
// occupancy and bytes under way, not yet measured.
static constexpr GpuTarget kTargets[] = {
    // chip, PTX, unroll, blocks per multiprocessor (plain, sum), blocks
    {"sm_75", 63, 4, 4, 4, 1088},   {"sm_80", 70, 4, 4, 4, 1728},
    {"sm_86", 71, 4, 4, 4, 1344},   {"sm_87", 74, 4, 4, 4, 512},
    {"sm_89", 81, 4, 4, 4, 2048},   {"sm_90", 78, 4, 4, 4, 2112},
    {"sm_90a", 80, 4, 4, 4, 2112},  {"sm_100", 88, 4, 4, 4, 2368},
    {"sm_100a", 88, 4, 4, 4, 2368}, {"sm_103", 88, 4, 4, 4, 2560},
    {"sm_110", 90, 4, 4, 4, 512},   {"sm_120", 88, 4, 4, 3, 2720},
    {"sm_121", 88, 4, 4, 3, 768},
};

ArrayRef<GpuTarget> quant_ste::getGpuTargets() { return kTargets; }

llvm::Expected<const GpuTarget *> quant_ste::lookupGpuTarget(StringRef chip) {
  for (const GpuTarget &target : kTargets)
    if (target.chip == chip)
      return &target;
  auto names = llvm::map_range(
      kTargets, [](const GpuTarget &target) { return target.chip; });
  return llvm::createStringError("expected a chip (" + llvm::join(names, ", ") +
                                 "), got '" + chip + "'");
}

int GpuTarget::getCapability() const {
  int number = 0;
  StringRef rest = chip;
  bool isNumber = rest.consume_front("sm_") && !rest.consumeInteger(10, number);
  assert(isNumber && "the table has chips with numbers");
  (void)isNumber;
  return number;
}

llvm::Expected<const GpuTarget *> quant_ste::lookupGpuTarget(int capability) {
  const GpuTarget *best = nullptr;
  for (const GpuTarget &target : kTargets)
    if (!target.isForOneChip() && target.getCapability() <= capability &&
        (!best || target.getCapability() > best->getCapability()))
      best = &target;
  if (best)
    return best;
  return llvm::createStringError("expected a GPU of compute capability 7.5 or "
                                 "later, got " +
                                 Twine(capability / 10) + "." +
                                 Twine(capability % 10));
}

llvm::Error quant_ste::checkPtxVersion(const GpuTarget &target, unsigned ptx) {
  if (ptx == 0 || (ptx >= target.minPtx && ptx <= kMaxPtx))
    return llvm::Error::success();
  return llvm::createStringError(
      "expected a PTX version in " + Twine(target.minPtx) + ".." +
      Twine(kMaxPtx) + " for '" + target.chip + "', got " + Twine(ptx));
}
