"""examples/digits/train_torch.py: accelerated training is the training."""
import pathlib
import runpy

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("brevitas", reason="brevitas is not installed")

SCRIPT = pathlib.Path(__file__).parents[2] / "examples/digits/train_torch.py"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_accelerated_training(capsys):
    theirs, ours = runpy.run_path(str(SCRIPT))["main"](["--epochs", "5"])
    for step, (a, b) in enumerate(zip(ours.losses[:20], theirs.losses)):
        assert abs(a - b) <= 1e-4, f"step {step}"
    assert ours.losses[-1] < 0.5 * ours.losses[0]
    assert theirs.accuracy > 0.9
    assert abs(ours.accuracy - theirs.accuracy) <= 0.015
    out = capsys.readouterr().out
    assert "swapped" in out and f"[{'#' * 30}] epoch 5" in out
