"""Groups that are quantized by a scale of their own, in one kernel."""
import platform

import ml_dtypes
import numpy as np
import pytest

import emulation
import quant_ste_ctypes
from harness import assert_same_bits
from test_gpu_batches import launches

if platform.machine() != "x86_64":
    pytest.skip("the emulated driver needs x86-64", allow_module_level=True)

DTYPES = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16, "f64": np.float64}


def mx(group, dtype, result="%y", results=None, element="e2m1", rows="?"):
    """@f: rows of groups, quantized by a power of two for each group."""
    x, m = f"tensor<{rows}x{group}x{dtype}>", f"tensor<{rows}x{dtype}>"
    return f"""
      func.func @f(%x: {x}) -> ({results or x}) {{
        %c0 = arith.constant 0 : index
        %n = tensor.dim %x, %c0 : {x}
        %magnitude = math.absf %x : {x}
        %zero = arith.constant 0.0 : {dtype}
        %empty = tensor.empty({'%n' if rows == '?' else ''}) : {m}
        %start = linalg.fill ins(%zero : {dtype}) outs(%empty : {m}) -> {m}
        %max = linalg.reduce {{ arith.maximumf }} ins(%magnitude : {x}) outs(%start : {m}) dimensions = [1]
        %scale = quant_ste.mx_scale %max element({element}) grad(ste) : {m}
        %y = quant_ste.float_quant %x, %scale axes([0]) format({element}) signed saturating grad(clipped)
          : {x}, {m}
        return {result} : {results or x}
      }}"""


def values(rows, group, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, group)) * np.exp2(rng.integers(-8, 8, (rows, 1)))
    if rows > 3:
        x[0], x[1, 0], x[2, -1], x[3, 0] = 0, np.nan, np.inf, -0.0
    return x.astype(DTYPES[dtype])


@pytest.mark.parametrize("group", [1, 3, 16, 32, 33, 128, 250])
@pytest.mark.parametrize("dtype", ["f32", "bf16", pytest.param("f16", marks=pytest.mark.slow),
                                   pytest.param("f64", marks=pytest.mark.slow)])
def test_mx(group, dtype):
    text = mx(group, dtype)
    module, cpu = emulation.compile(text), quant_ste_ctypes.compile(text)
    for rows in (0, 1, 2, 5, 255, 1025):
        x = values(rows, group, dtype)
        names, got = launches(lambda: module.call("f", x))
        assert len(names) <= 1 and sum(names.values()) == (rows > 0), names
        assert_same_bits(got[0], cpu.call("f", x)[0], f"{rows} rows")
    assert emulation.Driver().live_buffers() == 0


def test_chips():
    x = values(1000, 32, "f32")
    want = quant_ste_ctypes.compile(mx(32, "f32")).call("f", x)[0]
    for chip in ("sm_75", "sm_100"):
        assert_same_bits(emulation.compile(mx(32, "f32"), chip).call("f", x)[0], want, chip)


def test_kept():
    """What else is read of the group is stored too, by the same kernel."""
    for rows in ("?", 70):
        m = f"tensor<{rows}xf32>"
        text = mx(32, "f32", "%max, %scale, %y", f"{m}, {m}, tensor<{rows}x32xf32>", rows=rows)
        x = values(70, 32, "f32")
        names, got = launches(lambda: emulation.compile(text).call("f", x))
        assert sum(names.values()) == 1, names
        for a, b in zip(got, quant_ste_ctypes.compile(text).call("f", x)):
            assert_same_bits(a, b, "kept")


def test_absmax():
    """Without anything between the extrema and what reads them, and an old value that
    is no fill."""
    x, m = "tensor<?x24xf32>", "tensor<?xf32>"
    text = f"""
      #id = affine_map<(i, j) -> (i, j)>
      #row = affine_map<(i, j) -> (i)>
      func.func @f(%x: {x}, %start: {m}) -> ({x}, {m}) {{
        %max = linalg.reduce {{ arith.maximumf }} ins(%x : {x}) outs(%start : {m}) dimensions = [1]
        %y = linalg.generic {{indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}}
          ins(%x, %max : {x}, {m}) outs(%x : {x}) {{
        ^bb0(%a: f32, %b: f32, %o: f32):
          %d = arith.subf %a, %b : f32
          linalg.yield %d : f32
        }} -> {x}
        return %y, %max : {x}, {m}
      }}"""
    x, start = values(301, 24, "f32"), np.linspace(-3, 3, 301).astype(np.float32)
    for a, b in zip(emulation.compile(text).call("f", x, start),
                    quant_ste_ctypes.compile(text).call("f", x, start)):
        assert_same_bits(a, b, "absmax")


def gradient(group, dtype, maximum, scale, quantizer, rows="?"):
    """@f: a quantizer of rows and its gradient, what the scale gets going to the largest
    element of a row."""
    x, m = f"tensor<{rows}x{group}x{dtype}>", f"tensor<{rows}x{dtype}>"
    return f"""
      func.func private @q(%x: {x}) -> {x} {{
        %c0 = arith.constant 0 : index
        %n = tensor.dim %x, %c0 : {x}
        {maximum.format(x=x, m=m, t=dtype)}
        {scale.format(x=x, m=m, t=dtype)}
        {quantizer.format(x=x, m=m, t=dtype)}
        return %y : {x}
      }}
      func.func @f(%x: {x}, %dy: {x}) -> ({x}, {x}) {{
        %y, %dx = quant_ste.vjp @q(%x) cotangents(%dy) wrt [0] : ({x}), ({x}) -> ({x}, {x})
        return %y, %dx : {x}, {x}
      }}"""


ABSMAX = "%max = quant_ste.absmax %x axes([0]) grad(first) : {x} -> {m}"
# A gradient that all of the largest share.
REDUCE = """%magnitude = math.absf %x : {x}
        %zero = arith.constant 0.0 : {t}
        %empty = tensor.empty(%n) : {m}
        %start = linalg.fill ins(%zero : {t}) outs(%empty : {m}) -> {m}
        %max = linalg.reduce {{ arith.maximumf }} ins(%magnitude : {x}) outs(%start : {m})
          dimensions = [1]"""
MX = "%s = quant_ste.mx_scale %max element(e2m1) grad(ste) : {m}"
FOURTH = """%splat = tensor.empty(%n) : {m}
        %quarter = arith.constant 0.25 : {t}
        %quarters = linalg.fill ins(%quarter : {t}) outs(%splat : {m}) -> {m}
        %s = arith.mulf %max, %quarters : {m}"""
FLOAT = """%y = quant_ste.float_quant %x, %s axes([0]) format(e2m1) signed saturating grad(clipped)
          : {x}, {m}"""
LSQ = """%y = quant_ste.lsq %x, %s axes([0]) qmin(-4) qmax(3) grad_scale(1.0) grad(lsq)
          : {x}, {m}"""
GRADIENTS = {"mx": (ABSMAX, MX, FLOAT), "mx shared": (REDUCE, MX, FLOAT),
             "lsq": (ABSMAX, FOURTH, LSQ), "lsq shared": (REDUCE, FOURTH, LSQ)}


def whole(rows, group, dtype, seed):
    """Numbers of which the sums of products are exact in any order."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-16, 17, (rows, group)) / 4
    x[:, rng.integers(group)] = 4  # scales are powers of two
    return x.astype(DTYPES[dtype]), rng.integers(-3, 4, (rows, group)).astype(DTYPES[dtype])


@pytest.mark.parametrize("group", [1, 3, 16, 32, 33, 128, 250])
@pytest.mark.parametrize("name, dtype", [
    ("mx", "f32"), ("lsq shared", "f32"), ("mx", "bf16"),
    *(pytest.param(name, dtype, marks=pytest.mark.slow) for name, dtype in (
        ("mx shared", "f32"), ("lsq", "f32"), ("mx shared", "bf16"), ("mx", "f16"),
        ("mx shared", "f64"), ("lsq", "f64")))])
def test_gradient(group, name, dtype):
    """Forward and backward in one kernel, nothing in memory in between."""
    text = gradient(group, dtype, *GRADIENTS[name])
    module, cpu = emulation.compile(text), quant_ste_ctypes.compile(text)
    driver = emulation.Driver()
    for rows in (0, 1, 2, 5, 255, 1025):
        x, dy = whole(rows, group, dtype, rows)
        driver.log()
        got = module.call("f", x, dy)
        log = driver.log()
        assert sum(line.startswith("cuLaunchKernel") for line in log) == (rows > 0), log
        # Arguments and results.
        assert sum(line.startswith("cuMemAllocAsync") for line in log) <= 4, log
        for what, a, b in zip(("y", "dx"), got, cpu.call("f", x, dy), strict=True):
            assert_same_bits(a, b, f"{what} of {rows} rows")
    assert driver.live_buffers() == 0


def test_gradients_of_chips():
    """A sum in a group is cut alike on every chip."""
    for dtype, group in (("f32", 128), ("bf16", 250)):
        text = gradient(group, dtype, *GRADIENTS["mx"])
        rng = np.random.default_rng(0)
        x, dy = (rng.standard_normal((37, group)).astype(DTYPES[dtype]) for _ in range(2))
        results = [emulation.compile(text, chip).call("f", x, dy)
                   for chip in ("sm_75", "sm_90", "sm_100")]
        for other in results[1:]:
            for a, b in zip(results[0], other):
                assert_same_bits(a, b, f"{dtype} on another chip")
        for a, b in zip(results[0], quant_ste_ctypes.compile(text).call("f", x, dy)):
            np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64),
                                       rtol=2e-2 if dtype == "bf16" else 1e-4, atol=1e-4)


def test_no_group():
    """What the rows are read from is written over by another op of them."""
    x, m = "tensor<?x32xf32>", "tensor<?xf32>"
    text = f"""
      #id = affine_map<(i, j) -> (i, j)>
      #row = affine_map<(i, j) -> (i)>
      func.func @f(%x: {x} {{bufferization.writable = true}}, %start: {m}) -> {x} {{
        %max = linalg.reduce {{ arith.addf }} ins(%x : {x}) outs(%start : {m}) dimensions = [1]
        %y = linalg.generic {{indexing_maps = [#row, #id], iterator_types = ["parallel", "parallel"]}}
          ins(%max : {m}) outs(%x : {x}) {{
        ^bb0(%b: f32, %o: f32):
          %d = arith.addf %o, %b : f32
          linalg.yield %d : f32
        }} -> {x}
        return %y : {x}
      }}"""
    x = np.arange(320, dtype=np.float32).reshape(10, 32)
    start = np.ones(10, np.float32)
    got, = emulation.compile(text).call("f", x.copy(), start)
    assert_same_bits(got, quant_ste_ctypes.compile(text).call("f", x.copy(), start)[0], "in place")
