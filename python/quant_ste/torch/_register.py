"""Registers the table with torch's dispatcher, from C++ where the binary fits."""
from __future__ import annotations

import functools

import torch

from ._table import OPS, get_text

#: The namespace of the ops: ``torch.ops.quant_ste``.
OP_NAMESPACE = "quant_ste"


def _register() -> str:
    try:
        from . import _ops
    except ImportError as error:
        raise ImportError(
            f"quant_ste.torch was not built for torch {torch.__version__}: install quant_ste "
            f"again where this torch is ({error})") from error
    for op in OPS:
        _ops.define(op.name, op.forward_schema, op.backward_schema, op.traits(),
                    op.promotes, op.gives_float, functools.partial(get_text, op))
    return f"C++, for torch {_ops.TORCH_VERSION}"


#: How the ops are registered.
REGISTRATION = _register()
