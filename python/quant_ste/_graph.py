"""The ops of a function as a graph: SVG by itself, or text for Graphviz."""
from __future__ import annotations

import dataclasses
import os
import pathlib
import re
from xml.sax.saxutils import escape

from ._module import Module, compile

_ROW, _GAP, _LETTER, _HEIGHT = 46, 14, 6.6, 22
#: Colours of quantizers, of what is put in and given back, and of the rest.
_FILLS = {"quant_ste": "#d8e6f7", "argument": "#e6f2e6", "return": "#e6f2e6", "": "#f4f4f4"}


@dataclasses.dataclass(frozen=True)
class Node:
    """An op, with what it holds in its regions, or an argument."""

    label: str   # quant_ste.pact, %x
    detail: str  # words of a quantizer, type of an argument
    line: str    # the op's first line in the module

    @property
    def kind(self) -> str:
        head = self.label.partition(".")[0]
        return head if head in _FILLS else "argument" if head.startswith("%") else ""


@dataclasses.dataclass(frozen=True)
class Graph:
    """``edges`` are (from, to, name of the value), by the number of the nodes. Notebooks
    show it."""

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int, str], ...]

    @property
    def dot(self) -> str:
        """For Graphviz."""
        def quoted(text: str) -> str:
            return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

        lines = [f"digraph {quoted(self.name)} {{", "  node [shape=box, style=filled];"]
        for i, node in enumerate(self.nodes):
            label = "\n".join(t for t in (node.label, node.detail) if t)
            lines.append(f"  n{i} [label={quoted(label)}, fillcolor={quoted(_FILLS[node.kind])}];"
                         .replace("\n", "\\n"))
        lines += [f"  n{a} -> n{b} [label={quoted(value)}];" for a, b, value in self.edges]
        return "\n".join([*lines, "}", ""])

    @property
    def svg(self) -> str:
        """Every op below those whose results it takes; a box's title is the op's line."""
        rows = self._rows()
        widths = [_LETTER * max(len(n.label), len(n.detail)) + 12 for n in self.nodes]
        total = max([sum(widths[i] + _GAP for i in row) for row in rows] or [0]) + _GAP
        place = {}
        for y, row in enumerate(rows):
            left = (total - sum(widths[i] + _GAP for i in row)) / 2 + _GAP / 2
            for i in row:
                place[i] = (left, 24 + y * (_ROW + _HEIGHT))
                left += widths[i] + _GAP
        height = 24 + len(rows) * (_ROW + _HEIGHT)
        out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{total:.0f}" height="{height}" '
               f'viewBox="0 0 {total:.0f} {height}" font-family="sans-serif" font-size="11">',
               f'<rect width="{total:.0f}" height="{height}" fill="white"/>',
               f'<text x="8" y="14" font-weight="bold">{escape("@" + self.name)}</text>']
        for a, b, value in self.edges:
            x1, x2 = (place[n][0] + widths[n] / 2 for n in (a, b))
            y1, y2 = place[a][1] + _HEIGHT + 10, place[b][1]
            out.append(f'<path d="M{x1:.1f} {y1} C{x1:.1f} {y1 + 20} {x2:.1f} {y2 - 20} '
                       f'{x2:.1f} {y2}" fill="none" stroke="#999"><title>{escape(value)}</title>'
                       "</path>")
        for i, node in enumerate(self.nodes):
            x, y = place[i]
            out.append(f'<rect x="{x:.1f}" y="{y}" width="{widths[i]:.1f}" '
                       f'height="{_HEIGHT + 10}" rx="4" fill="{_FILLS[node.kind]}" '
                       f'stroke="#777"><title>{escape(node.line)}</title></rect>')
            for text, down in ((node.label, 13 if node.detail else 19), (node.detail, 26)):
                if text:
                    out.append(f'<text x="{x + 6:.1f}" y="{y + down}">{escape(text)}</text>')
        return "\n".join([*out, "</svg>", ""])

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes .svg, or .dot for Graphviz. Raises `ValueError` for another ending."""
        path = pathlib.Path(path)
        if path.suffix not in (".svg", ".dot"):
            raise ValueError(f"expected a path that ends in .svg or .dot, got {str(path)!r}")
        path.write_text(self.svg if path.suffix == ".svg" else self.dot)

    def _rows(self) -> list[list[int]]:
        """Nodes by their longest path from the start; constants just above their first
        use. Within a row by where their operands are."""
        takes: list[list[int]] = [[] for _ in self.nodes]
        gives: list[list[int]] = [[] for _ in self.nodes]
        for a, b, _ in self.edges:
            takes[b].append(a)
            gives[a].append(b)
        level = [0] * len(self.nodes)
        for i in range(len(self.nodes)):  # operands come first in the text
            level[i] = max((level[a] + 1 for a in takes[i]), default=0)
        for i, node in enumerate(self.nodes):
            if not takes[i] and gives[i] and node.kind != "argument":
                level[i] = min(level[b] for b in gives[i]) - 1
        rows: list[list[int]] = [[] for _ in range(max(level, default=-1) + 1)]
        for i in range(len(self.nodes)):
            rows[level[i]].append(i)
        rank = {i: float(at) for at, i in enumerate(rows[0])} if rows else {}
        for row in rows[1:]:
            row.sort(key=lambda i: sum(rank.get(a, 0.0) for a in takes[i]) / max(len(takes[i]), 1))
            rank |= {i: float(at) for at, i in enumerate(row)}
        return rows


def graph(module: Module | str, function: str | None = None, *, phase: str = "source") -> Graph:
    """The ops of a function and the values between them.

    ``module`` is a compiled one, or what `compile` takes; ``function`` the name of one of
    its functions, also of one that is not public (default: the first in the text);
    ``phase`` that of the compiler after which to look, as in `Module.stages`. An op
    with regions, ``linalg.generic`` or ``scf.for``, is one node. Raises `KeyError` for a
    name that is no function, and `CompileError` for text that is no module.
    """
    module = module if isinstance(module, Module) else compile(module)
    stages = module.stages() if phase != "source" else {"source": module.text}
    if phase not in stages:
        raise KeyError(f"no phase {phase!r}; there are {', '.join(stages)}")
    found = {name: body for name, body in _functions(stages[phase])}
    if function is None:
        function = next(iter(found), None)
    if function is None or function not in found:
        raise KeyError(f"no function @{function}; there are "
                       f"{', '.join('@' + n for n in found) or 'none'}")
    return _read(function, found[function])


def _functions(text: str) -> list[tuple[str, list[str]]]:
    """(name, lines) of each function with a body, as MLIR prints them: at one depth."""
    found: list[tuple[str, list[str]]] = []
    end = ""
    for line in text.splitlines():
        header = re.match(r"(\s*)(?:func|llvm)\.func [^@]*@(\w+|\"[^\"]*\")", line)
        if not end and header and line.endswith("{"):
            found.append((header[2].strip('"'), [line]))
            end = header[1] + "}"
        elif end:
            if line.rstrip() == end:
                end = ""
            else:
                found[-1][1].append(line)
    return found


def _read(name: str, lines: list[str]) -> Graph:
    header, *body = lines
    indent = min((len(t) - len(t.lstrip()) for t in body if t.lstrip(" ")[:1] not in ("", "^")),
                 default=0)
    nodes: list[Node] = []
    owner: dict[str, int] = {}
    for argument, type_, called in re.findall(
            r"(%[\w$.-]+): ([\w.!]+(?:<[^>]*>)?)(?: \{[^{}]*quant_ste\.name = \"([^\"]*)\")?",
            header.partition("(")[2]):
        owner[argument] = len(nodes)
        nodes.append(Node(f"%{called}" if called else argument, type_, f"{argument}: {type_}"))
    edges: list[tuple[int, int, str]] = []
    for statement in _statements(body, indent):
        first = re.match(r"((?:%[\w$.-]+(?::\d+)?(?:, )?)+) = ", statement)
        rest = statement[first.end():] if first else statement
        op = re.match(r"\"?([\w.]+)", rest)
        if op is None:
            continue
        label = "return" if op[1] in ("return", "func.return", "llvm.return") else op[1]
        line = statement.partition("\n")[0].strip()
        for used in dict.fromkeys(re.findall(r"%[\w$.-]+", rest)):
            if used in owner:
                edges.append((owner[used], len(nodes), used))
        for result in re.findall(r"%[\w$.-]+", first[1] if first else ""):
            owner[result] = len(nodes)
        nodes.append(Node(label, _detail(label, rest.partition("\n")[0]), line))
    return Graph(name, tuple(nodes), tuple(edges))


def _statements(body: list[str], indent: int) -> list[str]:
    """The ops of the function itself, each with its regions."""
    found: list[str] = []
    for line in body:
        inner = line[indent:]
        if line.lstrip().startswith("^") and len(line) - len(line.lstrip()) < indent:
            continue  # a block of the function
        if found and (inner[:1] in (" ", "}", "^") or not inner):
            found[-1] += "\n" + line
        elif not inner.startswith("^"):
            found.append(inner)
    return found


def _detail(label: str, rest: str) -> str:
    """The words of a quantizer; which function is called; a constant's value."""
    if label in ("func.call", "call") or label.endswith((".vjp", ".apply")):
        called = re.search(r"@[\w.]+", rest)
        return called[0] if called else ""
    if label.startswith("quant_ste."):
        words = re.sub(r"%[\w$.-]+(?:#\d+)?(?: axes\([^)]*\))?,?|quant_ste\.\w+", "",
                       rest.partition(" : ")[0])
        return " ".join(words.split())
    if label == "arith.constant":
        value = rest.removeprefix("arith.constant").partition(" : ")[0].strip()
        return value if len(value) <= 24 else value[:21] + "..."
    return ""
