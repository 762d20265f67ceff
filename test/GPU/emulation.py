"""Kernels on the processor: the emulated driver in place of libcuda.so.1."""
import ctypes
import os
from pathlib import Path

import quant_ste_ctypes

DRIVER = (Path(os.environ.get("QUANT_STE_C_LIBRARY", "")).parent /
          "libquant-ste-emulated-cuda.so")
CUBLAS = DRIVER.with_name("libquant-ste-emulated-cublas.so")
os.environ["QUANT_STE_LIBCUDA"] = str(DRIVER)
os.environ["QUANT_STE_LIBCUBLAS"] = str(CUBLAS)


def compile(text, chip="sm_90", options=""):
    return quant_ste_ctypes.compile(text, target=f"cuda:{chip}",
                                    pipeline_options=f"bitcode {options}")


class Driver:
    """What the driver was asked for."""

    def __init__(self):
        self.library = ctypes.CDLL(str(DRIVER))
        self.library.emulated_log.restype = ctypes.c_char_p

    def log(self):
        return self.library.emulated_log().decode().splitlines()

    def fail(self, function, code):
        self.library.emulated_fail(function.encode(), code)

    def live_buffers(self):
        return self.library.emulated_live()


class Cublas:
    """What cuBLAS was asked for."""

    def __init__(self):
        self.library = ctypes.CDLL(str(CUBLAS))
        self.library.emulated_cublas_log.restype = ctypes.c_char_p

    def log(self):
        return self.library.emulated_cublas_log().decode().splitlines()

    def fail(self, function, status):
        self.library.emulated_cublas_fail(function.encode(), status)
