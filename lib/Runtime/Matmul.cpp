//===- Matmul.cpp - matrix products and convolutions ------------*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The loops are told by tables of offsets, one for each kind and array: what is
// behind them, one loop or a convolution's six, makes no difference from there
// on. Blocks of both factors are packed in the order in which the tile kernel
// reads them (Goto and van de Geijn 2008, "Anatomy of high-performance matrix
// multiplication"); the sums of a tile stay in registers.
//
// An element of c is computed by one thread, its terms in order, block by block
// of them: no block size and no number of threads changes a bit.
//
//===----------------------------------------------------------------------===//

#include "quant_ste/Runtime/Matmul.h"

#include "MatmulLibrary.h"
#include "MatmulOffsets.h"
#include "MatmulTile.h"
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

using namespace quant_ste::runtime;

// OpenMP's, whose header each compiler keeps to itself.
extern "C" int omp_get_max_threads(void);
extern "C" int omp_get_num_threads(void);
extern "C" int omp_get_thread_num(void);
extern "C" int omp_in_parallel(void);

using Loops = const quant_ste_matmul_loop *;

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

namespace {
/// Memory that a thread keeps from call to call.
class Scratch {
public:
  Scratch() = default;
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;
  ~Scratch() { std::free(memory); }
  void *get(size_t bytes) {
    if (bytes > size) {
      std::free(memory);
      size = (bytes + kAlignment - 1) / kAlignment * kAlignment;
      memory = std::aligned_alloc(kAlignment, size);
      if (!memory)
        std::abort(); // compiled code has no way to fail either
    }
    return memory;
  }

private:
  static constexpr size_t kAlignment = 64;
  void *memory = nullptr;
  size_t size = 0;
};
} // namespace

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

static float extendF16(uint16_t half) {
  uint32_t sign = uint32_t(half) >> 15 << 31;
  uint32_t exponent = half >> 10 & 0x1f;
  uint32_t fraction = half & 0x3ff;
  if (exponent == 0) { // zero or subnormal: fraction * 2^-24, exactly
    float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
  }
  uint32_t wide = exponent == 0x1f ? 0xff : exponent - 15 + 127;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

namespace {
struct Half {
  uint16_t bits;
  operator float() const { return extendF16(bits); }
};
struct BFloat {
  uint16_t bits;
  operator float() const { return std::bit_cast<float>(uint32_t(bits) << 16); }
};

/// One factor: `across` are the offsets of its rows (or columns), of which a
/// panel has `width`, `terms` those of its terms.
struct Factor {
  const char *data;
  int64_t type;
  Offsets across, terms;
};
} // namespace

/// Packs `count` of `width` entries for `numTerms` terms, term by term. What is
/// missing of the width is zero, and nobody looks at what comes of it.
template <class T, class Source>
static void packPanelOf(const Source *from, const int64_t *across,
                        const int64_t *terms, int count, int width,
                        int64_t numTerms, T *to) {
  if (count == width && isEven(across, width, 1)) {
    for (int64_t p = 0; p < numTerms; ++p, to += width) {
      const Source *line = from + terms[p] + across[0];
      for (int i = 0; i < width; ++i)
        to[i] = static_cast<T>(line[i]);
    }
    return;
  }
  if (count < width)
    std::fill(to, to + width * numTerms, T(0));
  for (int i = 0; i < count; ++i) {
    const Source *line = from + across[i];
    for (int64_t p = 0; p < numTerms; ++p)
      to[p * width + i] = static_cast<T>(line[terms[p]]);
  }
}

template <class T> static constexpr int64_t kTypeOf = QUANT_STE_MATMUL_F32;
template <> constexpr int64_t kTypeOf<double> = QUANT_STE_MATMUL_F64;

template <class T>
static void packPanel(const Factor &factor, int64_t first, int width,
                      int64_t firstTerm, int64_t numTerms, T *to) {
  int count =
      static_cast<int>(std::min<int64_t>(width, factor.across.size() - first));
  const int64_t *across = factor.across.data() + first;
  const int64_t *terms = factor.terms.data() + firstTerm;
  auto pack = [&](auto *from) {
    packPanelOf(from, across, terms, count, width, numTerms, to);
  };
  switch (factor.type) {
  case QUANT_STE_MATMUL_F16:
    return pack(reinterpret_cast<const Half *>(factor.data));
  case QUANT_STE_MATMUL_BF16:
    return pack(reinterpret_cast<const BFloat *>(factor.data));
  case QUANT_STE_MATMUL_F32:
    return pack(reinterpret_cast<const float *>(factor.data));
  default:
    return pack(reinterpret_cast<const double *>(factor.data));
  }
}

//===----------------------------------------------------------------------===//
// One product
//===----------------------------------------------------------------------===//

static constexpr int64_t kTerms = 256;       // of a block of both factors
static constexpr int64_t kRowPanels = 16;    // of a block of the left factor
static constexpr int64_t kColumnPanels = 64; // of a block of the right factor
/// The largest tile of any kernel.
static constexpr int64_t kMaxTile = 8 * 48;

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

namespace {
/// Rows of the left factor, where they are or packed.
template <class T> struct LeftPanel {
  const T *data;
  int64_t row, term; ///< strides
};

template <class T> struct Product {
  TileKernel<T> tile;
  Factor left, right;
  T *c;
  Offsets rows, columns; ///< of c

  int64_t numTerms() const { return left.terms.size(); }
  void run(int numThreads);

  // The block of the right factor that is packed.
  T *packedRight = nullptr;
  int64_t firstColumn = 0, numColumnPanels = 0, firstTerm = 0, terms = 0;

  void packRight(int thread, int numThreads);
  void multiplyBlocks(int thread, int numThreads);
  void multiplyTile(const LeftPanel<T> &a, const T *b, int64_t row,
                    int64_t column);
  LeftPanel<T> getLeftPanel(int64_t row, T *scratch);
};
} // namespace

template <class T> void Product<T>::packRight(int thread, int numThreads) {
  for (int64_t j = thread; j < numColumnPanels; j += numThreads) {
    int64_t first = firstColumn + j * tile.columns;
    T *to = packedRight + j * tile.columns * terms;
    const int64_t *across = right.across.data() + first;
    bool isWhole = first + tile.columns <= int64_t(right.across.size());
    if (right.type == kTypeOf<T> && isWhole && isEven(across, tile.columns, 1))
      tile.pack(reinterpret_cast<const T *>(right.data) + across[0],
                right.terms.data() + firstTerm, terms, to);
    else
      packPanel(right, first, tile.columns, firstTerm, terms, to);
  }
}

/// Rows that are contiguous are read where they are: a tile uses each element
/// once, and packing them would cost small products as much as they take.
template <class T>
LeftPanel<T> Product<T>::getLeftPanel(int64_t row, T *scratch) {
  const int64_t *across = left.across.data() + row;
  const int64_t *along = left.terms.data() + firstTerm;
  if (left.type == kTypeOf<T> &&
      row + tile.rows <= int64_t(left.across.size()) &&
      isEven(along, terms, 1)) {
    int64_t stride = across[1] - across[0];
    if (isEven(across, tile.rows, stride))
      return {reinterpret_cast<const T *>(left.data) + across[0] + along[0],
              stride, 1};
  }
  packPanel(left, row, tile.rows, firstTerm, terms, scratch);
  return {scratch, 1, tile.rows};
}

template <class T>
void Product<T>::multiplyTile(const LeftPanel<T> &a, const T *b, int64_t row,
                              int64_t column) {
  const int64_t *at = rows.data() + row, *along = columns.data() + column;
  int64_t numRows = std::min<int64_t>(tile.rows, rows.size() - row);
  int64_t numColumns = std::min<int64_t>(tile.columns, columns.size() - column);
  int64_t stride = numRows > 1 ? at[1] - at[0] : 0;
  if (numRows == tile.rows && numColumns == tile.columns &&
      isEven(along, numColumns, 1) && isEven(at, numRows, stride))
    return tile.run(terms, a.data, a.row, a.term, b, c + at[0] + along[0],
                    stride);
  // At the edges, and where c is scattered, by way of a tile of its own.
  alignas(64) T own[kMaxTile] = {};
  for (int64_t i = 0; i < numRows; ++i)
    for (int64_t j = 0; j < numColumns; ++j)
      own[i * tile.columns + j] = c[at[i] + along[j]];
  tile.run(terms, a.data, a.row, a.term, b, own, tile.columns);
  for (int64_t i = 0; i < numRows; ++i)
    for (int64_t j = 0; j < numColumns; ++j)
      c[at[i] + along[j]] = own[i * tile.columns + j];
}

/// A task is a block of rows and, where there are fewer of these than threads,
/// a share of the columns.
template <class T> void Product<T>::multiplyBlocks(int thread, int numThreads) {
  int64_t rowPanels = ceilDiv(rows.size(), tile.rows);
  int64_t perBlock = std::min(
      kRowPanels, std::max<int64_t>(1, ceilDiv(rowPanels, numThreads)));
  int64_t numBlocks = ceilDiv(rowPanels, perBlock);
  int64_t shares = std::min<int64_t>(
      numColumnPanels, std::max<int64_t>(1, numThreads / numBlocks));
  thread_local Scratch scratch;
  T *packed =
      static_cast<T *>(scratch.get(perBlock * tile.rows * kTerms * sizeof(T)));
  LeftPanel<T> panels[kRowPanels];
  for (int64_t task = thread; task < numBlocks * shares; task += numThreads) {
    int64_t block = task / shares, share = task % shares;
    int64_t firstPanel = block * perBlock;
    int64_t numPanels = std::min(perBlock, rowPanels - firstPanel);
    for (int64_t i = 0; i < numPanels; ++i)
      panels[i] = getLeftPanel((firstPanel + i) * tile.rows,
                               packed + i * tile.rows * kTerms);
    for (int64_t j = numColumnPanels * share / shares,
                 end = numColumnPanels * (share + 1) / shares;
         j < end; ++j)
      for (int64_t i = 0; i < numPanels; ++i)
        multiplyTile(panels[i], packedRight + j * tile.columns * terms,
                     (firstPanel + i) * tile.rows,
                     firstColumn + j * tile.columns);
  }
}

template <class T> void Product<T>::run(int numThreads) {
  int64_t columnPanels = ceilDiv(columns.size(), tile.columns);
  thread_local Scratch scratch;
  packedRight = static_cast<T *>(
      scratch.get(std::min(columnPanels, kColumnPanels) * tile.columns *
                  std::min(numTerms(), kTerms) * sizeof(T)));
  for (int64_t j = 0; j < columnPanels; j += kColumnPanels) {
    firstColumn = j * tile.columns;
    numColumnPanels = std::min(kColumnPanels, columnPanels - j);
    for (firstTerm = 0; firstTerm < numTerms(); firstTerm += kTerms) {
      terms = std::min(kTerms, numTerms() - firstTerm);
      if (numThreads == 1) {
        packRight(0, 1);
        multiplyBlocks(0, 1);
        continue;
      }
#pragma omp parallel num_threads(numThreads)
      {
        int thread = omp_get_thread_num(), team = omp_get_num_threads();
        packRight(thread, team);
#pragma omp barrier
        multiplyBlocks(thread, team);
      }
    }
  }
}

//===----------------------------------------------------------------------===//
// The choice of instructions
//===----------------------------------------------------------------------===//

/// The fastest first.
static std::vector<const TileKernels *> getAvailableTiles() {
  std::vector<const TileKernels *> tiles;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    tiles.push_back(&kAVX512Tiles);
  if (__builtin_cpu_supports("avx2"))
    tiles.push_back(&kAVX2Tiles);
  // Zen 4 does two multiplications and two additions of 32 bytes at once, but
  // not one of each of 64 (measured: 110 and 83 GF/s). Zen 3, the other of this
  // family, has no AVX-512.
  if (tiles.size() == 2 && __builtin_cpu_is("amdfam19h"))
    std::swap(tiles[0], tiles[1]);
#endif
  tiles.push_back(&kBaselineTiles);
  return tiles;
}

static std::atomic<const TileKernels *> chosenTiles{nullptr};

static const TileKernels &getTiles() {
  const TileKernels *tiles = chosenTiles;
  if (!tiles) {
    tiles = getAvailableTiles().front();
    chosenTiles = tiles;
  }
  return *tiles;
}

const char *quant_ste_matmul_path(void) { return getTiles().name; }

bool quant_ste_matmul_set_path(const char *path) {
  for (const TileKernels *tiles : getAvailableTiles())
    if (!std::strcmp(tiles->name, path)) {
      chosenTiles = tiles;
      return true;
    }
  return false;
}

//===----------------------------------------------------------------------===//
// The call
//===----------------------------------------------------------------------===//

/// Fewer multiplications than this are done before other threads wake up.
static constexpr int64_t kParallel = int64_t(1) << 19;

static std::atomic<int64_t> numOwn{0}, numLibrary{0};

void quant_ste_matmul_counts(int64_t *own, int64_t *library) {
  *own = numOwn;
  *library = numLibrary;
}

static int64_t countIterations(Loops loops, int64_t numLoops) {
  int64_t count = 1;
  for (int64_t i = 0; i < numLoops; ++i)
    count *= loops[i].size;
  return count;
}

template <class T>
static void multiply(const quant_ste_matmul_args &args, const Kinds &kinds,
                     TileKernel<T> tile, int numThreads) {
  using Loop = quant_ste_matmul_loop;
  auto data = [](const void *p) { return static_cast<const char *>(p); };
  Factor a{data(args.a), args.a_type,
           makeOffsets(kinds.rows, args.rows, &Loop::a),
           makeOffsets(kinds.terms, args.terms, &Loop::a)};
  Factor b{data(args.b), args.b_type,
           makeOffsets(kinds.columns, args.columns, &Loop::b),
           makeOffsets(kinds.terms, args.terms, &Loop::b)};
  Offsets rows = makeOffsets(kinds.rows, args.rows, &Loop::c);
  Offsets columns = makeOffsets(kinds.columns, args.columns, &Loop::c);
  if (isBetterSwapped(args, kinds)) {
    std::swap(a, b);
    std::swap(rows, columns);
  }
  T *c = static_cast<T *>(args.c);
  Product<T> product{tile, std::move(a),    std::move(b),
                     c,    std::move(rows), std::move(columns)};
  if (args.batch == 0)
    return product.run(numThreads);

  Offsets inA = makeOffsets(kinds.batch, args.batch, &Loop::a);
  Offsets inB = makeOffsets(kinds.batch, args.batch, &Loop::b);
  Offsets inC = makeOffsets(kinds.batch, args.batch, &Loop::c);
  if (isBetterSwapped(args, kinds))
    std::swap(inA, inB);
  static constexpr int64_t kBytes[] = {2, 2, 4, 8};
  int64_t count = inA.size();
  auto runOne = [&](Product<T> &one, int64_t i, int threads) {
    one.left.data = product.left.data + inA[i] * kBytes[one.left.type];
    one.right.data = product.right.data + inB[i] * kBytes[one.right.type];
    one.c = c + inC[i];
    one.run(threads);
  };
  if (numThreads == 1 || count < numThreads) {
    Product<T> one = product;
    for (int64_t i = 0; i < count; ++i)
      runOne(one, i, numThreads);
    return;
  }
#pragma omp parallel num_threads(numThreads)
  {
    Product<T> one = product;
#pragma omp for
    for (int64_t i = 0; i < count; ++i)
      runOne(one, i, 1);
  }
}

void quant_ste_matmul(const quant_ste_matmul_args *args, Loops loops) {
  Kinds kinds(*args, loops);
  int64_t all = args->batch + args->rows + args->columns + args->terms;
  int64_t work = countIterations(loops, all);
  if (work == 0)
    return;
  int numThreads = static_cast<int>(args->threads);
  if (numThreads == 0)
    numThreads = omp_in_parallel() ? 1 : omp_get_max_threads();
  if (work < kParallel)
    numThreads = 1;
  if (args->library && multiplyByLibrary(*args, loops, numThreads)) {
    ++numLibrary;
    return;
  }
  ++numOwn;
  if (args->c_type == QUANT_STE_MATMUL_F64)
    multiply<double>(*args, kinds, getTiles().f64, numThreads);
  else
    multiply<float>(*args, kinds, getTiles().f32, numThreads);
}
