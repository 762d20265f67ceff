"""Brevitas' own tests, where a checkout of its sources is named."""
import os
import pathlib
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_same_tests_pass():
    checkout = os.environ.get("BREVITAS_CHECKOUT")
    if not checkout:
        pytest.skip("BREVITAS_CHECKOUT names no checkout of Brevitas (its packages have no "
                    "tests)")
    script = pathlib.Path(__file__).with_name("brevitas_suite.py")
    ran = subprocess.run([sys.executable, script, checkout], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
