#!/usr/bin/env python3
"""The target table of the kernels for NVIDIA GPUs, tried out.

    benchmarks/gpu_tune.py --build FOLDER --chip sm_90   where quant_ste was built
    benchmarks/gpu_tune.py --run FOLDER                  where the GPU is

Compiles streaming kernels with other numbers than those of lib/Transforms/GPU/Target.cpp
(the pipeline's options unroll, min-blocks and max-blocks), measures each beside a copy of
the same bytes, and prints the row of the table that is best over all of them: the one
whose slowest ratio to the best of its kernel is highest. The bits of results do not
depend on these numbers.
"""
import argparse
import itertools
import json
import pathlib
import subprocess
import time

import gpu

UNROLL, MIN_BLOCKS, WAVES = (1, 2, 4, 8), (2, 4, 6, 8), (8, 16, 32)
KERNELS = (("pact", "f32"), ("int_quant", "bf16"), ("int_quant_channel", "f32"))


def variants(options):
    return list(itertools.product(options.unroll, options.min_blocks, options.waves))


def build(folder, options):
    folder.mkdir(parents=True, exist_ok=True)
    for (name, dtype), (unroll, blocks, waves) in itertools.product(KERNELS, variants(options)):
        source = folder / f"{name}_{dtype}.mlir"
        source.write_text(gpu.KERNELS[name].replace("%T", dtype))
        library = folder / f"lib{name}_{dtype}_{unroll}_{blocks}_{waves}.so"
        subprocess.run(
            [options.qopt_compile, source, f"--target=cuda:{options.chip}", "-o", library,
             f"--pipeline=unroll={unroll} min-blocks={blocks} "
             f"max-blocks={waves * options.multiprocessors} {options.pipeline}"], check=True)
    print(f"{len(KERNELS) * len(variants(options))} libraries in {folder}")


def run(folder, options):
    machine = gpu.Machine(gpu.load_torch(options.emulated), options.emulated)
    described = machine.describe()
    print(", ".join(f"{k} {v}" for k, v in described.items()))
    deadline, ratios, rows = time.monotonic() + options.time_limit, {}, []
    for (name, dtype), variant in itertools.product(KERNELS, variants(options)):
        if time.monotonic() > deadline:
            raise SystemExit("the time is over: what was measured is no choice")
        problem = gpu.Problem(machine, folder, name, dtype, 1 << options.size,
                              "".join(f"_{n}" for n in variant))
        for direction in ("forward", "backward"):
            times = gpu.measure(machine, {"own": getattr(problem, direction),
                                          "stream": problem.stream(direction)}, options.rounds)
            ratio = times["stream"] / times["own"]
            ratios.setdefault((name, dtype, direction), {})[variant] = ratio
            rows.append(dict(kernel=name, type=dtype, direction=direction, variant=variant,
                             of_stream=ratio))
        del problem
    print(f"{'unroll':>6} {'min':>4} {'waves':>5}  of stream: " + ", ".join(map("/".join, ratios)))
    worst = {}
    for variant in variants(options):
        found = [r[variant] / max(r.values()) for r in ratios.values()]
        worst[variant] = min(found)
        print("{:6} {:4} {:5}  ".format(*variant)
              + ", ".join(f"{r[variant]:.1%}" for r in ratios.values()))
    unroll, blocks, waves = max(worst, key=worst.get)
    multiprocessors = described.get("multiprocessors", options.multiprocessors)
    print(f'{{"{options.chip}", ..., {unroll}, {blocks}, {blocks}, {waves * multiprocessors}}},')
    if options.json:
        options.json.write_text(json.dumps(dict(machine=described, rows=rows), indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--run", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--chip", default="sm_90")
    parser.add_argument("--multiprocessors", type=int, default=132, help="of the chip (H200: 132)")
    parser.add_argument("--unroll", type=int, nargs="+", default=UNROLL)
    parser.add_argument("--min-blocks", type=int, nargs="+", default=MIN_BLOCKS)
    parser.add_argument("--waves", type=int, nargs="+", default=WAVES,
                        help="blocks for each multiprocessor")
    parser.add_argument("--size", type=int, metavar="LOG2", default=26)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--time-limit", type=float, metavar="SECONDS", default=540)
    parser.add_argument("--pipeline", default="")
    parser.add_argument("--qopt-compile", default=gpu.ROOT / "build/release/bin/qopt-compile")
    parser.add_argument("--emulated", action="store_true", help="as gpu.py's")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    options = parser.parse_args()
    if not options.build and not options.run:
        parser.error("expected --build or --run")
    if options.build:
        build(options.build, options)
    if options.run:
        run(options.run, options)


if __name__ == "__main__":
    main()
