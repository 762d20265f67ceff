//===- MatmulTile.h - the innermost loops of a product ----------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_LIB_RUNTIME_MATMULTILE_H
#define QUANT_STE_LIB_RUNTIME_MATMULTILE_H

#include <cstdint>

namespace quant_ste::runtime {

/// The kernel of a tile of c, which stays in registers.
template <class T> struct TileKernel {
  int rows, columns;
  /// c[rows][columns] += a * b. Element (i, p) of a is at i * aRow + p * aTerm;
  /// b is packed: `columns` elements for each term. Rows of c are `stride`
  /// apart.
  void (*run)(int64_t terms, const T *a, int64_t aRow, int64_t aTerm,
              const T *b, T *c, int64_t stride);
  /// Packs for b: `columns` elements from each of the offsets.
  void (*pack)(const T *from, const int64_t *offsets, int64_t terms, T *to);
};

struct TileKernels {
  const char *name;
  TileKernel<float> f32;
  TileKernel<double> f64;
};

/// One of these for each file that is compiled for other instructions.
extern const TileKernels kBaselineTiles;
#if defined(__x86_64__)
extern const TileKernels kAVX2Tiles, kAVX512Tiles;
#endif

} // namespace quant_ste::runtime

#endif // QUANT_STE_LIB_RUNTIME_MATMULTILE_H
