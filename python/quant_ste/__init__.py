"""Fake quantizers with declared gradients, compiled.

    import numpy as np, quant_ste

    module = quant_ste.compile('''
      func.func @f(%x: tensor<?xf32>, %alpha: tensor<f32>) -> tensor<?xf32> {
        %y = quant_ste.pact %x, %alpha bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
        return %y : tensor<?xf32>
      }''')
    x, alpha = np.linspace(-1, 8, 10, dtype=np.float32), np.float32(6)
    y = module.f(x, alpha)
    y, dx, dalpha = module.vjp("f")(x, alpha, np.ones_like(x))

Arguments are numpy arrays, torch tensors, or whatever has ``__dlpack__`` and lies
in the memory of the CPU; results are of the same kind. Nothing is copied but
what has gaps. ``compile(text, target="cuda")`` makes functions of arrays on an
NVIDIA GPU.

``quant_ste.torch`` has the quantizers as ops of PyTorch, ``quant_ste.build`` writes
modules from Python.
"""

from typing import Any

from ._errors import CallError, CompileError, Diagnostic, Error
from ._device import DeviceArray, to_device
from ._module import (GPU_PHASES, PHASES, Function, Module, ValueType, compile,
                      set_thread_count)
from ._library import Library, load
from ._info import info, version

__all__ = [
    "CallError", "CompileError", "DeviceArray", "Diagnostic", "Error", "Function",
    "GPU_PHASES", "Library", "Module", "PHASES", "ValueType", "compile", "info", "load",
    "set_thread_count", "to_device", "version",
]
__version__ = version().split()[0]


def __getattr__(name: str) -> Any:
    # Each needs a package that is not always there.
    if name in ("build", "torch", "qonnx", "plot"):
        import importlib
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
