"""Compiled kernels at the edges: of buffers, of vectors and of blocks; with
denormals flushed; with parameters along any axis; and elementary functions in a
program's own code."""
import ctypes
import mmap
import os
import pathlib
import platform
import subprocess
import sys

import numpy as np
import pytest

import cases
import quant_ste_ctypes
from harness import DTYPES, assert_same_bits, module_text

# The tails of 16 and 64 lanes, and blocks of 16384.
EDGES = [0, 1, 15, 16, 17, 63, 64, 65, 79, 80, 81, 127, 129, 16383, 16384, 16385,
         16400, 16447, 32768, 70001]
PACT = next(c for c in cases.PACT if "bits(4)" in c.words)
INT_QUANT = cases.INT_QUANT[0]
# What is behind its last and in front of its first byte must not be touched.
GUARDED = [PACT, INT_QUANT]


class Guarded:
    """Arrays between two pages that may not be touched."""

    def __init__(self, at_end):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.at_end, self.maps = at_end, []

    def __call__(self, array):
        page = mmap.PAGESIZE
        inner = -(-max(array.nbytes, 1) // page) * page
        pages = mmap.mmap(-1, inner + 2 * page)
        base = ctypes.addressof(ctypes.c_char.from_buffer(pages))
        for guard in (base, base + page + inner):
            assert self.libc.mprotect(ctypes.c_void_p(guard), page, 0) == 0
        offset = page + (inner - array.nbytes if self.at_end else 0)
        view = np.frombuffer(pages, array.dtype, array.size, offset).reshape(array.shape)
        view[...] = array
        self.maps.append(pages)
        return view


def in_place(case, rank, axes, dtype):
    """@f as in the harness, but what has x's shape goes to arguments."""
    text = module_text(case, rank, axes, dtype, "f32")
    x = f"tensor<{'?x' * rank}{dtype}>"
    head, tail = text.split("func.func @f(")
    arguments, rest = tail.split(") -> (", 1)
    results, body = rest.split(") {", 1)
    body = body[:body.index("  return")]
    types = results.split(", ")
    out = [f"%out{i}: {x} {{bufferization.writable = true}}" for i in range(2)]
    body += "".join(
        f"  %w{i} = bufferization.materialize_in_destination %r#{i} in %out{i} "
        f": ({x}, {x}) -> {x}\n" for i in range(2))
    names = ", ".join([f"%w{i}" for i in range(2)]
                      + [f"%r#{i}" for i in range(2, len(types))])
    return (f"{head}func.func @f({arguments}, {', '.join(out)}) -> ({results}) {{"
            f"{body}  return {names} : {results}\n}}\n")


def check_guarded(index, dtype):
    """In a process of its own: a stray access ends it."""
    case = GUARDED[index]
    for shapes, axes in (([(n,) for n in EDGES], ()),
                         ([(3, 5, n) for n in (1, 7, 49, 64, 65, 130)], (1,)),
                         ([(5, n) for n in (1, 3, 16, 31, 33, 127, 128, 131)], (1,)),
                         ([(260, 40), (259, 131)], (1,))):
        module = quant_ste_ctypes.compile(
            in_place(case, len(shapes[0]), (axes,) * len(case.parameters), dtype))
        plain = quant_ste_ctypes.compile(
            module_text(case, len(shapes[0]), (axes,) * len(case.parameters), dtype, "f32"))
        rng = np.random.default_rng(0)
        for shape in shapes:
            x, dy = ((rng.standard_normal(shape) * 2).astype(DTYPES[dtype]) for _ in "xy")
            params = [np.full([shape[a] for a in axes], v[0], np.float32)
                      for v in cases.parameter_values(case)]
            want = plain.call("f", x, *params, dy)
            for at_end in (True, False):
                guarded = Guarded(at_end)
                y, dx = guarded(np.zeros_like(x)), guarded(np.zeros_like(x))
                arguments = [guarded(a) for a in (x, *params, dy)]
                got = module.call("f", *arguments, y, dx)
                for name, a, b in zip(("y", "dx", *case.parameters), [y, dx, *got[2:]], want):
                    assert_same_bits(a, b, f"{case} {name} {shape}")
        print("guarded", axes, flush=True)


ROWS = [16, 17, 31, 32, 33, 48, 49, 63, 65, 100, 196, 784, 1023, 1025]


def check_rows(dtype):
    """A scale for each row of a few hundred elements: vectors run on from row to
    row, with the numbers of each row alone. In a process of its own."""
    x4, x1 = f"tensor<?x?x?x{dtype}>", f"tensor<?x{dtype}>"
    text = """func.func @rows(%x: {0}, %s: tensor<?xf32>, %z: tensor<?xf32>, %b: tensor<f32>,
        %out: {0} {{bufferization.writable = true}}) -> {0} {{
      %y = quant_ste.int_quant %x, %s axes([1]), %z axes([1]), %b
        signed rounding(round) grad(clipped)
        : {0}, tensor<?xf32>, tensor<?xf32>, tensor<f32>
      %r = bufferization.materialize_in_destination %y in %out : ({0}, {0}) -> {0}
      return %r : {0}
    }}
    func.func @row(%x: {1}, %s: tensor<f32>, %z: tensor<f32>, %b: tensor<f32>) -> {1} {{
      %y = quant_ste.int_quant %x, %s, %z, %b signed rounding(round) grad(clipped)
        : {1}, tensor<f32>, tensor<f32>, tensor<f32>
      return %y : {1}
    }}""".format(x4, x1)
    modules = [quant_ste_ctypes.compile(text, cpu=cpu)
               for cpu in (None, "haswell", "x86-64")]
    rng = np.random.default_rng(3)
    bits = np.float32(4).reshape(())
    # The last are of several tasks, and stored past the caches.
    for shape in [(2, 3, n) for n in ROWS] + [(9, 160, 49), (21, 4001, 49)]:
        x = (rng.standard_normal(shape) * 2).astype(DTYPES[dtype])
        s = (0.1 + rng.random(shape[1])).astype(np.float32)
        z = rng.integers(-2, 3, shape[1]).astype(np.float32)
        want = np.empty_like(x)
        for i in range(shape[1]):
            channel = np.ascontiguousarray(x[:, i])
            row, = modules[0].call("row", channel.reshape(-1), np.array(s[i]),
                                   np.array(z[i]), bits)
            want[:, i] = row.reshape(channel.shape)
        for module in modules:
            for at_end in (True, False):
                quant_ste_ctypes.set_thread_count(1 + at_end)
                guarded = Guarded(at_end)
                out = guarded(np.zeros_like(x))
                module.call("rows", guarded(x), guarded(s), guarded(z), bits, out)
                assert_same_bits(out, want, f"{shape}")
    print("guarded", flush=True)


def sum_of_row(terms):
    """As docs/kernels.md has it: 64 lanes by index, 16 for what is left of the row,
    added by halves."""
    split = len(terms) // 64 * 64
    lanes, tail = np.zeros(64, terms.dtype), np.zeros(16, terms.dtype)
    for i in range(0, split, 64):
        lanes += terms[i:i + 64]
    for i in range(split, len(terms), 16):
        part = terms[i:i + 16]
        tail[:len(part)] += part
    while lanes.size > 16:
        lanes = lanes[:lanes.size // 2] + lanes[lanes.size // 2:]
    lanes = lanes + tail
    while lanes.size > 1:
        lanes = lanes[:lanes.size // 2] + lanes[lanes.size // 2:]
    return lanes[0]


@pytest.mark.parametrize("dtype", ["f32", "bf16", "f16", "f64"])
@pytest.mark.parametrize("axes", [(1,), (0, 1)], ids=str)
def test_order_of_sums(dtype, axes):
    """Sums of rows are the same bits in each form of the kernel, also to numpy."""
    wide = "f64" if dtype == "f64" else "f32"
    kept, sizes = "x".join("?" * len(axes)), ", ".join(f"%n{a}" for a in axes)
    extend = "%y = arith.addf %x, %zero : f64" if wide == dtype else \
        f"%y = arith.extf %x : {dtype} to f32"
    if dtype == "f32":
        extend = "%y = arith.addf %x, %zero : f32"
    text = f"""func.func @f(%a: tensor<?x?x?x{dtype}>) -> tensor<{kept}x{wide}> {{
      %zero = arith.constant 0.0 : {wide}
      %i0 = arith.constant 0 : index
      %i1 = arith.constant 1 : index
      %n0 = tensor.dim %a, %i0 : tensor<?x?x?x{dtype}>
      %n1 = tensor.dim %a, %i1 : tensor<?x?x?x{dtype}>
      %e = tensor.empty({sizes}) : tensor<{kept}x{wide}>
      %z = linalg.fill ins(%zero : {wide}) outs(%e : tensor<{kept}x{wide}>)
        -> tensor<{kept}x{wide}>
      %s = linalg.generic {{
        indexing_maps = [affine_map<(i, j, k) -> (i, j, k)>,
                         affine_map<(i, j, k) -> ({", ".join("ij"[a] for a in axes)})>],
        iterator_types = ["{'parallel' if 0 in axes else 'reduction'}", "parallel",
                          "reduction"]}}
        ins(%a : tensor<?x?x?x{dtype}>) outs(%z : tensor<{kept}x{wide}>) {{
      ^bb0(%x: {dtype}, %acc: {wide}):
        {extend}
        %t = arith.addf %acc, %y : {wide}
        linalg.yield %t : {wide}
      }} -> tensor<{kept}x{wide}>
      return %s : tensor<{kept}x{wide}>
    }}"""
    modules = [quant_ste_ctypes.compile(text, cpu=cpu)
               for cpu in (None, "haswell", "x86-64")]
    rng = np.random.default_rng(4)
    for shape in [(2, 37, n) for n in (1, 15, 16, 17, 31, 32, 33, 48, 49, 63, 64, 65, 100)] \
            + [(1, 1, 49), (3, 128, 49), (700, 5, 49), (5, 64, 16)]:
        x = rng.standard_normal(shape).astype(DTYPES[dtype])
        terms = x.astype(DTYPES[wide])
        rows = np.array([[sum_of_row(row) for row in plane] for plane in terms])
        want = rows
        if axes == (1,):  # blocks are added in order, in f64
            want = np.zeros(shape[1])
            for plane in rows:
                want += plane
            want = want.astype(DTYPES[wide])
        for module in modules:
            for threads in (1, 2):
                quant_ste_ctypes.set_thread_count(threads)
                got, = module.call("f", x)
                assert_same_bits(got, want, f"{shape}")


def in_another_process(code):
    library = os.path.abspath(os.environ["QUANT_STE_C_LIBRARY"])
    done = subprocess.run([sys.executable, "-c", code], cwd=__file__.rpartition("/")[0],
                          env={**os.environ, "QUANT_STE_C_LIBRARY": library},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("dtype", ["f32", "bf16", *[
    pytest.param(t, marks=pytest.mark.slow) for t in ("f16", "f64")]])
def test_rows_that_run_on(dtype):
    out = in_another_process(f"import test_kernels; test_kernels.check_rows({dtype!r})")
    assert out.count("guarded") == 1


@pytest.mark.parametrize("index, dtype", [
    (0, "bf16"), (1, "f32"), *[pytest.param(*p, marks=pytest.mark.slow) for p in (
        (0, "f32"), (0, "f16"), (1, "bf16"), (1, "f16"), (1, "f64"))]])
def test_guard_pages(index, dtype):
    out = in_another_process(
        f"import test_kernels; test_kernels.check_guarded({index}, {dtype!r})")
    assert out.count("guarded") == 4


@pytest.mark.parametrize("rank, axes", [(1, ()), (3, (1,)), (2, (1,))], ids=str)
def test_every_op_is_vector_loops(rank, axes):
    """Forward and gradient of the whole catalogue: one pass, without a copy, an
    allocation in a loop or a loop that is left plain."""
    text = []
    for i, case in enumerate(cases.every()):
        part = module_text(case, rank, (axes,) * len(case.parameters), "f32", "f32")
        text.append(part.replace("@op(", f"@op{i}(").replace("@f(", f"@f{i}("))
    tool = pathlib.Path(os.environ["QUANT_STE_C_LIBRARY"]).parent.parent / "bin" / "qopt-opt"
    done = subprocess.run(
        [tool, "--quant-ste-cpu-pipeline=stop-after=vectorize", "--remarks-filter=.*", "-"],
        input="".join(text), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "plain loops" not in done.stderr, done.stderr
    assert "linalg." not in done.stdout
    depth = 0
    for line in done.stdout.splitlines():
        # A result that is the cotangent itself gets a buffer of its own.
        assert "memref.copy" not in line or "memref.copy %arg" in line, line
        if line.startswith("    scf.f"):
            depth = 1
        elif line.startswith("    }"):
            depth = 0
        assert not (depth and "memref.alloc(" in line), line


def test_unaligned_and_strided():
    """A caller's array may start anywhere, and have gaps."""
    module = quant_ste_ctypes.compile(module_text(INT_QUANT, 1, ((),) * 3, "f32", "f32"))
    rng = np.random.default_rng(1)
    raw = (rng.standard_normal(70003) * 2).astype(np.float32)
    params = [np.float32(v).reshape(()) for v in (0.1, 3, 4)]
    want = module.call("f", raw, *params, raw)
    bytes_ = np.zeros(raw.nbytes + 4, np.uint8)
    for shift in (1, 2, 4):
        moved = bytes_[shift:shift + raw.nbytes].view(np.float32)
        moved[...] = raw
        for a, b in zip(module.call("f", moved, *params, moved), want):
            assert_same_bits(a, b, f"shifted by {shift}")
    gaps = np.zeros((raw.size, 3), np.float32)
    gaps[:, 1] = raw
    for a, b in zip(module.call("f", gaps[:, 1], *params, gaps[:, 1]), want):
        assert_same_bits(a, b, "strided")


@pytest.mark.parametrize("threads", [1, 2])
def test_past_the_caches(threads):
    """Results of 16 MiB and more are stored past the caches, others are not."""
    module = quant_ste_ctypes.compile(module_text(PACT, 1, ((),), "f32", "f32"))
    quant_ste_ctypes.set_thread_count(threads)
    x = (np.arange(5_000_003, dtype=np.float32) % 1013) / 100 - 2
    alpha, dy = np.float32(6).reshape(()), np.ones_like(x)
    y, dx, _ = module.call("f", x, alpha, dy)
    for part in (slice(0, 10_000), slice(-10_000, None)):
        some = module.call("f", x[part].copy(), alpha, dy[part].copy())
        assert_same_bits(y[part], some[0], "y")
        assert_same_bits(dx[part], some[1], "dx")


# A scale along one axis, where the others are short, long, inner or outer.
@pytest.mark.parametrize("shape, axis", [
    ((64, 3, 49), 1), ((300, 16), 1), ((300, 130), 1), ((5, 4200), 1), ((4200, 5), 0),
    ((9, 4, 33), 2)], ids=str)
def test_any_axis(shape, axis):
    """Elementwise results do not depend on where the parameter is: they are
    those of a kernel without axes, one channel at a time."""
    case = INT_QUANT
    everywhere = [quant_ste_ctypes.compile(
        module_text(case, len(shape), ((axis,),) * 3, "f32", "f32"), cpu=cpu)
        for cpu in (None, "haswell", "x86-64")]
    alone = quant_ste_ctypes.compile(module_text(case, 1, ((),) * 3, "f32", "f32"))
    rng = np.random.default_rng(2)
    x, dy = ((rng.standard_normal(shape) * 2).astype(np.float32) for _ in "xy")
    c = shape[axis]
    params = [(0.1 + rng.random(c)).astype(np.float32),
              rng.integers(-2, 3, c).astype(np.float32),
              rng.choice([2.0, 4.0, 8.0], c).astype(np.float32)]
    want = None
    for module in everywhere:
        for threads in (1, 2):
            quant_ste_ctypes.set_thread_count(threads)
            got = module.call("f", x, *params, dy)
            want = want or got
            for a, b in zip(got, want):
                assert_same_bits(a, b, "the same everywhere")
    for i in range(0, c, max(1, c // 5)):
        at = [slice(None)] * len(shape)
        at[axis] = i
        xi, dyi = (np.ascontiguousarray(v[tuple(at)]).reshape(-1) for v in (x, dy))
        one = alone.call("f", xi, *[np.array(p[i]) for p in params], dyi)
        for name, a, b in zip("y dx".split(), want, one):
            assert_same_bits(np.ascontiguousarray(a[tuple(at)]).reshape(-1), b, name)
        for a, b in zip(want[2:], one[2:]):
            np.testing.assert_allclose(a[i], b, rtol=2e-5, atol=1e-4)


class FlushedDenormals:
    """The caller's thread with what torch.set_flush_denormal sets."""

    def __enter__(self):
        code = bytes([0x0F, 0xAE, 0x17, 0xC3])  # ldmxcsr (%rdi); ret
        self.page = mmap.mmap(-1, mmap.PAGESIZE, prot=7)
        self.page.write(code)
        self.load = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(
            ctypes.addressof(ctypes.c_char.from_buffer(self.page)))
        self.set(0x1F80 | 0x8040)

    def set(self, state):
        self.load(ctypes.byref(ctypes.c_uint32(state)))

    def __exit__(self, *_):
        self.set(0x1F80)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="sets an x86 register")
@pytest.mark.parametrize("n", [100, 300_000])
def test_denormals_of_a_caller_that_flushes_them(n):
    """The same bits, on one thread and several."""
    module = quant_ste_ctypes.compile(module_text(PACT, 1, ((),), "f32", "f32"))
    x = (np.arange(n, dtype=np.uint32) * 4099 % (1 << 24)).view(np.float32)
    alpha, dy = np.array(3e-38, np.float32), x[::-1].copy()
    want = module.call("f", x, alpha, dy)
    assert np.any((want[1] != 0) & (np.abs(want[1]) < np.finfo(np.float32).tiny))
    for threads in (1, 2):
        quant_ste_ctypes.set_thread_count(threads)
        with FlushedDenormals():
            got = module.call("f", x, alpha, dy)
        for a, b in zip(got, want):
            assert a.tobytes() == b.tobytes()


def ulps(got, exact):
    """The error of `got` in units of its last place; `exact` is in a wider type."""
    with np.errstate(all="ignore"):
        finite = np.isfinite(got) & np.isfinite(exact)
        size = np.spacing(np.abs(exact[finite]).astype(got.dtype))
        return np.max(np.abs(got[finite].astype(exact.dtype) - exact[finite]) / size)


FUNCTIONS = {"exp": (np.exp, (-104, 89)), "exp2": (np.exp2, (-150, 129)),
             "log": (np.log, (0, 100)), "log2": (np.log2, (0, 100)),
             "tanh": (np.tanh, (-12, 12)), "cosh": (np.cosh, (-90, 90))}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_elementary_functions(name):
    """Of a program's own code: vectorized, within the stated bounds, and with the
    same bits on every processor."""
    function, (low, high) = FUNCTIONS[name]
    rng = np.random.default_rng(3)
    special = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 1e-300]
    for dtype in ("f32", "f64"):
        modules = [quant_ste_ctypes.compile(f"""
          func.func @f(%x: tensor<?x{dtype}>) -> tensor<?x{dtype}> {{
            %y = math.{name} %x : tensor<?x{dtype}>
            return %y : tensor<?x{dtype}>
          }}""", cpu=cpu) for cpu in (None, "x86-64")]
        with np.errstate(all="ignore"):
            x = np.concatenate([special, rng.uniform(low, high, 100_001),
                                rng.standard_normal(50_000) * 1e-3]).astype(DTYPES[dtype])
            exact = function(x.astype(np.longdouble))
            rounded = exact.astype(x.dtype)
        got, again = (m.call("f", x)[0] for m in modules)
        assert got.tobytes() == again.tobytes()
        assert ulps(got, exact) <= (4 if dtype == "f64" else 0.51), dtype
        few = slice(0, len(special))
        np.testing.assert_allclose(got[few], rounded[few], rtol=1e-6)
        assert np.signbit(got[1]) == np.signbit(rounded[1])


def rounded_to_bf16(x):
    """On integers: to nearest, ties to even; one NaN."""
    bits = x.view(np.uint32).astype(np.uint64)
    top = ((bits + 0x7fff + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(x), np.uint16(0x7fc0), top)


@pytest.mark.parametrize("rare", (False, True))
def test_rounding_to_bf16(rare):
    """Each upper half with lower halves around the ties. Denormals and NaN stand in
    every vector, or in none: processors with an instruction round them apart."""
    low = np.array([0, 1, 0x7fff, 0x8000, 0x8001, 0xffff], np.uint32)
    bits = (np.arange(1 << 16, dtype=np.uint32)[:, None] << 16 | low).ravel()
    x = bits.view(np.float32)
    exponent = bits >> 23 & 0xff
    usual = (exponent != 0) & (exponent != 255) | (bits << 1 & 0xffffffff == 0)
    if rare:
        x = np.concatenate([x, np.repeat(x[~usual], 61), x[usual][:999]])
        x = np.random.default_rng(5).permutation(x)
    else:
        x = x[usual]
    text = ("func.func @f(%x: tensor<?xf32>) -> tensor<?xbf16> {\n"
            "  %y = arith.truncf %x : tensor<?xf32> to tensor<?xbf16>\n"
            "  return %y : tensor<?xbf16>\n}\n")
    got = quant_ste_ctypes.compile(text).call("f", x)[0]
    np.testing.assert_array_equal(got.view(np.uint16), rounded_to_bf16(x))
