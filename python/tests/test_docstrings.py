"""Every public name says what it is."""
import inspect

import pytest

import quant_ste
from quant_ste import build, plot

try:
    import quant_ste.torch as in_torch
except ImportError:
    in_torch = None
try:
    from quant_ste import qonnx
except ImportError:
    qonnx = None


def _is_ours(value) -> bool:
    return (getattr(value, "__module__", None) or "quant_ste").startswith("quant_ste")


def _members(cls):
    """What a class says of itself: its public methods and properties."""
    for name, value in vars(cls).items():
        value = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if not name.startswith("_") and inspect.isfunction(value):
            yield name, value


def _without(module) -> list[str]:
    found = []
    for name in getattr(module, "__all__", None) or dir(module):
        value = getattr(module, name)
        if name.startswith("_") and name not in getattr(module, "__all__", ()) or not (
                callable(value) and _is_ours(value)):
            continue
        described = isinstance(vars(value).get("__doc__"), property)  # each function by itself
        if not described and not inspect.getdoc(value):
            found.append(name)
        if inspect.isclass(value):
            found += [f"{name}.{member}" for member, function in _members(value)
                      if not inspect.getdoc(function)]
    return found


# The forward of a module is what its class says.
UNSAID = {"forward"}


@pytest.mark.parametrize("module", [quant_ste, build, plot, in_torch, qonnx],
                         ids=["quant_ste", "build", "plot", "torch", "qonnx"])
def test_public_names(module):
    if module is None:
        pytest.skip("what it needs is not installed")
    assert inspect.getdoc(module)
    missing = [n for n in _without(module) if n.rpartition(".")[2] not in UNSAID]
    assert not missing


def test_every_op_says_what_it_takes_and_gives():
    """Schema, source, shapes, gradients and errors of the ops of torch."""
    if in_torch is None:
        pytest.skip("torch is not installed")
    from quant_ste.torch._table import OPS
    for op in OPS:
        if "." in op.name:
            continue
        text = inspect.getdoc(getattr(in_torch, op.name))
        if op.name in ("max_int", "min_int"):  # theirs may be numbers
            continue
        for words in (f"{op.name}(", op.source, "shape", "Gradient of", "Raises"):
            assert words in text, (op.name, words)
