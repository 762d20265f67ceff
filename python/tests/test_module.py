"""quant_ste.compile and what comes of it, on numpy, torch and other arrays."""
import gc
import threading
import weakref

import numpy as np
import pytest

import quant_ste

TEXT = """
func.func @f(%x: tensor<?xf32> {quant_ste.name = "x"}, %alpha: tensor<f32> {quant_ste.name = "alpha"})
    -> tensor<?xf32> {
  %y = quant_ste.pact %x, %alpha bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}
func.func @g(%x: tensor<?x3xf32>, %n: i64) -> (tensor<?x3xf32>, i64) {
  %y = quant_ste.round %x grad(ste) : tensor<?x3xf32>
  %two = arith.muli %n, %n : i64
  return %y, %two : tensor<?x3xf32>, i64
}
func.func @half(%x: tensor<?xbf16>) -> tensor<?xbf16> {
  %y = quant_ste.floor %x grad(ste) : tensor<?xbf16>
  return %y : tensor<?xbf16>
}
"""
X = np.array([-1.0, 0.3, 2.2, 5.9, 6.0, 7.5], np.float32)
Y = np.round(np.clip(X, 0, 6) * np.float32(2.5)) / np.float32(2.5)


@pytest.fixture(scope="module")
def module():
    return quant_ste.compile(TEXT)


def test_call(module):
    assert list(module) == ["f", "g", "half"]
    y = module.f(X, 6.0)
    assert isinstance(y, np.ndarray) and y.dtype == np.float32
    np.testing.assert_array_equal(y, Y)
    np.testing.assert_array_equal(module["f"](X[::-1], np.float32(6)), Y[::-1])
    y, n = module.g(X.reshape(2, 3), 7)
    assert n == 49 and isinstance(n, int) and y.shape == (2, 3)


def test_signature(module):
    f = module.f
    assert f.signature == "(?xf32, f32) -> (?xf32)"
    assert [t.name for t in f.arguments] == ["x", "alpha"]
    assert str(module.g.arguments[0]) == "tensor<?x3xf32>"
    assert module.g.results[1] == quant_ste.ValueType("i64", None)
    assert "@f" in repr(f) and "@f" in f.__doc__


def test_strides_and_empty(module):
    wide = np.repeat(X, 2).astype(np.float32)
    np.testing.assert_array_equal(module.f(wide[::2], 6.0), Y)
    np.testing.assert_array_equal(module.f(wide[::-2], 6.0), Y[::-1])
    assert module.f(X[:0], 6.0).shape == (0,)
    columns = np.asfortranarray(X.reshape(2, 3))
    np.testing.assert_array_equal(module.g(columns, 1)[0], np.round(columns))
    packed = np.zeros(6, dtype=[("pad", "i1"), ("v", "f4")])
    packed["v"] = X  # neither aligned nor a whole number of elements apart
    np.testing.assert_array_equal(module.f(packed["v"], 6.0), Y)


def test_bfloat16(module):
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    y = module.half(X.astype(ml_dtypes.bfloat16))
    assert y.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(y.astype(np.float32),
                                  np.floor(X.astype(ml_dtypes.bfloat16).astype(np.float32)))


def test_torch(module):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.from_numpy(X)
    y = module.f(x, 6.0)
    assert isinstance(y, torch.Tensor)
    np.testing.assert_array_equal(y.numpy(), Y)
    assert module.half(x.bfloat16()).dtype == torch.bfloat16
    np.testing.assert_array_equal(module.f(x.reshape(3, 2).t()[0], 6.0).numpy(), Y[::2])
    with pytest.raises(TypeError, match="argument #0 requires grad"):
        module.f(x.clone().requires_grad_(), 6.0)
    with torch.no_grad():
        module.f(x.clone().requires_grad_(), 6.0)


def test_any_dlpack(module):
    class Other:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **keywords):
            return self.array.__dlpack__(**keywords)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    np.testing.assert_array_equal(np.from_dlpack(module.f(Other(X), 6.0)), Y)


def test_memory_is_owned(module):
    """A result lives as long as it is used, and no longer holds what it was made of."""
    x = X.copy()
    alive = weakref.ref(x)
    y = module.f(x, 6.0)
    view = y[2:]
    del x, y
    gc.collect()
    assert alive() is None
    np.testing.assert_array_equal(view, Y[2:])


@pytest.mark.parametrize("kind", ["contiguous", "gaps", "same as x", "torch"])
def test_out(module, kind):
    x = X.copy()
    if kind == "torch":
        torch = pytest.importorskip("torch", reason="torch is not installed")
        out = torch.empty(6)
        assert module.f(torch.from_numpy(x), 6.0, out=out) is out
        np.testing.assert_array_equal(out.numpy(), Y)
        return
    out = {"contiguous": np.empty(6, np.float32), "gaps": np.empty(12, np.float32)[::2],
           "same as x": x}[kind]
    assert module.f(x, 6.0, out=out) is out
    np.testing.assert_array_equal(out, Y)
    results = module.g(X.reshape(2, 3), 3, out=np.empty((2, 3), np.float32))
    assert results[1] == 9
    np.testing.assert_array_equal(results[0], np.round(X.reshape(2, 3)))


def test_out_does_not_fit(module):
    for out in (np.empty(5, np.float32), np.empty(6, np.float64), np.empty(10, np.float32)[::2]):
        with pytest.raises(quant_ste.CallError):
            module.f(X, 6.0, out=out)
    with pytest.raises(quant_ste.CallError, match="expected out to have 1 arrays, got 2"):
        module.f(X, 6.0, out=(X, X))


def test_derivatives(module):
    dy = np.arange(6, dtype=np.float32)
    y, dx, dalpha = module.vjp("f")(X, 6.0, dy)
    np.testing.assert_array_equal(y, Y)
    np.testing.assert_array_equal(dx, np.where((X >= 0) & (X <= 6), dy, 0))
    assert dalpha == dy[4:].sum()
    assert module.vjp("f") is module.vjp("f", wrt=["x", "alpha"])
    y, only = module.vjp("f", wrt=["alpha"])(X, 6.0, dy)
    assert only == dalpha
    y, ty = module.jvp("f", wrt=[0])(X, 6.0, dy)
    np.testing.assert_array_equal(ty, dx)
    with pytest.raises(KeyError, match="no argument named 'beta'"):
        module.vjp("f", wrt=["beta"])
    with pytest.raises(quant_ste.CompileError, match="expected wrt to list float arguments"):
        module.vjp("g", wrt=[1])


def test_stages(module):
    stages = module.stages()
    assert list(stages) == list(quant_ste.PHASES)
    assert "quant_ste.pact" in stages["source"] and "quant_ste.round" not in stages["linalg"]
    assert "linalg.generic" in stages["linalg"] and "llvm.func" in stages["llvm"]


def test_reference():
    exact = quant_ste.compile(TEXT.partition("func.func @g")[0], reference=True)
    np.testing.assert_array_equal(exact.f(X, 6.0), Y)


def test_from_a_file(tmp_path):
    path = tmp_path / "f.mlir"
    path.write_text(TEXT)
    np.testing.assert_array_equal(quant_ste.compile(path).f(X, 6.0), Y)
    np.testing.assert_array_equal(quant_ste.compile(str(path)).f(X, 6.0), Y)
    path.write_text("func.func @f(")
    with pytest.raises(quant_ste.CompileError, match=r"f\.mlir:1:13: error: "):
        quant_ste.compile(path)


def test_errors(module):
    with pytest.raises(quant_ste.CompileError) as caught:
        quant_ste.compile("func.func @f(%x: tensor<?xi8>) -> tensor<?xi8> {\n"
                          "  %y = quant_ste.round %x grad(ste) : tensor<?xi8>\n"
                          "  return %y : tensor<?xi8>\n}")
    first = caught.value.diagnostics[0]
    assert (first.severity, first.line) == ("error", 2) and "f16" in first.message
    with pytest.raises(quant_ste.CallError, match="expects 2 arguments, got 1"):
        module.f(X)
    with pytest.raises(quant_ste.CallError, match=r"expected \?xf32, got 6xf64"):
        module.f(X.astype(np.float64), 6.0)
    with pytest.raises(TypeError, match="argument #1: expected an array"):
        module.f(X, "six")
    with pytest.raises(AttributeError, match="no function @h; the public functions are @f"):
        module.h
    with pytest.raises(ValueError, match="expected target 'cpu', 'cuda' or 'cuda:<chip>', got 'tpu'"):
        quant_ste.compile(TEXT, target="tpu")
    with pytest.raises(quant_ste.CompileError, match="pipeline options"):
        quant_ste.compile(TEXT, pipeline="nonsense=1")


def test_threads(module):
    """Calls run side by side and give what they give alone."""
    x = np.random.default_rng(0).standard_normal(100000).astype(np.float32)
    want, wrong = module.f(x, 6.0), []

    def work():
        for _ in range(5):
            if not np.array_equal(module.f(x, 6.0), want):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong


def test_info(capsys):
    from quant_ste.__main__ import main
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    assert "LLVM 22" in printed and "numpy" in printed
    assert quant_ste.version().startswith(quant_ste.__version__)
