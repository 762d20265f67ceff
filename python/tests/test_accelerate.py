"""Models of Brevitas, bitorch and torch.ao, swapped and compared."""
import copy
import copyreg
import io
import contextlib

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import quant_ste.torch as qt  # noqa: E402


def brevitas_model():
    qnn = pytest.importorskip("brevitas.nn", reason="brevitas is not installed")
    torch.manual_seed(0)
    return torch.nn.Sequential(
        qnn.QuantConv2d(1, 4, 3, weight_bit_width=4), qnn.QuantReLU(bit_width=4),
        torch.nn.Flatten(), qnn.QuantLinear(4 * 6 * 6, 5, bias=True, weight_bit_width=4))


def step(model, x):
    with contextlib.redirect_stdout(io.StringIO()):
        y = model(x)
        y.square().sum().backward()
    return y.detach(), {n: p.grad for n, p in model.named_parameters()}


def test_brevitas():
    model, x = brevitas_model(), torch.randn(2, 1, 8, 8)
    ours = copy.deepcopy(model)
    classes = {n: type(m) for n, m in ours.named_modules()}
    keys = list(ours.state_dict())
    report = qt.accelerate(ours)
    assert sum(s.cls.endswith("IntQuant") for s in report.swapped) == 3, str(report)
    assert list(ours.state_dict()) == keys
    y, grads = step(ours, x)
    want, wanted = step(model, x)
    assert torch.equal(y, want)
    for name, gradient in wanted.items():
        torch.testing.assert_close(grads[name], gradient, rtol=1e-4, atol=1e-5)
    report.undo()
    assert {n: type(m) for n, m in ours.named_modules()} == classes


def test_bitorch():
    quantizations = pytest.importorskip("bitorch.quantizations",
                                        reason="bitorch is not installed")
    from bitorch.layers.pact import Pact
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), quantizations.ApproxSign(),
                                torch.nn.Linear(8, 8), Pact(4), quantizations.Identity())
    x = torch.randn(5, 6)
    ours = copy.deepcopy(model)
    with qt.accelerate(ours) as report:
        assert len(report.swapped) == 2
        assert [s.reason for s in report.left] == ["it quantizes nothing"]
        y, grads = step(ours, x)
    want, wanted = step(model, x)
    assert torch.equal(y, want)
    for name, gradient in wanted.items():
        torch.testing.assert_close(grads[name], gradient)


@pytest.mark.parametrize("config", [
    "default_fake_quant", "default_per_channel_weight_fake_quant",
    "default_fused_act_fake_quant", "default_fused_wt_fake_quant",
    "default_fused_per_channel_wt_fake_quant", "default_fixed_qparams_range_0to1_fake_quant"])
def test_torch_ao(config):
    fake_quantize = pytest.importorskip("torch.ao.quantization.fake_quantize",
                                        reason="this torch has no torch.ao")
    theirs = getattr(fake_quantize, config)()
    ours = copy.deepcopy(theirs)
    report = qt.accelerate(ours)
    assert len(report.swapped) == 1 and not report.left
    for turn in range(4):
        for module in (ours, theirs):
            module.enable_observer(turn != 2)
            module.enable_fake_quant(turn != 1)
        x = torch.randn(4, 6)
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        dy = torch.randn(4, 6)
        y, want = ours(a), theirs(b)
        y.backward(dy)
        want.backward(dy)
        assert torch.equal(y, want) and torch.equal(a.grad, b.grad)
        for one, other in zip(ours.buffers(), theirs.buffers()):
            assert torch.equal(one, other)
    report.undo()
    assert type(ours) is type(theirs)


@pytest.mark.parametrize("name", ["BinaryQuant", "ClampedBinaryQuant", "TernaryQuant"])
def test_brevitas_scaled(name):
    quant = pytest.importorskip("brevitas.core.quant", reason="brevitas is not installed")
    from brevitas.core.scaling import ParameterScaling
    more = {"threshold": 0.5} if name == "TernaryQuant" else {}
    theirs = getattr(quant, name)(ParameterScaling(0.7), **more)
    ours = copy.deepcopy(theirs)
    assert [s.cls.rpartition(".")[2] for s in qt.accelerate(ours).swapped][0] == name
    x, dy = torch.randn(6, 50) * 2, torch.randn(6, 50)
    found = []
    for module in (ours, theirs):
        a = x.clone().requires_grad_()
        y, scale, zero_point, bits = module(a)
        y.backward(dy)
        found.append((y, a.grad, scale, zero_point, bits, module.scaling_impl.value.grad))
    *exact, ds = zip(*found)
    for got, want in exact:
        torch.testing.assert_close(got, want, rtol=0, atol=1e-7)
    assert torch.equal(*exact[0])
    torch.testing.assert_close(*ds, rtol=1e-5, atol=1e-5)
    if name == "TernaryQuant":
        assert ours(x.half())[0].dtype == theirs(x.half())[0].dtype
    late = getattr(quant, name)(ParameterScaling(0.7), quant_delay_steps=3, **more)
    assert "after a number of steps" in str(qt.accelerate(late))


def truncation(rounding, clamp):
    wrapper = pytest.importorskip("brevitas.core.function_wrapper",
                                  reason="brevitas is not installed")
    from brevitas.core.bit_width import BitWidthConst
    from brevitas.core.quant import TruncIntQuant
    return TruncIntQuant(getattr(wrapper, rounding)(), BitWidthConst(4),
                         tensor_clamp_impl=getattr(wrapper, clamp)())


@pytest.mark.parametrize("rounding", ["FloorSte", "RoundSte"])
def test_brevitas_truncation(rounding):
    theirs = truncation(rounding, "TensorClamp")
    ours = copy.deepcopy(theirs)
    qt.accelerate(ours)
    assert type(ours).__name__ == "CompiledTruncIntQuant"
    steps = torch.randint(-300, 300, (6, 50)).float()
    for signed in (True, torch.tensor(False)):
        found = []
        for module in (ours, theirs):
            x, scale, zero_point = (t.clone().requires_grad_() for t in (
                steps * 0.125, torch.tensor(0.125), torch.tensor(3.0)))
            y, *more = module(x, scale, zero_point, torch.tensor(8.0), signed)
            (y.square().sum() + more[0] * 2 + more[1] * 3).backward()
            found.append((y, *more, x.grad, scale.grad, zero_point.grad))
        for got, want in zip(*(f[:5] for f in found)):
            assert torch.equal(got, want)
        for got, want in zip(*(f[5:] for f in found)):
            torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("name", ["Fp8e4m3OCPActPerTensorFloat", "Fp8e5m2OCPActPerTensorFloat",
                                  "Fp8e4m3ActPerTensorFloat"])
def test_brevitas_float(name):
    """As QuantIdentity has it, with statistics and a learned scale."""
    qnn = pytest.importorskip("brevitas.nn", reason="brevitas is not installed")
    import brevitas.quant as quantizers
    import brevitas.quant.float, brevitas.quant.float_quant_ocp
    theirs = qnn.QuantIdentity(act_quant=getattr(quantizers, name)).train()
    ours = copy.deepcopy(theirs)
    report = qt.accelerate(ours)
    assert any(s.cls.endswith("FloatQuant") for s in report.swapped), str(report)
    torch.manual_seed(0)
    x, dy = torch.randn(64, 50) * 3, torch.randn(64, 50)
    found = []
    for module in (ours, theirs):
        a = x.clone().requires_grad_()
        y = module(a)
        y = getattr(y, "value", y)
        y.backward(dy)
        found.append((y, a.grad))
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-5, atol=1e-5)
    rows = qt.diff_report(theirs, x)
    assert all(r.differing == 0 or r.cause for r in rows)
    assert ours(x.double())[0].dtype == theirs(x.double())[0].dtype


def test_what_is_left_says_why():
    wrapper = pytest.importorskip("brevitas.core.function_wrapper",
                                  reason="brevitas is not installed")
    from brevitas.core.scaling import ConstScaling, PowerOfTwoIntScaling, TruncScalingWrapper
    module = truncation("RoundSte", "TensorClamp")
    module.trunc_scaling_impl = TruncScalingWrapper(PowerOfTwoIntScaling(), ConstScaling(1.0))
    assert "no truncation for TruncScalingWrapper" in str(qt.accelerate(module))
    module = truncation("RoundSte", "TensorClamp")
    module.float_to_int_impl = wrapper.StochasticRoundSte(False)
    assert "no rounding for StochasticRoundSte" in str(qt.accelerate(module))
    assert "no clamp for TensorClampSte" in str(
        qt.accelerate(truncation("RoundSte", "TensorClampSte")))


def test_bitorch_layers():
    """Those with quantizers within: what these compute stays, whoever computes it."""
    layers = pytest.importorskip("bitorch.layers", reason="bitorch is not installed")
    from bitorch.quantizations import ApproxSign, Sign, SwishSign
    from bitorch.quantizations.quantization_scheduler import MixLinearScheduling

    def make():  # its layers cannot be copied
        torch.manual_seed(0)
        return torch.nn.Sequential(
            layers.QConv2d(2, 3, 3, input_quantization="sign", weight_quantization=ApproxSign(),
                           gradient_cancellation_threshold=1.0),
            torch.nn.Flatten(), layers.QLinear(48, 4, input_quantization=SwishSign(),
                                               weight_quantization="sign"),
            MixLinearScheduling([Sign(), SwishSign()], 3))

    model, ours, x = make(), make(), torch.randn(2, 2, 6, 6)
    report = qt.accelerate(ours)
    assert len(report.swapped) == 4, str(report)
    reasons = {s.cls.rpartition(".")[2]: s.reason for s in report.left}
    assert "stays the library's" in reasons["QActivation"]
    assert "not submodules" in reasons["MixLinearScheduling"]
    y, grads = step(ours, x)
    want, wanted = step(model, x)
    assert torch.equal(y, want)
    for name, gradient in wanted.items():
        torch.testing.assert_close(grads[name], gradient, rtol=1e-5, atol=1e-6)

    rows = qt.diff_report(model, x)
    assert len([r for r in rows if "(result" in r.name]) >= 4
    assert len([r for r in rows if "(gradient" in r.name]) == len(wanted)
    assert all(r.differing == 0 for r in rows if "(result" in r.name), rows
    assert type(model[0]) not in copyreg.dispatch_table
    assert qt.accelerate(model).swapped  # nothing of it was swapped before


def test_brevitas_decoupled():
    base = pytest.importorskip("brevitas.core.quant.int_base", reason="brevitas is not installed")
    from brevitas.core.function_wrapper import Identity
    theirs = base.DecoupledIntQuant(False, True, Identity())
    ours = copy.deepcopy(theirs)
    qt.accelerate(ours)
    x, dy = torch.randn(6, 50) * 2, torch.randn(6, 50)
    found = []
    for module in (ours, theirs):
        operands = [t.clone().requires_grad_() for t in (
            torch.tensor(0.3), torch.tensor(0.0), torch.full((6, 1), 0.25), torch.tensor(0.0), x)]
        y = module(*operands[:4], torch.tensor(4.0), operands[4])
        y.backward(dy)
        found.append((y, *(t.grad for t in operands)))
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][-1], found[1][-1])
    for got, want in zip(*found):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_progressive_sign():
    quantizations = pytest.importorskip("bitorch.quantizations",
                                        reason="bitorch is not installed")
    theirs = quantizations.ProgressiveSign(use_global_scaling=False, initial_scale=0.05)
    ours = copy.deepcopy(theirs)
    assert len(qt.accelerate(ours).swapped) == 1
    for is_training in (True, False):
        x = torch.linspace(-1, 1, 101)
        assert torch.equal(ours.train(is_training)(x), theirs.train(is_training)(x))


@pytest.mark.parametrize("scheme", ["per_tensor_affine", "per_channel_symmetric"])
def test_torch_ao_learnable(scheme):
    ao = pytest.importorskip("torch.ao.quantization", reason="this torch has no torch.ao")
    from torch.ao.quantization._learnable_fake_quantize import _LearnableFakeQuantize
    observer = (ao.MovingAveragePerChannelMinMaxObserver if "channel" in scheme
                else ao.MovingAverageMinMaxObserver)
    low, high, dtype = (-128, 127, torch.qint8) if "symm" in scheme else (0, 255, torch.quint8)
    more = {"ch_axis": 0, "channel_len": 6} if "channel" in scheme else {}
    theirs = _LearnableFakeQuantize(observer, low, high, use_grad_scaling=True, dtype=dtype,
                                    qscheme=getattr(torch, scheme), **more)
    x, dy = torch.randn(6, 50), torch.randn(6, 50)
    theirs.enable_static_estimate()
    theirs(x)
    theirs.enable_param_learning()
    ours = copy.deepcopy(theirs)
    assert len(qt.accelerate(ours).swapped) == 1
    found = []
    for module in (ours, theirs):
        a = x.clone().requires_grad_()
        y = module(a)
        y.backward(dy)
        found.append((y, a.grad, module.scale.grad, module.zero_point.grad))
    for got, want in zip(*found):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_diff_report():
    model, x = brevitas_model(), torch.randn(2, 1, 8, 8)
    before = copy.deepcopy(model.state_dict())
    rows = qt.diff_report(model, x)
    results = [r for r in rows if "(result" in r.name]
    assert len(results) >= 3 and all(r.differing == 0 for r in results)
    assert all(r.ulps == 0 or r.cause for r in rows)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_patches():
    ops_ste = pytest.importorskip("brevitas.function.ops_ste", reason="brevitas is not installed")
    import brevitas.core.function_wrapper.ops_ste as wrappers
    import brevitas.ops.autograd_ste_ops as impls
    original, x = impls.round_ste_impl, torch.randn(4, requires_grad=True)
    with qt.patch_brevitas() as names:
        assert "round_ste_impl" in names
        assert impls.round_ste_impl.__wrapped__ is qt.round_ste_impl
        assert ops_ste.round_ste(x).grad_fn.name() == qt.round_ste(x).grad_fn.name()
        y = wrappers.RoundSte()(x)
        assert torch.equal(y, x.round())
        model, data = brevitas_model(), torch.randn(2, 1, 8, 8)
        patched = model(data)
    assert impls.round_ste_impl is original
    assert torch.equal(patched, model(data))


def test_patches_stand_back(monkeypatch):
    """Where what Brevitas' functions call is replaced, they call it."""
    pytest.importorskip("brevitas.function.ops_ste", reason="brevitas is not installed")
    import brevitas.ops.autograd_ste_ops as impls
    x, found = torch.randn(4), torch.ones(4)
    with qt.patch_brevitas():
        with monkeypatch.context() as patches:
            patches.setattr(torch, "round", lambda x: found)
            patches.setattr(impls, "tensor_clamp", lambda x, low, high: found)
            assert impls.round_ste_impl(x) is found
            assert impls.tensor_clamp_ste_impl(x, x, x) is found
        assert torch.equal(impls.round_ste_impl(x), x.round())
        a = x.clone().requires_grad_()
        assert impls.tensor_clamp_ste_impl(a, x, x).grad_fn.name() == \
            qt.tensor_clamp_ste_impl(a, x, x).grad_fn.name()
        compiled = torch.compile(impls.round_ste_impl, fullgraph=True)
        assert torch.equal(compiled(x), x.round())


def test_patched_models_are_traced():
    """As torch.onnx and torch.jit.trace want them: with the ops of ATen."""
    ops_ste = pytest.importorskip("brevitas.function.ops_ste", reason="brevitas is not installed")
    x = torch.tensor([-1.5, 0.5, 2.5])
    with qt.patch_brevitas():
        traced = torch.jit.trace(lambda x: ops_ste.round_ste(x), x)
    assert "quant_ste" not in str(traced.graph)
    assert torch.equal(traced(x), qt.round_ste(x))


def test_patch_bitorch():
    pact = pytest.importorskip("bitorch.layers.pact", reason="bitorch is not installed")
    original = pact.PactActFn
    with qt.patch_bitorch() as names:
        assert "PactActFn" in names and pact.PactActFn is qt.PactActFn
        y = pact.Pact(4)(torch.randn(6))
    assert pact.PactActFn is original and y.requires_grad
