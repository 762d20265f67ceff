"""The Python package on an emulated GPU, whose memory is that of the host."""
import gc
import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import emulation

if platform.machine() != "x86_64":
    pytest.skip("the emulated driver needs x86-64", allow_module_level=True)
PACKAGE = Path(os.environ["QUANT_STE_C_LIBRARY"]).resolve().parents[1] / "python"
if importlib.util.find_spec("quant_ste") is None:
    if not PACKAGE.exists():
        pytest.skip("the Python package is not built", allow_module_level=True)
    sys.path.insert(0, str(PACKAGE))
import quant_ste

TEXT = """
func.func @f(%x: tensor<?xf32>, %a: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}
func.func @g(%x: tensor<?x3xbf16>, %n: i64, %s: f32) -> (tensor<?x3xbf16>, i64, f32) {
  %y = quant_ste.floor %x grad(ste) : tensor<?x3xbf16>
  %two = arith.addi %n, %n : i64
  return %y, %two, %s : tensor<?x3xbf16>, i64, f32
}
// The size of the result is known to the call alone.
func.func @h(%x: tensor<?xf32>, %n: index) -> tensor<?xf32> {
  %y = tensor.extract_slice %x[0] [%n] [1] : tensor<?xf32> to tensor<?xf32>
  %z = quant_ste.round %y grad(ste) : tensor<?xf32>
  return %z : tensor<?xf32>
}
"""
SAVED = TEXT.partition("// The size")[0]
X = np.linspace(-1, 8, 1003, dtype=np.float32)


@pytest.fixture(scope="module")
def module():
    return quant_ste.compile(TEXT, target="cuda:sm_90", pipeline="bitcode", cache=False)


@pytest.fixture(scope="module")
def on_cpu():
    return quant_ste.compile(TEXT, cache=False)


@pytest.fixture
def driver():
    driver = emulation.Driver()
    driver.log()
    yield driver
    gc.collect()
    assert driver.live_buffers() == 0


def wrap(array, *names):
    """An object that has these of the array's attributes alone."""
    return type("Other", (), {n: (lambda self, *a, _n=n, **k: getattr(array, _n)(*a, **k))
                              if callable(getattr(array, n)) else getattr(array, n)
                              for n in names})()


def test_call(module, on_cpu, driver):
    x, alpha = quant_ste.to_device(X), quant_ste.to_device(np.float32(6))
    assert module.is_for_gpu and repr(x) == "<quant_ste.DeviceArray 1003xf32 on GPU 0>"
    driver.log()
    y = module.f(x, alpha)
    log = driver.log()
    assert isinstance(y, quant_ste.DeviceArray) and y.shape == X.shape
    assert not any("Memcpy" in line or "Synchronize" in line for line in log), log
    np.testing.assert_array_equal(y.numpy(), on_cpu.f(X, 6.0))
    # Numbers go there by themselves.
    np.testing.assert_array_equal(module.f(x, 6.0).numpy(), on_cpu.f(X, 6.0))
    np.testing.assert_array_equal(module.f(x, np.float32(6)).numpy(), on_cpu.f(X, 6.0))
    assert module.f(quant_ste.to_device(X[:0]), 6.0).numpy().shape == (0,)


def test_derivative(module, on_cpu, driver):
    x, dy = quant_ste.to_device(X), quant_ste.to_device(np.ones_like(X))
    got = module.vjp("f")(x, 6.0, dy)
    for have, want in zip(got, on_cpu.vjp("f")(X, 6.0, np.ones_like(X))):
        np.testing.assert_array_equal(have.numpy(), want)


def test_scalars_and_bf16(module, driver):
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    x = X[:6].reshape(2, 3).astype(ml_dtypes.bfloat16)
    y, n, s = module.g(quant_ste.to_device(x), 21, 0.5)
    assert (y.element, n, s) == ("bf16", 42, 0.5)
    np.testing.assert_array_equal(y.numpy(), np.floor(x))


def test_result_of_unknown_size(module, driver):
    x = quant_ste.to_device(X)
    y = module.h(x, 5)
    np.testing.assert_array_equal(y.numpy(), np.round(X[:5]))
    out = quant_ste.to_device(np.zeros(5, np.float32))
    assert module.h(x, 5, out=out) is out
    np.testing.assert_array_equal(out.numpy(), np.round(X[:5]))


def test_stream(module, driver):
    x = quant_ste.to_device(X, stream=77)
    module.f(x, 6.0)  # of the argument
    module.f(x, 6.0, stream=78)
    module.f(x, 6.0, stream=type("Stream", (), {"cuda_stream": 79})())
    del x
    log = [line for line in driver.log() if line.startswith("cuLaunch")]
    assert [line.rpartition("stream=")[2] for line in log] == ["77)", "78)", "79)"]


def test_device(module, driver):
    """The work goes to the arguments' GPU, and the thread's context stays."""
    x = quant_ste.to_device(X, device=1)
    log = driver.log()
    assert "cuDevicePrimaryCtxRetain(1)" in log or "cuDeviceGet(1)" in log
    y = module.f(x, 6.0)
    assert y.device == 1
    with pytest.raises(quant_ste.CallError, match=r"expected arguments on one GPU, got GPUs \[0, 1\]"):
        module.f(x, quant_ste.to_device(np.float32(6)))
    with pytest.raises(quant_ste.Error, match="GPU number 7: invalid device ordinal"):
        quant_ste.to_device(X, device=7)


def test_other_libraries(module, on_cpu, driver):
    x, want = quant_ste.to_device(X), on_cpu.f(X, 6.0)
    for other in (wrap(x, "__cuda_array_interface__"),
                  wrap(x, "__dlpack__", "__dlpack_device__")):
        np.testing.assert_array_equal(module.f(other, 6.0).numpy(), want)
    # A library with a namespace has results of its own kind.
    namespace = type("Namespace", (), {"from_dlpack": staticmethod(lambda a: ("theirs", a))})
    other = wrap(x, "__dlpack__", "__dlpack_device__")
    type(other).__array_namespace__ = lambda self: namespace
    kind, y = module.f(other, 6.0)
    assert kind == "theirs"
    np.testing.assert_array_equal(y.numpy(), want)
    strided = dict(x.__cuda_array_interface__, strides=(8,), shape=(500,))
    with pytest.raises(TypeError, match="argument #0: expected an array without gaps"):
        module.f(type("Other", (), {"__cuda_array_interface__": strided})(), 6.0)
    del other, kind, y


def test_out(module, on_cpu, driver):
    x, out = quant_ste.to_device(X), quant_ste.to_device(np.zeros_like(X))
    assert module.f(x, 6.0, out=out) is out
    np.testing.assert_array_equal(out.numpy(), on_cpu.f(X, 6.0))
    with pytest.raises(quant_ste.CallError, match="expected out to overlap no argument"):
        module.f(x, 6.0, out=x)
    with pytest.raises(quant_ste.CallError,
                       match="out for result #0: expected 1003xf32, got 1003xf64"):
        module.f(x, 6.0, out=quant_ste.to_device(X.astype(np.float64)))
    with pytest.raises(quant_ste.CallError, match="expected out to have 1 arrays, got 2"):
        module.f(x, 6.0, out=(out, out))


@pytest.mark.parametrize("make, text", [
    (lambda: X, r"argument #0: expected memory of the GPU, got an array of the host "
                r"\(numpy.ndarray\): copy it there by quant_ste.to_device\(x\)"),
    (lambda: pytest.importorskip("torch", reason="torch is not installed").ones(3),
     r"argument #0: .* \(torch.Tensor\): copy it there by x.cuda\(\)"),
    (lambda: [1.0], r"argument #0: .* \(builtins.list\)"),
])
def test_arrays_of_the_host(make, text, module, driver):
    with pytest.raises(TypeError, match=text):
        module.f(make(), 6.0)


def test_errors(module, driver):
    x = quant_ste.to_device(X)
    with pytest.raises(quant_ste.CallError, match="expected 2 arguments, got 1"):
        module.f(x)
    with pytest.raises(quant_ste.CallError, match=r"argument #0 of @f: expected \?xf32, got 2x3xf32"):
        module.f(quant_ste.to_device(X[:6].reshape(2, 3)), 6.0)
    driver.fail("cuLaunchKernel", 1)
    with pytest.raises(quant_ste.CallError, match="kernel 'f_.*': invalid argument"):
        module.f(x, 6.0)
    for argument, size in ((quant_ste.to_device(np.float32(6)), 4012), (6.0, 4)):
        driver.fail("cuMemAllocAsync", 2)
        with pytest.raises(quant_ste.Error,
                           match=f"cuMemAllocAsync of {size} bytes: out of memory"):
            module.f(x, argument)
    with pytest.raises(TypeError, match="does not become one of numpy by itself"):
        np.asarray(x)
    with pytest.raises(TypeError, match="expected a module for a GPU to have a stream"):
        quant_ste.compile(TEXT, cache=False).f(X, 6.0, stream=1)
    with pytest.raises(ValueError, match="expected target 'cpu', 'cuda' or 'cuda:<chip>'"):
        quant_ste.compile(TEXT, target="opencl")
    with pytest.raises(quant_ste.CompileError, match=r"expected a chip \(sm_75, .*got 'sm_1'"):
        quant_ste.compile(TEXT, target="cuda:sm_1", cache=False)


def test_the_chip_of_the_machine(driver):
    driver.library.emulated_set_capability(103)
    try:
        module = quant_ste.compile(TEXT, target="cuda", pipeline="ptx=88", cache=False)
    finally:
        driver.library.emulated_set_capability(90)
    stages = module.stages()
    assert list(stages) == list(quant_ste.GPU_PHASES)
    # To ask made no context.
    assert not any("Ctx" in line for line in driver.log())
    assert ".target sm_103" in stages["llvm"] and "gpu.module" in stages["kernels"]


def test_save_and_load(module, on_cpu, driver, tmp_path):
    saved = quant_ste.compile(SAVED, target="cuda:sm_90", pipeline="bitcode", cache=False)
    saved.save(tmp_path / "f.ll", vjp=["f"])
    assert "quant_ste_cuda_enter" in (tmp_path / "f.ll").read_text()
    saved.save(tmp_path / "f.so", vjp=["f"])
    library = quant_ste.load(tmp_path / "f.so")
    assert library.is_for_gpu and library.f.signature == module.f.signature
    x = quant_ste.to_device(X)
    driver.log()
    np.testing.assert_array_equal(library.f(x, 6.0, stream=5).numpy(), on_cpu.f(X, 6.0))
    assert any("stream=5" in line for line in driver.log() if "Launch" in line)
    for have, want in zip(library.f_vjp(x, 6.0, x), on_cpu.vjp("f")(X, 6.0, X)):
        np.testing.assert_array_equal(have.numpy(), want)
    y, n, s = library.g(quant_ste.DeviceArray((2, 3), "bf16"), 21, 0.5)
    assert (y.shape, n, s) == ((2, 3), 42, 0.5)
    with pytest.raises(quant_ste.CallError, match=r"argument #0: expected \?xf32, got 2x3xbf16"):
        library.f(y, 6.0)
    driver.fail("cuLaunchKernel", 1)
    with pytest.raises(quant_ste.CallError, match="kernel 'f_.*invalid argument"):
        library.f(x, 6.0)
    del x, y


def test_save_kernels(tmp_path):
    module = quant_ste.compile(SAVED, target="cuda:sm_90", cache=False)
    module.save(tmp_path / "f.ptx")
    assert ".target sm_90" in (tmp_path / "f.ptx").read_text()
    with pytest.raises(quant_ste.CompileError, match="a fatbin has room for several"):
        module.save(tmp_path / "g.ptx", "cuda:sm_80+sm_90")
    with pytest.raises(quant_ste.CompileError, match=r"ends in .o, .so, .s, .ll, .ptx"):
        module.save(tmp_path / "g.exe")


def test_cache(tmp_path, driver, on_cpu):
    def compile():
        return quant_ste.compile(TEXT, target="cuda:sm_90", pipeline="bitcode", cache=tmp_path)
    assert not compile().is_from_cache
    quant_ste._module._compiled.cache_clear()
    again = compile()
    assert again.is_from_cache
    np.testing.assert_array_equal(again.f(quant_ste.to_device(X), 6.0).numpy(),
                                  on_cpu.f(X, 6.0))


def test_without_a_driver():
    """In a process of its own: a driver that was not found is not looked for again."""
    program = f"""
import sys; sys.path.insert(0, {str(PACKAGE)!r})
import numpy as np, quant_ste
module = quant_ste.compile({TEXT!r}, target="cuda", cache=False)
try:
    quant_ste.to_device(np.ones(3, np.float32))
except quant_ste.Error as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                         env={**os.environ, "QUANT_STE_LIBCUDA": "/nowhere/libcuda.so"})
    assert run.stdout.startswith(
        "there is no CUDA driver on this machine: /nowhere/libcuda.so: cannot open"), run.stderr
