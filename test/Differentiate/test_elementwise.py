"""Models of arith and math: each op on tensors and on plain floats, and in the
body of a linalg.generic, against finite differences; and at the points where
the derivative is a choice."""
import ml_dtypes
import numpy as np
import pytest

from derivatives import Derivatives

ANY = (-2.0, 2.0)
POSITIVE = (0.3, 2.0)
INSIDE = (-0.9, 0.9)
ABOVE_ONE = (1.2, 3.0)

UNARY = {
    "arith.negf": ANY, "math.absf": ANY, "math.acos": INSIDE,
    "math.acosh": ABOVE_ONE, "math.asin": INSIDE, "math.asinh": ANY,
    "math.atan": ANY, "math.atanh": INSIDE, "math.cbrt": POSITIVE,
    "math.cos": ANY, "math.cosh": ANY, "math.erf": ANY, "math.erfc": ANY,
    "math.exp": ANY, "math.exp2": ANY, "math.expm1": ANY, "math.log": POSITIVE,
    "math.log10": POSITIVE, "math.log1p": (-0.7, 2.0), "math.log2": POSITIVE,
    "math.rsqrt": POSITIVE, "math.sin": ANY, "math.sinh": ANY,
    "math.sqrt": POSITIVE, "math.tan": (-1.2, 1.2), "math.tanh": ANY,
}
BINARY = {
    "arith.addf": ANY, "arith.divf": POSITIVE, "arith.maximumf": ANY,
    "arith.maxnumf": ANY, "arith.minimumf": ANY, "arith.minnumf": ANY,
    "arith.mulf": ANY, "arith.subf": ANY, "math.atan2": ANY,
    "math.copysign": ANY, "math.powf": POSITIVE,
}
TERNARY = {"math.fma": ANY}

TENSOR, STATIC, SCALAR = "tensor<?xf64>", "tensor<7xf64>", "f64"


def assembly(op, operands, type_):
    return f"{op} {', '.join(operands)} : {type_}"


def function(op, arity, type_):
    names = [f"%x{i}" for i in range(arity)]
    args = ", ".join(f"{n}: {type_}" for n in names)
    return (f"func.func private @f({args}) -> {type_} {{\n"
            f"  %y = {assembly(op, names, type_)}\n"
            f"  return %y : {type_}\n}}\n")


def in_body(op, arity):
    names = [f"%x{i}" for i in range(arity)]
    scalars = [f"%s{i}" for i in range(arity)]
    args = ", ".join(f"{n}: {TENSOR}" for n in names)
    id_ = "affine_map<(d0) -> (d0)>"
    return f"""
func.func private @f({args}) -> {TENSOR} {{
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x0, %c0 : {TENSOR}
  %e = tensor.empty(%n) : {TENSOR}
  %y = linalg.generic {{indexing_maps = [{', '.join([id_] * (arity + 1))}],
      iterator_types = ["parallel"]}}
      ins({', '.join(names)} : {', '.join([TENSOR] * arity)})
      outs(%e : {TENSOR}) {{
    ^bb0({', '.join(s + ': f64' for s in scalars)}, %o: f64):
      %r = {assembly(op, scalars, 'f64')}
      linalg.yield %r : f64
  }} -> {TENSOR}
  return %y : {TENSOR}
}}
"""


def inputs(domain, arity, type_, seed=1):
    rng = np.random.default_rng(seed)
    draws = [rng.uniform(*domain, 7) for _ in range(arity)]
    if type_ == SCALAR:
        return [np.float64(d[0]) for d in draws]
    return draws


CASES = [(op, arity, domain)
         for arity, ops in ((1, UNARY), (2, BINARY), (3, TERNARY))
         for op, domain in ops.items()]


@pytest.mark.parametrize("type_", [TENSOR, STATIC, SCALAR, "body"])
@pytest.mark.parametrize("op,arity,domain", CASES, ids=[c[0] for c in CASES])
def test_against_finite_differences(op, arity, domain, type_):
    text = (in_body(op, arity) if type_ == "body"
            else function(op, arity, type_))
    derivatives = Derivatives(text)
    for seed in range(3):
        derivatives.check(inputs(domain, arity, type_, seed), seed)


@pytest.mark.parametrize("type_", [TENSOR, SCALAR])
def test_select(type_):
    condition = type_.replace("f64", "i1")
    derivatives = Derivatives(f"""
func.func private @f(%c: {condition}, %x: {type_}, %y: {type_}) -> {type_} {{
  %r = arith.select %c, %x, %y : {condition}, {type_}
  return %r : {type_}
}}
""")
    rng = np.random.default_rng(0)
    for c in (True, False):
        if type_ == SCALAR:
            derivatives.check([np.bool_(c), np.float64(1.5), np.float64(-2.5)])
        else:
            derivatives.check([np.arange(7) % 2 == c, rng.normal(size=7),
                               rng.normal(size=7)])


def test_fpowi():
    derivatives = Derivatives("""
func.func private @f(%x: tensor<?xf64>, %n: tensor<?xi32>) -> tensor<?xf64> {
  %y = math.fpowi %x, %n : tensor<?xf64>, tensor<?xi32>
  return %y : tensor<?xf64>
}
""")
    x = np.array([1.5, -0.7, 2.0, -1.3, 0.0, 0.0])
    n = np.array([3, 2, -2, 1, 0, 2], np.int32)
    derivatives.check([x, n])


def test_sincos():
    text = """
func.func private @f(%x: tensor<?xf64>) -> (tensor<?xf64>, tensor<?xf64>) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf64>
  %e = tensor.empty(%n) : tensor<?xf64>
  %y:2 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>,
      affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>],
      iterator_types = ["parallel"]}
      ins(%x : tensor<?xf64>) outs(%e, %e : tensor<?xf64>, tensor<?xf64>) {
    ^bb0(%s: f64, %o: f64, %p: f64):
      %sin, %cos = math.sincos %s : f64
      linalg.yield %sin, %cos : f64, f64
  } -> (tensor<?xf64>, tensor<?xf64>)
  return %y#0, %y#1 : tensor<?xf64>, tensor<?xf64>
}
"""
    Derivatives(text).check([np.linspace(-2, 2, 7)])


def test_width_changes():
    """A gradient has its value's type: extf back is truncf, and conversely."""
    derivatives = Derivatives("""
func.func private @f(%x: tensor<?xf32>, %h: tensor<?xbf16>) -> tensor<?xf64> {
  %a = arith.extf %x : tensor<?xf32> to tensor<?xf64>
  %n = arith.truncf %a : tensor<?xf64> to tensor<?xbf16>
  %s = arith.addf %n, %h : tensor<?xbf16>
  %y = arith.extf %s : tensor<?xbf16> to tensor<?xf64>
  return %y : tensor<?xf64>
}
""")
    x = np.array([0.5, 2.0], np.float32)
    h = np.array([1.0, 1.0], ml_dtypes.bfloat16)
    t = np.array([3.0, 1.0 + 2.0**-20])
    _, (dx, dh) = derivatives.reverse([x, h], [t])
    assert dx.dtype == np.float32 and dh.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(dx, [3.0, 1.0])
    np.testing.assert_array_equal(dh.astype(np.float32), [3.0, 1.0])


def gradients_at(op, *points):
    """dy/d(operand) of a binary op at pairs of points, cotangent 1."""
    derivatives = Derivatives(function(op, len(points), TENSOR))
    points = [np.asarray(p, np.float64) for p in points]
    _, grads = derivatives.reverse(points, [np.ones_like(points[0])])
    return [g.tolist() for g in grads]


NAN, INF = np.nan, np.inf


@pytest.mark.parametrize("op", ["arith.maximumf", "arith.maxnumf"])
def test_ties_share(op):
    x, y = [1.0, 1.0, -0.0, 2.0], [1.0, 0.0, 0.0, 3.0]
    assert gradients_at(op, x, y) == [[0.5, 1, 0.5, 0], [0.5, 0, 0.5, 1]]


def test_maximum_of_nan():
    assert gradients_at("arith.maximumf", [NAN], [1.0]) == [[0], [0]]
    assert gradients_at("arith.maxnumf", [NAN], [1.0]) == [[0], [1]]


def test_absolute_value_at_zero():
    assert gradients_at("math.absf", [0.0, -0.0, -3.0, INF]) == [[0, 0, -1, 1]]


def test_powers_at_zero():
    dx, dp = gradients_at("math.powf", [0.0, 0.0, 3.0], [0.0, 2.0, 0.0])
    assert dx == [0, 0, 0]
    assert dp == [0, 0, np.log(3.0)]


def test_select_ignores_what_it_does_not_choose():
    """The derivative of log at 0 is infinite; nothing of it comes through."""
    derivatives = Derivatives("""
func.func private @f(%x: tensor<?xf64>) -> tensor<?xf64> {
  %zero = arith.constant dense<0.0> : tensor<2xf64>
  %z = tensor.cast %zero : tensor<2xf64> to tensor<?xf64>
  %c = arith.cmpf ogt, %x, %z : tensor<?xf64>
  %l = math.log %x : tensor<?xf64>
  %y = arith.select %c, %x, %z : tensor<?xi1>, tensor<?xf64>
  return %y : tensor<?xf64>
}
""")
    _, (dx,) = derivatives.reverse([np.array([0.0, 2.0])], [np.array([INF, 3.0])])
    assert dx.tolist() == [0, 3]


@pytest.mark.parametrize("seed", range(8))
def test_random_programs(seed):
    """Values used several times, dead ends, detours through constants."""
    rng = np.random.default_rng(seed)
    smooth = ["math.sin", "math.tanh", "math.atan", "arith.negf", "math.erf"]
    names, lines = ["%x", "%y"], []
    for i in range(14):
        a, b = rng.choice(names, 2)
        if rng.random() < 0.5:
            expr = f"{rng.choice(smooth)} {a}"
        else:
            op = rng.choice(["addf", "subf", "mulf"])
            expr = f"arith.{op} {a}, {b}"
        lines.append(f"  %v{i} = {expr} : {TENSOR}")
        names.append(f"%v{i}")
    body = "\n".join(lines)
    text = f"""
func.func private @f(%x: {TENSOR}, %y: {TENSOR}) -> ({TENSOR}, {TENSOR}) {{
{body}
  return {names[-1]}, {names[-3]} : {TENSOR}, {TENSOR}
}}
"""
    Derivatives(text).check([rng.normal(size=5), rng.normal(size=5)], seed)


def test_detach():
    """x * detach(x): the derivative sees a constant."""
    derivatives = Derivatives(f"""
func.func private @f(%x: {TENSOR}) -> {TENSOR} {{
  %d = quant_ste.detach %x : {TENSOR}
  %y = arith.mulf %x, %d : {TENSOR}
  return %y : {TENSOR}
}}
""")
    x, t = np.array([1.5, -2.0]), np.array([2.0, 3.0])
    _, (dx,) = derivatives.reverse([x], [t])
    _, (ty,) = derivatives.forward([x], [t])
    assert dx.tolist() == ty.tolist() == [3.0, -6.0]
