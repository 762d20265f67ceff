"""Functions and rules written in Python, against NumPy."""
from typing import Annotated

import numpy as np
import pytest

import quant_ste
from quant_ste import build as qs

RANDOM = np.random.default_rng(0)


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def test_layer():
    @qs.function
    def layer(x: qs.f32[None, 8], w: qs.f32[8, 4], b: "tensor<4xf32>", s: qs.f32[4],
              alpha: qs.f32):
        w = qs.int_quant(w, s.along(1), 0.0, 4.0, grad="clipped", rounding="round",
                         signed=True, narrow_range=True)
        return qs.pact(x @ w + b, alpha, grad="pact", bits=4)

    assert "signed narrow_range rounding(round) grad(clipped)" in layer.text
    x, w, b, s = normal(3, 8), normal(8, 4), normal(4), np.abs(normal(4)) + np.float32(0.1)
    y = layer(x, w, b, s, 6.0)
    quantized = np.clip(np.round(w / s), -7, 7) * s
    want = np.round(np.clip(x @ quantized + b, 0, 6) * 2.5) / 2.5
    np.testing.assert_allclose(y, want, rtol=1e-6)
    y, dx, *_, dalpha = layer.module.vjp("layer")(x, w, b, s, 6.0, np.ones_like(y))
    z = x @ quantized + b
    np.testing.assert_allclose(dx, ((z >= 0) & (z <= 6)).astype(np.float32) @ quantized.T,
                               rtol=1e-5, atol=1e-5)
    assert dalpha == (z > 6).sum()


def test_rule():
    @qs.rule(partials=lambda x, s, y: (abs(x) <= 1, (y - x) / s))
    def steps(x, s):
        return (x / s).round() * s

    @qs.function
    def f(x: qs.f32[2, 5], s: qs.f32[2]):
        return steps(x, s.along(0))

    x, s, dy = normal(2, 5), np.float32([0.5, 0.3]), normal(2, 5)
    y, dx, ds = f.module.vjp("f")(x, s, dy)
    column = s[:, None]
    np.testing.assert_array_equal(y, np.round(x / column) * column)
    np.testing.assert_array_equal(dx, np.where(np.abs(x) <= 1, dy, 0))
    np.testing.assert_allclose(ds, (dy * ((y - x) / column)).sum(1), rtol=1e-4, atol=1e-5)


def test_rule_by_vjp():
    @qs.rule(vjp=lambda x, y, dy: qs.where(x > 0, dy * 2, 0.0))
    def doubled(x):
        return x.floor()

    @qs.function
    def f(x: qs.f32[None]):
        return doubled(x)

    x = normal(7)
    y, dx = f.module.vjp("f")(x, x)
    np.testing.assert_array_equal(y, np.floor(x))
    np.testing.assert_array_equal(dx, np.where(x > 0, 2 * x, 0))


def test_broadcast_and_shapes():
    @qs.function
    def f(x: qs.f32[2, 3], row: qs.f32[3], column: qs.f32[2, 1], scalar: qs.f32):
        mixed = (x * row - column) / (scalar + 2.0)
        return (mixed.reshape(3, -1).transpose().sum(0), abs(mixed).sqrt().sum(),
                qs.where((mixed > 0) & (mixed < 1), mixed.exp(), -mixed),
                mixed.maximum(0.25).minimum(scalar))

    x, row, column, scalar = normal(2, 3), normal(3), normal(2, 1), np.float32(0.5)
    mixed = (x * row - column) / (scalar + np.float32(2))
    got = f(x, row, column, scalar)
    want = (mixed.reshape(3, -1).T.sum(0), np.sqrt(np.abs(mixed)).sum(),
            np.where((mixed > 0) & (mixed < 1), np.exp(mixed), -mixed),
            np.minimum(np.maximum(mixed, 0.25), scalar))
    for one, other in zip(got, want):
        np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize("write, message", [
    (lambda x: x @ x, "@: expected tensors of rank 2, got tensor<4xf32>"),
    (lambda x: x if x > 0 else x, "use where"),
    (lambda x: x.reshape(3), "reshape: expected 4 elements"),
    (lambda x: 1.0, "expected values as results, got 1.0"),
])
def test_errors(write, message):
    with pytest.raises(TypeError, match=message):
        qs.function(write, types=[qs.f32[4]])


def test_errors_of_the_compiler():
    f = qs.function(lambda x: qs.nosuch(x), types=[qs.f32[4]])
    assert "quant_ste.nosuch" in f.text
    with pytest.raises(quant_ste.CompileError, match="nosuch"):
        quant_ste.compile(f.text)
    with pytest.raises(TypeError, match="expected a type such as"):
        qs.function(lambda x: x)
    with pytest.raises(TypeError, match="expected a type such as tensor"):
        qs.Type.parse("memref<2xf32>")


def test_annotated():
    """The form that type checkers understand."""
    @qs.function
    def f(x: Annotated[qs.Value, qs.f32[None, 8]], s: "Annotated[qs.Value, 'tensor<f32>']"):
        return x * s

    assert f.text.startswith("func.func @f(%x: tensor<?x8xf32>")
    assert "%s: tensor<f32>" in f.text
    with pytest.raises(TypeError, match="expected a type such as"):
        @qs.function
        def g(x: Annotated[qs.Value, 3]):
            return x
