"""Every f16 and every bf16 value through every case, forward and gradients.

Against the oracle, in f32 and rounded once: 0 mismatches, or within the bound that
the case has.
"""
import itertools

import numpy as np
import pytest

import cases
from harness import DTYPES, assert_result, expect, run

def every_input(case, dtype):
    """All bit patterns, once for each setting of the parameters."""
    x = np.arange(1 << 16, dtype=np.uint16).view(DTYPES[dtype])
    choices = cases.parameter_values(case)
    # Each parameter takes each of its values; not each pair of values.
    count = max(map(len, choices), default=1)
    settings = list(itertools.islice(zip(*map(itertools.cycle, choices)), count))
    params = [np.repeat(np.array(p), x.size).astype(x.dtype) for p in zip(*settings)]
    x = np.tile(x, count)
    return x, params, np.resize(np.array(cases.COTANGENTS), x.shape).astype(x.dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ("f16", "bf16"))
@pytest.mark.parametrize("case", cases.every(), ids=str)
def test_every_value(case, dtype):
    x, params, dy = every_input(case, dtype)
    axes = [(0,)] * len(params)
    y, terms = expect(case, x, params, axes, dy, stated=True)
    got = run(case, x, params, axes, dy)
    for name, want in [("y", y)] + [(n, terms[n]) for n in case.differentiable]:
        assert_result(case, name, got[name], want, dy)
