"""Compiled kernels, hand-written streams, and clocks for both.

An *implementation* is anything with `time(repeats) -> seconds`.
"""
import ctypes
import itertools
import os
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
LIBRARIES = pathlib.Path(os.environ.get("QUANT_STE_BENCHMARK_LIBRARIES",
                                        ROOT / "build/release/lib"))
os.environ.setdefault("QUANT_STE_C_LIBRARY", str(LIBRARIES / "libQuantSTE-C.so"))
# Threads that have nothing to do spin for 200 ms, and whoever is measured next
# pays for it. torch brings an OpenMP of its own, so there are two pools.
os.environ.setdefault("KMP_BLOCKTIME", "1")
sys.path.insert(0, str(ROOT / "test/Conformance"))

import numpy as np  # noqa: E402

import quant_ste_ctypes as quant_ste  # noqa: E402


class Failed(Exception):
    """A result is wrong, or a call failed."""


def use_warm_allocator():
    """Memory that was freed is used again and stays mapped, for everybody."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        m_trim_threshold, m_mmap_max = -1, -4
        return bool(libc.mallopt(m_mmap_max, 0)
                    and libc.mallopt(m_trim_threshold, 2 ** 31 - 1))
    except OSError:
        return False


_staggers = itertools.cycle(range(0, 4096, 5 * 64))


def aligned(shape, dtype):
    """An array on a cache line, every page touched. Arrays begin at different
    places of a page: at equal ones, a store hides later loads of the other."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = np.empty(size + 2 * 4096, np.uint8)
    memory[::4096] = 0
    start = -memory.ctypes.data % 4096 + next(_staggers)
    return memory[start:start + size].view(dtype).reshape(shape)


# ===----------------------------------------------------------------------===
# Streams
# ===----------------------------------------------------------------------===

class _Stream(ctypes.Structure):
    _fields_ = [("reads", ctypes.c_void_p * 2), ("write", ctypes.c_void_p),
                ("bytes", ctypes.c_int64), ("kind", ctypes.c_int32),
                ("threads", ctypes.c_int32), ("narrow", ctypes.c_int32)]


def _load_streams():
    path = LIBRARIES / "libquant_ste_streams.so"
    if not path.exists():
        raise SystemExit(
            f"error: no {path}: build the preset 'release' first (cmake --preset release "
            f"&& cmake --build --preset release), or say where it is in "
            f"QUANT_STE_BENCHMARK_LIBRARIES")
    lib = ctypes.CDLL(str(path))
    lib.quant_ste_stream_has.argtypes = [ctypes.c_int32, ctypes.c_bool]
    lib.quant_ste_stream_has.restype = ctypes.c_bool
    lib.quant_ste_time_stream.argtypes = [ctypes.POINTER(_Stream), ctypes.c_int64,
                                          ctypes.c_bool]
    lib.quant_ste_time_stream.restype = ctypes.c_double
    lib.quant_ste_time_calls.argtypes = [
        ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32,
        ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64]
    lib.quant_ste_time_calls.restype = ctypes.c_double
    return lib


_streams = None


def streams():
    global _streams
    if _streams is None:
        _streams = _load_streams()
    return _streams


KINDS = ("memcpy", "vectors", "non-temporal")


def narrowing(reads, write):
    """How many bytes are read of an array for each that is written."""
    return reads[0].nbytes // max(1, write.nbytes)


class Stream:
    """Reads one array or two and writes one of the same number of bytes; or reads one
    and writes one of a half or a quarter of them."""

    def __init__(self, kind, reads, write, threads, allocate=False):
        self.kind, self.threads, self.allocate = kind, threads, allocate
        self._alive = (reads, write)
        narrow = narrowing(reads, write)
        assert narrow in (1, 2, 4) and len(reads) in ((1, 2) if narrow == 1 else (1,))
        assert all(r.nbytes == write.nbytes * narrow for r in reads)
        pointers = [r.ctypes.data for r in reads] + [None] * (2 - len(reads))
        self._stream = _Stream((ctypes.c_void_p * 2)(*pointers), write.ctypes.data,
                               write.nbytes, KINDS.index(kind), threads, narrow)

    def time(self, repeats):
        seconds = streams().quant_ste_time_stream(
            ctypes.byref(self._stream), repeats, self.allocate)
        if seconds < 0:
            raise Failed("out of memory")
        return seconds


def all_streams(reads, write, threads, allocate=False):
    """Every way to write these bytes with at most so many threads."""
    return [Stream(kind, reads, write, t, allocate)
            for t in sorted({1, threads}) for i, kind in enumerate(KINDS)
            if streams().quant_ste_stream_has(
                i, len(reads) == 1 and narrowing(reads, write) == 1)]


# ===----------------------------------------------------------------------===
# Compiled functions
# ===----------------------------------------------------------------------===

class Compiled:
    """A function of a compiled module with its arguments, called from C."""

    def __init__(self, module, name, arguments):
        lib = quant_ste.library()
        self._module = module
        self._function = module._lookup(name)
        self._wrapped = [quant_ste._wrap(a) for a in arguments]
        self._arrays = (quant_ste._Array * len(arguments))(
            *(w[0] for w in self._wrapped))
        self._call = ctypes.cast(lib.call, ctypes.c_void_p)
        self._free = ctypes.cast(lib.results_free, ctypes.c_void_p)

    def check_call(self):
        """One call, which says what is wrong."""
        lib = quant_ste.library()
        lib.results_free(quant_ste._checked(
            lib.call, self._module._handle, self._function, self._arrays,
            len(self._arrays)))

    def time(self, repeats):
        seconds = streams().quant_ste_time_calls(
            self._call, self._free, self._module._handle, self._function,
            self._arrays, len(self._arrays), repeats)
        if seconds < 0:
            self.check_call()
            raise Failed("a call failed once and then succeeded")
        return seconds


class Python:
    """A Python function without arguments."""

    def __init__(self, function):
        self.function = function

    def time(self, repeats):
        function = self.function
        start = time.perf_counter()
        for _ in range(repeats):
            function()
        return time.perf_counter() - start


# ===----------------------------------------------------------------------===
# Clocks
# ===----------------------------------------------------------------------===

class Clock:
    """Samples of one implementation, each long enough for the clock."""

    def __init__(self, implementation, sample=2e-4):
        self.implementation = implementation
        implementation.time(1)
        once = max(implementation.time(1), 1e-9)
        self.repeats = max(1, min(100000, round(sample / once)))
        self.samples = []

    def sample(self):
        seconds = self.implementation.time(self.repeats) / self.repeats
        self.samples.append(seconds)
        return seconds

    @property
    def minimum(self):
        return min(self.samples)

    @property
    def median(self):
        return statistics.median(self.samples)


def best_of(clocks, rounds=3):
    """The clock with the shortest sample."""
    for _ in range(rounds):
        for clock in clocks:
            clock.sample()
    best = min(clocks, key=lambda clock: clock.minimum)
    for clock in clocks:
        clock.samples.clear()
    return best


def interleave(clocks, rounds, budget=float("inf"), fewest=3):
    """One sample of each, in turn, there and back; fewer rounds than asked only
    where they take longer than `budget` seconds."""
    end = time.perf_counter() + budget
    for i in range(rounds):
        for clock in clocks if i % 2 == 0 else reversed(clocks):
            clock.sample()
        if i + 1 >= fewest and time.perf_counter() > end:
            break
