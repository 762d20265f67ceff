//===- FlowNetwork.cpp - minimum vertex cuts -*- C++ -*-===//
//
// Part of quant_ste, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "FlowNetwork.h"

#include <algorithm>

using namespace mlir::quant_ste;

static constexpr unsigned kUnseen = ~0u;

unsigned FlowNetwork::addNode(int64_t cost) {
  unsigned node = (arcs.size() - 2) / 2;
  arcs.resize(arcs.size() + 2);
  addArc(in(node), out(node), cost);
  return node;
}

void FlowNetwork::addArc(unsigned from, unsigned to, int64_t capacity) {
  unsigned there = arcs[to].size(), here = arcs[from].size();
  arcs[from].push_back({to, there, capacity});
  arcs[to].push_back({from, here, 0});
}

/// Distances from the source along arcs with capacity left.
bool FlowNetwork::computeLevels() {
  levels.assign(arcs.size(), kUnseen);
  levels[kSource] = 0;
  std::vector<unsigned> queue{kSource};
  for (size_t i = 0; i < queue.size(); ++i)
    for (const Arc &arc : arcs[queue[i]])
      if (arc.capacity > 0 && levels[arc.to] == kUnseen) {
        levels[arc.to] = levels[queue[i]] + 1;
        queue.push_back(arc.to);
      }
  return levels[kSink] != kUnseen;
}

/// Pushes flow along one shortest path; 0 if there is none left. Not recursive:
/// a path is as long as the longest chain of ops.
int64_t FlowNetwork::augment() {
  std::vector<std::pair<unsigned, unsigned>> path; // vertex, arc taken
  unsigned at = kSource;
  while (at != kSink) {
    unsigned &i = next[at];
    while (i < arcs[at].size() && (arcs[at][i].capacity == 0 ||
                                   levels[arcs[at][i].to] != levels[at] + 1))
      ++i;
    if (i < arcs[at].size()) {
      path.emplace_back(at, i);
      at = arcs[at][i].to;
      continue;
    }
    if (path.empty())
      return 0;
    at = path.back().first; // a dead end: on with the next arc
    ++next[at];
    path.pop_back();
  }
  int64_t flow = kInfinite;
  for (auto [vertex, i] : path)
    flow = std::min(flow, arcs[vertex][i].capacity);
  for (auto [vertex, i] : path) {
    Arc &arc = arcs[vertex][i];
    arc.capacity -= flow;
    arcs[arc.to][arc.reverse].capacity += flow;
  }
  return flow;
}

llvm::BitVector FlowNetwork::findCut() {
  while (computeLevels()) {
    next.assign(arcs.size(), 0);
    while (augment() > 0) {
    }
  }
  // What still reaches the sink.
  llvm::BitVector reaches(arcs.size());
  reaches.set(kSink);
  std::vector<unsigned> queue{kSink};
  for (size_t i = 0; i < queue.size(); ++i)
    for (const Arc &back : arcs[queue[i]])
      if (arcs[back.to][back.reverse].capacity > 0 && !reaches[back.to]) {
        reaches.set(back.to);
        queue.push_back(back.to);
      }
  llvm::BitVector cut((arcs.size() - 2) / 2);
  for (unsigned node = 0; node < cut.size(); ++node)
    cut[node] = reaches[out(node)] && !reaches[in(node)];
  return cut;
}
