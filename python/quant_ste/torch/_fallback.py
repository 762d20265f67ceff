"""The table registered from Python, where no binary fits this torch.

Slower by a few dozen microseconds a call, the same kernels: operands that are not one
value are expanded to the shape of x, and their gradients summed afterwards.
"""
from __future__ import annotations

import functools
from typing import Any, Callable, Sequence

import torch
from torch import Tensor

from .. import _module, _native
from ._table import Arg, BAKED, ELEMENT, ONE, Op, get_text

_NAMES = {torch.float16: "f16", torch.bfloat16: "bf16", torch.float32: "f32",
          torch.float64: "f64"}
#: Never destroyed: ops live as long as the process.
_LIBRARY = torch.library.Library("quant_ste", "FRAGMENT")


#: Options of quant-ste-gpu-pipeline for kernels that are not compiled yet.
gpu_options = ""


@functools.lru_cache(maxsize=None)
def _compiled(op: Op, target: str, *key: Any) -> _module.Function:
    return _module.compile(get_text(op, *key), target,
                           pipeline=gpu_options if target != "cpu" else "").kernel


@functools.lru_cache(maxsize=None)
def _target(device: torch.device) -> str:
    if device.type == "cpu":
        return "cpu"
    try:
        return f"cuda:{_native.device_chip(device.index or 0)}"
    except _native.Error as error:
        raise RuntimeError(f"quant_ste: {error}") from None


def _kernel(op: Op, device: torch.device, *key: Any) -> _module.Function:
    return _compiled(op, _target(device), *key)


def _split(op: Op, args: Sequence[Any]) -> tuple[list[Any], list[Any], int | None]:
    """(operands and numbers, words, axis) of a call."""
    operands: list[Any] = []
    words: list[Any] = []
    axis = None
    for arg, value in zip(op.arguments, args):
        if arg.kind == "word":
            words.append(value)
        elif arg.kind == "axis":
            axis = value
        else:
            operands.append(value)
    return operands, words, axis


def _align(p: Tensor, x: Tensor, axis: int | None) -> Tensor:
    """One-dimensional operands of an op with an axis run along that."""
    if axis is None or p.dim() != 1:
        return p
    sizes = [1] * x.dim()
    sizes[axis] = p.numel()
    return p.reshape(sizes)


def _plan(op: Op, args: Sequence[Any], wanted: Sequence[int] = ()
          ) -> tuple[Tensor, list[Tensor | None], int | None, tuple[Any, ...]]:
    """x and the parameters as a kernel reads them, and the kernel's key."""
    operands, words, axis = _split(op, args)
    x, bake = operands[0], dict(op.bake)
    dtype = x.dtype
    if op.promotes:
        for p in operands[1:]:
            dtype = torch.result_type(x, p) if p.dim() >= x.dim() or dtype == x.dtype else dtype
    if dtype not in _NAMES:
        raise TypeError(f"quant_ste::{op.name}: expected x of float16, bfloat16, float32 or "
                        f"float64, got {dtype}")
    aligned = [_align(p, x, axis) if isinstance(p, Tensor) else p for p in operands[1:]]
    shapes = [p.shape for p in aligned if isinstance(p, Tensor)
              and not (p.numel() == 1 and p.dim() <= x.dim())]
    shape = torch.broadcast_shapes(x.shape, *shapes)
    data = x.expand(shape).to(dtype).contiguous()
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    names = [a.name for a in op.arguments if a.kind in ("operand", "number")]
    given: list[Tensor | None] = []
    described: list[tuple[int, str, float]] = []
    for i, p in enumerate(aligned, 1):
        if not isinstance(p, Tensor):
            given.append(torch.full((), float(p), dtype=wide, device=x.device))
            described.append((ONE, _NAMES[wide], 0.0))
            continue
        on_host = p.device.type == "cpu"
        if p.device != x.device and not (on_host and p.dim() == 0):
            raise RuntimeError(f"quant_ste::{op.name}: expected operands on one device, got "
                               f"{x.device} and {p.device}")
        kept = dtype if p.dtype == dtype or dtype == torch.float64 else torch.float32
        choice = bake.get(names[i], "never")
        # The value of what is on a GPU takes a wait.
        if p.numel() == 1 and choice != "never" and i not in wanted and on_host:
            value = float(p)
            if choice == "always" or value == 0:
                given.append(None)
                described.append((BAKED, _NAMES[wide], value))
                continue
        if p.numel() == 1:
            given.append(p.reshape(()).to(x.device, kept))
            described.append((ONE, _NAMES[kept], 0.0))
        else:
            given.append(p.expand(shape).to(kept).contiguous().reshape(-1))
            described.append((ELEMENT, _NAMES[kept], 0.0))
    return data, given, axis, (_NAMES[dtype], 0, tuple(described), tuple(words))


def _forward(op: Op, *args: Any) -> Tensor:
    x, given, _, key = _plan(op, args)
    y = torch.empty_like(x)
    _kernel(op, x.device, False, *key, ())(x.detach().reshape(-1), *(p for p in given if p is not None),
                                 y.view(-1))
    return y.float() if op.gives_float else y


def _backward(op: Op, dy: Tensor, *rest: Any) -> list[Tensor]:
    *args, wrt = rest
    operands, _, _ = _split(op, args)
    tensors = [i for i, p in enumerate(operands) if isinstance(p, Tensor)]
    positions = [tensors[i] for i in wrt]
    x, given, axis, key = _plan(op, args, positions)
    gradients = [torch.empty_like(x.view(-1) if p == 0 else given[p - 1]) for p in positions]
    order = sorted(range(len(positions)), key=positions.__getitem__)
    cotangent = dy.to(x.dtype).expand(x.shape).contiguous().view(-1)
    _kernel(op, x.device, True, *key, tuple(positions[i] for i in order))(
        x.reshape(-1), *(p for p in given if p is not None), cotangent,
        *(gradients[i] for i in order))
    finished = []
    for position, gradient in zip(positions, gradients):
        p = operands[position]
        if gradient.numel() == x.numel() and gradient.dim():
            aligned = _align(p, operands[0], axis) if position else p
            gradient = gradient.view(x.shape).sum_to_size(aligned.shape)
        finished.append(gradient.reshape(p.shape).to(p.dtype))
    return finished


def _meta(op: Op, *args: Any) -> Tensor:
    operands, _, axis = _split(op, args)
    x: Tensor = operands[0]
    dtype = x.dtype
    tensors = [p for p in operands if isinstance(p, Tensor)]
    if op.promotes:
        for p in tensors[1:]:
            dtype = torch.result_type(x, p)
    shape = x.shape if axis is not None else torch.broadcast_shapes(
        *(p.shape for p in tensors if p is x or p.dim()))
    return x.new_empty(shape, dtype=torch.float32 if op.gives_float else dtype)


def _autograd(op: Op) -> tuple[Callable[..., None], Callable[..., tuple[Any, ...]]]:
    traits = [t for t, a in zip(op.traits(), op.arguments) if a.kind == "operand"]
    name, _, overload = op.name.partition(".")

    def setup(ctx: Any, inputs: tuple[Any, ...],
              keyword_only_inputs: dict[str, Any] | None = None, output: Any = None) -> None:
        values = [*inputs, *(keyword_only_inputs or {}).values()]
        tensors = [v for v in values if isinstance(v, Tensor)]
        ctx.save_for_backward(*tensors)
        ctx.values = [None if isinstance(v, Tensor) else v for v in values]

    def backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
        saved = iter(ctx.saved_tensors)
        args = [next(saved) if a.kind == "operand" else v
                for a, v in zip(op.arguments, ctx.values)]
        tensors = [a for a in args if isinstance(a, Tensor)]
        slots = [i for i, a in enumerate(op.arguments) if a.kind == "operand"]
        results: list[Tensor | None] = [None] * len(tensors)
        wrt: list[int] = []
        for i, (t, trait) in enumerate(zip(tensors, traits)):
            if slots[i] >= len(ctx.needs_input_grad) or not ctx.needs_input_grad[slots[i]]:
                continue
            if trait[1] == "pass":
                results[i] = dy.sum_to_size(t.shape).to(t.dtype)
            elif trait[1] == "zero":
                results[i] = torch.zeros_like(t)
            elif trait[1] == "kernel":
                wrt.append(i)
        if wrt:
            packet = getattr(torch.ops.quant_ste, f"{name}_backward")
            computed = getattr(packet, overload or "default")(dy, *args, wrt)
            for i, gradient in zip(wrt, computed):
                results[i] = gradient
        found = iter(results)
        positional = [a for a in op.arguments if not a.keyword_only]
        return tuple(next(found) if a.kind == "operand" else None for a in positional)

    return setup, backward


def define(op: Op) -> None:
    """Registers one entry of the table."""
    name, _, overload = op.name.partition(".")
    tags = (torch.Tag.pt2_compliant_tag,)
    _LIBRARY.define(op.forward_schema, tags=tags)

    def forward(*args: Any, **given: Any) -> Tensor:
        missing = op.arguments[len(args):]
        return _forward(op, *args, *(given.get(a.name, _default(a)) for a in missing))

    def meta(*args: Any, **given: Any) -> Tensor:
        missing = op.arguments[len(args):]
        return _meta(op, *args, *(given.get(a.name, _default(a)) for a in missing))

    for device in ("CPU", "CUDA"):
        _LIBRARY.impl(op.name, forward, device)
    torch.library.register_fake(f"quant_ste::{op.name}", meta, lib=_LIBRARY)
    if op.backward_schema:
        backward_name = f"{name}_backward" + (f".{overload}" if overload else "")
        _LIBRARY.define(op.backward_schema, tags=tags)
        for device in ("CPU", "CUDA"):
            _LIBRARY.impl(backward_name, lambda *args: _backward(op, *args), device)
        torch.library.register_fake(
            f"quant_ste::{backward_name}",
            lambda dy, *args: [torch.empty_like([a for a in args[:-1]
                                                 if isinstance(a, Tensor)][i])
                               for i in args[-1]], lib=_LIBRARY)
    setup, backward = _autograd(op)
    torch.library.register_autograd(f"quant_ste::{op.name}", backward, setup_context=setup,
                                    lib=_LIBRARY)


def _default(arg: Arg) -> Any:
    text = arg.default
    if text is None:
        raise TypeError(f"expected {arg.name}")
    if arg.type == "bool":
        return text == "True"
    return text.strip("'") if arg.type == "str" else float(text) if arg.type == "float" \
        else int(text)
