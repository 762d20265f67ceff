//===- CudaThread.h - a thread's work on a GPU ------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_RUNTIME_CUDATHREAD_H
#define QUANT_STE_RUNTIME_CUDATHREAD_H

#include <optional>
#include <string>

namespace quant_ste::runtime {

/// Where the calling thread's work goes.
struct CudaThread {
  void *context, *stream;
};

/// None after an error: nothing is to be done any more.
std::optional<CudaThread> getCudaThread();

/// Notes an error, unless there is one.
void failOnCuda(const std::string &text);

} // namespace quant_ste::runtime

#endif // QUANT_STE_RUNTIME_CUDATHREAD_H
