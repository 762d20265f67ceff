"""The ops as functions, called as the users of each library call theirs."""
from __future__ import annotations

import math

import torch
from torch import Tensor

from . import _register
from ._register import FUNCTIONS as _ops
from ._table import OPS

__all__: list[str] = []


def _public(function):
    __all__.append(function.__name__)
    return function


def _describe(op) -> str:
    """Its schema, source, shapes, gradients and errors."""
    operands = [a.name for a in op.arguments if a.kind == "operand"]
    x, *parameters = operands
    gives = {"kernel": "that of the rule", "pass": "the cotangent", "zero": "zero",
             "none": "none"}
    lines = [f"``{op.forward_schema}``", "",
             f"The quantizer `quant_ste.{op.op}`, with the numbers of {op.source}.", "",
             f"{x}: f16, bf16, f32 or f64, of any shape and strides; the result has its shape."]
    gradients = f"Gradient of {x}: {gives[op.gradients[0]]}"
    if parameters:
        along = (" or, of one dimension, run along ``axis``"
                 if any(a.kind == "axis" for a in op.arguments) else "")
        lines.append(f"{', '.join(parameters)}: broadcast to {x}'s shape{along}.")
        gradients += f"; of {', '.join(parameters)}: {gives[op.gradients[1]]}"
    lines += [f"{gradients}. A second derivative is an error.",
              f"Raises TypeError for another type of {x}" + (
                  ", RuntimeError for shapes that do not broadcast." if parameters else ".")]
    return "\n".join(lines)


def _export(op) -> None:
    """A function for an entry of the table; its overloads are one."""
    name, _, overload = op.name.partition(".")
    if overload:
        return
    packet = getattr(torch.ops.quant_ste, name)
    names = [o.name for o in OPS if o.name.partition(".")[0] == name]
    function = _register.bind(names, packet if len(names) > 1 else packet.default)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = _describe(op)
    globals()[name] = function
    setattr(_ops, name, function)
    __all__.append(name)


for _op in OPS:
    _export(_op)


#===----------------------------------------------------------------------===#
# brevitas.function
#===----------------------------------------------------------------------===#

# The functions that brevitas.ops.autograd_ste_ops has for these.
for _name in ("round", "binary_sign", "ternary_sign", "floor", "ceil", "round_to_zero",
              "scalar_clamp_min", "scalar_clamp", "tensor_clamp", "dpu_round"):
    globals()[f"{_name}_ste_impl"] = globals()[f"{_name}_ste"]
    __all__.append(f"{_name}_ste_impl")
abs_binary_sign_grad_impl = globals()["abs_binary_sign_grad"]
__all__.append("abs_binary_sign_grad_impl")


@_public
def identity(x: Tensor) -> Tensor:
    """x itself."""
    return x


@_public
def tensor_clamp_(x: Tensor, min_val: Tensor, max_val: Tensor) -> Tensor:
    """x clamped in place; not differentiable. NaN in x or in a bound gives NaN."""
    torch.min(x, max_val, out=x)
    torch.max(x, min_val, out=x)
    return x


@_public
def tensor_clamp_ste_(x: Tensor, min_val: Tensor, max_val: Tensor) -> Tensor:
    """x clamped in place; the gradient passes to x unchanged."""
    with torch.no_grad():
        tensor_clamp_(x.detach(), min_val, max_val)
    return x.view_as(x)


tensor_clamp_ste_impl_ = tensor_clamp_ste_
__all__.append("tensor_clamp_ste_impl_")


def _bounds(op, whole, signed, narrow_range, bit_width):
    """Flags may be tensors; a bit width that is an integer gives one."""
    signed, narrow_range = bool(signed), bool(narrow_range)
    if isinstance(bit_width, Tensor) and bit_width.is_floating_point():
        return op(bit_width, signed, narrow_range)
    return whole(signed, narrow_range, bit_width)


def _whole_max(signed, narrow_range, bit_width):
    if signed:
        return 2 ** (bit_width - 1) - 1
    return 2 ** bit_width - (2 if narrow_range else 1)


def _whole_min(signed, narrow_range, bit_width):
    if not signed:
        return 0 * bit_width
    return -(2 ** (bit_width - 1)) + (1 if narrow_range else 0)


_max_int, _min_int = _ops.max_int, _ops.min_int


def max_int(signed, narrow_range, bit_width):
    """The largest integer of ``bit_width`` bits: 127 for signed 8, 255 or (narrow) 254 for
    unsigned 8. Differentiable in a float bit width. (brevitas.function.ops.max_int)"""
    return _bounds(_max_int, _whole_max, signed, narrow_range, bit_width)


def min_int(signed, narrow_range, bit_width):
    """The smallest integer of ``bit_width`` bits: -128 or (narrow) -127 for signed 8, 0
    unsigned. (brevitas.function.ops.min_int)"""
    return _bounds(_min_int, _whole_min, signed, narrow_range, bit_width)


@_public
def max_uint(narrow_range, bit_width):
    """`max_int`, unsigned."""
    return max_int(False, narrow_range, bit_width)


@_public
def compute_max_mantissa(mantissa_bit_width):
    """The largest mantissa of that many bits, in [1, 2)."""
    return 2 * (1 - 2 ** (-mantissa_bit_width - 1))


@_public
def max_float(exponent_bit_width, max_mantissa, exponent_bias):
    """The largest number of a minifloat without infinities."""
    return max_mantissa * (2 ** ((2. ** exponent_bit_width) - 1. - exponent_bias))


@_public
def calculate_midmax_bias(mantissa_bit_width, midmax_mantissa_bit_bias: float):
    """log2 of the largest number that rounds to the largest of a format."""
    return torch.log2(2 - 2 ** (-mantissa_bit_width - 1 + midmax_mantissa_bit_bias))


@_public
def get_upper_bound_on_l1_norm(accumulator_bit_width, input_bit_width, input_is_signed):
    """What the l1 norm of weights may be so that the accumulator cannot overflow."""
    largest = pow(2., accumulator_bit_width - 1.) - 1.
    return largest * pow(2., float(input_is_signed) - input_bit_width)


#===----------------------------------------------------------------------===#
# bitorch
#===----------------------------------------------------------------------===#


class _Applied:
    """A class that is used through ``apply``, as torch.autograd.Function is."""

    def __init__(self, *_):
        raise TypeError(f"{type(self).__name__} is used through apply")


def _function_class(name: str, source: str):
    def decorate(apply):
        apply.__doc__ = f"{source}: its numbers and gradient, for x of any shape and strides."
        made = type(name, (_Applied,), {"apply": staticmethod(apply),
                                        "__doc__": f"``apply``: {source}."})
        made.__module__ = __name__
        globals()[name] = made
        __all__.append(name)
        return apply
    return decorate


_sign, _approx_sign = _ops.sign, _ops.approx_sign
_heaviside, _swish_sign = _ops.ste_heaviside, _ops.swish_sign
_progressive_sign, _pact = _ops.progressive_sign, _ops.pact
_input_dorefa, _weight_dorefa = _ops.input_dorefa, _ops.weight_dorefa_given_max


@_function_class("SignFunction", "bitorch.quantizations.sign.SignFunction")
def _apply_sign(x):
    return _sign(x)


@_function_class("ApproxSignFunction", "bitorch.quantizations.approx_sign.ApproxSignFunction")
def _apply_approx_sign(x):
    return _approx_sign(x)


@_function_class("SteHeavisideFunction",
                 "bitorch.quantizations.ste_heaviside.SteHeavisideFunction")
def _apply_heaviside(x):
    return _heaviside(x)


@_function_class("SwishSignFunction", "bitorch.quantizations.swish_sign.SwishSignFunction")
def _apply_swish_sign(x, beta=1.0):
    return _swish_sign(x, float(beta))


@_function_class("ProgressiveSignFunctionTrain",
                 "bitorch.quantizations.progressive_sign.ProgressiveSignFunctionTrain")
def _apply_progressive_sign(x, temperature):
    return _progressive_sign(x, float(temperature))


@_function_class("InputDoReFaFunction", "bitorch.quantizations.dorefa.InputDoReFaFunction")
def _apply_input_dorefa(x, bits):
    return _input_dorefa(x, int(bits))


@_function_class("WeightDoReFaFunction", "bitorch.quantizations.dorefa.WeightDoReFaFunction")
def _apply_weight_dorefa(x, maximum_bit_value):
    return weight_dorefa(x, math.log2(maximum_bit_value + 1))


@_function_class("PactActFn", "bitorch.layers.pact.PactActFn; alpha has one element")
def _apply_pact(x, alpha, bits):
    if alpha.numel() != 1:
        raise RuntimeError(f"expected alpha to have one element, got {tuple(alpha.shape)}")
    return _pact(x, alpha, int(bits))


@_public
def weight_dorefa(x: Tensor, bits: int) -> Tensor:
    """DoReFa-Net's weight quantizer with bitorch's gradient, dx = dy.

    ``2 (round(a n) / n) - 1`` with ``n = 2^bits - 1`` and ``a = tanh(x) / (2 max|tanh(x)|) +
    1/2``, the maximum taken over the whole tensor.
    """
    # tanh is monotonic: one tanh instead of one per element.
    largest = torch.tanh(x.detach().abs().max())
    return _weight_dorefa(x, largest, int(bits))


#===----------------------------------------------------------------------===#
# Groups
#===----------------------------------------------------------------------===#

_absmax_scale = _ops.mx_scale
_float_quant = _ops.float_quant
_int_quant = _ops.int_quant


@_public
def mx_quant(x: Tensor, element: str = "e4m3_ocp", group_size: int = 32, dim: int = -1,
             detach_scale: bool = True) -> Tensor:
    """OCP microscaling: each group of ``group_size`` along ``dim`` shares a power of two.

    ``element``: int8, e4m3_ocp, e5m2_ocp, e3m2, e2m3 or e2m1. A last group that is not full
    counts as filled with zeros. The gradient passes where nothing is clipped;
    with ``detach_scale=False`` it also reaches the largest magnitude of a group through
    the scale. Source: OCP Microscaling Formats 1.0.
    """
    moved = x.movedim(dim, -1)
    size = moved.shape[-1]
    pad = -size % group_size
    padded = torch.nn.functional.pad(moved, (0, pad)) if pad else moved
    groups = padded.reshape(*padded.shape[:-1], -1, group_size)
    amax = (groups.detach() if detach_scale else groups).abs().amax(-1, keepdim=True)
    scale = _absmax_scale(amax, element=element)
    if element == "int8":
        bits = torch.tensor(8.0)
        y = _int_quant(groups, scale, torch.tensor(0.0), bits, narrow_range=True)
    else:
        y = _float_quant(groups, scale, format=element)
    y = y.reshape(padded.shape)
    return (y[..., :size] if pad else y).movedim(-1, dim)


#===----------------------------------------------------------------------===#
# torch
#===----------------------------------------------------------------------===#

_learnable_per_tensor = _ops.learnable_fake_quantize_per_tensor_affine
_learnable_per_channel = _ops.learnable_fake_quantize_per_channel_affine


@_public
def _fake_quantize_learnable_per_tensor_affine(input, scale, zero_point, quant_min, quant_max,
                                               grad_factor=1.0):
    """torch's op of that name."""
    return _learnable_per_tensor(input, scale, zero_point, quant_min, quant_max, grad_factor)


@_public
def _fake_quantize_learnable_per_channel_affine(input, scale, zero_point, axis, quant_min,
                                                quant_max, grad_factor=1.0):
    """torch's op of that name."""
    return _learnable_per_channel(input, scale, zero_point, axis, quant_min, quant_max,
                                  grad_factor)
