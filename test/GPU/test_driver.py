"""What the runtime asks of the driver, and what it says when that fails."""
import ctypes
import platform

import numpy as np
import pytest

import emulation
import quant_ste_ctypes
from test_gpu_kernels import int_quant

if platform.machine() != "x86_64":
    pytest.skip("the emulated driver needs x86-64", allow_module_level=True)

PACT = """
  func.func @f(%x: tensor<?xf32>, %a: tensor<f32>) -> tensor<?xf32> {
    %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
    return %y : tensor<?xf32>
  }"""


@pytest.fixture
def driver():
    driver = emulation.Driver()
    emulation.compile(PACT).call(None, np.zeros(1, np.float32), np.float32(1))  # is loaded
    driver.log()
    return driver


def only(log, function):
    return [line for line in log if line.startswith(function)]


def test_launches(driver):
    module = emulation.compile(PACT)
    x = np.zeros(10000, np.float32)
    module.call(None, x, np.float32(1))
    log = driver.log()
    # 4096 elements a block.
    assert only(log, "cuLaunchKernel") == ["cuLaunchKernel(f_aligned grid=3 block=256 stream=0)"]
    assert len(only(log, "cuModuleLoadDataEx")) == 1
    assert len(only(log, "cuStreamSynchronize")) == 1 and log.index(
        "cuStreamSynchronize(stream=0)") > log.index("cuMemcpyDtoHAsync(40000 stream=0)")
    assert driver.live_buffers() == 0
    # Loaded once; nothing to do is no launch.
    module.call(None, x, np.float32(1))
    log = driver.log()
    assert not only(log, "cuModule") and len(only(log, "cuLaunchKernel")) == 1
    module.call(None, x[:0], np.float32(1))
    assert not only(driver.log(), "cuLaunchKernel")


def test_temporaries_come_from_the_pool(driver):
    """Allocated and freed in the order of the stream; the pool keeps some for the next call."""
    module = emulation.compile(int_quant(1, (), "f32"))
    x, p = np.zeros(9000, np.float32), (np.float32(1), np.float32(1), np.float32(3))
    module.call(None, x, *p, x)
    log = driver.log()
    allocated, freed = only(log, "cuMemAllocAsync"), only(log, "cuMemFreeAsync")
    # Arguments and results, and one buffer of partial sums.
    assert len(allocated) == len(freed) > 7 and all(
        line.endswith("stream=0)") for line in allocated + freed), log
    finish = next(i for i, line in enumerate(log) if "finish" in line)
    # Partial sums are freed after the kernel that adds them, before anybody waits.
    waits = log.index("cuStreamSynchronize(stream=0)")
    assert any(line.startswith("cuMemFreeAsync") for line in log[finish:waits]), log
    assert not only(log, "cuMemPoolSetAttribute")  # once
    driver.library.emulated_kept.restype = ctypes.c_uint64
    assert driver.library.emulated_kept() == 256 << 20


def test_sums_have_a_second_kernel(driver):
    module = emulation.compile(int_quant(1, (), "f32"))
    p = np.float32(1), np.float32(1), np.float32(3)
    for n, kernels in ((4096, 1), (4097, 2)):
        module.call(None, np.zeros(n, np.float32), *p, np.zeros(n, np.float32))
        launches = only(driver.log(), "cuLaunchKernel(f")
        assert sum("finish" in line for line in launches) == kernels - 1, launches


@pytest.mark.parametrize("function, code, text", [
    ("cuModuleLoadDataEx", 200, "loading kernels (line 1: no such op): device kernel image is invalid"),
    ("cuModuleGetFunction", 500, "kernel 'f_aligned': named symbol not found"),
    ("cuLaunchKernel", 1, "kernel 'f_aligned': invalid argument"),
    ("cuMemAllocAsync", 2, "cuMemAllocAsync of 40 bytes: out of memory"),
    ("cuMemcpyHtoDAsync", 1, "cuMemcpyHtoDAsync: invalid argument"),
    ("cuMemcpyDtoHAsync", 1, "cuMemcpyDtoHAsync: invalid argument"),
    ("cuStreamSynchronize", 1, "cuStreamSynchronize: invalid argument"),
])
def test_errors(driver, function, code, text):
    module = emulation.compile(PACT)
    x = np.arange(10, dtype=np.float32)
    driver.fail(function, code)
    with pytest.raises(quant_ste_ctypes.Error) as error:
        module.call(None, x, np.float32(4))
    assert str(error.value) == text
    assert driver.live_buffers() == 0
    # The error is gone, and so is its cause.
    y, = module.call(None, x, np.float32(4))
    assert y[9] == 4


def test_contexts(driver):
    """Code is loaded once for each context, and the caller's stays what it is."""
    module = emulation.compile(PACT)
    x, contexts = np.arange(10, dtype=np.float32), [ctypes.c_int(1), ctypes.c_int(2)]

    def loads(context):
        driver.library.emulated_set_context(ctypes.byref(context) if context else None)
        y, = module.call(None, x, np.float32(4))
        assert y[9] == 4
        log = driver.log()
        assert not context or not only(log, "cuCtxSetCurrent")
        return len(only(log, "cuModuleLoadDataEx"))
    assert [loads(c) for c in (*contexts, *contexts, None, None)] == [1, 1, 0, 0, 1, 0]
