"""The code of the kernels, run on the processor, against the CPU pipeline."""
import functools
import platform
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import emulation
import quant_ste_ctypes
from harness import assert_same_bits

if platform.machine() != "x86_64":
    pytest.skip("the emulated driver needs x86-64", allow_module_level=True)

DTYPES = {"f32": np.float32, "f64": np.float64, "f16": np.float16,
          "bf16": ml_dtypes.bfloat16}
SUM_ERROR = {"f32": 1e-6, "f16": 1e-3, "bf16": 8e-3, "f64": 1e-14}


@functools.lru_cache(maxsize=None)
def on_cpu(text):
    return quant_ste_ctypes.compile(text)


@functools.lru_cache(maxsize=None)
def on_gpu(text, chip="sm_90"):
    return emulation.compile(text, chip)


def both(text, *arguments, chip="sm_90"):
    want = on_cpu(text).call(None, *arguments)
    got = on_gpu(text, chip).call(None, *arguments)
    again = on_gpu(text, chip).call(None, *arguments)
    for a, b in zip(got, again):
        assert a.tobytes() == b.tobytes(), "not the same bits in another order of blocks"
    return got, want


def assert_all_same(text, *arguments, chip="sm_90"):
    for i, (got, want) in enumerate(zip(*both(text, *arguments, chip=chip))):
        if got.dtype == np.bool_:
            np.testing.assert_array_equal(got, want)
        else:
            assert_same_bits(got, want, f"result {i}")


def int_quant(shape_rank, axes, dtype):
    """@f: x, scale, zero point, bit width, dy -> y and all gradients."""
    x = f"tensor<{'?x' * shape_rank}{dtype}>"
    s = f"tensor<{'?x' * len(axes)}{dtype}>"
    at = f" axes({list(axes)})" if axes else ""
    return f"""
      func.func private @q(%x: {x}, %s: {s}, %z: tensor<f32>, %b: tensor<f32>) -> {x} {{
        %y = quant_ste.int_quant %x, %s{at}, %z, %b signed grad(clipped)
          : {x}, {s}, tensor<f32>, tensor<f32>
        return %y : {x}
      }}
      func.func @f(%x: {x}, %s: {s}, %z: tensor<f32>, %b: tensor<f32>, %dy: {x})
          -> ({x}, {x}, {s}, tensor<f32>, tensor<f32>) {{
        %r:5 = quant_ste.vjp @q(%x, %s, %z, %b) cotangents(%dy) wrt [0, 1, 2, 3]
          : ({x}, {s}, tensor<f32>, tensor<f32>), ({x}) -> ({x}, {x}, {s}, tensor<f32>, tensor<f32>)
        return %r#0, %r#1, %r#2, %r#3, %r#4 : {x}, {x}, {s}, tensor<f32>, tensor<f32>
      }}"""


def check_int_quant(shape, axes, dtype, chip="sm_90"):
    rng = np.random.default_rng(sum(shape) + len(axes))
    kind = DTYPES[dtype]
    x, dy = ((rng.standard_normal(shape) * 2).astype(kind) for _ in range(2))
    s = (0.1 + rng.random([shape[a] for a in axes])).astype(kind)
    got, want = both(int_quant(len(shape), axes, dtype), x, s, np.float32(1),
                     np.float32(3), dy, chip=chip)
    assert_same_bits(got[0], want[0], "y")
    assert_same_bits(got[1], want[1], "dx")
    size = 1e-3 + np.abs(dy.astype(np.float64)).sum()
    for name, a, b in zip(("scale", "zero point", "bit width"), got[2:], want[2:]):
        error = np.abs(a.astype(np.float64) - b.astype(np.float64))
        bound = 20 * SUM_ERROR[dtype if name == "scale" else "f32"] * size
        assert (error <= bound).all(), (name, error.max(), bound)


SIZES = (0, 1, 3, 4, 5, 255, 256, 1023, 1024, 4095, 4096, 4097, 8199, 100003)


@pytest.mark.parametrize("dtype", DTYPES)
def test_per_tensor(dtype):
    for n in SIZES:
        check_int_quant((n,), (), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axes, shapes", [
    ((1,), [(3, 5, 7), (2, 3, 64), (2, 3, 4099), (1, 64, 49), (4, 1, 36), (2, 0, 3), (2, 3, 0)]),
    ((0,), [(7, 1), (5, 4), (64, 576), (3, 5000), (300, 31), (0, 4), (4, 0)]),
    ((0, 1), [(3, 5, 32), (2, 100, 16), (1, 3, 33)]),
    ((1,), [(7, 1), (5, 4), (1000, 64), (33, 130), (257, 33), (4, 1100), (0, 8), (3, 0)]),
    ((2,), [(5, 7, 64), (3, 3, 5)]),
    ((0, 2), [(3, 50, 64), (2, 9, 7)]),
    ((0, 1, 2), [(3, 5, 8)])], ids=str)
def test_granularity(axes, shapes, dtype):
    for shape in shapes:
        check_int_quant(shape, axes, dtype)


@pytest.mark.parametrize("chip", [
    "sm_75", *(pytest.param(chip, marks=pytest.mark.slow) for chip in ("sm_80", "sm_100"))])
def test_chips_agree(chip):
    """Also in the bits of sums."""
    rng = np.random.default_rng(7)
    for shape, axes in (((9001,), ()), ((2, 3, 1111), (1,)), ((321, 36), (1,))):
        for dtype in ("f32", "bf16"):
            x, dy = (rng.standard_normal(shape).astype(DTYPES[dtype]) for _ in range(2))
            s = (0.1 + rng.random([shape[a] for a in axes])).astype(DTYPES[dtype])
            arguments = x, s, np.float32(1), np.float32(3), dy
            text = int_quant(len(shape), axes, dtype)
            for a, b in zip(on_gpu(text).call(None, *arguments),
                            on_gpu(text, chip).call(None, *arguments)):
                assert a.tobytes() == b.tobytes()


def test_misaligned():
    """Slices that start anywhere: the version for unaligned buffers, the same
    bits of the sum."""
    text = """
      func.func private @q(%x: tensor<?xf32>, %a: tensor<f32>) -> tensor<?xf32> {
        %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
        return %y : tensor<?xf32>
      }
      func.func @f(%x: tensor<?xf32>, %a: tensor<f32>, %dy: tensor<?xf32>, %at: index, %n: index)
          -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>) {
        %s = tensor.extract_slice %x[%at] [%n] [1] : tensor<?xf32> to tensor<?xf32>
        %t = tensor.extract_slice %dy[%at] [%n] [1] : tensor<?xf32> to tensor<?xf32>
        %y, %dx, %da = quant_ste.vjp @q(%s, %a) cotangents(%t) wrt [0, 1]
          : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
        return %y, %dx, %da : tensor<?xf32>, tensor<?xf32>, tensor<f32>
      }"""
    rng = np.random.default_rng(3)
    part, gradient = rng.standard_normal((2, 8195)).astype(np.float32) * 3
    first = None
    for at in range(5):
        x, dy = (np.concatenate([np.zeros(at, np.float32), v]) for v in (part, gradient))
        got, want = both(text, x, np.float32(2), dy, np.int64(at), np.int64(8195))
        assert_same_bits(got[0], want[0], "y")
        assert_same_bits(got[1], want[1], "dx")
        first = got[2] if first is None else first
        assert got[2].tobytes() == first.tobytes()
    assert abs(float(first) - gradient[part >= 2].astype(np.float64).sum()) < 1e-3


def test_matmul():
    text = """
      func.func @f(%a: tensor<?x?xf32>, %b: tensor<?x?xf32>, %c: tensor<?x?xf32>) -> tensor<?x?xf32> {
        %r = linalg.matmul ins(%a, %b : tensor<?x?xf32>, tensor<?x?xf32>)
          outs(%c : tensor<?x?xf32>) -> tensor<?x?xf32>
        return %r : tensor<?x?xf32>
      }"""
    rng = np.random.default_rng(0)
    for m, n, k in ((1, 1, 1), (3, 5, 7), (65, 10, 33), (0, 3, 4), (3, 4, 0)):
        a, b, c = (rng.standard_normal(s).astype(np.float32) for s in ((m, k), (k, n), (m, n)))
        assert_all_same(text, a, b, c)


def test_convolution():
    t, w, r = "tensor<1x2x8x8xf32>", "tensor<3x2x3x3xf32>", "tensor<1x3x6x6xf32>"
    text = f"""
      func.func @f(%x: {t}, %w: {w}, %c: {r}) -> {r} {{
        %y = linalg.conv_2d_nchw_fchw ins(%x, %w : {t}, {w}) outs(%c : {r}) -> {r}
        return %y : {r}
      }}"""
    rng = np.random.default_rng(0)
    assert_all_same(text, *(rng.standard_normal(s).astype(np.float32)
                            for s in ((1, 2, 8, 8), (3, 2, 3, 3), (1, 3, 6, 6))))


def test_transpose_mask_index():
    text = """
      #id = affine_map<(i, j) -> (i, j)>
      func.func @f(%x: tensor<?x?xf32>, %e: tensor<?x?xf32>, %m: tensor<?x?xi1>)
          -> (tensor<?x?xf32>, tensor<?x?xi1>) {
        %y = linalg.transpose ins(%x : tensor<?x?xf32>) outs(%e : tensor<?x?xf32>) permutation = [1, 0]
        %r = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
          ins(%x, %m : tensor<?x?xf32>, tensor<?x?xi1>) outs(%m : tensor<?x?xi1>) {
        ^bb0(%a: f32, %b: i1, %o: i1):
          %z = arith.constant 0.0 : f32
          %g = arith.cmpf ogt, %a, %z : f32
          %i = linalg.index 0 : index
          %j = linalg.index 1 : index
          %lower = arith.cmpi ugt, %i, %j : index
          %q = arith.xori %g, %b : i1
          %s = arith.xori %q, %lower : i1
          linalg.yield %s : i1
        } -> tensor<?x?xi1>
        return %y, %r : tensor<?x?xf32>, tensor<?x?xi1>
      }"""
    rng = np.random.default_rng(4)
    for shape in ((1, 1), (5, 9), (37, 333)):
        x, m = rng.standard_normal(shape).astype(np.float32), rng.random(shape) > 0.5
        assert_all_same(text, x, np.zeros(shape[::-1], np.float32), m)


EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("file, function, arguments", [
    ("uniform", "forward", [(1000, 4), np.int64(7), np.int64(3)]),
    ("absmax_scale", "quantize", [(4, 1001)]),
    ("absmax_scale", "gradient", [(4, 1001), (4, 1001)]),
    ("tqt", "forward", [(1001,), np.float32(1.5)]),
    ("stochastic_round", "forward", [(1001,), "u1001"]),
    # Scalars that kernels compute from one another's results.
    ("percentile", "init", [(33, 21)]),
    ("mse_scale", "init", [(7, 33), np.full(7, 7, np.float32)]),
    ("rules/bitnet", "forward", [(33, 65)]),
    ("rules/recu", "forward", [(1001,)]),
    ("rules/sawb", "forward", [(1001,), np.float32(3.2), np.float32(2.1)]),
], ids=str)
def test_examples(file, function, arguments):
    text = (EXAMPLES / f"{file}.mlir").read_text()
    rng = np.random.default_rng(5)

    def make(a):
        if isinstance(a, tuple):
            return rng.standard_normal(a).astype(np.float32)
        return rng.random(int(a[1:])).astype(np.float32) if isinstance(a, str) else a
    given = [make(a) for a in arguments]
    for got, want in zip(on_gpu(text).call(function, *given), on_cpu(text).call(function, *given)):
        if (file, function) == ("absmax_scale", "gradient") or "/" in file:  # from a sum
            np.testing.assert_allclose(got, want, rtol=1e-5)
        else:
            assert_same_bits(got, want, file)


def test_gather():
    """A body that reads any element of a tensor."""
    text = """
      #id = affine_map<(i) -> (i)>
      func.func @f(%table: tensor<?x4xf32>, %at: tensor<?xindex>, %e: tensor<?xf32>) -> tensor<?xf32> {
        %c = arith.constant 2 : index
        %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
          ins(%at : tensor<?xindex>) outs(%e : tensor<?xf32>) {
        ^bb0(%i: index, %o: f32):
          %v = tensor.extract %table[%i, %c] : tensor<?x4xf32>
          linalg.yield %v : f32
        } -> tensor<?xf32>
        return %y : tensor<?xf32>
      }"""
    rng = np.random.default_rng(6)
    table = rng.standard_normal((11, 4)).astype(np.float32)
    assert_all_same(text, table, rng.integers(0, 11, 300), np.zeros(300, np.float32))


def test_uncertain_ownership():
    """Buffers that trade places in a loop: which of them are to be freed is known
    when the loop is over, by comparing addresses on the host."""
    text = """
      func.func @f(%x: tensor<?xf32>, %a: tensor<f32>, %n: index) -> (tensor<?xf32>, tensor<?xf32>) {
        %zero = arith.constant 0 : index
        %one = arith.constant 1 : index
        %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
        %z = arith.mulf %y, %x : tensor<?xf32>
        %r:2 = scf.for %i = %zero to %n step %one iter_args(%p = %y, %q = %z)
            -> (tensor<?xf32>, tensor<?xf32>) {
          %s = arith.addf %p, %q : tensor<?xf32>
          scf.yield %q, %s : tensor<?xf32>, tensor<?xf32>
        }
        %h = arith.divf %r#0, %r#1 : tensor<?xf32>
        %losses = tensor.insert %zero_f into %h[%zero] : tensor<?xf32>
        return %losses, %r#1 : tensor<?xf32>, tensor<?xf32>
      }""".replace("%y = quant", "%zero_f = arith.constant 7.0 : f32\n        %y = quant")
    x = np.random.default_rng(8).random(777).astype(np.float32) + 0.1
    driver = emulation.Driver()
    for n in (0, 1, 2, 5):
        assert_all_same(text, x, np.float32(0.7), np.int64(n))
        assert driver.live_buffers() == 0


def test_index():
    """Elements as wide as addresses: a map and a sum."""
    text = """
      func.func @f(%x: tensor<?xindex>, %zero: tensor<index>)
          -> (tensor<?xindex>, tensor<index>) {
        %twice = linalg.map { arith.addi } ins(%x, %x : tensor<?xindex>, tensor<?xindex>)
                   outs(%x : tensor<?xindex>)
        %sum = linalg.reduce { arith.addi } ins(%x : tensor<?xindex>)
                 outs(%zero : tensor<index>) dimensions = [0]
        return %twice, %sum : tensor<?xindex>, tensor<index>
      }"""
    x = np.arange(-500, 503, dtype=np.int64) * (1 << 40)
    assert_all_same(text, x, np.zeros((), np.int64))


def bits(shape, packed, row_dims, dtype):
    """@pack: the mask of x as bits, and a result beside it; @unpack: with it, dx and
    its sum for each of the last dimension."""
    x, p = f"tensor<{shape}x{dtype}>", f"tensor<{packed}xi8>"
    m = f"tensor<{shape}xi1>"
    rank = shape.count("x") + 1
    every = ", ".join(f"d{i}" for i in range(rank))
    last = f"tensor<{shape.split('x')[-1]}x{dtype}>"
    return f"""
      #all = affine_map<({every}) -> ({every})>
      #one = affine_map<({every}) -> ()>
      #last = affine_map<({every}) -> (d{rank - 1})>
      func.func @pack(%x: {x}, %a: tensor<{dtype}>, %e: {x}, %em: {m}, %es: {last})
          -> ({p}, {x}, {last}) {{
        %y, %m, %s = linalg.generic {{indexing_maps = [#all, #one, #all, #all, #last],
            iterator_types = [{', '.join(['"reduction"'] * (rank - 1) + ['"parallel"'])}]}}
            ins(%x, %a : {x}, tensor<{dtype}>) outs(%e, %em, %es : {x}, {m}, {last}) {{
        ^bb0(%v: {dtype}, %b: {dtype}, %o: {dtype}, %om: i1, %os: {dtype}):
          %y = arith.minimumf %v, %b : {dtype}
          %c = arith.cmpf olt, %v, %b : {dtype}
          %t = arith.addf %os, %v : {dtype}
          linalg.yield %y, %c, %t : {dtype}, i1, {dtype}
        }} -> ({x}, {m}, {last})
        %p = quant_ste.pack_bits %m row_dims({row_dims}) : {m} -> {p}
        return %p, %y, %s : {p}, {x}, {last}
      }}
      func.func @pack_alone(%x: {x}, %z: {x}) -> {p} {{
        %m = arith.cmpf ogt, %x, %z : {x}
        %p = quant_ste.pack_bits %m row_dims({row_dims}) : {m} -> {p}
        return %p : {p}
      }}
      func.func @unpack(%p: {p}, %dy: {x}, %z: {x}, %es: {last}) -> ({x}, {last}) {{
        %m = quant_ste.unpack_bits %p row_dims({row_dims}) : {p} -> {m}
        %dx, %s = linalg.generic {{indexing_maps = [#all, #all, #all, #last],
            iterator_types = [{', '.join(['"reduction"'] * (rank - 1) + ['"parallel"'])}]}}
            ins(%m, %dy : {m}, {x}) outs(%z, %es : {x}, {last}) {{
        ^bb0(%c: i1, %g: {dtype}, %zero: {dtype}, %os: {dtype}):
          %d = arith.select %c, %g, %zero : {dtype}
          %t = arith.addf %os, %d : {dtype}
          linalg.yield %d, %t : {dtype}, {dtype}
        }} -> ({x}, {last})
        return %dx, %s : {x}, {last}
      }}"""


@pytest.mark.parametrize("shape, row_dims", [
    ((5, 100), 1), ((3, 37, 16), 1), ((700, 16), 1), ((2, 5, 7), 2), ((4, 3, 1000), 1), ((33, 12), 1)],
    ids=str)
@pytest.mark.parametrize("dtype", ["f32", "bf16", pytest.param("f64", marks=pytest.mark.slow)])
def test_packed_bits(shape, row_dims, dtype):
    """In the CPU's layout, whatever loops write and read them."""
    row = np.prod(shape[len(shape) - row_dims:])
    packed = (*shape[:len(shape) - row_dims], -(-row // 8))
    text = bits(*("x".join(map(str, s)) for s in (shape, packed)), row_dims, dtype)
    kind = DTYPES[dtype]
    rng = np.random.default_rng(9)
    x, dy = (rng.standard_normal(shape).astype(kind) for _ in range(2))
    zeros, sums = np.zeros(shape, kind), np.zeros(shape[-1], kind)
    gpu, cpu = on_gpu(text), on_cpu(text)
    given = x, kind(0.25), zeros, np.zeros(shape, bool), sums
    got, want = gpu.call("pack", *given), cpu.call("pack", *given)
    flat = (x < kind(0.25)).reshape(*shape[:len(shape) - row_dims], row)
    np.testing.assert_array_equal(got[0].view(np.uint8),
                                  np.packbits(flat, axis=-1, bitorder="little"))
    np.testing.assert_array_equal(got[0], want[0])
    assert_same_bits(got[1], want[1], "y")
    np.testing.assert_array_equal(gpu.call("pack_alone", x, zeros)[0],
                                  cpu.call("pack_alone", x, zeros)[0])
    again, wanted = (m.call("unpack", want[0], dy, zeros, sums) for m in (gpu, cpu))
    assert_same_bits(again[0], wanted[0], "dx")
    for a, b in ((got[2], want[2]), (again[1], wanted[1])):
        bound = 20 * SUM_ERROR[dtype] * (1 + np.abs(dy.astype(float)).sum())
        assert (np.abs(a.astype(float) - b.astype(float)) <= bound).all()
