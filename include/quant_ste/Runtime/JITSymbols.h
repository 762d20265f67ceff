//===- JITSymbols.h - what compiled code may call ---------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RUNTIME_JITSYMBOLS_H
#define QUANT_STE_RUNTIME_JITSYMBOLS_H

#include <cstddef>

extern "C" {

struct quant_ste_jit_symbol {
  const char *name;
  void *address;
};

/// The functions that this library offers to compiled code.
const quant_ste_jit_symbol *quant_ste_jit_symbols(size_t *count);

/// The path of the OpenMP library that this library is linked to, or null.
const char *quant_ste_openmp_library(void);

} // extern "C"

#endif // QUANT_STE_RUNTIME_JITSYMBOLS_H
