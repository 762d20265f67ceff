"""The ops registered from Python give what those from C++ give."""
import os
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="torch is not installed")
import quant_ste  # noqa: E402

PROGRAM = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
import torch, quant_ste.torch as qt
torch.manual_seed(0)
x, s = torch.randn(3, 4, 5).transpose(0, 2).requires_grad_(), torch.rand(4, 1).add(0.1)
results = []
for y, wrt in (
        (qt.pact(x, a := torch.tensor(1.0, requires_grad=True), 4), (x, a)),
        (qt.int_quant(x, s.requires_grad_(), torch.tensor(0.0), torch.tensor(4.0)), (x, s)),
        (qt.round_ste(x), (x,)),
        (qt.fake_quantize_per_channel_affine(x, torch.rand(4) + 0.1, torch.zeros(4), 1, -8, 7),
         (x,))):
    results += [y.detach(), *torch.autograd.grad(y, wrt, torch.ones_like(y))]
assert torch.compile(qt.round_ste, fullgraph=True, backend="eager")(x.detach()).shape == x.shape
print(qt.REGISTRATION.partition(",")[0])
torch.save(results, sys.argv[2])
"""


@pytest.mark.slow
def test_same_numbers(tmp_path):
    import torch
    root = os.path.dirname(os.path.dirname(quant_ste.__file__))
    found = []
    for form in ("C++", "python"):
        file = tmp_path / form
        ran = subprocess.run([sys.executable, "-c", PROGRAM, root, file], check=True,
                             env={**os.environ, "QUANT_STE_TORCH_OPS": form},
                             capture_output=True, text=True)
        assert ran.stdout.strip().lower() == form.lower()
        found.append(torch.load(file))
    for ours, other in zip(*found):
        torch.testing.assert_close(ours, other, rtol=1e-5, atol=1e-6)
