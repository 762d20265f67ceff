"""exhaustive.py on every 65537th value, so that it keeps running."""
import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).with_name("exhaustive.py")


def exhaustive(*arguments):
    return subprocess.run([sys.executable, str(SCRIPT), *arguments],
                          capture_output=True, text=True, timeout=300)


def test_every_op_on_a_stride():
    done = exhaustive("--stride", "65537")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) > 10
    assert all(": 65536 inputs, 0 mismatches, " in line for line in lines), done.stdout


def test_unknown_case():
    done = exhaustive("--case", "no_such_op")
    assert done.returncode == 2
    assert "expected a part of a case's text, got no_such_op" in done.stderr
