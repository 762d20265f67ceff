"""Registers the table with torch's dispatcher, from C++ where the binary fits."""
from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, Callable

import torch
from torch import Tensor
from torch.compiler import is_dynamo_compiling

from ._table import OPS, get_text

#: The namespace of the ops: ``torch.ops.quant_ste``.
OP_NAMESPACE = "quant_ste"


def _register() -> str:
    """$QUANT_STE_TORCH_OPS=python chooses the slower form, for tests."""
    try:
        if os.environ.get("QUANT_STE_TORCH_OPS") == "python":
            raise ImportError("asked for by QUANT_STE_TORCH_OPS")
        from . import _ops
    except ImportError as error:
        from . import _fallback
        for op in OPS:
            _fallback.define(op)
        return f"Python, for torch {torch.__version__} ({error})"
    for op in OPS:
        _ops.define(op.name, op.forward_schema, op.backward_schema, op.traits(),
                    op.promotes, op.gives_float, op.save_schema, op.packed_backward_schema,
                    op.packing(), functools.partial(get_text, op))
    return f"C++, for torch {_ops.TORCH_VERSION}"


#: How the ops are registered.
REGISTRATION = _register()


class _Functions:
    if TYPE_CHECKING:
        def __getattr__(self, name: str) -> Callable[..., Tensor]: ...


#: The ops of the table by name, as `bind` makes them.
FUNCTIONS = _Functions()


def bind(names: list[str], call: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The ops ``names`` (overloads of one) as a function that is short in eager mode. ``call``
    is torch's way to them: what torch.compile sees, and what gets all unusual arguments."""
    if not REGISTRATION.startswith("C++"):
        short = call
    else:
        from . import _ops
        short = _ops.bind_op(names, call)

    def function(*args: Any, **kwargs: Any) -> Tensor:
        if is_dynamo_compiling():
            return call(*args, **kwargs)
        return short(*args, **kwargs)

    return function


def set_gpu_options(options: str) -> None:
    """Options of quant-ste-gpu-pipeline for kernels that are not compiled yet; for tests."""
    if REGISTRATION.startswith("C++"):
        from . import _ops
        _ops.set_gpu_options(options)
    else:
        from . import _fallback
        _fallback.gpu_options = options
