"""Text, generic text and bytecode say the same: every module of the tests and
the examples goes through qopt-opt --verify-roundtrip, in both forms of text."""

import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).parents[2]
QOPT_OPT = ROOT / "build/release/bin/qopt-opt"


def modules():
    """The modules that are meant to parse and verify, each with its file."""
    for folder in ("test", "examples"):
        for path in sorted((ROOT / folder).rglob("*.mlir")):
            text = path.read_text()
            if re.search(r"RUN: (.*\| )?not qopt-\w+ %s(?! --)", text):
                continue  # the file itself is wrong
            if path.name.startswith("bad-") or "out-of-tree" in path.parts:
                continue
            for chunk in re.split(r"\n//(?: -+|--- .*)\n", text):
                if "expected-" not in chunk:
                    yield path.relative_to(ROOT), chunk


def run(text, *flags):
    result = subprocess.run(
        [QOPT_OPT, "--split-input-file", "--verify-roundtrip", *flags],
        input=text, capture_output=True, text=True)
    return result.returncode, result.stdout, result.stderr


def blame(errors):
    """Files and messages, from the lines of the errors in the joined text."""
    lines, at = [], 1
    for path, chunk in modules():
        count = chunk.count("\n") + 3
        lines.append((at, path))
        at += count
    out = []
    for line, message in re.findall(r"<stdin>:(\d+):\d+: (error: .*)", errors):
        path = [p for start, p in lines if start <= int(line)][-1]
        out.append(f"{path}: {message}")
    return "\n".join(out) or errors


def test_every_module():
    texts = [chunk for _, chunk in modules()]
    assert len(texts) > 200
    code, generic, errors = run("\n// -----\n\n".join(texts), "--mlir-print-op-generic")
    assert code == 0, blame(errors)
    assert '"quant_ste.pact"(' in generic
    code, _, errors = run(generic)
    assert code == 0, errors
