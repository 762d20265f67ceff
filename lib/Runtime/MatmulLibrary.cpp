//===- MatmulLibrary.cpp - products by OpenBLAS or oneDNN -------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The library that CMake found, if any. It is loaded by the first product that
// wants it: OpenBLAS starts its threads as soon as it is loaded, and a process
// that never asks for it should not have them. Both have a stable C interface,
// which is spelled out here, so that no header is needed.
//
//===----------------------------------------------------------------------===//

#include "MatmulLibrary.h"

#include <climits>
#include <dlfcn.h>
#include <optional>
#include <type_traits>
#include <utility>

using namespace quant_ste::runtime;

// QUANT_STE_OPENBLAS, QUANT_STE_ONEDNN: the file names of the libraries.
#if defined(QUANT_STE_OPENBLAS)
static constexpr const char *kName = "OpenBLAS", *kFile = QUANT_STE_OPENBLAS;
#elif defined(QUANT_STE_ONEDNN)
static constexpr const char *kName = "oneDNN", *kFile = QUANT_STE_ONEDNN;
#else
static constexpr const char *kName = nullptr, *kFile = nullptr;
#endif

const char *quant_ste_matmul_library(void) { return kName; }

namespace {
/// C[m, n] = A[m, k] B[k, n] + C, row-major; a factor may be stored the other
/// way around.
template <class T> struct Gemm {
  const T *a, *b;
  T *c;
  int64_t m, n, k;
  bool transposeA, transposeB;
  int64_t lda, ldb, ldc;
};

struct Library {
  /// cblas_sgemm, cblas_dgemm.
  using OpenBLASFloat = void (*)(int order, int transA, int transB, int m,
                                 int n, int k, float alpha, const float *a,
                                 int lda, const float *b, int ldb, float beta,
                                 float *c, int ldc);
  using OpenBLASDouble = void (*)(int order, int transA, int transB, int m,
                                  int n, int k, double alpha, const double *a,
                                  int lda, const double *b, int ldb,
                                  double beta, double *c, int ldc);
  /// dnnl_sgemm, which is row-major; there is no dnnl_dgemm.
  using OneDNNFloat = int (*)(char transA, char transB, int64_t m, int64_t n,
                              int64_t k, float alpha, const float *a,
                              int64_t lda, const float *b, int64_t ldb,
                              float beta, float *c, int64_t ldc);
  OpenBLASFloat sgemm = nullptr;
  OpenBLASDouble dgemm = nullptr;
  void (*setThreads)(int) = nullptr;
  OneDNNFloat dnnl = nullptr;

  Library() {
    void *handle = kFile ? dlopen(kFile, RTLD_NOW | RTLD_LOCAL) : nullptr;
    if (!handle)
      return;
    auto find = [&](auto &function, const char *symbol) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(
          dlsym(handle, symbol));
    };
    find(sgemm, "cblas_sgemm");
    find(dgemm, "cblas_dgemm");
    find(setThreads, "openblas_set_num_threads");
    find(dnnl, "dnnl_sgemm");
  }

  template <class T>
  bool runOpenBLAS(const Gemm<T> &g, int numThreads, auto gemm) const {
    for (int64_t size : {g.m, g.n, g.k, g.lda, g.ldb, g.ldc})
      if (size > INT_MAX)
        return false;
    if (setThreads)
      setThreads(numThreads);
    constexpr int kRowMajor = 101, kNoTrans = 111, kTrans = 112;
    gemm(kRowMajor, g.transposeA ? kTrans : kNoTrans,
         g.transposeB ? kTrans : kNoTrans, static_cast<int>(g.m),
         static_cast<int>(g.n), static_cast<int>(g.k), T(1), g.a,
         static_cast<int>(g.lda), g.b, static_cast<int>(g.ldb), T(1), g.c,
         static_cast<int>(g.ldc));
    return true;
  }
  bool run(const Gemm<float> &g, int numThreads) const {
    if (sgemm)
      return runOpenBLAS(g, numThreads, sgemm);
    constexpr int kSuccess = 0;
    return dnnl && dnnl(g.transposeA ? 'T' : 'N', g.transposeB ? 'T' : 'N', g.m,
                        g.n, g.k, 1.0f, g.a, g.lda, g.b, g.ldb, 1.0f, g.c,
                        g.ldc) == kSuccess;
  }
  bool run(const Gemm<double> &g, int numThreads) const {
    return dgemm && runOpenBLAS(g, numThreads, dgemm);
  }
};
} // namespace

/// A matrix whose loops have these strides: which way it is stored, and the
/// distance of its lines. None if neither stride is one.
static std::optional<std::pair<bool, int64_t>> getLayout(int64_t rowStride,
                                                         int64_t rows,
                                                         int64_t columnStride,
                                                         int64_t columns) {
  if (columnStride == 1 && rowStride >= columns)
    return std::pair(false, rowStride);
  if (rowStride == 1 && columnStride >= rows)
    return std::pair(true, columnStride);
  return std::nullopt;
}

template <class T>
static bool multiply(const quant_ste_matmul_args &args,
                     const quant_ste_matmul_loop *loops, int numThreads) {
  static const Library library;
  const quant_ste_matmul_loop &batch = loops[0], &rows = loops[args.batch],
                              &columns = loops[args.batch + 1],
                              &terms = loops[args.batch + 2];
  int64_t m = rows.size, n = columns.size, k = terms.size;
  auto a = getLayout(rows.a, m, terms.a, k);
  auto b = getLayout(terms.b, k, columns.b, n);
  auto c = getLayout(rows.c, m, columns.c, n);
  if (!a || !b || !c || c->first)
    return false;
  int64_t count = args.batch ? batch.size : 1;
  for (int64_t i = 0; i < count; ++i) {
    int64_t inA = args.batch ? i * batch.a : 0;
    int64_t inB = args.batch ? i * batch.b : 0;
    int64_t inC = args.batch ? i * batch.c : 0;
    Gemm<T> gemm{static_cast<const T *>(args.a) + inA,
                 static_cast<const T *>(args.b) + inB,
                 static_cast<T *>(args.c) + inC,
                 m,
                 n,
                 k,
                 a->first,
                 b->first,
                 a->second,
                 b->second,
                 c->second};
    // If the first one works, so do the others.
    if (!library.run(gemm, numThreads))
      return false;
  }
  return true;
}

bool quant_ste::runtime::multiplyByLibrary(const quant_ste_matmul_args &args,
                                           const quant_ste_matmul_loop *loops,
                                           int numThreads) {
  bool isPlain = args.batch <= 1 && args.rows == 1 && args.columns == 1 &&
                 args.terms == 1 && args.a_type == args.c_type &&
                 args.b_type == args.c_type;
  if (!kName || !isPlain)
    return false;
  return args.c_type == QUANT_STE_MATMUL_F64
             ? multiply<double>(args, loops, numThreads)
             : multiply<float>(args, loops, numThreads);
}
