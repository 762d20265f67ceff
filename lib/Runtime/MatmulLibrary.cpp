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
// A convolution is no matrix product as it lies in memory: blocks of its
// factors are copied to matrices (Chellapilla, Puri and Simard 2006, "High
// performance convolutional neural networks for document processing"), which
// the library multiplies.
//
//===----------------------------------------------------------------------===//

#include "MatmulLibrary.h"

#include "MatmulOffsets.h"
#include <algorithm>
#include <climits>
#include <dlfcn.h>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

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

  static const Library &get() {
    static const Library library;
    return library;
  }

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

/// Matrices as they are in memory.
template <class T>
static bool multiplyPlain(const quant_ste_matmul_args &args,
                          const quant_ste_matmul_loop *loops, int numThreads) {
  const Library &library = Library::get();
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

//===----------------------------------------------------------------------===//
// What is no matrix in memory
//===----------------------------------------------------------------------===//

/// Terms of a block, and elements of a block of a factor: 2 MB of f32.
static constexpr int64_t kTerms = 2048, kElements = int64_t(1) << 19;
/// With fewer rows, columns or terms copying takes longer than multiplying.
static constexpr int64_t kFewest = 8;

namespace {
struct Block {
  int64_t first, size;
};

/// One factor of a product whose rows (or columns) are `across`.
template <class T> struct Gathered {
  const T *data;
  Offsets across, terms;
  std::vector<T> copy = {};
  // The block that has been taken.
  const T *matrix = nullptr;
  int64_t stride = 0;
  bool termsFirst = false; ///< each term has a line, of which `across` are the
                           ///< elements

  void take(Block a, Block t, int numThreads);
};
} // namespace

/// What lies one behind the other.
static std::vector<Block> findRuns(const int64_t *offsets, int64_t count) {
  std::vector<Block> runs;
  for (int64_t i = 0, end; i < count; i = end) {
    for (end = i + 1; end < count && offsets[end] - offsets[end - 1] == 1;)
      ++end;
    runs.push_back({i, end - i});
  }
  return runs;
}

template <class T>
static void copyLines(const T *from, const int64_t *lines, int64_t numLines,
                      const int64_t *along, const std::vector<Block> &runs,
                      int64_t stride, T *to, int numThreads) {
#pragma omp parallel for num_threads(numThreads) if (numThreads > 1)
  for (int64_t i = 0; i < numLines; ++i)
    for (const Block &run : runs) {
      const T *source = from + lines[i] + along[run.first];
      std::copy(source, source + run.size, to + i * stride + run.first);
    }
}

/// Where it is, if it is a matrix there; else a copy.
template <class T> void Gathered<T>::take(Block a, Block t, int numThreads) {
  const int64_t *as = across.data() + a.first, *ts = terms.data() + t.first;
  int64_t inA = a.size > 1 ? as[1] - as[0] : 1;
  int64_t inT = t.size > 1 ? ts[1] - ts[0] : 1;
  bool isMatrix = isEven(as, a.size, inA) && isEven(ts, t.size, inT) &&
                  std::max(inA, inT) <= INT_MAX;
  if (auto layout =
          isMatrix ? getLayout(inT, t.size, inA, a.size) : std::nullopt) {
    matrix = data + as[0] + ts[0];
    termsFirst = !layout->first;
    stride = layout->second;
    return;
  }
  copy.resize(a.size * t.size);
  matrix = copy.data();
  std::vector<Block> acrossRuns = findRuns(as, a.size);
  std::vector<Block> termRuns = findRuns(ts, t.size);
  // Lines go along the longer runs.
  termsFirst = a.size * static_cast<int64_t>(termRuns.size()) >=
               t.size * static_cast<int64_t>(acrossRuns.size());
  stride = termsFirst ? a.size : t.size;
  copyLines(data, termsFirst ? ts : as, termsFirst ? t.size : a.size,
            termsFirst ? as : ts, termsFirst ? acrossRuns : termRuns, stride,
            copy.data(), numThreads);
}

/// c += own, a matrix of rows.size() rows.
template <class T>
static void addTo(T *c, const int64_t *rows, const int64_t *columns,
                  int64_t numRows, int64_t numColumns, const T *own) {
  for (int64_t i = 0; i < numRows; ++i)
    for (int64_t j = 0; j < numColumns; ++j)
      c[rows[i] + columns[j]] += own[i * numColumns + j];
}

/// How many from `first` on, at most `most`, lie one behind the other: a block
/// should not go on where a line ends.
static int64_t countAlong(const Offsets &offsets, int64_t first, int64_t most) {
  int64_t last = std::min<int64_t>(offsets.size(), first + most);
  int64_t end = first + 1;
  while (end < last && offsets[end] - offsets[end - 1] == 1)
    ++end;
  constexpr int64_t kShort = 256; // not worth a product of its own
  return end - first < kShort ? last - first : end - first;
}

template <class T>
static bool multiplyGathered(Gathered<T> &left, Gathered<T> &right, T *c,
                             const Offsets &rows, const Offsets &columns,
                             int numThreads) {
  const Library &library = Library::get();
  int64_t numRows = rows.size(), numColumns = columns.size();
  int64_t numTerms = left.terms.size();
  int64_t most = kElements / std::min(numTerms, kTerms);
  std::vector<T> own;
  for (int64_t p = 0; p < numTerms; p += kTerms) {
    Block terms{p, std::min(kTerms, numTerms - p)};
    for (int64_t i = 0; i < numRows; i += most) {
      Block up{i, std::min(most, numRows - i)};
      left.take(up, terms, numThreads);
      int64_t size;
      for (int64_t j = 0; j < numColumns; j += size) {
        size = countAlong(columns, j, most);
        right.take({j, size}, terms, numThreads);
        int64_t stride = up.size > 1 ? rows[i + 1] - rows[i] : size;
        bool isMatrix = stride >= size && stride <= INT_MAX &&
                        isEven(&rows[i], up.size, stride) &&
                        isEven(&columns[j], size, 1);
        if (!isMatrix)
          own.assign(up.size * size, T(0));
        Gemm<T> gemm{left.matrix,
                     right.matrix,
                     isMatrix ? c + rows[i] + columns[j] : own.data(),
                     up.size,
                     size,
                     terms.size,
                     left.termsFirst,
                     !right.termsFirst,
                     left.stride,
                     right.stride,
                     isMatrix ? stride : size};
        // If the first one works, so do the others.
        if (!library.run(gemm, numThreads))
          return false;
        if (!isMatrix)
          addTo(c, &rows[i], &columns[j], up.size, size, own.data());
      }
    }
  }
  return true;
}

template <class T>
static bool multiplyGathered(const quant_ste_matmul_args &args,
                             const quant_ste_matmul_loop *loops,
                             int numThreads) {
  using Loop = quant_ste_matmul_loop;
  Kinds kinds(args, loops);
  Gathered<T> left{static_cast<const T *>(args.a),
                   makeOffsets(kinds.rows, args.rows, &Loop::a),
                   makeOffsets(kinds.terms, args.terms, &Loop::a)};
  Gathered<T> right{static_cast<const T *>(args.b),
                    makeOffsets(kinds.columns, args.columns, &Loop::b),
                    makeOffsets(kinds.terms, args.terms, &Loop::b)};
  Offsets rows = makeOffsets(kinds.rows, args.rows, &Loop::c);
  Offsets columns = makeOffsets(kinds.columns, args.columns, &Loop::c);
  for (size_t size : {rows.size(), columns.size(), left.terms.size()})
    if (static_cast<int64_t>(size) < kFewest)
      return false;
  Offsets inLeft = makeOffsets(kinds.batch, args.batch, &Loop::a);
  Offsets inRight = makeOffsets(kinds.batch, args.batch, &Loop::b);
  Offsets inC = makeOffsets(kinds.batch, args.batch, &Loop::c);
  if (isBetterSwapped(args, kinds)) {
    std::swap(left, right);
    std::swap(rows, columns);
    std::swap(inLeft, inRight);
  }
  const T *a = left.data, *b = right.data;
  for (size_t i = 0; i < inC.size(); ++i) {
    left.data = a + inLeft[i];
    right.data = b + inRight[i];
    if (!multiplyGathered(left, right, static_cast<T *>(args.c) + inC[i], rows,
                          columns, numThreads))
      return false;
  }
  return true;
}

template <class T>
static bool multiply(const quant_ste_matmul_args &args,
                     const quant_ste_matmul_loop *loops, int numThreads) {
  bool isPlain =
      args.batch <= 1 && args.rows == 1 && args.columns == 1 && args.terms == 1;
  return (isPlain && multiplyPlain<T>(args, loops, numThreads)) ||
         multiplyGathered<T>(args, loops, numThreads);
}

bool quant_ste::runtime::multiplyByLibrary(const quant_ste_matmul_args &args,
                                           const quant_ste_matmul_loop *loops,
                                           int numThreads) {
  if (!kName || args.a_type != args.c_type || args.b_type != args.c_type)
    return false;
  return args.c_type == QUANT_STE_MATMUL_F64
             ? multiply<double>(args, loops, numThreads)
             : multiply<float>(args, loops, numThreads);
}
