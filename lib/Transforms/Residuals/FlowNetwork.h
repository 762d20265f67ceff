//===- FlowNetwork.h - minimum vertex cuts -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef QUANT_STE_TRANSFORMS_RESIDUALS_FLOWNETWORK_H
#define QUANT_STE_TRANSFORMS_RESIDUALS_FLOWNETWORK_H

#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>
#include <limits>
#include <vector>

namespace mlir::quant_ste {

/// A graph of nodes with costs between one source and one sink. Which nodes of
/// least total cost meet every path from the one to the other? Dinic's maximum
/// flow over nodes split in two.
class FlowNetwork {
public:
  static constexpr int64_t kInfinite = std::numeric_limits<int64_t>::max() / 4;

  FlowNetwork() : arcs(2) {}

  unsigned addNode(int64_t cost);
  void addEdge(unsigned from, unsigned to) {
    addArc(out(from), in(to), kInfinite);
  }
  void addSource(unsigned node) { addArc(kSource, in(node), kInfinite); }
  void addSink(unsigned node) { addArc(out(node), kSink, kInfinite); }

  /// Of all minimum cuts, the one nearest the sink. Costs are at most
  /// kInfinite, which no cut reaches where there is another one.
  llvm::BitVector findCut();

private:
  struct Arc {
    unsigned to, reverse;
    int64_t capacity;
  };
  static constexpr unsigned kSource = 0, kSink = 1;
  static unsigned in(unsigned node) { return 2 * node + 2; }
  static unsigned out(unsigned node) { return 2 * node + 3; }

  void addArc(unsigned from, unsigned to, int64_t capacity);
  bool computeLevels();
  int64_t augment();

  std::vector<llvm::SmallVector<Arc, 4>> arcs;
  std::vector<unsigned> levels, next;
};

} // namespace mlir::quant_ste

#endif // QUANT_STE_TRANSFORMS_RESIDUALS_FLOWNETWORK_H
