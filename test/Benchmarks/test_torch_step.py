"""benchmarks/torch_step.py runs, and its tables have their form."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

pytest.importorskip("brevitas", reason="brevitas is not installed")
ROOT = pathlib.Path(__file__).parents[2]
PACKAGE = os.environ.get("QUANT_STE_PYTHON", str(ROOT / "build/release/python"))


@pytest.mark.slow
def test_tables():
    if not pathlib.Path(PACKAGE, "quant_ste").exists():
        pytest.skip("the Python package is not built")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", ROOT / "benchmarks/torch_step.py", "--quick",
         "--repeats", "1"], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": PACKAGE, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| (.*) \|$", done.stdout, re.MULTILINE)
    cells = [row.split(" | ") for row in rows]
    forms = [(c[0], c[1]) for c in cells]
    for model in ("CNN", "transformer"):
        kept = [float(c[3]) for c in cells if c[0] == model]
        assert len(kept) == 2 and kept[1] <= kept[0]
        assert (model, "accelerated, eager") in forms
    for name in ("PACT, learned bound", "IntQuant, learned scale", "fixed scale"):
        found = [c for c in cells if c[0] == name]
        assert [c[1] for c in found] == ["64 x 64", "256 x 256"]
        assert all(float(c[4]) <= float(c[5]) for c in found), "bytes an element"
    assert sum("ATen" in c[0] or "fake_quantize_per_tensor" in c[0] for c in cells) == 2
