"""What quant-ste-cpu-pipeline compiles besides quantizers, number by number, and
that the bits depend neither on threads nor on the processor's vectors."""
import ml_dtypes
import numpy as np
import pytest

import quant_ste_ctypes

DTYPES = {"f32": np.float32, "f64": np.float64, "f16": np.float16,
          "bf16": ml_dtypes.bfloat16}

# A program's text under every configuration whose bits must be the same.
CONFIGURATIONS = [dict(), dict(pipeline_options="openmp=false"), dict(cpu="haswell"),
                  dict(cpu="x86-64")]


class Everywhere:
    """Calls every configuration on 1 and 2 threads and compares the bits."""

    def __init__(self, text, configurations=CONFIGURATIONS):
        self.configurations = configurations
        self.modules = [quant_ste_ctypes.compile(text, **c) for c in configurations]

    def __call__(self, *arguments, function=None):
        first = None
        for module, configuration in zip(self.modules, self.configurations):
            for threads in (1, 2):
                quant_ste_ctypes.set_thread_count(threads)
                out = module.call(function, *arguments)
                if first is None:
                    first = out
                for a, b in zip(first, out):
                    assert a.tobytes() == b.tobytes(), (configuration, threads)
        return first


def in_order(a, b, c):
    """c + a b, the terms added in the order of k, each rounded to the type."""
    c = c.copy()
    for k in range(a.shape[-1]):
        product = (a[..., :, k, None] * b[..., None, k, :]).astype(c.dtype)
        c = (c + product).astype(c.dtype)
    return c


LAYOUTS = {"nn": ("(m, k)", "(k, n)"), "nt": ("(m, k)", "(n, k)"), "tn": ("(k, m)", "(k, n)")}
SIZES = [(1, 1, 1), (3, 5, 7), (64, 10, 64), (65, 129, 17), (70, 300, 33), (0, 3, 4),
         (3, 0, 4), (3, 4, 0), (131, 48, 40)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_matmul(layout, dtype):
    a_map, b_map = LAYOUTS[layout]
    t = f"tensor<?x?x{dtype}>"
    maps = ", ".join(f"affine_map<(m, n, k) -> {m}>" for m in (a_map, b_map, "(m, n)"))
    product = Everywhere(f"""
      func.func @f(%a: {t}, %b: {t}, %c: {t}) -> {t} {{
        %r = linalg.matmul indexing_maps = [{maps}] ins(%a, %b : {t}, {t}) outs(%c : {t}) -> {t}
        return %r : {t}
      }}""")
    rng = np.random.default_rng(0)
    for m, n, k in SIZES:
        a, b, c = (rng.standard_normal(s).astype(DTYPES[dtype])
                   for s in ((m, k), (k, n), (m, n)))
        left = a if a_map == "(m, k)" else np.ascontiguousarray(a.T)
        right = b if b_map == "(k, n)" else np.ascontiguousarray(b.T)
        got, = product(left, right, c)
        np.testing.assert_array_equal(got, in_order(a, b, c))


def test_batch_matmul():
    t = "tensor<?x?x?xf32>"
    product = Everywhere(f"""
      func.func @f(%a: {t}, %b: {t}, %c: {t}) -> {t} {{
        %r = linalg.batch_matmul ins(%a, %b : {t}, {t}) outs(%c : {t}) -> {t}
        return %r : {t}
      }}""")
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((3, 5, 9)), rng.standard_normal((3, 9, 40))
    a, b, c = a.astype(np.float32), b.astype(np.float32), np.zeros((3, 5, 40), np.float32)
    np.testing.assert_array_equal(product(a, b, c)[0], in_order(a, b, c))


def test_extrema():
    x = np.random.default_rng(2).standard_normal((37, 333)).astype(np.float32)
    rows = Everywhere("""
      func.func @f(%x: tensor<?x?xf32>, %c: tensor<?xf32>) -> tensor<?xf32> {
        %r = linalg.reduce {arith.maximumf} ins(%x : tensor<?x?xf32>) outs(%c : tensor<?xf32>) dimensions = [1]
        return %r : tensor<?xf32>
      }""")
    low = np.full(37, -np.inf, np.float32)
    np.testing.assert_array_equal(rows(x, low)[0], x.max(1))
    x[3, 300] = np.nan
    np.testing.assert_array_equal(np.isnan(rows(x, low)[0]), np.arange(37) == 3)
    columns = Everywhere("""
      func.func @f(%x: tensor<?x?xi32>, %c: tensor<?xi32>) -> tensor<?xi32> {
        %r = linalg.reduce {arith.maxsi} ins(%x : tensor<?x?xi32>) outs(%c : tensor<?xi32>) dimensions = [0]
        return %r : tensor<?xi32>
      }""")
    x = np.random.default_rng(3).integers(-1000, 1000, (700, 333)).astype(np.int32)
    np.testing.assert_array_equal(columns(x, np.full(333, -5000, np.int32))[0], x.max(0))


def test_index_mask_slice_transpose():
    iota = Everywhere("""
      func.func @f(%e: tensor<?x?xi64>) -> tensor<?x?xi64> {
        %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>],
                             iterator_types = ["parallel", "parallel"]}
          outs(%e : tensor<?x?xi64>) {
        ^bb0(%o: i64):
          %i = linalg.index 0 : index
          %j = linalg.index 1 : index
          %c = arith.constant 1000 : index
          %t = arith.muli %i, %c : index
          %u = arith.addi %t, %j : index
          %v = arith.index_cast %u : index to i64
          linalg.yield %v : i64
        } -> tensor<?x?xi64>
        return %r : tensor<?x?xi64>
      }""")
    want = np.arange(37)[:, None] * 1000 + np.arange(333)
    np.testing.assert_array_equal(iota(np.zeros((37, 333), np.int64))[0], want)

    flip = Everywhere("""
      #id = affine_map<(i, j) -> (i, j)>
      func.func @f(%x: tensor<?x?xf32>, %m: tensor<?x?xi1>, %e: tensor<?x?xi1>) -> tensor<?x?xi1> {
        %r = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
          ins(%x, %m : tensor<?x?xf32>, tensor<?x?xi1>) outs(%e : tensor<?x?xi1>) {
        ^bb0(%a: f32, %b: i1, %o: i1):
          %z = arith.constant 0.0 : f32
          %g = arith.cmpf ogt, %a, %z : f32
          %q = arith.xori %g, %b : i1
          linalg.yield %q : i1
        } -> tensor<?x?xi1>
        return %r : tensor<?x?xi1>
      }""")
    rng = np.random.default_rng(4)
    x, m = rng.standard_normal((37, 333)).astype(np.float32), rng.random((37, 333)) > 0.5
    np.testing.assert_array_equal(flip(x, m, np.zeros_like(m))[0], (x > 0) ^ m)

    strided = Everywhere("""
      func.func @f(%x: tensor<?x64xf32>, %at: index) -> tensor<8x33xf32> {
        %s = tensor.extract_slice %x[%at, 5] [8, 33] [2, 1] : tensor<?x64xf32> to tensor<8x33xf32>
        %y = arith.addf %s, %s : tensor<8x33xf32>
        return %y : tensor<8x33xf32>
      }""")
    x = rng.standard_normal((50, 64)).astype(np.float32)
    np.testing.assert_array_equal(strided(x, np.int64(11))[0], x[11:27:2, 5:38] * 2)

    transposed = Everywhere("""
      func.func @f(%x: tensor<?x?xf32>, %e: tensor<?x?xf32>) -> tensor<?x?xf32> {
        %y = linalg.transpose ins(%x : tensor<?x?xf32>) outs(%e : tensor<?x?xf32>) permutation = [1, 0]
        return %y : tensor<?x?xf32>
      }""")
    np.testing.assert_array_equal(transposed(x, np.zeros((64, 50), np.float32))[0], x.T)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape, axes", [
    ((70001,), ()), ((3, 70001), ()), ((37, 3001), (0,)), ((7, 19, 2311), (1,)),
    ((3001, 37), (1,)), ((1300, 129), (1,)), ((5, 7, 4001), (0, 1))], ids=str)
def test_sums_have_the_same_bits(shape, axes, dtype):
    """Forward and backward of int_quant, above the size where threads start."""
    x_type = f"tensor<{'?x' * len(shape)}{dtype}>"
    p_type = f"tensor<{'?x' * len(axes)}{dtype}>"
    at = f" axes({list(axes)})" if axes else ""
    step = Everywhere(f"""
      func.func private @q(%x: {x_type}, %s: {p_type}, %z: tensor<f32>, %b: tensor<f32>) -> {x_type} {{
        %y = quant_ste.int_quant %x, %s{at}, %z, %b signed grad(clipped)
          : {x_type}, {p_type}, tensor<f32>, tensor<f32>
        return %y : {x_type}
      }}
      func.func @f(%x: {x_type}, %s: {p_type}, %z: tensor<f32>, %b: tensor<f32>, %dy: {x_type})
          -> ({x_type}, {x_type}, {p_type}, tensor<f32>, tensor<f32>) {{
        %r:5 = quant_ste.vjp @q(%x, %s, %z, %b) cotangents(%dy) wrt [0, 1, 2, 3]
          : ({x_type}, {p_type}, tensor<f32>, tensor<f32>), ({x_type})
            -> ({x_type}, {x_type}, {p_type}, tensor<f32>, tensor<f32>)
        return %r#0, %r#1, %r#2, %r#3, %r#4 : {x_type}, {x_type}, {p_type}, tensor<f32>, tensor<f32>
      }}""")
    rng = np.random.default_rng(5)
    kind = DTYPES[dtype]
    out = step((rng.standard_normal(shape) * 2).astype(kind),
               (0.1 + rng.random([shape[a] for a in axes])).astype(kind),
               np.float32(1), np.float32(3), rng.standard_normal(shape).astype(kind))
    assert all(np.isfinite(o.astype(np.float64)).all() for o in out)


def test_processors_round_alike():
    """Where a processor has no instruction for it, too: every f16, what lies between
    two of them, and what has a fraction."""
    functions = {name: (source, target, op) for name, source, target, op in [
        ("widen", "f16", "f32", "arith.extf"), ("narrow", "f32", "f16", "arith.truncf"),
        *((op, "f32", "f32", f"math.{op}") for op in ("roundeven", "floor", "ceil", "trunc")),
        ("roundeven64", "f64", "f64", "math.roundeven"),
        ("floor64", "f64", "f64", "math.floor")]}
    text = ""
    for name, (source, target, op) in functions.items():
        types = f"tensor<?x{source}> to tensor<?x{target}>"
        text += f"""func.func @{name}(%x: tensor<?x{source}>) -> tensor<?x{target}> {{
  %y = {op} %x : {types if source != target else f"tensor<?x{source}>"}
  return %y : tensor<?x{target}>
}}
"""
    everywhere = Everywhere(text, CONFIGURATIONS + [dict(cpu="x86-64-v2")])
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    (wide,) = everywhere(halves, function="widen")
    numbers = ~np.isnan(halves)
    assert (wide[numbers] == halves[numbers].astype(np.float32)).all()
    between = np.array([0, 1, 0xFFF, 0x1000, 0x1001, 0x1FFF], np.uint32)
    floats = (wide.view(np.uint32)[:, None] + between).reshape(-1).view(np.float32)
    floats = np.concatenate([floats, np.arange(-700, 700, dtype=np.float32) / 4,
                             np.arange(1 << 12, dtype=np.uint32).view(np.float32)])
    (narrow,) = everywhere(floats, function="narrow")
    numbers = ~np.isnan(floats)
    with np.errstate(over="ignore"):
        expected = floats[numbers].astype(np.float16)
    assert (narrow[numbers].view(np.uint16) == expected.view(np.uint16)).all()
    large = np.float32(2) ** np.arange(20, 26, dtype=np.float32)
    odd = np.stack([large - 1.5, large - 1, large - 0.5, large, large + 1]).reshape(-1)
    floats = np.concatenate([floats, odd, -odd]).astype(np.float32)
    floats = floats[~np.isnan(floats)]
    doubles = floats.astype(np.float64)
    reference = {"roundeven": np.rint, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc,
                 "roundeven64": np.rint, "floor64": np.floor}
    for name, expected in reference.items():
        x = doubles if name.endswith("64") else floats
        (y,) = everywhere(x, function=name)
        assert y.tobytes() == expected(x).astype(x.dtype).tobytes(), name
