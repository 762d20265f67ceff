"""examples/tutorial runs, learns, and its files are what it says."""
import pathlib
import runpy
import sys

import numpy as np
import pytest

pytest.importorskip("torch")

import quant_ste  # noqa: E402

TUTORIAL = pathlib.Path(__file__).parents[2] / "examples/tutorial/tutorial.py"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_tutorial(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tutorial.py", "--out", str(tmp_path)])
    names = runpy.run_path(str(TUTORIAL), run_name="__main__")
    assert names["accuracy"] > 0.93
    assert names["agreement"] > 0.99
    assert all(row.differing == 0 for row in names["differences"])
    assert "swapped 1, left 0" in capsys.readouterr().out
    module = quant_ste.compile(tmp_path / "digits.mlir")
    assert module.text.count("quant_ste.int_quant") == 2
    assert module.text.count("quant_ste.pact") == 1
    got = module.main(names["pixels"][names["test"]].numpy())
    np.testing.assert_array_equal(got, names["logits"])
    for picture in ("pact.svg", "weights.svg"):
        assert "<svg" in (tmp_path / picture).read_text()
