"""Extrema and their gradients, against NumPy: every type, granularity, tie and NaN."""
import numpy as np
import pytest

import quant_ste_ctypes
from harness import DTYPES, assert_same_bits, kept, tensor

FLOATS = list(DTYPES)
SHAPES = {
    "per tensor": ((37, 53), ()),
    "per channel, first axis": ((37, 53), (0,)),
    "per channel, last axis": ((211, 37), (1,)),
    "per sample and channel": ((5, 7, 101), (0, 1)),
    "large": ((3, 41, 997), ()),
    "rank 1": ((4099,), ()),
    "rank 0": ((), ()),
    "one each": ((6, 5), (0, 1)),
    "nothing": ((0, 3), ()),
    "groups of nothing": ((3, 0), (0,)),
}


def compiled(op, word, rank, axes, dtype):
    x, y = tensor(rank, dtype), tensor(len(axes), dtype)
    along = f" axes({list(axes)})" if axes else ""
    return quant_ste_ctypes.compile(f"""
func.func @op(%x: {x}) -> {y} {{
  %y = quant_ste.{op} %x{along} grad({word}) : {x} -> {y}
  return %y : {y}
}}
func.func @vjp(%x: {x}, %dy: {y}) -> ({y}, {x}) {{
  %r:2 = quant_ste.vjp @op(%x) cotangents(%dy) wrt [0] : ({x}), ({y}) -> ({y}, {x})
  return %r#0, %r#1 : {y}, {x}
}}
func.func @jvp(%x: {x}, %t: {x}) -> {y} {{
  %r:2 = quant_ste.jvp @op(%x) tangents(%t) wrt [0] : ({x}), ({x}) -> ({y}, {y})
  return %r#1 : {y}
}}
""")


def groups(x, axes):
    """[group, element] with the elements of a group in row-major order."""
    moved = np.moveaxis(x, axes, range(len(axes)))
    return moved.reshape([x.shape[a] for a in axes] + [-1]), moved.shape


def expected(op, word, x, axes, dy):
    """y, dx, and the weight of each element, all in double precision."""
    wide = x.astype(np.float64)
    key = np.abs(wide) if op == "absmax" else -wide if op == "minimum" else wide
    grouped, moved = groups(key, axes)
    neutral = 0.0 if op == "absmax" else -np.inf
    top = grouped.max(axis=-1, initial=neutral)
    has = grouped == top[..., None]
    if word == "first":
        first = np.argmax(has, axis=-1) if has.shape[-1] else np.zeros(top.shape, int)
        weight = has & (np.arange(has.shape[-1]) == first[..., None])
    else:
        weight = has / np.maximum(has.sum(axis=-1, keepdims=True), 1)
    back = lambda a: np.moveaxis(a.reshape(moved), range(len(axes)), axes)
    sign = np.sign(np.nan_to_num(wide)) if op == "absmax" else np.ones_like(wide)
    spread = back(np.broadcast_to(dy.astype(np.float64)[..., None], grouped.shape))
    with np.errstate(invalid="ignore"):
        dx = np.where(back(weight) != 0, spread * back(weight) * sign, 0.0)
    return (-top if op == "minimum" else top), dx, back(weight) * sign


# Every shape in f32, the other types for two.
SETTINGS = [(s, "f32") for s in SHAPES] + [
    (s, d) for d in FLOATS if d != "f32" for s in ("per tensor", "per channel, last axis")]


@pytest.mark.parametrize("shape, dtype", SETTINGS)
@pytest.mark.parametrize("word", ("first", "shared"))
@pytest.mark.parametrize("op", ("absmax", "maximum", "minimum"))
def test_extremum(op, word, shape, dtype):
    size, axes = SHAPES[shape]
    d = DTYPES[dtype]
    rng = np.random.default_rng(8)
    # Quarters, so that there are ties; two, four or eight of them are common.
    x = np.asarray(np.round(rng.standard_normal(size) * 8) / 4).astype(d)
    dy = np.asarray(rng.standard_normal([size[a] for a in axes])).astype(d)
    t = np.asarray(rng.standard_normal(size)).astype(d)
    module = compiled(op, word, len(size), axes, dtype)
    y, dx = module.call("vjp", x, dy)
    want, want_dx, weight = expected(op, word, x, axes, dy)
    assert_same_bits(y, np.asarray(want).astype(d), f"{op} y")
    close = {"f16": 2e-3, "bf16": 2e-2, "f32": 1e-6, "f64": 1e-14}[dtype]
    np.testing.assert_allclose(dx.astype(np.float64), want_dx, rtol=close)
    if word == "first":
        np.testing.assert_array_equal(dx.astype(np.float64), want_dx)
    (ty,) = module.call("jvp", x, t)
    sums = (weight * t.astype(np.float64)).sum(axis=kept(axes, len(size)))
    np.testing.assert_allclose(ty.astype(np.float64), sums, rtol=close, atol=close)


@pytest.mark.parametrize("op", ("absmax", "maximum", "minimum"))
@pytest.mark.parametrize("word", ("first", "shared"))
def test_special_values(op, word):
    """NaN is the extremum and gets no gradient; infinities and zeros are ordinary."""
    x = np.array([[np.nan, 1, -2], [np.inf, -np.inf, 0], [0, -0.0, 0]], np.float32)
    dy = np.array([1, 2, 4], np.float32)
    y, dx = compiled(op, word, 2, (0,), "f32").call("vjp", x, dy)
    assert np.isnan(y[0]) and not dx[0].any()
    sign = -1 if op == "minimum" else 1
    assert y[1] == sign * np.inf and y[2] == 0
    if op == "absmax":
        rows = [[2, 0, 0], [0, 0, 0]] if word == "first" else [[1, -1, 0], [0, 0, 0]]
    else:
        at = 0 if op == "maximum" else 1
        rows = [np.where(np.arange(3) == at, 2, 0),
                [4, 0, 0] if word == "first" else [4 / 3] * 3]
    np.testing.assert_allclose(dx[1:], np.array(rows, np.float64), rtol=1e-6)
