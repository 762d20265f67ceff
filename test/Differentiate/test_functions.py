"""Functions that call themselves, and functions with rules of their own that keep
residuals."""
import numpy as np
import pytest

from derivatives import Derivatives

RECURSIVE = """
func.func private @f(%x: f64, %w: f64, %n: index) -> f64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ends = arith.cmpi eq, %n, %c0 : index
  %r = scf.if %ends -> f64 {
    scf.yield %x : f64
  } else {
    %m = arith.subi %n, %c1 : index
    %p = arith.mulf %x, %w : f64
    %y = math.sin %p : f64
    %q = func.call @CALLEE(%y, %w, %m) : (f64, f64, index) -> f64
    %z = arith.mulf %q, %w : f64
    scf.yield %z : f64
  }
  return %r : f64
}
"""


@pytest.mark.parametrize("mutual", [False, True])
def test_recursion(mutual):
    """The derivative of a function that calls itself calls itself."""
    text = RECURSIVE.replace("CALLEE", "g" if mutual else "f")
    if mutual:
        text += """
func.func private @g(%x: f64, %w: f64, %n: index) -> f64 {
  %s = math.tanh %x : f64
  %r = func.call @f(%s, %w, %n) : (f64, f64, index) -> f64
  return %r : f64
}
"""
    derivatives = Derivatives(text)
    for n in (0, 1, 4):
        derivatives.check([np.float64(0.7), np.float64(1.3), n])


# The largest element with its number; the rule wants the number, the size and a
# flag, not x.
PEAK = """
#id = affine_map<(i) -> (i)>
#all = affine_map<(i) -> ()>
func.func private @peak_forward(%x: tensor<?xf64>, %s: f64)
    -> (tensor<f64>, tensor<i64>, f64, tensor<i64>, index, i1, f64) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf64>
  %first = tensor.extract %x[%c0] : tensor<?xf64>
  %m0 = tensor.from_elements %first : tensor<f64>
  %zero = arith.constant dense<0> : tensor<i64>
  %r:2 = linalg.generic {indexing_maps = [#id, #all, #all], iterator_types = ["reduction"]}
    ins(%x : tensor<?xf64>) outs(%m0, %zero : tensor<f64>, tensor<i64>) {
  ^bb0(%v: f64, %m: f64, %at: i64):
    %more = arith.cmpf ogt, %v, %m : f64
    %i = linalg.index 0 : index
    %k = arith.index_cast %i : index to i64
    %m1 = arith.select %more, %v, %m : f64
    %at1 = arith.select %more, %k, %at : i64
    linalg.yield %m1, %at1 : f64, i64
  } -> (tensor<f64>, tensor<i64>)
  %low = arith.constant 0.0 : f64
  %positive = arith.cmpf ogt, %s, %low : f64
  %t = arith.mulf %s, %s : f64
  return %r#0, %r#1, %t, %r#1, %n, %positive, %s
    : tensor<f64>, tensor<i64>, f64, tensor<i64>, index, i1, f64
}
func.func private @peak_rule(%at: tensor<i64>, %n: index, %positive: i1, %s: f64,
    %dm: tensor<f64>, %dt: f64) -> (tensor<?xf64>, f64) {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty(%n) : tensor<?xf64>
  %dx = linalg.generic {indexing_maps = [#all, #all, #id], iterator_types = ["parallel"]}
    ins(%at, %dm : tensor<i64>, tensor<f64>) outs(%e : tensor<?xf64>) {
  ^bb0(%k: i64, %g: f64, %o: f64):
    %i = linalg.index 0 : index
    %j = arith.index_cast %i : index to i64
    %is = arith.cmpi eq, %j, %k : i64
    %d = arith.select %is, %g, %zero : f64
    linalg.yield %d : f64
  } -> tensor<?xf64>
  %two = arith.constant 2.0 : f64
  %p = arith.mulf %dt, %s : f64
  %q = arith.mulf %p, %two : f64
  %ds = arith.select %positive, %q, %zero : f64
  return %dx, %ds : tensor<?xf64>, f64
}
func.func private @peak(%x: tensor<?xf64>, %s: f64) -> (tensor<f64>, tensor<i64>, f64)
    attributes {no_inline, quant_ste.vjp = @peak_rule, quant_ste.vjp_forward = @peak_forward} {
  %r:7 = func.call @peak_forward(%x, %s) : (tensor<?xf64>, f64)
    -> (tensor<f64>, tensor<i64>, f64, tensor<i64>, index, i1, f64)
  return %r#0, %r#1, %r#2 : tensor<f64>, tensor<i64>, f64
}
func.func private @f(%x: tensor<?xf64>, %s: f64) -> (f64, i64) {
  %y = arith.mulf %x, %x : tensor<?xf64>
  %r:3 = func.call @peak(%y, %s) : (tensor<?xf64>, f64) -> (tensor<f64>, tensor<i64>, f64)
  %m = tensor.extract %r#0[] : tensor<f64>
  %at = tensor.extract %r#1[] : tensor<i64>
  %p = arith.mulf %m, %r#2 : f64
  return %p, %at : f64, i64
}
"""


@pytest.mark.parametrize("s", [1.5, -1.5])
def test_own_rule_with_residuals(s):
    x = np.array([0.5, -2.0, 1.0])
    derivatives = Derivatives(PEAK, modes=("reverse",))
    (value, at), (dx, ds) = derivatives.reverse([x, np.float64(s)],
                                                [np.float64(1)])
    assert (value, at) == (4 * s * s, 1)
    np.testing.assert_array_equal(dx, [0, -4 * s * s, 0])
    # The rule says that there is none where s is not positive.
    assert ds == (8 * s if s > 0 else 0)
