"""quant_ste_split: a function's forward and backward apart, as text."""
import re

import numpy as np
import pytest

import quant_ste
from quant_ste import _native

TEXT = b"""
func.func @f(%x: tensor<?xf32>, %a: tensor<f32>) -> tensor<?xf32> {
  %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}
"""


def backward(text):
    return re.search(r"func.func @f_bwd\((.*)\) ->", text)[1]


def test_masks_in_place_of_x():
    text = _native.split(TEXT, "f", [0, 1], [0], "keep-results=false")
    assert backward(text).count("tensor<?xi8> {quant_ste.residual}") == 2
    module = quant_ste.compile(text)
    x, a = np.linspace(-1, 2, 1001, dtype=np.float32), np.array(1.0, np.float32)
    y, *kept = module.f_fwd(x, a)
    dy = np.ones_like(x)
    dx, da = module.f_bwd(*kept, dy)
    np.testing.assert_array_equal(dx, (x >= 0) & (x <= 1))
    assert da == (x >= 1).sum()
    np.testing.assert_array_equal(y, quant_ste.compile(TEXT.decode()).f(x, a))


def test_arguments_that_are_there():
    assert "quant_ste.argument = 0" in backward(_native.split(TEXT, "f", [0], [], ""))


@pytest.mark.parametrize("function,wrt,transient,plan,message", [
    ("g", [0], [], "", "no function @g"),
    ("f", [0], [7], "", "expected transient to list arguments, got 7"),
    ("f", [5], [], "", "wrt"),
    ("f", [0], [], "residuals=none", "options of quant-ste-plan-residuals, got 'residuals=none"),
])
def test_errors(function, wrt, transient, plan, message):
    with pytest.raises(Exception, match=message):
        _native.split(TEXT, function, wrt, transient, plan)
