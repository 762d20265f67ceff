"""matmul=cublas: which call a product becomes, checked by multiplying as it says."""
import functools
import os
import platform
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import emulation
import quant_ste_ctypes

if platform.machine() != "x86_64":
    pytest.skip("the emulated driver needs x86-64", allow_module_level=True)

DTYPES = {"f32": np.float32, "f64": np.float64, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
TOLERANCE = {"f32": 1e-5, "f64": 1e-13}
# N, T: as cuBLAS is told; the type of the computation.
N, T, F32, F32_PEDANTIC, F64 = 0, 1, 68, 69, 70


def product(a, b, c, loops, types=("f32", "f32", "f32"), ranks=None):
    """%c + the sum of %a * %b over what %c does not have, by the letters of the loops."""
    def one(letters):
        return f"affine_map<({', '.join(loops)}) -> ({', '.join(letters)})>"

    def tensor(letters, dtype):
        return f"tensor<{'?x' * len(letters)}{dtype}>"
    kinds = ", ".join(f'"{"parallel" if v in c else "reduction"}"' for v in loops)
    wide = "".join(f"      %{v}w = arith.extf %{v} : {t} to {types[2]}\n"
                   for v, t in zip("ab", types) if t != types[2])
    left, right = (f"%{v}w" if t != types[2] else f"%{v}" for v, t in zip("ab", types))
    at, bt, ct = (tensor(x, t) for x, t in zip((a, b, c), types))
    return f"""
  func.func @f(%x: {at}, %y: {bt}, %z: {ct}) -> {ct} {{
    %r = linalg.generic {{indexing_maps = [{one(a)}, {one(b)}, {one(c)}],
        iterator_types = [{kinds}]}} ins(%x, %y : {at}, {bt}) outs(%z : {ct}) {{
    ^bb0(%a: {types[0]}, %b: {types[1]}, %o: {types[2]}):
{wide}      %p = arith.mulf {left}, {right} : {types[2]}
      %s = arith.addf %o, %p : {types[2]}
      linalg.yield %s : {types[2]}
    }} -> {ct}
    return %r : {ct}
  }}"""


@functools.lru_cache(maxsize=None)
def compiled(text):
    return emulation.compile(text, options="matmul=cublas")


@pytest.fixture
def cublas():
    cublas = emulation.Cublas()
    cublas.log()
    return cublas


def calls(cublas):
    """(opA, opB, m, n, k, lda, ldb, ldc, count, compute) of each product."""
    return [tuple(map(int, line.split("(")[1].split()[:10]))
            for line in cublas.log() if line.startswith("cublasGemm")]


def check(a, b, c, sizes, types=("f32", "f32", "f32"), loops=None):
    loops = loops or "".join(dict.fromkeys(c + a + b))
    rng = np.random.default_rng(len(a + b + c))
    arrays = [rng.standard_normal([sizes[v] for v in letters]).astype(DTYPES[t])
              for letters, t in zip((a, b, c), types)]
    wide = [x.astype(np.float64) for x in arrays]
    want = wide[2] + np.einsum(f"{a},{b}->{c}", wide[0], wide[1])
    got, = compiled(product(a, b, c, loops, types)).call(None, *arrays)
    np.testing.assert_allclose(got, want, rtol=TOLERANCE[types[2]],
                               atol=TOLERANCE[types[2]] * 10)


SIZES = dict(m=5, n=7, k=11, b=3, d=2)


@pytest.mark.parametrize("a, b, c, call", [
    # Row by row: cuBLAS is asked for the transposed product.
    ("mk", "kn", "mn", (N, N, 7, 5, 11, 7, 11, 7, 1, F32_PEDANTIC)),
    ("km", "kn", "mn", (N, T, 7, 5, 11, 7, 5, 7, 1, F32_PEDANTIC)),
    ("mk", "nk", "mn", (T, N, 7, 5, 11, 11, 11, 7, 1, F32_PEDANTIC)),
    ("km", "nk", "mn", (T, T, 7, 5, 11, 11, 5, 7, 1, F32_PEDANTIC)),
    # Column by column.
    ("mk", "kn", "nm", (T, T, 5, 7, 11, 11, 7, 5, 1, F32_PEDANTIC)),
    ("km", "nk", "nm", (N, N, 5, 7, 11, 5, 11, 5, 1, F32_PEDANTIC)),
    # A batch; loops of two that are one; a batch in the middle.
    ("bmk", "bkn", "bmn", (N, N, 7, 5, 11, 7, 11, 7, 3, F32_PEDANTIC)),
    ("bmk", "kn", "bmn", (N, N, 7, 15, 11, 7, 11, 7, 1, F32_PEDANTIC)),
    ("mbk", "nbk", "bmn", (T, N, 7, 5, 11, 33, 33, 7, 3, F32_PEDANTIC)),
])
def test_layouts(a, b, c, call, cublas):
    check(a, b, c, SIZES)
    assert calls(cublas) == [call]


def test_what_is_no_matrix_takes_several(cublas):
    check("bdmk", "bdkn", "bdmn", SIZES)
    assert [c[8] for c in calls(cublas)] == [6]
    # Heads between rows and columns: the outer batch does not continue the inner, and
    # the longer one is the batch.
    check("bmdk", "bndk", "bdmn", SIZES)
    assert [c[8] for c in calls(cublas)] == [3, 3]
    # Rows apart are a batch too.
    check("bmk", "kn", "bnm", SIZES)
    assert [c[8] for c in calls(cublas)] == [3]
    check("mbk", "bnk", "mn", SIZES)  # terms apart in b alone
    assert len(calls(cublas)) == 3


@pytest.mark.parametrize("sizes", [dict(m=1, n=7, k=11), dict(m=5, n=1, k=11),
                                   dict(m=5, n=7, k=1), dict(m=1, n=1, k=1)])
@pytest.mark.parametrize("a, b, c", [("mk", "kn", "mn"), ("km", "nk", "mn"), ("mk", "nk", "nm")])
def test_sizes_of_one(a, b, c, sizes, cublas):
    check(a, b, c, sizes)
    assert len(calls(cublas)) == 1


def test_empty(cublas):
    check("mk", "kn", "mn", dict(m=0, n=7, k=11))
    check("mk", "kn", "mn", dict(m=5, n=7, k=0))
    assert calls(cublas) == []


@pytest.mark.parametrize("types, compute", [
    (("f32", "f32", "f32"), F32_PEDANTIC), (("f64", "f64", "f64"), F64),
    (("f16", "f16", "f32"), F32), (("bf16", "bf16", "f32"), F32),
    # Types that cuBLAS does not multiply are widened first.
    (("f32", "bf16", "f32"), F32_PEDANTIC), (("f16", "bf16", "f32"), F32_PEDANTIC),
    (("f16", "f16", "f64"), F64), (("f64", "f32", "f64"), F64)])
def test_types(types, compute, cublas):
    check("mk", "kn", "mn", SIZES, types)
    assert [c[-1] for c in calls(cublas)] == [compute]


def test_math_mode(cublas):
    """f32 is never narrowed: neither the default that lets sums be, nor TF32."""
    check("mk", "kn", "mn", SIZES)
    import threading
    thread = threading.Thread(target=check, args=("mk", "kn", "mn", SIZES))
    thread.start()
    thread.join()
    log = cublas.log()
    # A handle for each thread: another thread has another.
    assert log.count("cublasCreate()") >= 1
    assert all(line == "cublasSetMathMode(16)" for line in log if "MathMode" in line)


@pytest.mark.parametrize("a, b, c", [
    ("mkb", "knb", "mnb"),  # no operand has a matrix's loop along memory
    ("m", "m", "m"), ("mk", "k", "m"),  # no product of matrices
])
def test_the_rest_stays(a, b, c, cublas):
    check(a, b, c, SIZES)
    assert calls(cublas) == []


def test_overwritten(cublas):
    """Zeros that are only there to be added to are not written, where there are terms."""
    def layer(k):
        return f"""
  func.func @f(%x: tensor<5x{k}xf32>, %w: tensor<{k}x700xf32>) -> tensor<5x700xf32> {{
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<5x700xf32>
    %z = linalg.fill ins(%zero : f32) outs(%e : tensor<5x700xf32>) -> tensor<5x700xf32>
    %y = linalg.matmul ins(%x, %w : tensor<5x{k}xf32>, tensor<{k}x700xf32>)
      outs(%z : tensor<5x700xf32>) -> tensor<5x700xf32>
    return %y : tensor<5x700xf32>
  }}"""
    rng, driver = np.random.default_rng(0), emulation.Driver()
    for k, how, launches in ((11, "set", 0), ("?", "add", 1)):
        x, w = (rng.standard_normal(s).astype(np.float32) for s in ((5, 11), (11, 700)))
        driver.log()
        got, = compiled(layer(k)).call(None, x, w)
        np.testing.assert_allclose(got, x @ w, rtol=1e-5, atol=1e-5)
        assert [line.split()[10] for line in cublas.log() if "Gemm" in line] == [how]
        assert sum("cuLaunchKernel" in line for line in driver.log()) == launches
    # Without terms the zeros are the result.
    got, = compiled(layer("?")).call(None, x[:, :0], w[:0])
    assert not got.any() and not calls(cublas)


def test_a_quantized_layer(cublas):
    """Weights are quantized by a kernel, the products of both directions by cuBLAS."""
    text = """
  func.func private @layer(%x: tensor<?x64xf32>, %w: tensor<64x48xf32>, %s: tensor<f32>)
      -> tensor<?x48xf32> {
    %zero = arith.constant 0.0 : f32
    %c0 = arith.constant 0 : index
    %n = tensor.dim %x, %c0 : tensor<?x64xf32>
    %q = quant_ste.lsq %w, %s qmin(-8) qmax(7) grad_scale(0.01) grad(lsq)
      : tensor<64x48xf32>, tensor<f32>
    %e = tensor.empty(%n) : tensor<?x48xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x48xf32>) -> tensor<?x48xf32>
    %y = linalg.matmul ins(%x, %q : tensor<?x64xf32>, tensor<64x48xf32>)
      outs(%f : tensor<?x48xf32>) -> tensor<?x48xf32>
    return %y : tensor<?x48xf32>
  }
  func.func @f(%x: tensor<?x64xf32>, %w: tensor<64x48xf32>, %s: tensor<f32>,
      %dy: tensor<?x48xf32>) -> (tensor<?x48xf32>, tensor<?x64xf32>, tensor<64x48xf32>) {
    %y, %dx, %dw = quant_ste.vjp @layer(%x, %w, %s) cotangents(%dy) wrt [0, 1]
      : (tensor<?x64xf32>, tensor<64x48xf32>, tensor<f32>), (tensor<?x48xf32>)
      -> (tensor<?x48xf32>, tensor<?x64xf32>, tensor<64x48xf32>)
    return %y, %dx, %dw : tensor<?x48xf32>, tensor<?x64xf32>, tensor<64x48xf32>
  }"""
    rng = np.random.default_rng(0)
    x, w, dy = (rng.standard_normal(s).astype(np.float32) for s in ((33, 64), (64, 48), (33, 48)))
    arrays = x, w, np.float32(0.3), dy
    got = compiled(text).call(None, *arrays)
    want = quant_ste_ctypes.compile(text).call(None, *arrays)
    for have, wanted in zip(got, want):
        np.testing.assert_allclose(have, wanted, rtol=1e-4, atol=1e-4)
    assert len(calls(cublas)) == 3


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
@pytest.mark.parametrize("acc, computes", [
    # A cotangent in f32 widens the other factor; f16 and bf16 are summed in f32.
    ("f32", [F32, F32_PEDANTIC, F32_PEDANTIC]),
    # A sum that is rounded at each step is no call, its gradients are.
    (None, [F32, F32]),
])
def test_narrow_gradients(dtype, acc, computes, cublas):
    acc = acc or dtype
    x, w, y = f"tensor<?x64x{dtype}>", f"tensor<64x32x{dtype}>", f"tensor<?x32x{acc}>"
    text = f"""
  func.func private @layer(%x: {x}, %w: {w}) -> {y} {{
    %zero = arith.constant 0.0 : {acc}
    %c0 = arith.constant 0 : index
    %n = tensor.dim %x, %c0 : {x}
    %e = tensor.empty(%n) : {y}
    %f = linalg.fill ins(%zero : {acc}) outs(%e : {y}) -> {y}
    %y = linalg.matmul ins(%x, %w : {x}, {w}) outs(%f : {y}) -> {y}
    return %y : {y}
  }}
  func.func @f(%x: {x}, %w: {w}, %dy: {y}) -> ({y}, {x}, {w}) {{
    %y, %dx, %dw = quant_ste.vjp @layer(%x, %w) cotangents(%dy) wrt [0, 1]
      : ({x}, {w}), ({y}) -> ({y}, {x}, {w})
    return %y, %dx, %dw : {y}, {x}, {w}
  }}"""
    rng = np.random.default_rng(0)
    x, w, dy = (rng.standard_normal(s).astype(DTYPES[t])
                for s, t in (((33, 64), dtype), ((64, 32), dtype), ((33, 32), acc)))
    _, dx, dw = compiled(text).call(None, x, w, dy)
    assert [c[9] for c in calls(cublas)] == computes
    wide = [a.astype(np.float64) for a in (x, w, dy)]
    for got, want in ((dx, wide[2] @ wide[1].T), (dw, wide[0].T @ wide[2])):
        assert got.dtype == DTYPES[dtype]
        # One rounding of a sum in f32.
        ulp = np.spacing(np.abs(want).astype(np.float32)) * (1 << (13 if dtype == "f16" else 16))
        assert (np.abs(got.astype(np.float64) - want) <= 0.51 * ulp + 1e-5).all()


@pytest.mark.parametrize("function, status, text", [
    ("cublasGemmStridedBatchedEx", 13,
     "cublasGemmStridedBatchedEx: the GPU program failed to execute")])
def test_errors(function, status, text, cublas):
    cublas.fail(function, status)
    x = np.ones((3, 3), np.float32)
    with pytest.raises(quant_ste_ctypes.Error) as error:
        compiled(product("mk", "kn", "mn", "mnk")).call(None, x, x, x)
    assert str(error.value) == text
    assert emulation.Driver().live_buffers() == 0


def test_without_cublas():
    """In a process of its own: what was not found is not looked for again."""
    program = f"""
import sys; sys.path[:0] = {sys.path!r}
import numpy as np, emulation, os
os.environ["QUANT_STE_LIBCUBLAS"] = "/nowhere/libcublas.so"
x = np.ones((3, 3), np.float32)
try:
    emulation.compile({product("mk", "kn", "mn", "mnk")!r}, options="matmul=cublas").call(
        None, x, x, x)
except Exception as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                         cwd=Path(__file__).parent, env=dict(os.environ))
    assert run.stdout.startswith("there is no cuBLAS on this machine (matmul=cublas): "
                                 "/nowhere/libcublas.so: cannot open"), run.stderr
