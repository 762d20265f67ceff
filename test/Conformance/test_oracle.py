"""The oracle's general fake quantizers against its forms measured on torch.

The general ones have every granularity, type and word; torch's were compared
with torch itself.
"""
import numpy as np
import pytest

import cases
import oracle

QMIN, QMAX = -128, 127


def inputs(scale, zero_point):
    x = cases.adversarial("f32")
    like = np.ones_like(x)
    return x, {"x": x, "scale": like * np.float32(scale),
               "zero_point": like * np.float32(zero_point)}


@pytest.mark.parametrize("zero_point", (0, 3, -5))
@pytest.mark.parametrize("scale", cases.SCALES)
def test_fake_quantize(scale, zero_point):
    x, general = inputs(scale, zero_point)
    dy = cases.cotangent(x.shape, "f32", finite=True)
    words = dict(qmin=QMIN, qmax=QMAX, position="after")
    torch = dict(quant_min=QMIN, quant_max=QMAX, scale=scale, zero_point=zero_point,
                 policy="select")
    ours, theirs = (oracle.OPS[n] for n in ("fake_quantize", "fake_quantize_per_tensor_affine"))
    np.testing.assert_array_equal(ours.forward(general, words), theirs.forward({"x": x}, torch))
    np.testing.assert_array_equal(ours.vjp(general, words, dy)["x"],
                                  theirs.vjp({"x": x}, torch, dy)["x"])


@pytest.mark.parametrize("zero_points, position", (
    (np.int32([0, 3, -5, 127, -128]), "after"),
    (np.float32([0.25, -2.5, 3.7, 100.0, 0.0]), "before")), ids=("integers", "floats"))
def test_fake_quantize_per_channel(zero_points, position):
    """Where torch's integers do not overflow. It adds a float zero point before
    rounding, and has no -0 either."""
    x = cases.adversarial("f32")
    x = np.tile(x[np.abs(x) < 1e15], (5, 1))
    scales = np.float32(cases.SCALES)
    dy = cases.cotangent(x.shape, "f32", finite=True)
    general = {"x": x, "scale": np.broadcast_to(scales[:, None], x.shape),
               "zero_point": np.broadcast_to(np.float32(zero_points)[:, None], x.shape)}
    words = dict(qmin=QMIN, qmax=QMAX, position=position)
    shared = {"x": x, "scale": scales, "zero_point": zero_points}
    torch = dict(quant_min=QMIN, quant_max=QMAX, axis=0, policy="select")
    ours, theirs = (oracle.OPS[n] for n in ("fake_quantize", "fake_quantize_per_channel_affine"))
    got, want = ours.forward(general, words), theirs.forward(shared, torch)
    if position == "after":
        np.testing.assert_array_equal(got, want)
    else:
        # With a fractional zero point torch computes q - zero_point in f64.
        np.testing.assert_allclose(got, want, rtol=3e-7, atol=1e-5)
    np.testing.assert_array_equal(ours.vjp(general, words, dy)["x"],
                                  theirs.vjp(shared, torch, dy)["x"])


@pytest.mark.parametrize("zero_point", (0.0, 2.5, -3.0, -0.5, 200.0))
@pytest.mark.parametrize("scale", cases.SCALES)
def test_learnable_fake_quantize(scale, zero_point):
    """Where torch's integers do not overflow; it multiplies dy in first."""
    x, general = inputs(scale, zero_point)
    fits = np.abs(x) < 1e15
    dy = cases.cotangent(x.shape, "f32", finite=True)
    words = dict(qmin=QMIN, qmax=QMAX, grad_factor=0.25)
    torch = dict(quant_min=QMIN, quant_max=QMAX, grad_factor=0.25, consistent_zero_point=True)
    ours, theirs = (oracle.OPS[n] for n in
                    ("learnable_fake_quantize", "fake_quantize_learnable_per_tensor_affine"))
    shared = {"x": x, "scale": np.float32([scale]), "zero_point": np.float32([zero_point])}
    np.testing.assert_array_equal(ours.forward(general, words)[fits],
                                  theirs.forward(shared, torch)[fits])
    got = ours.vjp(general, words, dy)
    shared = {k: v[fits] if v.shape == x.shape else v for k, v in shared.items()}
    want = theirs.vjp(shared, torch, dy[fits])
    np.testing.assert_array_equal(got["x"][fits], want["x"])
    for name in ("scale", "zero_point"):
        terms = got[name][fits].astype(np.float64)
        error = abs(terms.sum() - want[name].astype(np.float64)[0])
        assert error <= 1e-6 * np.abs(terms).sum(), name
