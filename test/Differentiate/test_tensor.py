"""Models of the tensor dialect against finite differences."""
import numpy as np
import pytest

from derivatives import Derivatives

M1, M2 = "tensor<?xf64>", "tensor<?x?xf64>"


def draw(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s) for s in shapes]


def function(args, result, body):
    """Squares the result, so that a gradient also says where it comes from."""
    return f"""
func.func private @f({args}) -> {result} {{
{body}
  %square = arith.mulf %r, %r : {result}
  return %square : {result}
}}
"""


CASES = {
    "cast": (f"%x: {M1}", "tensor<6xf64>",
             "%r = tensor.cast %x : tensor<?xf64> to tensor<6xf64>", [(6,)]),
    "expand_shape": (
        f"%x: {M1}", "tensor<?x3xf64>", """
  %c0 = arith.constant 0 : index
  %c3 = arith.constant 3 : index
  %n = tensor.dim %x, %c0 : tensor<?xf64>
  %m = arith.divsi %n, %c3 : index
  %r = tensor.expand_shape %x [[0, 1]] output_shape [%m, 3]
    : tensor<?xf64> into tensor<?x3xf64>""", [(6,)]),
    "collapse_shape": (
        "%x: tensor<?x3xf64>", M1,
        "%r = tensor.collapse_shape %x [[0, 1]] : tensor<?x3xf64> into "
        "tensor<?xf64>", [(2, 3)]),
    "collapse_shape of two dynamic sizes": (
        f"%x: {M2}", M1,
        "%r = tensor.collapse_shape %x [[0, 1]] : tensor<?x?xf64> into "
        "tensor<?xf64>", [(2, 3)]),
    "reshape": (
        f"%x: {M2}", "tensor<3x2xf64>", """
  %s = arith.constant dense<[3, 2]> : tensor<2xindex>
  %r = tensor.reshape %x(%s) : (tensor<?x?xf64>, tensor<2xindex>)
    -> tensor<3x2xf64>""", [(2, 3)]),
    "extract_slice": (
        f"%x: {M2}", "tensor<2x2xf64>",
        "%r = tensor.extract_slice %x[1, 0] [2, 2] [1, 2] : tensor<?x?xf64> to "
        "tensor<2x2xf64>", [(3, 4)]),
    "extract_slice that drops a dimension": (
        f"%x: {M2}", M1, """
  %c1 = arith.constant 1 : index
  %n = tensor.dim %x, %c1 : tensor<?x?xf64>
  %r = tensor.extract_slice %x[1, 0] [1, %n] [1, 1] : tensor<?x?xf64> to
    tensor<?xf64>""", [(3, 4)]),
    "insert_slice": (
        f"%x: tensor<2xf64>, %y: {M2}", M2,
        "%r = tensor.insert_slice %x into %y[1, 1] [1, 2] [1, 1] "
        ": tensor<2xf64> into tensor<?x?xf64>", [(2,), (3, 4)]),
    "pad": (
        f"%x: {M2}", M2, """
  %c2 = arith.constant 2 : index
  %p = arith.constant 7.0 : f64
  %r = tensor.pad %x low[1, 0] high[0, %c2] {
  ^bb0(%i: index, %j: index):
    tensor.yield %p : f64
  } : tensor<?x?xf64> to tensor<?x?xf64>""", [(2, 3)]),
    "concat": (
        f"%x: {M2}, %y: tensor<2x2xf64>, %z: {M2}", "tensor<2x?xf64>",
        "%r = tensor.concat dim(1) %x, %y, %z : (tensor<?x?xf64>, "
        "tensor<2x2xf64>, tensor<?x?xf64>) -> tensor<2x?xf64>",
        [(2, 3), (2, 2), (2, 1)]),
    "insert": (
        "%s: f64, %y: tensor<3xf64>", "tensor<3xf64>", """
  %c1 = arith.constant 1 : index
  %r = tensor.insert %s into %y[%c1] : tensor<3xf64>""", ["f64", (3,)]),
    "extract": (
        f"%x: {M2}", "f64", """
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %r = tensor.extract %x[%c1, %c2] : tensor<?x?xf64>""", [(2, 3)]),
    "from_elements": (
        "%s: f64, %t: f64", "tensor<2x3xf64>",
        "%c = arith.constant 5.0 : f64\n"
        "%r = tensor.from_elements %s, %t, %c, %s, %s, %t : tensor<2x3xf64>",
        ["f64", "f64"]),
    "splat": (
        "%s: f64, %n: index", "tensor<?x2xf64>",
        "%r = tensor.splat %s[%n] : tensor<?x2xf64>", ["f64", 3]),
}


@pytest.mark.parametrize("name", CASES)
def test_against_finite_differences(name):
    args, result, body, shapes = CASES[name]
    rng = np.random.default_rng(0)
    inputs = [np.float64(rng.normal()) if s == "f64" else
              np.int64(s) if isinstance(s, int) else rng.normal(size=s)
              for s in shapes]
    Derivatives(function(args, result, body)).check(inputs)


def test_insert_slice_asks_only_what_is_wanted():
    """The tangent of what is held constant is zero."""
    args, result, body, shapes = CASES["insert_slice"]
    for wrt in ([0], [1]):
        Derivatives(function(args, result, body), wrt=wrt).check(draw(*shapes))


def test_concat_of_constants():
    args, result, body, shapes = CASES["concat"]
    Derivatives(function(args, result, body), wrt=[2]).check(draw(*shapes))
