"""Models of Brevitas, bitorch and torch.ao, swapped and compared."""
import copy
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
        assert [s.reason for s in report.left] == ["no compiled form"]
        y, grads = step(ours, x)
    want, wanted = step(model, x)
    assert torch.equal(y, want)
    for name, gradient in wanted.items():
        torch.testing.assert_close(grads[name], gradient)


@pytest.mark.parametrize("config", ["default_fake_quant", "default_per_channel_weight_fake_quant"])
def test_torch_ao(config):
    fake_quantize = pytest.importorskip("torch.ao.quantization.fake_quantize",
                                        reason="this torch has no torch.ao")
    theirs = getattr(fake_quantize, config)()
    ours = copy.deepcopy(theirs)
    assert len(qt.accelerate(ours).swapped) == 1
    for _ in range(2):
        x = torch.randn(4, 6)
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        dy = torch.randn(4, 6)
        y, want = ours(a), theirs(b)
        y.backward(dy)
        want.backward(dy)
        assert torch.equal(y, want) and torch.equal(a.grad, b.grad)
    for one, other in zip(ours.buffers(), theirs.buffers()):
        assert torch.equal(one, other)


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
    original, x = ops_ste.round_ste, torch.randn(4, requires_grad=True)
    with qt.patch_brevitas() as names:
        assert "round_ste" in names and ops_ste.round_ste.__wrapped__ is qt.round_ste
        y = wrappers.RoundSte()(x)
        assert torch.equal(y, x.round())
        model, data = brevitas_model(), torch.randn(2, 1, 8, 8)
        patched = model(data)
    assert ops_ste.round_ste is original
    assert torch.equal(patched, model(data))


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
