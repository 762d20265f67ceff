//===- EmulatedCublas.cpp - cuBLAS on the processor -------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Stands in for libcublas.so ($QUANT_STE_LIBCUBLAS) beside the emulated driver.
// It checks its arguments as the documentation of cublasGemmStridedBatchedEx
// says and multiplies. emulated_cublas_log() is what was called, a line each;
// emulated_cublas_fail(name, status) makes the next call of a function fail.
//
//===----------------------------------------------------------------------===//

#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/bit.h"
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>

namespace {
struct Handle {
  void *stream = nullptr;
  int mathMode = 0;
};
enum DataType { R32F = 0, R64F = 1, R16F = 2, R16BF = 14 };
enum Compute { F32 = 68, F32Pedantic = 69, F64 = 70 };
enum Status { Success = 0, NotInitialized = 1, InvalidValue = 7, Failed = 13 };
} // namespace

static std::string log;
static std::map<std::string, int> failures;

static int note(const std::string &function, const std::string &arguments) {
  log += function + "(" + arguments + ")\n";
  auto failure = failures.find(function);
  if (failure == failures.end())
    return Success;
  int status = failure->second;
  failures.erase(failure);
  return status;
}

static double widen(uint16_t bits, const llvm::fltSemantics &format) {
  return llvm::APFloat(format, llvm::APInt(16, bits)).convertToDouble();
}

static double load(const void *array, int64_t i, int type) {
  switch (type) {
  case R32F:
    return static_cast<const float *>(array)[i];
  case R64F:
    return static_cast<const double *>(array)[i];
  case R16F:
    return widen(static_cast<const uint16_t *>(array)[i],
                 llvm::APFloat::IEEEhalf());
  default:
    return widen(static_cast<const uint16_t *>(array)[i],
                 llvm::APFloat::BFloat());
  }
}

extern "C" {

const char *emulated_cublas_log() {
  static std::string given;
  given.swap(log);
  log.clear();
  return given.c_str();
}
void emulated_cublas_fail(const char *function, int status) {
  failures[function] = status;
}

const char *cublasGetStatusString(int status) {
  switch (status) {
  case NotInitialized:
    return "the library was not initialized";
  case InvalidValue:
    return "an invalid value was given";
  default:
    return "the GPU program failed to execute";
  }
}
int cublasCreate_v2(void **handle) {
  if (int status = note("cublasCreate", ""))
    return status;
  *handle = new Handle; // for the life of the process
  return Success;
}
int cublasSetStream_v2(void *handle, void *stream) {
  static_cast<Handle *>(handle)->stream = stream;
  return Success;
}
int cublasSetMathMode(void *handle, int mode) {
  static_cast<Handle *>(handle)->mathMode = mode;
  return note("cublasSetMathMode", std::to_string(mode));
}
int cublasSetPointerMode_v2(void *, int mode) {
  return mode == 0 ? Success : InvalidValue;
}

int cublasGemmStridedBatchedEx(void *handle, int opA, int opB, int m, int n,
                               int k, const void *alpha, const void *a,
                               int typeA, int lda, long long strideA,
                               const void *b, int typeB, int ldb,
                               long long strideB, const void *beta, void *c,
                               int typeC, int ldc, long long strideC, int count,
                               int compute, int algorithm) {
  auto &given = *static_cast<Handle *>(handle);
  std::string name = "cublasGemmStridedBatchedEx";
  auto factor = [&](const void *v) {
    return compute == F64 ? *static_cast<const double *>(v)
                          : *static_cast<const float *>(v);
  };
  std::string text;
  for (int64_t v : {int64_t(opA), int64_t(opB), int64_t(m), int64_t(n),
                    int64_t(k), int64_t(lda), int64_t(ldb), int64_t(ldc),
                    int64_t(count), int64_t(compute)})
    text += std::to_string(v) + " ";
  text += factor(beta) == 0 ? "set " : "add ";
  text += "stream=" + std::to_string(reinterpret_cast<uintptr_t>(given.stream));
  if (int status = note(name, text))
    return status;
  bool isDouble = compute == F64;
  int wanted = typeA == R64F ? F64 : typeA == R32F ? F32Pedantic : F32;
  bool fitsTypes = typeA == typeB && compute == wanted &&
                   (typeC == typeA || (typeC == R32F && !isDouble));
  if (!fitsTypes || m < 0 || n < 0 || k < 0 || count < 0 || algorithm != -1 ||
      lda < std::max(1, opA == 0 ? m : k) ||
      ldb < std::max(1, opB == 0 ? k : n) || ldc < std::max(1, m) ||
      (typeC != R32F && typeC != R64F) || (given.mathMode & 3) != 0)
    return InvalidValue;
  for (int64_t batch = 0; batch < count; ++batch)
    for (int64_t j = 0; j < n; ++j)
      for (int64_t i = 0; i < m; ++i) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l)
          sum +=
              load(a, batch * strideA + (opA == 0 ? i + l * lda : l + i * lda),
                   typeA) *
              load(b, batch * strideB + (opB == 0 ? l + j * ldb : j + l * ldb),
                   typeB);
        int64_t at = batch * strideC + i + j * ldc;
        // With no part of it, what is there is not read.
        double value = factor(alpha) * sum;
        if (factor(beta) != 0)
          value += factor(beta) * load(c, at, typeC);
        if (typeC == R64F)
          static_cast<double *>(c)[at] = value;
        else
          static_cast<float *>(c)[at] = static_cast<float>(value);
      }
  return Success;
}

} // extern "C"
