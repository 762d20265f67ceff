#!/usr/bin/env python3
"""How time and memory of the passes for derivatives grow with a function's length.

    benchmarks/differentiate.py build/release/bin/qopt-opt [ops ...]

prints a Markdown table: for functions of 1,000, 10,000 and 100,000 ops (or as many
as given) the seconds of quant-ste-differentiate in reverse and forward mode, of
quant-ste-plan-residuals and quant-ste-split, and the peak memory of the process
that reads the module, that differentiates it, and that does all. The last two
passes see linalg ops, as they are meant to; what lowers to these takes its own
time, in `lowering`. Needs nothing but Python.
"""
import os
import re
import resource
import subprocess
import sys
import tempfile

V, M, S = "tensor<8xf32>", "tensor<8x8xf32>", "tensor<f32>"


def chain(i):
    op = ("arith.mulf %h{0}, %w", "math.tanh %h{0}", "arith.addf %h{0}, %w")[i % 3]
    return f"%h{i + 1} = {op.format(i)} : {V}"


def pact(i, t):
    return f"%h{i + 1} = quant_ste.pact %h{i}, %a bits(4) grad(pact) : {t}, {S}"


def layers(i):
    return pact(i, M) if i % 2 else (
        f"%h{i + 1} = linalg.matmul ins(%h{i}, %w : {M}, {M}) outs(%z : {M}) -> {M}")


def gated(i):
    return pact(i, V) if i % 2 else f"%h{i + 1} = arith.mulf %h{i}, %m{i} : {V}"


def calls(i):
    return f"%h{i + 1} = func.call @g(%h{i}, %w) : ({V}, {V}) -> {V}"


# The op, its type, and whether each second one has an argument of its own.
KINDS = {
    "a chain": (chain, V, False),
    "calls": (calls, V, False),
    "quantizers": (lambda i: pact(i, V), V, False),
    "products, quantizers": (layers, M, False),
    "an argument each": (gated, V, True),
}


def module(kind, ops):
    op, t, own = KINDS[kind]
    more = "".join(f", %m{i}: {t}" for i in range(0, ops if own else 0, 2))
    lines = [f"func.func private @g(%x: {V}, %w: {V}) -> {V} {{",
             f"  %y = arith.mulf %x, %w : {V}", f"  return %y : {V}", "}",
             f"func.func @f(%h0: {t}, %w: {t}, %a: {S}{more}) -> {t} {{",
             f"%z = arith.constant dense<0.0> : {t}"]
    lines += [op(i) for i in range(ops)]
    return "\n".join(lines + [f"return %h{ops} : {t}", "}"])


def measure(tool, path, *passes):
    """Seconds by pass, and the peak memory in MiB, of one run."""
    process = subprocess.Popen(
        [tool, path, *passes, "-o", os.devnull, "--mlir-timing",
         "--mlir-timing-display=list"], stderr=subprocess.PIPE, text=True)
    report = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{tool} failed on {path}: {report}")
    seconds = {name: float(s) for s, name in re.findall(
        r"^ *([\d.]+) \( *[\d.]+%\)  (\w+)$", report, re.M)}
    return seconds, usage.ru_maxrss / 1024


LOWERING = ["--convert-elementwise-to-linalg", "--convert-quant-ste-to-linalg"]
PLAN = ["--quant-ste-plan-residuals", "--quant-ste-split"]


def main():
    if len(sys.argv) < 2 or not all(n.isdigit() for n in sys.argv[2:]):
        sys.exit(__doc__)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sizes = [int(n) for n in sys.argv[2:]] or [1_000, 10_000, 100_000]
    print("| function | ops | reverse | forward | lowering | plan | split "
          "| reading | differentiating | all |\n" + "|---" * 10 + "|")
    for kind in KINDS:
        for ops in sizes:
            with tempfile.NamedTemporaryFile("w", suffix=".mlir") as file:
                file.write(module(kind, ops))
                file.flush()
                tool, path = sys.argv[1], file.name
                reverse, forward = (
                    f"--quant-ste-differentiate=function=f mode={mode}"
                    for mode in ("reverse", "forward"))
                _, reading = measure(tool, path)
                ahead, _ = measure(tool, path, forward)
                _, differentiating = measure(tool, path, reverse)
                # Calls are not split; inlining them is not ours.
                every, whole = measure(tool, path, reverse, *LOWERING,
                                       *(() if kind == "calls" else PLAN))
            lowering = (every["ConvertElementwiseToLinalgPass"]
                        + every["ConvertQuantSTEToLinalgPass"])
            seconds = [every["QuantSTEDifferentiatePass"], ahead["QuantSTEDifferentiatePass"],
                       lowering, every.get("QuantSTEPlanResidualsPass"),
                       every.get("QuantSTESplitPass")]
            print(f"| {kind} | {ops:,} | " +
                  " | ".join("" if s is None else f"{s:.2f} s" for s in seconds) +
                  " | " + " | ".join(f"{m:.0f} MiB" for m in (reading, differentiating, whole)) +
                  " |", flush=True)


if __name__ == "__main__":
    main()
