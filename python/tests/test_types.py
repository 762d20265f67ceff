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


@pytest.mark.slow
def test_users_program(tmp_path):
    """A program has no errors, in strict mode; and what is wrong after it is found."""
    program = TESTS / "typed_program.py"
    wrong = {"module.save(1)": "arg-type", "quant_ste.compile(2.5)": "arg-type",
             "qt.round_ste('x')": "arg-type", "qt.round_stee(rounded)": "attr-defined",
             "layer.texts": "attr-defined", "report.undo().x": "attr-defined",
             "picture.save()": "call-arg", "qs.rule(1)": "call-overload"}
    text, first = program.read_text(), program.read_text().count("\n") + 1
    (tmp_path / "wrong.py").write_text(text + "".join(f"{line}\n" for line in wrong))
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent",
         "--cache-dir=cache", "--config-file=", "wrong.py"],
        env={**os.environ, "MYPYPATH": str(PACKAGE.parent)}, capture_output=True, text=True,
        cwd=tmp_path)
    found = dict(re.findall(r"wrong\.py:(\d+): error: .*\[(.*)\]", ran.stdout))
    assert found == {str(first + i): code for i, code in enumerate(wrong.values())}, ran.stdout
