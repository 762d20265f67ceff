//===- MatmulTileAVX512.cpp - tiles of products -----------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// x86-64 with AVX-512: thirty-two registers of 64 bytes.
#define TILES kAVX512Tiles
#define NAME "avx512"
#define VECTOR_BYTES 64
#define ROWS 8
#define VECTORS 3
#include "MatmulTile.inc"
