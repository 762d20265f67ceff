//===- MatmulTileAVX2.cpp - tiles of products -------------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// x86-64 with AVX2: sixteen registers of 32 bytes.
#define TILES kAVX2Tiles
#define NAME "avx2"
#define VECTOR_BYTES 32
#define ROWS 5
#define VECTORS 2
#include "MatmulTile.inc"
