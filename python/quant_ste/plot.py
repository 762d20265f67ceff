"""Pictures of quantizers and tensors.

    from quant_ste import plot

    plot.quantizer("pact %x, %alpha bits(4) grad(pact)", alpha=6.0).save("pact.svg")
    plot.histogram(weights, clip=(-0.5, 0.5))          # shown by a notebook
    plot.roofline("rows.json")                         # of benchmarks/cpu.py --json
    plot.graph(module)                                 # the ops of a function

A `Picture` is written as SVG by itself; other formats, and drawing into the axes of
a figure (``picture.draw(axes)``), need matplotlib.
"""
from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
from typing import Any, Mapping, Sequence

import numpy as np

from ._module import Function, Module, compile
from ._graph import Graph, graph
from ._svg import Axis, Series, svg

__all__ = ["Graph", "Picture", "graph", "histogram", "quantizer", "roofline"]

_BLUE, _RED, _GREY = "#1f5fa8", "#c0392b", "#777777"
_COLOURS = (_BLUE, _RED, "#2e8b57", "#8e44ad", "#d68910", "#16a085")


def _matplotlib() -> Any:
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError("this needs matplotlib (pip install matplotlib); without it a "
                          f"picture is saved as .svg ({error})") from None
    return matplotlib.pyplot


@dataclasses.dataclass(frozen=True)
class Picture:
    """Curves with their axes. Notebooks show it; ``svg`` is its text."""

    series: tuple[Series, ...]
    x_axis: Axis
    y_axis: Axis
    title: str = ""

    @property
    def svg(self) -> str:
        """The picture as the text of an SVG file."""
        return svg(self.series, self.x_axis, self.y_axis, self.title)

    def _repr_svg_(self) -> str:
        return self.svg

    def __getitem__(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The points (x, y) of a curve."""
        for one in self.series:
            if one.name == name:
                return one.x, one.y
        raise KeyError(f"no curve {name!r}; there are {', '.join(s.name for s in self.series)}")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes .svg; another ending (.png, .pdf) with matplotlib."""
        path = pathlib.Path(path)
        if path.suffix == ".svg":
            path.write_text(self.svg)
            return
        pyplot = _matplotlib()
        figure, axes = pyplot.subplots()
        self.draw(axes)
        figure.savefig(path)
        pyplot.close(figure)

    def draw(self, axes: Any = None) -> Any:
        """Draws into matplotlib's axes (default: a new figure's) and returns them."""
        axes = _matplotlib().subplots()[1] if axes is None else axes
        for one in self.series:
            options = {"color": one.colour, "label": one.name}
            if one.kind == "bounds":
                for i, x in enumerate(one.x):
                    axes.axvline(x, linestyle="--", color=one.colour,
                                 label=one.name if i == 0 else None)
            elif one.kind == "bars":
                axes.stairs(one.y, one.x, fill=True, alpha=0.6, **options)
            elif one.kind == "points":
                axes.plot(one.x, one.y, "o", **options)
            else:
                axes.plot(one.x, one.y, "--" if one.kind == "dashed" else "-", **options)
        for axis, scale, limits, label in (
                (self.x_axis, axes.set_xscale, axes.set_xlim, axes.set_xlabel),
                (self.y_axis, axes.set_yscale, axes.set_ylim, axes.set_ylabel)):
            scale("log" if axis.is_log else "linear")
            limits(axis.low, axis.high)
            label(axis.name)
        axes.set_title(self.title)
        axes.legend()
        return axes


#===----------------------------------------------------------------------===#
# Quantizers
#===----------------------------------------------------------------------===#


def _function_of(op: str, element: str) -> Function:
    """@f(x, parameters) of an op's text, with a parameter for each element."""
    op = op.strip()
    name, _, rest = op.removeprefix("quant_ste.").partition(" ")
    operands = re.match(r"\s*((?:%\w+\s*(?:,\s*)?)+)", rest)
    if not re.fullmatch(r"\w+", name) or operands is None or ":" in rest or "axes" in rest:
        raise ValueError("expected an op without types and axes, as in 'pact %x, %alpha bits(4) "
                         f"grad(pact)', got {op!r}")
    names = re.findall(r"%(\w+)", operands.group(1))
    type_ = f"tensor<?x{element}>"
    uses = ", ".join([f"%{names[0]}"] + [f"%{n} axes([0])" for n in names[1:]])
    arguments = ", ".join(f'%{n}: {type_} {{quant_ste.name = "{n}"}}' for n in names)
    text = (f"func.func @f({arguments}) -> {type_} {{\n"
            f"  %y_ = quant_ste.{name} {uses} {rest[operands.end():]} : "
            f"{', '.join([type_] * len(names))}\n  return %y_ : {type_}\n}}\n")
    return compile(text).f


def quantizer(op: str | Function, *, low: float = -4.0, high: float = 4.0, points: int = 1601,
              wrt: Sequence[str] = ("x",), element: str = "f32", title: str | None = None,
              **parameters: float) -> Picture:
    """The staircase of a quantizer and, dashed, its surrogate gradients.

    ``op`` is the op as in a module but without types, ``"pact %x, %alpha bits(4)
    grad(pact)"``, or a compiled function of one-dimensional tensors whose first
    argument is x. Each other operand is given by its name. ``wrt`` names the operands
    whose gradient is drawn, for a cotangent of 1 at each x; a parameter's is what one
    element adds to it. ``low``, ``high``: the range of x. ``element``: the type that
    an op given as text is computed in, "f32", "f64", "f16" or "bf16".

    The curves are named "y" and "dx", "dalpha" ...: ``picture["dx"]`` has the points.
    Raises `ValueError` for parameters that the op does not have or that are missing,
    and `CompileError` for text that is not an op.
    """
    if not low < high or points < 2:
        raise ValueError(f"expected low < high and 2 points at least, got {low}, {high}, {points}")
    function = op if isinstance(op, Function) else _function_of(op, element)
    shown = function.name if isinstance(op, Function) else op.strip()
    names = [t.name or f"#{i}" for i, t in enumerate(function.arguments)]
    if set(names[1:]) != set(parameters):
        raise ValueError(f"expected values for {', '.join(names[1:]) or 'no parameter'}, got "
                         f"{', '.join(parameters) or 'none'}")
    if any(t.shape is None or len(t.shape) > 1 for t in function.arguments) or not names:
        raise ValueError(f"expected a function of tensors of one dimension, got "
                         f"{function.signature}")
    unknown = [w for w in wrt if w not in [*names[1:], "x"]]
    if unknown:
        raise ValueError(f"expected wrt to name x or a parameter, got {', '.join(unknown)}")
    x = np.linspace(low, high, points)
    values = [x.astype(np.float64)] + [
        np.full(x.shape if t.shape else (), float(parameters[n]))
        for n, t in zip(names[1:], function.arguments[1:])]
    values = [_as_element(v, t.element) for v, t in zip(values, function.arguments)]
    positions = [0 if w == "x" else names.index(w) for w in wrt]
    if not positions:
        got = [function(*values)]
    elif not isinstance(function._module, Module):
        raise ValueError(f"expected a function of a Module, which has derivatives, got "
                         f"@{function.name} of {function._module!r}; or wrt=()")
    else:
        derivative = function._module.vjp(function.name, wrt=positions)
        ones = _as_element(np.ones(x.shape), function.results[0].element)
        got = list(derivative(*values, ones))
    for value, name in zip(got, ["y", *wrt]):
        if value.shape != x.shape:
            raise ValueError(f"{'the gradient of ' + name if name != 'y' else 'y'} has shape "
                             f"{value.shape}, not one element for each x")
    x = values[0].astype(np.float64)  # as rounded to its type
    curves = [Series(name, x, value.astype(np.float64), colour, kind)
              for name, value, colour, kind in zip(
                  ["y"] + [f"d{w}" for w in wrt], got, _COLOURS,
                  ["line"] + ["dashed"] * len(wrt))]
    finite = np.concatenate([s.y[np.isfinite(s.y)] for s in curves] + [np.zeros(1)])
    bottom, top = float(finite.min()), float(finite.max())
    margin = 0.08 * max(top - bottom, 1e-3)
    return Picture(tuple(curves), Axis(low, high, "x"), Axis(bottom - margin, top + margin),
                   shown if title is None else title)


def _as_element(value: np.ndarray, element: str) -> np.ndarray:
    if element == "bf16":
        import ml_dtypes
        return value.astype(ml_dtypes.bfloat16)
    return value.astype({"f16": np.float16, "f32": np.float32, "f64": np.float64}[element])


#===----------------------------------------------------------------------===#
# Tensors and benchmarks
#===----------------------------------------------------------------------===#


def histogram(x: Any, *, clip: tuple[float, float] | None = None, bins: int = 100,
              title: str = "") -> Picture:
    """How often each value occurs, with the bounds (smallest, largest) of a quantizer.

    ``x`` is an array or a tensor of any shape; what is not finite is left out, and
    the title says how much. The share of x beyond ``clip`` is in its curve's name.
    """
    if hasattr(x, "detach"):
        x = x.detach().cpu().float().numpy()
    x = np.asarray(x, dtype=np.float64).ravel()
    finite = x[np.isfinite(x)]
    if finite.size == 0:
        raise ValueError("expected a finite element, got none")
    if finite.size < x.size:
        title = f"{title} ({x.size - finite.size} of {x.size} are not finite)".strip()
    ends = [finite.min(), finite.max(), *(clip or ())]
    low, high = float(min(ends)), float(max(ends))
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts, edges = np.histogram(finite, bins=bins, range=(low, high))
    series = [Series("elements", edges, counts.astype(np.float64), _BLUE, "bars")]
    if clip is not None:
        beyond = np.mean((finite < clip[0]) | (finite > clip[1]))
        series.append(Series(f"clipped: {100 * beyond:.3g} %", np.array(clip, np.float64),
                             np.zeros(2), _RED, "bounds"))
    margin = 0.02 * (high - low)
    return Picture(tuple(series), Axis(low - margin, high + margin),
                   Axis(0.0, 1.08 * float(counts.max())), title)


def roofline(points: Mapping[str, tuple[float, float]] | str | os.PathLike[str], *,
             bandwidth: float | None = None, peak: float | None = None, title: str = "",
             dtype: str = "f32", threads: int = 1, elements: int | None = None,
             implementation: str = "quant_ste") -> Picture:
    """Kernels under the roofs of a machine.

    ``points``: for each name (operations per byte, billions of operations per second), or
    the path of what ``benchmarks/cpu.py --json`` has written; ``bandwidth`` in GB/s, as a
    copy has it; ``peak`` in billions of operations per second. Without a peak there is one
    roof, the bandwidth.

    Of a file ``dtype``, ``threads``, ``elements`` (by default the most that were measured)
    and ``implementation`` choose the rows. An operation is then one element quantized, or
    its gradients, and the bandwidth, unless it is given, that of the copies measured beside
    the kernels.

    Raises `ValueError` for numbers that are not above 0, and for a file without such rows.
    """
    unit = "operations"
    if not isinstance(points, Mapping):
        unit = "elements"
        points, measured = _measured_points(points, dtype, threads, elements, implementation)
        bandwidth = measured if bandwidth is None else bandwidth
    if not points or bandwidth is None or not bandwidth > 0 or (
            peak is not None and not peak > 0) or any(
            not (a > 0 and b > 0) for a, b in points.values()):
        raise ValueError("expected points, a bandwidth and a peak above 0")
    intensities, speeds = ([p[i] for p in points.values()] for i in (0, 1))
    if peak is not None:
        intensities.append(peak / bandwidth)
        speeds.append(peak)
    low, high = min(intensities) / 4, max(intensities) * 4
    x = np.geomspace(low, high, 200)
    y = x * bandwidth if peak is None else np.minimum(x * bandwidth, peak)
    series = [Series("roof", x, y, _GREY)] + [
        Series(name, np.array([a]), np.array([b]), _COLOURS[i % len(_COLOURS)], "points")
        for i, (name, (a, b)) in enumerate(points.items())]
    return Picture(tuple(series), Axis(low, high, f"{unit} per byte", True),
                   Axis(min(min(speeds), low * bandwidth) / 2, 2 * max(*speeds, float(y.max())),
                        f"10^9 {unit}/s", True), title)


def _measured_points(path: str | os.PathLike[str], dtype: str, threads: int,
                     elements: int | None, implementation: str
                     ) -> tuple[dict[str, tuple[float, float]], float]:
    """(elements per byte, billions of elements per second) of the rows of a benchmark run,
    and the bandwidth of the copies in GB/s."""
    with open(path, encoding="utf-8") as file:
        rows = json.load(file)
    needed = {"kernel", "direction", "elements", "dtype", "threads", "impl", "seconds", "bytes"}
    if not isinstance(rows, list) or not all(
            isinstance(row, dict) and needed <= row.keys() for row in rows):
        raise ValueError(f"expected the rows of benchmarks/cpu.py in {os.fspath(path)}")
    rows = [r for r in rows if r["dtype"] == dtype and r["threads"] == threads]
    sizes = [r["elements"] for r in rows if r["impl"] == implementation]
    size = max(sizes, default=0) if elements is None else elements
    # The sizes of kernels differ a little: rows of whole groups, say.
    rows = [r for r in rows if size / 2 < r["elements"] < size * 2]
    chosen = [r for r in rows if r["impl"] == implementation]
    copies = [r["bytes"] / r["seconds"] / 1e9 for r in rows if r["impl"] == "copy"]
    if not chosen or not copies:
        raise ValueError(f"expected rows of {implementation} and of a copy for {dtype}, "
                         f"{threads} threads{f', {elements} elements' if elements else ''} in "
                         f"{os.fspath(path)}, got none")
    return {f"{r['kernel']}, {r['direction']}":
            (r["elements"] / r["bytes"], r["elements"] / r["seconds"] / 1e9)
            for r in chosen}, max(copies)
