//===- CudaBlas.cpp - matrix products by cuBLAS -----------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "CudaThread.h"
#include "quant_ste/Runtime/Cuda.h"
#include "quant_ste/Runtime/Matmul.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <vector>

using namespace quant_ste::runtime;
using Loop = quant_ste_matmul_loop;

//===----------------------------------------------------------------------===//
// The library
//===----------------------------------------------------------------------===//

// From cublas_api.h and library_types.h, which need not be there.
using cublasHandle_t = void *;
using cublasStatus_t = int;
static constexpr int kOpN = 0, kOpT = 1;
static constexpr int kR32F = 0, kR64F = 1, kR16F = 2, kR16BF = 14;
static constexpr int kCompute32F = 68, kCompute32FPedantic = 69,
                     kCompute64F = 70;
static constexpr int kDisallowReducedPrecisionReduction = 16;
static constexpr int kDefaultAlgorithm = -1;

namespace {
struct Cublas {
  cublasStatus_t (*create)(cublasHandle_t *) = nullptr;
  cublasStatus_t (*setStream)(cublasHandle_t, void *) = nullptr;
  cublasStatus_t (*setMathMode)(cublasHandle_t, int) = nullptr;
  cublasStatus_t (*setPointerMode)(cublasHandle_t, int) = nullptr;
  cublasStatus_t (*gemm)(cublasHandle_t, int, int, int, int, int, const void *,
                         const void *, int, int, long long, const void *, int,
                         int, long long, const void *, void *, int, int,
                         long long, int, int, int) = nullptr;
  const char *(*getStatusString)(cublasStatus_t) = nullptr; // since 11.4
  /// Why there is none; empty if there is one.
  std::string missing;

  Cublas();

private:
  template <class Function>
  void load(void *library, Function &function, const char *name) {
    void *symbol = dlsym(library, name);
    if (!symbol && missing.empty())
      missing = std::string("cuBLAS is too old: it has no ") + name;
    std::memcpy(&function, &symbol, sizeof(symbol));
  }
};
} // namespace

static void *openCublas(std::string &error) {
  std::vector<const char *> names = {"libcublas.so.13", "libcublas.so.12",
                                     "libcublas.so.11", "libcublas.so"};
  if (const char *given = std::getenv("QUANT_STE_LIBCUBLAS"))
    names = {given};
  // One that the process has, as torch's, before any other.
  for (int flags : {RTLD_NOW | RTLD_NOLOAD, RTLD_NOW | RTLD_LOCAL})
    for (const char *name : names) {
      if (void *library = dlopen(name, flags))
        return library;
      if (const char *said = dlerror(); said && error.empty())
        error = said;
    }
  return nullptr;
}

Cublas::Cublas() {
  std::string error;
  void *library = openCublas(error);
  if (!library) {
    missing = "there is no cuBLAS on this machine (matmul=cublas): " + error;
    return;
  }
  load(library, create, "cublasCreate_v2");
  load(library, setStream, "cublasSetStream_v2");
  load(library, setMathMode, "cublasSetMathMode");
  load(library, setPointerMode, "cublasSetPointerMode_v2");
  load(library, gemm, "cublasGemmStridedBatchedEx");
  void *symbol = dlsym(library, "cublasGetStatusString");
  std::memcpy(&getStatusString, &symbol, sizeof(symbol));
}

static const Cublas &getCublas() {
  static const Cublas cublas;
  return cublas;
}

static bool check(cublasStatus_t status, const std::string &what) {
  if (status == 0)
    return true;
  const char *text = nullptr;
  if (getCublas().getStatusString)
    text = getCublas().getStatusString(status);
  failOnCuda(what + ": " + (text ? text : "error " + std::to_string(status)));
  return false;
}

/// The thread's handle for a context, on its stream. Null after an error.
static cublasHandle_t getHandle(const CudaThread &thread) {
  const Cublas &cublas = getCublas();
  if (!cublas.missing.empty()) {
    failOnCuda(cublas.missing);
    return nullptr;
  }
  // Threads must not share one; kept, for making one takes long.
  thread_local std::map<void *, cublasHandle_t> handles;
  cublasHandle_t &handle = handles[thread.context];
  if (!handle &&
      (!check(cublas.create(&handle), "cublasCreate") ||
       !check(cublas.setPointerMode(handle, 0), "cublasSetPointerMode") ||
       !check(cublas.setMathMode(handle, kDisallowReducedPrecisionReduction),
              "cublasSetMathMode")))
    return nullptr;
  if (!check(cublas.setStream(handle, thread.stream), "cublasSetStream"))
    return nullptr;
  return handle;
}

//===----------------------------------------------------------------------===//
// Layout
//===----------------------------------------------------------------------===//

namespace {
/// The loops of a product: those of the matrices, one batch, and the others,
/// through which the host runs.
struct Plan {
  Loop rows, columns, terms, batch;
  std::vector<Loop> others;
};
} // namespace

/// Takes the last loop of a kind, with those before it that continue it in all
/// arrays; the others go to `others`.
static Loop takeLast(const Loop *loops, int64_t count,
                     std::vector<Loop> &others) {
  if (count == 0)
    return {1, 0, 0, 0};
  Loop taken = loops[count - 1];
  bool isWhole = true;
  for (int64_t i = count - 1; i-- > 0;) {
    const Loop &next = loops[i];
    if (next.size == 1)
      continue;
    isWhole &= next.a == taken.a * taken.size &&
               next.b == taken.b * taken.size && next.c == taken.c * taken.size;
    if (isWhole)
      taken.size *= next.size;
    else
      others.push_back(next);
  }
  return taken;
}

/// The longest of the outer loops whose products go to places of their own.
static Loop takeBatch(std::vector<Loop> &others) {
  auto longest = others.end();
  for (auto it = others.begin(); it != others.end(); ++it)
    if (it->c != 0 && (longest == others.end() || it->size > longest->size))
      longest = it;
  if (longest == others.end())
    return {1, 0, 0, 0};
  Loop batch = *longest;
  others.erase(longest);
  return batch;
}

static Plan makePlan(const quant_ste_matmul_args &args, const Loop *loops) {
  Plan plan;
  if (args.batch > 0)
    plan.others.push_back(takeLast(loops, args.batch, plan.others));
  loops += args.batch;
  plan.rows = takeLast(loops, args.rows, plan.others);
  loops += args.rows;
  plan.columns = takeLast(loops, args.columns, plan.others);
  loops += args.columns;
  plan.terms = takeLast(loops, args.terms, plan.others);
  plan.batch = takeBatch(plan.others);
  return plan;
}

namespace {
/// A matrix as cuBLAS sees it, column by column: whether it is the transposed
/// one that lies so, and the distance of its columns.
struct Matrix {
  int op;
  int64_t leading;
};
} // namespace

/// The strides of its rows' and its columns' index. A stride along a size of 1
/// is never used, but has to pass cuBLAS's checks.
static Matrix describe(int64_t rows, int64_t rowStride, int64_t columns,
                       int64_t columnStride) {
  if (rowStride == 1 || (rows == 1 && columnStride != 1))
    return {kOpN, columns == 1 ? rows : columnStride};
  return {kOpT, rows == 1 ? columns : rowStride};
}

static int getDataType(int64_t type) {
  switch (type) {
  case QUANT_STE_MATMUL_F16:
    return kR16F;
  case QUANT_STE_MATMUL_BF16:
    return kR16BF;
  case QUANT_STE_MATMUL_F64:
    return kR64F;
  default:
    return kR32F;
  }
}

static size_t getSize(int64_t type) {
  return type == QUANT_STE_MATMUL_F64   ? 8
         : type == QUANT_STE_MATMUL_F32 ? 4
                                        : 2;
}

//===----------------------------------------------------------------------===//
// The product
//===----------------------------------------------------------------------===//

namespace {
struct Product {
  const quant_ste_matmul_args &args;
  Plan plan;
  cublasHandle_t handle;

  /// With the arrays' offsets of the outer loops, in elements. `adds`: to what
  /// is there.
  bool multiply(int64_t a, int64_t b, int64_t c, bool adds) const;
  bool run(size_t loop, int64_t a, int64_t b, int64_t c, bool adds) const;
};
} // namespace

static const void *at(const void *base, int64_t offset, int64_t type) {
  return static_cast<const char *>(base) +
         offset * static_cast<int64_t>(getSize(type));
}

bool Product::multiply(int64_t inA, int64_t inB, int64_t inC, bool adds) const {
  Loop rows = plan.rows, columns = plan.columns;
  const Loop &terms = plan.terms, &batch = plan.batch;
  const void *a = at(args.a, inA, args.a_type);
  const void *b = at(args.b, inB, args.b_type);
  void *c = const_cast<void *>(at(args.c, inC, args.c_type));
  // Columns of c lie along memory. Where it is stored by rows, that is the
  // transposed c, the product of the transposed b and a.
  bool swaps = !(rows.c == 1 || (rows.size == 1 && columns.c != 1));
  if (swaps)
    std::swap(rows, columns);
  const void *left = swaps ? b : a, *right = swaps ? a : b;
  int64_t leftRow = swaps ? rows.b : rows.a;
  int64_t leftTerm = swaps ? terms.b : terms.a;
  int64_t rightTerm = swaps ? terms.a : terms.b;
  int64_t rightColumn = swaps ? columns.a : columns.b;
  Matrix l = describe(rows.size, leftRow, terms.size, leftTerm);
  Matrix r = describe(terms.size, rightTerm, columns.size, rightColumn);
  int64_t leadingC = columns.size == 1 ? rows.size : columns.c;
  for (int64_t size : {rows.size, columns.size, terms.size, batch.size,
                       l.leading, r.leading, leadingC})
    if (size > INT32_MAX) {
      failOnCuda("a matrix product: expected sizes below 2^31, got " +
                 std::to_string(size));
      return false;
    }
  bool isDouble = args.c_type == QUANT_STE_MATMUL_F64;
  const double doubles[] = {0, 1};
  const float floats[] = {0, 1};
  auto factor = [&](bool isOne) {
    return isDouble ? static_cast<const void *>(&doubles[isOne])
                    : static_cast<const void *>(&floats[isOne]);
  };
  int compute = isDouble                              ? kCompute64F
                : args.a_type == QUANT_STE_MATMUL_F32 ? kCompute32FPedantic
                                                      : kCompute32F;
  int64_t leftBatch = swaps ? batch.b : batch.a;
  int64_t rightBatch = swaps ? batch.a : batch.b;
  return check(getCublas().gemm(
                   handle, l.op, r.op, static_cast<int>(rows.size),
                   static_cast<int>(columns.size), static_cast<int>(terms.size),
                   factor(true), left, getDataType(args.a_type),
                   static_cast<int>(l.leading), leftBatch, right,
                   getDataType(args.a_type), static_cast<int>(r.leading),
                   rightBatch, factor(adds), c, getDataType(args.c_type),
                   static_cast<int>(leadingC), batch.c,
                   static_cast<int>(batch.size), compute, kDefaultAlgorithm),
               "cublasGemmStridedBatchedEx");
}

bool Product::run(size_t loop, int64_t a, int64_t b, int64_t c,
                  bool adds) const {
  if (loop == plan.others.size())
    return multiply(a, b, c, adds);
  const Loop &other = plan.others[loop];
  for (int64_t i = 0; i < other.size; ++i) {
    // What is not the first term of an element is added.
    bool isLater = i > 0 && other.c == 0;
    if (!run(loop + 1, a + i * other.a, b + i * other.b, c + i * other.c,
             adds || isLater))
      return false;
  }
  return true;
}

void quant_ste_cuda_matmul(const quant_ste_matmul_args *args,
                           const quant_ste_matmul_loop *loops,
                           int64_t overwrites) {
  auto thread = getCudaThread();
  if (!thread)
    return;
  int64_t count = args->batch + args->rows + args->columns + args->terms;
  for (int64_t i = 0; i < count; ++i)
    if (loops[i].size == 0)
      return;
  if (cublasHandle_t handle = getHandle(*thread))
    Product{*args, makePlan(*args, loops), handle}.run(0, 0, 0, 0,
                                                       overwrites == 0);
}
