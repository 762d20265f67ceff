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


def check_gradients(k, grads, want):
    """Within 1e-10 of each gradient's largest element."""
    most = max(np.abs(w).max() for w in want.values())
    for (n, _, _), g in zip(k.params, grads, strict=True):
        atol = max(1e-10 * np.abs(want[n]).max(), 1e-14 * most)
        np.testing.assert_allclose(g, want[n], rtol=0, atol=atol, err_msg=n)


@pytest.mark.parametrize("name,plan", [
    ("lenet", "residuals=minimal"), ("transformer", "residuals=minimal"),
    pytest.param("transformer", "residuals=speed", marks=pytest.mark.slow),
    pytest.param("mlp", "residuals=minimal", marks=pytest.mark.slow),
    pytest.param("resnet18", "residuals=minimal", marks=pytest.mark.slow)])
def test_split_step_against_torch(name, plan):
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
    check_gradients(k, grads[len(grads) - len(k.params):], want)


def qopt_run(folder, module, function, inputs, count):
    """The results of one call in a process of its own, by way of .npy files."""
    library = pathlib.Path(os.environ["QUANT_STE_C_LIBRARY"])
    tool = library.parents[1] / "bin" / "qopt-run"
    given, wanted = [], []
    for i, v in enumerate(inputs):
        np.save(folder / f"{function}_in{i}.npy", v)
        given.append(f"--input=@{folder}/{function}_in{i}.npy")
    for i in range(count):
        wanted.append(f"--output=@{folder}/{function}_out{i}.npy")
    run = subprocess.run([tool, module, f"--function={function}", *given, *wanted],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return [np.load(folder / f"{function}_out{i}.npy") for i in range(count)]


@pytest.mark.parametrize("name", [
    "transformer", *(pytest.param(name, marks=pytest.mark.slow)
                     for name in ("mlp", "lenet", "resnet18"))])
def test_by_qopt_run(name, tmp_path):
    """@forward, @loss and @gradients of the module that networks.py writes."""
    values = values_of(name)
    want_loss, want = torch_gradients(name, values, torch.float64, **SIZES[name])
    text, k = networks.build(name, "f64", **SIZES[name])
    # One module for each, so that nothing is compiled that is not called.
    text = text[:text.index("func.func @train")]
    (tmp_path / "gradients.mlir").write_text(text)
    head = text[:text.index("func.func @gradients")]
    (tmp_path / "forward.mlir").write_text(head)
    arguments = torch_networks.arguments(k, values, "f64")
    labels = len(k.inputs) - 1
    logits, = qopt_run(tmp_path, tmp_path / "forward.mlir", "forward",
                       arguments[:labels] + arguments[labels + 1:], 1)
    loss, = qopt_run(tmp_path, tmp_path / "forward.mlir", "loss", arguments, 1)
    rows = logits - logits.max(1, keepdims=True)
    rows -= np.log(np.exp(rows).sum(1, keepdims=True))
    mine = -rows[np.arange(len(rows)), arguments[labels]].mean()
    np.testing.assert_allclose([loss, mine], want_loss, rtol=1e-12)
    loss, *grads = qopt_run(tmp_path, tmp_path / "gradients.mlir", "gradients",
                            arguments, 1 + len(k.params))
    np.testing.assert_allclose(loss, want_loss, rtol=1e-12)
    check_gradients(k, grads, want)


@pytest.mark.parametrize("name", [
    "transformer", pytest.param("lenet", marks=pytest.mark.slow)])
def test_hessian_vector_product(name):
    """Forward over reverse through a float twin, against reverse over reverse of
    torch."""
    text, k = networks.build(name, "f64", quantized=False, **SIZES[name])
    text = text[:text.index("func.func @train")]
    params = [v for _, v, _ in k.params]
    every, types = k.inputs + params, [k.type(v) for v in params]
    signature = ", ".join(f"{v.name}: {k.type(v)}" for v in every)
    tangents = ", ".join(f"%t{i}: {t}" for i, t in enumerate(types))
    given = ", ".join(k.type(v) for v in every)
    outs = ["tensor<f64>", *types] * 2
    count = len(params) + 1
    returned = ", ".join(f"%r#{i}" for i in range(count + 1, 2 * count))
    text += f"""
func.func @hvp({signature}, {tangents}) -> ({', '.join(types)}) {{
  %r:{2 * count} = quant_ste.jvp @gradients({', '.join(v.name for v in every)})
    tangents({', '.join(f'%t{i}' for i in range(len(params)))})
    wrt {list(range(len(k.inputs), len(every)))}
    : ({given}), ({', '.join(types)}) -> ({', '.join(outs)})
  return {returned} : {', '.join(types)}
}}
"""
    rng = np.random.default_rng(4)
    values = torch_networks.draw(k, rng)
    v = [rng.normal(size=np.shape(values[n])) for n, _, _ in k.params]
    arguments = torch_networks.arguments(k, values, "f64")
    got = quant_ste_ctypes.compile(text).call("hvp", *arguments, *v)

    backend = torch_networks.Torch(values, torch.float64, quantized=False)
    logits = networks.NETWORKS[name](backend, **SIZES[name])
    loss = backend.cross_entropy(logits, backend.input("labels", None))
    tensors = [backend.tensors[n] for n, _, _ in k.params]
    grads = torch.autograd.grad(loss, tensors, create_graph=True)
    along = sum((g * torch.tensor(d)).sum() for g, d in zip(grads, v))
    check_gradients(k, got, {
        n: h.numpy() for (n, _, _), h in zip(
            k.params, torch.autograd.grad(along, tensors), strict=True)})


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
