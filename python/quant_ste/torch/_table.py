"""The ops of `quant_ste.torch`, one entry each.

``args`` is the schema after torch's fashion. A ``Tensor`` is an operand of the
quantizer; a ``number`` one that is passed as a number (a float in the schema);
``axis`` the dimension that operands of one dimension run along. Any other
argument is a word: it is written into the text of the kernel, of which there is
one for each value.

``gradients`` says what becomes of the cotangent: ``kernel`` (the default: the rule of
the op, compiled), ``pass`` (unchanged, and no memory kept), ``zero``, ``none`` (not
differentiable); first that of x, then one for all parameters.

``bake``: parameters of one element that may be written into the text, ``always`` or
where they are ``zero``; they stay operands when their gradient is wanted.

``packs``: operands whose gradients choose between the cotangent and zero. Where no
others are wanted, the backward pass needs a bit for each of them, an element, and x no
more. ``packs_unless``: a word, and a value of
it for which this is not so.
"""
from __future__ import annotations

import dataclasses
import math
import re
import struct
from typing import Any, Callable, Sequence

from .. import _native


def number(value: float) -> str:
    """A float attribute as MLIR reads it."""
    value = float(value)
    if not math.isfinite(value):
        return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X} : f64"
    text = repr(value)
    mantissa, e, exponent = text.partition("e")
    return (mantissa if "." in mantissa else mantissa + ".0") + e + exponent


class _Words(dict[str, Any]):
    """Words by name; floats as MLIR spells them."""

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        return number(value) if isinstance(value, float) else value


@dataclasses.dataclass(frozen=True)
class Arg:
    kind: str  # operand, number, axis or word
    type: str  # in the schema
    name: str
    default: str | None
    keyword_only: bool


@dataclasses.dataclass(frozen=True)
class Op:
    name: str
    args: str
    op: str
    words: str | Callable[[dict[str, Any]], str]
    gradients: tuple[str, str] = ("kernel", "kernel")
    bake: tuple[tuple[str, str], ...] = ()
    packs: tuple[str, ...] = ()
    packs_unless: tuple[str, str] = ("", "")
    promotes: bool = False
    gives_float: bool = False
    body: Callable[["Kernel"], str] | None = None
    source: str = ""

    @property
    def arguments(self) -> list[Arg]:
        found, keyword_only = [], False
        for text in self.args.split(","):
            text = text.strip()
            if text == "*":
                keyword_only = True
                continue
            declared, _, default = text.partition("=")
            kind, name = declared.split()
            kinds = {"Tensor": "operand", "number": "number", "axis": "axis"}
            types = {"number": "float", "axis": "int"}
            found.append(Arg(kinds.get(kind, "word"), types.get(kind, kind), name,
                             default or None, keyword_only))
        return found

    def schema(self, before: str = "", after: str = "", keep_defaults: bool = True) -> str:
        parts, starred = ([before] if before else []), False
        for arg in self.arguments:
            if arg.keyword_only and not starred and keep_defaults:
                parts.append("*")
                starred = True
            default = f"={arg.default}" if arg.default and keep_defaults else ""
            parts.append(f"{arg.type} {arg.name}{default}")
        return ", ".join(parts + ([after] if after else []))

    @property
    def forward_schema(self) -> str:
        return f"{self.name}({self.schema()}) -> Tensor"

    @property
    def has_kernel_gradient(self) -> bool:
        operands = [a for a in self.arguments if a.kind == "operand"]
        return "kernel" in (self.gradients if len(operands) > 1 else self.gradients[:1])

    @property
    def backward_schema(self) -> str:
        if not self.has_kernel_gradient:
            return ""
        return f"{self._named('backward')}({self.schema('Tensor dy', 'int[] wrt', False)}) -> Tensor[]"

    @property
    def save_schema(self) -> str:
        """(y, masks): a row of bits for each of ``wrt``."""
        if not self.packs:
            return ""
        return f"{self._named('save')}({self.schema('', 'int[] wrt', False)}) -> (Tensor, Tensor)"

    @property
    def packed_backward_schema(self) -> str:
        """The cotangent is where x would be."""
        if not self.packs:
            return ""
        name = self._named("packed_backward")
        return f"{name}({self.schema('Tensor masks', 'int[] wrt', False)}) -> Tensor[]"

    def _named(self, suffix: str) -> str:
        base, _, overload = self.name.partition(".")
        return f"{base}_{suffix}" + (f".{overload}" if overload else "")

    def packing(self) -> tuple[int, int, str]:
        """Which tensors may be packed, as bits, unless the argument at a place (or -1) has
        a value."""
        tensors = [a.name for a in self.arguments if a.kind == "operand"]
        bits = sum(1 << tensors.index(name) for name in self.packs)
        word, value = self.packs_unless
        names = [a.name for a in self.arguments]
        return bits, names.index(word) if word else -1, value

    def traits(self) -> list[list[str]]:
        """(kind, gradient, bake) of each argument."""
        bake, seen, found = dict(self.bake), 0, []
        for arg in self.arguments:
            gradient = self.gradients[min(seen, 1)] if arg.kind == "operand" else "none"
            seen += arg.kind == "operand"
            found.append([arg.kind, gradient, bake.get(arg.name, "never")])
        return found


#: Extents and layouts, as torch_ops.cpp numbers them.
ONE, CHANNEL, ELEMENT, BAKED = range(4)
_RANKS, _CHANNEL_AXES = (1, 2, 2, 3), (None, 0, 1, 1)


@dataclasses.dataclass(frozen=True)
class Kernel:
    """What to write the text of a kernel from."""

    op: Op
    dtype: str
    layout: int
    operands: tuple[tuple[int, str, float], ...]  # extent, type, value if baked
    words: tuple[Any, ...]

    @property
    def x_type(self) -> str:
        return f"tensor<{'?x' * _RANKS[self.layout]}{self.dtype}>"

    @property
    def values(self) -> _Words:
        names = [a.name for a in self.op.arguments if a.kind == "word"]
        return _Words(zip(names, self.words))

    def operand_type(self, i: int) -> str:
        extent, dtype, _ = self.operands[i]
        if extent == BAKED:
            dtype = self.dtype
        sizes = {ONE: "", BAKED: "", CHANNEL: "?x", ELEMENT: "?x" * _RANKS[self.layout]}
        return f"tensor<{sizes[extent]}{dtype}>"

    def operand_use(self, i: int) -> str:
        axes = {CHANNEL: [_CHANNEL_AXES[self.layout]],
                ELEMENT: list(range(_RANKS[self.layout]))}.get(self.operands[i][0])
        return f"%p{i}" + (f" axes({axes})" if axes else "")

    @property
    def is_stepwise(self) -> bool:
        """Whether rounding each step makes a difference, and is defined: f32 and f64 are
        computed as they are, and the operands must have the data's type."""
        return self.dtype in ("f16", "bf16") and all(
            extent == BAKED or dtype == self.dtype for extent, dtype, _ in self.operands)

    def render_words(self) -> str:
        words = self.op.words
        text = words(self.values) if callable(words) else words.format_map(self.values)
        return text if self.is_stepwise else text.replace("stepwise ", "")

    def body(self) -> str:
        if self.op.body is not None:
            return self.op.body(self)
        count = range(len(self.operands))
        uses = ", ".join(["%x"] + [self.operand_use(i) for i in count])
        types = ", ".join([self.x_type] + [self.operand_type(i) for i in count])
        return f"  %y = quant_ste.{self.op.op} {uses} {self.render_words()} : {types}\n"

    def text(self, wrt: list[int] | None) -> str:
        """@kernel(x, parameters, results), or with a cotangent and gradients."""
        passed = [i for i, o in enumerate(self.operands) if o[0] != BAKED]
        inputs = [("%x", self.x_type)] + [(f"%p{i}", self.operand_type(i)) for i in passed]
        constants = "".join(
            f"  %p{i} = arith.constant dense<{number(value)}> : {self.operand_type(i)}\n"
            for i, (extent, _, value) in enumerate(self.operands) if extent == BAKED)
        signature = ", ".join(f"{n}: {t}" for n, t in inputs)
        types, names = ", ".join(t for _, t in inputs), ", ".join(n for n, _ in inputs)
        text = (f"func.func private @op({signature}) -> {self.x_type} {{\n{constants}"
                f"{self.body()}  return %y : {self.x_type}\n}}\n")
        if wrt is None:
            outs = [("%o0", "%r", self.x_type)]
            compute = f"  %r = call @op({names}) : ({types}) -> {self.x_type}\n"
        else:
            positions = [0 if w == 0 else 1 + passed.index(w - 1) for w in wrt]
            given = [inputs[p][1] for p in positions]
            signature += f", %dy: {self.x_type}"
            outs = [(f"%o{i}", f"%r#{i + 1}", t) for i, t in enumerate(given)]
            compute = (
                f"  %r:{1 + len(wrt)} = quant_ste.vjp @op({names}) cotangents(%dy) wrt "
                f"{positions}\n    : ({types}), ({self.x_type}) -> "
                f"({', '.join([self.x_type] + given)})\n")
        return text + _kernel(signature, compute, outs)

    def split(self, wrt: list[int]) -> str:
        """The op's forward with what it keeps, and its backward: @op_fwd, @op_bwd."""
        text = self.text(None)
        text = text[:text.index("func.func @kernel")].replace("func.func private @op", "func.func @op")
        passed = [i for i, o in enumerate(self.operands) if o[0] != BAKED]
        positions = [0 if w == 0 else 1 + passed.index(w - 1) for w in wrt]
        return _native.split(text.encode(), "op", positions, [0], "keep-results=false")

    def packed_text(self, wrt: list[int], is_backward: bool) -> str:
        """@kernel(x, parameters, y, masks), or (parameters, masks, dy, gradients)."""
        text = self.split(wrt)
        lists = {name: (_types(given), _types(results)) for name, given, results in re.findall(
            r"func.func @(op_[fb]wd)\((.*?)\) -> \(?(.*?)\)? \{\n", text)}
        text = re.sub(r"func.func @(op\w*)\(", r"func.func private @\1(", text)
        passed = [i for i, o in enumerate(self.operands) if o[0] != BAKED]
        parameters = [(f"%p{i}", self.operand_type(i)) for i in passed]
        given, results = lists["op_bwd" if is_backward else "op_fwd"]
        bits = f"tensor<{'?x' * _RANKS[self.layout]}i8>"
        # Of sizes, the number of bits in a row alone.
        rows = re.findall(r"unpack_bits .* size\(%arg(\d+)\)", text)
        indices = [str(i) for i, (t, _) in enumerate(lists["op_bwd"][0]) if t == "index"]
        kept = [t for t, mark in (given if is_backward else results) if mark == "residual"]
        if (kept.count(bits) != len(wrt) or set(kept) - {bits, "index"}
                or set(indices) - set(rows)):
            raise TypeError(f"{self.op.name}: expected to keep {len(wrt)} masks for the gradients of "
                            f"the tensors {wrt}, got {', '.join(kept)}")
        masks = [(f"%b{i}", bits) for i in range(len(wrt))]
        types = ", ".join(t for t, _ in given)
        gives = ", ".join(t for t, _ in results)
        if is_backward:
            inputs = parameters + masks + [("%dy", self.x_type)]
            rest, prepare = iter(masks), (
                f"  %last = arith.constant {_RANKS[self.layout] - 1} : index\n"
                f"  %n = tensor.dim %dy, %last : {self.x_type}\n")
            names = ["%dy" if mark == "cotangent" else
                     parameters[int(mark.split()[1]) - 1][0] if mark.startswith("argument") else
                     "%n" if t == "index" else next(rest)[0] for t, mark in given]
            outs = [(f"%o{i}", f"%r#{i}", t) for i, (t, _) in enumerate(results)]
            name = "op_bwd"
        else:
            inputs = [("%x", self.x_type)] + parameters
            prepare, names = "", [n for n, _ in inputs]
            outs = [(f"%o{k}", f"%r#{i}", t) for k, (i, t) in enumerate(
                (i, t) for i, (t, _) in enumerate(results) if t != "index")]
            name = "op_fwd"
        compute = (f"{prepare}  %r:{len(results)} = call @{name}({', '.join(names)}) : ({types}) -> "
                   f"({gives})\n")
        signature = ", ".join(f"{n}: {t}" for n, t in inputs)
        end = text.rindex("}")
        return text[:end] + _kernel(signature, compute, outs) + text[end:]


def _types(text: str) -> list[tuple[str, str]]:
    """(type, mark) of each of a list of arguments or results, no type with a comma in it;
    an argument's mark has its number."""
    found = []
    for item in text.split(", "):
        type_, _, attributes = item.split(": ", 1)[-1].partition(" {")
        mark = re.search(r"quant_ste\.(cotangent|residual|argument)(?: = (\d+))?", attributes)
        found.append((type_, " ".join(filter(None, mark.groups())) if mark else ""))
    return found


def _kernel(signature: str, compute: str, outs: list[tuple[str, str, str]]) -> str:
    """@kernel, which writes to its last arguments: (argument, value, type) of each."""
    stores = "".join(
        f"  %m{i} = bufferization.to_buffer {o} : {t} to {t.replace('tensor', 'memref')}\n"
        f"  bufferization.materialize_in_destination {r} in restrict writable %m{i}\n"
        f"    : ({t}, {t.replace('tensor', 'memref')}) -> ()\n"
        for i, (o, r, t) in enumerate(outs))
    writable = ", ".join(f"{o}: {t} {{bufferization.writable = true}}" for o, _, t in outs)
    return f"func.func @kernel({signature}, {writable}) {{\n{compute}{stores}  return\n}}\n"


#: The forms of an op, as torch_ops.cpp numbers them.
FORWARD, BACKWARD, SAVE, PACKED_BACKWARD = range(4)


def get_text(op: Op, form: int, dtype: str, layout: int,
             operands: Sequence[tuple[int, str, float]], words: Sequence[Any],
             wrt: Sequence[int]) -> str:
    kernel = Kernel(op, dtype, layout, tuple((o[0], o[1], o[2]) for o in operands), tuple(words))
    if form in (SAVE, PACKED_BACKWARD):
        return kernel.packed_text(list(wrt), form == PACKED_BACKWARD)
    return kernel.text(list(wrt) if form == BACKWARD else None)


#===----------------------------------------------------------------------===#
# Words that take a choice
#===----------------------------------------------------------------------===#

PASS, ZERO, NONE = ("pass", "none"), ("zero", "none"), ("none", "none")
X_ONLY = ("kernel", "none")


def _sign(words: dict[str, Any], rest: str = "") -> str:
    return (("signed " if words["signed"] else "unsigned ")
            + ("narrow_range " if words.get("narrow_range") else "") + rest)


def _int_quant(words: dict[str, Any]) -> str:
    return _sign(words, f"rounding({words['rounding']}) "
                 + ("stepwise " if words.get("stepwise") else "") + f"grad({words['grad']})")


def _float_quant(words: dict[str, Any]) -> str:
    return (f"format({words['format']}) " + _sign(words)
            + ("saturating " if words["saturating"] else "") + f"grad({words['grad']})")


#===----------------------------------------------------------------------===#
# The table
#===----------------------------------------------------------------------===#

_BREVITAS_STE = [
    Op(f"{name}_ste", "Tensor x", name, "grad(ste)", PASS,
       source=f"brevitas.function.ops_ste.{name}_ste")
    for name in ("round", "floor", "ceil", "round_to_zero", "dpu_round", "binary_sign",
                 "ternary_sign")
]

_BREVITAS = [
    *_BREVITAS_STE,
    Op("abs_binary_sign_grad", "Tensor x", "abs_binary_sign_grad",
       "stepwise multiply_masks grad(binary_sign)",
       packs=("x",), source="brevitas.function.ops_ste.abs_binary_sign_grad"),
    Op("scalar_clamp_ste", "Tensor x, float min_val, float max_val", "scalar_clamp",
       "min({min_val}) max({max_val}) grad(ste)", PASS,
       source="brevitas.function.ops_ste.scalar_clamp_ste"),
    Op("scalar_clamp_min_ste", "Tensor x, float min_val", "scalar_clamp_min",
       "min({min_val}) grad(ste)", PASS,
       source="brevitas.function.ops_ste.scalar_clamp_min_ste"),
    Op("tensor_clamp_ste", "Tensor x, Tensor min_val, Tensor max_val", "tensor_clamp",
       "grad(ste)", PASS, source="brevitas.function.ops_ste.tensor_clamp_ste"),
    Op("tensor_clamp", "Tensor x, Tensor min_val, Tensor max_val", "tensor_clamp",
       "grad(exact)", packs=("x",), source="brevitas.function.ops.tensor_clamp"),
    Op("binary_sign", "Tensor x", "binary_sign", "grad(ste)", NONE,
       source="brevitas.function.ops.binary_sign"),
    Op("round_to_zero", "Tensor x", "round_to_zero", "grad(ste)", ZERO,
       source="brevitas.function.ops.round_to_zero"),
    Op("dpu_round", "Tensor x", "dpu_round", "grad(ste)", ZERO,
       source="brevitas.function.ops.dpu_round"),
    Op("max_int", "Tensor bit_width, bool signed, bool narrow_range", "max_int",
       lambda w: _sign(w, "grad(exact)"), source="brevitas.function.ops.max_int"),
    Op("min_int", "Tensor bit_width, bool signed, bool narrow_range", "min_int",
       lambda w: _sign(w, "grad(exact)"), source="brevitas.function.ops.min_int"),
    Op("int_quant",
       "Tensor x, Tensor scale, Tensor zero_point, Tensor bit_width, *, bool signed=True, "
       "bool narrow_range=False, str rounding='round', str grad='clipped', bool stepwise=False",
       "int_quant", _int_quant, promotes=True,
       bake=(("bit_width", "always"), ("zero_point", "zero")),
       packs=("x",), packs_unless=("grad", "ste"),
       source="brevitas.core.quant.int_base.IntQuant"),
    Op("decoupled_int_quant",
       "Tensor x, Tensor pre_scale, Tensor pre_zero_point, Tensor scale, Tensor zero_point, "
       "Tensor bit_width, *, bool signed=True, bool narrow_range=False, str rounding='round', "
       "str grad='clipped', bool stepwise=False",
       "decoupled_int_quant", _int_quant, promotes=True,
       bake=(("bit_width", "always"), ("zero_point", "zero"), ("pre_zero_point", "zero")),
       packs=("x",), packs_unless=("grad", "ste"),
       source="brevitas.core.quant.int_base.DecoupledIntQuant"),
    Op("trunc_int_quant",
       "Tensor x, Tensor scale, Tensor zero_point, Tensor input_bit_width, "
       "Tensor output_bit_width, *, bool signed=True, bool narrow_range=False, "
       "str rounding='floor', str grad='clipped', bool stepwise=False",
       "trunc_int_quant", _int_quant, promotes=True,
       bake=(("input_bit_width", "always"), ("output_bit_width", "always"),
             ("zero_point", "zero")),
       packs=("x",),
       source="brevitas.core.quant.int.TruncIntQuant"),
    Op("binary_quant", "Tensor x, Tensor scale", "binary_quant", "grad(ste)", promotes=True,
       source="brevitas.core.quant.binary.BinaryQuant"),
    Op("clamped_binary_quant", "Tensor x, Tensor scale", "clamped_binary_quant",
       "grad(clipped)", promotes=True,
       packs=("x",), source="brevitas.core.quant.binary.ClampedBinaryQuant"),
    Op("ternary_quant", "Tensor x, Tensor scale, float threshold", "ternary_quant",
       "threshold({threshold}) grad(ste)", promotes=True,
       packs=("x",), source="brevitas.core.quant.ternary.TernaryQuant"),
    Op("float_quant",
       "Tensor x, Tensor scale, *, str format='e4m3_ocp', bool signed=True, "
       "bool saturating=True, str grad='clipped'",
       "float_quant", _float_quant, promotes=True,
       packs=("x",), packs_unless=("grad", "exponent"),
       source="brevitas.core.quant.float.FloatQuant"),
    Op("scalar_signed_clamp_min_ste", "Tensor x, float min_val", "scalar_signed_clamp_min",
       "min({min_val}) grad(ste)", PASS,
       source="brevitas.core.function_wrapper.ScalarSignedClampMinSte"),
    Op("power_of_two", "Tensor x, *, str rounding='ceil'", "power_of_two",
       "rounding({rounding}) grad(ste)",
       source="brevitas.core.restrict_val.PowerOfTwoRestrictValue"),
    Op("stochastic_round_ste", "Tensor x, Tensor u", "stochastic_round", "grad(ste)", PASS,
       source="Gupta et al. 2015 (arXiv:1502.02551)"),
]

_BITORCH = [
    Op("sign", "Tensor x", "binary_sign", "nan_positive grad(ste)", PASS,
       source="bitorch.quantizations.Sign"),
    Op("approx_sign", "Tensor x", "binary_sign",
       "nan_positive stepwise multiply_masks grad(approx_sign)",
       source="bitorch.quantizations.ApproxSign"),
    Op("ste_heaviside", "Tensor x, float threshold=1.0", "heaviside",
       lambda w: (f"stepwise multiply_masks grad(window({number(-float(w.get('threshold', 1.0)))}"
                  f", {w['threshold']}))"),
       gives_float=True, packs=("x",), source="bitorch.quantizations.SteHeaviside"),
    Op("swish_sign", "Tensor x, float beta=5.0", "binary_sign",
       "nan_positive stepwise multiply_masks grad(swish({beta}))",
       source="bitorch.quantizations.SwishSign"),
    Op("progressive_sign", "Tensor x, float temperature", "progressive_sign",
       "temperature({temperature}) grad(ste)", PASS,
       source="bitorch.quantizations.ProgressiveSign"),
    Op("input_dorefa", "Tensor x, int bits", "dorefa", "bits({bits}) stepwise grad(ste)", PASS,
       source="bitorch.quantizations.InputDoReFa"),
    Op("weight_dorefa_given_max", "Tensor x, Tensor max, int bits", "dorefa_weight",
       "bits({bits}) stepwise grad(ste)", PASS, source="bitorch.quantizations.WeightDoReFa"),
    Op("pact", "Tensor x, Tensor alpha, int bits, *, str grad='pact'", "pact",
       "bits({bits}) stepwise multiply_masks grad({grad})", promotes=True,
       packs=("x", "alpha"),
       source="bitorch.layers.pact.PactActFn"),
]

_TORCH = [
    Op("fake_quantize_per_tensor_affine",
       "Tensor input, number scale, number zero_point, int quant_min, int quant_max",
       "fake_quantize", "qmin({quant_min}) qmax({quant_max}) multiply_masks grad(clipped)", X_ONLY,
       packs=("input",),
       source="torch.fake_quantize_per_tensor_affine"),
    Op("fake_quantize_per_tensor_affine.tensor_qparams",
       "Tensor input, Tensor scale, Tensor zero_point, int quant_min, int quant_max",
       "fake_quantize", "qmin({quant_min}) qmax({quant_max}) multiply_masks grad(clipped)", X_ONLY,
       packs=("input",),
       source="torch.fake_quantize_per_tensor_affine"),
    Op("fake_quantize_per_channel_affine",
       "Tensor input, Tensor scale, Tensor zero_point, axis axis, int quant_min, int quant_max",
       "fake_quantize", "qmin({quant_min}) qmax({quant_max}) multiply_masks grad(clipped)", X_ONLY,
       packs=("input",),
       source="torch.fake_quantize_per_channel_affine"),
    Op("learnable_fake_quantize_per_tensor_affine",
       "Tensor input, Tensor scale, Tensor zero_point, int quant_min, int quant_max, "
       "float grad_factor=1.0",
       "learnable_fake_quantize",
       "qmin({quant_min}) qmax({quant_max}) grad_factor({grad_factor}) multiply_masks "
       "grad(clipped)", packs=("input",),
       source="torch._fake_quantize_learnable_per_tensor_affine"),
    Op("learnable_fake_quantize_per_channel_affine",
       "Tensor input, Tensor scale, Tensor zero_point, axis axis, int quant_min, "
       "int quant_max, float grad_factor=1.0",
       "learnable_fake_quantize",
       "qmin({quant_min}) qmax({quant_max}) grad_factor({grad_factor}) multiply_masks "
       "grad(clipped)", packs=("input",),
       source="torch._fake_quantize_learnable_per_channel_affine"),
]

_LITERATURE = [
    Op("lsq", "Tensor x, Tensor scale, int qmin, int qmax, float grad_scale=1.0, *, "
       "str grad='lsq'", "lsq",
       "qmin({qmin}) qmax({qmax}) grad_scale({grad_scale}) grad({grad})", promotes=True,
       packs=("x",), source="Esser et al. 2020 (arXiv:1902.08153)"),
    Op("lsq_plus", "Tensor x, Tensor scale, Tensor beta, int qmin, int qmax, "
       "float grad_scale=1.0, *, str grad='lsq'", "lsq_plus",
       "qmin({qmin}) qmax({qmax}) grad_scale({grad_scale}) grad({grad})", promotes=True,
       packs=("x",), source="Bhalgat et al. 2020 (arXiv:2004.09576)"),
    Op("tqt", "Tensor x, Tensor log2_threshold, int bits=8, bool signed=True", "tqt",
       lambda w: f"bits({w['bits']}) {_sign(w)}grad(tqt)", promotes=True,
       packs=("x",), source="Jain et al. 2020 (arXiv:1903.08066)"),
    Op("ewgs", "Tensor x, int levels, float delta", "ewgs",
       "levels({levels}) grad(ewgs({delta}))", source="Lee et al. 2021 (arXiv:2104.00903)"),
    Op("dorefa", "Tensor x, int bits", "dorefa", "bits({bits}) grad(dorefa)",
       packs=("x",), source="Zhou et al. 2016 (arXiv:1606.06160)"),
    Op("mx_scale", "Tensor amax, *, str element='e4m3_ocp'", "mx_scale",
       "element({element}) grad(ste)", source="OCP Microscaling Formats 1.0"),
]

OPS = _BREVITAS + _BITORCH + _TORCH + _LITERATURE
