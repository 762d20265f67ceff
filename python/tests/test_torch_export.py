"""quant_ste.torch.export: results and gradients are those of the module."""
import importlib.util
import pathlib

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


def check(module, *inputs, rtol=1e-6, atol=1e-6):
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
        np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)
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


@pytest.mark.slow
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


def check_all(cases, shape, **options):
    """Functions of an input and a parameter each, as one module."""
    class All(nn.Module):
        def __init__(self):
            super().__init__()
            self.p = nn.ParameterList([torch.as_tensor(p) for _, p in cases])

        def forward(self, *inputs):
            return torch.cat([f(x, p).flatten() for (f, _), x, p in zip(cases, inputs, self.p)])

    return check(All(), *[numbers(*shape) for _ in cases], **options)


def test_quantizers():
    zero, int32 = torch.tensor(0.0), torch.int32
    check_all([
        (lambda x, s: ops.int_quant(x, s, zero, torch.tensor(4.0), rounding="floor"),
         [[0.25], [0.5]]),
        (lambda x, z: ops.int_quant(x, torch.tensor(0.5), z, torch.tensor(3.0)), 1.0),
        (lambda x, w: w * ops.fake_quantize_per_channel_affine(
            x, torch.tensor([0.25, 0.5, 1.0]), torch.tensor([0, 1, -1], dtype=int32), 1, -8, 7),
         0.5),
        (lambda x, s: ops.lsq(x, s, -8, 7, 0.5), 0.25),
        (lambda x, s: ops.binary_quant(x, s), 0.5),
        (lambda x, s: ops.trunc_int_quant(x, s, zero, torch.tensor(8.0), torch.tensor(4.0)), 0.125),
        (lambda x, s: ops.float_quant(x, s, format="e2m1"), 0.5),
        (lambda x, s: s * (qs.round_to_zero(x) + qs.round_ste(x)), 2.0),
        (lambda x, s: qs.tensor_clamp(x, torch.tensor(-1.0), s), [0.5, 1.0, 2.0]),
        (lambda x, s: qs.scalar_clamp_ste(x, -1.0, 0.5) * qs.sign(x) * s, 2.0),
        (lambda x, s: qs.ste_heaviside(x, 0.5) + s * ops.approx_sign(x), 2.0),
        (lambda x, s: ops.tqt(x, s, 4), 0.5),
        # The straight-through estimator as it is written by hand.
        (lambda x, s: (qs.dorefa(x, 2) - x).detach() + x * s, 0.5),
    ], (2, 3), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_aten():
    check_all([
        (lambda x, p: F.avg_pool2d(x, 2, padding=1, count_include_pad=False) * p, 2.0),
        (lambda x, p: F.adaptive_avg_pool2d(x, 2) + p * x.mean((2, 3), keepdim=True), 2.0),
        (lambda x, p: F.conv1d(x[:, 0], p, stride=2, padding=1), numbers(3, 4, 3)),
        (lambda x, p: torch.cat([x[..., 1:], p * x[:, :, ::2].repeat(2, 1, 2, 1)[:1, ..., :2]], -1),
         0.5),
        (lambda x, p: p * F.pad(x, (1, 2, 0, 1), value=0.5).permute(0, 2, 3, 1), 0.5),
        (lambda x, p: x.amax(-1) - p * x.sum((1, 2)).unsqueeze(1) + (1 - x)[:, :, 0], 2.0),
        (lambda x, p: x.clamp(-0.5, 1).relu() / (x.abs() + p).sqrt(), 1.0),
        (lambda x, p: torch.sigmoid(x) + torch.tanh(x) * F.gelu(x * p, approximate="tanh"), 1.0),
        (lambda x, p: x.expand(2, 4, 4, 4) * F.silu(p * x) - x.pow(2).detach(), 1.0),
        (lambda x, p: torch.baddbmm(p, x[0], x[0], beta=0.5, alpha=2), numbers(4, 4, 4)),
        (lambda x, p: torch.maximum(x, p) + F.hardtanh(x) + x.var(1, keepdim=True), numbers(4)),
    ], (1, 4, 4, 4), rtol=1e-5, atol=1e-5)


def test_brevitas_example():
    """The network of examples/digits, accelerated: what depends on buffers alone, numbers
    of bits and ranges, is a constant."""
    pytest.importorskip("brevitas", reason="brevitas is not installed")
    path = pathlib.Path(__file__).parents[2] / "examples/digits/train_torch.py"
    spec = importlib.util.spec_from_file_location("train_torch", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    torch.manual_seed(0)
    model, (pixels, *_) = example.make_model(), example.load_digits()
    qs.accelerate(model)
    for batch in pixels[:96].split(32):
        model(batch)
    exported = check(model, pixels[:16], rtol=2e-4, atol=2e-5)
    assert exported.text.count("= quant_ste.int_quant") == 5
    assert "math.powf" not in exported.text


def test_choices():
    def net(m, x):
        y = torch.where(x >= 0.5, x * 2, x.clamp_min(-1) * m.w)
        y = torch.where(y < 0.25, torch.zeros_like(y), y)
        return y * (x.max(dim=1, keepdim=True).values.abs() > 1).float()

    check(Net(net, w=torch.tensor(0.5)), numbers(4, 6))


def test_options(tmp_path):
    module = Net(lambda m, x: x * m.w, w=torch.tensor(2.0)).eval()
    program = torch.export.export(module, (torch.ones(3),))
    model = qs.export(program, parameters="constants", name="f")
    assert not model.parameters and model.inputs == ("inputs_0",)
    model.save(tmp_path / "m.mlir")
    got = quant_ste.compile(tmp_path / "m.mlir").f(torch.ones(3))
    torch.testing.assert_close(got, torch.full((3,), 2.0))


def test_no_gradient():
    """detach and no_grad are respected, and an exported program is left as it was."""
    def function(m, x):
        with torch.no_grad():
            y = x * m.w
            z = y + 1
        return x * m.w + y * z.detach() + (x * x).detach()

    check(Net(function, w=torch.tensor(2.0)), numbers(3))
    program = torch.export.export(Net(function, w=torch.tensor(2.0)), (numbers(3),))
    before = program.graph_module.print_readable(False)
    assert qs.export(program).text.count("quant_ste.detach") >= 3
    assert program.graph_module.print_readable(False) == before


def test_exported_program_keeps_ops():
    module = Net(lambda m, x: qs.round_ste(x) * m.s, s=torch.tensor(0.5))
    program = torch.export.export(module, (torch.ones(3),))
    targets = [str(n.target) for n in program.run_decompositions().graph.nodes]
    assert "quant_ste.round_ste.default" in targets
    torch.testing.assert_close(program.module()(torch.tensor([0.6, 1.4, -2.5])),
                               torch.tensor([0.5, 0.5, -1.0]))


@pytest.mark.slow
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
            "inputs": ({0: torch.export.Dim("n")},)}))
    with pytest.raises(ValueError, match="expected parameters"):
        qs.export(Net(lambda m, x: x), (torch.ones(3),), parameters="none")
