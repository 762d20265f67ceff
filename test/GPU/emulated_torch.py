"""A program of test_cuda_torch.py: the ops of quant_ste.torch on the emulated GPU, beside
those on the CPU. The GPU's tensors are of torch's spare device."""
import sys
import types

import torch

import emulation

torch.ops.load_library(str(emulation.DRIVER.with_name("libquant-ste-emulated-torch.so")))
import quant_ste.torch as qt
from quant_ste import _device
from quant_ste.torch import _register

GPU = "emulated"
torch.utils.rename_privateuse1_backend(GPU)
module = types.ModuleType("torch.emulated")
module.is_available = module.is_initialized = lambda: True
module._is_in_bad_fork = lambda: False
module._lazy_init = lambda: None
module.device_count = lambda: 2
module.current_device = lambda: 0
module.manual_seed_all = lambda seed: None
torch._register_device_module(GPU, module)
stream = 0
_device.TORCH_DEVICE = GPU
_device.torch_stream = lambda device: stream
_register.set_gpu_options("bitcode")
driver = emulation.Driver()


def set_stream(number):
    global stream
    stream = number
    torch.ops.quant_ste_emulated.set_stream(number)


def on(device, call, tensors, wanted):
    """The result and the gradients of a call on a device, back on the CPU."""
    # Leaves, with the strides that they had.
    moved = [torch.empty_strided(t.size(), t.stride(), dtype=t.dtype, device=device).copy_(t)
             .requires_grad_(w) for t, w in zip(tensors, wanted)]
    y = call(*moved)
    assert y.device == moved[0].device, (y.device, moved[0].device)
    if not any(wanted):
        return [y.cpu()]
    dy = torch.linspace(-1, 2, y.numel()).reshape(y.shape).to(device, y.dtype)
    gradients = torch.autograd.grad(y, [m for m, w in zip(moved, wanted) if w], dy)
    for g in gradients:
        assert g.device == moved[0].device
    return [y.detach().cpu(), *(g.cpu() for g in gradients)]


def compare(name, call, tensors, wanted=None):
    """y and dx have the same bits; sums are added in another order."""
    wanted = wanted or [True] * len(tensors)
    have = on(GPU, call, tensors, wanted)
    want = on("cpu", call, tensors, wanted)
    tolerance = {torch.float16: 2e-2, torch.bfloat16: 2e-2}.get(tensors[0].dtype, 1e-5)
    for i, (h, w) in enumerate(zip(have, want)):
        assert h.dtype == w.dtype and h.shape == w.shape, (name, i, h.dtype, w.dtype)
        if h.numel() == tensors[0].numel():
            assert torch.equal(h.isnan(), w.isnan()), (name, i)
            assert torch.equal(h.nan_to_num(7), w.nan_to_num(7)), (name, i)
        else:
            torch.testing.assert_close(h, w, rtol=tolerance, atol=tolerance,
                                       msg=lambda m: f"{name} {i}: {m}")
    print("ok", name)


torch.manual_seed(0)
flat = torch.randn(1003) * 3
image = torch.randn(2, 5, 4, 3)
scale = torch.rand(5, 1, 1) + 0.1
one = torch.tensor(1.3)

# The kernels are the same; from Python fewer calls are enough.
is_whole = sys.argv[1:] != ["python"]
for dtype in (torch.float32, torch.float16, torch.bfloat16) if is_whole else (torch.bfloat16,):
    x = flat.to(dtype)
    compare(f"round_ste {dtype}", qt.round_ste, [x])
    compare(f"pact {dtype}", lambda x, a: qt.pact(x, a, 4), [x, one.to(dtype)])
    compare(f"int_quant {dtype}",
            lambda x, s, z, b: qt.int_quant(x, s, z, b),
            [x, one.to(dtype), torch.tensor(0.0), torch.tensor(4.0)], [True, True, False, False])
compare("int_quant, per channel", lambda x, s: qt.int_quant(
    x, s, torch.tensor(0.0), torch.tensor(4.0)), [image, scale])
if is_whole:
    compare("int_quant, a width that is learned", lambda x, s, b: qt.int_quant(
        x, s, torch.tensor(0.0), b), [flat, one, torch.tensor(3.0)])
    compare("channels last", lambda x, s: qt.int_quant(
        x, s, torch.tensor(0.0), torch.tensor(4.0)),
        [image.to(memory_format=torch.channels_last), scale])
    compare("lsq", lambda x, s: qt.lsq(x, s, -8, 7, 0.1), [flat, one])
compare("fake_quantize, numbers", lambda x: qt.fake_quantize_per_tensor_affine(
    x, 0.1, 3, -8, 7), [flat])
compare("fake_quantize per channel", lambda x, s, z: qt.fake_quantize_per_channel_affine(
    x, s, z, 1, -8, 7), [image, scale.reshape(5), torch.zeros(5)], [True, False, False])
if is_whole:
    compare("approx_sign", qt.approx_sign, [flat])
    compare("tensor_clamp", qt.tensor_clamp, [image, -scale, scale])
    compare("nothing", qt.round_ste, [flat[:0]])
    compare("of rank 0", qt.round_ste, [torch.tensor(1.7)])
    compare("strides", qt.round_ste, [torch.randn(7, 9).t()])
    compare("doubles", lambda x, s: qt.lsq(x, s, -8, 7, 0.1), [flat.double(), one.double()])

# Kernels are launched on torch's stream and nothing waits.
x = flat.to(GPU)
set_stream(123)
driver.log()
qt.round_ste(x)
log = driver.log()
assert [line.rpartition("stream=")[2] for line in log if "cuLaunchKernel" in line] == ["123)"]
assert not any("Synchronize" in line or "Memcpy" in line for line in log), log
set_stream(0)

# The other GPU; the current device stays.
y = qt.round_ste(flat.to(f"{GPU}:1"))
assert y.device.index == 1 and torch.equal(y.cpu(), flat.round())
assert qt.round_ste(x).device.index == 0
print("ok devices")


def raises(text, call):
    try:
        call()
    except RuntimeError as error:
        assert text in str(error), str(error)
    else:
        raise AssertionError(f"expected an error: {text}")


raises("expected operands on one device", lambda: qt.pact(flat.to(GPU), torch.ones(1), 4))
driver.fail("cuLaunchKernel", 1)
raises("invalid argument", lambda: qt.round_ste(x))
assert torch.equal(qt.round_ste(x).cpu(), flat.round())
print("ok errors")

# Traced by torch.compile, without a break.
compiled = torch.compile(lambda t: qt.round_ste(t) + 1, fullgraph=True, backend="eager")
assert torch.equal(compiled(x).cpu(), flat.round() + 1)
print("ok compile")
assert driver.live_buffers() == 0
print(qt.REGISTRATION.partition(",")[0])
sys.stdout.flush()
