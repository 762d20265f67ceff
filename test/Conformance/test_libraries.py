"""The compiled ops against torch, Brevitas and bitorch themselves, bit for bit.

With the words that reproduce a library, every result has the library's bits, in
f32 and, step by step, in f16 and bf16: forward and the gradient of x, on the
adversarial inputs with cotangents that are not finite. What a library that is
not installed would be compared with is skipped, and said.
"""
import contextlib
import io

import ml_dtypes
import numpy as np
import pytest

import cases
from harness import DTYPES, assert_same_bits, case, run

torch = pytest.importorskip("torch", reason="torch is not installed")


def brevitas(path):
    """An attribute of Brevitas, by its dotted path."""
    return library("brevitas", path)


def bitorch(path):
    return library("bitorch", path)


def library(package, path):
    import importlib
    pytest.importorskip(package, reason=f"{package} is not installed")
    module, _, name = f"{package}.{path}".rpartition(".")
    return getattr(importlib.import_module(module), name)


def ste(name):
    return lambda x, p: brevitas(f"function.ops_ste.{name}")(x)


def function(path, *arguments):
    return lambda x, p: bitorch(path).apply(x, *arguments)


def int_quant(signed, narrow, rounding):
    def call(x, p):
        wrapper = {"round": "RoundSte", "floor": "FloorSte", "ceil": "CeilSte",
                   "round_to_zero": "RoundToZeroSte", "dpu": "DPURoundSte"}[rounding]
        quant = brevitas("core.quant.int_base.IntQuant")(
            narrow_range=narrow, signed=signed,
            input_view_impl=brevitas("core.function_wrapper.Identity")(),
            float_to_int_impl=brevitas(f"core.function_wrapper.{wrapper}")(),
            tensor_clamp_impl=brevitas("core.function_wrapper.TensorClamp")())
        return quant(p["scale"], p["zero_point"], p["bit_width"], x)
    return call


def int_quant_words(signed, narrow, rounding):
    return (f"{'signed' if signed else 'unsigned'}{' narrow_range' if narrow else ''} "
            f"rounding({rounding})")


QUANTIZER = {"scale": (0.1, 0.25, 0.037, 1.0), "zero_point": (0.0, 3.0, -7.0),
             "bit_width": (8.0, 4.0, 2.0)}
# mnemonic, words (without stepwise), the library's function, {parameter: values}
PAIRS = [
    *[(op, "", word, ste(name), {}) for op, name, word in [
        ("round", "round_ste", "ste"), ("floor", "floor_ste", "ste"),
        ("ceil", "ceil_ste", "ste"), ("round_to_zero", "round_to_zero_ste", "ste"),
        ("dpu_round", "dpu_round_ste", "ste"), ("binary_sign", "binary_sign_ste", "ste"),
        ("ternary_sign", "ternary_sign_ste", "ste"),
        ("abs_binary_sign_grad", "abs_binary_sign_grad", "binary_sign")]],
    *[("scalar_clamp", f"min({lo}) max({hi})", "ste",
       lambda x, p, lo=lo, hi=hi: brevitas("function.ops_ste.scalar_clamp_ste")(x, lo, hi), {})
      for lo, hi in ((-1.0, 1.0), (0.0, 6.0), (1.0, -1.0))],
    ("tensor_clamp", "", "exact",
     lambda x, p: brevitas("function.ops.tensor_clamp")(x, p["min"], p["max"]),
     {"min": (-1.5, 0.0, 2.0), "max": (1.5, 1.0)}),
    *[("int_quant", int_quant_words(*s), "unfused", int_quant(*s), QUANTIZER)
      for s in ((True, False, "round"), (True, True, "round"), (False, False, "round"),
                (False, True, "floor"), (True, False, "ceil"),
                (True, False, "round_to_zero"), (True, False, "dpu"))],
    ("binary_sign", "nan_positive", "ste", function("quantizations.sign.SignFunction"), {}),
    ("binary_sign", "nan_positive", "multiply_masks grad(approx_sign)",
     function("quantizations.approx_sign.ApproxSignFunction"), {}),
    ("dorefa", "bits(2)", "ste",
     function("quantizations.dorefa.InputDoReFaFunction", 2), {}),
]


def through_torch(f, x, dy, params):
    """y and the gradients, as arrays of x's type."""
    def tensor(a, grad):
        if a.dtype == ml_dtypes.bfloat16:
            made = torch.from_numpy(a.view(np.int16).copy()).view(torch.bfloat16)
        else:
            made = torch.from_numpy(a.copy())
        return made.requires_grad_(grad)

    def array(t):
        if t.dtype == torch.bfloat16:
            return t.detach().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return t.detach().numpy()

    tx = tensor(x, True)
    tp = {n: tensor(v, n == "scale") for n, v in params.items()}
    with contextlib.redirect_stdout(io.StringIO()):  # bitorch prints in backward
        y = f(tx, tp)
        y.backward(tensor(dy, False).to(y.dtype))
    got = {"y": array(y), "x": array(tx.grad)}
    if "scale" in tp:
        got["scale"] = array(tp["scale"].grad)
    return got


@pytest.mark.parametrize("dtype", ("f32", "f64", "f16", "bf16"))
@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: f"{p[0]} {p[1]} {p[2]}".replace("  ", " "))
def test_bits(pair, dtype):
    op, words, grad, f, values = pair
    narrow = dtype in ("f16", "bf16")
    x = cases.adversarial(dtype)
    dy = cases.cotangent(x.shape, dtype)
    turns = np.arange(x.size)
    params = {n: np.take(np.array(v), (turns * (2 * i + 3) + turns // 7) % len(v))
              .astype(DTYPES[dtype]) for i, (n, v) in enumerate(values.items())}
    differentiable = ("x",) + (("scale",) if "scale" in values else ())
    if "(" not in grad:
        grad = f"grad({grad})"
    made = case(op, "", f"{words} {'stepwise ' if narrow else ''}{grad}",
                tuple(values), differentiable)
    got = run(made, x, list(params.values()), [(0,)] * len(params), dy)
    want = through_torch(f, x, dy, params)
    for name in got:
        assert_same_bits(got[name], want[name].astype(DTYPES[dtype]), f"{made} {name}")


@pytest.mark.parametrize("bits", (2, 4, 8))
@pytest.mark.parametrize("alpha", (6.0, 1.0, 0.3, -1.0))
def test_pact(alpha, bits):
    """alpha is one number in bitorch; its gradient is a sum in another order."""
    x = cases.adversarial("f32", finite=True)
    dy = cases.cotangent(x.shape, "f32", finite=True)
    made = case("pact", "", f"bits({bits}) multiply_masks grad(pact)", ("alpha",))
    a = np.asarray(alpha, np.float32)
    got = run(made, x, [a], [()], dy)
    ta = torch.tensor(alpha).requires_grad_()
    tx = torch.from_numpy(x.copy()).requires_grad_()
    y = bitorch("layers.pact.PactActFn").apply(tx, ta, bits)
    y.backward(torch.from_numpy(dy))
    assert_same_bits(got["y"], y.detach().numpy(), "y")
    assert_same_bits(got["x"], tx.grad.numpy(), "dx")
    np.testing.assert_allclose(got["alpha"], ta.grad.numpy().reshape(()), rtol=1e-5)
