"""float_quant against the casts of ml_dtypes, for every f16 and every bf16 number."""
import ml_dtypes
import numpy as np
import pytest

import oracle
from harness import DTYPES, quantizer, run

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
