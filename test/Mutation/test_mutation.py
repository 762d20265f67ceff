"""mutate.py: the mutants of a small header, and the verdict on real ones."""
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))
from mutants import Header

SOURCE = """
struct LineRule {
  template <class S> S forward(S x, S a) const {
    auto above = x > a; // a comment > here
    return select(above, a, S(0.0));
  }
  template <class S> std::array<Partial<S>, 2> partials(S x, S a, S) const {
    if (flag)
      return {one<S>(), zero<S>()};
    auto above = x > a;
    return {mask<S>(above), value<S>(-a)};
  }
  template <class S> S surrogate(S x, S a) const { return x + a; }
};
"""


def mutated(function):
    return [(m.original, m.mutated) for m in Header("Line.h", SOURCE, 1).mutants
            if m.function == "LineRule::" + function]


def test_mutants_of_forward():
    assert mutated("forward") == [
        ("auto above = x > a;", f"auto above = {text};")
        for text in ("a > a", "x >= a", "x < a", "x > x")] + [
        ("return select(above, a, S(0.0));", f"return {text};") for text in (
            "select(above, S(0.0), a)", "(a)", "(S(0.0))",
            "(a * select(above, S(1.0), S(0.0)))", "select(below, a, S(0.0))",
            "select(above, x, S(0.0))", "select(above, a, S(1.0))", "select(above, a, S(-0.0))",
            "-(select(above, a, S(0.0)))")]


def test_a_mask_becomes_a_factor():
    texts = [text for _, text in mutated("partials")]
    assert ("return {value<S>(select(above, S(1.0), S(0.0))), value<S>(-a)};" in texts)
    assert "if (!(flag))" in texts
    assert "return {one<S>(), one<S>()};" in texts


def test_surrogates_are_left_alone():
    assert not mutated("surrogate")


def test_mutants_left_out():
    header = Header("Line.h", SOURCE, 1)
    assert "/*@1*/" in header.text() and "/*@1*/" not in header.text({1})


def mutate(*arguments):
    build = pathlib.Path(os.environ["QUANT_STE_C_LIBRARY"]).resolve().parents[1]
    compiler = next(line.split("=", 1)[1]
                    for line in (build / "CMakeCache.txt").read_text().splitlines()
                    if line.startswith("CMAKE_CXX_COMPILER:"))
    return subprocess.run(
        [sys.executable, str(HERE / "mutate.py"), "--cxx", compiler,
         "--rule-dump", str(build / "bin" / "quant-ste-rule-dump"), *arguments],
        capture_output=True, text=True, timeout=1200)


def test_one_header():
    done = mutate("--rule", "Sign.h")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 survived, 0 stale" in done.stdout


def test_survivors_and_stale_reasons_fail(tmp_path):
    reasons = tmp_path / "equivalent.txt"
    reasons.write_text("Pact.h PactRule::forward: not so\n"
                       "- return whole / steps;\n+ return whole * steps;\n")
    done = mutate("--rule", "Pact.h", "--equivalents", str(reasons))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "survived, in PactRule::forward\n- S inverse = S(1.0) / alpha;\n+ " in done.stdout
    assert "no survivor, Pact.h PactRule::forward\n- return whole / steps;" in done.stdout


@pytest.mark.slow
def test_every_header():
    done = mutate()
    assert done.returncode == 0, done.stdout + done.stderr
