#!/usr/bin/env python3
"""Measures the CPU kernels against a copy of the same bytes, and against peers.

    .venv/bin/python benchmarks/cpu.py --json rows.json --docs docs
    .venv/bin/python benchmarks/cpu.py --quick

One process; what is compared takes turns. `ratio_to_copy` is the limit's time over
the kernel's, the median of interleaved pairs; the limit is the fastest of several
hand-written streams that read and write the same bytes and compute nothing
(streams.c). Every kernel's results are compared with a reference, element by
element, before it is timed: a wrong one ends the run with exit code 1.
"""
import argparse
import dataclasses
import json
import os
import statistics
import sys
import time

import timing
from kernels import CHANNEL_ELEMENTS, KERNELS, Problem
from timing import Clock, Failed, best_of, interleave, quant_ste

import peers
import report

SIZES = [2 ** 8, 2 ** 12, 2 ** 16, 2 ** 20, 2 ** 22, 2 ** 24, 2 ** 26]
QUICK_SECONDS = 52  # of 60; Python starts, and what runs is not interrupted


@dataclasses.dataclass(frozen=True)
class Point:
    """What is measured at once; peers and variants are rows of it."""
    kernel: object
    dtype: str
    elements: int
    threads: int
    direction: str

    @property
    def weight(self):
        return 8 if self.elements > 2 ** 20 else 1


def sizes_of(kernel, sizes):
    """Different shapes only; a kernel with channels has its own largest one."""
    largest = CHANNEL_ELEMENTS.get(kernel.name)
    wanted = [min(s, largest) for s in sizes] if largest else sizes
    by_shape = {kernel.sizes(s): s for s in wanted}
    return sorted(by_shape.values())


def all_points(options):
    points = []
    for kernel in KERNELS:
        if options.kernels and kernel.name not in options.kernels:
            continue
        for dtype in options.dtypes:
            sizes = options.sizes
            if options.quick and dtype != "f32":
                sizes = sizes[:1]
            for elements in sizes_of(kernel, sizes):
                points += [Point(kernel, dtype, elements, threads, direction)
                           for threads in options.threads
                           for direction in kernel.directions
                           if not options.quick or dtype == "f32" or threads == 1]
    return points


def set_threads(count):
    quant_ste.set_thread_count(count)
    torch = sys.modules.get("torch")
    if torch:
        torch.set_num_threads(count)


def quantiles(values):
    if len(values) < 2:
        return values[0], values[0]
    cuts = statistics.quantiles(values, n=4, method="inclusive")
    return cuts[0], cuts[2]


class Run:
    def __init__(self, options):
        self.options = options
        self.rows, self.absent = [], {}
        self.peer_cache = {}

    def note_absent(self, name, kernel, reason):
        key = (name, reason)
        if key not in self.absent:
            self.absent[key] = []
        if kernel not in self.absent[key]:
            self.absent[key].append(kernel)

    def peer(self, name, problem, threads):
        """Made once for both directions."""
        key = (name, id(problem), threads)
        if key not in self.peer_cache:
            self.peer_cache.clear() if len(self.peer_cache) > 16 else None
            try:
                self.peer_cache[key] = peers.make(name, problem, threads)
            except peers.Absent as absent:
                self.peer_cache[key] = absent
        made = self.peer_cache[key]
        if isinstance(made, peers.Absent):
            raise made
        return made

    def peers_of(self, point, problem):
        clocks = {}
        if point.elements > self.options.largest_peer:
            return clocks
        for name in self.options.peers:
            try:
                peer = self.peer(name, problem, point.threads)
                clocks[name] = Clock(peers.implementation(peer, point.direction))
            except peers.Absent as absent:
                self.note_absent(name, point.kernel.name, str(absent))
        return clocks

    def measure(self, point, problem, budget):
        set_threads(point.threads)
        problem.check(point.direction)
        limits = [Clock(s) for s in problem.streams(point.direction, point.threads)]
        limit = best_of(limits)
        clocks = {"copy": limit, "quant_ste": Clock(problem.ours(point.direction))}
        interleave(list(clocks.values()), self.options.pairs, budget)
        self.add_rows(point, problem, clocks, limit)
        if not self.options.quick:
            self.measure_allocating(point, problem, limit)

    def measure_allocating(self, point, problem, limit):
        """Both sides allocate what they write; so do most peers."""
        kind, threads = limit.implementation.kind, limit.implementation.threads
        stream = next(s for s in problem.streams(point.direction, point.threads, True)
                      if (s.kind, s.threads) == (kind, threads))
        copy = Clock(stream)
        clocks = {"copy_allocating": copy,
                  "quant_ste_allocating": Clock(problem.ours(point.direction, True))}
        clocks |= self.peers_of(point, problem)
        # A peer may take a hundred times as long.
        budget = self.options.pairs * 2e-3 + 2 * sum(
            c.implementation.time(1) for c in clocks.values())
        interleave(list(clocks.values()), self.options.pairs, budget)
        self.add_rows(point, problem, clocks, copy)

    def add_rows(self, point, problem, clocks, limit):
        for name, clock in clocks.items():
            ratios = [a / b for a, b in zip(limit.samples, clock.samples)]
            low, high = quantiles(ratios)
            self.rows.append({
                "kernel": point.kernel.name, "direction": point.direction,
                "elements": problem.elements, "dtype": point.dtype,
                "threads": point.threads, "impl": name, "seconds": clock.minimum,
                "ratio_to_copy": statistics.median(ratios),
                "ratio_low": low, "ratio_high": high, "pairs": len(ratios),
                "median_seconds": clock.median, "shape": list(problem.shape),
                "bytes": problem.bytes(point.direction)})
            if name.startswith("copy"):
                self.rows[-1]["stream"] = limit.implementation.kind

    def all(self):
        points = all_points(self.options)
        end = (self.options.started + QUICK_SECONDS) if self.options.quick else None
        problem, made_for = None, None
        for i, point in enumerate(points):
            # Threads and directions share one problem.
            key = (point.kernel, point.dtype, point.elements)
            if key != made_for:
                problem, made_for = None, key  # frees the memory first
                self.peer_cache.clear()
                problem = Problem(*key)
            budget = float("inf")
            if end:
                left = sum(p.weight for p in points[i:])
                share = max(0.0, end - time.perf_counter()) * point.weight / left
                budget = share * 0.5  # the rest: inputs, references, compilation
            self.measure(point, problem, budget)
            if self.options.verbose:
                report.print_row(self.rows, point, sys.stdout)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [k.name for k in KERNELS]
    words = lambda text: text.split(",")  # noqa: E731
    parser.add_argument("--quick", action="store_true",
                        help="every kernel within 60 s: two sizes, no peers")
    parser.add_argument("--json", metavar="FILE", help="write the rows")
    parser.add_argument("--docs", metavar="FOLDER",
                        help="write FOLDER/performance.md and its plots")
    parser.add_argument("--kernels", type=words, default=[], metavar="A,B",
                        help=f"of {', '.join(names)} (all)")
    parser.add_argument("--dtypes", type=words, default=["f32", "bf16", "f16"])
    parser.add_argument("--threads", type=lambda t: [int(n) for n in words(t)],
                        default=[1, 2])
    parser.add_argument("--sizes", type=lambda t: [int(n) for n in words(t)],
                        help="numbers of elements")
    parser.add_argument("--pairs", type=int, default=20,
                        help="interleaved pairs of kernel and limit (20)")
    parser.add_argument("--peers", type=lambda t: [p for p in words(t) if p],
                        default=list(peers.PEERS), metavar="A,B",
                        help=f"of {', '.join(peers.PEERS)} (all); '' for none")
    parser.add_argument("--largest-peer", type=int, default=2 ** 24,
                        help="the most elements that peers are measured at")
    parser.add_argument("--verbose", action="store_true", help="print rows as they come")
    options = parser.parse_args()
    for given, known in ((options.kernels, names), (options.peers, peers.PEERS),
                         (options.dtypes, ("f32", "bf16", "f16"))):
        for name in given:
            if name not in known:
                parser.error(f"expected one of {', '.join(known)}, got '{name}'")
    if options.quick:
        options.peers = []
    options.sizes = options.sizes or ([2 ** 16, 2 ** 24] if options.quick else SIZES)
    cores = os.cpu_count() or 1
    options.threads = [t for t in options.threads if t <= cores] or [1]
    return options


def main():
    started = time.perf_counter()
    options = parse_arguments()
    options.started = started
    is_warm = timing.use_warm_allocator()
    run = Run(options)
    try:
        run.all()
    except Failed as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1
    except quant_ste.Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    machine = report.machine(options.peers, is_warm)
    report.print_tables(run.rows, run.absent, machine, sys.stdout)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(run.rows, file, indent=1)
            file.write("\n")
    if options.docs:
        report.write_docs(run.rows, run.absent, machine, options.docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
