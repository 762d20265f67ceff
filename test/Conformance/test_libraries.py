"""The compiled ops against torch, Brevitas and bitorch themselves, bit for bit.

With the words that reproduce a library, every result has the library's bits, in
f32 and, step by step, in f16 and bf16: forward and the gradient of x, on the
adversarial inputs with cotangents that are not finite. Where no words do
(`NEAR`), y has its bits and gradients are within the bounds of cases.py. What a
library that is not installed would be compared with is skipped, and said.
"""
import contextlib
import dataclasses
import io
import os
import pathlib
import subprocess

import ml_dtypes
import numpy as np
import pytest

import cases
import oracle
import quant_ste_ctypes
from harness import (DTYPES, assert_result, assert_same_bits, assert_steps, case, module_text,
                     run)

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


def through_torch(f, x, dy, params, wanted=("scale",)):
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
    tp = {n: tensor(v, n in wanted) for n, v in params.items()}
    with contextlib.redirect_stdout(io.StringIO()):  # bitorch prints in backward
        y = f(tx, tp)
        y.backward(tensor(dy, False).to(y.dtype))
    return {"y": array(y), "x": array(tx.grad),
            **{n: array(t.grad) for n, t in tp.items() if n in wanted}}


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


# Presets: the ops as one would write them, with the library's arithmetic chosen
# by quant-ste-apply-preset.

def with_preset(text, library):
    program = pathlib.Path(os.environ["QUANT_STE_C_LIBRARY"]).resolve().parents[1] / "bin/qopt-opt"
    done = subprocess.run([program, "-", f"--quant-ste-apply-preset=library={library}"],
                          input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Parameter(torch.nn.Module):
    """The scaling_impl of a Brevitas quantizer: a scale as it is."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return self.value


def scaled(path, *arguments):
    return lambda x, p: brevitas(path)(Parameter(p["scale"]), *arguments)(x)[0]


def decoupled(x, p):
    from brevitas.core.function_wrapper import Identity, RoundSte, TensorClamp
    quant = brevitas("core.quant.int_base.DecoupledIntQuant")(
        narrow_range=False, signed=True, input_view_impl=Identity(),
        float_to_int_impl=RoundSte(), tensor_clamp_impl=TensorClamp())
    return quant(p["pre_scale"], p["pre_zero_point"], p["scale"], p["zero_point"],
                 p["bit_width"], x)


def per_channel(name, *arguments):
    """Each element is a channel of its own."""
    def call(x, p):
        zero_point = p["zero_point"]
        if name == "fake_quantize_per_channel_affine":
            zero_point = zero_point.to(torch.int32)
        y = getattr(torch, name)(x.reshape(-1, 1), p["scale"], zero_point, 0, *arguments)
        return y.reshape(-1)
    return call


class Number(torch.nn.Module):
    """What Brevitas asks for without an argument: a tensor as it is."""

    def __init__(self, value):
        super().__init__()
        self.value = torch.as_tensor(value)

    def forward(self):
        return self.value


def trunc(signed, rounding):
    def call(x, p):
        wrapper = {"round": "RoundSte", "floor": "FloorSte"}[rounding]
        quant = brevitas("core.quant.TruncIntQuant")(
            brevitas(f"core.function_wrapper.{wrapper}")(), Number(p["output_bit_width"]))
        return quant(x, p["scale"], p["zero_point"], p["input_bit_width"], signed)[0]
    return call


WHOLE = {"scale": (0.1, 0.25, 0.037, 1.0), "zero_point": (0.0, 3.0, -7.0)}
POSITIVE = {"scale": (0.1, 0.25, 3.0)}
TRUNCATED = {"scale": (0.1, 0.037, 1.0), "zero_point": (0.0, 3.0, -2.0),
             "input_bit_width": (8.0, 10.0), "output_bit_width": (4.0, 6.0)}
BREVITAS = ("f32", "f64", "f16", "bf16")
# library, mnemonic, words, its function, {parameter: values}, element types
PRESETS = [
    *[("brevitas", op, f"grad({word})", ste(name), {}, BREVITAS) for op, name, word in [
        ("round", "round_ste", "ste"), ("dpu_round", "dpu_round_ste", "ste"),
        ("binary_sign", "binary_sign_ste", "ste"),
        ("abs_binary_sign_grad", "abs_binary_sign_grad", "binary_sign")]],
    ("brevitas", "scalar_clamp_min", "min(0.25) grad(ste)",
     lambda x, p: brevitas("function.ops_ste.scalar_clamp_min_ste")(x, 0.25), {}, BREVITAS),
    ("brevitas", "scalar_signed_clamp_min", "min(0.25) grad(ste)",
     lambda x, p: brevitas("core.function_wrapper.ScalarSignedClampMinSte")(0.25)(x), {},
     BREVITAS),
    ("brevitas", "tensor_clamp", "grad(exact)",
     lambda x, p: brevitas("function.ops.tensor_clamp")(x, p["min"], p["max"]),
     {"min": (-1.5, 0.0, 2.0), "max": (1.5, 1.0)}, BREVITAS),
    *[("brevitas", "int_quant", f"{int_quant_words(*s)} grad(clipped)", int_quant(*s), QUANTIZER,
       BREVITAS) for s in ((True, False, "round"), (False, True, "floor"))],
    ("brevitas", "decoupled_int_quant", "signed grad(clipped)", decoupled,
     {"pre_scale": (0.1, 0.037, 1.0), "pre_zero_point": (0.0, 3.0), **QUANTIZER}, BREVITAS),
    ("brevitas", "binary_quant", "grad(ste)", scaled("core.quant.BinaryQuant"),
     {"scale": (0.1, 3.0, -0.3)}, BREVITAS),
    ("brevitas", "clamped_binary_quant", "grad(clipped)",
     scaled("core.quant.ClampedBinaryQuant"), {"scale": (0.1, 3.0, -0.3)}, BREVITAS),
    *[("brevitas", "trunc_int_quant", int_quant_words(s, False, r) + " grad(clipped)",
       trunc(s, r), TRUNCATED, BREVITAS) for s, r in ((True, "round"), (False, "floor"))],
    ("brevitas", "ternary_quant", "threshold(0.5) grad(ste)",
     scaled("core.quant.TernaryQuant", 0.5), {"scale": (0.1, 3.0, -0.3)}, ("f32", "f64")),
    ("bitorch", "binary_sign", "grad(ste)", function("quantizations.sign.SignFunction"), {},
     BREVITAS),
    ("bitorch", "binary_sign", "grad(approx_sign)",
     function("quantizations.approx_sign.ApproxSignFunction"), {}, BREVITAS),
    ("bitorch", "dorefa", "bits(2) grad(ste)",
     function("quantizations.dorefa.InputDoReFaFunction", 2), {}, BREVITAS),
    ("bitorch", "heaviside", "grad(window(-1.0, 1.0))",
     function("quantizations.ste_heaviside.SteHeavisideFunction"), {}, ("f32",)),
    ("bitorch", "progressive_sign", "temperature(0.5) grad(ste)",
     function("quantizations.progressive_sign.ProgressiveSignFunctionTrain", 0.5), {}, BREVITAS),
    ("torch", "fake_quantize", "qmin(-128) qmax(127) scaling(divide) grad(clipped)",
     per_channel("fake_quantize_per_channel_affine", -128, 127), WHOLE, ("f32", "f16", "bf16")),
    ("torch", "learnable_fake_quantize",
     "qmin(-128) qmax(127) grad_factor(0.3) grad(clipped)",
     per_channel("_fake_quantize_learnable_per_channel_affine", -128, 127, 0.3),
     {"scale": WHOLE["scale"], "zero_point": (0.0, 2.5, -3.0, 3.2, 300.0)}, ("f32",)),
]


@pytest.mark.parametrize("preset, dtype", [(p, d) for p in PRESETS for d in p[5]],
                         ids=lambda v: v if isinstance(v, str) else f"{v[0]} {v[1]} {v[2]}")
def test_preset(preset, dtype):
    name, op, words, f, values, _ = preset
    x = cases.adversarial(dtype)
    if name == "torch":  # beyond 2^63 steps its integers overflow
        x = x[~(np.abs(x.astype(np.float64)) > 1e15)]
    dy = cases.cotangent(x.shape, dtype)
    turns = np.arange(x.size)
    kind = "f32" if name == "torch" else dtype
    params = {n: np.take(np.array(v), (turns * (2 * i + 3) + turns // 7) % len(v))
              .astype(DTYPES[kind]) for i, (n, v) in enumerate(values.items())}
    learned = ("scale", "pre_scale", "pre_zero_point", "zero_point")
    wants = tuple(n for n in params if n in learned and op != "fake_quantize")
    made = case(op, "", words, tuple(values), ("x",) + wants)
    text = with_preset(module_text(made, 1, ((0,),) * len(params), dtype, kind), name)
    results = quant_ste_ctypes.compile(text).call("f", x, *params.values(), dy)
    got = dict(zip(("y", "x") + wants, results))
    want = through_torch(f, x, dy, params, wants)
    for result in got:
        expected = want[result].astype(got[result].dtype)
        if op == "learnable_fake_quantize":  # but for the signs of zeros
            got[result], expected = got[result] + 0, expected + 0
        assert_same_bits(got[result], expected, f"{made} {result}")


def test_learnable_per_tensor():
    """The zero point is not negative: torch's backward pass is off by one there."""
    x = cases.adversarial("f32", finite=True)
    x = x[np.abs(x) < 1e15]
    dy = cases.cotangent(x.shape, "f32", finite=True)
    made = case("learnable_fake_quantize", "",
                "qmin(0) qmax(255) grad_factor(0.5) grad(clipped)", ("scale", "zero_point"))
    text = with_preset(module_text(made, 1, ((), ()), "f32", "f32"), "torch")
    module = quant_ste_ctypes.compile(text)
    for scale, zero_point in ((0.1, 3.0), (0.037, 0.0), (0.25, 127.0)):
        params = [np.asarray(v, np.float32) for v in (scale, zero_point)]
        y, dx, ds, dz = module.call("f", x, *params, dy)
        tx = torch.from_numpy(x.copy()).requires_grad_()
        ts, tz = (torch.tensor([float(v)]).requires_grad_() for v in params)
        want = torch._fake_quantize_learnable_per_tensor_affine(tx, ts, tz, 0, 255, 0.5)
        want.backward(torch.from_numpy(dy))
        assert_same_bits(y, want.detach().numpy(), "y")
        assert_same_bits(dx + 0, tx.grad.numpy() + 0, "dx")
        np.testing.assert_allclose(ds, ts.grad.numpy().reshape(()), rtol=1e-4)
        np.testing.assert_allclose(dz, tz.grad.numpy().reshape(()), rtol=1e-4)


# What no word has bit for bit: factors that cancel here and round there, and
# elementary functions. Each bound is that of cases.py.

FORMATS = {name: oracle.FLOAT_FORMATS[name]
           for name in ("e4m3", "e4m3_ocp", "e5m2_ocp", "e3m2", "e2m1")}


def float_quant(name, signed, beyond=None):
    exponent, mantissa, bias, largest = FORMATS[name]

    def call(x, p):
        clamp = brevitas("core.function_wrapper.clamp.FloatClamp")(
            brevitas("core.function_wrapper.TensorClamp")(), signed,
            inf_values=("0",) if beyond == "inf" else None,
            nan_values=("0",) if beyond == "nan" else None,
            max_available_float=largest, saturating=beyond is None)
        quant = brevitas("core.quant.float.FloatQuant")(
            signed, Number(float(exponent)), Number(float(mantissa)), Number(float(bias)), clamp,
            brevitas("core.function_wrapper.Identity")(),
            brevitas("core.bit_width.float.ComputeMaxMantissa")(),
            scaling_impl=ScaleOf(p["scale"]))
        return quant(x)[0]
    return call


class ScaleOf(Parameter):
    def forward(self, x, threshold):
        return self.value


def float_case(name, signed=True, beyond=None):
    words = (f"format({name}) {'signed' if signed else 'unsigned'}"
             f"{'' if beyond else ' saturating'} grad(exponent)")
    return ("float_quant", words, float_quant(name, signed, beyond), {"scale": (0.1, 1.0, 3.0)},
            {"x": (8, 0.0), "scale": (4, 2 * FORMATS[name][3])})


# mnemonic, words, the library's function, {parameter: values}, bounds as in cases.py
NEAR = [
    ("clamped_binary_quant", "grad(clipped)", scaled("core.quant.ClampedBinaryQuant"), POSITIVE,
     {"scale": (2, 0.0)}),
    *[("trunc_int_quant", int_quant_words(s, False, r) + " grad(clipped)", trunc(s, r), TRUNCATED,
       {"x": (2, 0.0), "scale": (2, 2.0 ** 11), "zero_point": (2, 2.0),
        "input_bit_width": (4, 2.0 ** 12), "output_bit_width": (4, 2.0 ** 12)})
      for s, r in ((True, "round"), (False, "floor"))],
    *[float_case(name) for name in FORMATS],
    float_case("e4m3", signed=False),
    float_case("e4m3_ocp", beyond="nan"), float_case("e5m2_ocp", beyond="inf"),
    ("binary_sign", "nan_positive grad(swish(5.0))",
     function("quantizations.swish_sign.SwishSignFunction", 5.0), {}, {"x": (4, 5.0)}),
    ("exp2", "grad(exact)", lambda x, p: 2.0 ** x, {}, {"y": (2, 0.0), "x": (4, 0.0)}),
    ("softplus", "grad(exact)", lambda x, p: torch.nn.functional.softplus(x), {},
     {"y": (8, 0.0), "x": (4, 0.0)}),
    ("power_of_two", "of_log2 rounding(ceil) grad(ste)",
     lambda x, p: brevitas("core.restrict_val.PowerOfTwoRestrictValue")(
         brevitas("core.function_wrapper.CeilSte")())(x), {}, {"y": (2, 0.0), "x": (4, 0.0)}),
    ("max_int", "signed grad(exact)",
     lambda x, p: brevitas("function.ops.max_int")(True, False, x), {},
     {"y": (4, 0.0), "x": (4, 0.0)}),
]
# What overflows, or is another function, for a large x.
NARROW = ("binary_sign", "exp2", "softplus", "power_of_two", "max_int")


@pytest.mark.parametrize("dtype", ("f32", pytest.param("f64", marks=pytest.mark.slow)))
@pytest.mark.parametrize("pair", NEAR, ids=lambda p: f"{p[0]} {p[1]}")
def test_near(pair, dtype):
    op, words, f, values, within = pair
    # An infinite x gives NaN in Brevitas' float_quant and in gradients of scales.
    x = cases.adversarial(dtype, finite=op != "clamped_binary_quant")
    if op in NARROW:
        x = x[(np.abs(x) < 15) & ((op != "max_int") | (x >= 2))]
    dy = cases.cotangent(x.shape, dtype, finite=op != "clamped_binary_quant")
    turns = np.arange(x.size)
    params = {n: np.take(np.array(v), (turns * (2 * i + 3) + turns // 7) % len(v))
              .astype(DTYPES[dtype]) for i, (n, v) in enumerate(values.items())}
    made = dataclasses.replace(case(op, "", words, tuple(values)), within=tuple(within.items()))
    got = run(made, x, list(params.values()), [(0,)] * len(params), dy)
    want = through_torch(f, x, dy, params, tuple(values))
    for name in got:
        assert_result(made, name, got[name], want[name].astype(DTYPES[dtype]), dy)


@pytest.mark.parametrize("bits", (2, 8))
def test_dorefa_weight(bits):
    """The largest tanh is taken over the whole tensor; other elementary functions
    round one element in a thousand to the next step."""
    x = cases.adversarial("f32", finite=True)
    dy = cases.cotangent(x.shape, "f32")
    made = case("dorefa_weight", "", f"bits({bits}) grad(ste)", ("max",), ("x",))
    got = run(made, x, [np.abs(np.tanh(x)).max()], [()], dy)
    want = through_torch(function("quantizations.dorefa.WeightDoReFaFunction", 2 ** bits - 1),
                         x, dy, {})
    assert_steps(got["y"], want["y"], 2 / (2 ** bits - 1), "y")
    assert_same_bits(got["x"], want["x"], "dx")


MX = """
func.func @q(%x: tensor<16x4x32xf32>) -> tensor<16x4x32xf32> {{
  %amax = quant_ste.absmax %x axes([0, 1]) grad(first)
    : tensor<16x4x32xf32> -> tensor<16x4xf32>
  %s = quant_ste.mx_scale %amax element({element}) brevitas grad(ste) : tensor<16x4xf32>
  %zero = arith.constant 0.0 : f32
  %eight = arith.constant 8.0 : f32
  %y = quant_ste.{quantizer}
  return %y : tensor<16x4x32xf32>
}}
func.func @f(%x: tensor<16x4x32xf32>, %dy: tensor<16x4x32xf32>)
    -> (tensor<16x4x32xf32>, tensor<16x4x32xf32>) {{
  %y, %dx = quant_ste.vjp @q(%x) cotangents(%dy) wrt [0]
    : (tensor<16x4x32xf32>), (tensor<16x4x32xf32>)
    -> (tensor<16x4x32xf32>, tensor<16x4x32xf32>)
  return %y, %dx : tensor<16x4x32xf32>, tensor<16x4x32xf32>
}}
"""


@pytest.mark.parametrize("name, element, quantizer", [
    ("MXFloat8e4m3Act", "e4m3_ocp",
     "float_quant %x, %s axes([0, 1]) format(e4m3_ocp) signed saturating grad(exponent)\n"
     "    : tensor<16x4x32xf32>, tensor<16x4xf32>"),
    ("MXInt8Act", "int8",
     "int_quant %x, %s axes([0, 1]), %zero, %eight signed grad(unfused)\n"
     "    : tensor<16x4x32xf32>, tensor<16x4xf32>, f32, f32")])
def test_mx_groups(name, element, quantizer):
    """Groups of 32 share a power of two; its gradient goes to their largest."""
    quantizers = pytest.importorskip("brevitas.quant.mx_quant_ocp")
    from brevitas.nn import QuantIdentity
    rng = np.random.default_rng(5)
    x = (rng.standard_normal((16, 4, 32)) * np.exp2(rng.integers(-9, 9, (16, 4, 1)))).astype(np.float32)
    x[0, 0], x[0, 1, 3] = 0, np.float32(2 ** 5)
    dy = rng.standard_normal(x.shape).astype(np.float32)
    y, dx = quant_ste_ctypes.compile(
        MX.format(element=element, quantizer=quantizer)).call("f", x, dy)
    layer = QuantIdentity(act_quant=getattr(quantizers, name), group_dim=-1).train()
    tx = torch.from_numpy(x.reshape(16, 128).copy()).requires_grad_()
    want = layer(tx)
    want.backward(torch.from_numpy(dy.reshape(16, 128)))
    assert_same_bits(y.reshape(16, 128) + 0, want.detach().numpy() + 0, "y")
    # A scale's gradient is a sum of 32 terms of the largest magnitude.
    size = np.abs(dy).sum(-1, keepdims=True) * 512
    assert (np.abs(dx.reshape(16, 128) - tx.grad.numpy()).reshape(x.shape) <= 1e-6 * size).all()


def test_learned_bit_width():
    """examples/learned_bit_width.mlir is Brevitas' BitWidthParameter and IntQuant."""
    path = pathlib.Path(__file__).parents[2] / "examples" / "learned_bit_width.mlir"
    x = cases.adversarial("f32", finite=True)
    dy = cases.cotangent(x.shape, "f32", finite=True)
    scale, offset = np.asarray(0.1, np.float32), np.asarray(-2.2, np.float32)
    y, dx, dscale, doffset = quant_ste_ctypes.compile(path.read_text()).call(
        "gradient", x, scale, offset, dy)
    width = brevitas("core.bit_width.BitWidthParameter")(4)
    width.bit_width_offset.data = torch.tensor(float(offset))
    want = through_torch(lambda x, p: int_quant(True, False, "round")(
        x, {**p, "zero_point": torch.tensor(0.0), "bit_width": width()}), x, dy, {"scale": scale})
    assert_same_bits(y, want["y"], "y")
    size = np.abs(dy.astype(np.float64)).sum()
    np.testing.assert_array_almost_equal_nulp(dx, want["x"], 1)
    assert abs(dscale - want["scale"]) <= 1e-5 * 8 * size
    assert abs(doffset - width.bit_width_offset.grad.item()) <= 1e-5 * size
