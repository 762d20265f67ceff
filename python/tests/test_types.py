"""The package's types, as mypy reads them in a user's program."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

pytest.importorskip("mypy", reason="mypy is not installed")
pytest.importorskip("torch", reason="torch is not installed")

TESTS = pathlib.Path(__file__).parent
PACKAGE = TESTS.parent / "quant_ste"


#: Modules whose insides mypy does not read yet; what they offer is in typed_program.py.
UNREAD = {"torch._accelerate", "torch._export"}


@pytest.mark.slow
def test_types(tmp_path):
    """In strict mode a user's program has no errors, what is wrong after it is found, and
    the package has none."""
    program = TESTS / "typed_program.py"
    wrong = {"module.save(1)": "arg-type", "quant_ste.compile(2.5)": "arg-type",
             "qt.round_ste('x')": "arg-type", "qt.round_stee(rounded)": "attr-defined",
             "layer.texts": "attr-defined", "report.undo().x": "attr-defined",
             "picture.save()": "call-arg", "qs.rule(1)": "call-overload"}
    text, first = program.read_text(), program.read_text().count("\n") + 1
    (tmp_path / "wrong.py").write_text(text + "".join(f"{line}\n" for line in wrong))
    ran = subprocess.run(
        # Some of torch's functions have no types.
        [sys.executable, "-m", "mypy", "--strict", "--untyped-calls-exclude=torch",
         "--cache-dir=cache", "--config-file=", "-m", "wrong", "-m", "quant_ste.__main__", "-m", "quant_ste.torch"],
        env={**os.environ, "MYPYPATH": os.pathsep.join([str(tmp_path), str(PACKAGE.parent)])},
        capture_output=True, text=True, cwd=tmp_path)
    found = dict(re.findall(r"wrong\.py:(\d+): error: .*\[(.*)\]", ran.stdout))
    assert found == {str(first + i): code for i, code in enumerate(wrong.values())}, ran.stdout
    within = re.findall(r"quant_ste/(.*)\.pyi?:\d+: error: .*", ran.stdout)
    assert not {path.replace("/", ".") for path in within} - UNREAD, ran.stdout
    # A misspelt path would pass: what is unread shows that the package was looked at.
    assert "torch/_accelerate" in within, ran.stdout
