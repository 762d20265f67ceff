"""float_quant against the casts of ml_dtypes, for every f16 and every bf16 number."""
import ml_dtypes
import numpy as np
import pytest

import oracle
import quant_ste_ctypes
from harness import DTYPES, assert_same_bits, quantizer, run

# format(...), whether it overflows, and the type whose cast it is.
CASTS = [
    ("e4m3_ocp", True, ml_dtypes.float8_e4m3fn),
    ("e5m2_ocp", True, ml_dtypes.float8_e5m2),
    ("e4m3_fnuz", True, ml_dtypes.float8_e4m3fnuz),
    ("e5m2_fnuz", True, ml_dtypes.float8_e5m2fnuz),
    ("4, 3, 7, 240.0, inf", True, ml_dtypes.float8_e4m3),
    ("3, 4, 3, 15.5, inf", True, ml_dtypes.float8_e3m4),
    ("4, 3, 11, 30.0, nan", True, ml_dtypes.float8_e4m3b11fnuz),
    ("8, 7, 127, 0x47EFE00000000000, inf", True, ml_dtypes.bfloat16),
    ("e3m2", False, ml_dtypes.float6_e3m2fn),
    ("e2m3", False, ml_dtypes.float6_e2m3fn),
    ("e2m1", False, ml_dtypes.float4_e2m1fn),
]


def every(dtype):
    return np.arange(65536, dtype=np.uint16).view(DTYPES[dtype])


def between(dtype):
    """What lies on, beside and between the numbers of narrow formats."""
    with np.errstate(all="ignore"):
        near = every("bf16").astype(np.float64)
    near = near[np.isfinite(near) & (np.abs(near) < 1e30)].astype(DTYPES[dtype])
    up = np.nextafter(near, np.asarray(np.inf, near.dtype))
    return np.concatenate([near, up, -up])


XS = {"f16": every("f16"), "bf16": every("bf16"), "f32": between("f32"), "f64": between("f64")}
# ml_dtypes casts f64 through f32, rounding twice.
CAST_XS = dict(XS, f64=between("f32").astype(np.float64))


def is_nan(x):
    with np.errstate(all="ignore"):
        return np.isnan(x)


def quantized(words, x, grad="clipped"):
    case = quantizer("float_quant", "float_quant", f"{words} grad({grad})", {"scale": (1.0,)})
    scale = np.ones((), x.dtype)
    return run(case, x, [scale], [()], np.ones_like(x))


def assert_same(got, want, what):
    """The same numbers; fnuz formats have one zero. e5m2 exceeds f16."""
    with np.errstate(all="ignore"):
        a, b = got.astype(np.float64), want.astype(got.dtype).astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    assert same.all(), (f"{what}: {np.count_nonzero(~same)} of {a.size} differ, first got "
                        f"{a[~same][0]}, want {b[~same][0]}")


@pytest.mark.parametrize("dtype", XS)
@pytest.mark.parametrize("spelled, overflows, target", CASTS, ids=lambda v: str(v))
def test_cast(spelled, overflows, target, dtype):
    x = CAST_XS[dtype]
    words = f"format({spelled}) signed" + ("" if overflows else " saturating")
    got = quantized(words, x)["y"]
    with np.errstate(all="ignore"):
        want = x.astype(target).astype(x.dtype)
    if not overflows:
        # These casts have no NaN to give.
        got, want = got[~is_nan(x)], want[~is_nan(x)]
    assert_same(got, want, f"{spelled} {dtype}")


def numbers(name):
    """All non-negative numbers of a format, by definition; index parity is the
    parity of the last mantissa bit."""
    exponent, mantissa, bias, largest = oracle.FLOAT_FORMATS[name]
    codes = np.arange(2 ** (exponent + mantissa))
    e, m = codes >> mantissa, codes & (2 ** mantissa - 1)
    value = np.where(e == 0, np.ldexp(m, 1 - bias - mantissa),
                     np.ldexp(m + 2.0 ** mantissa, e - bias - mantissa))
    return value[value <= largest]


def nearest(x, table):
    magnitude = np.minimum(np.abs(x), table[-1])
    above = np.clip(np.searchsorted(table, magnitude), 1, len(table) - 1)
    low, high = table[above - 1], table[above]
    down, up = magnitude - low, high - magnitude
    take_high = (up < down) | ((up == down) & (above % 2 == 0))
    return np.copysign(np.where(take_high, high, low), x)


@pytest.mark.parametrize("dtype", XS)
@pytest.mark.parametrize("name", oracle.FLOAT_FORMATS)
def test_saturating_is_nearest(name, dtype):
    """Every format, infinities included, against a table of its numbers."""
    x = XS[dtype]
    x = x[~is_nan(x)]
    table = numbers(name)
    want = nearest(x.astype(np.float64), table)
    got = quantized(f"format({name}) signed saturating", x)
    assert_same(got["y"], want, f"{name} {dtype}")
    assert (np.signbit(got["y"]) == np.signbit(x)).all()
    half = nearest(np.maximum(x.astype(np.float64), 0.0), table)
    assert_same(quantized(f"format({name}) unsigned saturating", x)["y"], half,
                f"{name} unsigned {dtype}")
    # dx is 1 up to where numbers round to the largest one, and 0 beyond.
    step = table[-1] - table[-2]
    inside = np.abs(x.astype(np.float64)) < table[-1] + step / 2
    beyond = np.abs(x.astype(np.float64)) > table[-1] + step / 2
    assert (got["x"][inside] == 1).all() and (got["x"][beyond] == 0).all()


GROUPED = """
func.func @op(%x: tensor<16x4x32xf32>) -> tensor<16x4x32xf32> {
  %zero = arith.constant 0.0 : f32
  %eight = arith.constant 8.0 : f32
  %magnitude = math.absf %x : tensor<16x4x32xf32>
  %empty = tensor.empty() : tensor<16x4xf32>
  %start = linalg.fill ins(%zero : f32) outs(%empty : tensor<16x4xf32>) -> tensor<16x4xf32>
  %max = linalg.reduce { arith.maximumf } ins(%magnitude : tensor<16x4x32xf32>)
    outs(%start : tensor<16x4xf32>) dimensions = [2]
  %scale = quant_ste.mx_scale %max SCALE grad(ste) : tensor<16x4xf32>
  %point = tensor.from_elements %zero : tensor<f32>
  %width = tensor.from_elements %eight : tensor<f32>
  %y = QUANTIZE
  return %y : tensor<16x4x32xf32>
}
func.func @f(%x: tensor<16x4x32xf32>, %dy: tensor<16x4x32xf32>)
    -> (tensor<16x4x32xf32>, tensor<16x4x32xf32>) {
  %y, %dx = quant_ste.vjp @op(%x) cotangents(%dy) wrt [0]
    : (tensor<16x4x32xf32>), (tensor<16x4x32xf32>)
    -> (tensor<16x4x32xf32>, tensor<16x4x32xf32>)
  return %y, %dx : tensor<16x4x32xf32>, tensor<16x4x32xf32>
}
"""
FLOAT_GROUP = ("quant_ste.float_quant %x, %scale axes([0, 1]) format(FORMAT) signed saturating "
               "grad(exponent) : tensor<16x4x32xf32>, tensor<16x4xf32>")
INT_GROUP = ("quant_ste.int_quant %x, %scale axes([0, 1]), %point, %width signed "
             "grad(clipped) : tensor<16x4x32xf32>, tensor<16x4xf32>, tensor<f32>, tensor<f32>")


@pytest.mark.parametrize("brevitas", (False, True))
@pytest.mark.parametrize("name", ("e4m3_ocp", "e5m2_ocp", "e3m2", "e2m3", "e2m1", "int8"))
def test_mx_groups(name, brevitas):
    """A scale per group of 32, its gradient through the group's largest number."""
    quantize = INT_GROUP if name == "int8" else FLOAT_GROUP.replace("FORMAT", name)
    scale = f"element({name})" + (" brevitas" if brevitas else "")
    module = quant_ste_ctypes.compile(
        GROUPED.replace("SCALE", scale).replace("QUANTIZE", quantize))
    rng = np.random.default_rng(7)
    x = (rng.standard_normal((16, 4, 32)) * 3).astype(np.float32)
    dy = rng.standard_normal(x.shape).astype(np.float32)
    y, dx = module.call("f", x, dy)
    attrs = {"format": name, "group_size": 32}
    if name == "int8":
        attrs["emax"] = 7 if brevitas else 6
    group = oracle.OPS["mx_group_quant"]
    assert_same_bits(y, group.forward({"x": x}, attrs).reshape(x.shape), name)
    # In f64 the library's uncancelled terms say what the sums are.
    want = group.vjp({"x": x.astype(np.float64)}, attrs, dy.astype(np.float64))["x"]
    # A group's dscale is a sum of up to 32 terms of the size of dy y / s; what
    # reaches x is s / amax of it.
    size = np.abs(dy) + np.abs(dy).sum(axis=2, keepdims=True)
    assert (np.abs(dx - want) <= 1e-6 * size).all(), np.max(np.abs(dx - want) / size)
