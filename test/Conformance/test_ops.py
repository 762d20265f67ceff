"""Every op against the oracle: forward bit for bit, every gradient.

With per-element parameters each gradient is compared element by element; per
tensor, per channel and per group the sums are compared within their bound.
"""
import numpy as np
import pytest

import cases
import oracle
from harness import (DTYPES, assert_same_bits, assert_sum, compute_dtype, expect,
                     rounded, run, spread)

FLOATS = list(DTYPES)


def check_data(case, got, y, terms, dtype):
    assert_same_bits(got["y"], rounded(y, DTYPES[dtype]), f"{case} y")
    if case.op != "int_quant":
        assert_same_bits(got["x"], rounded(terms["x"], DTYPES[dtype]), f"{case} dx")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", cases.UNARY, ids=str)
def test_unary(case, dtype):
    x = cases.adversarial(dtype)
    dy = cases.cotangent(x.shape, dtype)
    y, terms = expect(case, x, [], [], dy)
    check_data(case, run(case, x, [], [], dy), y, terms, dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", cases.RANGES, ids=str)
def test_integer_ranges(case, dtype):
    """Whole bit widths bit for bit; fractional ones within the bound of exp2."""
    widths = np.array([1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 24, 31, 32], np.float64)
    for x, exact in ((widths, True), (np.array([2.5, 0.5, 7.3]), False)):
        x = x.astype(DTYPES[dtype])
        dy = cases.cotangent(x.shape, dtype, finite=True)
        y, terms = expect(case, x, [], [], dy)
        got = run(case, x, [], [], dy)
        for name, want in (("y", y), ("x", terms["x"])):
            want = rounded(want, DTYPES[dtype])
            if exact and name == "y":
                assert_same_bits(got[name], want, f"{case} {name}")
                continue
            a, b = got[name].astype(np.float64), want.astype(np.float64)
            # One ULP of the power, which the subtraction of 1 or 2 leaves behind.
            eps = 2.0 ** -{"f16": 10, "bf16": 7, "f32": 23, "f64": 51}[dtype]
            power = 2.0 ** (x.astype(np.float64) + 1)
            scale = power if name == "y" else np.abs(b)
            with np.errstate(all="ignore"):
                same = (a == b) | (np.abs(a - b) <= eps * scale)
            assert same.all(), (case, name, a[~same], b[~same])


def clamp_bounds(x, dtype):
    lo = np.full(x.size, -1.5)
    hi = np.full(x.size, 1.5)
    lo, hi = lo.astype(x.dtype), hi.astype(x.dtype)
    lo[::7] = 2.0
    lo[3::31] = np.nan
    hi[5::29] = np.nan
    lo[::11] = x[::11]
    hi[2::13] = x[2::13]
    return lo, hi


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", cases.TENSOR_CLAMP, ids=str)
def test_tensor_clamp_per_element(case, dtype):
    x = cases.adversarial(dtype)
    dy = cases.cotangent(x.shape, dtype)
    params, axes = clamp_bounds(x, dtype), [(0,), (0,)]
    y, terms = expect(case, x, params, axes, dy)
    got = run(case, x, params, axes, dy)
    check_data(case, got, y, terms, dtype)
    for name in case.differentiable[1:]:
        assert_same_bits(got[name], rounded(terms[name], DTYPES[dtype]), f"{case} d{name}")


ALPHAS = (6.0, 1.0, 0.3, 10.0, -1.0, 0.0, np.inf, np.nan)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", cases.PACT, ids=str)
def test_pact_per_channel_of_every_alpha(case, dtype):
    """One channel per alpha, each with every adversarial x (and x == alpha)."""
    x = cases.adversarial(dtype)
    alpha = np.array(ALPHAS).astype(DTYPES[dtype])
    x = np.stack([np.concatenate([x, [a]]) for a in alpha]).astype(DTYPES[dtype])
    dy = cases.cotangent(x.shape, dtype)
    y, terms = pact_terms(case, x, alpha, dy)
    got = run(case, x, [alpha], [(0,)], dy)
    check_data(case, got, y, terms, dtype)
    # The same, one alpha per element: dalpha is then its own term.
    flat = x.reshape(-1)
    each = spread(alpha, (0,), x.shape).reshape(-1)
    got = run(case, flat, [each], [(0,)], dy.reshape(-1))
    assert_same_bits(got["alpha"], rounded(terms["alpha"], DTYPES[dtype]).reshape(-1),
                     f"{case} dalpha")


def pact_terms(case, x, alpha, dy):
    """The oracle's alpha is one number: call it for each."""
    wide = np.float64 if x.dtype == np.float64 else np.float32
    ys, dxs, das = [], [], []
    attrs = dict(case.attrs)
    op = oracle.OPS["pact"]
    for row, a, t in zip(x.astype(wide), alpha.astype(wide), dy.astype(wide)):
        with np.errstate(all="ignore"):
            ys.append(op.forward({"x": row, "alpha": a}, attrs))
            dxs.append(op.vjp({"x": row, "alpha": a}, attrs, t)["x"])
            das.append(np.where(row >= a, t, wide(0)))
    return np.stack(ys), {"x": np.stack(dxs), "alpha": np.stack(das)}


SCALES = (0.1, 0.037, 0.25, 1.0, -0.3, 3.0)


def quantizer_parameters(dtype, size):
    rng = np.random.default_rng(2)
    scale = rng.choice(SCALES, size)
    zero = np.round(rng.standard_normal(size) * 3)
    width = rng.choice([2.0, 3.0, 4.0, 8.0], size)
    return [p.astype(DTYPES[dtype]) for p in (scale, zero, width)]


def int_quant_bounds(case, x, params, axes, dy, dtype):
    """The gradients of semantics that int_quant states, and the sizes of the
    terms that its bounds are measured by."""
    wide = compute_dtype(dtype)
    X, t = x.astype(wide), dy.astype(wide)
    s, z, b = (spread(p.astype(wide), a, x.shape) for p, a in zip(params, axes))
    attrs = dict(case.attrs)
    with np.errstate(all="ignore"):
        u = X / s
        r = oracle.ROUND[attrs["rounding"]](u + z)
        lo = oracle.int_min(attrs["signed"], attrs["narrow_range"], b)
        hi = oracle.int_max(attrs["signed"], attrs["narrow_range"], b)
        w = oracle.tclamp(r, lo, hi) - z
        clipped = (r > hi) | (np.where(r > hi, hi, r) < lo)
        if attrs["clamp_ste"]:
            clipped = np.zeros_like(clipped)
        dx = np.where(clipped, wide.type(0), t)
        ds_size = np.abs(t * w) + np.where(clipped, 0, np.abs(t * u))
        dz = np.where(clipped, t * -s, wide.type(0))
    return dx, ds_size, dz


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", cases.INT_QUANT, ids=str)
def test_int_quant_per_element(case, dtype):
    x = cases.adversarial(dtype)
    dy = cases.cotangent(x.shape, dtype)
    params, axes = quantizer_parameters(dtype, x.size), [(0,)] * 3
    y, terms = expect(case, x, params, axes, dy)
    got = run(case, x, params, axes, dy)
    dx, ds_size, dz = int_quant_bounds(case, x, params, axes, dy, dtype)
    assert_same_bits(got["y"], rounded(y, DTYPES[dtype]), f"{case} y")
    assert_same_bits(got["x"], rounded(dx, DTYPES[dtype]), f"{case} dx")

    # Against the library, for finite numbers: dx within 1 ULP of (dy*s)/s, ds
    # within 2 eps of the sizes of its two terms.
    eps = np.finfo(compute_dtype(dtype)).eps
    narrow = 2.0 ** -{"f16": 11, "bf16": 8, "f32": 60, "f64": 60}[dtype]
    fine = np.isfinite(dy.astype(np.float64)) & np.isfinite(terms["x"])
    fine &= np.isfinite(terms["scale"])
    # A denormal of the narrow type has its own step.
    least = {"f16": 2.0 ** -25, "bf16": 2.0 ** -134}.get(dtype, 0.0)
    with np.errstate(all="ignore"):
        a, b = (v.astype(np.float64) for v in (got["x"], terms["x"]))
        off = np.abs(a - b) - np.abs(b) * (eps + narrow) - least
        assert (off[fine] <= 0).all(), f"{case} dx: more than 1 ULP from the library"
        a, b = (v.astype(np.float64) for v in (got["scale"], terms["scale"]))
        off = np.abs(a - b) - ds_size * 2 * eps - np.abs(b) * narrow - least
        fine &= np.isfinite(a)
        assert (off[fine] <= 0).all(), f"{case} ds: beyond 2 eps of its terms"
    assert fine.sum() > x.size / 2
    if "zero_point" in case.differentiable:
        finite = np.isfinite(dy.astype(np.float64))
        assert_same_bits(got["zero_point"][finite], rounded(dz, DTYPES[dtype])[finite],
                         f"{case} dz")


GRANULARITIES = {
    "per tensor": ((37, 53), ()),
    "per channel, first axis": ((37, 53), (0,)),
    "per channel, middle axis": ((7, 19, 23), (1,)),
    "per channel, last axis": ((211, 37), (1,)),
    "per sample and channel": ((5, 7, 101), (0, 1)),
    "first and last axis": ((5, 37, 11), (0, 2)),
    "large, per tensor": ((3, 41, 997), ()),
}


# The data's type, and the parameters': the same, or f32.
TYPES = [(d, d) for d in FLOATS] + [(d, "f32") for d in FLOATS if d != "f32"]


@pytest.mark.parametrize("dtype, kind", TYPES)
@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("which", ("tensor_clamp", "int_quant", "int_quant mixed"))
def test_sums(which, granularity, dtype, kind):
    """Gradients of shared parameters, and y and dx at every granularity."""
    shape, axes = GRANULARITIES[granularity]
    rng = np.random.default_rng(3)
    x = (rng.standard_normal(shape) * 2).astype(DTYPES[dtype])
    dy = cases.cotangent(shape, dtype, finite=True)
    size = tuple(shape[a] for a in axes)
    if which == "tensor_clamp":
        case, all_axes = cases.TENSOR_CLAMP[0], [axes, axes]
        params = [(-0.7 + 0.1 * rng.random(size)), 0.9 + 0.1 * rng.random(size)]
    else:
        case = cases.INT_QUANT[0]
        mixed = which.endswith("mixed")
        all_axes = [axes, () if mixed else axes, ()]
        params = [0.05 + 0.3 * rng.random(size),
                  np.round(rng.standard_normal(() if mixed else size)), np.float64(3.0)]
    params = [np.asarray(p).astype(DTYPES[kind]) for p in params]
    y, terms = expect(case, x, params, all_axes, dy)
    got = run(case, x, params, all_axes, dy)
    assert_same_bits(got["y"], rounded(y, DTYPES[dtype]), f"{case} y")
    if which == "tensor_clamp":
        for name, a in zip(case.parameters, all_axes):
            assert_sum(got[name], terms[name], a, f"{case} d{name}")
        assert_same_bits(got["x"], rounded(terms["x"], DTYPES[dtype]), f"{case} dx")
        return
    dx, ds_size, dz = int_quant_bounds(case, x, params, all_axes, dy, dtype)
    assert_same_bits(got["x"], rounded(dx, DTYPES[dtype]), f"{case} dx")
    assert_sum(got["scale"], terms["scale"], all_axes[0], f"{case} dscale", ds_size)
    assert_sum(got["zero_point"], dz, all_axes[1], f"{case} dzero_point")
    width = spread(params[2].astype(np.float64), (), shape)
    slope = np.log(2.0) * 2.0 ** (width - 1)
    s = spread(params[0].astype(np.float64), axes, shape)
    lower = oracle.int_min(True, True, width)
    with np.errstate(all="ignore"):
        r = np.rint(x.astype(compute_dtype(dtype)) / s.astype(compute_dtype(dtype))
                    + spread(params[1].astype(compute_dtype(dtype)), all_axes[1], shape))
    sign = np.where(r < lower, -1.0, 1.0)
    dbits = np.where(dx == 0, dy.astype(np.float64) * s * slope * sign, 0.0)
    assert_sum(got["bit_width"], dbits, (), f"{case} dbit_width")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_pact_sums(granularity, dtype):
    shape, axes = GRANULARITIES[granularity]
    case = cases.PACT[2]
    rng = np.random.default_rng(4)
    x = (rng.standard_normal(shape) * 3).astype(DTYPES[dtype])
    dy = cases.cotangent(shape, dtype, finite=True)
    alpha = (1 + rng.random(tuple(shape[a] for a in axes))).astype(DTYPES[dtype])
    got = run(case, x, [alpha], [axes], dy)
    each = spread(alpha, axes, shape)
    y, terms = pact_terms(case, x.reshape(-1, 1), each.reshape(-1), dy.reshape(-1, 1))
    assert_same_bits(got["y"], rounded(y, DTYPES[dtype]).reshape(shape), f"{case} y")
    assert_same_bits(got["x"], rounded(terms["x"], DTYPES[dtype]).reshape(shape), f"{case} dx")
    assert_sum(got["alpha"], terms["alpha"].reshape(shape), axes, f"{case} dalpha")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "case", cases.UNARY + cases.TENSOR_CLAMP + cases.PACT[2:3] + cases.INT_QUANT, ids=str)
def test_readings_agree(case, dtype):
    """The rule read as IR and compiled, and read on constants, bit for bit."""
    x = cases.adversarial(dtype)
    dy = cases.cotangent(x.shape, dtype)
    if case.op == "tensor_clamp":
        params = clamp_bounds(x, dtype)
    elif case.op == "pact":
        params = [np.resize(np.array(ALPHAS), x.shape).astype(DTYPES[dtype])]
    else:
        params = quantizer_parameters(dtype, x.size)
    axes = [(0,)] * len(case.parameters)
    params = params[:len(axes)]
    got = run(case, x, params, axes, dy)
    want = run(case, x, params, axes, dy, reference=True)
    for name in want:
        assert_same_bits(got[name], want[name], f"{case} {name}")


SHAPES = [(0,), (1,), (), (0, 3), (3, 0), (1, 1), (17,), (63,), (64,), (65,), (16383,),
          (16385,), (5, 1, 3), (2, 3, 4, 5)]


@pytest.mark.parametrize("dtype", ("f32", "bf16"))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(shape, dtype):
    """Empty, rank 0, size 1, tails; gradients of empty tensors are 0."""
    case = cases.PACT[2]
    rng = np.random.default_rng(5)
    x = np.asarray(rng.standard_normal(shape) * 2).astype(DTYPES[dtype])
    dy = np.asarray(cases.cotangent(shape, dtype, finite=True))
    alpha = np.asarray(1.25).astype(DTYPES[dtype])
    got = run(case, x, [alpha], [()], dy)
    y, terms = pact_terms(case, x.reshape(1, -1), alpha.reshape(1), dy.reshape(1, -1))
    assert_same_bits(got["y"], rounded(y, DTYPES[dtype]).reshape(shape), "y")
    assert_same_bits(got["x"], rounded(terms["x"], DTYPES[dtype]).reshape(shape), "dx")
    assert_sum(got["alpha"], terms["alpha"].reshape(shape), (), "dalpha")


def test_non_contiguous_arguments():
    """Strided views are read as the arrays they are."""
    case = cases.PACT[2]
    base = np.random.default_rng(6).standard_normal((40, 60)).astype(np.float32)
    x, dy = base[::2, 10:50:2], base.T[20:40, ::2][:, :20]
    alpha = np.asarray(1.0, np.float32)
    got = run(case, x, [alpha], [()], dy)
    want = run(case, np.ascontiguousarray(x), [alpha], [()], np.ascontiguousarray(dy))
    for name in want:
        assert_same_bits(got[name], want[name], name)
