#!/usr/bin/env python3
"""Writes the tests of examples/rules with the values that the papers' formulas give.

    python3 test/Examples/rules/values.py

Nothing of quant_ste is used, and no derivative is written down: each quantizer
is its forward function and its surrogate, in double precision, and gradients
are central differences of the surrogate. Each number is checked to five digits.
"""

import math
from pathlib import Path

HERE = Path(__file__).parent


def clip(v, low, high):
    return min(max(v, low), high)


def sign(v):
    return 1.0 if v >= 0 else -1.0


def half_even(v):
    return float(round(v))


def mean(values):
    return sum(values) / len(values)


# Each quantizer: forward(x, *parameters), surrogate(x, *parameters).


def dsq(x, l, u):
    width = (u - l) / 3
    return l + width * math.floor((clip(x, l, u) - l) / width + 0.5)


def dsq_soft(x, l, u):
    width = (u - l) / 3
    x = clip(x, l, u)
    i = min(math.floor((x - l) / width), 2)
    k = math.log(2 / 0.2 - 1) / width
    s = 1 / math.tanh(0.5 * k * width)
    phi = s * math.tanh(k * (x - (l + (i + 0.5) * width)))
    return l + width * (i + (phi + 1) / 2)


def qil_soft(w, c, d, g):
    t = clip(abs(w) / (2 * d) + 0.5 - c / (2 * d), 0, 1)
    return sign(w) * t**g


def qil(w, c, d, g):
    return sign(w) * half_even(3 * abs(qil_soft(w, c, d, g))) / 3


APOT = sorted((a + b) / 0.625 for a in (0, 1 / 2, 1 / 4, 1 / 16) for b in (0, 1 / 8))


def apot(w, alpha):
    v = min(abs(w) / alpha, 1)
    return sign(w) * alpha * min(APOT, key=lambda level: abs(level - v))


def n2uq(x, s, *a):
    middles = [s + sum(a[:i]) + a[i] / 2 for i in range(3)]
    return float(sum(x > t for t in middles))


def n2uq_soft(x, s, *a):
    total, begin = 0.0, s
    for width in a:
        total += clip((x - begin) / width, 0, 1)
        begin += width
    return total


def ede_soft(x, t):
    return max(1 / t, 1) * math.tanh(t * x)


def sign_swish(x, beta):
    sigmoid = 1 / (1 + math.exp(-beta * x))
    return 2 * sigmoid * (1 + beta * x * (1 - sigmoid)) - 1


def adaround(w, s, v):
    h = clip(1.2 / (1 + math.exp(-v)) - 0.1, 0, 1)
    return s * clip(math.floor(w / s) + h, -8, 7)


def absmean(w, g):
    return g * clip(half_even(w / (g + 1e-5)), -1, 1)


def sawb(w, a):
    return a * (half_even((clip(w / a, -1, 1) + 1) * 1.5) / 1.5 - 1)


def identity(x, *_):
    return x


def derivative(f, point, i):
    h = 1e-6
    up, down = list(point), list(point)
    up[i] += h
    down[i] -= h
    return (f(*up) - f(*down)) / (2 * h)


# What qopt-run prints.


def digits(v):
    """The first five significant digits, not rounded."""
    text = f"{abs(v):.12f}"
    end, seen = 0, 0
    while end < len(text) and seen < 5:
        seen += text[end].isdigit() and (seen > 0 or text[end] != "0")
        end += 1
    return ("-" if v < 0 else "") + text[:end].replace(".", r"\.")


def number(v):
    if abs(v) < 1e-8:
        return "{{-?}}0"
    if abs(32 * v - round(32 * v)) < 1e-6:
        return f"{round(32 * v) / 32:.10g}"
    near = {digits(v * (1 - 2e-6)), digits(v * (1 + 2e-6))}
    if abs(float(f"{v:.4g}") - v) < 1e-9:
        near.add(f"{v:.4g}".replace(".", r"\."))
    return "{{(" + "|".join(sorted(near)) + ")[0-9]*}}"


def array(values):
    if not isinstance(values, list):
        return "f32=" + number(values)
    if not isinstance(values[0], list):
        return f"{len(values)}xf32=" + " ".join(map(number, values))
    rows = "".join("[" + " ".join(map(number, row)) + "]" for row in values)
    # FileCheck reads [[ as the start of a variable.
    return f"{len(values)}x{len(values[0])}xf32=" + rows.replace("[[", "{{\\[}}[")


def argument(values):
    if not isinstance(values, list):
        return f"f32={values}"
    if not isinstance(values[0], list):
        return f"{len(values)}xf32=" + ",".join(map(str, values))
    flat = [v for row in values for v in row]
    return f"{len(values)}x{len(values[0])}xf32=" + ",".join(map(str, flat))


def write(name, about, arguments, results):
    inputs = " \\\nRUN:   ".join(f"--input={argument(a)}" for a in arguments)
    lines = [
        about,
        "Written by values.py.",
        "",
        f"RUN: qopt-run %examples/rules/{name}.mlir --function=gradient \\",
        f"RUN:   {inputs} \\",
        "RUN:   | FileCheck %s",
        "",
    ]
    for i, values in enumerate(results):
        next_ = "-NEXT" if i else ""
        lines.append(f"CHECK{next_}: result[{i}]: {array(values)}" + "{{$}}")
    path = HERE / (name.replace("_", "-") + ".test")
    path.write_text("\n".join(lines) + "\n")


def elementwise(name, about, forward, surrogate, x, parameters, dy, wrt):
    """One value of each parameter for all of x; gradients of x and of `wrt`."""
    y = [forward(v, *parameters) for v in x]
    dx = [g * derivative(surrogate, [v, *parameters], 0) for v, g in zip(x, dy)]
    sums = [
        sum(g * derivative(surrogate, [v, *parameters], i) for v, g in zip(x, dy))
        for i in wrt
    ]
    write(name, about, [x, *parameters, dy], [y, dx, *sums])


def main():
    elementwise(
        "dsq",
        "Below l, in each interval on both sides of its middle, above u.",
        dsq, dsq_soft, [-1.5, -0.875, -0.375, -0.125, 0.25, 0.5, 0.9375, 1.75],
        [-1.0, 1.25], [1.0, 2.0, 0.5, -1.0, 3.0, 1.5, 2.5, 4.0], [1, 2],
    )
    elementwise(
        "qil",
        "Pruned, inside and clipped, of both signs.",
        qil, qil_soft, [-1.25, -0.75, -0.375, -0.0625, 0.1875, 0.3125, 0.6875, 2.0],
        [0.5, 0.375, 1.5], [1.0, 2.0, 0.5, -1.0, 3.0, 1.5, 2.5, 4.0], [1, 2, 3],
    )
    elementwise(
        "n2uq",
        "Before the first segment, in both halves of each, past the last.",
        n2uq, n2uq_soft, [-0.5, 0.125, 0.5, 0.875, 1.125, 1.375, 2.625, 4.0],
        [0.0625, 0.625, 0.5, 1.75], [1.0, 2.0, 0.5, -1.0, 3.0, 1.5, 2.5, 4.0],
        [1, 2, 3, 4],
    )
    x = [-2.0, -0.5, -0.125, 0.0, 0.25, 1.5]
    dy = [1.0, 2.0, 0.5, -1.0, 3.0, 1.5]
    elementwise("ede", "t = 0.5, where k = 2.",
                lambda v, t: sign(v), ede_soft, x, [0.5], dy, [])
    elementwise("bnn_plus", "beta = 5; negative slopes beyond |x| = 0.48.",
                lambda v, b: sign(v), sign_swish, x, [5.0], dy, [1])

    # Per channel.
    w = [[-1.5, -0.875, -0.25, 0.0625, 0.5], [0.1875, 0.375, 0.75, 2.0, -2.5]]
    alpha = [1.0, 2.0]
    dy = [[1.0, 2.0, 0.5, -1.0, 3.0], [1.5, 2.5, 4.0, -2.0, 0.25]]
    y = [[apot(v, a) for v in row] for row, a in zip(w, alpha)]
    dw = [
        [g if abs(v) <= a else 0.0 for v, g in zip(row, gs)]
        for row, a, gs in zip(w, alpha, dy)
    ]

    def apot_soft(v, a, frozen):
        # The level's distance from v, in units of alpha, is held fixed.
        return sign(v) * a if abs(v) > a else v + a * frozen

    dalpha = [
        sum(
            g * derivative(apot_soft, [v, a, (apot(v, a) - v) / a], 1)
            if abs(v) != a else 0.0
            for v, g in zip(row, gs)
        )
        for row, a, gs in zip(w, alpha, dy)
    ]
    # 2.0 is its alpha: dx passes, and the level is exact, so dalpha is 0 there.
    write("apot", "One alpha per row; 2 is its alpha exactly.",
          [w, alpha, dy], [y, dw, dalpha])

    w = [[-1.5, -0.875, 0.3125, 0.0625], [0.1875, -0.375, 3.25, 5.0]]
    s = [0.25, 0.5]
    v = [[-4.0, -0.5, 0.25, 4.0], [1.5, -1.0, 0.75, 0.5]]
    dy = [[1.0, 2.0, 0.5, -1.0], [1.5, 2.5, 4.0, -2.0]]
    y = [[adaround(*p, q) for p, q in zip(((a, c) for a in row), vs)]
         for row, c, vs in zip(w, s, v)]
    dv = [
        [g * derivative(adaround, [a, c, q], 2) for a, q, g in zip(row, vs, gs)]
        for row, c, vs, gs in zip(w, s, v, dy)
    ]
    write("adaround", "Both ends of h, and a weight beyond the range.",
          [w, s, v, dy], [y, dv])

    # With statistics of the tensor.
    w = [-3.0, -0.5, 0.125, 0.25, 0.75, 1.875]
    dy = [1.0, 2.0, 0.5, -1.0, 3.0, 1.5]
    q = -mean([abs(a) for a in w]) * math.log(2 - 2 * 0.85)
    write("recu", "E|w| = 1.0833, q = 1.3043: the outer two are dead.",
          [w, dy],
          [[sign(a) for a in w],
           [g * derivative(lambda a: clip(a, -q, q), [a], 0)
            for a, g in zip(w, dy)]])

    c1, c2 = 3.125, 2.0
    a = c1 * math.sqrt(mean([b * b for b in w])) - c2 * mean([abs(b) for b in w])
    write("sawb", "a = 2.5239.", [w, c1, c2, dy],
          [[sawb(b, a) for b in w],
           [g * derivative(identity, [b], 0) for b, g in zip(w, dy)]])

    w = [[-3.0, -0.5, 0.125], [0.25, 0.75, 1.875]]
    dy = [[1.0, 2.0, 0.5], [-1.0, 3.0, 1.5]]
    g = mean([abs(a) for row in w for a in row])
    write("bitnet", "g = 1.0833.", [w, dy],
          [[[absmean(a, g) for a in row] for row in w], dy])

    # Values 1 and 6 round to the bounds; 0 and 7 round beyond them.
    x = [-2.25, -2.0, -1.8125, 0.375, 1.5, 1.625, 1.75, 2.0]
    dy = [1.0, 2.0, 0.5, -1.0, 3.0, 1.5, 2.5, 4.0]
    r = [half_even(a / 0.25) for a in x]
    y = [0.25 * clip(b, -8, 7) for b in r]
    closed = [g if -8 <= b <= 7 else 0.0 for b, g in zip(r, dy)]
    opened = [g if -8 < b < 7 else 0.0 for b, g in zip(r, dy)]
    write("clip_boundary", "The bins -8 and 7: a gradient if closed, none if open.",
          [x, 0.25, dy], [y, closed, y, opened])


if __name__ == "__main__":
    main()
