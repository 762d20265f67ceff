"""A whole quantized network: against torch autograd, forward against reverse
mode, and split into a forward and a backward function."""
import os
import pathlib
import re
import subprocess

import numpy as np
import pytest
import torch

import quant_ste_ctypes
from derivatives import Derivatives
from torch_networks import IntQuant, Pact

TEXT = (pathlib.Path(__file__).parent / "Inputs" / "mlp.mlir").read_text()
NETWORK = TEXT[:TEXT.index("func.func @gradients")]


def parameters(rng):
    out = []
    for i, o in ((12, 16), (16, 8), (8, 5)):
        w = rng.normal(0, 1 / np.sqrt(i), (i, o)).astype(np.float32)
        # Random biases: exact zeros would make PACT's mask follow float noise.
        b = rng.normal(0, 0.2, o).astype(np.float32)
        out += [w, b, (np.abs(w).max(0) / 6).astype(np.float32)]
    return out + [np.array(0.5, np.float32), np.array(0.4, np.float32)]


def batch(rng, n):
    x = rng.normal(size=(n, 12)).astype(np.float32)
    return x, rng.integers(0, 5, n)


def torch_gradients(x, y, params):
    tensors = [torch.tensor(p, dtype=torch.float64, requires_grad=True)
               for p in params]
    h = torch.tensor(x, dtype=torch.float64)
    for layer in range(3):
        w, b, s = tensors[3 * layer:3 * layer + 3]
        h = h @ IntQuant.apply(w, s, 7) + b
        if layer < 2:
            h = Pact.apply(h, tensors[9 + layer])
    loss = torch.nn.functional.cross_entropy(h, torch.tensor(y))
    loss.backward()
    return loss.item(), [t.grad.numpy() for t in tensors]


@pytest.fixture(scope="module")
def module():
    return quant_ste_ctypes.compile(TEXT)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("n", [1, 7, 64])
def test_against_torch(module, seed, n):
    rng = np.random.default_rng(seed)
    params = parameters(rng)
    x, y = batch(rng, n)
    loss, *grads = module.call("gradients", x, y, *params)
    want, want_grads = torch_gradients(x, y, params)
    np.testing.assert_allclose(loss, want, rtol=1e-6)
    for g, w in zip(grads, want_grads):
        # 1e-5 of the largest element.
        np.testing.assert_allclose(g, w, rtol=0,
                                   atol=1e-5 * np.abs(w).max() + 1e-30)


def test_forward_mode_is_the_transpose_of_reverse_mode():
    """<t, J v> = <J^T t, v> for the logits of the quantized network."""
    net = NETWORK.replace("@net(", "@f(")[:NETWORK.index("func.func private @xent") - 2]
    derivatives = Derivatives(net)
    rng = np.random.default_rng(3)
    params = parameters(rng)
    x, _ = batch(rng, 9)
    inputs = [x, *params]
    v = [rng.normal(size=np.shape(a)).astype(np.float32) for a in inputs]
    t = rng.normal(size=(9, 5)).astype(np.float32)
    _, (jv,) = derivatives.forward(inputs, v)
    _, jt = derivatives.reverse(inputs, [t])
    left = np.sum(np.float64(t) * jv)
    right = sum(np.sum(np.float64(a) * b) for a, b in zip(v, jt))
    np.testing.assert_allclose(left, right, rtol=1e-5)


def qopt_opt(text, *passes):
    library = pathlib.Path(os.environ["QUANT_STE_C_LIBRARY"])
    tool = library.parent.parent / "bin" / "qopt-opt"
    run = subprocess.run([tool, *passes], input=text, capture_output=True,
                         text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def attributes(text, function):
    """What a function's arguments are, in order: residuals, arguments and
    results of the forward by number, cotangents."""
    (line,) = [l for l in text.splitlines() if f"func.func @{function}(" in l]
    found = []
    for argument in line[:line.index(") ->")].split("%")[1:]:
        word = re.search(r"quant_ste\.(\w+)(?: = (\d+))?", argument)
        found.append((word[1], int(word[2]) if word[2] else None))
    return found


@pytest.mark.parametrize("plan", [
    "", "keep-arguments=false", "keep-arguments=false keep-results=false",
    "residuals=speed", "residuals=all", "pack-bits=false",
    "budget=1 recompute-products"])
def test_split(plan):
    """The two functions give bit for bit what the joint one gives."""
    joint = qopt_opt(
        NETWORK.replace("private @loss", "@loss"), "--inline", "--quant-ste-differentiate=function=loss",
        "--symbol-dce", "--convert-elementwise-to-linalg",
        "--convert-quant-ste-to-linalg", "--canonicalize", "--cse")
    planned = qopt_opt(joint, f"--quant-ste-plan-residuals=function=loss_vjp {plan}")
    split = qopt_opt(planned, "--quant-ste-split=function=loss_vjp")
    assert "@loss_vjp" not in split
    rng = np.random.default_rng(4)
    params = parameters(rng)
    x, y = batch(rng, 33)
    one = np.array(1, np.float32)
    want = quant_ste_ctypes.compile(joint).call("loss_vjp", x, y, *params, one)
    # Residuals pass through the planned function as they are.
    whole = quant_ste_ctypes.compile(planned).call("loss_vjp", x, y, *params, one)
    parts = quant_ste_ctypes.compile(split)
    loss, *residuals = parts.call("loss_fwd", x, y, *params)
    given, arguments = iter(residuals), [x, y, *params]
    values = {"residual": lambda _: next(given), "argument": lambda i: arguments[i],
              "result": lambda i: [loss][i], "cotangent": lambda _: one}
    grads = parts.call("loss_bwd", *(
        values[word](i) for word, i in attributes(split, "loss_bwd")))
    for got in (whole, [loss, *grads]):
        assert len(got) == len(want)
        for g, w in zip(got, want):
            np.testing.assert_array_equal(g, w)
    kept = sum(r.nbytes for r in residuals)
    activations = 33 * (16 + 8)
    if plan == "":
        # The products in front of the activations, which both the masks and the
        # factors of the next product are made of.
        assert kept <= 4 * activations + 4 * 33 * 10 + 64
    if plan.startswith("budget"):
        assert kept <= 1
