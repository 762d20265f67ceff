"""A module of torch as a module of MLIR, by way of torch.export."""
from __future__ import annotations

import operator
import re
from typing import Any, Callable, Sequence

import numpy as np
import torch

from .. import _module, build
from .._errors import Error
from ..build import Builder, Type, Value
from ._table import ONE, OPS, Kernel

__all__ = ["Exported", "export"]

_ELEMENTS = {torch.float16: "f16", torch.bfloat16: "bf16", torch.float32: "f32",
             torch.float64: "f64", torch.int64: "i64", torch.bool: "i1"}
_OPS = {op.name: op for op in OPS}


class Exported:
    """``text``: a module with ``@main``, which takes the inputs and then the parameters and
    buffers by their names, ``parameters``."""

    def __init__(self, text: str, parameters: dict[str, torch.Tensor]):
        self.text, self.parameters = text, parameters

    def compile(self, **options) -> _module.Module:
        return _module.compile(self.text, **options)

    def save(self, path) -> None:
        """Writes the text."""
        with open(path, "w") as file:
            file.write(self.text)


def export(module: torch.nn.Module, example_inputs: Sequence[Any]) -> Exported:
    """The module for inputs of these shapes, as MLIR. Raises `Error` with the names of the
    ops that have no form.

        exported = quant_ste.torch.export(model, (x,))
        y, *gradients = exported.compile().vjp("main")(x, *exported.parameters.values(), dy)
    """
    program = torch.export.export(module, tuple(example_inputs))
    return _Export(program).run()


class _Export:
    def __init__(self, program):
        self.program, self.builder = program, Builder()
        self.values: dict[str, Any] = {}
        self.arguments: list[Value] = []
        self.parameters: dict[str, torch.Tensor] = {}

    def run(self) -> Exported:
        nodes = list(self.program.graph_module.graph.nodes)
        missing = sorted({str(n.target) for n in nodes if n.op == "call_function"
                          and _form_of(n.target) is None})
        if missing:
            raise Error(f"export: no form for {', '.join(missing)}")
        signature = self.program.graph_signature
        stored = {**signature.inputs_to_parameters, **signature.inputs_to_buffers,
                  **signature.inputs_to_lifted_tensor_constants}
        tensors = {**dict(self.program.state_dict), **dict(self.program.constants)}
        placeholders = [n for n in nodes if n.op == "placeholder"]
        for node in sorted(placeholders, key=lambda n: n.name in stored):
            self._placeholder(node, stored, tensors)
        results: list[Value] = []
        for node in nodes:
            if node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                results = [self.values[n.name] for n in node.args[0]]
        text = build.render("main", self.arguments, self.builder, results)
        return Exported(text, self.parameters)

    def _placeholder(self, node, stored, tensors) -> None:
        value = node.meta["val"]
        name = stored.get(node.name)
        if name is not None and not tensors[name].is_floating_point():
            self.values[node.name] = self.builder.array(tensors[name].numpy())
            return
        if value.dtype not in _ELEMENTS:
            raise Error(f"export: no element type for {value.dtype} of {node.name!r}")
        spelled = re.sub(r"\W", "_", name or node.name)
        argument = Value(self.builder, f"%arg_{spelled}",
                         Type(_ELEMENTS[value.dtype], tuple(map(int, value.shape))))
        self.arguments.append(argument)
        self.values[node.name] = argument
        if name is not None:
            self.parameters[name] = tensors[name].detach()

    def _call(self, node) -> None:
        read = torch.fx.node.map_arg
        arguments = read(node.args, lambda n: self.values[n.name])
        keywords = read(node.kwargs, lambda n: self.values[n.name])
        try:
            self.values[node.name] = _form_of(node.target)(self.builder, *arguments, **keywords)
        except TypeError as error:
            raise Error(f"export: {node.target} ({node.name}): {error}") from None


#===----------------------------------------------------------------------===#
# Forms
#===----------------------------------------------------------------------===#


def _form_of(target) -> Callable | None:
    if target in (operator.getitem,):
        return lambda b, values, i: values[i]
    name = str(target)
    if name.startswith("quant_ste."):
        spelled = name[len("quant_ste."):].removesuffix(".default")
        return _quantizer(_OPS[spelled]) if spelled in _OPS else None
    return _FORMS.get(name.removeprefix("aten."))


def _quantizer(op) -> Callable:
    """An op of the table."""
    def form(b: Builder, *args, **keywords):
        operands, words, axis = [], [], None
        given = list(args)
        for arg in op.arguments:
            if given:
                value = given.pop(0)
            elif arg.name in keywords:
                value = keywords[arg.name]
            else:
                value = _default(arg)
            if arg.kind == "word":
                words.append(value)
            elif arg.kind == "axis":
                axis = value
            else:
                operands.append(value)
        x = operands[0]
        if op.gives_float and x.type.element != "f32":
            raise TypeError(f"expected data of f32, got {x.type}")
        element = "f64" if x.type.element == "f64" else "f32"
        operands = [o if isinstance(o, Value) else b.constant(float(o), Type(element))
                    for o in operands]
        if axis is not None:
            operands = [o.along(axis % len(x.shape)) if i and len(o.shape) == 1 else o
                        for i, o in enumerate(operands)]
        for i, o in enumerate(operands):
            if i and not o.type.is_float:
                raise TypeError(f"expected float parameters, got {o.type}")
        kernel = Kernel(op, x.type.element, 0, tuple((ONE, o.type.element, 0.0)
                                                     for o in operands[1:]), tuple(words))
        if op.body is not None:
            raise TypeError("no form of one op")
        return b.quantizer(op.op, *operands, spelled=kernel.render_words())
    return form


def _default(arg):
    text = arg.default
    if text is None:
        raise TypeError(f"expected {arg.name}")
    if arg.type == "bool":
        return text == "True"
    if arg.type == "str":
        return text.strip("'")
    return int(text) if arg.type == "int" else float(text)


def _binary(op: str):
    def form(b, x, y, *, alpha=1):
        return b.binary(op, x, y if alpha == 1 else y * float(alpha))
    return form


def _unary(op: str):
    return lambda b, x, *_, **__: b.unary(op, x)


def _linear(b, x, w, bias=None):
    lead = x.shape[:-1]
    y = b.reshape(x, (-1, x.shape[-1])) if len(lead) != 1 else x
    y = y @ w.transpose(1, 0)
    y = y if bias is None else y + bias
    return b.reshape(y, (*lead, w.shape[0])) if len(lead) != 1 else y


def _addmm(b, bias, x, y):
    return x @ y + bias


def _pair(value):
    return tuple(value) if isinstance(value, (list, tuple)) and len(value) == 2 else (
        (value[0],) * 2 if isinstance(value, (list, tuple)) else (value, value))


def _conv2d(b, x, w, bias=None, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    if isinstance(padding, str):
        raise TypeError(f"expected padding as numbers, got {padding!r}")
    y = b.conv2d(x, w, _pair(stride), tuple((p, p) for p in _pair(padding)), _pair(dilation),
                 groups)
    return y if bias is None else y + b.reshape(bias, (1, w.shape[0], 1, 1))


def _max_pool2d(b, x, size, stride=(), padding=0, dilation=1, ceil_mode=False):
    if ceil_mode:
        raise TypeError("expected ceil_mode=False")
    size = _pair(size)
    return b.pool("max", x, size, _pair(stride) if stride else size,
                  tuple((p, p) for p in _pair(padding)), _pair(dilation))


def _avg_pool2d(b, x, size, stride=(), padding=0, ceil_mode=False, count_include_pad=True,
                divisor_override=None):
    if ceil_mode or divisor_override or (any(_pair(padding)) and not count_include_pad):
        raise TypeError("expected no ceil_mode, divisor or uncounted padding")
    size = _pair(size)
    total = b.pool("sum", x, size, _pair(stride) if stride else size,
                   tuple((p, p) for p in _pair(padding)))
    return total / float(size[0] * size[1])


def _relu(b, x):
    return build.where(x <= 0.0, 0.0, x)  # NaN stays


def _flatten(b, x, start=0, end=-1):
    rank = len(x.shape)
    start, end = start % rank, end % rank
    return b.reshape(x, (*x.shape[:start], int(np.prod(x.shape[start:end + 1])),
                         *x.shape[end + 1:]))


def _transpose(b, x, first, second):
    order = list(range(len(x.shape)))
    order[first], order[second] = order[second], order[first]
    return b.transpose(x, order)


def _permute(b, x, order):
    return b.transpose(x, [d % len(x.shape) for d in order])


def _mean(b, x, dims=None, keepdim=False):
    dims = [d % len(x.shape) for d in (dims or range(len(x.shape)))]
    total = x.sum(*dims) / float(np.prod([x.shape[d] for d in dims]))
    if not keepdim:
        return total
    return b.reshape(total, [1 if d in dims else n for d, n in enumerate(x.shape)])


def _sigmoid(b, x):
    return 1.0 / (1.0 + (-x).exp())


_FORMS: dict[str, Callable] = {
    **{f"{name}.{kind}": _binary(op) for kind in ("Tensor", "Scalar") for name, op in
       (("add", "addf"), ("sub", "subf"), ("mul", "mulf"), ("div", "divf"))},
    "neg.default": _unary("arith.negf"), "exp.default": _unary("math.exp"),
    "log.default": _unary("math.log"), "tanh.default": _unary("math.tanh"),
    "sqrt.default": _unary("math.sqrt"), "abs.default": _unary("math.absf"),
    "relu.default": _relu, "relu_.default": _relu, "sigmoid.default": _sigmoid,
    "linear.default": _linear, "addmm.default": _addmm,
    "mm.default": lambda b, x, y: x @ y, "matmul.default": lambda b, x, y: x @ y,
    "conv2d.default": _conv2d, "max_pool2d.default": _max_pool2d,
    "avg_pool2d.default": _avg_pool2d, "flatten.using_ints": _flatten,
    "reshape.default": lambda b, x, sizes: b.reshape(x, sizes),
    "view.default": lambda b, x, sizes: b.reshape(x, sizes),
    "t.default": lambda b, x: _transpose(b, x, 0, 1), "transpose.int": _transpose,
    "permute.default": _permute, "mean.dim": _mean, "mean.default": _mean,
    "softmax.int": lambda b, x, dim, dtype=None: b.softmax(x, dim),
    "dropout.default": lambda b, x, p, train: _dropout(x, train),
    "contiguous.default": lambda b, x, **_: x, "clone.default": lambda b, x, **_: x,
    "alias.default": lambda b, x: x, "detach.default": lambda b, x:
        b.unary("quant_ste.detach", x),
}


def _dropout(x, train):
    if train:
        raise TypeError("expected a module in evaluation")
    return x
