"""The C API as Python sees it: types, strides, several threads, errors."""
import concurrent.futures

import ml_dtypes
import numpy as np
import pytest

import quant_ste_ctypes as q

DTYPES = {
    "f16": np.float16, "bf16": ml_dtypes.bfloat16, "f32": np.float32,
    "f64": np.float64, "i1": np.bool_, "i8": np.int8, "i16": np.int16,
    "i32": np.int32, "i64": np.int64, "ui8": np.uint8, "ui16": np.uint16,
    "ui32": np.uint32, "ui64": np.uint64, "index": np.int64}


@pytest.mark.parametrize("name", DTYPES)
def test_every_type_keeps_its_bits(name):
    dtype = np.dtype(DTYPES[name])
    rng = np.random.default_rng(1)
    raw = rng.integers(0, 2 if name == "i1" else 256, 3 * 5 * dtype.itemsize)
    x = raw.astype(np.uint8).view(dtype).reshape(3, 5)
    module = q.compile(f"""
        func.func @f(%x: tensor<?x?x{name}>, %s: {name})
            -> (tensor<?x?x{name}>, {name}) {{
          return %x, %s : tensor<?x?x{name}>, {name}
        }}""")
    y, s = module.call("f", x, x[1, 2])
    assert y.dtype == dtype and s.dtype == dtype and s.shape == ()
    assert y.tobytes() == x.tobytes()
    assert s.tobytes() == x[1, 2].tobytes()


@pytest.fixture(scope="module")
def double():
    return q.compile("""
        func.func @f(%x: tensor<?x?x?xf32>) -> tensor<?x?x?xf32> {
          %y = arith.addf %x, %x : tensor<?x?x?xf32>
          return %y : tensor<?x?x?xf32>
        }""")


@pytest.mark.parametrize("view", [
    lambda x: x.T, lambda x: x[::2, ::-1], lambda x: x[:, 1:2, 3:],
    lambda x: np.broadcast_to(x[:1, :, :1], (4, 5, 3)), lambda x: x[:0],
    lambda x: np.asfortranarray(x), lambda x: x[..., 3:3],
    # Not a whole number of elements apart, and not aligned to them.
    lambda x: np.frombuffer(b"\0" + x.tobytes() + b"\0\0\0", np.uint8)[1:-3]
    .view(np.float32).reshape(x.shape),
    lambda x: np.array([(1, x[0])], dtype=[("a", "i1"), ("b", "f4", (5, 6))])["b"],
])
def test_any_layout_in_contiguous_out(double, view):
    x = view(np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6))
    before = x.copy()
    y, = double.call("f", x)
    assert np.array_equal(y, before + before) and y.shape == x.shape
    assert np.array_equal(x, before)


def test_arguments_are_not_written():
    module = q.compile("""
        func.func @f(%x: tensor<4xf32>, %v: f32) -> tensor<4xf32> {
          %c0 = arith.constant 0 : index
          %y = tensor.insert %v into %x[%c0] : tensor<4xf32>
          return %y : tensor<4xf32>
        }""")
    x = np.ones(4, np.float32)
    y, = module.call("f", x, np.float32(5))
    assert y.tolist() == [5, 1, 1, 1] and x.tolist() == [1, 1, 1, 1]


def test_several_threads_call_one_module(double):
    def call(i):
        x = np.full((2, 3, 1000), i, np.float32)
        return all(np.all(double.call("f", x)[0] == 2 * i) for _ in range(50))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(call, range(16)))


def test_thread_count_does_not_change_bits():
    module = q.compile("""
        func.func @f(%x: tensor<?xf32>, %a: tensor<f32>, %dy: tensor<?xf32>)
            -> (tensor<?xf32>, tensor<f32>) {
          %y, %dx, %da = quant_ste.vjp @pact(%x, %a) cotangents(%dy) wrt [0, 1]
            : (tensor<?xf32>, tensor<f32>), (tensor<?xf32>)
            -> (tensor<?xf32>, tensor<?xf32>, tensor<f32>)
          return %dx, %da : tensor<?xf32>, tensor<f32>
        }
        func.func private @pact(%x: tensor<?xf32>, %a: tensor<f32>)
            -> tensor<?xf32> {
          %y = quant_ste.pact %x, %a bits(4) grad(pact)
            : tensor<?xf32>, tensor<f32>
          return %y : tensor<?xf32>
        }""")
    rng = np.random.default_rng(2)
    x, dy = rng.standard_normal((2, 300_001)).astype(np.float32)
    results = []
    try:
        for count in (1, 2, 3):
            q.set_thread_count(count)
            results.append(module.call("f", x, np.float32(0.5), dy))
    finally:
        q.set_thread_count(1)
    for dx, da in results:
        assert dx.tobytes() == results[0][0].tobytes()
        assert da.tobytes() == results[0][1].tobytes()
    assert results[0][1] == pytest.approx(dy[x >= 0.5].sum(dtype=np.float64))


def test_signatures_and_names():
    module = q.compile("""
        func.func @f(%x: tensor<2x?xbf16>) -> (f32, index) {
          %c = arith.constant 1.0 : f32
          %n = arith.constant 2 : index
          return %c, %n : f32, index
        }
        func.func private @hidden() { return }
        func.func @g() { return }""")
    assert module.functions == ["f", "g"]
    assert module.signature("f") == "(2x?xbf16) -> (f32, index)"
    assert module.call("g") == []
    with pytest.raises(q.Error, match="no function @hidden; .* @f, @g"):
        module.call("hidden")


@pytest.mark.parametrize("text, message", [
    (b"\xff\x00garbage", "<text>:1:1: error"),
    ("func.func @f(%x: f32) -> f32 { return %y : f32 }", "1:39: error: use of undeclared"),
    ("func.func @f() { foo.bar }", "foo"),
    ("func.func private @no() func.func @f() { call @no() : () -> () return }",
     "cannot link: .*no"),
])
def test_text_that_does_not_compile(text, message):
    with pytest.raises(q.Error, match=message):
        q.compile(text)


@pytest.mark.parametrize("options, message", [
    (dict(pipeline_options="what=1"), "'what=1': .*no such option what"),
    (dict(cpu="abacus"), "unknown processor 'abacus'"),
    (dict(opt_level=9), "level in 0..3, got 9"),
])
def test_options_that_are_wrong(options, message):
    with pytest.raises(q.Error, match=message):
        q.compile("func.func @f() { return }", **options)


def test_reference_agrees_with_compiled_code():
    text = """
        func.func @f(%x: tensor<?x3xf16>, %a: tensor<3xf32>) -> tensor<?x3xf16> {
          %y = quant_ste.pact %x, %a axes([1]) bits(3) grad(pact)
            : tensor<?x3xf16>, tensor<3xf32>
          return %y : tensor<?x3xf16>
        }"""
    x = np.random.default_rng(3).standard_normal((50, 3)).astype(np.float16)
    a = np.array([0.5, 1, 2], np.float32)
    compiled, = q.compile(text).call("f", x, a)
    evaluated, = q.compile(text, reference=True).call("f", x, a)
    assert compiled.tobytes() == evaluated.tobytes()
