"""Writes the stubs (.pyi) of modules whose functions are made when they are imported.

    PYTHONPATH=build/release/python python python/stubs.py

python/tests/test_stubs.py compares them with the package.
"""
from __future__ import annotations

import importlib
import inspect
import pathlib
import re
import sys

FOLDER = pathlib.Path(__file__).parent / "quant_ste"
MODULES = ("torch._functions",)
_SCHEMA_TYPES = {"Tensor": "Tensor", "float": "float", "int": "int", "bool": "bool", "str": "str"}


def _annotation(value) -> str:
    if value is inspect.Parameter.empty:
        return "Any"
    return value if isinstance(value, str) else inspect.formatannotation(value)


def _parameter(p: inspect.Parameter) -> str:
    star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
    text = star + p.name + ("" if p.name == "self" else f": {_annotation(p.annotation)}")
    return text if p.default is p.empty else f"{text} = {p.default!r}"


def _arguments(signature: inspect.Signature) -> str:
    parts, keyword_only = [], False
    for p in signature.parameters.values():
        keyword_only = keyword_only or p.kind is p.VAR_POSITIONAL
        if p.kind is p.KEYWORD_ONLY and not keyword_only:
            parts.append("*")
            keyword_only = True
        parts.append(_parameter(p))
    return ", ".join(parts)


def _function(name: str, function, indent: str = "") -> str:
    signature = inspect.signature(function)
    result = _annotation(signature.return_annotation)
    return f"{indent}def {name}({_arguments(signature)}) -> {result}: ..."


def _op(op, name: str) -> str:
    """From the schema of the table."""
    parts, keyword_only = [], False
    for a in op.arguments:
        if a.keyword_only and not keyword_only:
            parts.append("*")
            keyword_only = True
        default = f" = {a.default}" if a.default else ""
        parts.append(f"{a.name}: {_SCHEMA_TYPES[a.type]}{default}")
    return f"def {name}({', '.join(parts)}) -> Tensor: ..."


def _class(name: str, made: type) -> str:
    bases = ", ".join(b.__name__ for b in made.__bases__ if b is not object)
    lines = [f"class {name}({bases}):" if bases and not bases.startswith("_") else
             f"class {name}:"]
    for key, value in vars(made).items():
        if isinstance(value, property):
            result = _annotation(inspect.signature(value.fget).return_annotation)
            lines.append(f"    @property\n    def {key}(self) -> {result}: ...")
        elif isinstance(value, staticmethod):
            lines.append(f"    @staticmethod\n{_function(key, value.__func__, indent='    ')}")
        elif inspect.isfunction(value) and (not key.startswith("_") or re.match("__.*__$", key)):
            lines.append(_function(key, value, indent="    "))
    annotated = vars(made).get("__annotations__", {})
    lines[1:1] = [f"    {key}: {type}" for key, type in annotated.items()]
    return "\n".join(lines if len(lines) > 1 else [lines[0] + " ..."])


def stub(module_name: str) -> str:
    """The text of a module's stub."""
    module = importlib.import_module(f"quant_ste.{module_name}")
    ops: dict = {}
    for op in module.OPS:
        ops.setdefault(op.name.partition(".")[0], []).append(op)
    names = ",\n    ".join(f'"{name}"' for name in module.__all__)
    lines = ["# Written by python/stubs.py.", "from typing import Any, overload", "",
             "from torch import Tensor", "", f"__all__ = [\n    {names},\n]"]
    for name in module.__all__:
        value = getattr(module, name)
        overloads = ops.get(getattr(value, "__name__", ""))
        is_op = overloads and value.__code__.co_name == "function"
        if is_op and len(overloads) == 1:
            lines.append(_op(overloads[0], name))
        elif is_op:
            lines += [f"@overload\n{_op(op, name)}" for op in overloads]
        elif inspect.isclass(value):
            lines.append(_class(name, value))
        elif callable(value):
            lines.append(_function(name, value))
        else:
            lines.append(f"{name}: {module.__annotations__[name]}")
    return "\n".join(lines) + "\n"


def path_of(module_name: str) -> pathlib.Path:
    return FOLDER / (module_name.replace(".", "/") + ".pyi")


if __name__ == "__main__":
    sys.path.pop(0)  # this folder has the sources of the package, without its binary
    for name in MODULES:
        path_of(name).write_text(stub(name))
