"""Models of linalg: structured ops of all kinds against finite differences, and
against torch where there is a choice."""
import ml_dtypes
import numpy as np
import pytest
import torch

from derivatives import Derivatives


def draw(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s) for s in shapes]


def matmul(name, lhs, rhs, maps=""):
    c = "tensor<?x?xf64>" if "batch" not in name else "tensor<?x?x?xf64>"
    return f"""
func.func private @f(%a: {lhs}, %b: {rhs}, %c: {c}) -> {c} {{
  %y = linalg.{name} {maps} ins(%a, %b : {lhs}, {rhs}) outs(%c : {c}) -> {c}
  return %y : {c}
}}
"""


def maps(dims, *results):
    return "indexing_maps = [" + ", ".join(
        f"affine_map<({dims}) -> ({r})>" for r in results) + "]"


M2, M3, M1 = "tensor<?x?xf64>", "tensor<?x?x?xf64>", "tensor<?xf64>"


@pytest.mark.parametrize("lhs,rhs", [("m, k", "k, n"), ("k, m", "k, n"),
                                     ("m, k", "n, k"), ("k, m", "n, k")])
@pytest.mark.parametrize("batch", [False, True])
def test_matmul(lhs, rhs, batch):
    sizes = {"m": 2, "k": 3, "n": 4}
    shapes = [tuple(sizes[d] for d in m.split(", ")) for m in (lhs, rhs, "m, n")]
    if batch:
        text = matmul("batch_matmul", M3, M3, maps(
            "b, m, n, k", "b, " + lhs, "b, " + rhs, "b, m, n"))
        shapes = [(2,) + s for s in shapes]
    else:
        text = matmul("matmul", M2, M2, maps("m, n, k", lhs, rhs, "m, n"))
    Derivatives(text).check(draw(*shapes))


def test_matmul_that_broadcasts():
    """Not a product of two matrices: the general model takes it."""
    text = matmul("matmul", M1, M2, maps("m, n, k", "k", "k, n", "m, n"))
    Derivatives(text).check(draw((3,), (3, 4), (2, 4)))


@pytest.mark.parametrize("name,types,shapes", [
    ("matvec", (M2, M1, M1), ((2, 3), (3,), (2,))),
    ("vecmat", (M1, M2, M1), ((3,), (3, 2), (2,))),
    ("dot", (M1, M1, "tensor<f64>"), ((3,), (3,), ())),
    ("batch_matvec", (M3, M2, M2), ((2, 2, 3), (2, 3), (2, 2))),
    ("batch_reduce_matmul", (M3, M3, M2), ((2, 2, 3), (2, 3, 2), (2, 2))),
])
def test_products(name, types, shapes):
    a, b, c = types
    text = f"""
func.func private @f(%a: {a}, %b: {b}, %c: {c}) -> {c} {{
  %y = linalg.{name} ins(%a, %b : {a}, {b}) outs(%c : {c}) -> {c}
  return %y : {c}
}}
"""
    Derivatives(text).check(draw(*shapes))


def test_contract():
    text = f"""
func.func private @f(%a: {M3}, %b: {M3}, %c: {M2}) -> {M2} {{
  %y = linalg.contract {maps('i, j, k, l', 'j, i, k', 'l, k, j', 'i, l')}
    ins(%a, %b : {M3}, {M3}) outs(%c : {M2}) -> {M2}
  return %y : {M2}
}}
"""
    Derivatives(text).check(draw((3, 2, 4), (5, 4, 3), (2, 5)))


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "max", "min"])
def test_named_elementwise(name):
    text = f"""
func.func private @f(%a: {M2}, %b: {M2}, %c: {M2}) -> {M2} {{
  %y = linalg.{name} ins(%a, %b : {M2}, {M2}) outs(%c : {M2}) -> {M2}
  return %y : {M2}
}}
"""
    Derivatives(text).check(draw((2, 3), (2, 3), (2, 3)))


@pytest.mark.parametrize("name", ["exp", "abs", "negf", "square", "tanh", "erf"])
def test_named_unary(name):
    text = f"""
func.func private @f(%a: {M2}, %c: {M2}) -> {M2} {{
  %y = linalg.{name} ins(%a : {M2}) outs(%c : {M2}) -> {M2}
  return %y : {M2}
}}
"""
    Derivatives(text).check(draw((2, 3), (2, 3)))


def test_elementwise_with_maps():
    text = f"""
func.func private @f(%a: {M2}, %b: {M1}, %c: {M2}) -> {M2} {{
  %y = linalg.elementwise kind=#linalg.elementwise_kind<mul>
    {maps('i, j', 'j, i', 'i', 'i, j')}
    ins(%a, %b : {M2}, {M1}) outs(%c : {M2}) -> {M2}
  return %y : {M2}
}}
"""
    Derivatives(text).check(draw((3, 2), (2,), (2, 3)))


def test_map_and_fill():
    text = f"""
func.func private @f(%a: {M1}, %s: f64, %e: {M1}) -> {M1} {{
  %fill = linalg.fill ins(%s : f64) outs(%e : {M1}) -> {M1}
  %y = linalg.map {{ arith.mulf }} ins(%a, %fill : {M1}, {M1}) outs(%e : {M1})
  return %y : {M1}
}}
"""
    a, e = draw((5,), (5,))
    Derivatives(text).check([a, np.float64(1.5), e])


def test_transpose_and_broadcast():
    text = f"""
func.func private @f(%a: {M2}, %e: {M2}, %o: {M3}) -> {M3} {{
  %t = linalg.transpose ins(%a : {M2}) outs(%e : {M2}) permutation = [1, 0]
  %y = linalg.broadcast ins(%t : {M2}) outs(%o : {M3}) dimensions = [1]
  return %y : {M3}
}}
"""
    Derivatives(text).check(draw((2, 3), (3, 2), (3, 4, 2)))


def reduce(op, dims=(1,), out=M1):
    return f"""
func.func private @f(%a: {M2}, %c: {out}) -> {out} {{
  %y = linalg.reduce {{ {op} }} ins(%a : {M2}) outs(%c : {out})
    dimensions = {list(dims)}
  return %y : {out}
}}
"""


@pytest.mark.parametrize("op", ["arith.addf", "arith.maximumf", "arith.minimumf",
                                "arith.maxnumf", "arith.minnumf"])
@pytest.mark.parametrize("dims", [(0,), (1,), (0, 1)])
def test_reduce(op, dims):
    out = M1 if len(dims) == 1 else "tensor<f64>"
    shape = {(0,): (4,), (1,): (3,), (0, 1): ()}[dims]
    Derivatives(reduce(op, dims, out)).check(draw((3, 4), shape))


def test_maximum_shares_ties():
    derivatives = Derivatives(reduce("arith.maximumf"), wrt=[0])
    a = np.array([[1., 3., 3., 0.], [2., 2., 2., 2.], [5., 4., 3., 2.]])
    init = np.full(3, -np.inf)
    t = np.array([6., 8., 1.])
    _, (da,) = derivatives.reverse([a, init], [t])
    x = torch.tensor(a, requires_grad=True)
    torch.amax(x, 1).backward(torch.tensor(t))
    np.testing.assert_array_equal(da, x.grad.numpy())
    v = np.arange(12.).reshape(3, 4)
    _, (ty,) = derivatives.forward([a, init], [v])
    np.testing.assert_array_equal(ty, [(1 + 2) / 2, (4 + 5 + 6 + 7) / 4, 8])
    # An initial value that wins, and a NaN: nobody else gets anything.
    _, (da,) = derivatives.reverse([a, np.array([9., np.nan, 0.])], [t])
    np.testing.assert_array_equal(da, [[0] * 4, [0] * 4, [1, 0, 0, 0]])


def test_maximum_counts_an_initial_value_that_is_asked_for():
    derivatives = Derivatives(reduce("arith.maximumf"))
    a = np.array([[1., 3., 3., 0.]])
    _, (da, dinit) = derivatives.reverse([a, np.array([3.])], [np.array([6.])])
    np.testing.assert_array_equal(da, [[0, 2, 2, 0]])
    np.testing.assert_array_equal(dinit, [2])


def generic(ins, outs, body, iterators):
    """ins, outs: lists of (type, map); %x0.. are the inputs, %o0.. the outputs,
    both also named so in the body."""
    names = [f"%x{i}" for i in range(len(ins))]
    inits = [f"%o{i}" for i in range(len(outs))]
    args = ", ".join(f"{n}: {t}" for n, (t, _) in
                     zip(names + inits, ins + outs))
    block = ", ".join(f"{n}: {t.split('x')[-1].split('<')[-1].rstrip('>')}"
                      for n, (t, _) in zip(
                          [n.replace('%', '%b') for n in names + inits],
                          ins + outs))
    results = ", ".join(t for t, _ in outs)
    values = ("%y" if len(outs) == 1
              else ", ".join(f"%y#{i}" for i in range(len(outs))))
    dims = {1: "i", 2: "i, j", 3: "i, j, k"}[len(iterators)]
    in_types = ", ".join(t for t, _ in ins)
    count = f":{len(outs)}" if len(outs) > 1 else ""
    return f"""
func.func private @f({args}) -> ({results}) {{
  %y{count} = linalg.generic {{{maps(dims, *[m for _, m in ins + outs])},
      iterator_types = [{', '.join('"%s"' % i for i in iterators)}]}}
      ins({', '.join(names)} : {in_types})
      outs({', '.join(inits)} : {results}) {{
    ^bb0({block}):
      {body}
  }} -> ({results})
  return {values} : {results}
}}
"""


PAR, RED = "parallel", "reduction"


@pytest.mark.parametrize("body", [
    "%t = arith.mulf %bx0, %bx1 : f64\n %r = arith.addf %bo0, %t : f64",
    "%t = arith.mulf %bx0, %bx1 : f64\n %r = arith.addf %t, %bo0 : f64",
    "%t = math.tanh %bx0 : f64\n %r = arith.subf %bo0, %t : f64",
    "%r = math.fma %bx0, %bx1, %bo0 : f64",
    "%t = math.exp %bx0 : f64\n %u = arith.addf %bo0, %t : f64\n"
    " %r = arith.addf %u, %bx1 : f64",
    "%t = math.sin %bx0 : f64\n %m = arith.mulf %t, %bx1 : f64\n"
    " %r = arith.maximumf %m, %bo0 : f64",
])
def test_accumulators(body):
    """Sums in several forms, over one loop, with a broadcast operand."""
    text = generic([(M2, "i, j"), (M1, "j")], [(M1, "i")],
                   body + "\n linalg.yield %r : f64", [PAR, RED])
    Derivatives(text).check(draw((3, 4), (4,), (3,)))


def test_mixed_granularity():
    """x[n,c], scale[c], zero_point[]: one pass, and a small second one."""
    body = """
      %d = arith.divf %bx0, %bx1 : f64
      %t = arith.addf %d, %bx2 : f64
      %r = math.tanh %t : f64
      linalg.yield %r : f64"""
    text = generic([(M2, "i, j"), (M1, "j"), ("tensor<f64>", "")],
                   [(M2, "i, j")], body, [PAR, PAR])
    x, s, z, o = draw((3, 4), (4,), (), (3, 4))
    Derivatives(text).check([x, np.abs(s) + .5, z, o])


def test_granularities_that_do_not_nest():
    body = """
      %t = arith.mulf %bx0, %bx1 : f64
      %u = arith.mulf %t, %bx2 : f64
      %r = math.sin %u : f64
      linalg.yield %r : f64"""
    text = generic([(M3, "k, i, j"), (M2, "i, k"), (M2, "j, i")],
                   [(M3, "i, j, k")], body, [PAR] * 3)
    Derivatives(text).check(draw((2, 3, 4), (3, 2), (4, 3), (3, 4, 2)))


def test_two_results_and_an_updated_one():
    """A momentum step: the outputs are read, element by element."""
    body = """
      %m = arith.mulf %bo1, %bx1 : f64
      %v = arith.addf %m, %bx0 : f64
      %s = math.sin %v : f64
      %p = arith.subf %bo0, %s : f64
      linalg.yield %p, %v : f64, f64"""
    text = generic([(M1, "i"), ("tensor<f64>", "")], [(M1, "i"), (M1, "i")],
                   body, [PAR])
    Derivatives(text).check(draw((4,), (), (4,), (4,)))


def test_two_reduced_results():
    body = """
      %e = math.exp %bx0 : f64
      %s = arith.addf %bo0, %e : f64
      %q = arith.mulf %bx0, %e : f64
      %m = arith.maximumf %bo1, %q : f64
      linalg.yield %s, %m : f64, f64"""
    text = generic([(M2, "i, j")], [(M1, "i"), (M1, "i")], body, [PAR, RED])
    Derivatives(text).check(draw((3, 4), (3,), (3,)))


def test_unread_operand_that_gives_the_size():
    """sum_j (x + m[i]): dm is size(j) * dy; x is read for its size alone."""
    body = """
      %t = arith.addf %bx0, %bx1 : f64
      %r = arith.addf %bo0, %t : f64
      linalg.yield %r : f64"""
    text = generic([(M2, "i, j"), (M1, "i")], [(M1, "i")], body, [PAR, RED])
    Derivatives(text).check(draw((3, 4), (3,), (3,)))


def test_index_and_integers_are_inactive():
    body = """
      %k = linalg.index 1 : index
      %c = arith.index_cast %bx1 : i64 to index
      %hit = arith.cmpi eq, %k, %c : index
      %n = arith.index_cast %k : index to i64
      %w = arith.sitofp %n : i64 to f64
      %zero = arith.constant 0.0 : f64
      %p = arith.mulf %bx0, %w : f64
      %t = arith.select %hit, %p, %zero : f64
      %r = arith.addf %bo0, %t : f64
      linalg.yield %r : f64"""
    text = generic([(M2, "i, j"), ("tensor<?xi64>", "i")],
                   [("tensor<f64>", "")], body, [RED, RED])
    x, o = draw((3, 4), ())
    Derivatives(text).check([x, np.array([0, 2, 3]), o])


def test_gather_of_a_constant_table():
    """A captured tensor is fine as long as no derivative is asked of it."""
    text = f"""
func.func private @f(%x: {M1}, %table: {M1}, %o: {M1}) -> {M1} {{
  %y = linalg.generic {{{maps('i', 'i', 'i')}, iterator_types = ["parallel"]}}
      ins(%x : {M1}) outs(%o : {M1}) {{
    ^bb0(%a: f64, %b: f64):
      %i = linalg.index 0 : index
      %v = tensor.extract %table[%i] : {M1}
      %r = arith.mulf %a, %v : f64
      linalg.yield %r : f64
  }} -> {M1}
  return %y : {M1}
}}
"""
    Derivatives(text, wrt=[0]).check(draw((4,), (4,), (4,)))


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_softmax(dim):
    text = f"""
func.func private @f(%x: {M3}, %e: {M3}) -> {M3} {{
  %s = linalg.softmax dimension({dim}) ins(%x : {M3}) outs(%e : {M3}) -> {M3}
  %y = arith.mulf %s, %s : {M3}
  return %y : {M3}
}}
"""
    Derivatives(text, wrt=[0]).check(draw((2, 3, 4), (2, 3, 4)))


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_narrow_types_sum_in_f32(dtype):
    """2,000 terms of 1 + 2^-7: a sum in f16 would stick at 2048."""
    import ml_dtypes
    type_ = f"tensor<?x{dtype}>"
    text = f"""
func.func private @f(%s: tensor<{dtype}>, %e: {type_}) -> {type_} {{
  %y = linalg.broadcast ins(%s : tensor<{dtype}>) outs(%e : {type_})
    dimensions = [0]
  return %y : {type_}
}}
"""
    np_type = {"f16": np.float16, "bf16": ml_dtypes.bfloat16}[dtype]
    t = np.full(4000, 1.0078125, np_type)
    derivatives = Derivatives(text, wrt=[0], modes=("reverse",))
    _, (ds,) = derivatives.reverse(
        [np.array(1, np_type), np.zeros(4000, np_type)], [t])
    assert ds == np.sum(t.astype(np.float32)).astype(np_type)


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_widened_factors_round_once(dtype):
    """The gradient by a factor that the body widens is a sum in f32, rounded at its end."""
    derivatives = Derivatives(f"""
func.func private @f(%x: tensor<?x?x{dtype}>, %w: tensor<?x{dtype}>) -> tensor<?xf32> {{
  %c0 = arith.constant 0 : index
  %m = tensor.dim %x, %c0 : tensor<?x?x{dtype}>
  %zero = arith.constant 0.0 : f32
  %z = tensor.splat %zero[%m] : tensor<?xf32>
  %y = linalg.generic {{indexing_maps = [affine_map<(m, k) -> (m, k)>, affine_map<(m, k) -> (k)>,
                                         affine_map<(m, k) -> (m)>],
                       iterator_types = ["parallel", "reduction"]}}
      ins(%x, %w : tensor<?x?x{dtype}>, tensor<?x{dtype}>) outs(%z : tensor<?xf32>) {{
  ^bb0(%a: {dtype}, %b: {dtype}, %o: f32):
    %c = arith.extf %a : {dtype} to f32
    %d = arith.extf %b : {dtype} to f32
    %p = arith.mulf %c, %d : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  }} -> tensor<?xf32>
  return %y : tensor<?xf32>
}}
""")
    narrow = {"f16": np.float16, "bf16": ml_dtypes.bfloat16}[dtype]
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(1001, 5)).astype(narrow), rng.normal(size=5).astype(narrow)
    dy = rng.normal(size=1001).astype(np.float32)
    _, (dx, dw) = derivatives.reverse([x, w], [dy])
    assert dx.dtype == dw.dtype == narrow
    np.testing.assert_array_equal(dx, (dy[:, None] * w.astype(np.float32)).astype(narrow))
    want = dy.astype(np.float64) @ x.astype(np.float64)
    # A term alone would be off by more.
    bits = 11 if dtype == "f16" else 8
    assert (np.abs(dw.astype(np.float64) - want) <= np.abs(want) * 2.0**-bits + 1e-4).all()


def test_empty():
    derivatives = Derivatives(reduce("arith.addf"))
    _, (da, dc) = derivatives.reverse(
        [np.zeros((3, 0)), np.zeros(3)], [np.array([1., 2., 3.])])
    assert da.shape == (3, 0)
    np.testing.assert_array_equal(dc, [1, 2, 3])
    text = matmul("matmul", M2, M2)
    _, (da, db, dc) = Derivatives(text).reverse(
        [np.zeros((0, 3)), np.ones((3, 2)), np.zeros((0, 2))], [np.zeros((0, 2))])
    assert da.shape == (0, 3)
    np.testing.assert_array_equal(db, np.zeros((3, 2)))
