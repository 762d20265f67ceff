"""quant_ste.torch's ops for CUDA, on tensors of an emulated device."""
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import emulation

if platform.machine() != "x86_64":
    pytest.skip("the emulated driver needs x86-64", allow_module_level=True)
if not emulation.DRIVER.with_name("libquant-ste-emulated-torch.so").exists():
    pytest.skip("the ops of torch are not built", allow_module_level=True)
FOLDER = Path(__file__).parent
BUILD = Path(os.environ["QUANT_STE_C_LIBRARY"]).resolve().parents[1]


# In a process of its own: a device that torch has got to know stays.
@pytest.mark.slow
@pytest.mark.parametrize("form, count", [("C++", 24), ("python", 9)])
def test_ops(form, count):
    paths = [FOLDER, FOLDER.parent / "Conformance", BUILD / "python"]
    run = subprocess.run(
        [sys.executable, FOLDER / "emulated_torch.py", form], capture_output=True, text=True,
        env={**os.environ, "QUANT_STE_TORCH_OPS": form,
             "PYTHONPATH": os.pathsep.join(map(str, paths))})
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert lines[-1].lower() == form.lower(), run.stdout
    assert sum(line.startswith("ok ") for line in lines) == count, run.stdout
