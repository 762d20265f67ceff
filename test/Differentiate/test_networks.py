"""The networks of examples/networks: every gradient against torch autograd of
the same network with the same quantizers, written as autograd functions."""
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import torch

import quant_ste_ctypes

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES / "networks"))
import networks  # noqa: E402

F = torch.nn.functional


class IntQuant(torch.autograd.Function):
    """Signed, narrow range, one scale for each of the last dimension."""

    @staticmethod
    def forward(ctx, w, s, top):
        r = torch.round(w / s)
        q = torch.clamp(r, -top, top)
        ctx.save_for_backward(w, s, r, q)
        ctx.top = top
        return q * s

    @staticmethod
    def backward(ctx, g):
        w, s, r, q = ctx.saved_tensors
        inside = (r >= -ctx.top) & (r <= ctx.top)
        ds = g * torch.where(inside, q - w / s, q)
        return (torch.where(inside, g, 0), ds.sum(tuple(range(w.dim() - 1))),
                None)


class Pact(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha):
        ctx.save_for_backward(x, alpha)
        steps = 15 / alpha
        return torch.round(torch.clamp(x, torch.zeros_like(alpha), alpha)
                           * steps) / steps

    @staticmethod
    def backward(ctx, g):
        x, alpha = ctx.saved_tensors
        dx = torch.where((x < 0) | (x > alpha), 0, g)
        return dx, torch.where(x >= alpha, g, 0).sum()


class Lsq(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, s, qmin, qmax, slope):
        t = x / s
        ctx.save_for_backward(t)
        ctx.range = qmin, qmax, slope
        return torch.round(torch.clamp(t, qmin, qmax)) * s

    @staticmethod
    def backward(ctx, g):
        t, = ctx.saved_tensors
        qmin, qmax, slope = ctx.range
        below, above = t <= qmin, t >= qmax
        ds = torch.where(below, qmin, torch.where(above, qmax,
                                                  torch.round(t) - t))
        return (torch.where(below | above, 0, g), (g * ds * slope).sum(), None,
                None, None)


class Torch:
    """The backend of networks.py that computes, with torch's own layers."""

    def __init__(self, values, dtype, quantized=True):
        self.values, self.dtype, self.quantized = values, dtype, quantized
        self.tensors = {}

    def input(self, name, shape, element=None):
        v = torch.tensor(self.values[name])
        return v.to(self.dtype) if v.is_floating_point() else v

    def param(self, name, shape, init):
        t = torch.tensor(self.values[name], dtype=self.dtype, requires_grad=True)
        assert t.shape == tuple(shape)
        self.tensors[name] = t
        return t

    def weights(self, name, shape, bits=4, value=None):
        w = self.param(name, shape, None) if value is None else value
        if not self.quantized:
            return w
        s = self.param(f"{name}_scale", shape[-1:], None)
        return IntQuant.apply(w, s, 2 ** (bits - 1) - 1)

    def bias(self, name, x, init=0.0):
        return x + self.param(name, x.shape[-1:], None)

    def linear(self, name, x, width):
        return self.bias(f"{name}_bias",
                         x @ self.weights(name, (x.shape[-1], width)))

    def conv(self, name, x, width, size=3, stride=1, padding=1, value=None):
        w = (self.weights(name, (size, size, x.shape[-1], width))
             if value is None else value)
        y = F.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), None, stride,
                     padding)
        return y.permute(0, 2, 3, 1)

    def folded_conv(self, name, x, width, frozen, running_mean, running_var,
                    size=3, padding=1, epsilon=1e-5):
        w = self.param(name, (size, size, x.shape[-1], width), None)
        mean, var = running_mean, running_var
        if not frozen:
            y = self.conv(name, x, width, size, 1, padding, value=w)
            var, mean = torch.var_mean(y, (0, 1, 2), unbiased=False)
        g = self.param(f"{name}_gamma", (width,), None)
        factor = g / torch.sqrt(var + epsilon)
        folded = self.weights(name, w.shape, value=w * factor)
        y = self.conv(name, x, width, size, 1, padding, value=folded)
        return self.bias(f"{name}_beta", y - mean * factor)

    def max_pool(self, x, size, stride, padding=0):
        return F.max_pool2d(x.permute(0, 3, 1, 2), size, stride,
                            padding).permute(0, 2, 3, 1)

    def average_pool(self, x, size):
        return F.avg_pool2d(x.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)

    def pact(self, name, x, alpha=2.0):
        if not self.quantized:
            return F.relu(x)
        return Pact.apply(x, self.param(f"{name}_alpha", (), None))

    def lsq(self, name, x, bits=8, step=0.03):
        if not self.quantized:
            return x
        top = 2 ** (bits - 1) - 1
        slope = float(f"{(x.numel() * top) ** -0.5:.6e}")
        return Lsq.apply(x, self.param(f"{name}_step", (), None), -top - 1, top,
                         slope)

    def normalize(self, name, x, dims, epsilon=1e-5):
        g = self.param(f"{name}_gamma", x.shape[-1:], None)
        b = self.param(f"{name}_beta", x.shape[-1:], None)
        if dims == (x.dim() - 1,) or dims == (1,):
            return F.layer_norm(x, x.shape[-1:], g, b, epsilon)
        y = F.batch_norm(x.permute(0, 3, 1, 2), None, None, g, b, True, 0.1,
                         epsilon)
        return y.permute(0, 2, 3, 1)

    def add(self, x, y):
        return x + y

    def scale(self, x, number):
        return x * number

    def mean(self, x, dims):
        return x.mean(dims)

    def reshape(self, x, shape):
        return x.reshape(shape)

    def transpose(self, x, order):
        return x.permute(order)

    def embedding(self, name, tokens, rows, width):
        return F.embedding(tokens, self.param(name, (rows, width), None))

    def add_rows(self, name, x, deviation=0.5):
        return x + self.param(name, x.shape[1:], None)

    def batch_matmul(self, x, y, transposed=False):
        return x @ (y.transpose(1, 2) if transposed else y)

    def softmax(self, x):
        return F.softmax(x, -1)

    def cross_entropy(self, logits, labels):
        return F.cross_entropy(logits, labels)


def draw(k, rng, random=True):
    """Values for all inputs and parameters. `random`: biases and the like are
    random, so that no gradient is zero or at an edge by construction."""
    values = {}
    for v in k.inputs:
        if v.element == "i64":
            values[v.name[1:]] = rng.integers(0, 10, v.shape)
        elif v.element == "i1":
            values[v.name[1:]] = np.bool_(False)
        else:
            values[v.name[1:]] = rng.uniform(0.5, 1.5, v.shape)
    for name, v, init in k.params:
        if isinstance(init, float):
            noise = rng.normal(0, 0.1, v.shape) if random and v.shape else 0
            # Bounds low enough that some activations are beyond them.
            low = 0.3 if random and name.endswith("_alpha") else 1.0
            values[name] = np.full(v.shape, init * low) + noise
        elif init[0] == "normal":
            values[name] = rng.normal(0, init[1], v.shape)
        else:
            w = np.abs(values[init[1]])
            top = w.max(tuple(range(w.ndim - 1)))
            values[name] = top / init[2] * (rng.uniform(0.8, 1.2, v.shape)
                                            if random else 1)
    return values


def torch_gradients(name, values, dtype, quantized=True, **sizes):
    backend = Torch(values, dtype, quantized)
    logits = networks.NETWORKS[name](backend, **sizes)
    loss = backend.cross_entropy(logits, backend.input("labels", None))
    loss.backward()
    return loss.item(), {n: t.grad.numpy() for n, t in backend.tensors.items()}


NUMPY = {"f32": np.float32, "f64": np.float64}


def arguments(k, values, element):
    every = [v.name[1:] for v in k.inputs] + [n for n, _, _ in k.params]
    return [v if v.dtype.kind in "bi" else v.astype(NUMPY[element])
            for v in (np.asarray(values[n]) if np.ndim(values[n]) or
                      not isinstance(values[n], np.generic) else values[n]
                      for n in every)]


SIZES = {"lenet": {"batch": 6}, "mlp": {"batch": 6},
         "resnet18": {"batch": 2, "width": 4, "image": 32},
         "transformer": {"batch": 3}}


def run(name, element, values, quantized=True, sizes=None):
    text, k = networks.build(name, element, quantized,
                             **(SIZES[name] if sizes is None else sizes))
    text = text[:text.index("func.func @train")]
    module = quant_ste_ctypes.compile(text)
    loss, *grads = module.call("gradients", *arguments(k, values, element))
    return float(loss), dict(zip((n for n, _, _ in k.params), grads, strict=True))


def values_of(name, quantized=True, seed=0, frozen=False):
    _, k = networks.build(name, "f64", quantized, **SIZES[name])
    # Numbers of f32, so that f32 and f64 compute from the same.
    values = draw(k, np.random.default_rng(seed))
    values = {n: np.asarray(v, np.float32).astype(np.float64)
              if np.asarray(v).dtype.kind == "f" else v for n, v in values.items()}
    if "frozen" in values:
        values["frozen"] = np.bool_(frozen)
    return values


@pytest.mark.parametrize("name,frozen", [
    ("lenet", False), ("lenet", True), ("mlp", False), ("transformer", False),
    ("resnet18", False)])
def test_gradients_f64(name, frozen):
    """Within 1e-10 of each gradient's largest element."""
    values = values_of(name, frozen=frozen)
    want_loss, want = torch_gradients(name, values, torch.float64, **SIZES[name])
    loss, got = run(name, "f64", values)
    assert abs(loss - want_loss) < 1e-12 * abs(want_loss)
    assert got.keys() == want.keys()
    for n, w in want.items():
        top = np.abs(w).max()
        assert top > 0, n
        np.testing.assert_allclose(got[n], w, rtol=0, atol=1e-10 * top, err_msg=n)
