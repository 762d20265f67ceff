"""Modules and rules written in Python.

    from quant_ste import build as qs

    @qs.function
    def layer(x: qs.f32[None, 8], w: qs.f32[8, 4], alpha: qs.f32):
        return qs.pact(x @ w, alpha, bits=4, grad="pact")

    print(layer.text)                       # the module
    y = layer(x, w, alpha)                  # compiled on the first call
    y, *gradients = layer.module.vjp("layer")(x, w, alpha, dy)

The function runs once, on values that record what is done with them. Every
quantizer of the dialect is a function here; keywords are its words: ``bits=4`` is
``bits(4)``, ``signed=True`` is ``signed``. A parameter with one value per channel says
which dimension of the data it runs along: ``scale.along(0)``.

A quantizer that the dialect does not have is a `rule`.
"""
from __future__ import annotations

import inspect
import math
import re
from typing import Annotated, Any, Callable, Sequence, Union, get_args, get_origin, overload

import numpy as np

from . import _module

__all__ = ["Builder", "Function", "Type", "Value", "bf16", "f16", "f32", "f64", "function",
           "i64", "rule", "where"]


class Type:
    """A tensor type, ``f32[None, 8]`` (None: known at the call), or, without sizes, of
    rank 0; ``shape`` is None for a plain scalar."""

    def __init__(self, element: str, shape: tuple[int | None, ...] | None = ()):
        self.element, self.shape = element, shape

    def __getitem__(self, sizes: int | None | tuple[int | None, ...]) -> Type:
        return Type(self.element, sizes if isinstance(sizes, tuple) else (sizes,))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Type) and (self.element, self.shape) == (other.element,
                                                                          other.shape)

    def __hash__(self) -> int:
        return hash((self.element, self.shape))

    def __str__(self) -> str:
        if self.shape is None:
            return self.element
        sizes = "".join(f"{'?' if n is None else n}x" for n in self.shape)
        return f"tensor<{sizes}{self.element}>"

    __repr__ = __str__

    @property
    def is_float(self) -> bool:
        """Whether its elements are f16, bf16, f32 or f64."""
        return self.element in ("f16", "bf16", "f32", "f64")

    @staticmethod
    def parse(text: str) -> "Type":
        """``tensor<?x8xf32>``."""
        found = re.fullmatch(r"tensor<((?:(?:\?|\d+)x)*)(\w+)>", text.strip())
        if not found:
            raise TypeError(f"expected a type such as tensor<?x8xf32>, got {text!r}")
        sizes = found[1].split("x")[:-1]
        return Type(found[2], tuple(None if n == "?" else int(n) for n in sizes))


f16, bf16, f32, f64, i64 = map(Type, ("f16", "bf16", "f32", "f64", "i64"))


def number(value: float) -> str:
    """A finite float as MLIR reads it."""
    text = repr(float(value))
    mantissa, e, exponent = text.partition("e")
    return (mantissa if "." in mantissa else mantissa + ".0") + e + exponent


# What comes last in an op; words not named here keep the caller's order.
_ORDER = ("format", "element", "bits", "levels", "temperature", "threshold", "min", "max",
          "qmin", "qmax", "grad_scale", "grad_factor", "signed", "unsigned", "narrow_range",
          "saturating", "nan_positive", "rounding", "stepwise", "multiply_masks", "grad")


def _words(words: dict[str, Any]) -> str:
    def key(name: str) -> int:
        return _ORDER.index(name) if name in _ORDER else -1
    parts = []
    for name in sorted(words, key=key):
        value = words[name]
        if value is False or value is None:
            if name == "signed" and value is False:
                parts.append("unsigned")
            continue
        if value is True:
            parts.append(name)
        else:
            text = number(value) if isinstance(value, float) else str(value)
            parts.append(f"{name}({text})")
    return " ".join(parts)


Operand = Union["Value", float]


class Value:
    """A value of a function that is being written. Arithmetic broadcasts as NumPy's;
    comparisons are ordered (false where an operand is NaN)."""

    __array_ufunc__ = None  # numpy leaves operators to this class
    __hash__ = object.__hash__

    def __init__(self, builder: "Builder", name: str, type: Type,
                 axes: tuple[int, ...] | None = None):
        self.builder, self.name, self.type, self.axes = builder, name, type, axes

    def __repr__(self) -> str:
        return f"<{self.name} : {self.type}>"

    def __bool__(self) -> bool:
        raise TypeError(f"{self.name} has no value yet: use where(condition, a, b)")

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The size of each dimension; None where only the call tells it."""
        # Plain scalars, which rules alone have, are not asked for theirs.
        return self.type.shape  # type: ignore[return-value]

    def along(self, *axes: int) -> "Value":
        """This, as a parameter that runs along these dimensions of the data."""
        return Value(self.builder, self.name, self.type, tuple(axes))

    def __add__(self, other: Operand) -> Value: return self.builder.binary("addf", self, other)
    def __radd__(self, other: Operand) -> Value: return self.builder.binary("addf", other, self)
    def __sub__(self, other: Operand) -> Value: return self.builder.binary("subf", self, other)
    def __rsub__(self, other: Operand) -> Value: return self.builder.binary("subf", other, self)
    def __mul__(self, other: Operand) -> Value: return self.builder.binary("mulf", self, other)
    def __rmul__(self, other: Operand) -> Value: return self.builder.binary("mulf", other, self)
    def __truediv__(self, other: Operand) -> Value: return self.builder.binary("divf", self, other)
    def __rtruediv__(self, other: Operand) -> Value: return self.builder.binary("divf", other, self)
    def __neg__(self) -> Value: return self.builder.unary("arith.negf", self)
    def __abs__(self) -> Value: return self.builder.unary("math.absf", self)
    def __lt__(self, other: Operand) -> Value: return self.builder.binary("cmpf olt,", self, other)
    def __le__(self, other: Operand) -> Value: return self.builder.binary("cmpf ole,", self, other)
    def __gt__(self, other: Operand) -> Value: return self.builder.binary("cmpf ogt,", self, other)
    def __ge__(self, other: Operand) -> Value: return self.builder.binary("cmpf oge,", self, other)
    def __eq__(self, other: Operand) -> Value:  # type: ignore[override]
        return self.builder.binary("cmpf oeq,", self, other)

    def __and__(self, other: Operand) -> Value: return self.builder.binary("andi", self, other)
    def __or__(self, other: Operand) -> Value: return self.builder.binary("ori", self, other)
    def __matmul__(self, other: Value) -> Value: return self.builder.matmul(self, other)

    def round(self) -> Value:
        """To the nearest whole number, ties to even."""
        return self.builder.unary("math.roundeven", self)

    def floor(self) -> Value:
        """The largest whole number not above each element."""
        return self.builder.unary("math.floor", self)

    def ceil(self) -> Value:
        """The smallest whole number not below each element."""
        return self.builder.unary("math.ceil", self)

    def exp(self) -> Value:
        """e to the power of each element."""
        return self.builder.unary("math.exp", self)

    def log(self) -> Value:
        """The natural logarithm of each element."""
        return self.builder.unary("math.log", self)

    def tanh(self) -> Value:
        """The hyperbolic tangent of each element."""
        return self.builder.unary("math.tanh", self)

    def sqrt(self) -> Value:
        """The square root of each element."""
        return self.builder.unary("math.sqrt", self)

    def maximum(self, other: Operand) -> Value:
        """The larger of two elements; NaN where one is."""
        return self.builder.binary("maximumf", self, other)

    def minimum(self, other: Operand) -> Value:
        """The smaller of two elements; NaN where one is."""
        return self.builder.binary("minimumf", self, other)

    def sum(self, *dims: int) -> "Value":
        """Over these dimensions, or all."""
        return self.builder.reduce("addf", self, dims, 0.0)

    def reshape(self, *sizes: int) -> "Value":
        """The same elements in rows of other sizes. Raises TypeError unless sizes are known."""
        return self.builder.reshape(self, sizes)

    def transpose(self, *order: int) -> "Value":
        """Its dimensions in this order, or reversed. Raises TypeError unless sizes are known."""
        return self.builder.transpose(self, order or tuple(reversed(range(len(self.shape)))))


def where(condition: Value, a: Operand, b: Operand) -> Value:
    """a where the condition holds, else b; selected, never multiplied."""
    return condition.builder.select(condition, a, b)


class Builder:
    """Collects the lines of one function, or of one region of a rule."""

    def __init__(self, prefix: str = "v"):
        self.lines: list[str] = []
        self.prefix = prefix

    def emit(self, text: str, type: Type) -> Value:
        """An op's text as a line of the function; gives its result, of this type."""
        value = Value(self, f"%{self.prefix}{len(self.lines)}", type)
        self.lines.append(f"{value.name} = {text}")
        return value

    # Constants.

    def constant(self, value: float, type: Type) -> Value:
        """A number of a scalar type, or the same in each element of a tensor."""
        if not type.is_float:
            text = str(bool(value)).lower() if type.element == "i1" else str(int(value))
        elif math.isfinite(value):
            text = number(value)
        else:
            types: dict[str, tuple[Any, Any]] = {"f64": (np.float64, np.uint64),
                                                 "f16": (np.float16, np.uint16)}
            bits = types.get(type.element, (np.float32, np.uint32))
            pattern = int(bits[0](value).view(bits[1]))
            if type.element == "bf16":
                pattern >>= 16
            text = f"0x{pattern:0{np.dtype(bits[1]).itemsize * 2 >> (type.element == 'bf16')}X}"
        if type.shape is None:
            return self.emit(f"arith.constant {text} : {type}", type)
        return self.emit(f"arith.constant dense<{text}> : {type}", type)

    def array(self, values: np.ndarray) -> Value:
        """A constant tensor with these values."""
        names = {"float16": "f16", "float32": "f32", "float64": "f64", "int64": "i64",
                 "bool": "i1"}
        values = np.asarray(values)
        if values.dtype.name not in names:
            raise TypeError(f"expected an array of {', '.join(names)}, got {values.dtype}")
        type = Type(names[values.dtype.name], values.shape)
        if values.size == 1:
            return self.constant(values.item(), type)
        if values.dtype == np.bool_:
            return self.emit(f"arith.constant dense<{str(values.tolist()).lower()}> : {type}",
                             type)
        raw = np.ascontiguousarray(values).tobytes().hex().upper()
        return self.emit(f'arith.constant dense<"0x{raw}"> : {type}', type)

    def _lift(self, *operands: Operand) -> list[Value]:
        like = next(o for o in operands if isinstance(o, Value))
        type = Type(like.type.element, None if like.shape is None else ())
        return [o if isinstance(o, Value) else self.constant(float(o), type) for o in operands]

    # Element by element.

    def unary(self, op: str, x: Value) -> Value:
        """An op of one operand, elementwise."""
        return self.emit(f"{op} {x.name} : {x.type}", x.type)

    def binary(self, op: str, a: Operand, b: Operand) -> Value:
        """An op of two operands, which broadcast."""
        a, b = self._lift(a, b)
        if a.type.element != b.type.element:
            raise TypeError(f"arith.{op}: expected operands of one element type, got {a.type} "
                            f"and {b.type}")
        element = "i1" if op.startswith("cmpf") else a.type.element
        if a.shape == b.shape and None not in (a.shape or ()):
            return self.emit(f"arith.{op} {a.name}, {b.name} : {a.type}", Type(element, a.shape))
        return self.generic(f"arith.{op} {{0}}, {{1}} : {a.type.element}", (a, b), element)

    def select(self, condition: Value, a: Operand, b: Operand) -> Value:
        """a where the condition holds, else b; all broadcast."""
        if not isinstance(a, Value) and not isinstance(b, Value):
            a = self.constant(float(a), Type("f32", None if condition.shape is None else ()))
        a, b = self._lift(a, b)
        if condition.shape is None:
            return self.emit(f"arith.select {condition.name}, {a.name}, {b.name} : {a.type}",
                             a.type)
        return self.generic(f"arith.select {{0}}, {{1}}, {{2}} : {a.type.element}",
                            (condition, a, b), a.type.element)

    def generic(self, body: str, operands: Sequence[Value], element: str) -> Value:
        """One scalar op on each element of operands that broadcast as NumPy's."""
        rank = max(len(o.shape) for o in operands)
        shape, holders = [], []
        for d in range(rank):
            sizes = [(o, o.shape[d - rank]) for o in operands if len(o.shape) >= rank - d]
            kept = [(o, n) for o, n in sizes if n != 1] or sizes
            known = {n for _, n in kept if n is not None}
            if len(known) > 1:
                raise TypeError("expected shapes that broadcast, got "
                                + " and ".join(str(o.type) for o in operands))
            shape.append(known.pop() if known else None)
            holders.append(kept[0][0])
        loops = ", ".join(f"d{d}" for d in range(rank))
        maps, given = [], []
        for o in operands:
            own = [d for d in range(len(o.shape)) if o.shape[d] != 1
                   or shape[d + rank - len(o.shape)] == 1]
            given.append(self._drop(o, own))
            dims = ", ".join(f"d{d + rank - len(o.shape)}" for d in own)
            maps.append(f"affine_map<({loops}) -> ({dims})>")
        maps.append(f"affine_map<({loops}) -> ({loops})>")
        init = self.empty(Type(element, tuple(shape)), holders)
        arguments = ", ".join(f"%a{i}: {o.type.element}" for i, o in enumerate(given))
        kinds = ", ".join(['"parallel"'] * rank)
        return self.emit(
            f"linalg.generic {{indexing_maps = [{', '.join(maps)}], iterator_types = [{kinds}]}}"
            f"\n      ins({', '.join(o.name for o in given)} : "
            f"{', '.join(str(o.type) for o in given)}) outs({init.name} : {init.type}) {{\n"
            f"    ^bb0({arguments}, %o: {element}):\n"
            f"      %r = {body.format(*(f'%a{i}' for i in range(len(given))))}\n"
            f"      linalg.yield %r : {element}\n    }} -> {init.type}", init.type)

    def _drop(self, x: Value, kept: Sequence[int]) -> Value:
        """x without the dimensions of size 1 that are not kept."""
        if len(kept) == len(x.shape):
            return x
        groups: list[list[int]] = []
        for d in range(len(x.shape)):
            if groups and (d not in kept or not set(groups[-1]) & set(kept)):
                groups[-1].append(d)
            else:
                groups.append([d])
        if not kept:
            groups = []
        type = Type(x.type.element, tuple(x.shape[d] for d in kept))
        return self.emit(f"tensor.collapse_shape {x.name} {groups} : {x.type} into {type}", type)

    def empty(self, type: Type, holders: Sequence[Value]) -> Value:
        """A tensor without elements set, to write results to."""
        sizes = []
        shape = type.shape or ()
        for d, n in enumerate(shape):
            if n is None:
                holder = holders[d]
                at = d - (len(shape) - len(holder.shape))
                index = self.emit(f"arith.constant {at} : index", Type("index", None))
                sizes.append(self.emit(f"tensor.dim {holder.name}, {index.name} : {holder.type}",
                                       Type("index", None)).name)
        return self.emit(f"tensor.empty({', '.join(sizes)}) : {type}", type)

    def fill(self, value: float, type: Type, holders: Sequence[Value] = ()) -> Value:
        """A tensor of one number."""
        scalar = self.constant(value, Type(type.element, None))
        init = self.empty(type, holders)
        return self.emit(f"linalg.fill ins({scalar.name} : {type.element}) "
                         f"outs({init.name} : {type}) -> {type}", type)

    # Quantizers.

    def quantizer(self, op: str, *operands: Operand, spelled: str = "", **words: Any) -> Value:
        """``spelled``: the words as text, instead."""
        x, *parameters = self._lift(*operands)
        uses, given = [x.name], [x]
        for p in parameters:
            axes = p.axes
            if axes is None and p.shape:
                kept = [d for d in range(len(p.shape)) if p.shape[d] != 1]
                axes = tuple(d + len(x.shape) - len(p.shape) for d in kept)
                p = self._drop(p, kept)
            given.append(p)
            uses.append(p.name + (f" axes({list(axes)})" if axes else ""))
        types = ", ".join(str(v.type) for v in given)
        return self.emit(f"quant_ste.{op} {', '.join(uses)} {spelled or _words(words)} : {types}", x.type)

    # Between elements.

    def matmul(self, a: Value, b: Value) -> Value:
        """The matrix product of two tensors of two dimensions."""
        if len(a.shape) != 2 or len(b.shape) != 2:
            raise TypeError(f"@: expected tensors of rank 2, got {a.type} and {b.type}")
        if None not in (a.shape[1], b.shape[0]) and a.shape[1] != b.shape[0]:
            raise TypeError(f"@: expected {a.shape[1]} rows on the right, got {b.type}")
        type = Type(a.type.element, (a.shape[0], b.shape[1]))
        init = self.fill(0.0, type, (a, b))
        return self.emit(f"linalg.matmul ins({a.name}, {b.name} : {a.type}, {b.type}) "
                         f"outs({init.name} : {type}) -> {type}", type)

    def reduce(self, op: str, x: Value, dims: Sequence[int], start: float) -> Value:
        """The elements along these dimensions as one, by an op of arith from a first value."""
        rank = len(x.shape)
        dims = sorted(d % rank for d in dims) if dims else list(range(rank))
        kept = [d for d in range(rank) if d not in dims]
        type = Type(x.type.element, tuple(x.shape[d] for d in kept))
        if any(x.shape[d] is None for d in kept):
            raise TypeError(f"sum: expected sizes that are known of what is kept, got {x.type}")
        init = self.fill(start, type)
        return self.emit(f"linalg.reduce {{ arith.{op} }} ins({x.name} : {x.type}) "
                         f"outs({init.name} : {type}) dimensions = {dims}", type)

    def reshape(self, x: Value, sizes: Sequence[int]) -> Value:
        """See `Value.reshape`."""
        sizes = tuple(sizes)
        known = [n for n in x.shape if n is not None]
        if len(known) < len(x.shape):
            raise TypeError(f"reshape: expected sizes that are known, got {x.type}")
        count = math.prod(known)
        if -1 in sizes:
            rest = -math.prod(sizes)
            sizes = tuple(count // rest if n == -1 else n for n in sizes)
        if math.prod(sizes) != count:
            raise TypeError(f"reshape: expected {count} elements, got {sizes}")
        if sizes == x.shape:
            return x
        flat = Type(x.type.element, (count,))
        if len(x.shape) != 1:
            groups = [list(range(len(x.shape)))] if x.shape else []
            if not x.shape:
                return self.emit(f"tensor.expand_shape {x.name} [] output_shape {list(sizes)} "
                                 f": {x.type} into {Type(x.type.element, sizes)}",
                                 Type(x.type.element, sizes))
            x = self.emit(f"tensor.collapse_shape {x.name} {groups} : {x.type} into {flat}", flat)
        type = Type(x.type.element, sizes)
        if len(sizes) == 1:
            return x
        if not sizes:
            return self.emit(f"tensor.collapse_shape {x.name} [] : {x.type} into {type}", type)
        return self.emit(f"tensor.expand_shape {x.name} [{list(range(len(sizes)))}] output_shape "
                         f"{list(sizes)} : {x.type} into {type}", type)

    def transpose(self, x: Value, order: Sequence[int]) -> Value:
        """See `Value.transpose`."""
        type = Type(x.type.element, tuple(x.shape[d] for d in order))
        if None in x.shape:
            raise TypeError(f"transpose: expected sizes that are known, got {x.type}")
        init = self.empty(type, ())
        return self.emit(f"linalg.transpose ins({x.name} : {x.type}) outs({init.name} : {type}) "
                         f"permutation = {list(order)}", type)

    # Layers, as torch and ONNX lay them out: [batch, channel, height, width].

    def pad(self, x: Value, low: Sequence[int], high: Sequence[int], value: float) -> Value:
        """So many elements of this value before and after those of x, for each dimension."""
        if not any(low) and not any(high):
            return x
        shape = tuple(None if n is None else n + a + b for n, a, b in zip(x.shape, low, high))
        scalar = self.constant(value, Type(x.type.element, None))
        indices = ", ".join(f"%i{d}: index" for d in range(len(shape)))
        type = Type(x.type.element, shape)
        return self.emit(
            f"tensor.pad {x.name} low{list(low)} high{list(high)} {{\n    ^bb0({indices}):\n"
            f"      tensor.yield {scalar.name} : {x.type.element}\n    }} : {x.type} to {type}",
            type)

    def _window(self, op: str, x: Value, taps: Value, channels: int | None, size: Sequence[int],
                strides: Sequence[int], dilations: Sequence[int], start: float) -> Value:
        rest = tuple(None if n is None else (n - (k - 1) * d - 1) // s + 1 for n, k, s, d in
                     zip(x.shape[2:], size, strides, dilations))
        if None in rest:
            raise TypeError(f"{op}: expected a height and width that are known, got {x.type}")
        init = self.fill(start, Type(x.type.element, (x.shape[0], channels, *rest)), [x] * 4)
        attributes = ", ".join(f"{n} = dense<{list(v)}> : tensor<2xi64>" for n, v in
                               (("strides", strides), ("dilations", dilations)))
        return self.emit(
            f"linalg.{op} {{{attributes}}} ins({x.name}, {taps.name} : {x.type}, {taps.type}) "
            f"outs({init.name} : {init.type}) -> {init.type}", init.type)

    def conv2d(self, x: Value, w: Value, strides: Sequence[int] = (1, 1),
               padding: Sequence[Sequence[int]] = ((0, 0), (0, 0)),
               dilations: Sequence[int] = (1, 1), groups: int = 1) -> Value:
        """w: [out, in, height, width]; padding: before and after, of height and width."""
        if groups != 1:
            raise TypeError(f"conv2d: expected one group, got {groups}")
        channels, _, height, width = w.shape
        if channels is None or height is None or width is None:
            raise TypeError(f"conv2d: expected sizes of w that are known, got {w.type}")
        (top, bottom), (left, right) = padding
        x = self.pad(x, [0, 0, top, left], [0, 0, bottom, right], 0.0)
        return self._window("conv_2d_nchw_fchw", x, w, channels, (height, width), strides,
                            dilations, 0.0)

    def pool(self, kind: str, x: Value, size: Sequence[int], strides: Sequence[int],
             padding: Sequence[Sequence[int]] = ((0, 0), (0, 0)),
             dilations: Sequence[int] = (1, 1)) -> Value:
        """``kind``: max, or sum."""
        start = -math.inf if kind == "max" else 0.0
        (top, bottom), (left, right) = padding
        x = self.pad(x, [0, 0, top, left], [0, 0, bottom, right], start)
        taps = self.empty(Type(x.type.element, tuple(size)), ())
        return self._window(f"pooling_nchw_{kind}", x, taps, x.shape[1], size, strides,
                            dilations, start)

    def softmax(self, x: Value, dim: int) -> Value:
        """exp(x) over its sum along a dimension."""
        dim %= len(x.shape)
        empty = self.empty(x.type, [x] * len(x.shape))
        return self.emit(f"linalg.softmax dimension({dim}) ins({x.name} : {x.type}) "
                         f"outs({empty.name} : {x.type}) -> {x.type}", x.type)


def render(name: str, arguments: Sequence[Value], builder: Builder,
           results: Sequence[Value]) -> str:
    """The function as text; arguments keep their names as attributes."""
    given = ", ".join(f'{a.name}: {a.type} {{quant_ste.name = "{a.name[1:]}"}}' for a in arguments)
    types = ", ".join(str(r.type) for r in results)
    body = "".join(f"  {line}\n" for line in builder.lines)
    return (f"func.func @{name}({given}) -> ({types}) {{\n{body}  return "
            f"{', '.join(r.name for r in results)} : {types}\n}}\n")


class Function:
    """What `function` makes: ``text`` is its module, ``module`` the compiled one."""

    def __init__(self, python: Callable[..., Any], types: Sequence[Type] | None = None):
        self.python = python
        # A lambda has no name that MLIR could read.
        self.__name__ = python.__name__ if python.__name__.isidentifier() else "main"
        self.__doc__ = python.__doc__
        parameters = list(inspect.signature(python).parameters.values())
        if types is None:
            types = [_get_type(p, python) for p in parameters]
        builder = Builder()
        arguments = [Value(builder, f"%{p.name}", t) for p, t in zip(parameters, types)]
        results = python(*arguments)
        results = results if isinstance(results, (tuple, list)) else (results,)
        for r in results:
            if not isinstance(r, Value):
                raise TypeError(f"{self.__name__}: expected values as results, got {r!r}")
        self.text = render(self.__name__, arguments, builder, results)
        self._module: _module.Module | None = None

    @property
    def module(self) -> _module.Module:
        """Compiled when it is first asked for. Raises `CompileError`."""
        if self._module is None:
            self._module = _module.compile(self.text)
        return self._module

    def __call__(self, *arguments: Any, out: Any = None) -> Any:
        """As a function of the compiled module: on arrays and numbers."""
        return self.module[self.__name__](*arguments, out=out)


def _get_type(parameter: inspect.Parameter, python: Callable[..., Any]) -> Type:
    found = parameter.annotation
    if isinstance(found, str) and not found.startswith("tensor<"):
        scope = {**python.__globals__, **inspect.getclosurevars(python).nonlocals}
        found = eval(found, scope)  # what `from __future__ import annotations` left as text
    if get_origin(found) is Annotated:
        found = next((a for a in get_args(found)[1:] if isinstance(a, (Type, str))), found)
    if isinstance(found, str):
        return Type.parse(found)
    if not isinstance(found, Type):
        raise TypeError(f"{python.__name__}: expected a type such as f32[None, 8] for "
                        f"{parameter.name!r}, got {found!r}")
    return found


@overload
def function(python: Callable[..., Any]) -> Function: ...
@overload
def function(*, types: Sequence[Type] | None = None) -> Callable[[Callable[..., Any]], Function]: ...


def function(python: Callable[..., Any] | None = None, *,
             types: Sequence[Type] | None = None) -> Any:
    """Makes a `Function` of a Python function whose parameters have types: as annotations
    (``f32[None, 8]``, ``"tensor<?x8xf32>"``, or, for type checkers, ``Annotated[qs.Value,
    qs.f32[None, 8]]``) or as ``types``.

    It is called once, with a `Value` for each parameter; what it returns, a value or a
    tuple, are the results. Raises `TypeError` for a parameter without a type, for a
    result that is not a value, and for operands that do not broadcast."""
    if python is None:
        return lambda given: Function(given, types)
    return Function(python, types)


#===----------------------------------------------------------------------===#
# Rules
#===----------------------------------------------------------------------===#


def _region(word: str, python: Callable[..., Any], names: Sequence[str], element: str) -> str:
    builder = Builder("r")
    arguments = [Value(builder, f"%{n}", Type(element, None)) for n in names]
    results = python(*arguments)
    results = results if isinstance(results, (tuple, list)) else (results,)
    values = [r if isinstance(r, Value) else
              builder.constant(float(r), Type(element, None)) for r in results]
    given = ", ".join(f"{a.name}: {element}" for a in arguments)
    lines = "".join(f"    {line}\n" for line in builder.lines)
    return (f"{word}({given}) {{\n{lines}    quant_ste.yield "
            f"{', '.join(v.name for v in values)} : {', '.join(str(v.type) for v in values)}\n"
            "  }")


_Rule = Callable[..., Value]


@overload
def rule(forward: Callable[..., Any], *, partials: Callable[..., Any]) -> _Rule: ...
@overload
def rule(forward: Callable[..., Any], *, vjp: Callable[..., Any]) -> _Rule: ...
@overload
def rule(*, partials: Callable[..., Any]) -> Callable[[Callable[..., Any]], _Rule]: ...
@overload
def rule(*, vjp: Callable[..., Any]) -> Callable[[Callable[..., Any]], _Rule]: ...


def rule(forward: Callable[..., Any] | None = None, *,
         partials: Callable[..., Any] | None = None,
         vjp: Callable[..., Any] | None = None) -> Any:
    """A quantizer from expressions of one element.

        @qs.rule(partials=lambda x, s, y: (abs(x) <= 1, 0.0))
        def steps(x, s):
            return (x / s).round() * s

    ``partials`` takes the operands and the result, and gives for each operand the
    partial derivative, a number, or a condition under which dy passes. ``vjp`` takes
    dy as well and gives the gradients. f16 and bf16 data are computed in f32. Raises
    `TypeError` unless one of both is given, and for a call with another number of operands.
    """
    if (partials is None) == (vjp is None):
        raise TypeError("rule: expected partials or vjp")

    def decorate(forward: Callable[..., Any]) -> _Rule:
        names = list(inspect.signature(forward).parameters)

        def use(*operands: Operand) -> Value:
            if len(operands) != len(names):
                raise TypeError(f"{forward.__name__}: expected {len(names)} operands, got "
                                f"{len(operands)}")
            builder = next(o for o in operands if isinstance(o, Value)).builder
            x, *parameters = builder._lift(*operands)
            element = "f64" if x.type.element == "f64" else "f32"
            uses = ", ".join([x.name] + [
                p.name + (f" axes({list(p.axes)})" if p.axes else "") for p in parameters])
            types = ", ".join(str(v.type) for v in (x, *parameters))
            regions = [_region("forward", forward, names, element)]
            if partials is not None:
                regions.append(_region("partials", partials, [*names, "result"], element))
            if vjp is not None:
                regions.append(_region("vjp", vjp, [*names, "result", "cotangent"], element))
            return builder.emit(f"quant_ste.custom {uses} : {types}\n  {' '.join(regions)}",
                                x.type)

        use.__name__, use.__doc__ = forward.__name__, forward.__doc__
        return use

    return decorate if forward is None else decorate(forward)


def __getattr__(op: str) -> Callable[..., Value]:
    """The quantizers of the dialect."""
    if op.startswith("_"):
        raise AttributeError(op)

    def quantizer(*operands: Operand, **words: Any) -> Value:
        value = next((o for o in operands if isinstance(o, Value)), None)
        if value is None:
            raise TypeError(f"{op}: expected a value of the function, got {operands!r}")
        return value.builder.quantizer(op, *operands, **words)

    quantizer.__name__, quantizer.__doc__ = op, f"The op quant_ste.{op}; keywords are its words."
    return quantizer
