"""5,000 mutated modules through parser, verifier, differentiation and pipelines:
no crash, no hang beyond 10 s, no rejection without an error."""

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FUZZ = ROOT / "build/release/bin/quant-ste-fuzz"
PIPELINES = ["--pipeline=quant-ste-differentiate", "--pipeline=quant-ste-cpu-pipeline",
             "--pipeline=quant-ste-gpu-pipeline"]


def fuzz(tmp_path, *flags):
    return subprocess.run(
        [FUZZ, f"--keep={tmp_path}", *flags, ROOT / "test", ROOT / "examples"],
        capture_output=True, text=True)


@pytest.mark.slow
def test_mutants(tmp_path):
    done = fuzz(tmp_path, "--seed=1", "--count=5000", *PIPELINES)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {name: int(n) for n, name in re.findall(r"^ *(\d+) (.*)$", done.stdout, re.M)}
    assert sum(counts.values()) == 5000
    # Enough of them must come past the parser, and some past the verifiers.
    assert counts["accepted"] > 500
    assert counts["refused by a pass"] > 50


def test_failures_are_seen(tmp_path):
    """A pipeline that does not parse refuses without an error of the module."""
    done = fuzz(tmp_path, "--seed=1", "--count=30", "--pipeline=no-such-pass")
    assert done.returncode == 1
    assert "refused without an error" in done.stdout
    assert list(tmp_path.glob("fuzz-1-*.mlir"))
