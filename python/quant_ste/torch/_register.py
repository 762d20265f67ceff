"""Registers the table with torch's dispatcher, from C++ where the binary fits."""
from __future__ import annotations

import functools

from ._table import OPS, Op, get_text

#: The namespace of the ops: ``torch.ops.quant_ste``.
OP_NAMESPACE = "quant_ste"


def _register_native() -> None:
    from . import _ops
    for op in OPS:
        _ops.define(op.name, op.forward_schema, op.backward_schema, op.traits(),
                    op.promotes, op.gives_float, functools.partial(get_text, op))


def register() -> str:
    """Says how: "C++", or "Python" and why."""
    _register_native()
    return "C++"
