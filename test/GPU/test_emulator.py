"""What the emulated driver finds: kernels that are wrong, written by hand."""
import ctypes
import platform
import shutil
import struct
import subprocess

import pytest

import emulation

if platform.machine() != "x86_64":
    pytest.skip("the emulated driver needs x86-64", allow_module_level=True)
LLVM_AS = shutil.which("llvm-as-22") or shutil.which("llvm-as", path="/usr/lib/llvm-22/bin")
if not LLVM_AS:
    pytest.skip("there is no llvm-as of LLVM 22", allow_module_level=True)

KERNELS = """
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
declare i32 @llvm.nvvm.shfl.sync.bfly.i32(i32, i32, i32, i32)

; Some threads are done before the others are at the barrier.
define ptx_kernel void @barrier(ptr %p, i32 %n) {
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %some = icmp ult i32 %t, %n
  br i1 %some, label %yes, label %no
yes:
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  br label %no
no:
  ret void
}

; Some threads of a warp are at a shuffle, of which the result is stored.
define ptx_kernel void @shuffle(ptr %p, i32 %n) {
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %some = icmp ult i32 %t, %n
  br i1 %some, label %yes, label %no
yes:
  %v = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %t, i32 5, i32 31)
  %at = getelementptr i32, ptr %p, i32 %t
  store i32 %v, ptr %at
  br label %no
no:
  ret void
}

; The block that comes last wins.
define ptx_kernel void @race(ptr %p, i32 %n) {
  %b = call i32 @llvm.nvvm.read.ptx.sreg.ctaid.x()
  store i32 %b, ptr %p
  ret void
}

; One element, wherever it is.
define ptx_kernel void @write(ptr %p, i32 %n) {
  %at = getelementptr i8, ptr %p, i32 %n
  store i8 0, ptr %at
  ret void
}
"""


@pytest.fixture(scope="module")
def cuda():
    """The driver's library, and launch(kernel, grid, block, address, number)."""
    library = emulation.Driver().library
    code = subprocess.run([LLVM_AS, "-o", "-", "-"], input=KERNELS.encode(), check=True,
                          capture_output=True).stdout
    image = struct.pack("<5I", 0x0B17C0DE, 0, 20, len(code), 0) + code
    module = ctypes.c_void_p()
    assert library.cuModuleLoadDataEx(ctypes.byref(module), image, 0, None, None) == 0

    def launch(kernel, grid, block, address, number):
        function = ctypes.c_void_p()
        assert library.cuModuleGetFunction(ctypes.byref(function), module, kernel.encode()) == 0
        values = ctypes.c_uint64(address), ctypes.c_int32(number)
        arguments = (ctypes.c_void_p * 2)(*(ctypes.addressof(v) for v in values))
        code = library.cuLaunchKernel(function, grid, 1, 1, block, 1, 1, 0, None, arguments, None)
        text = ctypes.c_char_p()
        if code:
            library.cuGetErrorString(code, ctypes.byref(text))
        return text.value
    library.launch = launch
    return library


def allocate(cuda, size):
    address = ctypes.c_uint64()
    assert cuda.cuMemAllocAsync(ctypes.byref(address), ctypes.c_size_t(size), None) == 0
    return address.value


def free(cuda, address):
    return cuda.cuMemFreeAsync(ctypes.c_uint64(address), None)


def test_barrier(cuda):
    assert cuda.launch("barrier", 2, 256, 0, 256) is None
    assert cuda.launch("barrier", 2, 256, 0, 0) is None
    # Whole warps, or part of one.
    for some in (32, 100):
        assert cuda.launch("barrier", 2, 256, 0, some) == b"threads of a block diverge at a barrier"


def test_shuffle(cuda):
    p = allocate(cuda, 256)
    assert cuda.launch("shuffle", 1, 64, p, 64) is None
    values = list((ctypes.c_int32 * 64).from_address(p))
    assert values == [t ^ 5 for t in range(64)]
    assert cuda.launch("shuffle", 1, 64, p, 32) is None  # a whole warp
    assert cuda.launch("shuffle", 1, 64, p, 33) == b"threads of a warp diverge at a shuffle"
    assert free(cuda, p) == 0


def test_order_of_blocks(cuda):
    """No order is every launch's: a result that depends on it shows in a few."""
    p, last = allocate(cuda, 4), set()
    for _ in range(8):
        assert cuda.launch("race", 16, 1, p, 0) is None
        last.add(ctypes.c_int32.from_address(p).value)
    assert len(last) > 1
    assert free(cuda, p) == 0


def test_memory(cuda):
    """New memory is NaNs; what is written before or behind a buffer shows when it is freed."""
    p = allocate(cuda, 100)
    assert (ctypes.c_uint8 * 100).from_address(p)[:] == [0xFF] * 100
    assert cuda.launch("write", 1, 1, p, 99) is None
    assert free(cuda, p) == 0
    for wrong in (100, -1, 255 + 100):
        p = allocate(cuda, 100)
        assert cuda.launch("write", 1, 1, p, wrong) is None
        assert free(cuda, p) == 1
    assert free(cuda, p) == 1  # twice


def test_geometry(cuda):
    for grid, block in ((0, 32), (1, 0), (1, 1025)):
        assert cuda.launch("race", grid, block, 0, 0) == b"invalid argument"
