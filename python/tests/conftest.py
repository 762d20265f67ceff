"""The package of the build tree (QUANT_STE_PYTHON, or build/release/python), unless
one is installed; and the inputs of the conformance tests."""
import importlib.util
import os
import pathlib
import sys
import tempfile

import pytest

# torch's AVX kernels contract multiplications and additions; these do not.
os.environ.setdefault("ATEN_CPU_CAPABILITY", "default")
# What the tests compile is of no use to others.
_CACHE = tempfile.TemporaryDirectory(prefix="quant_ste_tests_")
os.environ["QUANT_STE_CACHE_DIR"] = _CACHE.name
ROOT = pathlib.Path(__file__).parents[2]
if importlib.util.find_spec("quant_ste") is None:
    sys.path.insert(0, os.environ.get("QUANT_STE_PYTHON", str(ROOT / "build/release/python")))
sys.path.insert(0, str(ROOT / "test" / "Conformance"))

if importlib.util.find_spec("quant_ste") is None:
    collect_ignore_glob = ["test_*.py"]


def pytest_report_header():
    if importlib.util.find_spec("quant_ste") is None:
        return "quant_ste: the Python package is not built, its tests are left out"
    import quant_ste
    return f"quant_ste: {pathlib.Path(quant_ste.__file__).parent}"
