"""quant_ste.torch against the libraries whose functions it has, bit for bit."""
import contextlib
import importlib
import io
import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import cases  # noqa: E402  of test/Conformance
import quant_ste.torch as qt  # noqa: E402

# Every kernel costs a tenth of a second; f64 is tried with --all.
ALL_DTYPES = ["f32", pytest.param("f64", marks=pytest.mark.slow), "f16",
              pytest.param("bf16", marks=pytest.mark.slow)]
DTYPES = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16,
          "bf16": torch.bfloat16}


def library(path):
    package = path.partition(".")[0]
    pytest.importorskip(package, reason=f"{package} is not installed")
    module, _, name = path.rpartition(".")
    if name == "apply":
        module, _, cls = module.rpartition(".")
        return getattr(importlib.import_module(module), cls).apply
    return getattr(importlib.import_module(module), name)


def tensor(array):
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def assert_same(got, want, what=""):
    """The same type, shape and bits, but for the payload of NaN."""
    assert got.dtype == want.dtype and got.shape == want.shape, what
    same = (got == want) & (torch.signbit(got) == torch.signbit(want))
    same |= got.isnan() & want.isnan()
    if not bool(same.all()):
        at = tuple((~same).nonzero()[0].tolist())
        raise AssertionError(f"{what}: {int((~same).sum())} of {same.numel()} differ, first at "
                             f"{at}: got {got[at].item()!r}, want {want[at].item()!r}")


def run(f, x, dy, parameters=()):
    """y and the gradients of x and of the parameters."""
    x = x.clone().requires_grad_()
    parameters = [p.clone().requires_grad_(p.is_floating_point()) for p in parameters]
    with contextlib.redirect_stdout(io.StringIO()):  # bitorch prints in backward
        y = f(x, *parameters)
        if y.requires_grad:
            y.backward(dy.to(y.dtype))
    return y.detach(), x.grad, [p.grad for p in parameters]


def compare(ours, theirs, x, dy, parameters=(), rtol=0.0):
    """Results and dx bit for bit; sums over many elements within rtol."""
    y, dx, dp = run(ours, x, dy, parameters)
    want_y, want_dx, want_dp = run(theirs, x, dy, parameters)
    assert_same(y, want_y, "y")
    assert (dx is None) == (want_dx is None), "dx"
    if dx is not None:
        assert_same(dx, want_dx, "dx")
    for i, (got, want) in enumerate(zip(dp, want_dp)):
        assert (got is None) == (want is None), f"parameter {i}"
        if got is None:
            continue
        if rtol and got.numel() < x.numel():
            torch.testing.assert_close(got, want, rtol=rtol, atol=rtol, equal_nan=True)
        else:
            assert_same(got, want, f"gradient of parameter {i}")


BREVITAS = {name: f"brevitas.function.ops_ste.{name}" for name in (
    "round_ste", "floor_ste", "ceil_ste", "round_to_zero_ste", "dpu_round_ste",
    "binary_sign_ste", "ternary_sign_ste", "abs_binary_sign_grad")}
BREVITAS |= {name: f"brevitas.function.ops.{name}" for name in (
    "binary_sign", "round_to_zero", "dpu_round", "identity")}
BREVITAS |= {f"{name}_impl": f"brevitas.ops.autograd_ste_ops.{name}_impl" for name in (
    "round_ste", "floor_ste", "ceil_ste", "round_to_zero_ste", "dpu_round_ste",
    "binary_sign_ste", "ternary_sign_ste", "abs_binary_sign_grad")}
BITORCH = {"SignFunction": "sign", "ApproxSignFunction": "approx_sign",
           "SteHeavisideFunction": "ste_heaviside"}


@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize("name", BREVITAS)
def test_brevitas_functions(name, dtype):
    x = cases.adversarial(dtype)
    compare(getattr(qt, name), library(BREVITAS[name]), tensor(x),
            tensor(cases.cotangent(x.shape, dtype)))


@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (1, -1)], ids=str)
def test_scalar_clamps(bounds, dtype):
    x, (lo, hi) = cases.adversarial(dtype), bounds
    dy = tensor(cases.cotangent(x.shape, dtype))
    theirs = library("brevitas.function.ops_ste.scalar_clamp_ste")
    for ours in (qt.scalar_clamp_ste, qt.scalar_clamp_ste_impl):
        compare(lambda x: ours(x, min_val=lo, max_val=hi), lambda x: theirs(x, lo, hi),
                tensor(x), dy)
    theirs = library("brevitas.function.ops_ste.scalar_clamp_min_ste")
    compare(lambda x: qt.scalar_clamp_min_ste(x, lo), lambda x: theirs(x, lo), tensor(x), dy)


@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize("shape", ["element", "scalar", "row", "column", "wider"])
@pytest.mark.parametrize("name", ["ops.tensor_clamp", "ops_ste.tensor_clamp_ste"])
def test_tensor_clamp(name, shape, dtype):
    x = tensor(cases.adversarial(dtype, finite=True)[:3000]).reshape(30, 100)
    sizes = {"element": (30, 100), "scalar": (), "row": (100,), "column": (30, 1),
             "wider": (2, 1, 100)}[shape]
    generator = torch.Generator().manual_seed(0)
    lo = torch.randn(sizes, generator=generator).to(x.dtype)
    hi = lo + torch.rand(sizes, generator=generator).to(x.dtype) - 0.2
    result = torch.broadcast_shapes(x.shape, lo.shape)
    dy = torch.randn(result, generator=generator).to(x.dtype)
    ours = getattr(qt, name.rpartition(".")[2])
    theirs = library(f"brevitas.function.{name}")
    rtol = 1e-5 if dtype in ("f32", "f64") else 4e-2  # the library adds in its own order
    y, dx, dp = run(lambda x, a, b: ours(x, min_val=a, max_val=b), x, dy, [lo, hi])
    want_y, want_dx, want_dp = run(lambda x, a, b: theirs(x, a, b), x, dy, [lo, hi])
    assert_same(y, want_y, "y")
    torch.testing.assert_close(dx, want_dx, rtol=rtol if shape == "wider" else 0, atol=rtol)
    for got, want in zip(dp, want_dp):
        assert (got is None) == (want is None)
        if got is not None:
            torch.testing.assert_close(got, want, rtol=rtol, atol=rtol * 4)


def test_tensor_clamp_in_place():
    x = torch.tensor([-2.0, 0.5, 3.0, float("nan")])
    lo, hi = torch.tensor(-1.0), torch.tensor(1.0)
    for name, path in (("tensor_clamp_", "ops"), ("tensor_clamp_ste_", "ops_ste")):
        ours, theirs = x.clone(), x.clone()
        getattr(qt, name)(ours, lo, hi)
        library(f"brevitas.function.{path}.{name}")(theirs, lo, hi)
        assert_same(ours, theirs)
    leaf = x.clone().requires_grad_()
    y = qt.tensor_clamp_ste_(leaf * 1, lo, hi)
    y.backward(torch.arange(4.0))
    assert leaf.grad.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["max_int", "min_int"])
def test_integer_ranges(name):
    ours, theirs = getattr(qt, name), library(f"brevitas.function.ops.{name}")
    for signed, narrow, bits in itertools.product((True, False), (True, False), (1, 2, 4, 8, 32)):
        assert ours(signed, narrow, bits) == theirs(signed, narrow, bits)
        assert isinstance(ours(signed=signed, narrow_range=narrow, bit_width=bits), int)
        whole = torch.tensor(bits)
        assert_same(ours(torch.tensor(signed), torch.tensor(narrow), whole),
                    theirs(torch.tensor(signed), torch.tensor(narrow), whole))
        grads = []
        for f in (ours, theirs):
            b = torch.tensor(float(bits), requires_grad=True)
            f(signed, narrow, b).backward()
            grads.append((f(signed, narrow, b).detach(), b.grad))
        assert_same(grads[0][0], grads[1][0])
        torch.testing.assert_close(grads[0][1], grads[1][1], rtol=3e-7, atol=0)
    assert qt.max_uint(True, 8) == 254


@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize("name", BITORCH)
def test_bitorch_functions(name, dtype):
    x = cases.adversarial(dtype)
    compare(getattr(qt, name).apply,
            library(f"bitorch.quantizations.{BITORCH[name]}.{name}.apply"), tensor(x),
            tensor(cases.cotangent(x.shape, dtype)))


@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_input_dorefa(bits, dtype):
    x = cases.adversarial(dtype)
    theirs = library("bitorch.quantizations.dorefa.InputDoReFaFunction.apply")
    compare(lambda x: qt.InputDoReFaFunction.apply(x, bits), lambda x: theirs(x, bits),
            tensor(x), tensor(cases.cotangent(x.shape, dtype)))


@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize("temperature", [0.0, 0.75, 1.0])
def test_progressive_sign(temperature, dtype):
    x = cases.adversarial(dtype)
    theirs = library("bitorch.quantizations.progressive_sign.ProgressiveSignFunctionTrain.apply")
    compare(lambda x: qt.ProgressiveSignFunctionTrain.apply(x, temperature),
            lambda x: theirs(x, temperature), tensor(x),
            tensor(cases.cotangent(x.shape, dtype)))


def test_swish_sign():
    x = torch.linspace(-4, 4, 10001)
    theirs = library("bitorch.quantizations.swish_sign.SwishSignFunction.apply")
    y, dx, _ = run(lambda x: qt.SwishSignFunction.apply(x, 5.0), x, torch.ones_like(x))
    want_y, want_dx, _ = run(lambda x: theirs(x, 5.0), x, torch.ones_like(x))
    assert_same(y, want_y)
    torch.testing.assert_close(dx, want_dx, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("bits", [1, 2, 8])
def test_weight_dorefa(bits):
    x = torch.randn(40, 50, generator=torch.Generator().manual_seed(0))
    theirs = library("bitorch.quantizations.dorefa.WeightDoReFaFunction.apply")
    n = 2 ** bits - 1
    dy = torch.randn_like(x)
    y, dx, _ = run(lambda x: qt.WeightDoReFaFunction.apply(x, n), x, dy)
    # The library gives one gradient for two inputs; its forward alone can run.
    want = theirs(x, n)
    differing = (y != want)
    assert differing.sum() <= x.numel() // 1000
    torch.testing.assert_close(y, want, rtol=0, atol=2.02 / n if differing.any() else 1e-6)
    assert_same(dx, dy)


@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize("shape", [(), (1,)], ids=str)
@pytest.mark.parametrize("alpha", [6.0, 0.3])
def test_pact(alpha, shape, dtype):
    """alpha of x's type: bitorch keeps a rank-0 f32 one as it is beside an f16 x, which
    is computed in f32 here and rounded once."""
    x = cases.adversarial(dtype, finite=True)
    theirs = library("bitorch.layers.pact.PactActFn.apply")
    promotes = shape == (1,) and dtype != "f64"
    a = torch.full(shape, alpha, dtype=torch.float32 if promotes else DTYPES[dtype])
    compare(lambda x, a: qt.PactActFn.apply(x, a, 4), lambda x, a: theirs(x, a, 4), tensor(x),
            tensor(cases.cotangent(x.shape, dtype, finite=True)), [a],
            rtol=1e-4 if dtype in ("f32", "f64") else 2e-2)


def test_pact_refuses_channels():
    with pytest.raises(RuntimeError, match="one element"):
        qt.PactActFn.apply(torch.randn(4, 3), torch.ones(3), 4)


def brevitas_int_quant(signed, narrow, rounding="RoundSte"):
    wrapper = library(f"brevitas.core.function_wrapper.{rounding}")
    return library("brevitas.core.quant.int_base.IntQuant")(
        narrow_range=narrow, signed=signed,
        input_view_impl=library("brevitas.core.function_wrapper.Identity")(),
        float_to_int_impl=wrapper(),
        tensor_clamp_impl=library("brevitas.core.function_wrapper.TensorClamp")())


@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize("signed,narrow", [
    (True, False), pytest.param(False, True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("shape", [(), (7, 1, 1), (4, 7, 5, 6), (4, 1, 5, 1)], ids=str)
def test_int_quant(shape, signed, narrow, dtype):
    generator = torch.Generator().manual_seed(0)
    x = (torch.randn(4, 7, 5, 6, generator=generator) * 3).to(DTYPES[dtype])
    dy = torch.randn(x.shape, generator=generator).to(x.dtype)
    scale = (torch.rand(shape, generator=generator) * 0.1 + 0.01).to(x.dtype)
    z = torch.tensor(0.0 if signed else 3.0, dtype=x.dtype)
    bits = torch.tensor(5.0)
    module = brevitas_int_quant(signed, narrow)

    def ours(x, scale, z):
        return qt.int_quant(x, scale, z, bits, signed=signed, narrow_range=narrow,
                            grad="unfused", stepwise=True)

    rtol = {"f32": 1e-4, "f64": 1e-10, "f16": 3e-2, "bf16": 0.3}[dtype]
    compare(ours, lambda x, s, z: module(s, z, bits, x), x, dy, [scale, z], rtol)


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_int_quant_with_a_scale_of_f32(dtype):
    """One element: the result keeps x's type; more: it takes the scale's."""
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(1)).to(DTYPES[dtype])
    module, bits, z = brevitas_int_quant(True, False), torch.tensor(4.0), torch.tensor(0.0)
    scale = torch.rand(3, 1) + 0.1
    assert_same(qt.int_quant(x, scale, z, bits, grad="unfused", stepwise=True),
                module(scale, z, bits, x))
    scale = torch.tensor(0.1)
    got = qt.int_quant(x, scale, z, bits, grad="unfused", stepwise=True)
    assert got.dtype == x.dtype  # computed in f32 and rounded once
    torch.testing.assert_close(got, module(scale, z, bits, x), rtol=0, atol=0.11)


FAKE = torch.fake_quantize_per_tensor_affine


@pytest.mark.parametrize("dtype", ALL_DTYPES)
@pytest.mark.parametrize("scale,zero_point,low,high", [
    (0.1, 0, -128, 127), (0.037, 3, 0, 255), (0.3, -5, -8, 7)])
def test_fake_quantize_per_tensor(scale, zero_point, low, high, dtype):
    x = tensor(cases.adversarial(dtype))
    if dtype == "f64":  # torch rounds the step to f32 there
        scale = float(np.float32(2.0 ** round(np.log2(scale))))
    dy = tensor(cases.cotangent(tuple(x.shape), dtype))
    compare(lambda x: qt.fake_quantize_per_tensor_affine(x, scale, zero_point, low, high),
            lambda x: FAKE(x, scale, zero_point, low, high), x, dy)
    s, z = torch.tensor([scale]), torch.tensor([zero_point], dtype=torch.int32)
    compare(lambda x: qt.fake_quantize_per_tensor_affine(x, s, z, low, high),
            lambda x: FAKE(x, s, z, low, high), x, dy)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_fake_quantize_per_channel(dtype, axis):
    generator = torch.Generator().manual_seed(0)
    x = (torch.randn(4, 6, 9, generator=generator) * 5).to(DTYPES[dtype])
    dy = torch.randn(x.shape, generator=generator).to(x.dtype)
    channels = x.shape[axis]
    s = torch.rand(channels, generator=generator) * 0.1 + 0.01
    z = torch.arange(channels, dtype=torch.int32) - 2
    axis = axis % 3
    compare(lambda x: qt.fake_quantize_per_channel_affine(x, s, z, axis, -128, 127),
            lambda x: torch.fake_quantize_per_channel_affine(x, s, z, axis, -128, 127), x, dy)


@pytest.mark.parametrize("per_channel", [False, True])
def test_learnable_fake_quantize(per_channel):
    """torch's AVX kernels contract x * inv + z; away from ties that shows in a few
    ULPs of the sums alone."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 50, generator=generator)
    dy = torch.randn(x.shape, generator=generator)
    n = 6 if per_channel else 1
    s = torch.rand(n, generator=generator) * 0.02 + 0.01
    z = torch.arange(n, dtype=torch.float32) + 1
    if per_channel:
        arguments = (0, -128, 127, 0.5)
        name = "_fake_quantize_learnable_per_channel_affine"
    else:
        arguments = (-128, 127, 0.5)
        name = "_fake_quantize_learnable_per_tensor_affine"
    compare(lambda x, s, z: getattr(qt, name)(x, s, z, *arguments),
            lambda x, s, z: getattr(torch, name)(x, s, z, *arguments), x, dy, [s, z], rtol=1e-4)


def test_lsq():
    x = torch.randn(100, generator=torch.Generator().manual_seed(0)) * 2
    dy, s = torch.randn(100), torch.tensor(0.3)

    def composed(x, s):
        t = (x / s).clamp(-8, 7)
        return (t + (t.round() - t).detach()) * s

    y, dx, (ds,) = run(lambda x, s: qt.lsq(x, s, -8, 7, grad="lsq_inclusive"), x, dy, [s])
    want_y, want_dx, (want_ds,) = run(composed, x, dy, [s])
    torch.testing.assert_close(y, want_y)
    torch.testing.assert_close(dx, want_dx)
    torch.testing.assert_close(ds, want_ds, rtol=1e-5, atol=1e-5)


def test_lsq_plus():
    """Bhalgat et al. 2020, as torch differentiates its forward."""
    generator = torch.Generator().manual_seed(1)
    x, dy = torch.randn(6, 50, generator=generator) * 2, torch.randn(6, 50, generator=generator)
    s, beta = torch.tensor(0.3), torch.tensor(-0.25)

    def composed(x, s, beta):
        t = ((x - beta) / s).clamp(-8, 7)
        return (t + (t.round() - t).detach()) * s + beta

    compared = [run(f, x, dy, [s, beta]) for f in (
        lambda x, s, beta: qt.lsq_plus(x, s, beta, -8, 7, grad="lsq_inclusive"), composed)]
    (y, dx, dp), (want_y, want_dx, want_dp) = compared
    torch.testing.assert_close(y, want_y)
    torch.testing.assert_close(dx, want_dx, rtol=0, atol=1e-6)
    for got, want in zip(dp, want_dp):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("format,dtype", [("e4m3_ocp", "float8_e4m3fn"),
                                          ("e5m2_ocp", "float8_e5m2"),
                                          ("e4m3_fnuz", "float8_e4m3fnuz")])
def test_float_quant(format, dtype):
    """As torch's own minifloats round, and the scale's gradient as defined."""
    narrow = getattr(torch, dtype, None)
    if narrow is None:
        pytest.skip(f"this torch has no {dtype}")
    largest = torch.finfo(narrow).max
    x = tensor(cases.adversarial("f32", finite=True)).clamp(-largest, largest)
    dy, s = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)), torch.tensor(1.0)
    y, dx, (ds,) = run(lambda x, s: qt.float_quant(x, s, format=format), x, dy, [s])
    assert torch.equal(y, x.to(narrow).float())
    assert_same(dx, dy)
    torch.testing.assert_close(ds, (dy.double() * (y - x)).sum().float(), rtol=1e-4, atol=1e-5)
    assert qt.float_quant(torch.tensor([1e9, -1e9]), torch.tensor(0.5),
                          format=format).tolist() == [largest / 2, -largest / 2]


@pytest.mark.parametrize("element,largest", [("e4m3_ocp", 448), ("e2m1", 6), ("int8", 127)])
def test_mx_quant(element, largest):
    x = torch.randn(3, 70, generator=torch.Generator().manual_seed(0), requires_grad=True)
    y = qt.mx_quant(x, element)
    assert y.shape == x.shape
    y.sum().backward()
    for row, out in zip(x.detach(), y.detach()):
        for group, got in zip(row.split(32), out.split(32)):
            exponent = torch.floor(torch.log2(group.abs().max()))
            emax = {448: 8, 6: 2, 127: 6}[largest]
            scale = 2 ** (exponent - emax)
            assert (got.abs() <= largest * scale).all()
            # An element is a number of the format: the largest moves by half a step at most.
            assert (got - group).abs().max() <= group.abs().max() / (2 if element == "e2m1" else 8)
