#!/usr/bin/env python3
"""How time and memory of the passes for derivatives grow with a function's length.

    benchmarks/differentiate.py build/release/bin/qopt-opt [ops ...]

prints a Markdown table: for functions of 1,000, 10,000 and 100,000 ops (or as many
as given) the seconds of the processor that are spent in quant-ste-differentiate in
reverse and forward mode, in lowering to linalg, in quant-ste-plan-residuals and in
quant-ste-split, each as the difference to a run without it; and the peak memory of
the process that reads the module, that differentiates it, and that does all. Needs
nothing but Python.
"""
import os
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
    """Seconds of the processor, and the peak memory in MiB, of one run."""
    process = subprocess.Popen([tool, path, *passes, "-o", os.devnull,
                                "--mlir-disable-threading"])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{tool} failed on {path}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


LOWERING = ["--convert-elementwise-to-linalg", "--convert-quant-ste-to-linalg"]


def main():
    if len(sys.argv) < 2 or not all(n.isdigit() for n in sys.argv[2:]):
        sys.exit(__doc__)
    sizes = [int(n) for n in sys.argv[2:]] or [1_000, 10_000, 100_000]
    print("| function | ops | reverse | forward | lowering | plan | split "
          "| reading | differentiating | all |\n" + "|---" * 10 + "|")
    for kind in KINDS:
        for ops in sizes:
            with tempfile.NamedTemporaryFile("w", suffix=".mlir") as file:
                file.write(module(kind, ops))
                file.flush()
                forward, *steps = (
                    ["--quant-ste-differentiate=function=f mode=forward"],
                    ["--quant-ste-differentiate=function=f"], LOWERING,
                    ["--quant-ste-plan-residuals"], ["--quant-ste-split"])
                if kind == "calls":  # not split before they are inlined
                    del steps[2:]
                runs = [measure(sys.argv[1], file.name, *sum(steps[:n], []))
                        for n in range(len(steps) + 1)]
                ahead, _ = measure(sys.argv[1], file.name, *forward)
            own = [after - before for (before, _), (after, _) in zip(runs, runs[1:])]
            own.insert(1, ahead - runs[0][0])
            cells = [f"{s:.2f} s" for s in own] + [""] * (5 - len(own))
            cells += [f"{m:.0f} MiB" for _, m in (runs[0], runs[1], runs[-1])]
            print(f"| {kind} | {ops:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
