"""exhaustive.py on every 65537th value, so that it keeps running."""
import dataclasses
import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).with_name("exhaustive.py")
sys.path.insert(0, str(SCRIPT.parent))
import exhaustive as script


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


def test_mismatches_are_counted():
    case = next(c for c in script.cases.every() if c.op == "round")
    other = dataclasses.replace(case, stated="floor_ste")
    start, stride = 0x3F000000, 1 << 20  # 0.5 to 1.94
    assert script.try_block((case, start, 16, stride)) == (16, 0, None)
    count, mismatches, first = script.try_block((other, start, 16, stride))
    assert count == 16 and mismatches == 11
    assert first.startswith("y at x = ") and "got " in first
