"""Pictures as SVG text; needs numpy alone."""
from __future__ import annotations

import dataclasses
import math
from typing import Any, Callable, Sequence
from xml.sax.saxutils import escape

import numpy as np

WIDTH, HEIGHT, LEGEND = 480, 330, 22


@dataclasses.dataclass(frozen=True)
class Series:
    """What to draw: ``kind`` is "line", "dashed", "points", "bars" (x has one edge more
    than y) or "bounds" (a vertical line at each x)."""

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: str = "#1f5fa8"
    kind: str = "line"


@dataclasses.dataclass(frozen=True)
class Axis:
    """The range of an axis, and whether it is logarithmic."""

    low: float
    high: float
    name: str = ""
    is_log: bool = False

    def place(self, value: Any) -> Any:
        """Where a value lies: 0 at the low end, 1 at the high one."""
        if not self.is_log:
            return (value - self.low) / (self.high - self.low)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(value / self.low) / math.log(self.high / self.low)

    def ticks(self) -> list[float]:
        if self.is_log:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            return [10.0 ** e for e in range(first, last + 1)]
        step = 10.0 ** math.floor(math.log10(self.high - self.low))
        while (self.high - self.low) / step > 12:
            step *= 2
        while (self.high - self.low) / step < 4:
            step /= 2
        return [i * step for i in range(math.ceil(self.low / step),
                                        math.floor(self.high / step) + 1)]


def svg(series: Sequence[Series], x_axis: Axis, y_axis: Axis, title: str = "") -> str:
    """The picture. A curve that leaves it, or is not finite, is broken there."""
    top = 20 if title else 0
    height = top + HEIGHT + LEGEND

    def at_x(value: float) -> float:
        return float(x_axis.place(value) * WIDTH)

    def at_y(value: float) -> float:
        return float(top + (1 - y_axis.place(value)) * HEIGHT)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>']
    if title:
        out.append(f'<text x="8" y="14" font-weight="bold">{escape(title)}</text>')
    crosses = not y_axis.is_log and y_axis.low <= 0 <= y_axis.high
    baseline = at_y(0) if crosses else top + HEIGHT
    for tick in x_axis.ticks():
        strong = "#999" if tick == 0 else "#eee"
        out.append(f'<line x1="{at_x(tick):.1f}" x2="{at_x(tick):.1f}" y1="{top}" '
                   f'y2="{top + HEIGHT}" stroke="{strong}"/>')
        place = baseline + 12 if baseline + 12 < top + HEIGHT else baseline - 4
        out.append(f'<text x="{at_x(tick) + 2:.1f}" y="{place:.1f}" fill="#777">{tick:g}</text>')
    for tick in y_axis.ticks():
        strong = "#999" if tick == 0 else "#eee"
        out.append(f'<line x1="0" x2="{WIDTH}" y1="{at_y(tick):.1f}" y2="{at_y(tick):.1f}" '
                   f'stroke="{strong}"/>')
        out.append(f'<text x="2" y="{at_y(tick) - 2:.1f}" fill="#bbb">{tick:g}</text>')
    left = 8
    for one in series:
        out += _drawn(one, at_x, at_y, y_axis, top)
        out.append(f'<text x="{left}" y="{top + HEIGHT + 16}" fill="{one.colour}">'
                   f'{escape(one.name)}</text>')
        left += max(60, 8 * len(one.name))
    named = " against ".join(n for n in (y_axis.name, x_axis.name) if n)
    if named:
        out.append(f'<text x="{WIDTH - 8}" y="{top + HEIGHT + 16}" fill="#777" '
                   f'text-anchor="end">{escape(named)}</text>')
    return "\n".join(out + ["</svg>", ""])


def _drawn(one: Series, at_x: Callable[[float], float], at_y: Callable[[float], float],
           y_axis: Axis, top: int) -> list[str]:
    if one.kind == "bounds":
        return [f'<line x1="{at_x(x):.1f}" x2="{at_x(x):.1f}" y1="{top}" y2="{top + HEIGHT}" '
                f'stroke="{one.colour}" stroke-dasharray="5 3"/>' for x in one.x]
    if one.kind == "bars":
        floor = at_y(max(0.0, y_axis.low))
        return [f'<rect x="{at_x(a):.1f}" y="{at_y(y):.1f}" width="{at_x(b) - at_x(a):.1f}" '
                f'height="{floor - at_y(y):.1f}" fill="{one.colour}" fill-opacity="0.6"/>'
                for a, b, y in zip(one.x, one.x[1:], one.y) if y > y_axis.low]
    inside = np.isfinite(one.y) & (one.y >= y_axis.low) & (one.y <= y_axis.high)
    if one.kind == "points":
        return [f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3" fill="{one.colour}"/>'
                for x, y in zip(one.x[inside], one.y[inside])]
    dash = ' stroke-dasharray="5 3"' if one.kind == "dashed" else ""
    out = []
    for part in np.split(np.arange(one.x.size), np.flatnonzero(np.diff(inside.astype(int))) + 1):
        if part.size < 2 or not inside[part].all():
            continue
        points = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}"
                          for x, y in zip(one.x[part], one.y[part]))
        out.append(f'<polyline points="{points}" fill="none" stroke="{one.colour}" '
                   f'stroke-width="1.6"{dash}/>')
    return out
