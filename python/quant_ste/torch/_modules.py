"""Quantizers as modules."""
from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ._functions import mx_quant
from ._register import FUNCTIONS as _ops

__all__ = ["DoReFa", "FakeQuantize", "FloatQuant", "IntQuant", "LSQ", "LSQPlus", "MXQuant",
           "Pact", "Round", "Sign"]


class Round(nn.Module):
    """Round half to even, straight through."""

    def forward(self, x: Tensor) -> Tensor:
        return _ops.round_ste(x)


class Sign(nn.Module):
    """+1 from zero up, -1 below. ``grad``: "ste", "approx_sign", "swish" (``beta``)."""

    def __init__(self, grad: str = "ste", beta: float = 5.0):
        super().__init__()
        self.grad, self.beta = grad, beta
        if grad not in ("ste", "approx_sign", "swish"):
            raise ValueError(f"expected grad 'ste', 'approx_sign' or 'swish', got {grad!r}")

    def forward(self, x: Tensor) -> Tensor:
        if self.grad == "ste":
            return _ops.sign(x)
        return _ops.approx_sign(x) if self.grad == "approx_sign" else _ops.swish_sign(x, self.beta)


class Pact(nn.Module):
    """PACT: clip to [0, alpha] with a learned alpha, quantize to ``bits`` bits."""

    def __init__(self, bits: int = 4, alpha: float = 10.0):
        super().__init__()
        self.bits, self.alpha = bits, nn.Parameter(torch.tensor(float(alpha)))

    def forward(self, x: Tensor) -> Tensor:
        return _ops.pact(x, self.alpha, self.bits)


class DoReFa(nn.Module):
    """DoReFa-Net's activation quantizer, with the paper's gradient."""

    def __init__(self, bits: int = 2):
        super().__init__()
        self.bits = bits

    def forward(self, x: Tensor) -> Tensor:
        return _ops.dorefa(x, self.bits)


class IntQuant(nn.Module):
    """Integer fake quantizer with a learned scale: one per tensor, or ``channels`` of them
    along ``dim``."""

    def __init__(self, bit_width: float = 8, scale: float = 0.1, channels: int | None = None,
                 dim: int = 1, rank: int = 4, signed: bool = True, narrow_range: bool = False):
        super().__init__()
        shape = [1] * rank
        if channels is not None:
            shape[dim] = channels
        self.scale = nn.Parameter(torch.full([] if channels is None else shape, float(scale)))
        self.register_buffer("zero_point", torch.tensor(0.0))
        self.register_buffer("bit_width", torch.tensor(float(bit_width)))
        self.signed, self.narrow_range = signed, narrow_range

    def forward(self, x: Tensor) -> Tensor:
        return _ops.int_quant(x, self.scale, self.zero_point, self.bit_width,
                              signed=self.signed, narrow_range=self.narrow_range)


class LSQ(nn.Module):
    """Learned step size. The scale is set from the first batch, 2 mean|x| / sqrt(qmax), and
    its gradient multiplied by 1 / sqrt(elements * qmax)."""

    is_set: Tensor

    def __init__(self, bits: int = 4, signed: bool = True):
        super().__init__()
        self.qmin = -(2 ** (bits - 1)) if signed else 0
        self.qmax = 2 ** (bits - 1) - 1 if signed else 2 ** bits - 1
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.register_buffer("is_set", torch.tensor(False))

    def _set(self, x: Tensor) -> None:
        if not bool(self.is_set):
            with torch.no_grad():
                self.scale.copy_(2 * x.abs().mean() / math.sqrt(max(self.qmax, 1)))
                self.is_set.fill_(True)

    def _factor(self, x: Tensor) -> float:
        return 1 / math.sqrt(max(x.numel() * self.qmax, 1))

    def forward(self, x: Tensor) -> Tensor:
        self._set(x)
        return _ops.lsq(x, self.scale, self.qmin, self.qmax, self._factor(x))


class LSQPlus(LSQ):
    """LSQ with a learned offset ``beta``."""

    def __init__(self, bits: int = 4, signed: bool = False):
        super().__init__(bits, signed)
        self.beta = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        self._set(x)
        return _ops.lsq_plus(x, self.scale, self.beta, self.qmin, self.qmax, self._factor(x))


class FakeQuantize(nn.Module):
    """torch's fake quantization with a fixed scale."""

    def __init__(self, scale: float, zero_point: int = 0, quant_min: int = -128,
                 quant_max: int = 127):
        super().__init__()
        self.arguments = (scale, zero_point, quant_min, quant_max)

    def forward(self, x: Tensor) -> Tensor:
        return _ops.fake_quantize_per_tensor_affine(x, *self.arguments)


class FloatQuant(nn.Module):
    """Minifloat fake quantizer."""

    def __init__(self, format: str = "e4m3_ocp", scale: float = 1.0):
        super().__init__()
        self.format = format
        self.register_buffer("scale", torch.tensor(float(scale)))

    def forward(self, x: Tensor) -> Tensor:
        return _ops.float_quant(x, self.scale, format=self.format)


class MXQuant(nn.Module):
    """OCP microscaling, see `mx_quant`."""

    def __init__(self, element: str = "e4m3_ocp", group_size: int = 32, dim: int = -1):
        super().__init__()
        self.element, self.group_size, self.dim = element, group_size, dim

    def forward(self, x: Tensor) -> Tensor:
        return mx_quant(x, self.element, self.group_size, self.dim)
