"""8-bit floats and integers as results: the same codes on CPU and GPU, with the
chip's conversion and without one, as ml_dtypes has them."""
import functools
import platform

import ml_dtypes
import numpy as np
import pytest

import emulation
import quant_ste_ctypes
from harness import assert_same_bits

FORMATS = {"f8E4M3FN": ml_dtypes.float8_e4m3fn, "f8E5M2": ml_dtypes.float8_e5m2}
SOURCES = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16, "f64": np.float64}
# sm_90 has the conversion, sm_80 has not.
TARGETS = ["cpu", *(("sm_80", "sm_90") if platform.machine() == "x86_64" else ())]


@functools.lru_cache(maxsize=None)
def module(target):
    functions = []
    for name in FORMATS:
        for t in SOURCES:
            functions.append(f"""
              func.func @{name}_of_{t}(%x: tensor<?x{t}>) -> tensor<?xi8> {{
                %y = arith.truncf %x : tensor<?x{t}> to tensor<?x{name}>
                %c = arith.bitcast %y : tensor<?x{name}> to tensor<?xi8>
                return %c : tensor<?xi8>
              }}
              func.func @{t}_of_{name}(%c: tensor<?xi8>) -> tensor<?x{t}> {{
                %y = arith.bitcast %c : tensor<?xi8> to tensor<?x{name}>
                %x = arith.extf %y : tensor<?x{name}> to tensor<?x{t}>
                return %x : tensor<?x{t}>
              }}""")
    text = "".join(functions)
    return quant_ste_ctypes.compile(text) if target == "cpu" else emulation.compile(text, target)


def numbers(source, kind):
    """Every f16; around each number of the format and each middle of two; what is
    too large, too small, or no number."""
    if source in ("f16", "bf16"):
        return np.arange(1 << 16, dtype=np.uint16).view(SOURCES[source])
    exact = np.arange(256, dtype=np.uint8).view(kind).astype(np.float64)
    exact = np.unique(exact[np.isfinite(exact)])
    middles = (exact[1:] + exact[:-1]) / 2
    points = np.concatenate([exact, middles, [448, 464, 465, 480, 57344, 61440, 65536, 1e30, 2e-45]])
    points = np.concatenate([points, -points]).astype(SOURCES[source])
    inf = SOURCES[source](np.inf)
    points = np.concatenate([points, np.nextafter(points, inf), np.nextafter(points, -inf)])
    random = np.random.default_rng(2).integers(0, 1 << 32, 20000, np.uint32).view(np.float32)
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    return np.concatenate([points, random.astype(SOURCES[source]), every.astype(SOURCES[source]),
                           np.array([np.inf, -np.inf, np.nan, -np.nan, 1e-30], SOURCES[source])])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("source", SOURCES)
@np.errstate(all="ignore")
def test_codes(source, name, target):
    kind = FORMATS[name]
    x = numbers(source, kind)
    (got,) = module(target).call(f"{name}_of_{source}", x)
    codes = got.view(np.uint8)
    # ml_dtypes converts by way of f32, which rounds f64 twice.
    want = x.astype(np.float32).astype(kind).view(np.uint8)
    if source == "f64":
        wide = x.astype(np.float32)
        want = want[wide == x]
        codes, rest = codes[wide == x], codes[wide != x]
        down, up = (np.nextafter(wide[wide != x], np.float32(d)).astype(kind).astype(np.float64)
                    for d in (-np.inf, np.inf))
        value = rest.view(kind).astype(np.float64)
        isnan = np.isnan(x[wide != x]) | ~np.isfinite(value)
        assert ((value == down) | (value == up) | isnan).all()
    value = codes.view(kind)
    nan = np.isnan(want.view(kind).astype(np.float32))
    np.testing.assert_array_equal(np.isnan(value.astype(np.float32)), nan)
    np.testing.assert_array_equal(codes[~nan], want[~nan])
    again = module("cpu").call(f"{name}_of_{source}", x)[0]
    np.testing.assert_array_equal(got, again)  # NaNs, too


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("source", SOURCES)
def test_values(source, name, target):
    codes = np.arange(256, dtype=np.uint8)
    (got,) = module(target).call(f"{source}_of_{name}", codes.view(np.int8))
    want = codes.view(FORMATS[name]).astype(np.float32).astype(SOURCES[source])
    nan = np.isnan(want.astype(np.float32))
    np.testing.assert_array_equal(np.isnan(got.astype(np.float32)), nan)
    assert_same_bits(got[~nan], want[~nan], name)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("n", [0, 1, 3, 5, 1027])
def test_integers(n, target):
    """A quantizer's integers as i8, to be kept or multiplied."""
    text = """
      func.func @f(%x: tensor<?xf32>, %s: f32) -> tensor<?xi8> {
        %low = arith.constant -128.0 : f32
        %high = arith.constant 127.0 : f32
        %c0 = arith.constant 0 : index
        %n = tensor.dim %x, %c0 : tensor<?xf32>
        %e = tensor.empty(%n) : tensor<?xi8>
        %q = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
            iterator_types = ["parallel"]} ins(%x : tensor<?xf32>) outs(%e : tensor<?xi8>) {
        ^bb0(%v: f32, %o: i8):
          %d = arith.divf %v, %s : f32
          %r = math.roundeven %d : f32
          %a = arith.maximumf %r, %low : f32
          %b = arith.minimumf %a, %high : f32
          %i = arith.fptosi %b : f32 to i8
          linalg.yield %i : i8
        } -> tensor<?xi8>
        return %q : tensor<?xi8>
      }"""
    x = np.random.default_rng(n).standard_normal(n).astype(np.float32) * 40
    s = np.float32(0.3)
    compiled = (quant_ste_ctypes.compile(text) if target == "cpu"
                else emulation.compile(text, target))
    (got,) = compiled.call(None, x, s)
    np.testing.assert_array_equal(got, np.clip(np.rint(x / s), -128, 127).astype(np.int8))
