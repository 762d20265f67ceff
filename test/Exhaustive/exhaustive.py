#!/usr/bin/env python3
"""Every f32 value through an op, forward and dx, against the NumPy oracle.

    QUANT_STE_C_LIBRARY=... exhaustive.py [--case TEXT]... [--stride N] [--jobs N]

Runs the first case of each op in test/Conformance/cases.py, or those whose text
contains TEXT, with the first value of each parameter. --stride N tries every
N-th bit pattern. Prints a line per case; exit code 1 on a mismatch.
"""
import argparse
import dataclasses
import multiprocessing
import os
import pathlib
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "Conformance"))
import cases
import oracle
import quant_ste_ctypes
from harness import assert_result, run, same_values

# Small enough for the oracle's temporaries to stay in the cache.
CHUNK = 1 << 18
BLOCK = 1 << 24

COTANGENTS = np.resize(np.array(cases.COTANGENTS, np.float32), CHUNK)


def first_of_each_op():
    by_op = {}
    for case in cases.every():
        by_op.setdefault(case.op, case)
    return list(by_op.values())


def compare(case, x, dy):
    """{'y' or 'x': (got, want)} where they differ."""
    params = [np.float32(values[0]) for values in cases.parameter_values(case)]
    inputs = dict(zip(case.operands, [x] + [np.asarray(p) for p in params]))
    op = oracle.OPS[case.stated]
    with np.errstate(all="ignore"):
        # An op without a gradient gives zeros.
        want = {"y": op.forward(inputs, dict(case.attrs)),
                "x": op.vjp(inputs, dict(case.attrs), dy).get("x", np.zeros_like(dy))}
    only_x = dataclasses.replace(case, differentiable=("x",))
    got = run(only_x, x, [np.asarray(p) for p in params], [()] * len(params), dy)
    return {name: (got[name], want[name]) for name in want}


def is_within(case, name, got, want, dy):
    """Does the case have a bound that allows the difference?"""
    try:
        assert_result(case, name, got, want, dy)
    except AssertionError:
        return False
    return True


def try_block(task):
    """The mismatches among `count` patterns from `start`, and the first."""
    case, start, count, stride = task
    mismatches, first = 0, None
    for begin in range(0, count, CHUNK):
        size = min(CHUNK, count - begin)
        patterns = np.arange(begin, begin + size, dtype=np.uint64)
        patterns = (patterns * np.uint64(stride) + np.uint64(start)).astype(np.uint32)
        x, dy = patterns.view(np.float32), COTANGENTS[:size]
        for name, (got, want) in compare(case, x, dy).items():
            same = same_values(got, want)
            if same.all() or is_within(case, name, got, want, dy):
                continue
            mismatches += np.count_nonzero(~same)
            if first is None:
                at = np.argmin(same)
                first = (f"{'dx' if name == 'x' else name} at x = {x[at]!r} "
                         f"(0x{patterns[at]:08X}), dy = {dy[at]!r}: "
                         f"got {got[at]!r}, want {want[at]!r}")
    return count, mismatches, first


def blocks(case, stride):
    total = -(-(1 << 32) // stride)
    for begin in range(0, total, BLOCK):
        yield case, begin * stride, min(BLOCK, total - begin), stride


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--case", action="append", metavar="TEXT",
                        help="cases that contain TEXT; may be repeated")
    parser.add_argument("--stride", type=int, default=1, metavar="N",
                        help="try every N-th bit pattern")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N")
    args = parser.parse_args()
    if args.stride < 1:
        parser.error(f"expected a positive stride, got {args.stride}")
    if args.jobs < 1:
        parser.error(f"expected a positive number of jobs, got {args.jobs}")
    args.cases = first_of_each_op()
    if args.case:
        args.cases = [c for c in cases.every() if any(t in str(c) for t in args.case)]
    if not args.cases:
        parser.error(f"expected a part of a case's text, got {', '.join(args.case)}")
    return args


def main():
    args = parse_arguments()
    quant_ste_ctypes.library()  # fails here, not again and again in the pool
    failed = False
    with multiprocessing.Pool(args.jobs, quant_ste_ctypes.set_thread_count, (1,)) as pool:
        for case in args.cases:
            begin = time.monotonic()
            inputs, mismatches, first = 0, 0, None
            for count, bad, example in pool.imap_unordered(try_block, blocks(case, args.stride)):
                inputs += count
                mismatches += bad
                first = first or example
            print(f"{case}: {inputs} inputs, {mismatches} mismatches, "
                  f"{time.monotonic() - begin:.1f} s", flush=True)
            if mismatches:
                print(f"  {first}", flush=True)
                failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
