"""Replace the functions of a library in this process."""
from __future__ import annotations

import contextlib
import functools
import importlib
import sys
from typing import Any, Callable, Iterator

import torch

from . import _functions

_OPS = ("binary_sign", "round_to_zero", "dpu_round", "tensor_clamp", "max_int", "min_int")
# What the functions of brevitas.function.ops_ste call.
_IMPLS = ("round_ste_impl", "binary_sign_ste_impl", "ternary_sign_ste_impl", "floor_ste_impl",
          "ceil_ste_impl", "round_to_zero_ste_impl", "dpu_round_ste_impl",
          "scalar_clamp_min_ste_impl", "scalar_clamp_ste_impl", "tensor_clamp_ste_impl",
          "tensor_clamp_ste_impl_", "abs_binary_sign_grad_impl")
_BITORCH = {"quantizations.sign": ("SignFunction",),
            "quantizations.approx_sign": ("ApproxSignFunction",),
            "quantizations.ste_heaviside": ("SteHeavisideFunction",),
            "quantizations.swish_sign": ("SwishSignFunction",),
            "quantizations.progressive_sign": ("ProgressiveSignFunctionTrain", "SignFunction"),
            "quantizations.dorefa": ("InputDoReFaFunction", "WeightDoReFaFunction"),
            "layers.pact": ("PactActFn",)}


@contextlib.contextmanager
def _replaced(package: str, replacements: dict[Any, Any]) -> Iterator[list[str]]:
    """Wherever a loaded module of the package holds a key of `replacements`, by identity,
    it holds the value for the duration."""
    by_id = {id(old): new for old, new in replacements.items()}
    undo = []
    for name, module in list(sys.modules.items()):
        if module is None or not (name == package or name.startswith(package + ".")):
            continue
        for key, value in list(vars(module).items()):
            new = by_id.get(id(value))
            if new is not None:
                undo.append((module, key, value))
                setattr(module, key, new)
    try:
        yield sorted({key for _, key, _ in undo})
    finally:
        for module, key, value in reversed(undo):
            setattr(module, key, value)


def _unless_traced(new: Callable[..., Any], old: Callable[..., Any]) -> Callable[..., Any]:
    """`new`, but `old` where the ops of ATen are what is wanted: torch.onnx and
    torch.jit.trace do not know ours."""
    @functools.wraps(new)
    def call(*args: Any, **kwargs: Any) -> Any:
        if torch.onnx.is_in_onnx_export() or torch.jit.is_tracing():  # type: ignore
            return old(*args, **kwargs)
        return new(*args, **kwargs)

    return call


@contextlib.contextmanager
def patch_brevitas() -> Iterator[list[str]]:
    """While active, what Brevitas' straight-through functions call, and its clamps, are
    those of quant_ste, in every module of Brevitas that is loaded. Gives their names.

    An export to ONNX and torch.jit.trace still see Brevitas' own. Needs Brevitas' Python
    form (BREVITAS_JIT=0, its default).
    """
    ops = importlib.import_module("brevitas.function.ops")
    impls = importlib.import_module("brevitas.ops.autograd_ste_ops")
    replacements = {}
    for module, names in ((ops, _OPS), (impls, _IMPLS)):
        for name in names:
            old = getattr(module, name)
            replacements[old] = _unless_traced(getattr(_functions, name), old)
    with _replaced("brevitas", replacements) as replaced:
        yield replaced


@contextlib.contextmanager
def patch_bitorch() -> Iterator[list[str]]:
    """While active, bitorch's quantization functions are those of quant_ste. Gives their
    names."""
    replacements = {}
    for path, names in _BITORCH.items():
        module = importlib.import_module(f"bitorch.{path}")
        for name in names:
            replacements[getattr(module, name)] = getattr(_functions, name)
    with _replaced("bitorch", replacements) as replaced:
        yield replaced
