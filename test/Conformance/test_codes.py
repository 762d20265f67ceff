"""Integer codes, as docs/kernels.md spells them: the integers of numpy at every tail,
with what is out of range and NaN at a bound."""
import numpy as np
import pytest

import quant_ste_ctypes
from harness import DTYPES

SIZES = [0, 1, 15, 16, 17, 31, 63, 64, 65, 127, 129, 1023, 16383, 16384, 16385, 40001]
RANGES = {"i8": (-128, 127), "ui8": (0, 255), "int4": (-8, 7), "i16": (-32768, 32767)}
STORED = {"i8": "i8", "ui8": "i8", "int4": "i8", "i16": "i16"}
NUMPY = {"i8": np.int8, "ui8": np.uint8, "int4": np.int8, "i16": np.int16}


def text(code, dtype):
    low, high = RANGES[code]
    wide = "f64" if dtype == "f64" else "f32"
    extend = "" if dtype == wide else f"%f = arith.extf %e : {dtype} to f32"
    f = "%e" if dtype == wide else "%f"
    convert = "fptoui" if code == "ui8" else "fptosi"
    stored = STORED[code]
    return f"""
func.func @codes(%x: tensor<?x{dtype}>, %s: tensor<{wide}>) -> tensor<?x{stored}> {{
  %min = arith.constant {low}.0 : {wide}
  %max = arith.constant {high}.0 : {wide}
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x{dtype}>
  %none = tensor.empty(%n) : tensor<?x{stored}>
  %y = linalg.generic {{
      indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>, affine_map<(i) -> (i)>],
      iterator_types = ["parallel"]}}
      ins(%x, %s : tensor<?x{dtype}>, tensor<{wide}>) outs(%none : tensor<?x{stored}>) {{
  ^bb0(%e: {dtype}, %scale: {wide}, %o: {stored}):
    {extend}
    %q = arith.divf {f}, %scale : {wide}
    %r = math.roundeven %q : {wide}
    %above = arith.cmpf ogt, %r, %min : {wide}
    %l = arith.select %above, %r, %min : {wide}
    %below = arith.cmpf olt, %l, %max : {wide}
    %c = arith.select %below, %l, %max : {wide}
    %i = arith.{convert} %c : {wide} to {stored}
    linalg.yield %i : {stored}
  }} -> tensor<?x{stored}>
  return %y : tensor<?x{stored}>
}}"""


def expected(x, scale, code):
    low, high = RANGES[code]
    with np.errstate(all="ignore"):
        r = np.rint(x.astype(scale.dtype) / scale)
    r = np.where(r > low, r, low)  # NaN too
    return np.where(r < high, r, high).astype(NUMPY[code])


@pytest.mark.parametrize("cpu", ["", "x86-64-v3", "x86-64-v2"])
@pytest.mark.parametrize("dtype", ["f32", "bf16", "f16", "f64"])
@pytest.mark.parametrize("code", RANGES)
def test_codes(code, dtype, cpu):
    module = quant_ste_ctypes.compile(text(code, dtype), cpu=cpu)
    rng = np.random.default_rng(11)
    wide = np.float64 if dtype == "f64" else np.float32
    scale = np.array(0.02, wide)
    bound = max(map(abs, RANGES[code])) * 0.02
    odd = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e4, -1e4, 0.01, 0.03,
                    RANGES[code][1] * 0.02, RANGES[code][0] * 0.02])
    for size in SIZES:
        x = rng.normal(size=size) * bound
        x[rng.integers(0, max(1, size), size=min(size, 40))] = rng.choice(
            odd, size=min(size, 40))
        x = x.astype(DTYPES[dtype])
        got, = module.call("codes", x, scale)
        want = expected(x, scale, code)
        assert got.shape == want.shape
        np.testing.assert_array_equal(got.view(want.dtype), want, err_msg=f"{size}")
    assert len(np.unique(want)) > 2


@pytest.mark.parametrize("count", [1, 2])
def test_threads(count):
    module = quant_ste_ctypes.compile(text("i8", "f32"))
    x = np.random.default_rng(12).normal(size=300_001).astype(np.float32)
    scale = np.float32(0.02) * np.ones((), np.float32)
    quant_ste_ctypes.set_thread_count(count)
    try:
        got, = module.call("codes", x, scale)
    finally:
        quant_ste_ctypes.set_thread_count(1)
    np.testing.assert_array_equal(got, expected(x, scale, "i8"))
