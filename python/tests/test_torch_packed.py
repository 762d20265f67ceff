"""What autograd keeps where a mask does: a bit an element for each gradient, and the bits
of the gradients that are computed from x."""
import pytest
import torch
from torch.library import opcheck

import quant_ste.torch as qt
from quant_ste.torch._register import REGISTRATION

if not REGISTRATION.startswith("C++"):
    pytest.skip(f"masks are packed by the binary only: {REGISTRATION}", allow_module_level=True)

OPS = torch.ops.quant_ste
TYPES = [torch.float32, torch.float16,
         *(pytest.param(t, marks=pytest.mark.slow) for t in (torch.bfloat16, torch.float64))]


def scalar(value, x, grad=False):
    return torch.tensor(value, dtype=x.dtype, requires_grad=grad)


def int_quant(**words):
    return lambda x: qt.int_quant(x, scalar(0.1, x), scalar(0.0, x), scalar(4.0, x), **words)


def decoupled(**words):
    return lambda x: qt.decoupled_int_quant(x, scalar(0.1, x), scalar(0.0, x), scalar(0.3, x),
                                            scalar(0.0, x), scalar(4.0, x), **words)


#: Functions of x whose gradient is a mask.
QUANTIZERS = {
    "tensor_clamp": lambda x: qt.tensor_clamp(x, scalar(-1.0, x), scalar(1.0, x)),
    "int_quant": int_quant(),
    "int_quant, narrow": int_quant(narrow_range=True, rounding="floor"),
    "int_quant, unfused": int_quant(grad="unfused", stepwise=True),
    "decoupled_int_quant": decoupled(),
    "decoupled_int_quant, unfused": decoupled(grad="unfused", stepwise=True),
    "trunc_int_quant": lambda x: qt.trunc_int_quant(
        x, scalar(0.1, x), scalar(0.0, x), scalar(8.0, x), scalar(4.0, x)),
    "float_quant": lambda x: qt.float_quant(x, scalar(0.001, x)),
    "fake_quantize": lambda x: qt.fake_quantize_per_tensor_affine(x, 0.1, 3, -8, 7),
    "fake_quantize, tensors": lambda x: qt.fake_quantize_per_tensor_affine(
        x, torch.tensor(0.1), torch.tensor(3), -8, 7),
    "learnable": lambda x: qt.learnable_fake_quantize_per_tensor_affine(
        x, torch.tensor([0.1]), torch.tensor([0.0]), -8, 7),
    "lsq": lambda x: qt.lsq(x, scalar(0.1, x), -8, 7),
    "lsq, inclusive": lambda x: qt.lsq(x, scalar(0.1, x), -8, 7, grad="lsq_inclusive"),
    "lsq_plus": lambda x: qt.lsq_plus(x, scalar(0.1, x), scalar(0.2, x), -8, 7),
    "tqt": lambda x: qt.tqt(x, scalar(0.1, x)),
    "dorefa": lambda x: qt.dorefa(x, 4),
    "ste_heaviside": lambda x: OPS.ste_heaviside(x),
    "abs_binary_sign_grad": lambda x: qt.abs_binary_sign_grad(x),
    "clamped_binary_quant": lambda x: qt.clamped_binary_quant(x, scalar(0.7, x)),
    "ternary_quant": lambda x: qt.ternary_quant(x, scalar(0.7, x), 0.5),
    "pact": lambda x: qt.pact(x, scalar(1.0, x), 4),
    "pact, paper": lambda x: qt.pact(x, scalar(1.0, x), 4, grad="pact_paper"),
}


def adversarial(dtype, n=1031):
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(n, generator=rng, dtype=torch.float64)
    x[:12] = torch.tensor([0.0, -0.0, float("nan"), float("inf"), -float("inf"), 1.0, -1.0,
                           0.05, 0.15, -0.85, 1e-45, 0.75])
    return x.to(dtype)


def bits(t):
    """Signs and payloads of NaN count."""
    return t.view({2: torch.int16, 4: torch.int32, 8: torch.int64}[t.element_size()])


def kept(f):
    """What f gives, and the bytes it keeps, each storage once."""
    storages = {}

    def pack(t):
        storages[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = f()
    return y, sum(storages.values())


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("name", QUANTIZERS)
def test_one_bit(name, dtype):
    if name == "ste_heaviside" and dtype != torch.float32:
        pytest.skip("its result is f32: other types keep x")
    given, dy = adversarial(dtype), adversarial(dtype).flip(0)
    want = torch.nn.Parameter(given)  # there anyway: from x
    QUANTIZERS[name](want).backward(dy)
    leaf = given.clone().requires_grad_()
    for x in (leaf, leaf.view(-1)):
        y, count = kept(lambda: QUANTIZERS[name](x))
        # The mask, and parameters of one element.
        assert (given.numel() + 7) // 8 <= count <= (given.numel() + 7) // 8 + 8 * 5
        leaf.grad = None
        y.backward(dy)
        assert torch.equal(bits(leaf.grad), bits(want.grad))


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("wrt", ["both", "x", "alpha"])
@pytest.mark.parametrize("grad", ["pact", "pact_paper"])
def test_pact(dtype, wrt, grad):
    """A quarter of a byte; each gradient may be asked for alone."""
    given, dy = adversarial(dtype, 70_001), adversarial(dtype, 70_001).flip(0)
    alphas = [scalar(1.0, given, grad=True) for _ in range(2)]
    first, second = torch.nn.Parameter(given), given.clone().requires_grad_()
    x = second.view(-1)
    want = qt.pact(first, alphas[0], 4, grad=grad)
    got, count = kept(lambda: qt.pact(x, alphas[1], 4, grad=grad))
    assert count <= given.numel() / 4 + 16
    assert torch.equal(bits(got), bits(want))
    asked = {"both": (0, 1), "x": (0,), "alpha": (1,)}[wrt]
    wants = torch.autograd.grad(want, [(first, alphas[0])[i] for i in asked], dy)
    gots = torch.autograd.grad(got, [(second, alphas[1])[i] for i in asked], dy)
    for w, g in zip(wants, gots, strict=True):
        assert torch.equal(bits(g), bits(w))


CHANNELS = 20


def along(value, x, axis):
    """Values of x's type around `value`, one a channel, that broadcast to x."""
    sizes = [1] * x.dim()
    sizes[axis] = CHANNELS
    return (torch.linspace(0.7, 1.3, CHANNELS) * value).to(x.dtype).reshape(sizes)


def per_channel_int_quant(**words):
    return lambda x, axis: qt.int_quant(x, along(0.1, x, axis), scalar(0.0, x), scalar(4.0, x),
                                        **words)


def channel_scale():
    return torch.linspace(0.05, 0.2, CHANNELS)


#: Functions of x and an axis, one parameter of which is per channel.
PER_CHANNEL = {
    "tensor_clamp": lambda x, axis: qt.tensor_clamp(x, along(-1.0, x, axis), along(1.0, x, axis)),
    "tensor_clamp, one bound": lambda x, axis: qt.tensor_clamp(x, scalar(-1.0, x),
                                                               along(1.0, x, axis)),
    "int_quant": per_channel_int_quant(),
    "int_quant, unfused": per_channel_int_quant(grad="unfused", stepwise=True, rounding="floor"),
    "int_quant, zero points": lambda x, axis: qt.int_quant(
        x, along(0.1, x, axis), along(3.0, x, axis).round(), scalar(4.0, x)),
    "float_quant": lambda x, axis: qt.float_quant(x, along(0.001, x, axis)),
    "fake_quantize": lambda x, axis: qt.fake_quantize_per_channel_affine(
        x, channel_scale(), torch.arange(CHANNELS, dtype=torch.int32) % 5 - 2, axis, -8, 7),
    "fake_quantize, a learned scale": lambda x, axis: qt.fake_quantize_per_channel_affine(
        x, channel_scale().requires_grad_(), torch.zeros(CHANNELS), axis, -8, 7),
    "learnable": lambda x, axis: qt.learnable_fake_quantize_per_channel_affine(
        x, channel_scale(), torch.zeros(CHANNELS), axis, -8, 7, 1.0),
    "lsq": lambda x, axis: qt.lsq(x, along(0.1, x, axis), -8, 7),
    "pact": lambda x, axis: qt.pact(x, along(1.0, x, axis), 4),
    "clamped_binary_quant": lambda x, axis: qt.clamped_binary_quant(x, along(0.7, x, axis)),
    "ternary_quant": lambda x, axis: qt.ternary_quant(x, along(0.7, x, axis), 0.5),
}

#: Sizes, the axis, strides, and elements in a row of bits.
CHANNEL_LAYOUTS = {
    "channel first": ((CHANNELS, 7, 19), 0, lambda t: t, 7 * 19),
    "channel last": ((9, 11, CHANNELS), 2, lambda t: t, CHANNELS),
    "channel between": ((5, CHANNELS, 7, 7), 1, lambda t: t, 49),
    "negative axis": ((5, CHANNELS, 19), -2, lambda t: t, 19),
    "channels last": ((5, CHANNELS, 5, 7), 1,
                      lambda t: t.contiguous(memory_format=torch.channels_last), CHANNELS),
    "transposed": ((19, CHANNELS, 8), 1, lambda t: t.transpose(0, 2).contiguous().transpose(0, 2),
                   19),
    "sliced": ((5, CHANNELS, 30), 1, lambda t: t.repeat(1, 1, 2)[:, :, ::2], 30),
}


@pytest.mark.parametrize("layout", CHANNEL_LAYOUTS)
@pytest.mark.parametrize("name", PER_CHANNEL)
def test_per_channel(name, layout):
    """A bit an element, rows of whole bytes, and the parameters; the bits that x gives."""
    sizes, axis, place, row = CHANNEL_LAYOUTS[layout]
    f, n = PER_CHANNEL[name], torch.Size(sizes).numel()
    for dtype in (torch.float32, torch.float16):
        given = place(adversarial(dtype, n).reshape(sizes))
        leaf = given.clone(memory_format=torch.preserve_format).requires_grad_()
        want = torch.nn.Parameter(given.clone(memory_format=torch.preserve_format))
        dy = adversarial(dtype, n).flip(0).reshape(sizes)
        expected, (y, count) = f(want, axis), kept(lambda: f(leaf, axis))
        masks = n // row * ((row + 7) // 8)
        assert masks <= count <= masks + 2 * 4 * CHANNELS + 2 * 8
        assert torch.equal(bits(y), bits(expected)) and y.stride() == expected.stride()
        expected.backward(dy)
        y.backward(dy)
        assert torch.equal(bits(leaf.grad), bits(want.grad))


def test_per_channel_compiled():
    """Sizes that are known, and sizes that are not."""
    def f(x):
        h = qt.fake_quantize_per_channel_affine(
            x * 2, channel_scale(), torch.zeros(CHANNELS), 1, -8, 7)
        return qt.tensor_clamp(h * 1.5, along(-1.0, h, 1), along(1.0, h, 1)).square().sum()

    for dynamic in (False, True):
        torch._dynamo.reset()
        compiled = torch.compile(f, fullgraph=True, backend="aot_eager", dynamic=dynamic)
        for n in (3, 5):
            for given in (torch.randn(n, CHANNELS, 7, n + 6),
                          torch.randn(n, CHANNELS, 9, n).to(memory_format=torch.channels_last)):
                leaf, again = (given.clone().requires_grad_() for _ in range(2))
                compiled(leaf).backward()
                f(again).backward()
                assert torch.equal(leaf.grad, again.grad)


def test_bytes_per_channel_compiled():
    torch._dynamo.reset()
    scale, zero = channel_scale(), torch.zeros(CHANNELS)
    f = torch.compile(lambda x: qt.fake_quantize_per_channel_affine(x.exp(), scale, zero, 1, -8, 7),
                      fullgraph=True, backend="aot_eager")
    x = torch.randn(64, CHANNELS, 64, requires_grad=True)
    _, count = kept(lambda: f(x))
    assert count <= 4 * x.numel() + x.numel() // 8 + 8 * CHANNELS  # exp keeps its result


def test_opcheck_per_channel():
    checks = ("test_schema", "test_faketensor")
    for x in (torch.randn(3, CHANNELS, 5), torch.randn(CHANNELS, 9), torch.randn(0, CHANNELS, 5),
              torch.randn(2, CHANNELS, 3, 3).to(memory_format=torch.channels_last)):
        axis = 0 if x.dim() == 2 else 1
        words = (channel_scale(), torch.zeros(CHANNELS), axis, -8, 7)
        opcheck(OPS.fake_quantize_per_channel_affine_save, (x, *words, [0]), test_utils=checks)
        _, masks = OPS.fake_quantize_per_channel_affine_save(x, *words, [0])
        opcheck(OPS.fake_quantize_per_channel_affine_packed_backward, (masks, x, *words, [0]),
                test_utils=checks)
    x = torch.randn(8, CHANNELS, 32, requires_grad=True)
    opcheck(OPS.fake_quantize_per_channel_affine, (x, *words[:2], 1, -8, 7))


def test_what_keeps_x():
    """A learned scale, rows of few bits, parameters of a module."""
    leaf = torch.randn(8, 256, requires_grad=True)
    parameter, few = torch.nn.Parameter(leaf.detach()), torch.randn(16, requires_grad=True)
    x = leaf * 1
    n = x.numel() * 4
    rows = (leaf * 1).reshape(4, 128, 4)
    for f in (lambda: qt.lsq(x, torch.tensor(0.1, requires_grad=True), -8, 7),
              lambda: qt.pact(x, torch.ones(8, 1, requires_grad=True), 4),
              lambda: qt.fake_quantize_per_channel_affine(
                  rows, torch.full((128,), 0.1), torch.zeros(128), 1, -8, 7)):
        y, count = kept(f)
        assert n <= count <= n + 8 * 128
        y.sum().backward(retain_graph=True)
    assert kept(lambda: qt.pact(parameter, torch.tensor(1.0), 4))[1] >= n
    assert kept(lambda: qt.pact(few, torch.tensor(1.0), 4))[1] >= 16 * 4
    assert kept(lambda: qt.int_quant(x, torch.tensor(0.1), torch.tensor(0.0), torch.tensor(4.0),
                                     grad="ste"))[1] >= n
    assert kept(lambda: qt.round_ste(x))[1] == 0


LAYOUTS = {
    "transposed": lambda t: t.transpose(0, 2),
    "sliced": lambda t: t[:, ::2, 1:],
    "expanded": lambda t: t[:, :1].expand(-1, 10, -1),
    "empty": lambda t: t[:0],
    "rank 0": lambda t: t[0, 0, 0],
    "channels last": lambda t: t.reshape(16, 3, 10, 8).contiguous(
        memory_format=torch.channels_last),
}


@pytest.mark.parametrize("dense_dy", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, dense_dy):
    torch.manual_seed(0)
    given = torch.randn(16, 10, 24)
    grads = []
    for make in (torch.nn.Parameter, lambda t: t.requires_grad_()):
        alpha = torch.tensor(0.5, requires_grad=True)
        leaf = make(LAYOUTS[layout](given).detach())
        y = qt.pact(leaf, alpha, 4)
        dy = torch.linspace(-1, 1, y.numel()).reshape(y.shape)
        if not dense_dy and y.dim() > 1:
            dy = dy.transpose(0, 1).contiguous().transpose(0, 1)
        y.backward(dy)
        grads.append((y.detach(), leaf.grad, alpha.grad))
    for a, b in zip(*grads):
        assert torch.equal(bits(a), bits(b))


def network(x, alpha):
    h = qt.fake_quantize_per_tensor_affine(x * 2, 0.05, 0, -8, 7)
    return qt.pact(h * 1.5, alpha, 4).square().sum()


def test_bytes_compiled():
    """The graph saves the masks of what it computes, not x."""
    torch._dynamo.reset()
    alpha = torch.tensor(0.8, requires_grad=True)
    f = torch.compile(lambda x: qt.pact(x.exp() - 1, alpha, 4), fullgraph=True, backend="aot_eager")
    x = torch.randn(64, 512, requires_grad=True)
    _, count = kept(lambda: f(x))
    n = x.numel()
    assert 2 * n // 8 <= count <= 2 * n // 8 + 2 * 4 * n + 64  # exp keeps its own
    _, unpacked = kept(lambda: torch.compile(
        lambda x: qt.lsq(x.exp() - 1, alpha, -8, 7), fullgraph=True, backend="aot_eager")(x))
    assert unpacked >= count - 2 * n // 8 + 4 * n - 64


@pytest.mark.parametrize("backend", [
    "aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compiled(backend):
    torch.manual_seed(0)
    x = torch.randn(33, 65)
    results = []
    for f in (network, torch.compile(network, fullgraph=True, backend=backend)):
        leaf, alpha = x.clone().requires_grad_(), torch.tensor(0.8, requires_grad=True)
        loss = f(leaf, alpha)
        loss.backward()
        results.append((loss.detach(), leaf.grad, alpha.grad))
    for a, b in zip(*results):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_dynamic_sizes_compiled():
    f = torch.compile(network, fullgraph=True, backend="aot_eager", dynamic=True)
    for n in (5, 16, 31):
        leaf, alpha = torch.randn(n, 3, requires_grad=True), torch.tensor(0.8, requires_grad=True)
        f(leaf, alpha).backward()
        again = leaf.detach().clone().requires_grad_()
        network(again, alpha).backward()
        assert torch.equal(leaf.grad, again.grad)


@pytest.mark.parametrize("shape", [(3, 5), (0,), ()])
def test_opcheck(shape):
    x, alpha = torch.randn(shape), torch.tensor(1.0)
    checks = ("test_schema", "test_faketensor")
    opcheck(OPS.pact_save, (x, alpha, 4, "pact", [0, 1]), test_utils=checks)
    _, masks = OPS.pact_save(x, alpha, 4, "pact", [0, 1])
    assert masks.shape == (2, (x.numel() + 7) // 8)
    opcheck(OPS.pact_packed_backward, (masks, x, alpha, 4, "pact", [0, 1]), test_utils=checks)
    opcheck(OPS.pact, ((x * 1).requires_grad_(), alpha, 4))


def test_opcheck_of_many():
    x = torch.randn(64, 32, requires_grad=True)
    opcheck(OPS.pact, (x, torch.tensor(1.0, requires_grad=True), 4))
    opcheck(OPS.int_quant, (x, torch.tensor(0.1), torch.tensor(0.0), torch.tensor(4.0)))
    opcheck(OPS.fake_quantize_per_tensor_affine.default, (x, 0.1, 0, -8, 7))


def test_bad_masks():
    x, alpha = torch.randn(20), torch.tensor(1.0)
    for masks in (torch.zeros(2, 2, dtype=torch.uint8), torch.zeros(2, 3)):
        with pytest.raises(RuntimeError, match="expected masks of .2, 3. bytes"):
            OPS.pact_packed_backward(masks, x, alpha, 4, "pact", [0, 1])
    with pytest.raises(RuntimeError, match="expected masks of .1, 2. bytes"):  # a byte a row
        OPS.pact_packed_backward(masks, torch.randn(2, 3), torch.ones(2, 1), 4, "pact", [0])


def test_double_backward_is_an_error():
    leaf = torch.randn(2000, requires_grad=True)
    y = qt.pact(leaf, torch.tensor(1.0), 4)
    dx, = torch.autograd.grad(y, leaf, torch.ones(2000, requires_grad=True), create_graph=True)
    with pytest.raises(RuntimeError, match="derivative for .*pact_packed_backward.* not implemented"):
        dx.sum().backward()
