"""What is installed, and what it would use."""
from __future__ import annotations

import importlib.metadata
import os
import pathlib
import platform

from . import _native


def version() -> str:
    """The library's version, LLVM's, the target and the processor."""
    return _native.version()


def info() -> dict[str, str]:
    """What a report of a problem should say: versions, processor, GPU, threads, and
    which form of the torch ops is in use."""
    found = {
        "quant_ste": version(),
        "python": f"{platform.python_version()} ({platform.machine()})",
        "package": str(pathlib.Path(__file__).parent),
        "threads": os.environ.get("OMP_NUM_THREADS", str(os.cpu_count())),
    }
    try:
        found["gpu"] = _native.device_chip()
    except _native.Error as error:
        found["gpu"] = f"none ({error})"
    for name in ("numpy", "torch", "brevitas", "bitorch", "ml_dtypes", "onnx", "qonnx"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    if found["torch"] != "not installed":
        from .torch import REGISTRATION
        found["torch ops"] = REGISTRATION
    return found
