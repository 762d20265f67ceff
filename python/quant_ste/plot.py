"""Pictures of quantizers, distributions and benchmark runs. Needs matplotlib.

    from quant_ste import plot
    plot.quantizer("pact", 6.0, bits=4, grad="pact").figure.savefig("pact.png")

Each function draws on ``ax``, or on a new figure, and gives the axes back.
"""
from __future__ import annotations

import json
import os
from typing import Any, Sequence

import numpy as np

from . import build

__all__ = ["curves", "graph", "histogram", "quantizer", "roofline"]


def _axes(ax):
    if ax is not None:
        return ax
    from matplotlib.figure import Figure
    return Figure().subplots()  # of no window system


def curves(op: str, *parameters: float, x: np.ndarray | None = None,
           **words) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y = op(x) and dy/dx as the op's rule has it, for parameters that are numbers."""
    x = np.linspace(-2, 2, 801, dtype=np.float32) if x is None else np.asarray(x, np.float32)

    def drawn(x, *given):
        return getattr(build, op)(x, *given, **words)

    builder = build.Builder()
    arguments = [build.Value(builder, "%x", build.f32[None])]
    arguments += [build.Value(builder, f"%p{i}", build.f32) for i in range(len(parameters))]
    y = drawn(*arguments)
    from . import compile
    module = compile(build.render("drawn", arguments, builder, [y]))
    given = [x, *map(np.float32, parameters)]
    y, dx = module.vjp("drawn", wrt=[0])(*given, np.ones_like(x))
    return x, y, dx


def quantizer(op: str, *parameters: float, x: np.ndarray | None = None, ax=None, **words):
    """The staircase of an op and its surrogate gradient; keywords are its words."""
    ax = _axes(ax)
    x, y, dx = curves(op, *parameters, x=x, **words)
    ax.plot(x, y, label="y", drawstyle="steps-mid")
    ax.plot(x, dx, label="dy/dx", linestyle="--")
    ax.set(xlabel="x", title=f"{op}({', '.join(f'{p:g}' for p in parameters)})")
    ax.legend()
    return ax


def histogram(values: Any, bounds: Sequence[float] = (), bins: int = 100, ax=None):
    """How values are distributed, with clip bounds as lines and the clipped share."""
    ax = _axes(ax)
    values = np.asarray(values.detach() if hasattr(values, "detach") else values).ravel()
    ax.hist(values, bins=bins)
    for bound in bounds:
        ax.axvline(bound, color="black", linestyle=":")
    if bounds and values.size:
        outside = np.mean((values < min(bounds)) | (values > max(bounds)))
        ax.set_title(f"{outside:.2%} clipped")
    ax.set(xlabel="value", ylabel="count")
    return ax


def roofline(runs: str | os.PathLike | Sequence[dict], peak_flops: float,
             peak_bytes: float, ax=None):
    """Runs against what the machine can do: ``peak_flops`` a second, ``peak_bytes`` a second.

    ``runs``: a JSON file, or dictionaries, with ``name``, ``flops``, ``bytes`` and ``seconds``.
    """
    ax = _axes(ax)
    if isinstance(runs, (str, os.PathLike)):
        with open(runs) as file:
            runs = json.load(file)
    intensity = np.array([r["flops"] / r["bytes"] for r in runs])
    reached = np.array([r["flops"] / r["seconds"] for r in runs])
    ridge = peak_flops / peak_bytes
    low, high = min([ridge, *intensity]) / 4, max([ridge, *intensity]) * 4
    line = np.geomspace(low, high, 200)
    ax.loglog(line, np.minimum(peak_flops, line * peak_bytes), color="black")
    ax.loglog(intensity, reached, "o")
    for r, at, height in zip(runs, intensity, reached):
        ax.annotate(r["name"], (at, height))
    ax.set(xlabel="operations per byte", ylabel="operations per second")
    return ax


def graph(text: str) -> str:
    """The ops of a module as a graph for Graphviz: values are edges."""
    import re
    lines = ["digraph {", "  node [shape=box];"]
    owner: dict[str, str] = {}
    for i, line in enumerate(text.splitlines()):
        found = re.match(r"\s*(?:(%[\w#:]+(?:, %\w+)*) = )?\"?([\w.]+)", line)
        if not found or "." not in found[2] and found[2] != "return":
            continue
        node = f"n{i}"
        for used in re.findall(r"%\w+", line[found.end():]):
            if used in owner:
                lines.append(f'  {owner[used]} -> {node} [label="{used}"];')
        lines.append(f'  {node} [label="{found[2]}"];')
        for name in re.findall(r"%\w+", found[1] or ""):
            owner[name] = node
    return "\n".join(lines + ["}", ""])
