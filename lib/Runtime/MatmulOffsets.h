//===- MatmulOffsets.h - tables of offsets of a product ---------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_LIB_RUNTIME_MATMULOFFSETS_H
#define QUANT_STE_LIB_RUNTIME_MATMULOFFSETS_H

#include "quant_ste/Runtime/Matmul.h"

#include <utility>
#include <vector>

namespace quant_ste::runtime {

using Offsets = std::vector<int64_t>;

/// Which offsets the iterations of nested loops have in one array.
inline Offsets makeOffsets(const quant_ste_matmul_loop *loops, int64_t numLoops,
                           int64_t quant_ste_matmul_loop::*stride) {
  Offsets offsets{0};
  for (auto loop = loops; loop != loops + numLoops; ++loop) {
    Offsets inner;
    inner.reserve(offsets.size() * loop->size);
    for (int64_t outer : offsets)
      for (int64_t i = 0; i < loop->size; ++i)
        inner.push_back(outer + i * (loop->*stride));
    offsets = std::move(inner);
  }
  return offsets;
}

/// Do these offsets follow one another by `step`?
inline bool isEven(const int64_t *offsets, int64_t count, int64_t step) {
  for (int64_t i = 1; i < count; ++i)
    if (offsets[i] - offsets[i - 1] != step)
      return false;
  return true;
}

/// The loops of each kind.
struct Kinds {
  const quant_ste_matmul_loop *batch, *rows, *columns, *terms;
  Kinds(const quant_ste_matmul_args &args, const quant_ste_matmul_loop *loops)
      : batch(loops), rows(batch + args.batch), columns(rows + args.rows),
        terms(columns + args.columns) {}
};

/// Columns should be c's contiguous direction; swapping the factors changes no
/// bit.
inline bool isBetterSwapped(const quant_ste_matmul_args &args,
                            const Kinds &kinds) {
  return kinds.columns[args.columns - 1].c != 1 &&
         kinds.rows[args.rows - 1].c == 1;
}

} // namespace quant_ste::runtime

#endif // QUANT_STE_LIB_RUNTIME_MATMULOFFSETS_H
