#!/usr/bin/env python3
"""Training steps in PyTorch, before and after quant_ste.torch.accelerate.

    PYTHONPATH=build/release/python .venv/bin/python benchmarks/torch_step.py [--quick] [--compile]

For each model: milliseconds of a step (forward and backward; the least of several,
the forms taken in turn), and the bytes that autograd keeps for the backward pass,
each storage counted once, parameters not. Then the same of one quantizer by size, and
the time of a call from Python, without a backward pass to come and with one. Output is
Markdown; docs/benchmarks.md has one.
"""
import argparse
import copy
import time

import torch

import quant_ste.torch as qt

# While Brevitas collects statistics it counts steps in Python, for each of which
# torch.compile would compile anew. The steps timed are those after.
STATISTICS = {"collect_stats_steps": 1}

def brevitas_cnn(quick):
    import brevitas.nn as qnn
    channels = 4 if quick else 32
    return torch.nn.Sequential(
        qnn.QuantConv2d(3, channels, 3, padding=1, weight_bit_width=4),
        qnn.QuantReLU(bit_width=4, **STATISTICS),
        qnn.QuantConv2d(channels, channels, 3, padding=1, weight_bit_width=4),
        qnn.QuantReLU(bit_width=4, **STATISTICS), torch.nn.Flatten(),
        qnn.QuantLinear(channels * 32 * 32, 10, bias=True, weight_bit_width=4),
    ), torch.randn(2 if quick else 16, 3, 32, 32)


class Block(torch.nn.Module):
    """A transformer block with quantized projections and activations."""

    def __init__(self, width, heads):
        import brevitas.nn as qnn
        super().__init__()

        def linear(a, b):
            return qnn.QuantLinear(a, b, bias=True, weight_bit_width=8)

        self.heads = heads
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(width) for _ in range(2))
        self.qkv, self.out = linear(width, 3 * width), linear(width, width)
        self.up, self.down = linear(width, 4 * width), linear(4 * width, width)
        self.act = qnn.QuantReLU(bit_width=8, **STATISTICS)
        self.inputs = torch.nn.ModuleList(
            qnn.QuantIdentity(bit_width=8, **STATISTICS) for _ in range(2))

    def forward(self, x):
        b, t, w = x.shape
        q, k, v = (self.qkv(self.inputs[0](self.norms[0](x)))
                   .view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4))
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).reshape(b, t, w))
        return x + self.down(self.act(self.up(self.inputs[1](self.norms[1](x)))))


def transformer(quick):
    width = 64 if quick else 256
    return Block(width, 4), torch.randn(2 if quick else 8, 32 if quick else 128, width)


def step(f, x):
    f(x).square().mean().backward()


def bytes_kept(f, x, *parameters):
    own = {p.untyped_storage().data_ptr() for p in parameters}
    kept = {}

    def pack(t):
        storage = t.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        f(x, *parameters)
    return sum(kept.values())


def model_bytes(f, x, model):
    return bytes_kept(lambda x, *_: f(x).square().mean(), x, *model.parameters())


def times(forms, repeats):
    """The least time of each, in turn, so that all meet the same disturbances. Each runs
    once before it is timed: in the heap that another has left, new pages take longer than
    a quantizer."""
    best = [float("inf")] * len(forms)
    for _ in range(repeats + 2):
        for i, form in enumerate(forms):
            form()
            start = time.perf_counter()
            form()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def table(*heads):
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")


def row(*cells):
    print(f"| {' | '.join(c if isinstance(c, str) else f'{c:.3g}' for c in cells)} |")


def compiled(f):
    # Many modules share one forward, and none of them is to fall back.
    torch._dynamo.config.recompile_limit = torch._dynamo.config.cache_size_limit = 512
    return torch.compile(f, dynamic=False)


def models(options):
    table("model", "form", "ms a step", "kept, MB")
    for name, make in (("CNN", brevitas_cnn), ("transformer", transformer)):
        torch.manual_seed(0)
        model, x = make(options.quick)
        for _ in range(3):
            step(model, x)  # statistics, lazy state
        fast = copy.deepcopy(model)
        qt.accelerate(fast)
        forms = {"Brevitas, eager": (model, model), "accelerated, eager": (fast, fast)}
        if options.compile:
            forms["Brevitas, compiled"] = (compiled(model), model)
            forms["accelerated, compiled"] = (compiled(fast), fast)
        best = times([lambda f=f: step(f, x) for f, _ in forms.values()], options.repeats)
        for (form, (f, m)), seconds in zip(forms.items(), best):
            row(name, form, seconds * 1e3, model_bytes(f, x, m) / 1e6)


def fake_quantizers():
    """name -> (ours, theirs), functions of x and of parameters that are trained."""
    import brevitas.core.function_wrapper as wrapper
    from brevitas.core.quant import IntQuant
    module = IntQuant(narrow_range=False, signed=True, input_view_impl=wrapper.Identity(),
                      float_to_int_impl=wrapper.RoundSte(),
                      tensor_clamp_impl=wrapper.TensorClamp())
    zero, bits = torch.tensor(0.0), torch.tensor(4.0)

    def pact(x, alpha):
        scale = 15 / alpha
        c = torch.minimum(x.clamp(min=0), alpha)
        return c + ((c * scale).round() / scale - c).detach()

    return {
        "PACT, learned bound": (lambda x, a: qt.pact(x, a, 4), pact, True),
        "IntQuant, learned scale": (
            lambda x, s: qt.int_quant(x, s, zero, bits, grad="unfused", stepwise=True),
            lambda x, s: module(s, zero, bits, x), True),
        "fixed scale": (
            lambda x, s: qt.fake_quantize_per_tensor_affine(x, 0.1, 0, -8, 7),
            lambda x, s: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -8, 7), False)}


def quantizers(options):
    """Forward and backward of one, in microseconds. The graph is built by torch; the
    cotangent is given, and gradients are returned, not added to others."""
    heads = ["quantizer", "x", "ours, us", "theirs / ours"]
    heads += ["compiled / ours"] if options.compile else []
    table(*heads, "ours keeps, B/element", "theirs")
    sizes = (64, 256) if options.quick else (64, 256, 1024, 2048)
    for name, (ours, theirs, learns) in fake_quantizers().items():
        for n in sizes:
            x, dy = torch.randn(n, n, requires_grad=True), torch.randn(n, n)
            p = torch.tensor(0.1 if "scale" in name else 1.0, requires_grad=learns)
            forms = [ours, theirs] + ([compiled(theirs)] if options.compile else [])
            repeats = max(1, min(10 if options.quick else 200, 2 ** 22 // n ** 2))

            activation = x.view_as(x)  # no leaf, as in a model
            wrt = (activation, p) if learns else (activation,)

            def loop(f):
                for _ in range(repeats):
                    torch.autograd.grad(f(activation, p), wrt, dy)

            best = times([lambda f=f: loop(f) for f in forms], options.repeats)
            kept = [kept_per_element(f, activation, p) for f in forms[:2]]
            row(name, f"{n} x {n}", best[0] / repeats * 1e6, *(t / best[0] for t in best[1:]),
                *kept)


def kept_per_element(f, x, p):
    """x counts, which may or may not be there anyway; the parameter does not."""
    return bytes_kept(f, x, p) / x.numel()


def calls(options):
    x, low, high = torch.randn(8), torch.tensor(-1.0), torch.tensor(1.0)
    scale, zero_point = torch.tensor([0.1]), torch.tensor([0.0])
    affine, learnable = (0.1, 0, -128, 127), (scale, zero_point, -128, 127, 1.0)
    pairs = {
        "round / round_ste": (lambda x: torch.round(x), lambda x: qt.round_ste(x)),
        "clamp / tensor_clamp": (lambda x: torch.clamp(x, low, high),
                                 lambda x: qt.tensor_clamp(x, low, high)),
        "fake_quantize_per_tensor_affine": (
            lambda x: torch.fake_quantize_per_tensor_affine(x, *affine),
            lambda x: qt.fake_quantize_per_tensor_affine(x, *affine)),
        "_fake_quantize_learnable_per_tensor": (
            lambda x: torch._fake_quantize_learnable_per_tensor_affine(x, *learnable),
            lambda x: qt._fake_quantize_learnable_per_tensor_affine(x, *learnable)),
    }
    table("a call, 8 elements", "grad", "ATen, us", "ours, us", "ratio")
    # Bursts shorter than a time slice, so that the least is undisturbed.
    n, bursts = 20, 20 if options.quick else 1500

    def loop(f, x):
        for _ in range(n):
            f(x)

    for name, both in pairs.items():
        for wants in (False, True):
            given = x.clone().requires_grad_(wants)
            theirs, ours = times([lambda f=f: loop(f, given) for f in both], bursts)
            row(name, "yes" if wants else "no", theirs / n * 1e6, ours / n * 1e6, ours / theirs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small models")
    parser.add_argument("--compile", action="store_true", help="torch.compile as well")
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, "
          f"{qt.REGISTRATION}")
    models(options)
    quantizers(options)
    calls(options)


if __name__ == "__main__":
    main()
