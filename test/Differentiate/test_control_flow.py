"""Branches, loops, calls and gathers: both modes against finite differences."""
import numpy as np
import pytest
import torch

from derivatives import Derivatives


def draw(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s) for s in shapes]


BRANCH = """
func.func private @f(%c: i1, %x: tensor<?xf64>, %s: f64) -> (tensor<?xf64>, f64) {
  %t = math.exp %x : tensor<?xf64>
  %y:2 = scf.if %c -> (tensor<?xf64>, f64) {
    %u = arith.mulf %t, %x : tensor<?xf64>
    %r = arith.mulf %s, %s : f64
    scf.yield %u, %r : tensor<?xf64>, f64
  } else {
    %u = math.tanh %x : tensor<?xf64>
    scf.yield %u, %s : tensor<?xf64>, f64
  }
  %z = arith.mulf %y#0, %t : tensor<?xf64>
  return %z, %y#1 : tensor<?xf64>, f64
}
"""


@pytest.mark.parametrize("taken", [False, True])
def test_if(taken):
    x, = draw(4)
    Derivatives(BRANCH).check([np.bool_(taken), x, np.float64(1.5)])


def test_index_switch():
    text = """
func.func private @f(%i: index, %x: f64) -> f64 {
  %y = scf.index_switch %i -> f64
  case 0 {
    %a = arith.mulf %x, %x : f64
    scf.yield %a : f64
  }
  case 3 {
    %a = math.exp %x : f64
    scf.yield %a : f64
  }
  default {
    scf.yield %x : f64
  }
  return %y : f64
}
"""
    derivatives = Derivatives(text)
    for i in (0, 1, 3):
        derivatives.check([np.int64(i), np.float64(0.7)])


# A recurrent cell with weights from outside, carried and constant values, and
# what does not carry a derivative.
LOOP = """
func.func private @f(%n: index, %h0: tensor<3xf64>, %w: tensor<3xf64>, %s: f64)
    -> (tensor<3xf64>, f64, index) {{
  %lo = arith.constant {lo} : index
  %step = arith.constant {step} : index
  {high}
  %k0 = arith.constant 0 : index
  %r:4 = scf.for %i = %lo to %hi step %step
      iter_args(%h = %h0, %acc = %s, %v = %w, %k = %k0)
      -> (tensor<3xf64>, f64, tensor<3xf64>, index) {{
    %ii = arith.index_cast %i : index to i64
    %fi = arith.sitofp %ii : i64 to f64
    %scaled = arith.mulf %fi, %s : f64
    %sin = math.sin %scaled : f64
    %e = tensor.splat %sin : tensor<3xf64>
    %a = arith.mulf %h, %v : tensor<3xf64>
    %b = arith.addf %a, %e : tensor<3xf64>
    %t = math.tanh %b : tensor<3xf64>
    %c0 = arith.constant 0 : index
    %x = tensor.extract %t[%c0] : tensor<3xf64>
    %y = arith.mulf %acc, %x : f64
    %next = arith.addf %y, %s : f64
    %k1 = arith.addi %k, %step : index
    scf.yield %t, %next, %v, %k1 : tensor<3xf64>, f64, tensor<3xf64>, index
  }}
  return %r#0, %r#1, %r#3 : tensor<3xf64>, f64, index
}}
"""


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_for_unknown_count(n):
    text = LOOP.format(lo=0, step=1, high="%hi = arith.addi %n, %lo : index")
    h, w = draw(3, 3)
    Derivatives(text).check([np.int64(n), h, w, np.float64(0.4)])


@pytest.mark.parametrize("lo,hi,step", [(0, 5, 1), (2, 11, 3), (4, 4, 1),
                                        (-3, 4, 2)])
def test_for_known_count(lo, hi, step):
    text = LOOP.format(lo=lo, step=step,
                       high=f"%hi = arith.constant {hi} : index")
    h, w = draw(3, 3)
    Derivatives(text).check([np.int64(0), h, w, np.float64(0.4)])


@pytest.mark.parametrize("policy", ['"sqrt"', "1", "3", "100"])
@pytest.mark.parametrize("n", [0, 1, 7, 9])
def test_checkpoints(policy, n):
    """A loop in stretches has the gradients of the loop."""
    text = LOOP.format(lo=0, step=1, high="%hi = arith.addi %n, %lo : index")
    marked = text.replace(
        "  }\n  return", f"  }} {{quant_ste.checkpoint = {policy}}}\n  return")
    assert marked != text
    derivatives = Derivatives(marked, modes=("reverse",))
    h, w = draw(3, 3)
    inputs = [np.int64(n), h, w, np.float64(0.4)]
    cotangents = [np.ones(3), np.float64(-2)]
    results, grads = derivatives.reverse(inputs, cotangents)
    want_results, want = Derivatives(text, modes=("reverse",)).reverse(
        inputs, cotangents)
    for got, exact in zip(results, want_results, strict=True):
        np.testing.assert_array_equal(got, exact)
    for got, exact in zip(grads, want, strict=True):
        np.testing.assert_allclose(got, exact, rtol=1e-12)


def test_nested_loops_and_branches():
    text = """
func.func private @f(%n: index, %x: tensor<?xf64>, %w: tensor<4x?xf64>) -> tensor<?xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c4 = arith.constant 4 : index
  %d = tensor.dim %x, %c0 : tensor<?xf64>
  %r = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %x) -> tensor<?xf64> {
    %row = tensor.extract_slice %w[%i, 0] [1, %d] [1, 1] : tensor<4x?xf64> to tensor<?xf64>
    %inner = scf.for %j = %c0 to %n step %c1 iter_args(%b = %a) -> tensor<?xf64> {
      %even = arith.remui %j, %c2 : index
      %isEven = arith.cmpi eq, %even, %c0 : index
      %m = arith.mulf %b, %row : tensor<?xf64>
      %next = scf.if %isEven -> tensor<?xf64> {
        %s = math.sin %m : tensor<?xf64>
        scf.yield %s : tensor<?xf64>
      } else {
        %s = arith.addf %m, %a : tensor<?xf64>
        scf.yield %s : tensor<?xf64>
      }
      scf.yield %next : tensor<?xf64>
    }
    scf.yield %inner : tensor<?xf64>
  }
  return %r : tensor<?xf64>
}
"""
    derivatives = Derivatives(text)
    for n in (0, 1, 3):
        x, w = draw(2, (4, 2))
        derivatives.check([np.int64(n), x, w])


def test_calls_in_a_loop():
    text = """
func.func private @cell(%h: tensor<3xf64>, %w: tensor<3x3xf64>) -> tensor<3xf64> {
  %z = arith.constant dense<0.0> : tensor<3xf64>
  %m = linalg.matvec ins(%w, %h : tensor<3x3xf64>, tensor<3xf64>) outs(%z : tensor<3xf64>) -> tensor<3xf64>
  %t = math.tanh %m : tensor<3xf64>
  return %t : tensor<3xf64>
}
func.func private @f(%n: index, %h0: tensor<3xf64>, %w: tensor<3x3xf64>) -> tensor<3xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%h = %h0) -> tensor<3xf64> {
    %t = func.call @cell(%h, %w) : (tensor<3xf64>, tensor<3x3xf64>) -> tensor<3xf64>
    scf.yield %t : tensor<3xf64>
  }
  return %r : tensor<3xf64>
}
"""
    h, w = draw(3, (3, 3))
    Derivatives(text).check([np.int64(4), h, w])


def test_hessian_vector_product():
    """Forward over reverse, through a loop, a branch and a product."""
    text = """
func.func private @loss(%x: tensor<3xf64>, %c: i1) -> f64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %z = arith.constant 0.0 : f64
  %y = scf.for %i = %c0 to %c3 step %c1 iter_args(%a = %x) -> tensor<3xf64> {
    %s = math.sin %a : tensor<3xf64>
    %m = arith.mulf %s, %x : tensor<3xf64>
    %r = scf.if %c -> tensor<3xf64> {
      %q = arith.mulf %m, %m : tensor<3xf64>
      scf.yield %q : tensor<3xf64>
    } else {
      scf.yield %m : tensor<3xf64>
    }
    scf.yield %r : tensor<3xf64>
  }
  %e = tensor.empty() : tensor<f64>
  %o = linalg.fill ins(%z : f64) outs(%e : tensor<f64>) -> tensor<f64>
  %sum = linalg.reduce { arith.addf } ins(%y : tensor<3xf64>) outs(%o : tensor<f64>) dimensions = [0]
  %v = tensor.extract %sum[] : tensor<f64>
  return %v : f64
}
func.func private @f(%x: tensor<3xf64>, %c: i1) -> tensor<3xf64> {
  %v, %g = quant_ste.value_and_grad @loss(%x, %c) wrt [0]
    : (tensor<3xf64>, i1) -> (f64, tensor<3xf64>)
  return %g : tensor<3xf64>
}
"""
    derivatives = Derivatives(text)
    for c in (False, True):
        x, = draw(3)
        derivatives.check([x, np.bool_(c)])


def gather(index="", dims="(i, j) -> (i)", at="%k, %j"):
    return f"""
func.func private @f(%table: tensor<5x3xf64>, %at: tensor<4xi64>, %s: f64) -> tensor<4x3xf64> {{
  %e = tensor.empty() : tensor<4x3xf64>
  %y = linalg.generic {{indexing_maps = [affine_map<{dims}>, affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}}
      ins(%at : tensor<4xi64>) outs(%e : tensor<4x3xf64>) {{
  ^bb0(%a: i64, %o: f64):
    %j = linalg.index 1 : index
    %i = linalg.index 0 : index
    %k = arith.index_cast %a : i64 to index
    {index}
    %v = tensor.extract %table[{at}] : tensor<5x3xf64>
    %w = math.sin %v : f64
    %r = arith.mulf %w, %s : f64
    linalg.yield %r : f64
  }} -> tensor<4x3xf64>
  return %y : tensor<4x3xf64>
}}
"""


def test_embedding():
    """Rows of a table, one of them twice, and a float that the body captures."""
    table, = draw((5, 3))
    at = np.array([3, 0, 3, 4])
    derivatives = Derivatives(gather())
    derivatives.check([table, at, np.float64(0.7)])
    t, = draw((4, 3), seed=1)
    _, (dt, _) = derivatives.reverse([table, at, np.float64(1)], [t])
    x = torch.tensor(table, requires_grad=True)
    torch.sin(torch.nn.functional.embedding(torch.tensor(at), x)).backward(
        torch.tensor(t))
    np.testing.assert_allclose(dt, x.grad.numpy(), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("at,index", [
    ("%k, %one", "%one = arith.constant 1 : index"),
    ("%k, %m", "%three = arith.constant 3 : index\n"
               "%s2 = arith.addi %i, %j : index\n"
               "%m = arith.remui %s2, %three : index"),
    ("%i, %j", ""), ("%i, %m", "%three = arith.constant 3 : index\n"
                     "%m = arith.remui %i, %three : index"),
    ("%j, %j", ""), ("%zero, %zero", "%zero = arith.constant 0 : index")])
def test_gather(at, index):
    table, = draw((5, 3))
    Derivatives(gather(index, at=at)).check(
        [table, np.array([3, 0, 3, 4]), np.float64(0.7)])


def test_two_reads_of_one_table():
    text = """
func.func private @f(%table: tensor<4x5xf32>, %at: tensor<3xi64>) -> tensor<5x3xf32> {
  %e = tensor.empty() : tensor<5x3xf32>
  %c1 = arith.constant 1 : index
  %y = linalg.generic {indexing_maps = [affine_map<(j, i) -> (i)>, affine_map<(j, i) -> (j, i)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%at : tensor<3xi64>) outs(%e : tensor<5x3xf32>) {
  ^bb0(%a: i64, %o: f32):
    %j = linalg.index 0 : index
    %k = arith.index_cast %a : i64 to index
    %v = tensor.extract %table[%k, %j] : tensor<4x5xf32>
    %k1 = arith.addi %k, %c1 : index
    %w = tensor.extract %table[%k1, %j] : tensor<4x5xf32>
    %r = arith.mulf %v, %w : f32
    linalg.yield %r : f32
  } -> tensor<5x3xf32>
  return %y : tensor<5x3xf32>
}
""".replace("f32", "f64")
    table, = draw((4, 5))
    Derivatives(text).check([table, np.array([2, 0, 2])])


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_product(zeros):
    """Each factor gets the product of the others, as torch.prod's gradient."""
    text = """
func.func private @f(%x: tensor<?x?xf64>, %o: tensor<?xf64>) -> tensor<?xf64> {
  %y = linalg.reduce { arith.mulf } ins(%x : tensor<?x?xf64>) outs(%o : tensor<?xf64>) dimensions = [1]
  return %y : tensor<?xf64>
}
"""
    x, o = draw((3, 4), 3)
    x[1, :zeros] = 0
    derivatives = Derivatives(text)
    derivatives.check([x, o])
    t, = draw(3, seed=1)
    _, (dx, _) = derivatives.reverse([x, np.ones(3)], [t])
    tx = torch.tensor(x, requires_grad=True)
    torch.prod(tx, 1).backward(torch.tensor(t))
    np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-13, atol=1e-14)
