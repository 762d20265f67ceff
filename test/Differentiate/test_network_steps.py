"""The whole step of an example network with its residuals planned and split: its
gradients, and the bytes between its two halves, beside torch."""
import os
import pathlib
import re
import subprocess

import numpy as np
import pytest
import torch

import quant_ste_ctypes
import torch_networks
from test_network import attributes, qopt_opt
from test_networks import SIZES, networks, torch_gradients, values_of


def joint_of(name, element, sizes):
    """Its loss's derivative, as the planner wants it, and the emitter."""
    text, k = networks.build(name, element, **sizes)
    text = text[:text.index("func.func @gradients")]
    return qopt_opt(text, "--quant-ste-differentiate=function=loss", "--inline",
                    "--symbol-dce", "--convert-elementwise-to-linalg",
                    "--convert-quant-ste-to-linalg", "--canonicalize",
                    "--cse"), k


@pytest.mark.parametrize("name,plan", [
    ("lenet", "residuals=minimal"), ("transformer", "residuals=minimal"),
    pytest.param("transformer", "residuals=speed", marks=pytest.mark.slow),
    pytest.param("mlp", "residuals=minimal", marks=pytest.mark.slow),
    pytest.param("resnet18", "residuals=minimal", marks=pytest.mark.slow)])
def test_split_step_against_torch(name, plan):
    """As the joint function: within 1e-10 of each gradient's largest element."""
    values = values_of(name)
    loss, want = torch_gradients(name, values, torch.float64, **SIZES[name])
    joint, k = joint_of(name, "f64", SIZES[name])
    split = qopt_opt(joint, f"--quant-ste-plan-residuals=function=loss_vjp {plan}",
                     "--quant-ste-split=function=loss_vjp")
    module = quant_ste_ctypes.compile(split)
    arguments = torch_networks.arguments(k, values, "f64")
    got, *residuals = module.call("loss_fwd", *arguments)
    assert abs(got - loss) < 1e-12 * abs(loss)
    given = iter(residuals)
    known = {"residual": lambda _: next(given), "argument": lambda i: arguments[i],
             "result": lambda _: got, "cotangent": lambda _: np.array(1.0)}
    grads = module.call("loss_bwd", *(
        known[word](i) for word, i in attributes(split, "loss_bwd")))
    # One for each float argument; the parameters come last.
    grads = grads[len(grads) - len(k.params):]
    most = max(np.abs(w).max() for w in want.values())
    for (n, _, _), g in zip(k.params, grads, strict=True):
        atol = max(1e-10 * np.abs(want[n]).max(), 1e-14 * most)
        np.testing.assert_allclose(g, want[n], rtol=0, atol=atol, err_msg=n)


def saved_by_torch(name, values, sizes):
    """Bytes that torch keeps for the backward besides parameters: each storage
    once."""
    backend = torch_networks.Torch(values, torch.float32)
    alive, storages = [], {}

    def pack(t):
        alive.append(t) # so that no address is used twice
        storages[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        logits = networks.NETWORKS[name](backend, **sizes)
        backend.cross_entropy(logits, backend.input("labels", None))
    for t in backend.tensors.values():
        storages.pop(t.untyped_storage().data_ptr(), None)
    return sum(storages.values())


@pytest.mark.parametrize("name,sizes,share", [
    ("resnet18", {"batch": 32}, 0.2), ("transformer", {}, 0.4)])
def test_bytes_beside_torch(name, sizes, share):
    """torch's network has the same quantizers as autograd functions, which save
    what their gradients read."""
    joint, k = joint_of(name, "f32", sizes)
    library = pathlib.Path(os.environ["QUANT_STE_C_LIBRARY"])
    plan = subprocess.run(
        [library.parent.parent / "bin" / "qopt-opt",
         "--quant-ste-print-residuals=function=loss_vjp", "-o", os.devnull],
        input=joint, capture_output=True, text=True, check=True).stderr
    kept = int(re.match(r"residuals of @loss_vjp, minimal: (\d+) bytes", plan)[1])
    values = torch_networks.draw(k, np.random.default_rng(0))
    assert kept <= share * saved_by_torch(name, values, sizes)
    # No product or window is computed twice.
    again = set(re.findall(r"recompute .*: '([\w.]+)'", plan))
    assert not again & {"linalg.matmul", "linalg.batch_matmul",
                        "linalg.conv_2d_nhwc_hwcf", "linalg.pooling_nhwc_max"}
