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
        assert "round_ste" in names and ops_ste.round_ste is qt.round_ste
        y = wrappers.RoundSte()(x)
        assert torch.equal(y, x.round())
        model, data = brevitas_model(), torch.randn(2, 1, 8, 8)
        patched = model(data)
    assert ops_ste.round_ste is original
    assert torch.equal(patched, model(data))


def test_patch_bitorch():
    pact = pytest.importorskip("bitorch.layers.pact", reason="bitorch is not installed")
    original = pact.PactActFn
    with qt.patch_bitorch() as names:
        assert "PactActFn" in names and pact.PactActFn is qt.PactActFn
        y = pact.Pact(4)(torch.randn(6))
    assert pact.PactActFn is original and y.requires_grad
