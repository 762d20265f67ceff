"""The page of quantizers: every op with a rule is on it, with its pictures."""
import pathlib
import re
import sys
from xml.etree import ElementTree

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import quantizer_pages  # noqa: E402


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    out = tmp_path_factory.mktemp("pages")
    # The page's text of each op stands in the reference that mlir-tblgen makes;
    # here its records do.
    doc = out / "dialect.md"
    rules = sorted((ROOT / "test" / "Rules").glob("*.mlir"))
    doc.write_text("".join(f"### `quant_ste.{p.stem}` (X)\n\n_Summary of {p.stem}_\n\n"
                           f"```\nsyntax\n```\n\nText of {p.stem}.\n\nTraits: `A`\n\n"
                           for p in rules))
    quantizer_pages.write(doc, out)
    return out


def test_every_op_with_a_rule_is_there(pages):
    text = (pages / "Quantizers.md").read_text()
    for rule in (ROOT / "test" / "Rules").glob("*.mlir"):
        if "quant_ste.custom" in rule.read_text():
            continue  # has no formula of its own
        assert f"## {rule.stem}\n\n*Summary of {rule.stem}*" in text, rule.stem
        assert f"Text of {rule.stem}." in text
    assert "Traits" not in text


def test_pictures_are_there_and_well_formed(pages):
    text = (pages / "Quantizers.md").read_text()
    named = re.findall(r"\]\(([^)]+\.svg)\)", text)
    assert len(named) == len(set(named)) == len(list(pages.glob("*.svg"))) > 20
    for name in named:
        root = ElementTree.parse(pages / name).getroot()
        # y and dx, which grad(detached) has not.
        curves = 1 if "grad-detached" in name else 2
        assert len(root.findall("{*}polyline")) >= curves, name


def test_tables_say_what_the_ops_do(pages):
    text = (pages / "Quantizers.md").read_text()
    round_ste = text.split("## round\n")[1].split("### `grad(ste)`")[1].split("### ")[0]
    for row in ("| NaN | NaN | 1 |", "| 0.5 | 0 | 1 |", "| -0.5 | -0 | 1 |",
                "| 2.5 | 2 | 1 |", "| inf | inf | 1 |"):
        assert row in round_ste
