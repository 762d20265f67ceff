"""quant_ste.torch.export, against the module itself."""
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import quant_ste  # noqa: E402
import quant_ste.torch as qt  # noqa: E402


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 3, 3, padding=1)
        self.first, self.second = torch.nn.Linear(48, 8), torch.nn.Linear(8, 3)
        self.act, self.weight = qt.Pact(4, 1.0), qt.IntQuant(4, 0.1)
        self.step = torch.nn.Parameter(torch.rand(8) * 0.1 + 0.05)

    def forward(self, x):
        x = torch.nn.functional.max_pool2d(torch.relu(self.conv(x)), 2).flatten(1)
        hidden = qt.lsq(self.act(self.first(x)), self.step, -8, 7)
        weight = qt.fake_quantize_per_channel_affine(
            self.weight(self.second.weight), self.step[:3] * 0 + 0.1, torch.zeros(3), 0, -8, 7)
        return torch.softmax(torch.nn.functional.linear(hidden, weight, self.second.bias), -1)


class Small(Net):
    def forward(self, x):
        x = torch.nn.functional.avg_pool2d(torch.relu(self.conv(x)), 2).flatten(1)
        hidden = qt.lsq(self.act(self.first(x)), self.step, -8, 7)
        weight = self.weight(self.second.weight)
        return torch.softmax(torch.nn.functional.linear(qt.round_ste(hidden * 4), weight,
                                                        self.second.bias), -1)


def test_network(tmp_path):
    torch.manual_seed(0)
    model, x = Small(), torch.randn(2, 1, 8, 8)
    exported = qt.export(model, (x,))
    exported.save(tmp_path / "f.mlir")
    y, dy = model(x), torch.randn(2, 3)
    y.backward(dy)
    module = quant_ste.compile(tmp_path / "f.mlir")
    got, _, *gradients = module.vjp("main")(x, *exported.parameters.values(), dy)
    torch.testing.assert_close(got, y.detach())
    wanted = dict(model.named_parameters())
    assert set(wanted) <= set(exported.parameters)
    for name, gradient in zip(exported.parameters, gradients):
        if name in wanted:
            torch.testing.assert_close(gradient, wanted[name].grad, rtol=1e-4, atol=1e-6)


def test_names_what_it_has_no_form_for():
    with pytest.raises(quant_ste.Error, match=r"no form for aten\.slice\.Tensor, aten\.zeros"):
        qt.export(Net(), (torch.randn(2, 1, 8, 8),))
