"""QONNX models as MLIR.

    from quant_ste import qonnx

    model = qonnx.load("model.onnx")
    print(model.text)                             # func.func @main(%arg0: tensor<...>)
    y = model.compile().main(x)

or ``python -m quant_ste import model.onnx -o model.mlir``. The ops that QONNX adds to
ONNX (Quant, BipolarQuant, Trunc, FloatQuant) become ops of the dialect where one has
their numbers, and a `quant_ste.rule` where none has; both are differentiated with a
straight-through estimator, and the ONNX ops around them by calculus.

Needs the package onnx (``pip install onnx``).
"""
from __future__ import annotations

import os
import re
from typing import Any, Callable, Mapping, Sequence, Union

import numpy as np

try:
    import onnx
    import onnx.helper
    import onnx.numpy_helper
except ImportError as _error:
    raise ImportError(f"quant_ste.qonnx needs onnx (pip install onnx): {_error}") from None

from ._emit import ELEMENTS, Emitter, Model, UnsupportedError, Value, float_literal, product

__all__ = ["Model", "UnsupportedError", "load"]


def load(model: Any, *, parameters: str = "constants",
         shapes: Mapping[str, Sequence[int]] | None = None, name: str = "main") -> Model:
    """Reads a model: a path, its bytes, or an ``onnx.ModelProto``.

    ``parameters``: "constants" writes weights and scales into the text, "arguments"
    makes arguments of them, to be trained. ``shapes``: the shape of an input where the
    file leaves sizes open. ``name``: of the function. Raises `UnsupportedError`, which
    names the node, for what has no form here.

    Source: github.com/fastmachinelearning/qonnx, docs/qonnx-custom-ops.
    """
    if parameters not in ("constants", "arguments"):
        raise ValueError(f"expected parameters 'constants' or 'arguments', got {parameters!r}")
    if isinstance(model, (bytes, bytearray)):
        model = onnx.load_model_from_string(bytes(model))
    elif isinstance(model, (str, os.PathLike)):
        model = onnx.load(os.fspath(model))
    return _Importer(model, parameters == "arguments", dict(shapes or {})).run(name)


#===----------------------------------------------------------------------===#
# Rules of QONNX that no op of the dialect has
#===----------------------------------------------------------------------===#

#: Rounding words of the dialect.
_WORDS = {"ROUND": "round", "HALF_EVEN": "round", "CEIL": "ceil", "FLOOR": "floor",
          "DOWN": "round_to_zero"}

#: %r = R(%a) on scalars. The halves are QONNX's floor(|a| + 1/2) and ceil(|a| - 1/2).
_SIGNED = ["%m = math.absf %a : f32", "{}", "%n = arith.negf %k : f32",
           "%zero = arith.constant 0.0 : f32", "%isNegative = arith.cmpf olt, %a, %zero : f32",
           "%r = arith.select %isNegative, %n, %k : f32"]
_HALF = "%half = arith.constant 0.5 : f32\n    %h = arith.{} %m, %half : f32\n    %k = math.{} %h : f32"
_ROUNDINGS = {
    "ROUND": ["%r = math.roundeven %a : f32"], "HALF_EVEN": ["%r = math.roundeven %a : f32"],
    "CEIL": ["%r = math.ceil %a : f32"], "FLOOR": ["%r = math.floor %a : f32"],
    "DOWN": ["%r = math.trunc %a : f32"],
    "UP": [line.format("%k = math.ceil %m : f32") for line in _SIGNED],
    "HALF_UP": [line.format(_HALF.format("addf", "floor")) for line in _SIGNED],
    "HALF_DOWN": [line.format(_HALF.format("subf", "ceil")) for line in _SIGNED],
}


def _clamped(words: str) -> list[str]:
    """%a = %u within the integers of %b bits."""
    return [f"%min = quant_ste.min_int %b {words} grad(exact) : f32",
            f"%max = quant_ste.max_int %b {words} grad(exact) : f32",
            "%isAbove = arith.cmpf ogt, %u, %max : f32",
            "%upper = arith.select %isAbove, %max, %u : f32",
            "%isBelow = arith.cmpf olt, %upper, %min : f32",
            "%a = arith.select %isBelow, %min, %upper : f32"]


def _inside(rounding: str) -> list[str]:
    """%isInside and %isClipped, judged on the rounded value as in int_quant."""
    rounded = [re.sub(r"%(\w+)", r"%u_\1", line).replace("%u_a", "%u")
               for line in _ROUNDINGS[rounding]]
    return [*rounded, "%isOver = arith.cmpf ogt, %u_r, %max : f32",
            "%isUnder = arith.cmpf olt, %u_r, %min : f32",
            "%isClipped = arith.ori %isOver, %isUnder : i1", "%true = arith.constant true",
            "%isInside = arith.xori %isClipped, %true : i1"]


_NONE = "%none = arith.constant 0.0 : f32"


def _rule(name: str, operands: str, forward: list[str], partials: list[str], yields: str) -> str:
    """Both regions begin with the forward computation, which defines %y."""
    types = ", ".join("i1" if v in ("%isInside", "%always") else "f32"
                      for v in yields.split(", "))
    arguments = ", ".join(f"%{o}: f32" for o in operands.split())
    first, again = "\n    ".join(forward), "\n    ".join([*forward, *partials])
    return (f"quant_ste.rule @{name} forward({arguments}) {{\n    {first}\n"
            f"    quant_ste.yield %y : f32\n}} partials({arguments}, %result: f32) {{\n"
            f"    {again}\n    quant_ste.yield {yields} : {types}\n}}\n")


def _quant_rule(name: str, rounding: str, words: str) -> str:
    """Clamped, then rounded, as QONNX orders it."""
    forward = ["%t = arith.divf %x, %s : f32", "%u = arith.addf %t, %z : f32", *_clamped(words),
               *_ROUNDINGS[rounding], "%w = arith.subf %r, %z : f32",
               "%y = arith.mulf %w, %s : f32"]
    partials = [*_inside(rounding), "%e = arith.subf %w, %t : f32",
                "%ds = arith.select %isClipped, %w, %e : f32", "%minus = arith.negf %s : f32",
                "%dz = quant_ste.masked %isClipped, %minus : f32", _NONE]
    return _rule(name, "x s z b", forward, partials, "%isInside, %ds, %dz, %none")


def _sign_rule(name: str) -> str:
    """A signed integer of one bit is -1 or 1."""
    forward = ["%t = arith.divf %x, %s : f32", "%u = arith.addf %t, %z : f32",
               "%0 = arith.constant 0.0 : f32", "%1 = arith.constant 1.0 : f32",
               "%2 = arith.constant -1.0 : f32", "%is = arith.cmpf oge, %u, %0 : f32",
               "%r = arith.select %is, %1, %2 : f32", "%w = arith.subf %r, %z : f32",
               "%y = arith.mulf %w, %s : f32"]
    return _rule(name, "x s z", forward,
                 ["%always = arith.constant true", "%ds = arith.subf %w, %t : f32", _NONE],
                 "%always, %ds, %none")


def _trunc_1_rule(name: str, rounding: str) -> str:
    """Version 1: the scale stays that of the input, nothing is clamped."""
    forward = ["%t = arith.divf %x, %s : f32", "%v = arith.addf %t, %z : f32",
               "%q = math.roundeven %v : f32", "%a = arith.divf %q, %u : f32",
               *_ROUNDINGS[rounding], "%w = arith.subf %r, %z : f32",
               "%y = arith.mulf %w, %s : f32"]
    partials = ["%one = arith.constant 1.0 : f32", "%dx = arith.divf %one, %u : f32",
                "%tu = arith.divf %t, %u : f32", "%ds = arith.subf %w, %tu : f32",
                "%su = arith.mulf %s, %dx : f32", "%dz = arith.subf %su, %s : f32", _NONE]
    return _rule(name, "x s z u", forward, partials, "%dx, %ds, %dz, %none")


def _trunc_2_rule(name: str, rounding: str, words: str) -> str:
    """Version 2, with a scale for the output (%o)."""
    forward = ["%t = arith.divf %x, %s : f32", "%v = arith.addf %t, %z : f32",
               "%q = math.roundeven %v : f32", "%u = arith.divf %q, %p : f32", *_clamped(words),
               *_ROUNDINGS[rounding], "%zp = arith.divf %z, %p : f32",
               "%w = arith.subf %r, %zp : f32", "%y = arith.mulf %w, %o : f32"]
    partials = [*_inside(rounding), "%sp = arith.mulf %s, %p : f32", "%f = arith.divf %o, %sp : f32",
                "%dx = quant_ste.masked %isInside, %f : f32", "%ft = arith.mulf %f, %t : f32",
                "%minus = arith.negf %ft : f32", "%ds = quant_ste.masked %isInside, %minus : f32",
                "%op = arith.divf %o, %p : f32", "%less = arith.negf %op : f32",
                "%dz = quant_ste.masked %isClipped, %less : f32", _NONE]
    return _rule(name, "x s z o p b", forward, partials, "%dx, %ds, %dz, %w, %none, %none")


def _float_rule(name: str, rounding: str, mantissa: int, bias: int, largest: float,
                smallest: float, beyond: float | None) -> str:
    """A minifloat, in each binade rounded as integers are; what is past its ends becomes
    ``beyond``, or the end."""
    def constant(result: str, value: float) -> str:
        return f"%{result} = arith.constant {float_literal(value, 'f32')} : f32"

    over, under = ("max", "min") if beyond is None else ("over", "under")
    forward = ["%t = arith.divf %x, %s : f32", "%size = math.absf %t : f32",
               constant("normal", 2.0 ** (1 - bias)), constant("top", 2.0 ** 126),
               "%isNormal = arith.cmpf ogt, %size, %normal : f32",
               "%raised = arith.select %isNormal, %size, %normal : f32",
               "%isHuge = arith.cmpf ogt, %raised, %top : f32",
               "%anchor = arith.select %isHuge, %top, %raised : f32",
               "%binade = quant_ste.power_of_two %anchor rounding(floor) grad(ste) : f32",
               constant("last", 2.0 ** -mantissa), "%unit = arith.mulf %binade, %last : f32",
               "%a = arith.divf %t, %unit : f32", *_ROUNDINGS[rounding],
               "%v = arith.mulf %r, %unit : f32", constant("max", largest),
               constant("min", smallest)]
    if beyond is not None:
        forward += [constant("over", beyond),
                    constant("under", smallest if smallest == 0 else -beyond)]
    forward += ["%isOver = arith.cmpf ogt, %v, %max : f32",
                "%isUnder = arith.cmpf olt, %v, %min : f32",
                f"%upper = arith.select %isOver, %{over}, %v : f32",
                f"%c = arith.select %isUnder, %{under}, %upper : f32",
                "%y = arith.mulf %c, %s : f32"]
    partials = ["%isClipped = arith.ori %isOver, %isUnder : i1", "%true = arith.constant true",
                "%isInside = arith.xori %isClipped, %true : i1", "%e = arith.subf %c, %t : f32",
                "%ds = arith.select %isClipped, %c, %e : f32"]
    return _rule(name, "x s", forward, partials, "%isInside, %ds")


#===----------------------------------------------------------------------===#
# The importer
#===----------------------------------------------------------------------===#


_Attributes = dict[str, Any]
#: What a node becomes: a value, several, or a constant.
_Results = Union[Value, list[Value], np.ndarray]


class _Importer:
    def __init__(self, model: onnx.ModelProto, has_arguments: bool,
                 shapes: dict[str, Sequence[int]]):
        self.model, self.has_arguments, self.shapes = model, has_arguments, shapes
        self.out = Emitter()
        self.values: dict[str, Value] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.trainable: set[str] = set()
        self.parameters: dict[str, np.ndarray] = {}
        self.rules: dict[str, str] = {}
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")),
                          13)

    def run(self, name: str) -> Model:
        graph = self.model.graph
        if graph.sparse_initializer:
            raise UnsupportedError("sparse initializers are not supported")
        for initializer in graph.initializer:
            array = onnx.numpy_helper.to_array(initializer)
            self.constants[initializer.name] = array
            if array.dtype.kind == "f" or array.dtype.name == "bfloat16":
                self.trainable.add(initializer.name)
        inputs = [i for i in graph.input if i.name not in self.constants]
        unknown = set(self.shapes) - {i.name for i in inputs}
        if unknown:
            raise ValueError(f"no input is named {', '.join(sorted(unknown))}; there are "
                             f"{', '.join(i.name for i in inputs)}")
        for i in inputs:
            self.values[i.name] = self.out.argument(i.name, self.shape_of(i), self.element_of(i))
        for node in graph.node:
            self.import_node(node)
        results = [self.value(o.name) for o in graph.output]
        text = "".join(self.rules.values()) + self.out.function(name, results)
        return Model(text, name, tuple(i.name for i in inputs),
                     tuple(o.name for o in graph.output), self.parameters)

    def shape_of(self, info: onnx.ValueInfoProto) -> list[int]:
        dims = info.type.tensor_type.shape.dim
        given = self.shapes.get(info.name)
        if given is not None:
            if len(given) != len(dims) or any(
                    d.HasField("dim_value") and d.dim_value != n for d, n in zip(dims, given)):
                raise ValueError(f"input {info.name!r} has another shape in the model than "
                                 f"{list(given)}")
            return list(given)
        if not info.type.tensor_type.HasField("shape") or any(
                not d.HasField("dim_value") for d in dims):
            sizes = [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in dims]
            raise UnsupportedError(f"input {info.name!r} has open sizes {sizes}: give its shape "
                                   f"(shapes={{{info.name!r}: [...]}}, --shape {info.name}=...)")
        return [d.dim_value for d in dims]

    def element_of(self, info: onnx.ValueInfoProto) -> str:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
        if dtype.name not in ELEMENTS:
            raise UnsupportedError(f"input {info.name!r} has elements of type {dtype}")
        return ELEMENTS[dtype.name]

    def import_node(self, node: onnx.NodeProto) -> None:
        label = f"node {node.name!r} ({node.domain + '.' if node.domain else ''}{node.op_type})"
        if self.is_foldable(node):
            self.fold(node, label)
            return
        quantizers = ("Quant", "IntQuant", "BipolarQuant", "Trunc", "FloatQuant")
        is_known = node.domain in ("", "ai.onnx") or node.op_type in quantizers
        handler = getattr(self, f"on_{node.op_type}", None) if is_known else None
        if handler is None:
            raise UnsupportedError(f"{label} has no form here")
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}
        self.out.comment(f"{node.op_type} {node.name}")
        try:
            given: _Results = handler(node, attributes)
        except UnsupportedError as error:
            raise UnsupportedError(f"{label}: {error}") from None
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            raise UnsupportedError(f"{label} is malformed: {error!r}") from error
        results = given if isinstance(given, list) else [given]
        for name, result in zip(node.output, results):
            if isinstance(result, Value):
                self.values[name] = result
            else:
                self.constants[name] = result
        if any(name and name not in self.values and name not in self.constants
               for name in node.output):
            raise UnsupportedError(f"{label}: its further outputs are not supported")

    def is_foldable(self, node: onnx.NodeProto) -> bool:
        """A standard op of constants, none of which is to be trained."""
        if node.domain not in ("", "ai.onnx") or node.op_type == "Constant":
            return False
        names = [n for n in node.input if n]
        return bool(names) and all(n in self.constants for n in names) and not (
            self.has_arguments and any(n in self.trainable for n in names)
        ) and node.op_type not in ("Dropout", "RandomUniform", "RandomNormal")

    def fold(self, node: onnx.NodeProto, label: str) -> None:
        from onnx.reference import ReferenceEvaluator
        names = list(dict.fromkeys(n for n in node.input if n))
        infos = [onnx.helper.make_tensor_value_info(
            n, onnx.helper.np_dtype_to_tensor_dtype(self.constants[n].dtype),
            self.constants[n].shape) for n in names]
        outputs = [onnx.ValueInfoProto(name=n) for n in node.output if n]
        graph = onnx.helper.make_graph([node], "fold", infos, outputs)
        model = onnx.helper.make_model(graph, opset_imports=self.model.opset_import)
        try:
            got = ReferenceEvaluator(model).run(None, {n: self.constants[n] for n in names})
        except Exception as error:  # whatever the evaluator meets
            raise UnsupportedError(f"{label} of constants cannot be evaluated: {error}") from error
        for output, array in zip(outputs, got):
            self.constants[output.name] = np.asarray(array)

    # What a node reads.

    def value(self, name: str) -> Value:
        if name in self.values:
            return self.values[name]
        if name not in self.constants:
            raise UnsupportedError(f"{name!r} is not defined")
        array = self.constants[name]
        if self.has_arguments and name in self.trainable:
            value = self.out.argument(name, array.shape, ELEMENTS[array.dtype.name])
            self.parameters[name] = array
        else:
            value = self.out.constant(array)
        self.values[name] = value
        return value

    def fixed(self, name: str) -> Value:
        """A constant stays one."""
        return self.out.constant(self.constants[name]) if name in self.constants \
            else self.value(name)

    def constant(self, node: onnx.NodeProto, i: int) -> np.ndarray | None:
        """An input that must be known; None if it is left out."""
        if i >= len(node.input) or not node.input[i]:
            return None
        if node.input[i] not in self.constants:
            raise UnsupportedError(f"input {i} ({node.input[i]!r}) must be a constant")
        return self.constants[node.input[i]]

    def known(self, node: onnx.NodeProto, i: int) -> np.ndarray:
        array = self.constant(node, i)
        if array is None:
            raise UnsupportedError(f"expected input {i}")
        return array

    def number(self, node: onnx.NodeProto, i: int) -> float:
        array = self.constant(node, i)
        if array is None or array.size != 1:
            raise UnsupportedError(f"input {i} must be one number")
        return float(array.reshape(()))

    def optional(self, node: onnx.NodeProto, i: int) -> Value | None:
        return self.value(node.input[i]) if i < len(node.input) and node.input[i] else None

    def ints(self, node: onnx.NodeProto, attributes: _Attributes, name: str, i: int
             ) -> list[int] | None:
        """An attribute of old versions that is an input of newer ones."""
        if name in attributes:
            return [int(n) for n in np.atleast_1d(attributes[name])]
        array = self.constant(node, i)
        return None if array is None else [int(n) for n in array.ravel()]

    def needed(self, node: onnx.NodeProto, attributes: _Attributes, name: str, i: int
               ) -> list[int]:
        found = self.ints(node, attributes, name, i)
        if found is None:
            raise UnsupportedError(f"expected {name}")
        return found

    def floats(self, node: onnx.NodeProto) -> list[Value]:
        values = [self.value(n) for n in node.input if n]
        for v in values:
            if not v.is_float or v.element != values[0].element:
                raise UnsupportedError(f"expected floats of one type, got {v.type}")
        return values

    def data(self, node: onnx.NodeProto) -> Value:
        x = self.value(node.input[0])
        if not x.is_float:
            raise UnsupportedError(f"expected floats, got {x.type}")
        return x

    # Quantizers.

    def quantizer_inputs(self, node: onnx.NodeProto, kinds: str) -> tuple[Value, list[Value]]:
        """x, and its parameters: "v" may be trained, "c" stays a constant."""
        x = self.data(node)
        given = []
        for i, kind in enumerate(kinds, 1):
            p = self.value(node.input[i]) if kind == "v" else self.fixed(node.input[i])
            if p.element != x.element:
                if node.input[i] not in self.constants:
                    raise UnsupportedError(f"input {i} has elements of type {p.element}, x of "
                                           f"{x.element}")
                p = self.out.constant(self.constants[node.input[i]], x.element)
            given.append(p)
        return x, given

    def use_rule(self, name: str, text: str, x: Value, parameters: list[Value]) -> Value:
        if x.element == "f64":  # computed as it is; all other types in f32
            text = text.replace("f32", "f64").replace(f"@{name}", f"@{name}_f64")
            name += "_f64"
        self.rules.setdefault(name, text)
        return self.out.quantizer(f"@{name}", x, parameters, "")

    @staticmethod
    def rounding(attributes: _Attributes, default: str = "ROUND") -> str:
        mode = str(attributes.get("rounding_mode", default)).upper()
        if mode not in _ROUNDINGS:
            raise UnsupportedError(f"rounding mode {mode!r}; there are {', '.join(_ROUNDINGS)}")
        return mode

    @staticmethod
    def sign_words(attributes: _Attributes, narrow: int = 0) -> str:
        return ("signed" if attributes.get("signed", 1) else "unsigned") + (
            " narrow_range" if attributes.get("narrow", narrow) else "")

    def is_whole(self, name: str) -> bool:
        bits = self.constants.get(name)
        return bits is not None and bool(np.all((bits == np.floor(bits)) & (bits >= 1)))

    def on_Quant(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x, parameters = self.quantizer_inputs(node, "vcc")
        mode, words = self.rounding(attributes), self.sign_words(attributes, narrow=1)
        bits = self.constants.get(node.input[3])
        if bits is None and words.startswith("signed"):
            raise UnsupportedError("a bit width that is computed: one of 1 bit would have another "
                                   "meaning")
        if words.startswith("signed") and np.any(bits == 1):
            if np.any(bits != 1):
                raise UnsupportedError("bit widths of 1 and more in one node")
            return self.use_rule("qonnx_sign", _sign_rule("qonnx_sign"), x, parameters[:2])
        if mode in _WORDS and self.is_whole(node.input[3]):
            return self.out.quantizer("int_quant", x, parameters,
                                      f"{words} rounding({_WORDS[mode]}) grad(clipped)")
        name = f"qonnx_quant_{mode.lower()}_{words.replace(' ', '_')}"
        return self.use_rule(name, _quant_rule(name, mode, words), x, parameters)

    on_IntQuant = on_Quant

    def on_BipolarQuant(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x, parameters = self.quantizer_inputs(node, "v")
        return self.out.quantizer("binary_quant", x, parameters, "grad(ste)")

    def on_Trunc(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        mode = self.rounding(attributes, "FLOOR")
        if len(node.input) == 5:
            x, (scale, zero) = self.quantizer_inputs(node, "vc")
            steps = 2.0 ** (self.known(node, 3) - self.known(node, 4))
            name = f"qonnx_trunc_1_{mode.lower()}"
            return self.use_rule(name, _trunc_1_rule(name, mode), x,
                                 [scale, zero, self.out.constant(steps, x.element)])
        words = self.sign_words(attributes)
        x, (scale, zero) = self.quantizer_inputs(node, "vc")
        given, wanted = self.known(node, 1), self.known(node, 4)
        exponents = np.round(np.log2(wanted / given))
        steps = 2.0 ** exponents
        bits = self.known(node, 5)
        if mode in _WORDS and self.is_whole(node.input[5]) and np.all(
                wanted == np.asarray(given * steps, wanted.dtype)):
            width = self.out.constant(bits + exponents, x.element)
            return self.out.quantizer(
                "trunc_int_quant", x, [scale, zero, width, self.out.constant(bits, x.element)],
                f"{words} rounding({_WORDS[mode]}) grad(clipped)")
        name = f"qonnx_trunc_2_{mode.lower()}_{words.replace(' ', '_')}"
        output = self.value(node.input[4])
        return self.use_rule(name, _trunc_2_rule(name, mode, words), x,
                             [scale, zero, output, self.out.constant(steps, x.element),
                              self.out.constant(bits, x.element)])

    def on_FloatQuant(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        mode = self.rounding(attributes)
        x, parameters = self.quantizer_inputs(node, "v")
        exponent, mantissa = self.number(node, 2), self.number(node, 3)
        bias = 2.0 ** (exponent - 1) - 1 if len(node.input) < 5 or not node.input[4] \
            else self.number(node, 4)
        if any(n != int(n) for n in (exponent, mantissa, bias)):
            raise UnsupportedError("a format whose widths and bias are not whole numbers")
        largest = (2 - 2.0 ** -mantissa) * 2.0 ** (2.0 ** exponent - 1 - bias)
        if len(node.input) > 5 and node.input[5]:
            largest = min(largest, self.number(node, 5))
        overflow = "inf" if attributes.get("has_inf", 0) else \
            "nan" if attributes.get("has_nan", 0) else ""
        is_saturating = bool(attributes.get("saturation", 1))
        if not is_saturating and not overflow:
            raise UnsupportedError("a format that neither saturates nor has inf or NaN")
        is_signed = bool(attributes.get("signed", 1))
        if _WORDS.get(mode) == "round":
            numbers = f"{int(exponent)}, {int(mantissa)}, {int(bias)}, {largest!r}"
            return self.out.quantizer(
                "float_quant", x, parameters,
                f"format({numbers}{', ' + overflow if overflow else ''}) "
                f"{self.sign_words({'signed': is_signed})}"
                f"{' saturating' if is_saturating else ''} grad(clipped)")
        if not (-126 <= 1 - bias - mantissa and 1 - bias <= 126 and 0 < largest < 2.0 ** 127):
            raise UnsupportedError("a format beyond the numbers of f32")
        beyond = None if is_saturating else float(overflow)
        words = [mode.lower(), int(mantissa), int(bias), repr(largest),
                 "signed" if is_signed else "unsigned", beyond]
        name = re.sub(r"\W", "_", "_".join(["qonnx_float", *map(str, words)]))
        return self.use_rule(name, _float_rule(name, mode, int(mantissa), int(bias), largest,
                                               -largest if is_signed else 0.0, beyond),
                             x, parameters)

    # Products and windows.

    def on_MatMul(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        return self.out.matmul(*self.floats(node))

    def on_Gemm(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x, y, *rest = self.floats(node)
        x = self.out.transpose(x, [1, 0]) if attributes.get("transA", 0) else x
        y = self.out.transpose(y, [1, 0]) if attributes.get("transB", 0) else y
        result = self.out.matmul(x, y)
        alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
        if alpha != 1.0:
            result = self.out.with_number("mulf", result, alpha)
        if rest:
            bias = rest[0] if beta == 1.0 else self.out.with_number("mulf", rest[0], beta)
            result = self.out.binary("addf", result, bias)
        return result

    def window(self, attributes: _Attributes, x: Value, size: Sequence[int]
               ) -> tuple[list[int], list[int], list[int], list[int]]:
        """strides, low, high, dilations of a window over x."""
        dims = len(x.shape) - 2
        strides = list(attributes.get("strides", [1] * dims))
        dilations = list(attributes.get("dilations", [1] * dims))
        pads = list(attributes.get("pads", [0] * 2 * dims))
        mode = attributes.get("auto_pad", "NOTSET")
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            total = [max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
                     for n, k, s, d in zip(x.shape[2:], size, strides, dilations)]
            less, more = [n // 2 for n in total], [n - n // 2 for n in total]
            pads = less + more if mode == "SAME_UPPER" else more + less
        elif mode == "VALID":
            pads = [0] * 2 * dims
        elif mode != "NOTSET":
            raise UnsupportedError(f"auto_pad {mode!r}")
        return strides, pads[:dims], pads[dims:], dilations

    def on_Conv(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x, w, *rest = self.floats(node)
        strides, low, high, dilations = self.window(attributes, x, w.shape[2:])
        return self.out.conv(x, w, rest[0] if rest else None, strides, low, high, dilations,
                             attributes.get("group", 1))

    def pool(self, op: str, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x, size = self.data(node), list(attributes["kernel_shape"])
        strides, low, high, dilations = self.window(attributes, x, size)
        if attributes.get("ceil_mode", 0) and any(
                (n + a + b - d * (k - 1) - 1) % s for n, a, b, k, s, d in
                zip(x.shape[2:], low, high, size, strides, dilations)):
            raise UnsupportedError("ceil_mode with windows that do not fit")
        return self.out.pool(op, x, size, strides, low, high, dilations,
                             bool(attributes.get("count_include_pad", 0)))

    def on_MaxPool(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        return self.pool("max", node, attributes)

    def on_AveragePool(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        return self.pool("mean", node, attributes)

    def on_GlobalAveragePool(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x = self.data(node)
        return self.out.reduce("mean", x, range(2, len(x.shape)), True)

    def on_GlobalMaxPool(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x = self.data(node)
        return self.out.reduce("maximumf", x, range(2, len(x.shape)), True)

    # Normalization.

    def on_BatchNormalization(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        if attributes.get("training_mode", 0):
            raise UnsupportedError("training_mode: export the model in evaluation mode")
        x, *given = self.floats(node)
        along = (x.shape[1], *[1] * (len(x.shape) - 2))
        weight, bias, mean, variance = (self.out.reshape(v, along) for v in given)
        return self.out.normalize(x, mean, variance, attributes.get("epsilon", 1e-5), weight, bias)

    def on_LayerNormalization(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x, weight, *rest = self.floats(node)
        axis = attributes.get("axis", -1) % len(x.shape)
        dims = range(axis, len(x.shape))
        mean = self.out.reduce("mean", x, dims, True)
        centered = self.out.binary("subf", x, mean)
        variance = self.out.reduce("mean", self.out.binary("mulf", centered, centered), dims, True)
        return self.out.normalize(x, mean, variance, attributes.get("epsilon", 1e-5), weight,
                                  rest[0] if rest else None)

    def softmax(self, node: onnx.NodeProto, attributes: _Attributes, is_log: bool) -> Value:
        x = self.data(node)
        axis = attributes.get("axis", -1 if self.opset >= 13 else 1) % len(x.shape)
        if self.opset >= 13:
            return self.out.softmax(x, axis, is_log)
        flat = self.out.reshape(x, (product(x.shape[:axis]), product(x.shape[axis:])))
        return self.out.reshape(self.out.softmax(flat, 1, is_log), x.shape)

    def on_Softmax(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        return self.softmax(node, attributes, False)

    def on_LogSoftmax(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        return self.softmax(node, attributes, True)

    # Elements.

    def on_Clip(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        low = attributes.get("min") if self.constant(node, 1) is None else self.number(node, 1)
        high = attributes.get("max") if self.constant(node, 2) is None else self.number(node, 2)
        return self.out.clamp(self.data(node), low, high)

    def on_Relu(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        return self.out.relu(self.data(node))

    def on_LeakyRelu(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        return self.out.leaky_relu(self.data(node), attributes.get("alpha", 0.01))

    def on_PRelu(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        return self.out.pointwise(self.floats(node), [
            "%z = arith.constant 0.0 : {T}", "%b = arith.mulf {0}, {1} : {T}",
            "%c = arith.cmpf olt, {0}, %z : {T}", "%r = arith.select %c, %b, {0} : {T}"])

    def on_Sigmoid(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        return self.out.sigmoid(self.data(node))

    def on_Gelu(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        return self.out.gelu(self.data(node), attributes.get("approximate", "none"))

    def on_Reciprocal(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        return self.out.pointwise([self.data(node)], ["%one = arith.constant 1.0 : {T}",
                                                      "%r = arith.divf %one, {0} : {T}"])

    def on_Pow(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        if self.number(node, 1) != 2:
            raise UnsupportedError(f"the power {self.number(node, 1):g}, only squares are "
                                   "supported")
        x = self.data(node)
        return self.out.binary("mulf", x, x)

    # Reductions.

    def reduce(self, op: str, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x, axes = self.data(node), self.ints(node, attributes, "axes", 1)
        if axes is None or not axes:
            if attributes.get("noop_with_empty_axes", 0):
                return x
            axes = list(range(len(x.shape)))
        return self.out.reduce(op, x, axes, bool(attributes.get("keepdims", 1)))

    # Shapes.

    def on_Constant(self, node: onnx.NodeProto, attributes: _Attributes) -> np.ndarray:
        for key in ("value", "value_float", "value_int", "value_floats", "value_ints"):
            if key in attributes:
                value = attributes[key]
                if key == "value":
                    return np.asarray(onnx.numpy_helper.to_array(value))
                return np.asarray(value, np.float32 if "float" in key else np.int64)
        raise UnsupportedError(f"a constant of kind {', '.join(attributes)}")

    def on_Shape(self, node: onnx.NodeProto, attributes: _Attributes) -> np.ndarray:
        shape = self.value(node.input[0]).shape
        return np.array(shape[attributes.get("start", 0):attributes.get("end", len(shape))],
                        np.int64)

    def on_Identity(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        return self.value(node.input[0])

    def on_Dropout(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        """Of inference: the identity."""
        return self.value(node.input[0])

    def on_Cast(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x = self.value(node.input[0])
        wanted = ELEMENTS.get(onnx.helper.tensor_dtype_to_np_dtype(attributes["to"]).name)
        if wanted != x.element:
            raise UnsupportedError(f"from {x.element} to {wanted}")
        return x

    def on_Flatten(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x, axis = self.value(node.input[0]), attributes.get("axis", 1)
        axis += len(x.shape) if axis < 0 else 0
        return self.out.reshape(x, (product(x.shape[:axis]), product(x.shape[axis:])))

    def on_Reshape(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x, shape = self.value(node.input[0]), self.needed(node, attributes, "shape", 1)
        if not attributes.get("allowzero", 0):
            shape = [x.shape[d] if n == 0 else n for d, n in enumerate(shape)]
        if -1 in shape:
            known = product(n for n in shape if n != -1)
            shape[shape.index(-1)] = product(x.shape) // known if known else 0
        return self.out.reshape(x, shape)

    def on_Squeeze(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x, axes = self.value(node.input[0]), self.ints(node, attributes, "axes", 1)
        axes = [d for d, n in enumerate(x.shape) if n == 1] if axes is None \
            else [a % len(x.shape) for a in axes]
        return self.out.reshape(x, [n for d, n in enumerate(x.shape) if d not in axes])

    def on_Unsqueeze(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x, axes = self.value(node.input[0]), self.needed(node, attributes, "axes", 1)
        rank = len(x.shape) + len(axes)
        added, sizes = {a % rank for a in axes}, iter(x.shape)
        return self.out.reshape(x, [1 if d in added else next(sizes) for d in range(rank)])

    def on_Transpose(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x = self.value(node.input[0])
        return self.out.transpose(x, attributes.get("perm", range(len(x.shape))[::-1]))

    def on_Expand(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x, shape = self.value(node.input[0]), self.needed(node, attributes, "shape", 1)
        return self.out.expand(x, np.broadcast_shapes(x.shape, tuple(shape)))

    def on_Concat(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        values = [self.value(n) for n in node.input]
        return self.out.concat(values, attributes["axis"] % len(values[0].shape))

    def on_Pad(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x, pads = self.data(node), self.needed(node, attributes, "pads", 1)
        if attributes.get("mode", "constant") != "constant":
            raise UnsupportedError(f"mode {attributes['mode']!r}")
        if self.constant(node, 3) is not None:
            raise UnsupportedError("axes")
        number = attributes.get("value", 0.0) if self.constant(node, 2) is None \
            else self.number(node, 2)
        return self.out.pad(x, pads[:len(x.shape)], pads[len(x.shape):], number)

    def on_Slice(self, node: onnx.NodeProto, attributes: _Attributes) -> Value:
        x = self.value(node.input[0])
        starts, ends = (self.needed(node, attributes, n, i)
                        for n, i in (("starts", 1), ("ends", 2)))
        axes = self.ints(node, attributes, "axes", 3) or list(range(len(starts)))
        steps = self.ints(node, attributes, "steps", 4) or [1] * len(starts)
        places = [slice(None)] * len(x.shape)
        for axis, start, end, step in zip(axes, starts, ends, steps):
            if step < 1:
                raise UnsupportedError(f"step {step}")
            places[axis % len(x.shape)] = slice(start, end, step)
        ranges = [range(n)[p] for n, p in zip(x.shape, places)]
        return self.out.slice(x, [r.start for r in ranges], [len(r) for r in ranges],
                              [r.step for r in ranges])

    def on_Split(self, node: onnx.NodeProto, attributes: _Attributes) -> list[Value]:
        x, sizes = self.value(node.input[0]), self.ints(node, attributes, "split", 1)
        axis = attributes.get("axis", 0) % len(x.shape)
        if sizes is None:
            count = len(node.output)
            each = -(-x.shape[axis] // count)
            sizes = [min(each, x.shape[axis] - i * each) for i in range(count)]
        results, start = [], 0
        for n in sizes:
            starts, shape = [0] * len(x.shape), list(x.shape)
            starts[axis], shape[axis] = start, n
            results.append(self.out.slice(x, starts, shape, [1] * len(x.shape)))
            start += n
        return results


_Handler = Callable[[_Importer, onnx.NodeProto, _Attributes], Value]


def _add_simple_ops() -> None:
    """Ops that are one op of arith or math."""
    def unary(op: str) -> _Handler:
        return lambda self, node, attributes: self.out.unary(op, self.data(node))

    def variadic(op: str) -> _Handler:
        def handler(self: _Importer, node: onnx.NodeProto, attributes: _Attributes) -> Value:
            first, *rest = self.floats(node)
            for other in rest:
                first = self.out.binary(op, first, other)
            return first
        return handler

    def reduction(op: str) -> _Handler:
        return lambda self, node, attributes: self.reduce(op, node, attributes)

    for make, ops in (
            (unary, {"Neg": "arith.negf", "Abs": "math.absf", "Exp": "math.exp",
                     "Log": "math.log", "Sqrt": "math.sqrt", "Tanh": "math.tanh",
                     "Erf": "math.erf", "Softplus": "quant_ste.softplus grad(exact)"}),
            (variadic, {"Add": "addf", "Sub": "subf", "Mul": "mulf", "Div": "divf",
                        "Max": "maximumf", "Min": "minimumf", "Sum": "addf"}),
            (reduction, {"ReduceMean": "mean", "ReduceSum": "addf", "ReduceMax": "maximumf",
                         "ReduceMin": "minimumf", "ReduceProd": "mulf"})):
        for name, op in ops.items():
            setattr(_Importer, f"on_{name}", make(op))


_add_simple_ops()
