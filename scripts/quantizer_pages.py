#!/usr/bin/env python3
"""Writes a page of all quantizers: formula, picture, table of special values.

The text of an op is its description in the .td file, out of the dialect's
reference page; pictures and tables are what the compiled op gives, for each
gradient word that the conformance cases have. `ninja quant-ste-quantizer-pages`
runs it:

    quantizer_pages.py --dialect-doc QuantSTEDialect.md --out <folder>

The environment variable QUANT_STE_C_LIBRARY names the C library.
"""
import argparse
import importlib.util
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test" / "Conformance"))

import numpy as np  # noqa: E402

import cases  # noqa: E402
from harness import run  # noqa: E402

# By its path: the package itself may not be built.
specification = importlib.util.spec_from_file_location(
    "quant_ste_svg", ROOT / "python" / "quant_ste" / "_svg.py")
draw = sys.modules["quant_ste_svg"] = importlib.util.module_from_spec(specification)
specification.loader.exec_module(draw)

# Parameters that make a picture readable; others are shown at their first value.
TYPICAL = {"alpha": 1.5, "min": -1.0, "max": 1.0, "scale": 0.5, "zero_point": 0.0,
           "bit_width": 3.0, "pre_scale": 0.5, "pre_zero_point": 0.0}
SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -1.5, -2.5, 1.0, -1.0)


def all_cases():
    lists = [v for v in vars(cases).values()
             if isinstance(v, list) and v and hasattr(v[0], "oracle")]
    return [case for one in lists for case in one]


def word_of(case):
    return case.words[case.words.index("grad("):]


def pictured():
    """One case of each op and gradient word: the first, or one of two bits."""
    chosen = {}
    for case in all_cases():
        key = (case.op, word_of(case))
        if key not in chosen or ("bits(2)" in case.words and "bits(2)" not in chosen[key].words):
            chosen[key] = case
    return chosen


def parameters(case, **given):
    values = dict(zip(case.parameters, (v[0] for v in case.values)))
    for name in case.parameters:
        values[name] = given.get(name, TYPICAL.get(name, values.get(name, 1.0)))
    return values


def evaluate(case, x, values):
    """y and the gradients of each element, with one parameter per element."""
    params = [np.full(x.shape, values[n], np.float32) for n in case.parameters]
    return run(case, x, params, [(0,)] * len(params), np.ones_like(x))


def descriptions(dialect_doc):
    """The summary and the description of each op."""
    text = dialect_doc.read_text()
    sections = re.split(r"^### `quant_ste\.(\w+)` \(.*\)$", text, flags=re.M)
    found = {}
    for name, body in zip(sections[1::2], sections[2::2]):
        summary = re.search(r"^_(.+)_$", body, flags=re.M)
        after = body.split("```\n", 2)[-1]  # behind the syntax
        described = re.split(r"^(?:Traits|Interfaces|Effects|#### )", after, flags=re.M)[0]
        found[name] = (summary.group(1) if summary else "", described.strip())
    return found


def svg(curves, low, high):
    """Curves on [low, high], the y axis from -4.5 to 4.5; a curve is (colour, name, x, y)."""
    series = [draw.Series(name, x, y, colour, "dashed" if i else "line")
              for i, (colour, name, x, y) in enumerate(curves)]
    return draw.svg(series, draw.Axis(low, high), draw.Axis(-4.5, 4.5))


def number(v):
    if np.isnan(v):
        return "NaN"
    if v == 0:
        return "-0" if np.signbit(v) else "0"
    return f"{v:.7g}"


def table(case, values, x):
    got = evaluate(case, x, values)
    names = ["y"] + list(case.differentiable)
    lines = ["| " + " | ".join(["x", "y"] + ["d" + n for n in names[1:]]) + " |",
             "|" + "---|" * (1 + len(names))]
    for i, v in enumerate(x):
        lines.append("| " + " | ".join([number(v)] + [number(got[n][i]) for n in names]) + " |")
    return "\n".join(lines)


def settings(values):
    return ", ".join(f"{n} = {number(np.float32(v))}" for n, v in values.items())


def write(dialect_doc, out):
    out.mkdir(parents=True, exist_ok=True)
    texts = descriptions(dialect_doc)
    page = ["# The quantizers", "",
            "Each with its formula, a picture of its forward function and, dashed, of the "
            "gradient of x for a cotangent of 1, and its results at special values.", ""]
    chosen = pictured()
    for op in sorted({op for op, _ in chosen}):
        summary, description = texts[op]
        page += [f"## {op}", "", f"*{summary}*", "", description, ""]
        for (name, word), case in chosen.items():
            if name != op:
                continue
            values = parameters(case)
            low, high = (0.5, 8.5) if op in ("max_int", "min_int", "max_uint") else (-4.0, 4.0)
            x = np.linspace(low, high, 1601).astype(np.float32)
            got = evaluate(case, x, values)
            file = f"{op}-{re.sub(r'[^a-z0-9]+', '-', case.words.lower()).strip('-')}.svg"
            curves = [("#1f5fa8", "y", x, got["y"])]
            if "x" in got:
                curves.append(("#c0392b", "dx", x, got["x"]))
            (out / file).write_text(svg(curves, low, high))
            page += [f"### `{case.words}`", ""]
            if values:
                page += [f"With {settings(values)}:", ""]
            page += [f"![y and dx of {op}]({file})", "",
                     table(case, values, np.array(SPECIAL, np.float32)), ""]
            if "scale" in values:
                zero = parameters(case, scale=0.0)
                page += ["At scale 0:", "",
                         table(case, zero, np.array([1, 0, -1, np.nan], np.float32)), ""]
    (out / "Quantizers.md").write_text("\n".join(page))
    return chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dialect-doc", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    chosen = write(arguments.dialect_doc, arguments.out)
    print(f"{arguments.out / 'Quantizers.md'}: {len(chosen)} quantizers with their gradients")


if __name__ == "__main__":
    main()
