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
from torch_networks import Torch, arguments, draw  # noqa: E402


def torch_gradients(name, values, dtype, quantized=True, **sizes):
    backend = Torch(values, dtype, quantized)
    logits = networks.NETWORKS[name](backend, **sizes)
    loss = backend.cross_entropy(logits, backend.input("labels", None))
    loss.backward()
    return loss.item(), {n: t.grad.numpy() for n, t in backend.tensors.items()}


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


@pytest.mark.parametrize("name,draws", [
    ("lenet", 7), ("mlp", 15),
    pytest.param("transformer", 15, marks=pytest.mark.slow),
    pytest.param("resnet18", 15, marks=pytest.mark.slow)])
def test_gradients_f32(name, draws):
    """No farther from torch's f64 than 4 times torch's own f32 is, each gradient. One
    draw proves little: of a single number either may be right by luck, and a rounding
    that flips in one of them moves gradients by per cents in correct code too. So it is
    the median of several."""
    mine, theirs = {}, {}
    for seed in range(draws):
        values = values_of(name, seed=seed)
        _, exact = torch_gradients(name, values, torch.float64, **SIZES[name])
        _, single = torch_gradients(name, values, torch.float32, **SIZES[name])
        _, got = run(name, "f32", values)
        for n, w in exact.items():
            top = max(np.abs(w).max(), np.finfo(np.float64).tiny)
            mine.setdefault(n, []).append(np.abs(got[n] - w).max() / top)
            theirs.setdefault(n, []).append(np.abs(single[n] - w).max() / top)
    for n in mine:
        assert np.median(mine[n]) <= 4 * np.median(theirs[n]), (n, mine[n], theirs[n])


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
