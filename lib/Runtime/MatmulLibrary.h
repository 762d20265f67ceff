//===- MatmulLibrary.h - products by a library ------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_LIB_RUNTIME_MATMULLIBRARY_H
#define QUANT_STE_LIB_RUNTIME_MATMULLIBRARY_H

#include "quant_ste/Runtime/Matmul.h"

namespace quant_ste::runtime {

/// False if there is no library, or it has no function for this.
bool multiplyByLibrary(const quant_ste_matmul_args &args,
                       const quant_ste_matmul_loop *loops, int numThreads);

} // namespace quant_ste::runtime

#endif // QUANT_STE_LIB_RUNTIME_MATMULLIBRARY_H
