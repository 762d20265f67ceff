"""quant_ste.torch.export: results and gradients are those of the module."""
import numpy as np
import pytest

torch = pytest.importorskip("torch")

import quant_ste  # noqa: E402
import quant_ste.torch as qs  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

ops = torch.ops.quant_ste


class Net(nn.Module):
    """A module of a function, with parameters made where it uses them."""

    def __init__(self, function, **parameters):
        super().__init__()
        self.function = function
        for name, value in parameters.items():
            setattr(self, name, nn.Parameter(value) if isinstance(value, torch.Tensor) else value)

    def forward(self, *inputs):
        return self.function(self, *inputs)


def check(module, *inputs, rtol=2e-6, atol=2e-6, exact=False):
    """Results, and gradients of float inputs and parameters, against torch's."""
    module.eval()
    model = qs.export(module, inputs)
    assert model.text.count("func.func") == 1
    compiled = model.compile()
    inputs = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    wanted = module(*inputs)
    dy = torch.randn_like(wanted)
    wanted.backward(dy)
    arguments = [*(x.detach() for x in inputs), *map(torch.from_numpy, model.parameters.values())]
    y, *gradients = compiled.vjp("main")(*arguments, dy)
    named = dict(module.named_parameters())
    grads = [x.grad for x in inputs if x.is_floating_point()] + [named[n].grad
                                                              for n in model.parameters]
    assert len(gradients) == len(grads)
    for got, want in zip([y, *gradients], [wanted.detach(), *grads]):
        want = torch.zeros_like(got) if want is None else want
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=0 if exact else rtol, atol=0 if exact else atol)
    return model


def numbers(*shape):
    """Multiples of 1/8, so that sums are exact in any order."""
    return torch.randint(-16, 17, shape, generator=torch.Generator().manual_seed(3)) / 8


def test_cnn():
    torch.manual_seed(0)
    conv, grouped, fc = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, 2, groups=2), \
        nn.Linear(12, 5)

    class CNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.pact = conv, nn.BatchNorm2d(4), qs.Pact(4, 2.0)
            self.grouped, self.fc = grouped, fc
            self.quantize = qs.IntQuant(4, 0.125, channels=5, dim=0, rank=2)

        def forward(self, x):
            x = F.max_pool2d(self.pact(self.norm(self.conv(x))), 2)
            x = F.leaky_relu(self.grouped(x), 0.25).flatten(1)
            return F.log_softmax(F.linear(x, self.quantize(self.fc.weight), self.fc.bias), 1)

    model = check(CNN(), torch.randn(3, 2, 7, 15), rtol=1e-4, atol=1e-4)
    assert "quant_ste.pact" in model.text and "axes([0])" in model.text
    assert set(model.parameters) == {"conv.weight", "conv.bias", "norm.weight", "norm.bias",
                                     "pact.alpha", "grouped.weight", "grouped.bias", "fc.weight",
                                     "fc.bias", "quantize.scale"}


def test_transformer():
    torch.manual_seed(1)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.norm = nn.Embedding(11, 8), nn.LayerNorm(8)
            self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
            self.act = qs.FakeQuantize(0.0625)

        def forward(self, tokens):
            x = self.table(tokens)
            q, k, v = self.qkv(self.act(self.norm(x))).split(8, -1)
            scores = (q @ k.transpose(1, 2) / 8 ** 0.5).softmax(-1)
            x = x + self.out(scores @ v)
            return F.gelu(x).mean(1)

    check(Block(), torch.randint(0, 11, (2, 5)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("function, parameters", [
    (lambda m, x: ops.int_quant(x, m.s, m.z, torch.tensor(4.0), rounding="floor"),
     {"s": torch.tensor([[0.25], [0.5]]), "z": torch.tensor(1.0)}),
    (lambda m, x: ops.fake_quantize_per_channel_affine(
        x, torch.tensor([0.25, 0.5, 1.0]), torch.tensor([0, 1, -1], dtype=torch.int32), 1, -8, 7),
     {}),
    (lambda m, x: ops.lsq(x, m.s, -8, 7, 0.5), {"s": torch.tensor(0.25)}),
    (lambda m, x: ops.binary_quant(x, m.s), {"s": torch.tensor(0.5)}),
    (lambda m, x: ops.trunc_int_quant(x, m.s, torch.tensor(0.0), torch.tensor(8.0),
                                      torch.tensor(4.0)), {"s": torch.tensor(0.125)}),
    (lambda m, x: ops.float_quant(x, m.s, format="e2m1"), {"s": torch.tensor(0.5)}),
    (lambda m, x: qs.round_to_zero(x) + qs.round_ste(x), {}),
    (lambda m, x: qs.tensor_clamp(x, m.low, m.high),
     {"low": torch.tensor(-1.0), "high": torch.tensor([0.5, 1.0, 2.0])}),
    (lambda m, x: qs.scalar_clamp_ste(x, -1.0, 0.5) * qs.sign(x), {}),
    (lambda m, x: qs.ste_heaviside(x, 0.5) + ops.approx_sign(x), {}),
    (lambda m, x: qs.dorefa(x, 2) + ops.tqt(x, m.t, 4), {"t": torch.tensor(0.5)}),
])
def test_quantizers(function, parameters):
    check(Net(function, **parameters), numbers(2, 3), exact=True)


@pytest.mark.parametrize("function, parameters", [
    (lambda m, x: F.avg_pool2d(x, 2, padding=1, count_include_pad=False), {}),
    (lambda m, x: F.adaptive_avg_pool2d(x, 2) + x.mean((2, 3), keepdim=True), {}),
    (lambda m, x: F.conv1d(x[:, 0], m.w, stride=2, padding=1), {"w": numbers(3, 4, 3)}),
    (lambda m, x: torch.cat([x[..., 1:], x[:, :, ::2].repeat(1, 1, 2, 1)[..., :2]], -1), {}),
    (lambda m, x: F.pad(x, (1, 2, 0, 1), value=0.5).permute(0, 2, 3, 1), {}),
    (lambda m, x: x.amax(-1) - 2 * x.sum((1, 2)).unsqueeze(1) + (1 - x)[:, :, 0], {}),
    (lambda m, x: x.clamp(-0.5, 1).relu() / (x.abs() + m.b).sqrt(), {"b": torch.tensor(1.0)}),
    (lambda m, x: torch.sigmoid(x) + torch.tanh(x) * F.gelu(x, approximate="tanh"), {}),
    (lambda m, x: x.expand(2, 4, 4, 4) * F.silu(x) - x.pow(2).detach(), {}),
    (lambda m, x: torch.baddbmm(m.b, x[0], x[0], beta=0.5, alpha=2), {"b": numbers(4, 4, 4)}),
    (lambda m, x: torch.maximum(x, m.b) + F.hardtanh(x) + x.var(1, keepdim=True),
     {"b": numbers(4)}),
])
def test_aten(function, parameters):
    check(Net(function, **parameters), numbers(1, 4, 4, 4), rtol=1e-5, atol=1e-5)


def test_options(tmp_path):
    module = Net(lambda m, x: x * m.w, w=torch.tensor(2.0)).eval()
    program = torch.export.export(module, (torch.ones(3),))
    model = qs.export(program, parameters="constants", name="f")
    assert not model.parameters and model.inputs == ("x",) or model.inputs == ("inputs_0",)
    model.save(tmp_path / "m.mlir")
    got = quant_ste.compile(tmp_path / "m.mlir").f(torch.ones(3))
    torch.testing.assert_close(got, torch.full((3,), 2.0))


def test_exported_program_keeps_ops():
    module = Net(lambda m, x: qs.round_ste(x) * m.s, s=torch.tensor(0.5))
    program = torch.export.export(module, (torch.ones(3),))
    targets = [str(n.target) for n in program.run_decompositions().graph.nodes]
    assert "quant_ste.round_ste.default" in targets
    torch.testing.assert_close(program.module()(torch.tensor([0.6, 1.4, -2.5])),
                               torch.tensor([0.5, 0.5, -1.0]))


def test_errors():
    with pytest.raises(quant_ste.Error, match=r"aten\.cumsum\.default \(cumsum\): has no form"):
        qs.export(Net(lambda m, x: x.cumsum(0)), (torch.ones(3),))
    with pytest.raises(quant_ste.Error, match="changes running_mean.*eval"):
        qs.export(nn.BatchNorm1d(3).train(), (torch.ones(3, 3),))
    with pytest.raises(quant_ste.Error, match="expected floats, got tensor<3xi64>"):
        qs.export(Net(lambda m, x: x + x), (torch.ones(3, dtype=torch.int64),))
    with pytest.raises(quant_ste.Error, match="sizes that are not known"):
        x = torch.ones(3)
        qs.export(torch.export.export(Net(lambda m, x: -x), (x,), dynamic_shapes={
            "inputs": [{0: torch.export.Dim("n")}]}))
    with pytest.raises(ValueError, match="expected parameters"):
        qs.export(Net(lambda m, x: x), (torch.ones(3),), parameters="none")
