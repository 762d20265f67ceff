//===- MatmulTileBaseline.cpp - tiles of products ---------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

// Any processor; its registers take 16 bytes.
#define TILES kBaselineTiles
#define NAME "baseline"
#define VECTOR_BYTES 16
#define ROWS 4
#define VECTORS 2
#include "MatmulTile.inc"
