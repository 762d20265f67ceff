#!/usr/bin/env python3
"""How time and memory of quant-ste-differentiate grow with a function's length.

    benchmarks/differentiate.py build/release/bin/qopt-opt

prints a table: for functions of 1,000, 10,000 and 100,000 ops the time and the
peak memory of reading and printing the module alone, and of differentiating it
in reverse and in forward mode. Needs nothing but Python.
"""
import os
import resource
import subprocess
import sys
import tempfile
import time

KINDS = {
    "a chain": lambda i: [
        f"%h{i + 1} = {('arith.mulf %h{0}, %w', 'math.tanh %h{0}', 'arith.addf %h{0}, %w')[i % 3].format(i)} : tensor<8xf32>"],
    "calls": lambda i: [
        f"%h{i + 1} = func.call @g(%h{i}, %w) : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>"],
    "quantizers": lambda i: [
        f"%h{i + 1} = quant_ste.pact %h{i}, %a bits(4) grad(pact) : tensor<8xf32>, tensor<f32>"],
}


def module(kind, ops):
    lines = ["func.func private @g(%x: tensor<8xf32>, %w: tensor<8xf32>) -> tensor<8xf32> {",
             "  %y = arith.mulf %x, %w : tensor<8xf32>", "  return %y : tensor<8xf32>", "}",
             "func.func @f(%h0: tensor<8xf32>, %w: tensor<8xf32>, %a: tensor<f32>) -> tensor<8xf32> {"]
    for i in range(ops):
        lines += KINDS[kind](i)
    return "\n".join(lines + [f"return %h{ops} : tensor<8xf32>", "}"])


def measure(tool, path, *passes):
    """Seconds and MiB of one run."""
    start = time.monotonic()
    process = subprocess.Popen([tool, path, *passes, "-o", os.devnull])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{tool} failed on {path}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    option = "--quant-ste-differentiate=function=f wrt=0,1,2 mode="
    print(f"{'function':<12}{'ops':>8}{'alone':>16}{'reverse':>16}"
          f"{'forward':>16}{'reverse, per op':>18}")
    for kind in KINDS:
        for ops in (1_000, 10_000, 100_000):
            with tempfile.NamedTemporaryFile("w", suffix=".mlir") as file:
                file.write(module(kind, ops))
                file.flush()
                cells = [measure(sys.argv[1], file.name)] + [
                    measure(sys.argv[1], file.name, option + mode)
                    for mode in ("reverse", "forward")]
            text = "".join(f"{f'{s:.2f} s {m:.0f} MiB':>16}" for s, m in cells)
            own = (cells[1][0] - cells[0][0]) / ops * 1e6
            print(f"{kind:<12}{ops:>8}{text}{own:>15.1f} us", flush=True)


if __name__ == "__main__":
    main()
