#!/usr/bin/env python3
"""Bytes kept between forward and backward, beside other systems.

    python benchmarks/residuals.py build/release [--time] [--only TEXT]
    python benchmarks/residuals.py build/release --only resnet18 --width 64 --image 224

One fake quantizer on 2^16 f32; a QAT step of an MLP (batch 256, three layers of
512, int_quant weights per channel, PACT activations); steps of networks of
examples/networks: ResNet-18's shape at batch 32 (width 8, images of 32 x 32) and
the transformer block. Ours are the residuals
of quant-ste-plan-residuals: `alone` with nothing alive anyway, `layer` with
arguments and results alive. The others are what torch saves, counted by
torch.autograd.graph.saved_tensors_hooks: each storage once; arguments are left
out of `layer`, of the steps, and of no count else. --time runs the split pairs and
the joint function in turns, on one thread unless OMP_NUM_THREADS says otherwise, and
gives the median of the ratios of processor time within a turn, and its quartiles. The second line is ResNet-18 as published; its
torch rows hold 2 GB.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in (
    "test/Conformance", "test/Differentiate", "examples/networks")]
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

    def joint(self, text, wrt=""):
        option = f" wrt={wrt}" if wrt else ""
        return self.run(text, f"--quant-ste-differentiate=function=f{option}",
                        "--inline", "--symbol-dce",
                        "--convert-elementwise-to-linalg",
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


class Pair:
    """The forward and the backward of a function, compiled."""

    def __init__(self, tool, joint, options):
        import quant_ste_ctypes
        text = tool.run(joint, f"--quant-ste-plan-residuals={options}",
                        "--quant-ste-split").stdout
        self.module = quant_ste_ctypes.compile(text)
        (line,) = [l for l in text.splitlines() if "func.func @f_bwd(" in l]
        self.marks = [re.search(r"quant_ste\.(\w+)(?: = (\d+))?", a)
                      for a in line[:line.index(") ->")].split("%")[1:]]

    def __call__(self, *arguments):
        *arguments, dy = arguments
        y, *residuals = self.module.call("f_fwd", *arguments)
        given = iter(residuals)
        values = {"residual": lambda _: next(given),
                  "argument": lambda i: arguments[int(i)],
                  "result": lambda _: y, "cotangent": lambda _: dy}
        return [y, *self.module.call("f_bwd", *(
            values[m[1]](m[2]) for m in self.marks))]


def policies(tool, joint, arguments, turns=15):
    """The rows of one step, and its time by each policy if there are arguments."""
    names = ("minimal", "speed", "all")
    ratios = {}
    if arguments:
        import quant_ste_ctypes
        whole = quant_ste_ctypes.compile(joint)
        calls = {"joint": lambda *given: whole.call("f_vjp", *given)}
        calls.update((n, Pair(tool, joint, f"residuals={n}")) for n in names)
        ratios = compare(calls, arguments, turns)
    for name in names:
        kept = tool.kept(joint, f"residuals={name}")
        print(f"| quant_ste, {name} | {kept} |{ratios.get(name, '')}", flush=True)
    if ratios:
        print(f"| quant_ste, not split | |{ratios['joint']}")


def compare(calls, arguments, turns):
    """Each call's seconds of the processor, as a multiple of those of `all` in the
    same turn: the median, and the quartiles. Every other turn goes backwards, so that
    none always follows the same one."""
    seconds = {name: [] for name in calls}
    for call in calls.values():
        call(*arguments)
    for turn in range(turns):
        for name in list(calls)[::-1 if turn % 2 else 1]:
            start = time.process_time()
            calls[name](*arguments)
            seconds[name].append(time.process_time() - start)
    ratios = {}
    for name, own in seconds.items():
        pairs = sorted(a / b for a, b in zip(own, seconds["all"]))
        low, median, high = (pairs[(len(pairs) - 1) * q // 4] for q in (1, 2, 3))
        ratios[name] = f" {median:.3f} ({low:.3f} to {high:.3f}) |"
    return ratios


STEPS = {"resnet18": {"batch": 32}, "transformer": {"batch": 256}}


def torch_steps(name, k, values):
    """The step as functions of its parameters, which are tensors."""
    import networks
    import torch
    import torch_networks

    class Eager(torch_networks.Torch):
        """Autograd functions that save what their gradients read."""

        def __init__(self, given):
            self.given, self.quantized, self.dtype = given, True, torch.float32

        def input(self, name, shape, element=None):
            return self.given[name]

        def param(self, name, shape, init):
            return self.given[name]

    class Learnable(Eager):
        """torch's ops with learned scales, for weights and activations."""

        def weights(self, name, shape, bits=4, value=None):
            w = self.given[name] if value is None else value
            s = self.given[f"{name}_scale"]
            top = 2 ** (bits - 1) - 1
            return torch._fake_quantize_learnable_per_channel_affine(
                w, s, torch.zeros_like(s), w.dim() - 1, -top, top, 1.0)

        def activate(self, x, s, low, high, slope=1.0):
            s = s.reshape(1)
            return torch._fake_quantize_learnable_per_tensor_affine(
                x, s, torch.zeros_like(s), low, high, slope)

        def pact(self, name, x, alpha=2.0):
            return self.activate(x, self.given[f"{name}_alpha"] / 15, 0, 15)

        def lsq(self, name, x, bits=8, step=0.03):
            top = 2 ** (bits - 1) - 1
            return self.activate(x, self.given[f"{name}_step"], -top - 1, top)

    def function(backend):
        def step(given):
            b = backend(given)
            logits = networks.NETWORKS[name](b, **STEPS[name])
            return b.cross_entropy(logits, given["labels"])
        return step

    found = {"torch, autograd functions": function(Eager),
             "the same, torch.compile": torch.compile(function(Eager)),
             "torch, learnable fake_quantize": function(Learnable)}
    try:
        from brevitas.core.function_wrapper import Identity, RoundSte, TensorClamp
        from brevitas.core.quant import IntQuant
    except ImportError:
        return found

    class Brevitas(Learnable):
        def quantize(self, x, s, bits, signed=True):
            q = IntQuant(narrow_range=signed, signed=signed,
                         input_view_impl=Identity(),
                         float_to_int_impl=RoundSte(),
                         tensor_clamp_impl=TensorClamp())
            return q(s, torch.tensor(0.0), torch.tensor(float(bits)), x)

        def weights(self, name, shape, bits=4, value=None):
            w = self.given[name] if value is None else value
            return self.quantize(w, self.given[f"{name}_scale"], bits)

        def activate(self, x, s, low, high, slope=1.0):
            return self.quantize(x, s, (high - low).bit_length(), low < 0)

    found["Brevitas IntQuant, learned scales"] = function(Brevitas)
    return found


def network_step(tool, name, timed, turns):
    import networks
    import numpy as np
    import torch_networks
    text, k = networks.build(name, **STEPS[name])
    text = text[:text.index("func.func @gradients")].replace("@loss(", "@f(")
    joint = tool.joint(text)
    values = torch_networks.draw(k, np.random.default_rng(0))
    arguments = torch_networks.arguments(k, values, "f32")
    sizes = ", ".join(f"{n} {v}" for n, v in STEPS[name].items())
    print(f"\n| {name} step{', ' if sizes else ''}{sizes} | bytes besides "
          f"arguments |{' time, all = 1 |' if timed else ''}\n|---|---|"
          f"{'---|' if timed else ''}")
    policies(tool, joint, [*arguments, np.array(1, np.float32)] if timed else [],
             turns)
    import torch
    names = [v.name[1:] for v in k.inputs] + [n for n, _, _ in k.params]
    params = {n for n, _, _ in k.params}
    for row, step in torch_steps(name, k, values).items():
        given = {n: torch.tensor(a) for n, a in zip(names, arguments)}
        for n in params:
            given[n].requires_grad_()
        print(f"| {row} | {saved(step, (given,), given.values())} |"
              f"{' |' if timed else ''}", flush=True)


def quantizers(tool):
    alone = "keep-arguments=false keep-results=false"
    print("| one quantizer | bytes per element |\n|---|---|")
    for name, (op, wrt) in QUANTIZERS.items():
        joint = tool.joint(quantizer(op), wrt)
        print(f"| quant_ste, {name} | {tool.kept(joint, alone) / N:.4g} "
              f"(as a layer: {tool.kept(joint, '') / N:.4g}) |")
    import torch
    for name, q in torch_quantizers().items():
        x = torch.randn(N, requires_grad=True)
        s = torch.tensor(0.5, requires_grad=True)
        print(f"| {name} | {saved(q, (x, s)) / N:.4g} "
              f"(as a layer: {saved(q, (x, s), (x, s)) / N:.4g}) |")


def mlp_step(tool, timed, turns):
    import numpy as np
    import torch
    joint = tool.joint(network())
    rng = np.random.default_rng(0)

    def f32(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    given = [f32(BATCH, WIDTH)]
    for _ in range(3):
        given += [f32(WIDTH, WIDTH), np.full(WIDTH, 0.1, np.float32),
                  np.array(6, np.float32)]
    print(f"\n| MLP step, {BATCH} x {WIDTH}, 3 layers | bytes besides arguments |"
          f"{' time, all = 1 |' if timed else ''}\n|---|---|"
          f"{'---|' if timed else ''}")
    policies(tool, joint, [*given, f32(BATCH, WIDTH)] if timed else [], turns)
    given = [torch.tensor(v) for v in given]
    for t in given[1:]:
        t.requires_grad_()
    step = torch_network(torch_quantizers()["PACT, eager"])
    for row, f in (("torch eager", step), ("torch.compile", torch.compile(step))):
        print(f"| {row} | {saved(f, given, given)} |{' |' if timed else ''}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--only", default="", help="of the tables, those whose "
                        "name has this: quantizers, mlp, resnet18, ...")
    parser.add_argument("--width", type=int, default=8, help="channels of "
                        "resnet18's first stage")
    parser.add_argument("--image", type=int, default=32, help="the height and "
                        "width of resnet18's images")
    parser.add_argument("--turns", type=int, default=41, help="of --time")
    arguments = parser.parse_args()
    if min(arguments.width, arguments.image, arguments.turns) < 1:
        parser.error("expected a width, an image and turns of at least 1")
    STEPS["resnet18"].update(width=arguments.width, image=arguments.image)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("QUANT_STE_C_LIBRARY", str(
        pathlib.Path(arguments.build) / "lib" / "libQuantSTE-C.so"))
    import torch
    torch.manual_seed(0)
    tool = Tool(arguments.build)
    tables = {"quantizers": lambda: quantizers(tool),
              "mlp": lambda: mlp_step(tool, arguments.time, arguments.turns)}
    for name in STEPS:
        tables[name] = lambda name=name: network_step(
            tool, name, arguments.time, arguments.turns)
    for name, table in tables.items():
        if arguments.only in name:
            table()


if __name__ == "__main__":
    main()
