"""Writes functions on tensors of known sizes as MLIR text, for the importers."""
from __future__ import annotations

import dataclasses
import math
import os
import pathlib
import re
import struct
from typing import Any, Iterable, Sequence

import numpy as np

from ._errors import Error
from ._module import Module, compile

#: MLIR's names of element types.
ELEMENTS = {"float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64",
            "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64", "bool": "i1"}


class UnsupportedError(Error):
    """An op that has no form here; the message names it."""


@dataclasses.dataclass(frozen=True)
class Value:
    """A tensor in the function."""

    name: str
    shape: tuple[int, ...]
    element: str

    @property
    def type(self) -> str:
        return f"tensor<{''.join(f'{n}x' for n in self.shape)}{self.element}>"

    @property
    def is_float(self) -> bool:
        """Whether its elements are f16, bf16, f32 or f64."""
        return self.element in ("f16", "bf16", "f32", "f64")


@dataclasses.dataclass(frozen=True)
class Model:
    """A model as text: ``func.func @<name>(inputs, parameters) -> outputs``.

    ``parameters`` are the arguments after the inputs with their values, by the name
    they have in the model; empty where they are constants of the text.
    """

    text: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: dict[str, np.ndarray]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the text."""
        pathlib.Path(path).write_text(self.text)

    def compile(self, **options: Any) -> Module:
        """`quant_ste.compile` of the text."""
        return compile(self.text, **options)


def product(numbers: Iterable[int]) -> int:
    return math.prod(numbers)


def float_literal(value: float, element: str) -> str:
    """A float as MLIR reads it, exactly."""
    value = float(value)
    if math.isfinite(value):
        text = repr(value)
        mantissa, e, exponent = text.partition("e")
        return (mantissa if "." in mantissa else mantissa + ".0") + e + exponent
    if element == "bf16":
        return f"0x{struct.unpack('<I', struct.pack('<f', value))[0] >> 16:04X}"
    code, integer = {"f16": ("e", "H"), "f32": ("f", "I"), "f64": ("d", "Q")}[element]
    bits, = struct.unpack(f"<{integer}", struct.pack(f"<{code}", value))
    return f"0x{bits:0{2 * struct.calcsize(code)}X}"


class Emitter:
    """The lines of one function. Every op gives a `Value`; shapes are checked by MLIR
    when the text is compiled, and by the callers where their format allows less."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.arguments: list[tuple[Value, str]] = []  # with their quant_ste.name
        self._count = 0
        self._reshaped: dict[str, Value] = {}  # what a reshape was made of

    # How lines are written.

    def emit(self, text: str, shape: Sequence[int], element: str) -> Value:
        value = Value(f"%{self._count}", tuple(int(n) for n in shape), element)
        self._count += 1
        self.lines.append(f"{value.name} = {text}")
        return value

    def comment(self, text: str) -> None:
        self.lines.append("// " + " ".join(text.split()))

    def argument(self, name: str, shape: Sequence[int], element: str) -> Value:
        value = Value(f"%arg{len(self.arguments)}", tuple(int(n) for n in shape), element)
        self.arguments.append((value, name))
        return value

    def constant(self, array: Any, element: str | None = None) -> Value:
        """``element`` converts."""
        array = np.asarray(array)
        if element is None:
            if array.dtype.name not in ELEMENTS:
                raise UnsupportedError(f"constants of {array.dtype} are not supported")
            element = ELEMENTS[array.dtype.name]
        elif element == "bf16":
            import ml_dtypes
            array = array.astype(ml_dtypes.bfloat16)
        else:
            array = array.astype({v: k for k, v in ELEMENTS.items()}[element])
        type_ = Value("", array.shape, element).type
        return self.emit(f"arith.constant {_dense(array, element)} : {type_}", array.shape,
                         element)

    def scalar(self, number: float, element: str) -> str:
        return self.emit(f"arith.constant {float_literal(number, element)} : {element}", (),
                         element).name

    def empty(self, shape: Sequence[int], element: str) -> Value:
        type_ = Value("", tuple(shape), element).type
        return self.emit(f"tensor.empty() : {type_}", shape, element)

    def fill(self, shape: Sequence[int], element: str, number: float = 0.0) -> Value:
        scalar = self.scalar(number, element)
        init = self.empty(shape, element)
        return self.emit(f"linalg.fill ins({scalar} : {element}) outs({init.name} : {init.type}) "
                         f"-> {init.type}", shape, element)

    def function(self, name: str, results: Sequence[Value]) -> str:
        given = ",\n    ".join(f"{v.name}: {v.type} {{quant_ste.name = {_quoted(n)}}}"
                               for v, n in self.arguments)
        types = ", ".join(v.type for v in results)
        body = "\n  ".join([*self._live_lines(results), f"return {', '.join(v.name for v in results)} : {types}"])
        return f"func.func @{name}({given})\n    -> ({types}) {{\n  {body}\n}}\n"

    def _live_lines(self, results: Sequence[Value]) -> list[str]:
        """Without what no result needs."""
        used = {v.name for v in results}
        live: list[str] = []
        for line in reversed(self.lines):
            if line.startswith("//") and (not live or live[-1].startswith("//")):
                continue
            if not line.startswith("%") or line.partition(" ")[0] in used:
                used.update(re.findall(r"%\w+", line.partition("=")[2]))
                live.append(line)
        return live[::-1]

    # Shapes.

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        shape = tuple(int(n) for n in shape)
        if product(shape) != product(x.shape):
            raise UnsupportedError(f"cannot reshape {list(x.shape)} to {list(shape)}")
        while x.shape != shape and x.name in self._reshaped:
            x = self._reshaped[x.name]
        if x.shape == shape:
            return x
        result = self._reshape(x, shape)
        self._reshaped[result.name] = x
        return result

    def _reshape(self, x: Value, shape: tuple[int, ...]) -> Value:
        flat = (product(shape),)
        if len(x.shape) == 0:
            x = self.emit(f"tensor.expand_shape {x.name} [] output_shape [1] : {x.type} into "
                          f"{Value('', (1,), x.element).type}", (1,), x.element)
        if len(x.shape) > 1:
            type_ = Value("", flat, x.element).type
            x = self.emit(f"tensor.collapse_shape {x.name} [{list(range(len(x.shape)))}] : "
                          f"{x.type} into {type_}", flat, x.element)
        if len(shape) == 1:
            return x
        type_ = Value("", shape, x.element).type
        if len(shape) == 0:
            return self.emit(f"tensor.collapse_shape {x.name} [] : {x.type} into {type_}", shape,
                             x.element)
        return self.emit(f"tensor.expand_shape {x.name} [{list(range(len(shape)))}] output_shape "
                         f"{list(shape)} : {x.type} into {type_}", shape, x.element)

    def transpose(self, x: Value, order: Sequence[int]) -> Value:
        order = [int(d) for d in order]
        if order == list(range(len(x.shape))):
            return x
        init = self.empty([x.shape[d] for d in order], x.element)
        return self.emit(f"linalg.transpose ins({x.name} : {x.type}) outs({init.name} : "
                         f"{init.type}) permutation = {order}", init.shape, x.element)

    def slice(self, x: Value, starts: Sequence[int], sizes: Sequence[int],
              steps: Sequence[int]) -> Value:
        type_ = Value("", tuple(sizes), x.element).type
        return self.emit(f"tensor.extract_slice {x.name}{list(starts)} {list(sizes)} "
                         f"{list(steps)} : {x.type} to {type_}", sizes, x.element)

    def concat(self, values: Sequence[Value], dim: int) -> Value:
        if len(values) == 1:
            return values[0]
        shape = list(values[0].shape)
        shape[dim] = sum(v.shape[dim] for v in values)
        type_ = Value("", tuple(shape), values[0].element).type
        return self.emit(f"tensor.concat dim({dim}) {', '.join(v.name for v in values)} : "
                         f"({', '.join(v.type for v in values)}) -> {type_}", shape,
                         values[0].element)

    def pad(self, x: Value, low: Sequence[int], high: Sequence[int], number: float = 0.0) -> Value:
        low, high = [int(n) for n in low], [int(n) for n in high]
        if not any(low) and not any(high):
            return x
        if min(low + high) < 0:
            raise UnsupportedError("padding below 0 is not supported")
        shape = [a + n + b for a, n, b in zip(low, x.shape, high)]
        type_, value = Value("", tuple(shape), x.element).type, self.scalar(number, x.element)
        places = ", ".join(f"%i{d}: index" for d in range(len(shape)))
        return self.emit(f"tensor.pad {x.name} low{low} high{high} {{\n    ^bb0({places}):\n"
                         f"      tensor.yield {value} : {x.element}\n    }} : {x.type} to {type_}",
                         shape, x.element)

    # Elements.

    def pointwise(self, operands: Sequence[Value], body: Sequence[str],
                  element: str | None = None) -> Value:
        """One scalar program for each element of operands that broadcast as numpy's do.
        The lines say {0}, {1} ..., {T} for the operands' type; the last defines %r."""
        element, type_ = element or operands[0].element, operands[0].element
        shape = np.broadcast_shapes(*(v.shape for v in operands))
        loops = [f"d{i}" for i in range(len(shape))]
        given, maps = [], []
        for value in operands:
            first = len(shape) - len(value.shape)
            kept = [d for d, n in enumerate(value.shape) if n == shape[first + d]]
            given.append(self.reshape(value, [value.shape[d] for d in kept]))
            maps.append([loops[first + d] for d in kept])
        init = self.empty(shape, element)
        maps_text = ", ".join(f"affine_map<({', '.join(loops)}) -> ({', '.join(m)})>"
                              for m in [*maps, loops])
        names = [f"%a{i}" for i in range(len(given))]
        arguments = ", ".join(f"{n}: {v.element}" for n, v in zip(names, given))
        text = "\n      ".join(line.format(*names, T=type_) for line in body)
        kinds = ", ".join(['"parallel"'] * len(shape))
        return self.emit(
            f"linalg.generic {{indexing_maps = [{maps_text}],\n      iterator_types = [{kinds}]}}\n"
            f"      ins({', '.join(v.name for v in given)} : {', '.join(v.type for v in given)}) "
            f"outs({init.name} : {init.type}) {{\n    ^bb0({arguments}, %o: {element}):\n"
            f"      {text}\n      linalg.yield %r : {element}\n    }} -> {init.type}",
            shape, element)

    def unary(self, op: str, x: Value) -> Value:
        """An op of arith, math or this dialect on a tensor; words after a space."""
        name, _, words = op.partition(" ")
        return self.emit(f"{name} {x.name}{' ' if words else ''}{words} : {x.type}", x.shape,
                         x.element)

    def binary(self, op: str, x: Value, y: Value) -> Value:
        if x.shape == y.shape:
            return self.emit(f"arith.{op} {x.name}, {y.name} : {x.type}", x.shape, x.element)
        return self.pointwise([x, y], [f"%r = arith.{op} {{0}}, {{1}} : {{T}}"])

    def compare(self, order: str, x: Value, y: Value) -> Value:
        """By a predicate of arith.cmpf, of floats."""
        return self.pointwise([x, y], [f"%r = arith.cmpf {order}, {{0}}, {{1}} : {{T}}"], "i1")

    def select(self, condition: Value, x: Value, y: Value) -> Value:
        """x where the condition, of i1, is true; else y."""
        return self.pointwise([condition, x, y],
                              [f"%r = arith.select {{0}}, {{1}}, {{2}} : {x.element}"], x.element)

    def with_number(self, op: str, x: Value, number: float) -> Value:
        """x op number."""
        return self.binary(op, x, self.constant(np.full(x.shape, number), x.element))

    def expand(self, x: Value, shape: Sequence[int]) -> Value:
        """x broadcast to a shape."""
        shape = tuple(shape)
        if x.shape == shape:
            return x
        whole = self.empty(shape, x.element)
        first = len(shape) - len(x.shape)
        added = [d for d in range(len(shape))
                 if d < first or x.shape[d - first] != shape[d]]
        kept = self.reshape(x, [n for d, n in enumerate(shape) if d not in added])
        return self.emit(f"linalg.broadcast ins({kept.name} : {kept.type}) outs({whole.name} : "
                         f"{whole.type}) dimensions = {added}", shape, x.element)

    def relu(self, x: Value) -> Value:
        """max(x, 0) with NaN kept; no gradient at 0, as in torch."""
        return self.leaky_relu(x, 0.0)

    def leaky_relu(self, x: Value, slope: float) -> Value:
        below = (["%b = arith.constant 0.0 : {T}", "%z = arith.constant 0.0 : {T}"] if slope == 0
                 else ["%z = arith.constant 0.0 : {T}",
                       f"%s = arith.constant {float_literal(slope, x.element)} : {{T}}",
                       "%b = arith.mulf {0}, %s : {T}"])
        return self.pointwise([x], below + ["%c = arith.cmpf ole, {0}, %z : {T}",
                                            "%r = arith.select %c, %b, {0} : {T}"])

    def sigmoid(self, x: Value) -> Value:
        return self.pointwise([x], ["%one = arith.constant 1.0 : {T}", "%n = arith.negf {0} : {T}",
                                    "%e = math.exp %n : {T}", "%d = arith.addf %one, %e : {T}",
                                    "%r = arith.divf %one, %d : {T}"])

    def gelu(self, x: Value, approximate: str = "none") -> Value:
        half, one = "%half = arith.constant 0.5 : {T}", "%one = arith.constant 1.0 : {T}"
        if approximate == "tanh":
            inner = [f"%k = arith.constant {math.sqrt(2 / math.pi)!r} : {{T}}",
                     "%l = arith.constant 0.044715 : {T}", "%2 = arith.mulf {0}, {0} : {T}",
                     "%3 = arith.mulf %2, {0} : {T}", "%4 = arith.mulf %3, %l : {T}",
                     "%5 = arith.addf {0}, %4 : {T}", "%6 = arith.mulf %5, %k : {T}",
                     "%7 = math.tanh %6 : {T}"]
        else:
            inner = [f"%k = arith.constant {math.sqrt(0.5)!r} : {{T}}",
                     "%6 = arith.mulf {0}, %k : {T}", "%7 = math.erf %6 : {T}"]
        return self.pointwise([x], [half, one, *(line.replace("%", "%g") for line in inner),
                                    "%g8 = arith.addf %one, %g7 : {T}",
                                    "%g9 = arith.mulf {0}, %half : {T}",
                                    "%r = arith.mulf %g9, %g8 : {T}"])

    def clamp(self, x: Value, low: float | None, high: float | None,
              is_open: bool = False) -> Value:
        """Bounds that are None do not bound; elements at a bound keep their gradient, or
        lose it (``is_open``)."""
        body = []
        last = "{0}"
        orders = ("ole", "oge") if is_open else ("olt", "ogt")
        for name, bound, order in zip(("low", "high"), (low, high), orders):
            if bound is None:
                continue
            body += [f"%{name} = arith.constant {float_literal(bound, x.element)} : {{T}}",
                     f"%is_{name} = arith.cmpf {order}, {last}, %{name} : {{T}}",
                     f"%to_{name} = arith.select %is_{name}, %{name}, {last} : {{T}}"]
            last = f"%to_{name}"
        if not body:
            return x
        body[-1] = body[-1].replace(f"{last} =", "%r =")
        return self.pointwise([x], body)

    # Sums, products and windows.

    def reduce(self, op: str, x: Value, dims: Sequence[int], keep: bool = False) -> Value:
        """op is "addf", "mulf", "maximumf", "minimumf", or "mean"."""
        dims = sorted(d % len(x.shape) for d in dims)
        start = {"addf": 0.0, "mean": 0.0, "mulf": 1.0, "maximumf": -math.inf,
                 "minimumf": math.inf}[op]
        kept = [n for d, n in enumerate(x.shape) if d not in dims]
        result = x
        if dims:
            init = self.fill(kept, x.element, start)
            result = self.emit(
                f"linalg.reduce {{ arith.{'addf' if op == 'mean' else op} }} ins({x.name} : "
                f"{x.type}) outs({init.name} : {init.type}) dimensions = {dims}", kept, x.element)
        if op == "mean":
            result = self.with_number("divf", result, product(x.shape[d] for d in dims))
        return self.reshape(result, [1 if d in dims else n for d, n in enumerate(x.shape)]
                            ) if keep else result

    def softmax(self, x: Value, dim: int, is_log: bool = False) -> Value:
        """The largest element only keeps exp in range: no gradient flows through it."""
        top = self.unary("quant_ste.detach", self.reduce("maximumf", x, [dim], True))
        shifted = self.binary("subf", x, top)
        exps = self.unary("math.exp", shifted)
        total = self.reduce("addf", exps, [dim], True)
        if is_log:
            return self.binary("subf", shifted, self.unary("math.log", total))
        return self.binary("divf", exps, total)

    def matmul(self, x: Value, y: Value) -> Value:
        """As numpy's matmul."""
        if len(x.shape) == 0 or len(y.shape) == 0:
            raise UnsupportedError("matmul of a scalar is not supported")
        if len(x.shape) == 1:
            result = self.matmul(self.reshape(x, (1, *x.shape)), y)
            return self.reshape(result, result.shape[:-2] + result.shape[-1:])
        if len(y.shape) == 1:
            result = self.matmul(x, self.reshape(y, (*y.shape, 1)))
            return self.reshape(result, result.shape[:-1])
        shape = (*np.broadcast_shapes(x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-1])
        if x.shape[-1] != y.shape[-2]:
            raise UnsupportedError(f"matmul of {list(x.shape)} and {list(y.shape)}")
        if len(y.shape) == 2:
            x = self.reshape(x, (product(x.shape[:-1]), x.shape[-1]))
            init = self.fill((x.shape[0], y.shape[1]), x.element)
            op = "matmul"
        else:
            batch = product(shape[:-2])
            x = self.reshape(self.expand(x, shape[:-2] + x.shape[-2:]), (batch, *x.shape[-2:]))
            y = self.reshape(self.expand(y, shape[:-2] + y.shape[-2:]), (batch, *y.shape[-2:]))
            init = self.fill((batch, *shape[-2:]), x.element)
            op = "batch_matmul"
        result = self.emit(f"linalg.{op} ins({x.name}, {y.name} : {x.type}, {y.type}) "
                           f"outs({init.name} : {init.type}) -> {init.type}", init.shape, x.element)
        return self.reshape(result, shape)

    def conv(self, x: Value, w: Value, bias: Value | None, strides: Sequence[int],
             low: Sequence[int], high: Sequence[int], dilations: Sequence[int],
             groups: int = 1) -> Value:
        """Channels first, of one or two dimensions; w is [out, in / groups, ...]."""
        dims = len(x.shape) - 2
        if dims == 1:
            y = self.conv(self.reshape(x, (*x.shape[:2], 1, x.shape[2])),
                          self.reshape(w, (*w.shape[:2], 1, w.shape[2])), bias, [1, *strides],
                          [0, *low], [0, *high], [1, *dilations], groups)
            return self.reshape(y, (*y.shape[:2], y.shape[3]))
        if dims != 2:
            raise UnsupportedError(f"convolutions of {dims} dimensions are not supported")
        if x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
            raise UnsupportedError(f"convolution of {list(x.shape)} by {list(w.shape)} in "
                                   f"{groups} groups")
        x = self.pad(x, [0, 0, *low], [0, 0, *high])
        size = [_windows(n, k, s, d) for n, k, s, d in
                zip(x.shape[2:], w.shape[2:], strides, dilations)]
        shape = (x.shape[0], w.shape[0], *size)
        op, inner = "conv_2d_nchw_fchw", shape
        if groups > 1:
            x = self.reshape(x, (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))
            w = self.reshape(w, (groups, w.shape[0] // groups, *w.shape[1:]))
            op, inner = "conv_2d_ngchw_gfchw", (shape[0], groups, shape[1] // groups, *size)
        init = self.fill(inner, x.element)
        y = self.emit(f"linalg.{op} {{strides = {_two(strides)}, dilations = {_two(dilations)}}}\n"
                      f"      ins({x.name}, {w.name} : {x.type}, {w.type}) "
                      f"outs({init.name} : {init.type}) -> {init.type}", inner, x.element)
        y = self.reshape(y, shape)
        return y if bias is None else self.binary(
            "addf", y, self.reshape(bias, (product(bias.shape), 1, 1)))

    def pool(self, op: str, x: Value, size: Sequence[int], strides: Sequence[int],
             low: Sequence[int], high: Sequence[int], dilations: Sequence[int],
             counts_padding: bool = True) -> Value:
        """op is "max" or "mean"; channels first, of one or two dimensions."""
        if len(x.shape) == 3:
            y = self.pool(op, self.reshape(x, (*x.shape[:2], 1, x.shape[2])), [1, *size],
                          [1, *strides], [0, *low], [0, *high], [1, *dilations], counts_padding)
            return self.reshape(y, (*y.shape[:2], y.shape[3]))
        if len(x.shape) != 4:
            raise UnsupportedError(f"pooling of {len(x.shape) - 2} dimensions is not supported")
        start = -math.inf if op == "max" else 0.0
        extent = x.shape[2:]
        x = self.pad(x, [0, 0, *low], [0, 0, *high], start)
        shape = (*x.shape[:2], *(_windows(n, k, s, d) for n, k, s, d in
                                 zip(x.shape[2:], size, strides, dilations)))
        taps, init = self.empty(size, x.element), self.fill(shape, x.element, start)
        y = self.emit(
            f"linalg.pooling_nchw_{'max' if op == 'max' else 'sum'} {{strides = {_two(strides)}, "
            f"dilations = {_two(dilations)}}}\n      ins({x.name}, {taps.name} : {x.type}, "
            f"{taps.type}) outs({init.name} : {init.type}) -> {init.type}", shape, x.element)
        if op == "max":
            return y
        if counts_padding or not (any(low) or any(high)):
            return self.with_number("divf", y, product(size))
        inside = np.pad(np.ones(extent), list(zip(low, high)))
        counts = np.zeros(shape[2:])
        for i in range(size[0]):
            for j in range(size[1]):
                a, b = i * dilations[0], j * dilations[1]
                counts += inside[a:a + strides[0] * shape[2]:strides[0],
                                 b:b + strides[1] * shape[3]:strides[1]]
        return self.binary("divf", y, self.constant(counts, x.element))

    def normalize(self, x: Value, mean: Value, variance: Value, epsilon: float,
                  weight: Value | None, bias: Value | None) -> Value:
        """(x - mean) / sqrt(variance + epsilon) * weight + bias, of shapes that broadcast."""
        deviation = self.unary("math.sqrt", self.with_number("addf", variance, epsilon))
        y = self.binary("divf", self.binary("subf", x, mean), deviation)
        y = y if weight is None else self.binary("mulf", y, weight)
        return y if bias is None else self.binary("addf", y, bias)

    # Quantizers.

    def quantizer(self, op: str, x: Value, parameters: Sequence[Value], words: str) -> Value:
        """Parameters that broadcast to x become one per element of some of its axes. An op
        @name applies that rule."""
        uses, types = [x.name], [x.type]
        for p in parameters:
            first = len(x.shape) - len(p.shape)
            if first < 0 and product(p.shape) == 1:
                p, first = self.reshape(p, ()), len(x.shape)
            if first < 0 or any(n not in (1, x.shape[first + d]) for d, n in enumerate(p.shape)):
                raise UnsupportedError(f"quant_ste.{op}: a parameter of shape {list(p.shape)} does "
                                       f"not broadcast to {list(x.shape)}")
            axes = [first + d for d, n in enumerate(p.shape) if n != 1]
            p = self.reshape(p, [x.shape[a] for a in axes])
            uses.append(p.name + (f" axes({axes})" if axes else ""))
            types.append(p.type)
        text = f"apply {op}({', '.join(uses)})" if op.startswith("@") \
            else f"{op} {', '.join(uses)} {words}".rstrip()
        return self.emit(f"quant_ste.{text}\n      : {', '.join(types)}", x.shape, x.element)


def _windows(n: int, size: int, stride: int, dilation: int) -> int:
    count = (n - dilation * (size - 1) - 1) // stride + 1
    if count <= 0:
        raise UnsupportedError(f"a window of {size} taps does not fit into {n} elements")
    return count


def _two(numbers: Sequence[int]) -> str:
    return f"dense<{[int(n) for n in numbers]}> : tensor<{len(numbers)}xi64>"


def _dense(array: np.ndarray, element: str) -> str:
    """A splat or a few elements in words; others as bytes."""
    flat = array.ravel()
    is_float = element in ("f16", "bf16", "f32", "f64")
    if flat.size == 0:
        return "dense<>"
    if flat.size == 1 or flat.tobytes() == flat[:1].tobytes() * flat.size:
        return f"dense<{_element(flat[0], element, is_float)}>"
    if flat.size <= 16 or element == "i1":
        return f"dense<{_nested(array, element, is_float)}>"
    return f'dense<"0x{flat.tobytes().hex().upper()}">'


def _element(value: Any, element: str, is_float: bool) -> str:
    if is_float:
        return float_literal(float(value), element)
    return ("true" if value else "false") if element == "i1" else str(int(value))


def _nested(array: np.ndarray, element: str, is_float: bool) -> str:
    if array.ndim == 0:
        return _element(array[()], element, is_float)
    return "[" + ", ".join(_nested(a, element, is_float) for a in array) + "]"


def _quoted(name: str) -> str:
    escaped = "".join(c if 32 <= ord(c) < 127 and c not in '"\\' else
                      "".join(f"\\{b:02X}" for b in c.encode()) for c in name)
    return f'"{escaped}"'
