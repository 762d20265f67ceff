//===- JITSymbols.cpp - what compiled code may call -------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Runtime/JITSymbols.h"

#include "quant_ste/Runtime/Assertion.h"
#include "quant_ste/Runtime/Cuda.h"
#include "quant_ste/Runtime/Matmul.h"
#include "quant_ste/Runtime/Report.h"
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <dlfcn.h>

//===----------------------------------------------------------------------===//
// f16 and bf16 where the processor has no instruction for them
//===----------------------------------------------------------------------===//

// LLVM calls __truncsfbf2 and its kin, which not every libgcc has. libgcc's
// double versions are exact; MLIR's own round twice. On x86-64 both narrow
// types travel in the low bits of an SSE register, as does a float that holds
// their bits. Other targets have the instructions or the functions.
#if defined(__x86_64__)
#define QUANT_STE_HAS_NARROW_FLOATS 1

/// Rounds once, half to even, to a format of `mantissa` stored bits.
static float narrow(double x, int exponentBits, int mantissa) {
  uint64_t bits = std::bit_cast<uint64_t>(x);
  uint64_t sign = bits >> 63;
  int exponent = static_cast<int>(bits >> 52 & 0x7ff);
  uint64_t fraction = bits & ((uint64_t(1) << 52) - 1);
  uint64_t infinity = ((uint64_t(1) << exponentBits) - 1) << mantissa;
  int bias = (1 << (exponentBits - 1)) - 1;
  int target = exponent - 1023 + bias;

  uint64_t out = 0;
  if (exponent == 0x7ff) {
    uint64_t quiet = uint64_t(1) << (mantissa - 1);
    out = infinity | (fraction ? fraction >> (52 - mantissa) | quiet : 0);
  } else if (target + mantissa >= 0) { // else below half the smallest number
    uint64_t whole = fraction | uint64_t(1) << 52;
    int shift = 52 - mantissa + (target < 1 ? 1 - target : 0);
    uint64_t kept = whole >> shift;
    uint64_t rest = whole & ((uint64_t(1) << shift) - 1);
    uint64_t half = uint64_t(1) << (shift - 1);
    if (rest > half || (rest == half && (kept & 1)))
      ++kept;
    // The implicit bit, or a carry, adds one to the exponent.
    out = target < 1 ? kept : (uint64_t(target - 1) << mantissa) + kept;
    if (out > infinity)
      out = infinity;
  }
  out |= sign << (exponentBits + mantissa);
  return std::bit_cast<float>(static_cast<uint32_t>(out));
}

static float truncToBF16(double x) { return narrow(x, 8, 7); }
static float truncToF16(double x) { return narrow(x, 5, 10); }
static float truncFloatToBF16(float x) { return truncToBF16(x); }
static float truncFloatToF16(float x) { return truncToF16(x); }

static float extendF16(float register_) {
  uint32_t bits = std::bit_cast<uint32_t>(register_) & 0xffff;
  uint32_t sign = bits >> 15 << 31;
  uint32_t exponent = bits >> 10 & 0x1f;
  uint32_t fraction = bits & 0x3ff;
  if (exponent == 0) { // zero or subnormal: fraction * 2^-24, exactly
    float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
  }
  uint32_t wide = exponent == 0x1f ? 0xff : exponent - 15 + 127;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}
#endif

// llvm.powi with an exponent that is not constant; of libgcc or compiler-rt.
extern "C" float __powisf2(float x, int n);
extern "C" double __powidf2(double x, int n);

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

template <class F> static void *address(F *function) {
  return reinterpret_cast<void *>(function);
}

const quant_ste_jit_symbol *quant_ste_jit_symbols(size_t *count) {
  static const quant_ste_jit_symbol symbols[] = {
#ifdef QUANT_STE_HAS_NARROW_FLOATS
      {"__truncsfbf2", address(truncFloatToBF16)},
      {"__truncdfbf2", address(truncToBF16)},
      {"__truncsfhf2", address(truncFloatToF16)},
      {"__truncdfhf2", address(truncToF16)},
      {"__extendhfsf2", address(extendF16)},
#endif
      // Results are freed here: the same allocator, though a sanitizer or a
      // preloaded library puts its own before libc's.
      {"malloc", address(std::malloc)},
      {"free", address(std::free)},
      {"quant_ste_assertion_failed", address(quant_ste_assertion_failed)},
      {"quant_ste_cuda_launch", address(quant_ste_cuda_launch)},
      {"quant_ste_cuda_malloc", address(quant_ste_cuda_malloc)},
      {"quant_ste_cuda_aligned_alloc", address(quant_ste_cuda_aligned_alloc)},
      {"quant_ste_cuda_matmul", address(quant_ste_cuda_matmul)},
      {"quant_ste_cuda_free", address(quant_ste_cuda_free)},
      {"quant_ste_cuda_copy_to_host", address(quant_ste_cuda_copy_to_host)},
      {"quant_ste_cuda_synchronize", address(quant_ste_cuda_synchronize)},
      {"__powisf2", address(__powisf2)},
      {"__powidf2", address(__powidf2)},
      {"quant_ste_matmul", address(quant_ste_matmul)},
      {"_mlir_ciface_quant_ste_report_epoch",
       address(_mlir_ciface_quant_ste_report_epoch)},
  };
  *count = sizeof(symbols) / sizeof(symbols[0]);
  return symbols;
}

//===----------------------------------------------------------------------===//
// OpenMP
//===----------------------------------------------------------------------===//

// A function that only LLVM's OpenMP has: libgomp, which torch brings along,
// has not.
extern "C" int32_t __kmpc_global_thread_num(void *loc);

const char *quant_ste_openmp_library(void) {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void *>(__kmpc_global_thread_num), &info))
    return nullptr;
  return info.dli_fname;
}
