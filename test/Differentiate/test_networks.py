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


def draw(k, rng, random=True, alpha=1.0):
    """Values for all inputs and parameters. `random`: biases and the like are
    random, so that no gradient is zero or at an edge by construction; PACT's
    bounds are `alpha` times as wide, so that some activations are beyond them.
    """
    values = {}
    for v in k.inputs:
        if v.element == "i64":
            values[v.name[1:]] = rng.integers(0, 10, v.shape)
        elif v.element == "i1":
            values[v.name[1:]] = np.bool_(False)
        elif v.name == "%x":
            values["x"] = rng.uniform(0.5, 1.5, v.shape)
        else:
            mean = 0.0 if v.name == "%running_mean" else 1.0
            values[v.name[1:]] = mean + rng.uniform(-0.3, 0.3, v.shape)
    for name, v, init in k.params:
        if isinstance(init, float):
            values[name] = np.full(v.shape, init)
            if random and v.shape:
                values[name] += rng.normal(0, 0.1, v.shape)
            elif random:
                values[name] *= rng.uniform(0.8, 1.2) * (
                    alpha if name.endswith("_alpha") else 1)
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
         "resnet18": {"batch": 2, "width": 4, "image": 64},
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
    alpha = {"lenet": 0.25, "mlp": 0.4, "transformer": 0.4}.get(name, 1.0)
    values = draw(k, np.random.default_rng(seed), alpha=alpha)
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
    tops = {n: np.abs(w).max() for n, w in want.items()}
    for n, w in want.items():
        # A gradient that is zero by calculus (a bias that the softmax's shift
        # takes away again) is what rounding leaves of it.
        atol = max(1e-10 * tops[n], 1e-14 * max(tops.values()))
        np.testing.assert_allclose(got[n], w, rtol=0, atol=atol, err_msg=n)
    # At most a bound beyond which nothing is has no gradient.
    assert sum(top < 1e-12 for top in tops.values()) <= 2


@pytest.mark.parametrize("name", [
    "lenet", "mlp", "transformer",
    pytest.param("resnet18", marks=pytest.mark.slow)])
def test_gradients_f32(name):
    """No farther from torch's f64 than 4 times torch's own f32 is. A rounding
    that flips in one of them moves gradients by per cents in correct code too:
    where torch's own f32 is that far, there is nothing to compare."""
    values = values_of(name, seed=1)
    _, exact = torch_gradients(name, values, torch.float64, **SIZES[name])
    _, single = torch_gradients(name, values, torch.float32, **SIZES[name])
    _, got = run(name, "f32", values)
    most = max(np.abs(w).max() for w in exact.values())
    for n, w in exact.items():
        top = max(np.abs(w).max(), 1e-6 * most)
        theirs = np.abs(single[n] - w).max() / top
        mine = np.abs(got[n] - w).max() / top
        assert mine <= max(4 * theirs, 1e-5), (n, mine, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet", "mlp", "transformer"])
def test_float_twins_by_finite_differences(name):
    """The float networks, in f64, along random directions."""
    _, k = networks.build(name, "f64", False, **SIZES[name])
    values = draw(k, np.random.default_rng(2))
    loss, grads = run(name, "f64", values, quantized=False)
    rng = np.random.default_rng(3)
    text, _ = networks.build(name, "f64", False, **SIZES[name])
    module = quant_ste_ctypes.compile(text[:text.index("func.func @gradients")])
    for n, _, _ in k.params:
        v = rng.normal(size=np.shape(values[n]))
        v /= np.linalg.norm(v)
        def at(step):
            moved = dict(values, **{n: values[n] + step * v})
            return float(module.call("loss", *arguments(k, moved, "f64"))[0])
        difference = (at(1e-6) - at(-1e-6)) / 2e-6
        np.testing.assert_allclose(np.sum(grads[n] * v), difference, rtol=1e-5,
                                   atol=1e-8, err_msg=n)


def test_committed_network():
    text, _ = networks.build("lenet")
    assert text == (EXAMPLES / "networks" / "lenet.mlir").read_text()


def digits():
    folder = EXAMPLES / "digits" / "data"
    return [np.load(folder / f"{n}.npy") for n in ("X", "y", "split")]


def trained(name, quantized, data, answers, order, rate, seed=0, **extra):
    """Losses, and a function from inputs to logits."""
    text, k = networks.build(name, "f32", quantized)
    values = draw(k, np.random.default_rng(seed), random=False)
    # The same first weights for both twins.
    for n, v, init in k.params:
        if not isinstance(init, float) and init[0] == "normal":
            values[n] = np.random.default_rng(
                [seed, *n.encode()]).normal(0, init[1], v.shape)
    for n, v, init in k.params:
        if not isinstance(init, float) and init[0] == "absmax":
            w = np.abs(values[init[1]])
            values[n] = w.max(tuple(range(w.ndim - 1))) / init[2]
    values.update(extra)
    module = quant_ste_ctypes.compile(text)
    others = [values[v.name[1:]] for v in k.inputs[1:-1]]
    others = [v if isinstance(v, np.bool_) else np.asarray(v, np.float32)
              for v in others]
    params = [np.asarray(values[n], np.float32) for n, _, _ in k.params]
    losses, *params = module.call("train", data, *others, answers, order,
                                  np.float32(rate), *params)
    return losses, lambda x: module.call("forward", x, *others, *params)[0]


def digits_accuracy(name, quantized, epochs=12, rate=0.02):
    x, y, split = digits()
    shape = (-1, 8, 8, 1) if name == "lenet" else (-1, 64)
    x = np.ascontiguousarray(x.reshape(shape).astype(np.float32))
    y, split = y.astype(np.int64), split.astype(np.int64)
    rng = np.random.default_rng(0)
    order = np.concatenate([
        rng.permutation(split[:1437])[:1400].reshape(-1, 40)
        for _ in range(epochs)])
    losses, forward = trained(name, quantized, x, y, order, rate)
    test = split[1437:]
    hits = 0
    for rows in test.reshape(-1, 40):
        hits += np.sum(forward(x[rows]).argmax(1) == y[rows])
    return hits / len(test), losses


@pytest.mark.parametrize("name", [
    pytest.param("lenet", marks=pytest.mark.slow), "mlp"])
def test_digits_near_the_float_twin(name):
    """Within 2 points of the test images."""
    quantized, losses = digits_accuracy(name, True)
    exact, _ = digits_accuracy(name, False)
    print(f"{name}: quantized {quantized:.4f}, float {exact:.4f}")
    assert exact > 0.93
    assert quantized > exact - 0.02
    assert losses[-20:].mean() < losses[:20].mean() / 4


@pytest.mark.slow
def test_transformer_near_its_float_twin():
    """The task: the tokens in reverse order, one in five of them another one, so
    that no network reaches a loss of zero."""
    rng = np.random.default_rng(0)
    n, places, vocabulary = 2048, 12, 16
    tokens = rng.integers(0, vocabulary, (n, places))
    noise = rng.random((n, places)) < 0.2
    answers = np.where(noise, rng.integers(0, vocabulary, (n, places)),
                       tokens[:, ::-1])
    # A row of the batch is one place of one sequence.
    order = np.concatenate([
        (rng.permutation(n)[:, None] * places + np.arange(places)).reshape(
            -1, 16 * places) for _ in range(4)])
    final = {}
    for quantized in (True, False):
        losses, _ = trained("transformer", quantized, tokens.reshape(-1),
                            answers.reshape(-1), order, 0.1)
        final[quantized] = losses[-64:].mean()
    print("transformer: quantized {:.4f}, float {:.4f}".format(
        final[True], final[False]))
    # Knowing nothing costs log 16 = 2.77, knowing all but the noise 1.05.
    assert final[False] < 1.4
    assert final[True] < 1.1 * final[False]
