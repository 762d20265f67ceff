#!/usr/bin/env python3
"""Training steps: quantized beside float, here and in PyTorch.

    .venv/bin/python benchmarks/step.py --json steps.json

Two networks: the 4-bit digits classifier of examples/digits (64-128-64-10, batch
64), and a perceptron of 8 layers, batch 256, 1024 wide, weights by int_quant with a
scale per output channel, activations by PACT. A step is the loss and the gradients
of all parameters. What is compared takes turns in one process; figures are minima.
Every gradient is compared with PyTorch's before anything is timed.
"""
import argparse
import json
import sys

import numpy as np

import timing  # first: it says where the next one is
from timing import Clock, Compiled, Failed, interleave, quant_ste

BITS = 4
LARGEST = 2 ** (BITS - 1) - 1


class Network:
    """Layers of `sizes`: x * W, + b, and between layers PACT (or max(x, 0))."""

    def __init__(self, name, batch, sizes):
        self.name, self.batch, self.sizes = name, batch, sizes
        self.layers = len(sizes) - 1
        rng = np.random.default_rng(0)
        self.x = rng.random((batch, sizes[0]), dtype=np.float32)
        self.target = rng.standard_normal((batch, sizes[-1]), dtype=np.float32)
        self.parameters = {}
        for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
            w = rng.standard_normal((inputs, outputs), dtype=np.float32)
            w *= np.float32((2 / inputs) ** 0.5)
            self.parameters[f"w{i}"] = w
            self.parameters[f"b{i}"] = np.zeros(outputs, np.float32)
            self.parameters[f"s{i}"] = (np.abs(w).max(0) / np.float32(LARGEST))
            if i + 1 < self.layers:
                self.parameters[f"a{i}"] = np.array(2.0, np.float32)

    def names(self, quantized):
        return [n for n in self.parameters if quantized or n[0] in "wb"]

    def text(self, quantized):
        """@step(x, target, parameters..., results...): the loss is the mean of the
        squares of the differences."""
        size = lambda shape: f"tensor<{''.join(f'{n}x' for n in shape)}f32>"  # noqa: E731
        names = self.names(quantized)
        types = {n: size(self.parameters[n].shape) for n in names}
        tx, tt = size(self.x.shape), size(self.target.shape)
        body, h, th = "", "%x", tx
        for i, outputs in enumerate(self.sizes[1:]):
            ty = size((self.batch, outputs))
            w = f"%w{i}"
            if quantized:
                w = f"%q{i}"
                body += (f"  {w} = quant_ste.int_quant %w{i}, %s{i} axes([1]), %zero, %bits "
                         f"signed narrow_range rounding(round) grad(clipped) : "
                         f"{types[f'w{i}']}, {types[f's{i}']}, tensor<f32>, tensor<f32>\n")
            body += (f"  %e{i} = tensor.empty() : {ty}\n"
                     f"  %i{i} = linalg.broadcast ins(%b{i} : {types[f'b{i}']}) "
                     f"outs(%e{i} : {ty}) dimensions = [0]\n"
                     f"  %m{i} = linalg.matmul ins({h}, {w} : {th}, {types[f'w{i}']}) "
                     f"outs(%i{i} : {ty}) -> {ty}\n")
            h, th = f"%m{i}", ty
            if i + 1 < self.layers:
                body += f"  %h{i} = " + (
                    f"quant_ste.pact {h}, %a{i} bits({BITS}) grad(pact) : {ty}, tensor<f32>\n"
                    if quantized else
                    f"arith.maximumf {h}, %z{i} : {ty}\n")
                if not quantized:
                    zero = f"  %z{i} = arith.constant dense<0.0> : {ty}\n"
                    body = body[:body.rindex("  %h")] + zero + body[body.rindex("  %h"):]
                h = f"%h{i}"
        share = 1.0 / self.target.size
        arguments = f"%x: {tx}, %t: {tt}, " + ", ".join(f"%{n}: {types[n]}" for n in names)
        gradients = [types[n] for n in names]
        outs = ["tensor<f32>"] + gradients
        given = ["%x", "%t"] + [f"%{n}" for n in names]
        given_types = [tx, tt] + gradients
        stores = "".join(
            f"  %p{i} = bufferization.to_buffer %o{i} : {t} to {t.replace('tensor', 'memref')}\n"
            f"  bufferization.materialize_in_destination %r#{i} in restrict writable %p{i} : "
            f"({t}, {t.replace('tensor', 'memref')}) -> ()\n" for i, t in enumerate(outs))
        return f"""
#all = affine_map<(i, j) -> (i, j)>
#none = affine_map<(i, j) -> ()>
func.func private @loss({arguments}) -> tensor<f32> {{
  %zero = arith.constant dense<0.0> : tensor<f32>
  %bits = arith.constant dense<{float(BITS)}> : tensor<f32>
  %share = arith.constant {share:e} : f32
{body}  %loss = linalg.generic {{indexing_maps = [#all, #all, #none],
      iterator_types = ["reduction", "reduction"]}}
    ins({h}, %t : {th}, {tt}) outs(%zero : tensor<f32>) {{
  ^bb0(%a: f32, %b: f32, %sum: f32):
    %d = arith.subf %a, %b : f32
    %d2 = arith.mulf %d, %d : f32
    %part = arith.mulf %d2, %share : f32
    %next = arith.addf %sum, %part : f32
    linalg.yield %next : f32
  }} -> tensor<f32>
  return %loss : tensor<f32>
}}
func.func @step({arguments}, {', '.join(
    f'%o{i}: {t} {{bufferization.writable = true}}' for i, t in enumerate(outs))}) {{
  %r:{len(outs)} = quant_ste.value_and_grad @loss({', '.join(given)}) wrt {
      list(range(2, 2 + len(names)))}
    : ({', '.join(given_types)}) -> ({', '.join(outs)})
{stores}  return
}}
"""


class Ours:
    def __init__(self, network, quantized, options):
        self.names = network.names(quantized)
        module = quant_ste.compile(network.text(quantized), options)
        given = [network.parameters[n] for n in self.names]
        self.results = [np.zeros((), np.float32)] + [np.zeros_like(p) for p in given]
        self.call = Compiled(module, "step",
                             [network.x, network.target, *given, *self.results])
        self.call.check_call()

    def time(self, repeats):
        return self.call.time(repeats)


class Torch:
    def __init__(self, network, quantized, compiled):
        import torch

        import peers
        self.torch, self.network = torch, network
        formulas = peers.formulas()
        pact, int_quant = formulas["pact"](None), formulas["int_quant_narrow"](1)
        self.names = network.names(quantized)
        self.p = {n: torch.tensor(network.parameters[n], requires_grad=True)
                  for n in self.names}
        self.x, self.t = torch.tensor(network.x), torch.tensor(network.target)

        def loss(x, t, p):
            for i in range(network.layers):
                w = int_quant(p[f"w{i}"], p[f"s{i}"]) if quantized else p[f"w{i}"]
                x = torch.addmm(p[f"b{i}"], x, w)
                if i + 1 < network.layers:
                    x = pact(x, p[f"a{i}"]) if quantized else torch.relu(x)
            return torch.square(x - t).mean()

        self.loss = torch.compile(loss) if compiled else loss
        self.implementation = timing.Python(self.step)
        self.step()

    def step(self):
        value = self.loss(self.x, self.t, self.p)
        return value, self.torch.autograd.grad(value, list(self.p.values()))

    def time(self, repeats):
        return self.implementation.time(repeats)


def check(ours, theirs, what):
    """Gradients agree but where a sum in another order rounded to another step."""
    value, gradients = theirs.step()
    want = [value.detach().numpy()] + [g.numpy() for g in gradients]
    for name, a, b in zip(["loss"] + ours.names, ours.results, want):
        norm = np.linalg.norm(b.astype(np.float64))
        error = np.linalg.norm(a.astype(np.float64) - b) / (norm or 1.0)
        if not error < 0.05:
            raise Failed(f"{what}: {name} is off by {error:.2g} of its norm")


NETWORKS = {
    "digits 4-bit": lambda: Network("digits 4-bit", 64, [64, 128, 64, 10]),
    "mlp 8x1024": lambda: Network("mlp 8x1024", 256, [1024] * 9),
}


def measure(network, threads, options):
    """Rows of one network: seconds of each implementation."""
    quant_ste.set_thread_count(threads)
    made = {}
    for matmul in options.matmul:
        for quantized in (True, False):
            kind = "quantized" if quantized else "float"
            made["quant_ste", matmul, kind] = Ours(network, quantized, f"matmul={matmul}")
    try:
        import torch
        torch.set_num_threads(threads)
        for compiled in (False, True)[:1 if options.no_compile else 2]:
            for quantized in (True, False):
                kind = "quantized" if quantized else "float"
                name = "torch.compile" if compiled else "torch eager"
                made[name, "", kind] = Torch(network, quantized, compiled)
        for (name, matmul, kind), implementation in list(made.items()):
            if name == "quant_ste":
                check(implementation, made["torch eager", "", kind],
                      f"{network.name}, {kind}, matmul={matmul}")
    except ImportError as error:
        print(f"left out: PyTorch ({error})")
    clocks = {key: Clock(value) for key, value in made.items()}
    interleave(list(clocks.values()), options.rounds, options.seconds)
    rows = []
    for (name, matmul, kind), clock in clocks.items():
        own = clocks.get((name, matmul, "float"))
        rows.append({"network": network.name, "kind": kind, "impl": name, "matmul": matmul,
                     "threads": threads, "seconds": clock.minimum,
                     "median_seconds": clock.median,
                     "over_own_float": clock.minimum / own.minimum})
    return rows


def verdict(rows):
    """Our quantized step against our float one and against PyTorch's quantized ones."""
    lines = []
    for key in dict.fromkeys((r["network"], r["threads"]) for r in rows):
        these = [r for r in rows if (r["network"], r["threads"]) == key
                 and r["kind"] == "quantized"]
        theirs = [r for r in these if r["impl"] != "quant_ste"]
        for r in (r for r in these if r["impl"] == "quant_ste"):
            beside = "".join(f", {t['impl']} takes {t['seconds'] / r['seconds']:.2f} times as long"
                             for t in theirs)
            lines.append(f"{key[0]}, {key[1]} thread(s), matmul={r['matmul']}: "
                         f"{r['over_own_float']:.2f} of the float step{beside}")
    return lines


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = lambda text: text.split(",")  # noqa: E731
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--networks", type=words, default=list(NETWORKS))
    parser.add_argument("--threads", type=lambda t: [int(n) for n in words(t)], default=[1, 2])
    parser.add_argument("--matmul", type=words, default=["own", "auto"],
                        help="of own, auto, library, inline (own,auto)")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60, help="per network")
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile")
    options = parser.parse_args()
    for name in options.networks:
        if name not in NETWORKS:
            parser.error(f"expected one of {', '.join(NETWORKS)}, got '{name}'")
    timing.use_warm_allocator()
    rows = []
    print(f"{'network':14} {'thr':3} {'':10} {'implementation':14} {'matmul':8} {'ms':>9} "
          f"{'median':>9}  over own float")
    for name in options.networks:
        network = NETWORKS[name]()
        for threads in options.threads:
            try:
                these = measure(network, threads, options)
            except (Failed, quant_ste.Error) as error:
                print(f"error: {error}", file=sys.stderr)
                return 1
            for r in these:
                print(f"{r['network']:14} {r['threads']:3} {r['kind']:10} {r['impl']:14} "
                      f"{r['matmul']:8} {r['seconds'] * 1e3:9.3f} "
                      f"{r['median_seconds'] * 1e3:9.3f}  {r['over_own_float']:.2f}",
                      flush=True)
            rows += these
    print("\n".join(verdict(rows)))
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)
            file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
