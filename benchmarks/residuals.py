#!/usr/bin/env python3
"""Bytes kept between forward and backward, beside other systems.

    python benchmarks/residuals.py build/release [--time]

One fake quantizer on 2^16 f32, and a QAT step of an MLP (batch 256, three layers
of 512, int_quant weights per channel, PACT activations). Ours are the residuals
of quant-ste-plan-residuals: `alone` with nothing alive anyway, `layer` with
arguments and results alive. The others are what torch saves, counted by
torch.autograd.graph.saved_tensors_hooks: each storage once; arguments are left
out of `layer`, and of no count else. --time runs the split pair and the joint
function in turns and gives the ratio of their minima.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test" / "Conformance"))
N = 1 << 16
BATCH, WIDTH = 256, 512

QUANTIZERS = {
    "clipped, dx": ("binary_sign %x grad(window(-1.0, 1.0))", "0"),
    "PACT, dx": ("pact %x, %s bits(4) grad(pact)", "0"),
    "PACT, dx and dalpha": ("pact %x, %s bits(4) grad(pact)", "0,1"),
    "int_quant, learned scale": (
        "int_quant %x, %s, %z, %b signed rounding(round) grad(clipped)", "0,1"),
}


def quantizer(op):
    count = op.count("%")
    types = ", ".join([f"tensor<{N}xf32>"] + ["tensor<f32>"] * (count - 1))
    return f"""
func.func @f(%x: tensor<{N}xf32>, %s: tensor<f32>) -> tensor<{N}xf32> {{
  %z = arith.constant dense<0.0> : tensor<f32>
  %b = arith.constant dense<4.0> : tensor<f32>
  %y = quant_ste.{op} : {types}
  return %y : tensor<{N}xf32>
}}"""


def network():
    m, w = f"tensor<{BATCH}x{WIDTH}xf32>", f"tensor<{WIDTH}x{WIDTH}xf32>"
    s = f"tensor<{WIDTH}xf32>"
    args = [f"%x: {m}"] + [f"%w{i}: {w}, %s{i}: {s}, %a{i}: tensor<f32>" for i in range(3)]
    lines, x = [], "%x"
    for i in range(3):
        lines.append(f"""
  %q{i} = quant_ste.int_quant %w{i}, %s{i} axes([1]), %zero, %bits signed narrow_range rounding(round) grad(clipped)
    : {w}, {s}, tensor<f32>, tensor<f32>
  %e{i} = tensor.empty() : {m}
  %f{i} = linalg.fill ins(%c : f32) outs(%e{i} : {m}) -> {m}
  %m{i} = linalg.matmul ins({x}, %q{i} : {m}, {w}) outs(%f{i} : {m}) -> {m}
  %h{i} = quant_ste.pact %m{i}, %a{i} bits(4) grad(pact) : {m}, tensor<f32>""")
        x = f"%h{i}"
    return f"""
func.func @f({', '.join(args)}) -> {m} {{
  %c = arith.constant 0.0 : f32
  %zero = arith.constant dense<0.0> : tensor<f32>
  %bits = arith.constant dense<4.0> : tensor<f32>{''.join(lines)}
  return {x} : {m}
}}"""


class Tool:
    def __init__(self, build):
        self.binary = pathlib.Path(build) / "bin" / "qopt-opt"

    def run(self, text, *passes):
        return subprocess.run([self.binary, *passes], input=text, text=True,
                              capture_output=True, check=True)

    def joint(self, text, wrt):
        option = f" wrt={wrt}" if wrt else ""
        return self.run(text, f"--quant-ste-differentiate=function=f{option}",
                        "--convert-quant-ste-to-linalg", "--canonicalize",
                        "--cse").stdout

    def kept(self, joint, options):
        plan = self.run(joint, f"--quant-ste-print-residuals={options}").stderr
        return int(re.search(r": (\d+) bytes", plan)[1])


def saved(step, inputs, left_out=()):
    """What torch saves while it runs `step`."""
    import torch
    storages = {}

    def pack(t):
        storages[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        keep.append(t)
        return t

    keep = []
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        step(*inputs)
    for t in left_out:
        storages.pop(t.untyped_storage().data_ptr(), None)
    return sum(storages.values())


def torch_quantizers():
    import torch

    class Pact(torch.nn.Module):
        def forward(self, x, alpha):
            clipped = torch.where(x > alpha, alpha, torch.where(x < 0, 0 * alpha, x))
            steps = 15 / alpha
            q = clipped * steps
            return (q + (torch.round(q) - q).detach()) / steps

    def fake(x, s):
        return torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -8, 7)

    zero = torch.zeros(1)

    def learnable(x, s):
        return torch._fake_quantize_learnable_per_tensor_affine(
            x, s.reshape(1), zero, -8, 7, 1.0)

    found = {"torch fake_quantize": fake, "torch learnable": learnable,
             "PACT, eager": Pact()}
    found["PACT, torch.compile"] = torch.compile(Pact())
    try:
        from brevitas.core.quant import IntQuant
        from brevitas.core.function_wrapper import Identity, RoundSte, TensorClamp
        q = IntQuant(narrow_range=False, signed=True, input_view_impl=Identity(),
                     float_to_int_impl=RoundSte(),
                     tensor_clamp_impl=TensorClamp())
        found["Brevitas IntQuant, learned scale"] = (
            lambda x, s: q(s, torch.tensor(0.0), torch.tensor(4.0), x))
    except ImportError:
        pass
    return found


def torch_network(activation):
    import torch

    def step(x, *parameters):
        for w, s, a in zip(*[iter(parameters)] * 3):
            q = w / s
            inside = torch.clamp(q, -7, 7)
            x = activation(x @ ((inside + (torch.round(inside) - inside).detach()) * s), a)
        return x
    return step


def time_pair(tool, build, joint, options, arguments, dy):
    import quant_ste_ctypes
    split = tool.run(joint, f"--quant-ste-plan-residuals={options}",
                     "--quant-ste-split").stdout
    whole, parts = quant_ste_ctypes.compile(joint), quant_ste_ctypes.compile(split)
    (line,) = [l for l in split.splitlines() if "func.func @f_bwd(" in l]
    marks = [re.search(r"quant_ste\.(\w+)(?: = (\d+))?", a)
             for a in line[:line.index(") ->")].split("%")[1:]]

    def pair():
        y, *residuals = parts.call("f_fwd", *arguments)
        given = iter(residuals)
        values = {"residual": lambda _: next(given), "argument": lambda i: arguments[int(i)],
                  "result": lambda _: y, "cotangent": lambda _: dy}
        parts.call("f_bwd", *(values[m[1]](m[2]) for m in marks))

    best = {}
    for _ in range(9):
        for name, call in (("joint", lambda: whole.call("f_vjp", *arguments, dy)),
                           ("split", pair)):
            start = time.perf_counter()
            call()
            best[name] = min(best.get(name, 1e9), time.perf_counter() - start)
    return best["split"] / best["joint"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build")
    parser.add_argument("--time", action="store_true")
    arguments = parser.parse_args()
    tool = Tool(arguments.build)
    alone = "keep-arguments=false keep-results=false"
    print("| one quantizer | bytes per element |\n|---|---|")
    for name, (op, wrt) in QUANTIZERS.items():
        joint = tool.joint(quantizer(op), wrt)
        print(f"| quant_ste, {name} | {tool.kept(joint, alone) / N:.4g} "
              f"(as a layer: {tool.kept(joint, '') / N:.4g}) |")
    joint = tool.joint(network(), "")
    try:
        import torch
        torch.manual_seed(0)
    except ImportError:
        torch = None
    if torch:
        for name, q in torch_quantizers().items():
            x = torch.randn(N, requires_grad=True)
            s = torch.tensor(0.5, requires_grad=True)
            print(f"| {name} | {saved(q, (x, s)) / N:.4g} "
                  f"(as a layer: {saved(q, (x, s), (x, s)) / N:.4g}) |")
    print(f"\n| MLP step, {BATCH} x {WIDTH}, 3 layers | bytes besides arguments |\n|---|---|")
    for policy in ("minimal", "speed", "all"):
        kept = tool.kept(joint, f"residuals={policy}")
        ratio = ""
        if arguments.time:
            import numpy as np
            import os
            os.environ.setdefault("QUANT_STE_C_LIBRARY", str(
                pathlib.Path(arguments.build) / "lib" / "libQuantSTE-C.so"))
            rng = np.random.default_rng(0)
            f32 = lambda *shape: rng.standard_normal(shape).astype(np.float32)
            given = [f32(BATCH, WIDTH)]
            for _ in range(3):
                given += [f32(WIDTH, WIDTH), np.full(WIDTH, 0.1, np.float32),
                          np.array(6, np.float32)]
            ratio = ", time of the joint function times %.3g" % time_pair(
                tool, arguments.build, joint, f"residuals={policy}", given,
                f32(BATCH, WIDTH))
        print(f"| quant_ste, {policy} | {kept}{ratio} |")
    if torch:
        given = [torch.randn(BATCH, WIDTH)]
        for _ in range(3):
            given += [torch.randn(WIDTH, WIDTH, requires_grad=True),
                      torch.full((WIDTH,), 0.1, requires_grad=True),
                      torch.tensor(6.0, requires_grad=True)]
        step = torch_network(torch_quantizers()["PACT, eager"])
        print(f"| torch eager | {saved(step, given, given)} |")
        print(f"| torch.compile | {saved(torch.compile(step), given, given)} |")


if __name__ == "__main__":
    main()
