"""Compiles an op for one type and granularity, and says what the oracle expects.

The oracle is called with every parameter broadcast to x's shape, so that its
gradients are the terms of a sum; the sum over the dimensions a parameter does
not have is taken here, in f64.
"""
from __future__ import annotations

import dataclasses
import functools

import ml_dtypes
import numpy as np

import oracle
import quant_ste_ctypes

DTYPES = {
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One op with its attributes, here and in the oracle."""

    op: str                      # mnemonic
    oracle: str                  # name in oracle.OPS
    words: str                   # assembly between the operands and the types
    attrs: tuple = ()            # the oracle's attributes, as sorted items
    parameters: tuple = ()       # operands after x
    differentiable: tuple = ("x",)
    values: tuple = ()           # per parameter, what it is tried at
    within: tuple = ()           # (result, ULPs of its largest term); else bit for bit
    stated: str = ""             # name in oracle.OPS of what the dialect states

    def __str__(self):
        return f"{self.op} {self.words}"

    @property
    def operands(self):
        return ("x",) + self.parameters


def case(op, oracle_name, words, parameters=(), differentiable=None, stated="", **attrs):
    """`stated`: what the op is to give bit for bit, where that is not the
    library's `oracle_name`."""
    differentiable = ("x",) + parameters if differentiable is None else differentiable
    return Case(op, oracle_name, words, tuple(sorted(attrs.items())),
                tuple(parameters), tuple(differentiable), stated=stated or oracle_name)


def quantizer(op, oracle_name, words, parameters=None, differentiable=None, within=None,
              **attrs):
    """A case of the catalogue; `parameters` maps each operand after x to the
    values it is tried at. `within` says of a result by how many ULPs it may be
    off, or (ULPs, c): of |result| + c |dy|, where terms of that size cancel; or
    ("step", s): one element in a thousand may have been rounded to the next step.
    All others are compared bit for bit."""
    made = case(op, oracle_name, words, tuple(parameters or ()), differentiable, **attrs)
    bounds = {k: v if isinstance(v, tuple) else (v, 0.0) for k, v in (within or {}).items()}
    return dataclasses.replace(
        made, values=tuple(tuple(v) for v in (parameters or {}).values()),
        within=tuple(bounds.items()))


def tensor(shape_rank, dtype):
    return f"tensor<{'?x' * shape_rank}{dtype}>"


def module_text(case_: Case, rank: int, axes: tuple, dtype: str, param: str):
    """@f(x, parameters..., dy) -> (y, gradients of the differentiable operands),
    without a derivative if none is differentiable.

    axes[i] is the tuple of x's dimensions that parameter i has."""
    types = [tensor(rank, dtype)]
    operands = ["%x"]
    for i, a in enumerate(axes):
        types.append(tensor(len(a), param))
        operands.append(f"%p{i}" + (f" axes({list(a)})" if a else ""))
    args = ", ".join(f"{o.split()[0]}: {t}" for o, t in zip(operands, types))
    wrt = [case_.operands.index(n) for n in case_.differentiable]
    results = ", ".join([types[0]] + [types[i] for i in wrt])
    names = ", ".join(o.split()[0] for o in operands)
    call = (f"quant_ste.vjp @op({names}) cotangents(%dy) wrt {wrt}\n"
            f"    : ({', '.join(types)}), ({types[0]}) -> ({results})" if wrt else
            f"func.call @op({names}) : ({', '.join(types)}) -> {types[0]}")
    return f"""
func.func @op({args}) -> {types[0]} {{
  %y = quant_ste.{case_.op} {', '.join(operands)} {case_.words} : {', '.join(types)}
  return %y : {types[0]}
}}
func.func @f({args}, %dy: {types[0]}) -> ({results}) {{
  %r:{1 + len(wrt)} = {call}
  return {', '.join(f'%r#{i}' for i in range(1 + len(wrt)))} : {results}
}}
"""


@functools.lru_cache(maxsize=None)
def compiled(case_: Case, rank: int, axes: tuple, dtype: str, param: str,
             reference=False):
    return quant_ste_ctypes.compile(module_text(case_, rank, axes, dtype, param),
                                    reference=reference)


def compute_dtype(dtype):
    return np.dtype(np.float64 if dtype == "f64" else np.float32)


def spread(p, axes, shape):
    """The parameter, broadcast to x's shape."""
    view = [1] * len(shape)
    for size, a in zip(np.shape(p), axes):
        view[a] = size
    return np.broadcast_to(np.reshape(p, view), shape).copy()


def run(case_, x, params, axes, dy, reference=False):
    """What compiled code gives, or the evaluator: {operand or 'y': array}."""
    dtype = {v: k for k, v in DTYPES.items()}
    param = dtype[params[0].dtype] if params else "f32"
    module = compiled(case_, x.ndim, tuple(axes), dtype[x.dtype], param,
                      reference)
    out = module.call("f", x, *params, dy)
    return dict(zip(("y",) + case_.differentiable, out))


def expect(case_, x, params, axes, dy, stated=False):
    """The oracle's y, and the terms of each gradient, in the compute type: the
    library's, or what the dialect states."""
    wide = compute_dtype({v: k for k, v in DTYPES.items()}[x.dtype])
    if "stepwise" in case_.words.split():
        wide = x.dtype  # NumPy rounds each operation to the operands' type
    inputs = {"x": x.astype(wide)}
    for name, p, a in zip(case_.parameters, params, axes):
        inputs[name] = spread(p.astype(wide), a, x.shape)
    attrs = dict(case_.attrs)
    op = oracle.OPS[case_.stated if stated else case_.oracle]
    with np.errstate(all="ignore"):
        y = op.forward(inputs, attrs)
        terms = op.vjp(inputs, attrs, dy.astype(wide))
    return y, terms


def bits(a):
    return a.view({1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}[a.dtype.itemsize])


def same_values(got, want, ulps=0):
    """Where the bits are equal or at most `ulps` apart, or both are NaN. Zeros
    have equal signs."""
    bits_got, bits_want = bits(got), bits(want)
    same = bits_got == bits_want
    if same.all():
        return same
    same |= (got != got) & (want != want)
    if ulps:
        # Within a sign, consecutive floats have consecutive bits.
        sign = np.signbit(got) == np.signbit(want)
        distance = np.where(bits_got > bits_want, bits_got - bits_want,
                            bits_want - bits_got)
        same |= sign & (got == got) & (want == want) & (distance <= ulps)
    return same


def assert_same_bits(got, want, what):
    """0 differing elements; NaN equals NaN, and zeros must have equal signs."""
    assert got.dtype == want.dtype and got.shape == want.shape, (
        f"{what}: {got.dtype}{got.shape} for {want.dtype}{want.shape}")
    same = same_values(got, want)
    if not same.all():
        at = np.argwhere(~same)[0]
        raise AssertionError(
            f"{what}: {np.count_nonzero(~same)} of {same.size} elements differ, "
            f"first at {tuple(at)}: got {got[tuple(at)]!r}, want {want[tuple(at)]!r}")


def assert_steps(got, want, step, what):
    a, b = got.astype(np.float64), rounded(want, got.dtype).astype(np.float64)
    with np.errstate(all="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        near = np.abs(a - b) <= step * 1.01
    assert (same | near).all() and np.count_nonzero(~same) <= same.size / 1000, (
        f"{what}: {np.count_nonzero(~same)} of {same.size} elements on another step, "
        f"first got {got[~same][0]!r}, want {want[~same][0]!r}")


def assert_close(got, want, bound, dy, what):
    """Within `bound` = (ULPs of the compute type, c), then rounded to the type.
    Elements with a cotangent that is not finite say nothing about ULPs, but where
    they are masked, the gradient is 0."""
    if bound[0] == "step":
        assert_steps(got, want, bound[1], what)
        return
    ulps, cancelling = bound
    fine = np.isfinite(dy.astype(np.float64))
    masked = ~fine & (want == 0)
    assert (got[masked] == 0).all(), f"{what}: a mask that multiplies"
    # 0 times what overflowed on the way is NaN, or it did not overflow.
    fine &= ~(np.isnan(want.astype(np.float64)) & (dy == 0))
    got, want, dy = got[fine], want[fine], dy[fine]
    wide = want.dtype
    a, b = got.astype(np.float64), want.astype(np.float64)
    digits = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
    least = {"float16": 2.0 ** -24, "bfloat16": 2.0 ** -133,
             "float32": 2.0 ** -149, "float64": 5e-324}[got.dtype.name]
    narrow = got.dtype != wide
    with np.errstate(all="ignore"):
        size = np.abs(b) + cancelling * np.abs(dy.astype(np.float64))
        bound = size * ulps * np.finfo(wide).eps
        bound += np.abs(b) * (2.0 ** -digits[got.dtype.name] if narrow else 0)
        # A number beside the largest may round to infinity in the narrow type.
        same = rounded(want, got.dtype).astype(np.float64) == a
        same |= (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= bound + ulps * least)
    assert same.all(), (
        f"{what}: {np.count_nonzero(~same)} of {same.size} beyond {ulps} ULP, first got "
        f"{got[~same][0]!r}, want {want[~same][0]!r}")


def assert_result(case_, name, got, want, dy):
    """'y' or a gradient against the oracle's terms, as exactly as the case says."""
    bound = dict(case_.within).get(name)
    if bound is None:
        assert_same_bits(got, rounded(want, got.dtype), f"{case_} {name}")
    else:
        assert_close(got, want, bound, dy, f"{case_} {name}")


def rounded(a, dtype):
    with np.errstate(all="ignore"):
        return a.astype(dtype)


def kept(axes, ndim):
    return tuple(d for d in range(ndim) if d not in axes)


def assert_sum(got, terms, axes, what, magnitude=None):
    """Within 1e-6 (f32 and narrower) or 1e-14 (f64) of SUM|terms|, plus half a
    ULP of the parameter's type."""
    over = kept(axes, terms.ndim)
    exact = terms.astype(np.float64).sum(axis=over)
    size = np.abs(terms if magnitude is None else magnitude)
    size = size.astype(np.float64).sum(axis=over)
    relative = 1e-14 if got.dtype == np.float64 else 1e-6
    digits = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
    half_ulp = np.abs(exact) * 2.0 ** -digits[got.dtype.name]
    error = np.abs(got.astype(np.float64) - exact)
    bound = relative * size + half_ulp
    assert got.shape == exact.shape, f"{what}: shape {got.shape} for {exact.shape}"
    worst = np.argmax(error - bound) if error.size else 0
    assert (error <= bound).all(), (
        f"{what}: off by {np.ravel(error)[worst]} where {np.ravel(bound)[worst]} "
        f"is allowed (sum {np.ravel(exact)[worst]})")
