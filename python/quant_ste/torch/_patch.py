"""Replace the functions of a library in this process."""
from __future__ import annotations

import contextlib
import functools
import importlib
import sys
import types
from typing import Any, Callable, Iterator

import torch

from . import _functions

_OPS = ("binary_sign", "round_to_zero", "dpu_round", "tensor_clamp", "max_int", "min_int")
# What the functions of brevitas.function.ops_ste call, and what each of these calls: in
# torch, or by the name that the module has imported.
_IMPLS = {"round_ste_impl": "torch.round", "binary_sign_ste_impl": "binary_sign",
          "ternary_sign_ste_impl": "torch.sign", "floor_ste_impl": "torch.floor",
          "ceil_ste_impl": "torch.ceil", "round_to_zero_ste_impl": "round_to_zero",
          "dpu_round_ste_impl": "dpu_round", "scalar_clamp_min_ste_impl": "torch.clamp_min",
          "scalar_clamp_ste_impl": "torch.clamp", "tensor_clamp_ste_impl": "tensor_clamp",
          "tensor_clamp_ste_impl_": "tensor_clamp_",
          "abs_binary_sign_grad_impl": "torch.abs"}
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


class _Callee:
    """What a function of a library looks up and calls, as it is when `remember` is called."""

    def __init__(self, module: types.ModuleType, name: str) -> None:
        package, _, self.name = name.rpartition(".")
        self.module = sys.modules[package] if package else module
        self.known: Any = None

    def remember(self) -> None:
        self.known = getattr(self.module, self.name)

    def is_known(self) -> bool:
        return getattr(self.module, self.name) is self.known


def _standing_back(new: Callable[..., Any], old: Callable[..., Any],
                   callee: _Callee | None = None) -> Callable[..., Any]:
    """`new`, but `old` where the ops of ATen are what is wanted (torch.onnx and
    torch.jit.trace do not know ours), and where somebody has since replaced what `old`
    calls."""
    @functools.wraps(new)
    def call(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            stands_back = torch.onnx.is_in_onnx_export()  # takes longer than an op
        else:
            stands_back = (torch.jit.is_tracing()  # type: ignore
                           or callee is not None and not callee.is_known())
        return (old if stands_back else new)(*args, **kwargs)

    return call


@contextlib.contextmanager
def patch_brevitas() -> Iterator[list[str]]:
    """While active, what Brevitas' straight-through functions call, and its clamps, are
    those of quant_ste, in every module of Brevitas that is loaded. Gives their names.

    An export to ONNX and torch.jit.trace still see Brevitas' own, and so does who replaces
    what one of Brevitas' functions calls, torch.round say, while the patch is active. Needs
    Brevitas' Python form (BREVITAS_JIT=0, its default).
    """
    ops = importlib.import_module("brevitas.function.ops")
    impls = importlib.import_module("brevitas.ops.autograd_ste_ops")
    replacements = {getattr(ops, name): _standing_back(getattr(_functions, name),
                                                       getattr(ops, name))
                    for name in _OPS}
    callees = [_Callee(impls, name) for name in _IMPLS.values()]
    for name, callee in zip(_IMPLS, callees):
        old = getattr(impls, name)
        replacements[old] = _standing_back(getattr(_functions, name), old, callee)
    with _replaced("brevitas", replacements) as replaced:
        for callee in callees:
            callee.remember()
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
