"""Module.save, quant_ste.load, and the cache of compiled code on disk."""
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import quant_ste

TEXT = """
func.func @f(%x: tensor<?xf32> {quant_ste.name = "x"}, %alpha: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %alpha bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}
func.func @g(%x: tensor<?x3xbf16>, %n: i64, %s: f32) -> (tensor<?x3xbf16>, i64, f32) {
  %y = quant_ste.floor %x grad(ste) : tensor<?x3xbf16>
  %two = arith.addi %n, %n : i64
  return %y, %two, %s : tensor<?x3xbf16>, i64, f32
}
"""
X = np.array([-1.0, 0.3, 2.2, 5.9, 6.0, 7.5], np.float32)


@pytest.fixture(scope="module")
def module():
    return quant_ste.compile(TEXT)


@pytest.fixture(scope="module")
def library(module, tmp_path_factory):
    path = tmp_path_factory.mktemp("save") / "f.so"
    module.save(path, vjp=["f"])
    return quant_ste.load(path)


def test_load_calls_what_was_saved(module, library):
    assert list(library) == ["f", "g", "f_vjp"]
    assert library.f.signature == module.f.signature
    assert library.f.arguments == module.f.arguments
    for x in (X, X[::-1], X[:0]):
        np.testing.assert_array_equal(library.f(x, 6.0), module.f(x, 6.0))
    for have, want in zip(library.f_vjp(X, 6.0, X), module.vjp("f")(X, 6.0, X)):
        np.testing.assert_array_equal(have, want)


def test_load_scalars_and_torch(library):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = torch.from_numpy(X).reshape(2, 3).bfloat16()
    y, n, s = library.g(x, 21, 0.5)
    assert (y.dtype, n, s) == (torch.bfloat16, 42, 0.5)
    assert torch.equal(y, x.floor())
    assert isinstance(library.f(torch.from_numpy(X), 6.0), torch.Tensor)


def test_load_out(module, library):
    out = np.empty_like(X)
    assert library.f(X, 6.0, out=out) is out
    np.testing.assert_array_equal(out, module.f(X, 6.0))
    with pytest.raises(quant_ste.CallError, match="expected 6xf32, got 5xf32"):
        library.f(X, 6.0, out=np.empty(5, np.float32))


def test_load_errors(library, tmp_path):
    with pytest.raises(quant_ste.CallError, match="@f expects 2 arguments, got 1"):
        library.f(X)
    with pytest.raises(quant_ste.CallError, match=r"argument #0: expected \?xf32, got 6xf64"):
        library.f(X.astype(np.float64), 6.0)
    with pytest.raises(AttributeError, match="no function @h; the public functions are @f, @g"):
        library.h
    other = tmp_path / "other.so"
    other.write_text("no library")
    with pytest.raises(quant_ste.Error, match="cannot load"):
        quant_ste.load(other)


def test_save_object_and_header(module, tmp_path):
    module.save(tmp_path / "net.o", prefix="my_", header=tmp_path / "my.h")
    assert (tmp_path / "net.o").read_bytes()[:4] == b"\x7fELF"
    header = (tmp_path / "my.h").read_text()
    assert "int my_f(const float *x, int64_t x_size0, const float *alpha, float *y);" in header
    assert "const char *net_error(int code);" in header
    module.save(tmp_path / "net.s", target="aarch64")
    assert "fmov\ts" in (tmp_path / "net.s").read_text()


def test_save_errors(module, tmp_path):
    with pytest.raises(quant_ste.CompileError, match=r"ends in \.o, \.so"):
        module.save(tmp_path / "f.exe")
    with pytest.raises(quant_ste.CompileError, match="no linker 'nobody'"):
        module.save(tmp_path / "f.so", linker="nobody")
    with pytest.raises(quant_ste.CompileError, match="zilog"):
        module.save(tmp_path / "f.o", target="zilog")
    with pytest.raises(KeyError, match="no function @h"):
        module.save(tmp_path / "f.o", vjp=["h"])
    assert not list(tmp_path.iterdir())


def test_cache_on_disk(tmp_path):
    """A second process finds the code of the first."""
    program = ("import sys, numpy, quant_ste; "
               "m = quant_ste.compile(sys.stdin.read(), cache=sys.argv[1]); "
               "print(m.is_from_cache, m.f(numpy.float32([7.0]), 6.0))")

    def run():
        folder = str(pathlib.Path(quant_ste.__file__).parents[1])
        return subprocess.run([sys.executable, "-c", program, str(tmp_path)], input=TEXT,
                              capture_output=True, text=True, check=True,
                              env={**os.environ, "PYTHONPATH": folder}).stdout

    assert run() == "False [6.]\n"
    assert run() == "True [6.]\n"


def test_no_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("QUANT_STE_CACHE_DIR", str(tmp_path))
    text = TEXT.replace("bits(4)", "bits(3)")
    quant_ste.compile(text, cache=False)
    assert not list(tmp_path.iterdir())
    assert not quant_ste.compile(text).is_from_cache
    assert list(tmp_path.iterdir())


def test_load_packed_bits(tmp_path):
    """A result of as many bytes as an argument's rows have bits."""
    module = quant_ste.compile("""
func.func @keep(%m: tensor<?x?x7xi1>) -> tensor<?x?xi8> {
  %b = quant_ste.pack_bits %m row_dims(2) : tensor<?x?x7xi1> -> tensor<?x?xi8>
  return %b : tensor<?x?xi8>
}
""")
    module.save(tmp_path / "keep.so")
    library = quant_ste.load(tmp_path / "keep.so")
    mask = np.random.default_rng(0).random((3, 5, 7)) < 0.5
    want = np.packbits(mask.reshape(3, 35), axis=-1, bitorder="little").view(np.int8)
    for keep in (module.keep, library.keep):
        np.testing.assert_array_equal(keep(mask), want)
        out = np.empty((3, 5), np.int8)
        assert keep(mask, out=out) is out
        np.testing.assert_array_equal(out, want)
        with pytest.raises(quant_ste.Error, match="expected 3x5xi8.* got 3x4xi8"):
            keep(mask, out=np.empty((3, 4), np.int8))
