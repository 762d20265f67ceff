"""QONNX models as modules that run and differentiate.

    python -m quant_ste import model.onnx -o model.mlir

    from quant_ste import qonnx
    model = qonnx.read("model.onnx", parameters=True)
    y, *gradients = model.compile().vjp("main")(x, *model.parameters.values(), dy)

Needs ``onnx``. Quantizers become ops of the dialect where one has the same numbers, and
are composed otherwise; an op that is not known is an `Unsupported`, which names it. Sizes
must be known, or given as ``sizes`` by the names that the model has for them.
"""
from __future__ import annotations

import dataclasses
import os
from typing import Any, Callable

import numpy as np

from . import _module, build
from ._errors import Error
from .build import Builder, Type, Value

__all__ = ["Model", "Unsupported", "read"]


class Unsupported(Error):
    """A node of the graph that has no form here."""


@dataclasses.dataclass
class Model:
    """``text``: a module with ``@main``; ``parameters``: what it takes after the inputs."""

    text: str
    inputs: list[str]
    parameters: dict[str, np.ndarray]

    def compile(self, **options) -> _module.Module:
        return _module.compile(self.text, **options)


def read(model: Any, parameters: bool = False, sizes: dict[str, int] | None = None) -> Model:
    """A path or a ``ModelProto`` (or qonnx's ``ModelWrapper``) as a `Model`.

    ``parameters``: the float tensors stored in the model become arguments, to be
    differentiated; else they are constants. What chooses a rounding or a shape always is.
    """
    import onnx
    if isinstance(model, (str, os.PathLike)):
        model = onnx.load(os.fspath(model))
    return _Import(getattr(model, "model", model), parameters, sizes or {}).run()


_ELEMENTS = {1: "f32", 7: "i64", 9: "i1", 10: "f16", 11: "f64", 16: "bf16"}


class _Import:
    def __init__(self, model, parameters: bool, sizes: dict[str, int]):
        from onnx import numpy_helper
        self.graph, self.takes_parameters, self.sizes = model.graph, parameters, sizes
        self.constants = {i.name: numpy_helper.to_array(i) for i in self.graph.initializer}
        self.versions = {o.domain: o.version for o in model.opset_import}
        self.builder = Builder()
        self.values: dict[str, Value] = {}
        self.arguments: list[Value] = []
        self.parameters: dict[str, np.ndarray] = {}

    def run(self) -> Model:
        inputs = [i for i in self.graph.input if i.name not in self.constants]
        for i in inputs:
            tensor = i.type.tensor_type
            if tensor.elem_type not in _ELEMENTS:
                raise Unsupported(f"input {i.name!r}: no element type for ONNX's "
                                  f"{tensor.elem_type}")
            shape = tuple(self._size(d) for d in tensor.shape.dim)
            self.values[i.name] = self._argument(Type(_ELEMENTS[tensor.elem_type], shape))
        for node in self.graph.node:
            self._visit(node)
        results = [self.value(o.name) for o in self.graph.output]
        text = build.render("main", self.arguments, self.builder, results)
        return Model(text, [i.name for i in inputs], self.parameters)

    def _size(self, dim) -> int | None:
        if dim.HasField("dim_value"):
            return dim.dim_value
        return self.sizes.get(dim.dim_param)

    def _argument(self, type: Type) -> Value:
        value = Value(self.builder, f"%arg{len(self.arguments)}", type)
        self.arguments.append(value)
        return value

    # Operands.

    def value(self, name: str) -> Value:
        """A tensor of the graph as a value."""
        if name in self.values:
            return self.values[name]
        if name not in self.constants:
            raise Unsupported(f"tensor {name!r} comes from no node")
        array = self.constants[name]
        if self.takes_parameters and array.dtype.kind == "f":
            element = {"float16": "f16", "float32": "f32", "float64": "f64"}[array.dtype.name]
            self.values[name] = self._argument(Type(element, array.shape))
            self.parameters[name] = array
        else:
            self.values[name] = self.builder.array(array)
        return self.values[name]

    def constant(self, node, i: int) -> np.ndarray:
        """An operand whose value must be stored in the model."""
        name = node.input[i]
        if name not in self.constants:
            raise Unsupported(f"{self._describe(node)}: expected input {i} ({name!r}) to be "
                              "a constant")
        return self.constants[name]

    def _describe(self, node) -> str:
        return (f"{node.domain or 'ai.onnx'}.{node.op_type}"
                + (f" ({node.name})" if node.name else ""))

    # Nodes.

    def _visit(self, node) -> None:
        from onnx import helper
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        attributes = {k: v.decode() if isinstance(v, bytes) else v
                      for k, v in attributes.items()}
        visit: Callable | None = _NODES.get(node.op_type)
        if visit is None:
            raise Unsupported(f"{self._describe(node)}: no form for this op")
        try:
            result = visit(self, node, attributes)
        except TypeError as error:
            raise Unsupported(f"{self._describe(node)}: {error}") from None
        if isinstance(result, np.ndarray):
            self.constants[node.output[0]] = result
        else:
            self.values[node.output[0]] = result


#===----------------------------------------------------------------------===#
# Quantizers
#===----------------------------------------------------------------------===#


def _straight(forward) -> Callable:
    return build.rule(forward, partials=lambda x, y: 1.0)


def _sign(x: Value) -> Value:
    return build.where(x < 0, -1.0, build.where(x > 0, 1.0, x))


def round_up(x):
    return _sign(x) * abs(x).ceil()


def round_half_up(x):
    return _sign(x) * (abs(x) + 0.5).floor()


def round_half_down(x):
    return _sign(x) * (abs(x) - 0.5).ceil()


# QONNX's modes: the word of the dialect, or a rule.
_WORDS = {"ROUND": "round", "HALF_EVEN": "round", "CEIL": "ceil", "FLOOR": "floor",
          "DOWN": "round_to_zero"}
_RULES = {"UP": round_up, "HALF_UP": round_half_up, "HALF_DOWN": round_half_down}


def _round(x: Value, mode: str) -> Value:
    """With a straight-through gradient."""
    if mode in _WORDS:
        return x.builder.quantizer(_WORDS[mode], x, grad="ste")
    if mode in _RULES:
        return _straight(_RULES[mode])(x)
    raise TypeError(f"expected one of QONNX's rounding modes, got {mode!r}")


def _bounds(bits: np.ndarray, signed: bool, narrow: bool) -> tuple[np.ndarray, np.ndarray]:
    bits = np.asarray(bits, np.float64)
    if signed:
        return -(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1
    return 0 * bits, 2 ** bits - 1 - narrow


def _quant(self: _Import, node, attributes):
    mode = attributes.get("rounding_mode", "ROUND").upper()
    signed, narrow = bool(attributes.get("signed", 1)), bool(attributes.get("narrow", 0))
    x, scale = self.value(node.input[0]), self.value(node.input[1])
    bits = self.constants.get(node.input[3])
    if bits is not None and signed and np.all(bits == 1):
        zero = self.constant(node, 2)
        if np.any(zero != 0):
            raise TypeError("expected a zero point of 0 with one signed bit")
        return self.builder.quantizer("binary_quant", x, scale, grad="ste")
    zero_point = self.builder.array(self.constants[node.input[2]]) \
        if node.input[2] in self.constants else self.value(node.input[2])
    if mode in _WORDS:
        width = self.builder.array(np.float32(bits.ravel()[0])) if bits is not None and \
            bits.size == 1 else self.value(node.input[3])
        return self.builder.quantizer("int_quant", x, scale, zero_point, width, signed=signed,
                                      narrow_range=narrow, rounding=_WORDS[mode],
                                      grad="clipped")
    low, high = _bounds(self.constant(node, 3), signed, narrow)
    y = x / scale + zero_point
    y = self.builder.quantizer("tensor_clamp", y, self.builder.array(np.float32(low)),
                               self.builder.array(np.float32(high)), grad="exact")
    return (_round(y, mode) - zero_point) * scale


def _bipolar(self, node, attributes):
    return self.builder.quantizer("binary_quant", self.value(node.input[0]),
                                  self.value(node.input[1]), grad="ste")


def _trunc(self: _Import, node, attributes):
    mode = attributes.get("rounding_mode", "FLOOR").upper()
    x, scale, zero_point = (self.value(n) for n in node.input[:3])
    y = _round(x / scale + zero_point, "ROUND")
    if len(node.input) == 5:  # version 1: the scale stays
        step = 2.0 ** (self.constant(node, 3) - self.constant(node, 4))
        y = _round(y * self.builder.array(np.float32(1 / step)), mode)
        return (y - zero_point) * scale
    step = 2.0 ** np.round(np.log2(self.constant(node, 4) / self.constant(node, 1)))
    low, high = _bounds(self.constant(node, 5), bool(attributes.get("signed", 1)),
                        bool(attributes.get("narrow", 0)))
    shrink = self.builder.array(np.float32(1 / step))  # a power of two: exact
    y = self.builder.quantizer("tensor_clamp", y * shrink, self.builder.array(np.float32(low)),
                               self.builder.array(np.float32(high)), grad="exact")
    return (_round(y, mode) - zero_point * shrink) * self.value(node.input[4])


#===----------------------------------------------------------------------===#
# What is around them
#===----------------------------------------------------------------------===#


def _binary(op: str):
    def visit(self, node, attributes):
        return self.builder.binary(op, self.value(node.input[0]), self.value(node.input[1]))
    return visit


def _unary(op: str):
    return lambda self, node, attributes: self.builder.unary(op, self.value(node.input[0]))


def _relu(self, node, attributes):
    x = self.value(node.input[0])
    return build.where(x <= 0.0, 0.0, x)  # NaN stays


def _sigmoid(self, node, attributes):
    return 1.0 / (1.0 + (-self.value(node.input[0])).exp())


def _gemm(self, node, attributes):
    a, b = self.value(node.input[0]), self.value(node.input[1])
    a = a.transpose(1, 0) if attributes.get("transA") else a
    b = b.transpose(1, 0) if attributes.get("transB") else b
    y = a @ b
    if attributes.get("alpha", 1.0) != 1.0:
        y = y * attributes["alpha"]
    if len(node.input) < 3 or not node.input[2]:
        return y
    c = self.value(node.input[2])
    return y + (c * attributes["beta"] if attributes.get("beta", 1.0) != 1.0 else c)


def _matmul(self, node, attributes):
    return self.value(node.input[0]) @ self.value(node.input[1])


def _windows(attributes, size):
    if attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise TypeError(f"expected auto_pad NOTSET, got {attributes['auto_pad']}")
    if len(size) != 2:
        raise TypeError(f"expected two dimensions, got {len(size)}")
    if attributes.get("ceil_mode"):
        raise TypeError("expected ceil_mode 0")
    pads = attributes.get("pads", [0] * 4)
    return (attributes.get("strides", [1, 1]), ((pads[0], pads[2]), (pads[1], pads[3])),
            attributes.get("dilations", [1, 1]))


def _conv(self, node, attributes):
    x, w = self.value(node.input[0]), self.value(node.input[1])
    strides, padding, dilations = _windows(attributes, w.shape[2:])
    y = self.builder.conv2d(x, w, strides, padding, dilations, attributes.get("group", 1))
    if len(node.input) > 2 and node.input[2]:
        y = y + self.builder.reshape(self.value(node.input[2]), (1, w.shape[0], 1, 1))
    return y


def _max_pool(self, node, attributes):
    size = attributes["kernel_shape"]
    return self.builder.pool("max", self.value(node.input[0]), size,
                             *_windows(attributes, size))


def _average_pool(self, node, attributes):
    size = attributes["kernel_shape"]
    strides, padding, dilations = _windows(attributes, size)
    if any(map(any, padding)) and not attributes.get("count_include_pad"):
        raise TypeError("expected no padding, or count_include_pad")
    total = self.builder.pool("sum", self.value(node.input[0]), size, strides, padding,
                              dilations)
    return total / float(size[0] * size[1])


def _global_average(self, node, attributes):
    x = self.value(node.input[0])
    total = x.sum(*range(2, len(x.shape))) / float(np.prod(x.shape[2:]))
    return total.reshape(*x.shape[:2], *[1] * (len(x.shape) - 2))


def _batch_norm(self, node, attributes):
    x = self.value(node.input[0])
    shape = (1, x.shape[1], *[1] * (len(x.shape) - 2))
    gamma, beta, mean, variance = (self.builder.reshape(self.value(n), shape)
                                   for n in node.input[1:5])
    deviation = (variance + float(attributes.get("epsilon", 1e-5))).sqrt()
    return (x - mean) / deviation * gamma + beta


def _reshape(self, node, attributes):
    x, sizes = self.value(node.input[0]), self.constant(node, 1).tolist()
    return x.reshape(*(x.shape[i] if n == 0 else n for i, n in enumerate(sizes)))


def _flatten(self, node, attributes):
    x, axis = self.value(node.input[0]), attributes.get("axis", 1)
    if None in x.shape:
        raise TypeError(f"expected sizes that are known, got {x.type}")
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


def _transpose(self, node, attributes):
    if node.input[0] in self.constants and not self.takes_parameters:
        return np.transpose(self.constants[node.input[0]], attributes.get("perm"))
    return self.value(node.input[0]).transpose(*attributes.get("perm", ()))


def _constant(self, node, attributes):
    from onnx import numpy_helper
    if "value" in attributes:
        return np.asarray(numpy_helper.to_array(attributes["value"]))
    for name, type in (("value_float", np.float32), ("value_int", np.int64),
                       ("value_floats", np.float32), ("value_ints", np.int64)):
        if name in attributes:
            return np.asarray(attributes[name], type)
    raise TypeError(f"expected a tensor or numbers, got {', '.join(attributes)}")


def _identity(self, node, attributes):
    name = node.input[0]
    return self.constants[name] if name in self.constants else self.value(name)


def _softmax(self, node, attributes):
    return self.builder.softmax(self.value(node.input[0]), attributes.get("axis", -1))


_NODES: dict[str, Callable] = {
    "Quant": _quant, "IntQuant": _quant, "BipolarQuant": _bipolar, "Trunc": _trunc,
    "Add": _binary("addf"), "Sub": _binary("subf"), "Mul": _binary("mulf"),
    "Div": _binary("divf"), "Relu": _relu, "Sigmoid": _sigmoid, "Neg": _unary("arith.negf"),
    "Exp": _unary("math.exp"), "Tanh": _unary("math.tanh"), "Sqrt": _unary("math.sqrt"),
    "Abs": _unary("math.absf"), "Gemm": _gemm, "MatMul": _matmul, "Conv": _conv,
    "MaxPool": _max_pool, "AveragePool": _average_pool, "GlobalAveragePool": _global_average,
    "BatchNormalization": _batch_norm, "Reshape": _reshape, "Flatten": _flatten,
    "Transpose": _transpose, "Constant": _constant, "Identity": _identity,
    "Dropout": _identity, "Softmax": _softmax,
}
