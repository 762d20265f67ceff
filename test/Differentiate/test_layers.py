"""Layers written as sequences of linalg ops: both modes against finite differences,
and the gradients against torch's own layers."""
import numpy as np
import pytest
import torch

from derivatives import Derivatives

F = torch.nn.functional
ROWS, COLUMNS = 4, 6
M = f"tensor<{ROWS}x{COLUMNS}xf64>"


def vector(size):
    return f"tensor<{size}xf64>"


def generic(inputs, result, maps, iterators, body, init):
    """One op of two loops, (i, j); the operands are %a, %b, ... in the body."""
    names = "abcdef"[:len(inputs)]
    block = ", ".join(f"%{n}: f64" for n in names) + ", %o: f64"
    maps = ", ".join(f"affine_map<(i, j) -> ({m})>" for m in maps)
    iterators = ", ".join(f'"{i}"' for i in iterators)
    return (f"linalg.generic {{indexing_maps = [{maps}], "
            f"iterator_types = [{iterators}]}}\n"
            f"    ins({', '.join(n for n, _ in inputs)} : "
            f"{', '.join(t for _, t in inputs)}) outs({init} : {result}) {{\n"
            f"  ^bb0({block}):\n    {body}\n    linalg.yield %r : f64\n"
            f"  }} -> {result}")


def reduced(name, x, dim, op, start):
    """The lines that reduce x, a matrix, to %name over dimension `dim`."""
    kept, size = ("i", ROWS) if dim == 1 else ("j", COLUMNS)
    iterators = ("parallel", "reduction") if dim == 1 else ("reduction", "parallel")
    v = vector(size)
    body = f"%r = {op} %o, %a : f64"
    return f"""
  %{name}_c = arith.constant dense<{start}> : {v}
  %{name} = {generic([(x, M)], v, ["i, j", kept], iterators, body, f"%{name}_c")}"""


def spread(name, inputs, body):
    """The lines that compute the matrix %name: inputs are names with i, j or
    "i, j", that of their elements which each element of the result reads."""
    types = {"i": vector(ROWS), "j": vector(COLUMNS), "i, j": M}
    return f"""
  %{name}_e = tensor.empty() : {M}
  %{name} = {generic([(n, types[m]) for n, m in inputs], M,
                     [m for _, m in inputs] + ["i, j"],
                     ("parallel", "parallel"), body, f"%{name}_e")}"""


def log_softmax(dim):
    kept, size = ("i", ROWS) if dim == 1 else ("j", COLUMNS)
    return f"""
func.func private @f(%x: {M}) -> {M} {{
{reduced("top", "%x", dim, "arith.maximumf", "0xFFF0000000000000")}
{spread("centred", [("%x", "i, j"), ("%top", kept)], "%r = arith.subf %a, %b : f64")}
  %p = math.exp %centred : {M}
{reduced("sum", "%p", dim, "arith.addf", "0.0")}
  %log = math.log %sum : {vector(size)}
{spread("y", [("%centred", "i, j"), ("%log", kept)], "%r = arith.subf %a, %b : f64")}
  return %y : {M}
}}
"""


def norm(dim):
    """Layer norm (dim 1: statistics of a row) or the training form of batch norm
    (dim 0: those of a column), with a factor and a shift for each column."""
    kept, size = ("i", ROWS) if dim == 1 else ("j", COLUMNS)
    v, w = vector(size), vector(COLUMNS)
    return f"""
func.func private @f(%x: {M}, %g: {w}, %s: {w}) -> {M} {{
  %n = arith.constant dense<{float((ROWS, COLUMNS)[dim])}> : {v}
  %epsilon = arith.constant dense<1.0e-5> : {v}
{reduced("sum", "%x", dim, "arith.addf", "0.0")}
  %mean = arith.divf %sum, %n : {v}
{spread("centred", [("%x", "i, j"), ("%mean", kept)], "%r = arith.subf %a, %b : f64")}
  %q = arith.mulf %centred, %centred : {M}
{reduced("squares", "%q", dim, "arith.addf", "0.0")}
  %var = arith.divf %squares, %n : {v}
  %shifted = arith.addf %var, %epsilon : {v}
  %factor = math.rsqrt %shifted : {v}
{spread("y", [("%centred", "i, j"), ("%factor", kept), ("%g", "j"), ("%s", "j")],
        "%t = arith.mulf %a, %b : f64" + chr(10) +
        "    %u = arith.mulf %t, %c : f64" + chr(10) +
        "    %r = arith.addf %u, %d : f64")}
  return %y : {M}
}}
"""


LAYERS = {
    "log-softmax of rows": (log_softmax(1), lambda x: F.log_softmax(x, 1), 1),
    "log-softmax of columns": (log_softmax(0), lambda x: F.log_softmax(x, 0), 1),
    "layer norm": (norm(1), lambda x, g, s: F.layer_norm(x, (COLUMNS,), g, s), 3),
    "batch norm": (norm(0), lambda x, g, s: F.batch_norm(
        x, None, None, g, s, True, 0.1, 1e-5), 3),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    text, theirs, count = LAYERS[name]
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=s) for s in
              ((ROWS, COLUMNS), (COLUMNS,), (COLUMNS,))[:count]]
    derivatives = Derivatives(text)
    derivatives.check(inputs)
    cotangent = rng.normal(size=(ROWS, COLUMNS))
    (value,), gradients = derivatives.reverse(inputs, [cotangent])
    tensors = [torch.tensor(v, requires_grad=True) for v in inputs]
    want = theirs(*tensors)
    want.backward(torch.tensor(cotangent))
    for got, exact in zip([value, *gradients],
                          [want.detach(), *(t.grad for t in tensors)], strict=True):
        np.testing.assert_allclose(got, exact.numpy(), rtol=1e-11, atol=1e-12)


def test_log_softmax_of_large_numbers():
    """No gradient overflows where the logits would."""
    derivatives = Derivatives(log_softmax(1), modes=("reverse",))
    x = np.linspace(-1e3, 1e3, ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    cotangent = np.ones_like(x)
    (value,), (dx,) = derivatives.reverse([x], [cotangent])
    t = torch.tensor(x, requires_grad=True)
    want = F.log_softmax(t, 1)
    want.backward(torch.tensor(cotangent))
    np.testing.assert_allclose(value, want.detach().numpy(), rtol=1e-14)
    np.testing.assert_allclose(dx, t.grad.numpy(), rtol=1e-12, atol=1e-12)
