"""pip install into a clean virtual environment; what the wheel needs is inside it."""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
USE = """
import numpy as np, quant_ste
f = quant_ste.compile('''func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = quant_ste.round %x grad(ste) : tensor<?xf32>
  return %y : tensor<?xf32> }''').f
print(f(np.float32([0.6, 1.4])).tolist(), quant_ste.version())
"""


@pytest.mark.slow
def test_clean_environment(tmp_path):
    """Builds with the compiler's cache; LLVM's libraries are named by no file of it."""
    python = tmp_path / "venv/bin/python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    subprocess.run([python, "-m", "pip", "install", "-q", ROOT], check=True, cwd=tmp_path)
    environment = {k: v for k, v in os.environ.items()
                   if k not in ("PYTHONPATH", "LD_LIBRARY_PATH", "QUANT_STE_PYTHON")}
    ran = subprocess.run([python, "-c", USE], check=True, cwd=tmp_path, env=environment,
                         capture_output=True, text=True)
    assert ran.stdout.startswith("[1.0, 1.0] 0.")
    package, = (tmp_path / "venv/lib").glob("python*/site-packages/quant_ste")
    assert (package / "py.typed").exists()
    readelf = shutil.which("readelf") or shutil.which("llvm-readelf-22")
    if readelf is None:
        pytest.skip("no readelf")
    for library in package.rglob("*.so*"):
        dynamic = subprocess.run([readelf, "-d", library], check=True, capture_output=True,
                                 text=True).stdout
        needed = [line for line in dynamic.splitlines() if "NEEDED" in line]
        assert not [n for n in needed if "libMLIR" in n or "libLLVM" in n], library
        if "QuantSTE-C" in library.name:
            symbols = subprocess.run([readelf, "--dyn-syms", "-W", library], check=True,
                                     capture_output=True, text=True).stdout
            defined = [s.split()[-1] for s in symbols.splitlines()[4:]
                       if s.split() and "UND" not in s]
            assert defined and all(s.startswith("quant_ste_") for s in defined)
