"""benchmarks/cpu.py: it runs, its rows have their form, and it sees wrong results."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
LIBRARY = pathlib.Path(os.environ.get("QUANT_STE_C_LIBRARY",
                                      ROOT / "build/release/lib/libQuantSTE-C.so"))
os.environ.setdefault("QUANT_STE_BENCHMARK_LIBRARIES", str(LIBRARY.parent))
sys.path.insert(0, str(ROOT / "benchmarks"))

FIELDS = {"kernel": str, "direction": str, "elements": int, "dtype": str, "threads": int,
          "impl": str, "seconds": float, "ratio_to_copy": float}


def run(tmp_path, *arguments):
    path = tmp_path / "rows.json"
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks/cpu.py", "--json", path, *arguments],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(path.read_text()), done.stdout


def check_form(rows):
    for row in rows:
        for field, kind in FIELDS.items():
            assert isinstance(row[field], kind), (field, row)
        assert row["direction"] in ("forward", "backward")
        assert row["seconds"] > 0 and row["ratio_to_copy"] > 0


def test_rows(tmp_path):
    rows, out = run(tmp_path, "--kernels", "pact", "--dtypes", "f32,bf16", "--threads", "1",
                    "--sizes", "4099,512", "--pairs", "3", "--peers", "numpy",
                    "--docs", str(tmp_path))
    check_form(rows)
    ours = [r for r in rows if r["impl"] == "quant_ste"]
    assert {(r["direction"], r["elements"], r["dtype"]) for r in ours} == {
        (d, n, t) for d in ("forward", "backward") for n in (512, 4099)
        for t in ("f32", "bf16")}
    assert len(ours) == 8
    assert "numpy" in {r["impl"] for r in rows}
    # What is left out is said, with its reason.
    assert "numpy: has no bf16 (pact)" in out
    text = (tmp_path / "performance.md").read_text()
    assert "| pact | forward | 4099 |" in text
    assert (tmp_path / "performance/pact-forward.svg").read_text().startswith("<svg")


def test_roofline_reads_rows(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(LIBRARY.parents[1] / "python")
    plot = pytest.importorskip("quant_ste.plot", reason="the package is not built")
    run(tmp_path, "--kernels", "pact", "--dtypes", "f32", "--threads", "1", "--sizes", "4099",
        "--pairs", "3", "--peers", "")
    picture = plot.roofline(tmp_path / "rows.json")
    assert [s.name for s in picture.series] == ["roof", "pact, forward", "pact, backward"]
    assert picture["roof"][1].min() > 0


def test_wrong_results_are_seen():
    import kernels
    from timing import Failed
    problem = kernels.Problem(kernels.KERNELS[0], "f32", 1000)
    problem.check("forward")
    problem.check("backward")
    del problem.reference
    problem.block["x"][:] += 0.5  # the reference is of another x now
    problem.block["dy"][:] += 1
    for direction in ("forward", "backward"):
        with pytest.raises(Failed, match="pact f32 1000: "):
            problem.check(direction)


@pytest.mark.slow
def test_quick(tmp_path):
    """Every kernel, in each direction that it has."""
    import kernels
    rows, _ = run(tmp_path, "--quick")
    check_form(rows)
    seen = {(r["kernel"], r["direction"]) for r in rows if r["impl"] == "quant_ste"}
    assert seen == {(k.name, d) for k in kernels.KERNELS for d in k.directions}
