"""The stubs say what the package has."""
import ast
import importlib.util
import pathlib
import re

import pytest

from quant_ste import _native

ROOT = pathlib.Path(__file__).parents[1]
_SPEC = importlib.util.spec_from_file_location("quant_ste_stubs", ROOT / "stubs.py")
stubs = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(stubs)


@pytest.mark.parametrize("name", stubs.MODULES)
def test_written_stubs(name):
    if "torch" in name:
        pytest.importorskip("torch", reason="torch is not installed")
    text = stubs.stub(name)
    ast.parse(text)
    assert stubs.path_of(name).read_text() == text, "run python/stubs.py"


def _described(node) -> list[tuple[str, bool]]:
    """(name, has a default) of each parameter but self."""
    arguments = node.args.args
    without = len(arguments) - len(node.args.defaults)
    return [(a.arg, i >= without) for i, a in enumerate(arguments) if a.arg != "self"]


def _of_docstring(function) -> list[tuple[str, bool]]:
    """nanobind writes the signature first."""
    inside = re.search(r"\((.*)\) -> ", function.__doc__.splitlines()[0])[1]
    inside = re.sub(r"\[[^\]]*\]", "", inside)
    parts = [p.strip() for p in inside.split(",")] if inside else []
    return [(p.split(":")[0].split("=")[0].strip(), "=" in p) for p in parts
            if p not in ("self", "/") and p]


def test_native_stub():
    check_stub(_native)


def test_torch_stub():
    pytest.importorskip("torch", reason="torch is not installed")
    from quant_ste.torch._register import REGISTRATION
    if not REGISTRATION.startswith("C++"):
        pytest.skip(f"there is no binary: {REGISTRATION}")
    from quant_ste.torch import _ops
    check_stub(_ops)


def check_stub(module):
    path = ROOT.joinpath(*module.__name__.split(".")).with_suffix(".pyi")
    tree = ast.parse(path.read_text())
    declared = {n.target.id if isinstance(n, ast.AnnAssign) else n.name: n
                for n in tree.body if not isinstance(n, ast.ImportFrom)}
    assert set(declared) == {n for n in dir(module) if not n.startswith("_")}
    for name, node in declared.items():
        real = getattr(module, name)
        if isinstance(node, ast.AnnAssign):
            assert type(real).__name__ == node.annotation.id, name
            continue
        if isinstance(node, ast.FunctionDef):
            assert _described(node) == _of_docstring(real), name
            continue
        members = {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}
        public = {m for m in vars(real) if not m.startswith("_") or m == "__init__"}
        if name == "Error":
            continue
        assert set(members) == public, name
        for member, method in members.items():
            if not method.decorator_list:
                assert _described(method) == _of_docstring(getattr(real, member)), member
