"""Swap the fake quantizers of a model for compiled ones."""
from __future__ import annotations

import contextlib
import copy
import copyreg
import dataclasses
import importlib
import sys
import types
from typing import Any, Callable

import torch
from torch import Tensor, nn

from . import _functions as functions
from ._register import FUNCTIONS as _ops


#===----------------------------------------------------------------------===#
# What is swapped, and for what
#===----------------------------------------------------------------------===#

_ROUNDINGS = {"RoundSte": "round", "FloorSte": "floor", "CeilSte": "ceil",
              "RoundToZeroSte": "round_to_zero", "DPURoundSte": "dpu"}


_CLAMPS = {"TensorClamp": "unfused", "TensorClampSte": "ste"}


def _class_name(module) -> str:
    """Of the library, whether the module was swapped or not."""
    return type(module).__name__.removeprefix("Compiled")


def _rounding(module) -> str | None:
    return _ROUNDINGS.get(_class_name(module))


def _has_no_delay(module) -> bool:
    return _class_name(module.delay_wrapper.delay_impl) == "_NoDelay"


def _int_quant_refusal(module) -> str | None:
    if _rounding(module.float_to_int_impl) is None:
        return f"no rounding for {_class_name(module.float_to_int_impl)}"
    if _class_name(module.tensor_clamp_impl) not in _CLAMPS:
        return f"no clamp for {_class_name(module.tensor_clamp_impl)}"
    if not _has_no_delay(module):
        return "quantization starts after a number of steps"
    return None


def _int_quant(module, scale, zero_point, bit_width, x):
    x = module.input_view_impl(x)
    return _ops.int_quant(x, scale, zero_point, bit_width, signed=bool(module.signed),
                          narrow_range=bool(module.narrow_range),
                          rounding=_rounding(module.float_to_int_impl),
                          grad=_CLAMPS[_class_name(module.tensor_clamp_impl)], stepwise=True)


def _decoupled_int_quant(module, pre_scale, pre_zero_point, scale, zero_point, bit_width, x):
    return _ops.decoupled_int_quant(
        module.input_view_impl(x), pre_scale, pre_zero_point, scale, zero_point, bit_width,
        signed=bool(module.signed), narrow_range=bool(module.narrow_range),
        rounding=_rounding(module.float_to_int_impl),
        grad=_CLAMPS[_class_name(module.tensor_clamp_impl)], stepwise=True)


def _trunc_refusal(module) -> str | None:
    scaling = _class_name(module.trunc_scaling_impl)
    if scaling != "TruncMsbScaling":
        return f"no truncation for {scaling}"
    clamp = _class_name(module.tensor_clamp_impl)
    if clamp != "TensorClamp":
        return f"no clamp for {clamp}"
    return _int_quant_refusal(module)


def _trunc_int_quant(module, x, scale, zero_point, input_bit_width, signed):
    bit_width = module.msb_clamp_bit_width_impl()
    y = _ops.trunc_int_quant(
        x, scale, zero_point, input_bit_width, bit_width, signed=bool(signed),
        narrow_range=bool(module.narrow_range), rounding=_rounding(module.float_to_int_impl),
        grad="unfused", stepwise=True)
    factor = module.trunc_scaling_impl(None, input_bit_width, bit_width, signed)
    return y, scale * factor, zero_point / factor, bit_width


_FLOAT_PARTS = ("exponent_bit_width", "mantissa_bit_width", "exponent_bias")


def _float_parts(module) -> list[nn.Module]:
    """Its exponent's and mantissa's widths and bias, whatever the version calls them."""
    return [getattr(module, n) if hasattr(module, n) else getattr(module, f"{n}_impl")
            for n in _FLOAT_PARTS]


def _format(module) -> str:
    """The minifloat as float_quant spells it."""
    exponent, mantissa, bias = (float(part()) for part in _float_parts(module))
    clamp = module.float_clamp_impl
    largest = (2 - 2 ** -mantissa) * 2 ** (2 ** exponent - 1 - bias)
    if clamp.max_available_float is not None:
        largest = min(largest, float(clamp.max_available_float()))
    beyond = ""
    if not clamp.saturating:
        beyond = ", inf" if clamp.inf_values is not None else ", nan"
    return f"{int(exponent)}, {int(mantissa)}, {int(bias)}, {largest!r}{beyond}"


def _float_refusal(module) -> str | None:
    parts, clamp = _float_parts(module), module.float_clamp_impl
    if any(True for part in parts for _ in part.parameters()):
        return "its format is learned"
    if any(not float(part()).is_integer() for part in parts):
        return "its widths are not whole"
    if _class_name(module.float_to_int_impl) != "RoundSte":
        return f"no rounding for {_class_name(module.float_to_int_impl)}"
    if _class_name(clamp) != "FloatClamp" or _class_name(clamp.tensor_clamp_impl) != "TensorClamp":
        return f"no clamp for {_class_name(getattr(clamp, 'tensor_clamp_impl', clamp))}"
    if not clamp.saturating and (not clamp.signed or clamp.inf_values is clamp.nan_values is None):
        return "numbers above the largest have no compiled form"
    return None


def _float_quant(module, x):
    if module.observer_only or x.dtype in (torch.float16, torch.bfloat16):
        return _original(module).forward(module, x)  # the library rounds halves at each step
    exponent, mantissa, bias = (part() for part in _float_parts(module))
    largest = None
    if module.float_scaling_impl is not None:
        most = (module.compute_max_mantissa(mantissa) if hasattr(module, "compute_max_mantissa")
                else module.pre_compute_max_mantissa())
        largest = module.float_scaling_impl(exponent, most, bias)
    scale, clamp = module.scaling_impl(x, largest), module.float_clamp_impl
    y = _ops.float_quant(module.input_view_impl(x), scale, format=_format(module),
                         signed=bool(clamp.signed), saturating=bool(clamp.saturating),
                         grad="exponent")
    return (y, scale, module.zero_point_impl(), exponent, mantissa, bias, clamp.saturating,
            clamp.inf_values, clamp.nan_values)


def _delay_refusal(module) -> str | None:
    return None if _has_no_delay(module) else "quantization starts after a number of steps"


def _clamped_binary_refusal(module) -> str | None:
    clamp = _class_name(module.tensor_clamp_impl)
    return _delay_refusal(module) if clamp == "TensorClamp" else f"no clamp for {clamp}"


def _scaled(op):
    """Brevitas' binary quantizers: y, scale, zero point, bit width."""
    def call(module, x):
        scale = module.scaling_impl(x)
        return op(x, scale), scale, module.zero_point(), module.bit_width()
    return call


def _ternary_quant(module, x):
    if x.dtype in (torch.float16, torch.bfloat16):  # which the library turns into f32
        return _original(module).forward(module, x)
    return _scaled(lambda x, scale: _ops.ternary_quant(x, scale, float(module.threshold)))(module, x)


def _original(module) -> type:
    """The class that was swapped."""
    return type(module).__mro__[1]


def _progressive_sign(module, x):
    if not module.training:
        return _ops.sign(x)
    return _ops.progressive_sign(x, float(module.transform(module.current_scale)))


@dataclasses.dataclass(frozen=True)
class _Rule:
    """How modules of one class are swapped: `forward(module, ...)` replaces the method."""

    cls: str
    method: str
    call: Callable
    refusal: Callable[[Any], str | None] = lambda module: None
    cause: str = ""  # why results may differ


def _unary(op):
    return lambda module, x: op(x)


_RULES = [
    _Rule("brevitas.core.quant.int_base.IntQuant", "forward", _int_quant, _int_quant_refusal,
          "the sum of the scale's gradient is taken in another order; with TensorClampSte "
          "dx is dy, where the library has (dy scale) / scale"),
    _Rule("brevitas.core.quant.int_base.DecoupledIntQuant", "forward", _decoupled_int_quant,
          _int_quant_refusal, "the sums of the scales' gradients are taken in another order"),
    _Rule("brevitas.core.quant.int.TruncIntQuant", "forward", _trunc_int_quant, _trunc_refusal,
          "the sums of the scale's gradient are taken in another order"),
    _Rule("brevitas.core.quant.float.FloatQuant", "forward", _float_quant, _float_refusal,
          "the exponent of x is exact, where the library adds eps and takes log2"),
    _Rule("brevitas.core.quant.binary.BinaryQuant", "forward", _scaled(_ops.binary_quant),
          _delay_refusal, "the sum of the scale's gradient is taken in another order"),
    _Rule("brevitas.core.quant.binary.ClampedBinaryQuant", "forward",
          _scaled(_ops.clamped_binary_quant), _clamped_binary_refusal,
          "the scale's gradient is one sum, not three"),
    _Rule("brevitas.core.quant.ternary.TernaryQuant", "forward", _ternary_quant, _delay_refusal,
          "the sum of the scale's gradient is taken in another order; masks select"),
    *[_Rule(f"brevitas.core.function_wrapper.{path}", "forward", _unary(op))
      for path, op in (("ops_ste.RoundSte", _ops.round_ste), ("ops_ste.FloorSte", _ops.floor_ste),
                       ("ops_ste.CeilSte", _ops.ceil_ste),
                       ("ops_ste.RoundToZeroSte", _ops.round_to_zero_ste),
                       ("ops_ste.DPURoundSte", _ops.dpu_round_ste))],
    _Rule("brevitas.core.function_wrapper.clamp.TensorClamp", "forward",
          lambda module, x, min_val, max_val: functions.tensor_clamp(x, min_val, max_val)),
    _Rule("brevitas.core.function_wrapper.ops_ste.ScalarClampMinSte", "forward",
          lambda module, x: _ops.scalar_clamp_min_ste(x, float(module.min_val))),
    _Rule("bitorch.quantizations.sign.Sign", "quantize", _unary(_ops.sign)),
    _Rule("bitorch.quantizations.approx_sign.ApproxSign", "quantize", _unary(_ops.approx_sign)),
    _Rule("bitorch.quantizations.ste_heaviside.SteHeaviside", "quantize",
          _unary(_ops.ste_heaviside)),
    _Rule("bitorch.quantizations.progressive_sign.ProgressiveSign", "quantize",
          _progressive_sign),
    _Rule("bitorch.quantizations.swish_sign.SwishSign", "quantize",
          lambda module, x: _ops.swish_sign(x, float(module.beta)),
          cause="exp is a polynomial, within a few ULPs"),
    _Rule("bitorch.quantizations.dorefa.InputDoReFa", "quantize",
          lambda module, x: _ops.input_dorefa(x, int(module.bit_width))),
    _Rule("bitorch.quantizations.dorefa.WeightDoReFa", "quantize",
          lambda module, x: functions.weight_dorefa(x, int(module.bit_width)),
          cause="tanh is a polynomial: where a n is half way, the next step may be taken"),
    _Rule("bitorch.layers.pact.Pact", "forward",
          lambda module, x: functions.PactActFn.apply(x, module.alpha, module.bits),
          cause="the sum of alpha's gradient is taken in another order"),
]


def _fake_quantize(module, x):
    """torch.ao.quantization.FakeQuantize.forward with the compiled op at its end."""
    if module.observer_enabled[0] == 1:
        module.activation_post_process(x.detach())
        scale, zero_point = module.calculate_qparams()
        scale, zero_point = scale.to(module.scale.device), zero_point.to(module.zero_point.device)
        if module.scale.shape != scale.shape:
            module.scale.resize_(scale.shape)
            module.zero_point.resize_(zero_point.shape)
        module.scale.copy_(scale)
        module.zero_point.copy_(zero_point)
    return _quantize_if_enabled(module, x)


def _quantize_if_enabled(module, x):
    if module.fake_quant_enabled[0] == 1:
        quant_min = module.activation_post_process.quant_min
        quant_max = module.activation_post_process.quant_max
        if module.is_per_channel:
            return _ops.fake_quantize_per_channel_affine(
                x, module.scale, module.zero_point, module.ch_axis, quant_min, quant_max)
        return _ops.fake_quantize_per_tensor_affine(
            x, module.scale, module.zero_point, quant_min, quant_max)
    return x


def _extremes(module, x):
    """The smallest and the largest of x, or of each of its channels; zeros where nobody asks."""
    seen = x.detach()
    if module.is_per_channel:
        seen = seen.movedim(module.ch_axis, 0).flatten(1)
    if module.observer_enabled[0] == 0:
        return seen.new_zeros((seen.shape[0], 1) if module.is_per_channel else (1,))
    if module.is_per_channel:
        return torch.stack(torch.aminmax(seen, dim=1), dim=1)
    return torch.stack(torch.aminmax(seen))


def _fused_fake_quantize(module, x):
    """FusedMovingAvgObsFakeQuantize.forward: torch's op is given the extremes of x alone, and
    so writes the same averages, scales and zero points; the compiled op quantizes."""
    if module.observer_enabled[0] == 1 or module.fake_quant_enabled[0] == 1:
        observer = module.activation_post_process
        torch.fused_moving_avg_obs_fake_quant(
            _extremes(module, x), module.observer_enabled, module.fake_quant_enabled,
            observer.min_val, observer.max_val, module.scale, module.zero_point,
            observer.averaging_constant, observer.quant_min, observer.quant_max, 0,
            module.is_per_channel, module.is_symmetric_quant)
    return _quantize_if_enabled(module, x)


def _zero_point_refusal(module) -> str | None:
    return "its zero points are floats" if module.zero_point.is_floating_point() else None


_RULES += [_Rule(f"torch.ao.quantization.fake_quantize.{name}", "forward", call,
                 _zero_point_refusal)
           for name, call in (("FakeQuantize", _fake_quantize),
                              ("FixedQParamsFakeQuantize", _fake_quantize),
                              ("FusedMovingAvgObsFakeQuantize", _fused_fake_quantize))]


def _learnable(module, x):
    """torch.ao's _LearnableFakeQuantize.forward with the compiled op at its end."""
    if module.static_enabled[0] == 1:
        module.activation_post_process(x.detach())
        scale, zero_point = module.activation_post_process.calculate_qparams()
        module.scale.data.copy_(scale.to(module.scale.device))
        module.zero_point.data.copy_(zero_point.to(module.zero_point.device))
    else:
        module.scale.data.clamp_(min=module.eps.item())
    if module.fake_quant_enabled[0] != 1:
        return x
    if module.qscheme in (torch.per_channel_symmetric, torch.per_tensor_symmetric):
        module.zero_point.data.zero_()
    factor = 1.0
    if module.use_grad_scaling:
        factor = 1.0 / (x.numel() * module.quant_max) ** 0.5
    if module.qscheme in (torch.per_channel_symmetric, torch.per_channel_affine):
        return _ops.learnable_fake_quantize_per_channel_affine(
            x, module.scale, module.zero_point, module.ch_axis, module.quant_min,
            module.quant_max, factor)
    return _ops.learnable_fake_quantize_per_tensor_affine(
        x, module.scale, module.zero_point, module.quant_min, module.quant_max, factor)


_RULES.append(_Rule(
    "torch.ao.quantization._learnable_fake_quantize._LearnableFakeQuantize", "forward",
    _learnable, cause="sums are taken in another order; torch rounds a zero point below 0 in "
    "another way"))


def _find_rules() -> dict[type, _Rule]:
    """The rules of the libraries that are installed, by class."""
    found = {}
    for rule in _RULES:
        path, _, name = rule.cls.rpartition(".")
        try:
            found[getattr(importlib.import_module(path), name)] = rule
        except (ImportError, AttributeError):
            continue
    return found


#===----------------------------------------------------------------------===#
# Swapping
#===----------------------------------------------------------------------===#


@dataclasses.dataclass(frozen=True)
class Swap:
    """One module: its name in the model, its class, and why it was left, if it was."""

    name: str
    cls: str
    reason: str = ""


class Report:
    """What `accelerate` did: ``swapped`` and ``left``, lists of `Swap`; ``undo()`` takes it
    back. As a context manager it does so at the end."""

    def __init__(self, model: nn.Module):
        self.model = model
        self.swapped: list[Swap] = []
        self.left: list[Swap] = []
        self._originals: list[tuple[nn.Module, type]] = []

    def undo(self) -> None:
        """Gives every swapped module its class back; a second call does nothing."""
        for module, original in self._originals:
            module.__class__ = original
        self._originals.clear()

    def __enter__(self) -> "Report":
        return self

    def __exit__(self, *_) -> None:
        self.undo()

    def __str__(self) -> str:
        lines = [f"swapped {len(self.swapped)}, left {len(self.left)}"]
        lines += [f"  {s.name}: {s.cls}" for s in self.swapped]
        lines += [f"  left {s.name}: {s.cls}: {s.reason}" for s in self.left]
        return "\n".join(lines)


def _make_class(original: type, rule: _Rule) -> type:
    """A subclass with the compiled method: parameters, hooks and state stay."""
    def method(self, *args, **kwargs):
        return rule.call(self, *args, **kwargs)

    method.__name__ = rule.method
    return type(f"Compiled{original.__name__}", (original,),
                {rule.method: method, "_quant_ste_rule": rule,
                 "__module__": original.__module__})


_CLASSES: dict[type, type] = {}


#: Why a class of which nothing is compiled is left, where there is more to say.
_LEFT = {
    "bitorch.quantizations.identity.Identity": "it quantizes nothing",
    **dict.fromkeys(
        (f"bitorch.quantizations.quantization_scheduler.{name}"
         for name in ("ScheduledQuantizer", "MixLinearScheduling", "StepScheduling")),
        "its quantizers are a list, not submodules, and change with the training's steps"),
}


def _cancellation(module) -> str:
    """bitorch's QActivation masks a gradient before its quantizer, a module of its own."""
    path = f"{type(module).__module__}.{type(module).__qualname__}"
    if path == "bitorch.layers.qactivation.QActivation" and \
            module.gradient_cancellation_threshold > 0:
        return "the cancellation of gradients stays the library's"
    return ""


def _looks_like_quantizer(module: nn.Module, rules: dict[type, _Rule]) -> bool:
    """A quantizer of Brevitas, bitorch or torch.ao, and not one that hands the work to
    a quantizer within it."""
    path = type(module).__module__
    if path == "brevitas.core.quant.delay" or hasattr(module, "_quant_ste_rule") or any(
            type(m) in rules or hasattr(m, "_quant_ste_rule") for m in module.children()):
        return False
    return path.startswith(("brevitas.core.quant", "bitorch.quantizations", "bitorch.layers.pact",
                            "torch.ao.quantization.fake_quantize",
                            "torch.ao.quantization._learnable_fake_quantize"))


def accelerate(model: nn.Module) -> Report:
    """Swaps the fake quantizers of Brevitas, bitorch and torch.ao in a model, in place.

    A module stays where and what it is, with its parameters, buffers and hooks; its
    class becomes a subclass that calls the compiled op, with the library's arithmetic.
    What is left, and why, is in the report.

        report = accelerate(model)
        print(report)
        report.undo()
    """
    report, rules = Report(model), _find_rules()
    for name, module in model.named_modules():
        cls = type(module)
        rule = rules.get(cls)
        shown = f"{cls.__module__}.{cls.__qualname__}"
        if rule is None:
            reason = _cancellation(module)
            if not reason and _looks_like_quantizer(module, rules):
                reason = _LEFT.get(shown, "no compiled form")
            if reason:
                report.left.append(Swap(name, shown, reason))
            continue
        reason = rule.refusal(module)
        if reason is not None:
            report.left.append(Swap(name, shown, reason))
            continue
        if cls not in _CLASSES:
            _CLASSES[cls] = _make_class(cls, rule)
        module.__class__ = _CLASSES[cls]
        report._originals.append((module, cls))
        report.swapped.append(Swap(name, shown))
    return report


#===----------------------------------------------------------------------===#
# Differences
#===----------------------------------------------------------------------===#


@dataclasses.dataclass(frozen=True)
class Difference:
    """Of one result or gradient: the number of elements with other bits, the largest
    distance in ULPs of its type, and the cause that is known."""

    name: str
    elements: int
    differing: int
    ulps: int
    cause: str = ""


def _ulps(a: Tensor, b: Tensor) -> tuple[int, int]:
    """(elements that differ, largest distance in ULPs); NaN equals NaN."""
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[a.element_size()]
    same = (a == b) | (a.isnan() & b.isnan())
    if bool(same.all()):
        return 0, 0
    x, y = a[~same].contiguous().view(bits).long(), b[~same].contiguous().view(bits).long()
    lowest = -(1 << (8 * a.element_size() - 1))
    ordered = [torch.where(v < 0, lowest - v, v) for v in (x, y)]
    return int((~same).sum()), int((ordered[0] - ordered[1]).abs().max())


@contextlib.contextmanager
def _copying_containers():
    """While active, bitorch's layers can be copied. They are containers that ask what they
    contain for each attribute that they lack, before there is anything in the copy."""
    module = sys.modules.get("bitorch.layers.extensions.layer_container")
    container = getattr(module, "LayerContainer", None)
    if container is None or container in copyreg.dispatch_table:
        yield
        return

    def make_empty():
        empty = container.__new__(container)
        empty._layer_implementation = types.SimpleNamespace()
        return empty

    copyreg.pickle(container, lambda layer: (make_empty, (), vars(layer)))
    try:
        yield
    finally:
        del copyreg.dispatch_table[container]


def diff_report(model: nn.Module, *batch: Any, backward: bool = True) -> list[Difference]:
    """Runs a model as it is and accelerated, and compares every swapped module's result
    and, with ``backward``, every parameter's gradient (of the sum of the output).

    The model is not changed. Modules that draw random numbers see the same ones.
    """
    def run(accelerated: bool):
        with _copying_containers():
            copied = copy.deepcopy(model)
        report = accelerate(copied)
        names = {s.name for s in report.swapped}
        causes = {s.name: getattr(type(m), "_quant_ste_rule").cause
                  for s in report.swapped for m in [copied.get_submodule(s.name)]}
        if not accelerated:
            report.undo()
        results: dict[str, Tensor] = {}

        def keep(name):
            def hook(module, args, output):
                if isinstance(output, Tensor) and output.is_floating_point():
                    count = sum(k.startswith(f"{name} (result ") for k in results)
                    results[f"{name} (result {count})"] = output.detach()
            return hook

        handles = [m.register_forward_hook(keep(n)) for n, m in copied.named_modules()
                   if n in names]
        with torch.random.fork_rng():
            torch.manual_seed(0)
            output = copied(*batch)
            if backward:
                value = getattr(output, "value", output)
                value.sum().backward()
                for n, p in copied.named_parameters():
                    if p.grad is not None:
                        results[f"{n} (gradient)"] = p.grad
        for handle in handles:
            handle.remove()
        return results, causes

    ours, causes = run(True)
    theirs, _ = run(False)
    rows = []
    for name, value in ours.items():
        differing, ulps = _ulps(value, theirs[name])
        cause = causes.get(name.rpartition(" (")[0].strip(), "") if differing else ""
        if differing and name.endswith("(gradient)"):
            cause = cause or "a sum in another order, or what follows from one"
        rows.append(Difference(name, value.numel(), differing, ulps, cause))
    return rows
