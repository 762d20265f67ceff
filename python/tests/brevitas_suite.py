#!/usr/bin/env python3
"""Runs Brevitas' own tests of its functions and core with patch_brevitas() active, and
without, and says the counts. Brevitas' packages have no tests: give a checkout.

    git clone --branch v0.12.1 https://github.com/Xilinx/brevitas
    pip install mock pytest-cases pytest-mock "pytest<8.4"
    python python/tests/brevitas_suite.py brevitas

Brevitas is that of the checkout, in its folder src; its requirements are to be
installed. With pytest-xdist the tests run on every core.

Exit code 0 if the same tests pass.
"""
import collections
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import quant_ste

SUITES = ("tests/brevitas/function", "tests/brevitas/core")
# Imported by pytest before any test module, so that each sees the patched names.
PLUGIN = """
import importlib, pkgutil
import brevitas.core, brevitas.function
for package in (brevitas.core, brevitas.function):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(found.name)
import quant_ste.torch
_patch = quant_ste.torch.patch_brevitas()
_names = _patch.__enter__()

def pytest_report_header():
    return "patched: " + ", ".join(_names)
"""



def run(checkout: pathlib.Path, patched: bool) -> collections.Counter[str]:
    """How often each test function passes. Parameters are left out: these are named after
    functions, which have other names with the patch."""
    with tempfile.TemporaryDirectory() as folder:
        results = pathlib.Path(folder, "results.xml")
        pathlib.Path(folder, "quant_ste_patch.py").write_text(PLUGIN)
        # A package, so that tests/brevitas is not taken for brevitas itself.
        shutil.copytree(checkout / "tests", pathlib.Path(folder, "tests"))
        pathlib.Path(folder, "tests/__init__.py").touch()
        found = [folder, checkout / "src", pathlib.Path(quant_ste.__file__).parents[1]]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(
            [*map(str, found), os.environ.get("PYTHONPATH", "")])}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                   "--hypothesis-seed=0", f"--junitxml={results}"]
        command += ["-p", "quant_ste_patch"] if patched else []
        command += ["-n", "auto"] if importlib.util.find_spec("xdist") else []
        command += ["--continue-on-collection-errors", *SUITES]
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True,
                             text=True)
        if not results.exists():
            sys.exit(f"pytest did not run: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
        print("with" if patched else "without", "patch_brevitas():",
              (re.findall(r"\d+ (?:passed|failed).*", ran.stdout) or [ran.stdout[-2000:]])[-1],
              flush=True)
        passed: collections.Counter[str] = collections.Counter()
        for case in ElementTree.parse(results).iter("testcase"):
            if not any(child.tag in ("failure", "error", "skipped") for child in case):
                name = re.sub(r"\[.*", "", case.get("name") or "")
                passed[f"{case.get('classname')}.{name}"] += 1
        return passed


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    checkout = pathlib.Path(sys.argv[1]).resolve()
    without, patched = run(checkout, False), run(checkout, True)
    lost = without - patched
    for name, count in sorted(lost.items()):
        print(f"passes no more: {name} ({count})")
    for name, count in sorted((patched - without).items()):
        print(f"passes now: {name} ({count})")
    return int(bool(lost))


if __name__ == "__main__":
    sys.exit(main())
