#!/usr/bin/env python3
"""How long compiling takes, and how it grows.

    benchmarks/compile_time.py [--build build/release] [--quick] [--cpu]
                               [kernels] [many] [growth] [startup]

kernels   forward, and forward with backward: in a warm process, in a new one,
          from the cache; beside them clang -O2 on the same LLVM IR
many      100 different kernels in one module
growth    a network of 1k to 20k ops, seconds per phase, and in a process
startup   qopt-opt beside mlir-opt

Times are the least of several runs, since other load only ever adds. With --cpu
they are seconds of a processor, for a machine that others use too.
"""

import argparse
import ctypes
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

PACT = """
func.func private @pact(%x: tensor<?xf32>, %a: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}
"""
INT_QUANT = """
func.func private @int_quant(%x: tensor<?x?xf32>, %s: tensor<?xf32>)
    -> tensor<?x?xf32> {
  %z = arith.constant dense<0.0> : tensor<f32>
  %b = arith.constant dense<8.0> : tensor<f32>
  %y = quant_ste.int_quant %x, %s axes([1]), %z, %b signed grad(clipped)
    : tensor<?x?xf32>, tensor<?xf32>, tensor<f32>, tensor<f32>
  return %y : tensor<?x?xf32>
}
"""


def forward(text):
    return text.replace("func.func private", "func.func")


def both(text, name, x, p):
    """Forward, and a function that gives y, dx and the parameter's gradient."""
    return forward(text) + f"""
func.func @backward(%x: {x}, %p: {p}, %t: {x}) -> ({x}, {x}, {p}) {{
  %r:3 = quant_ste.vjp @{name}(%x, %p) cotangents(%t) wrt [0, 1]
    : ({x}, {p}), ({x}) -> ({x}, {x}, {p})
  return %r#0, %r#1, %r#2 : {x}, {x}, {p}
}}
"""


KERNELS = {
    "pact": forward(PACT),
    "pact and backward": both(PACT, "pact", "tensor<?xf32>", "tensor<f32>"),
    "int_quant per channel": forward(INT_QUANT),
    "int_quant per channel and backward":
        both(INT_QUANT, "int_quant", "tensor<?x?xf32>", "tensor<?xf32>"),
}


class Clock:
    """Now, for this process and for those it starts."""

    cpu = False

    @staticmethod
    def here():
        return time.process_time() if Clock.cpu else time.perf_counter()

    @staticmethod
    def children():
        if not Clock.cpu:
            return time.perf_counter()
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime


class Library:
    """The part of the C API that compiles."""

    def __init__(self, build):
        lib = ctypes.CDLL(os.path.join(build, "lib", "libQuantSTE-C.so"))
        lib.quant_ste_compile.restype = ctypes.c_void_p
        lib.quant_ste_compile.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p]
        lib.quant_ste_compile_cached.restype = ctypes.c_void_p
        lib.quant_ste_compile_cached.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p,
            ctypes.c_void_p]
        lib.quant_ste_module_free.argtypes = [ctypes.c_void_p]
        self.lib = lib

    def seconds(self, text, cached=False):
        """To compile once, and to free it again."""
        text = text.encode()
        error = ctypes.c_char_p()
        begin = Clock.here()
        if cached:
            module = self.lib.quant_ste_compile_cached(
                text, len(text), None, None, ctypes.byref(error))
        else:
            module = self.lib.quant_ste_compile(
                text, len(text), None, ctypes.byref(error))
        elapsed = Clock.here() - begin
        if not module:
            raise RuntimeError(error.value.decode())
        self.lib.quant_ste_module_free(module)
        return elapsed


def least(function, runs):
    return min(function() for _ in range(runs))


def timed(command):
    begin = Clock.children()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return Clock.children() - begin


def print_kernels(args, library, work):
    clang = shutil.which("clang-22") or shutil.which("clang")
    empty = os.path.join(work, "empty.ll")
    open(empty, "w").close()
    print("milliseconds                           in a process    new process   "
          "cache   clang -O2")
    for name, text in KERNELS.items():
        source = os.path.join(work, "k.mlir")
        with open(source, "w") as f:
            f.write(text)
        warm = least(lambda: library.seconds(text), args.runs)
        library.seconds(text, cached=True)
        hit = least(lambda: library.seconds(text, cached=True), args.runs)
        cold = least(lambda: timed([args.tool("qopt-compile"), source, "-o",
                                    os.path.join(work, "k.o")]), args.runs)
        ir = os.path.join(work, "k.ll")
        subprocess.run([args.tool("qopt-compile"), source, "-O0", "-o", ir],
                       check=True)
        beside = float("nan")
        if clang:
            flags = [clang, "-O2", "-c", "-Wno-override-module", "-o",
                     os.path.join(work, "c.o")]
            beside = (least(lambda: timed(flags + [ir]), args.runs)
                      - least(lambda: timed(flags + [empty]), args.runs))
        print(f"{name:38}{1e3 * warm:13.1f}{1e3 * cold:15.1f}"
              f"{1e3 * hit:8.2f}{1e3 * beside:12.1f}")


# Which of these come before PACT tells 100 kernels apart.
STEPS = ["math.absf %{x}", "arith.negf %{x}", "arith.mulf %{x}, %{x}",
         "arith.addf %{x}, %{x}", "math.floor %{x}", "math.sqrt %{x}",
         "math.ceil %{x}"]


def print_many(args, library):
    """No kernel is another's, which would be compiled once."""
    text = ""
    for i in range(100):
        text += f"""
func.func @f{i}(%x0: tensor<?xf32>, %a: tensor<f32>) -> tensor<?xf32> {{"""
        steps = [s for k, s in enumerate(STEPS) if i >> k & 1]
        for n, step in enumerate(steps):
            text += f"""
  %x{n + 1} = {step.format(x=f"x{n}")} : tensor<?xf32>"""
        text += f"""
  %y = quant_ste.pact %x{len(steps)}, %a bits(4) grad(pact)
    : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}}"""
    seconds = least(lambda: library.seconds(text), max(1, args.runs // 2))
    print(f"100 kernels in one module: {seconds:.2f} s")


def network(ops):
    """About that many ops: layers of a quantized matrix product and PACT."""
    layers = max(1, ops // 6)
    arguments = ["%x: tensor<8x16xf32>"]
    body = ["  %zero = arith.constant dense<0.0> : tensor<8x16xf32>",
            "  %z = arith.constant dense<0.0> : tensor<f32>",
            "  %bits = arith.constant dense<8.0> : tensor<f32>"]
    x = "%x"
    for i in range(layers):
        arguments += [f"%w{i}: tensor<16x16xf32>", f"%s{i}: tensor<16xf32>",
                      f"%b{i}: tensor<8x16xf32>", f"%a{i}: tensor<f32>"]
        body.append(f"""\
  %q{i} = quant_ste.int_quant %w{i}, %s{i} axes([1]), %z, %bits
    signed grad(clipped)
    : tensor<16x16xf32>, tensor<16xf32>, tensor<f32>, tensor<f32>
  %m{i} = linalg.matmul ins({x}, %q{i} : tensor<8x16xf32>, tensor<16x16xf32>)
    outs(%zero : tensor<8x16xf32>) -> tensor<8x16xf32>
  %c{i} = arith.addf %m{i}, %b{i} : tensor<8x16xf32>
  %d{i} = arith.mulf %c{i}, %b{i} : tensor<8x16xf32>
  %e{i} = arith.subf %d{i}, %b{i} : tensor<8x16xf32>
  %y{i} = quant_ste.pact %e{i}, %a{i} bits(4) grad(pact)
    : tensor<8x16xf32>, tensor<f32>""")
        x = f"%y{i}"
    return ("func.func @net(" + ",\n    ".join(arguments)
            + ") -> tensor<8x16xf32> {\n" + "\n".join(body)
            + f"\n  return {x} : tensor<8x16xf32>\n}}\n")


PHASES = ["differentiate", "linalg", "fuse", "bufferize", "vectorize", "llvm"]


def print_growth(args, library, work):
    print("seconds per phase\n    ops" + "".join(f"{p:>14}" for p in PHASES)
          + f"{'LLVM passes':>14}{'codegen':>14}{'total':>10}"
          + f"{'in a process':>14}")
    for ops in [1000, 2000] if args.quick else [1000, 2000, 5000, 10000, 20000]:
        source = os.path.join(work, "net.mlir")
        with open(source, "w") as f:
            f.write(network(ops))
        row, before = [], 0.0
        for phase in PHASES:
            done = subprocess.run(
                [args.tool("qopt-opt"), source, "--mlir-disable-threading",
                 f"--quant-ste-cpu-pipeline=stop-after={phase}",
                 "--mlir-timing", "--mlir-timing-display=list", "-o",
                 os.devnull], check=True, capture_output=True, text=True)
            total, output = (
                re.search(rf"([0-9.]+) \([^)]*\)  {name}", done.stderr)
                for name in ("Total", "Output"))
            spent = float(total.group(1))
            if output:
                spent -= float(output.group(1))
            row.append(max(0.0, spent - before))
            before = max(before, spent)
        done = subprocess.run(
            [args.tool("qopt-compile"), source, "--time", "-o",
             os.path.join(work, "net.o")], check=True, capture_output=True,
            text=True)
        for step in ("LLVM passes", "code generation"):
            found = re.search(rf"{step} +([0-9.]+) ms", done.stderr)
            row.append(float(found.group(1)) / 1e3)
        print(f"{ops:7}" + "".join(f"{s:14.2f}" for s in row)
              + f"{sum(row):10.2f}{library.seconds(network(ops)):14.2f}",
              flush=True)


def print_startup(args, work):
    source = os.path.join(work, "empty.mlir")
    with open(source, "w") as f:
        f.write("func.func @f() { return }\n")
    mlir_opt = shutil.which("mlir-opt-22") or shutil.which("mlir-opt")
    commands = [[args.tool("qopt-opt"), source], [mlir_opt, source]]
    times = [[], []]
    for _ in range(10 * args.runs):  # side by side: both see the same load
        for seconds, command in zip(times, commands):
            seconds.append(timed(command))
    ours, theirs = (min(seconds) for seconds in times)
    print(f"qopt-opt starts in {1e3 * ours:.1f} ms, mlir-opt in "
          f"{1e3 * theirs:.1f} ms: {ours / theirs:.2f} times")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", nargs="*",
                        help="which of these (default: all)")
    parser.add_argument("--build", default=os.path.join(ROOT, "build/release"))
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--cpu", action="store_true")
    args = parser.parse_args()
    args.tool = lambda name: os.path.join(args.build, "bin", name)
    Clock.cpu = args.cpu
    known = ["kernels", "many", "growth", "startup"]
    if unknown := set(args.what) - set(known):
        sys.exit(f"expected some of {', '.join(known)}, got {unknown.pop()}")
    library = Library(args.build)
    with tempfile.TemporaryDirectory() as work:
        os.environ["QUANT_STE_CACHE_DIR"] = os.path.join(work, "cache")
        for what in args.what or known:
            if what == "kernels":
                print_kernels(args, library, work)
            elif what == "many":
                print_many(args, library)
            elif what == "growth":
                print_growth(args, library, work)
            else:
                print_startup(args, work)


if __name__ == "__main__":
    main()
