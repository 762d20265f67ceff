"""The ops as torch's own machinery sees them: opcheck, compile, export, autocast,
vmap, layouts, threads, processes."""
import threading

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import quant_ste.torch as qt  # noqa: E402

ops = torch.ops.quant_ste


def x_of(*shape, **options):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=generator, **options).requires_grad_()


def scale_of(*shape):
    return (torch.rand(*shape) * 0.1 + 0.05).requires_grad_()


SAMPLES = {
    "round_ste": (ops.round_ste, lambda: (x_of(3, 4),), {}),
    "binary_sign": (ops.binary_sign, lambda: (x_of(5),), {}),
    "round_to_zero": (ops.round_to_zero, lambda: (x_of(5),), {}),
    "scalar_clamp_ste": (ops.scalar_clamp_ste, lambda: (x_of(3, 4), -1.0, 1.0), {}),
    "tensor_clamp": (ops.tensor_clamp,
                     lambda: (x_of(3, 4), torch.tensor(-1.0, requires_grad=True),
                              torch.rand(4, requires_grad=True)), {}),
    "approx_sign": (ops.approx_sign, lambda: (x_of(3, 4).t().detach().requires_grad_(),), {}),
    "pact": (ops.pact, lambda: (x_of(3, 4), torch.tensor(1.0, requires_grad=True), 4), {}),
    "int_quant": (ops.int_quant,
                  lambda: (x_of(3, 4, 5), scale_of(4, 1), torch.tensor(0.0), torch.tensor(4.0)),
                  {"signed": True}),
    "per_tensor": (ops.fake_quantize_per_tensor_affine,
                   lambda: (x_of(3, 4), 0.1, 0, -8, 7), {}),
    "per_channel": (ops.fake_quantize_per_channel_affine,
                    lambda: (x_of(3, 4), torch.rand(4) + 0.1, torch.zeros(4), 1, -8, 7), {}),
    "lsq": (ops.lsq, lambda: (x_of(3, 4), torch.tensor(0.3, requires_grad=True), -8, 7), {}),
}


@pytest.mark.parametrize("name", [
    n if n in ("tensor_clamp", "int_quant") else pytest.param(n, marks=pytest.mark.slow)
    for n in SAMPLES])
def test_opcheck(name):
    op, arguments, keywords = SAMPLES[name]
    overload = op.default
    torch.library.opcheck(overload, arguments(), keywords)


def test_every_op_has_a_namespace():
    assert qt.OP_NAMESPACE == "quant_ste"
    from quant_ste.torch._table import OPS
    for op in OPS:
        assert hasattr(torch.ops.quant_ste, op.name.partition(".")[0])


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(6, 8), torch.nn.Linear(8, 3)
        self.act, self.weight = qt.Pact(4, 1.0), qt.IntQuant(4, 0.1)

    def forward(self, x):
        hidden = self.act(self.first(x))
        weight = self.weight(self.second.weight)
        return torch.nn.functional.linear(qt.round_ste(hidden * 4), weight, self.second.bias)


def gradients(model, f, x):
    model.zero_grad()
    f(x).square().sum().backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def test_compile_fullgraph():
    torch.manual_seed(0)
    model, x = Net(), torch.randn(5, 6)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    want = gradients(model, model, x)
    for got, expected in zip(gradients(model, compiled, x), want):
        torch.testing.assert_close(got, expected)
    # Another size, without another break.
    torch.testing.assert_close(compiled(torch.randn(7, 6)).shape, torch.Size([7, 3]))


@pytest.mark.slow
def test_compile_inductor():
    torch.manual_seed(0)
    model, x = Net(), torch.randn(5, 6)
    want = gradients(model, model, x)
    for got, expected in zip(gradients(model, torch.compile(model, fullgraph=True), x), want):
        torch.testing.assert_close(got, expected)


def test_export():
    model, x = Net(), torch.randn(5, 6)
    exported = torch.export.export(model, (x,))
    targets = {str(n.target) for n in exported.graph.nodes if n.op == "call_function"}
    assert {"quant_ste.pact.default", "quant_ste.round_ste.default"} <= targets
    torch.testing.assert_close(exported.module()(x), model(x))


def test_autocast():
    model, x = Net(), torch.randn(5, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = model(x)
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert all(p.grad is not None for p in (model.act.alpha, model.weight.scale))


def test_vmap():
    x = torch.randn(3, 4)
    assert torch.equal(torch.vmap(qt.round_ste)(x), x.round())


def test_double_backward_is_an_error():
    x, alpha = torch.randn(4, requires_grad=True), torch.tensor(1.0, requires_grad=True)
    y = qt.pact(x, alpha, 4)
    dx, = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="derivative for .*pact_backward.* is not implemented"):
        dx.sum().backward()


def test_backward_twice_is_an_error():
    y = qt.pact(x_of(4), torch.tensor(1.0, requires_grad=True), 4)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


def test_changed_in_between_is_an_error():
    x = x_of(4) * 1
    y = qt.lsq(x, torch.tensor(1.0, requires_grad=True), -8, 7)
    x.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_changed_in_between_where_masks_are_kept():
    given = x_of(4)
    x = given * 1
    y = qt.pact(x, torch.tensor(1.0), 4)
    x.zero_()
    y.sum().backward()
    assert torch.equal(given.grad, ((given >= 0) & (given <= 1)).float())


LAYOUTS = {
    "transposed": lambda t: t.transpose(0, 2),
    "sliced": lambda t: t[:, ::2, 1:],
    "reversed twice": lambda t: t.flip(0)[1:],
    "expanded": lambda t: t[:, :1].expand(-1, 5, -1),
    "empty": lambda t: t[:0],
    "rank 0": lambda t: t[0, 0, 0],
    "channels last": lambda t: t.reshape(2, 3, 5, 2).contiguous(
        memory_format=torch.channels_last),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    base = torch.randn(4, 5, 3)
    x = LAYOUTS[layout](base).detach()
    before = base.clone()
    scale = torch.tensor(0.25)
    want = torch.clamp(torch.round(x / 0.25), -8, 7) * 0.25
    x.requires_grad_()
    s = scale.clone().requires_grad_()
    y = qt.int_quant(x, s, torch.tensor(0.0), torch.tensor(4.0))
    assert torch.equal(y, want)
    # A cotangent of other strides.
    dy = torch.randn(y.shape[::-1]).permute(list(reversed(range(y.dim()))))
    y.backward(dy)
    inside = (torch.round(x / 0.25) >= -8) & (torch.round(x / 0.25) <= 7)
    assert torch.equal(x.grad, torch.where(inside, dy, torch.zeros(())))
    assert s.grad.shape == s.shape
    assert torch.equal(base, before)


@pytest.mark.parametrize("dim", [0, 1, 2, 3])
def test_channels_of_any_layout(dim):
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    sizes = [1] * 4
    sizes[dim] = x.shape[dim]
    scale = (torch.rand(sizes) + 0.1)
    dy = torch.randn(2, 3, 4, 5)
    results = []
    for data in (x, x.contiguous()):
        data, s = data.clone().requires_grad_(), scale.clone().requires_grad_()
        y = qt.int_quant(data, s, torch.tensor(0.0), torch.tensor(4.0))
        y.backward(dy)
        results.append((y, data.grad, s.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    torch.testing.assert_close(results[0][2], results[1][2])
    assert results[0][0].is_contiguous(memory_format=torch.channels_last)


def test_refuses_other_types():
    with pytest.raises(TypeError, match="expected x of float16, bfloat16, float32 or float64"):
        qt.round_ste(torch.arange(3))


def test_threads():
    """Several threads compile and call the same op."""
    x = torch.randn(10000)
    wrong = []

    def work(i):
        for bound in range(3):
            y = qt.scalar_clamp_ste(x, -1.0 - bound, 1.5)
            if not torch.equal(y, x.clamp(-1.0 - bound, 1.5)):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong


def _train_half(rank, port, results):
    import torch.distributed as dist
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank,
                            world_size=2)
    torch.manual_seed(0)
    model, x = Net(), torch.randn(8, 6)
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    parallel(x[rank * 4:rank * 4 + 4]).square().sum().backward()
    if rank == 0:
        results.put([p.grad.tolist() for p in model.parameters() if p.grad is not None])
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_distributed():
    """Two processes with half a batch each average what one process computes."""
    import socket
    import torch.multiprocessing as mp
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    context = mp.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=_train_half, args=(r, port, results)) for r in range(2)]
    [w.start() for w in workers]
    got = results.get(timeout=120)
    [w.join(60) for w in workers]
    assert all(w.exitcode == 0 for w in workers)
    torch.manual_seed(0)
    model, x = Net(), torch.randn(8, 6)
    halves = [gradients(model, model, x[i:i + 4]) for i in (0, 4)]
    for a, first, second in zip(got, *halves):
        # torch's matrix products may differ in the last bit between processes.
        torch.testing.assert_close(torch.tensor(a), (first + second) / 2)
