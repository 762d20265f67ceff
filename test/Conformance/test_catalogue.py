"""Every quantizer of cases.CATALOGUE against the oracle: forward, every gradient.

A new quantizer is a line there; nothing here names one.
"""
import numpy as np
import pytest

import cases
from harness import DTYPES, assert_result, assert_same_bits, assert_sum, expect, run


def types(*quick):
    """Every type; those that are not `quick` are left to the slow suites."""
    return [d if d in quick else pytest.param(d, marks=pytest.mark.slow) for d in DTYPES]


WITH_PARAMETERS = [c for c in cases.CATALOGUE if len(c.differentiable) > 1]


def per_element(case, x, dtype):
    """Each value of each parameter meets many x; strides keep them apart."""
    turns = np.arange(x.size).reshape(x.shape)
    return [np.take(np.array(values), (turns * (2 * i + 3) + turns // 7) % len(values))
            .astype(DTYPES[dtype]) for i, values in enumerate(case.values)]


@pytest.mark.parametrize("dtype", types("f32", "f16"))
@pytest.mark.parametrize("case", cases.CATALOGUE, ids=str)
def test_per_element(case, dtype):
    x = cases.adversarial(dtype)
    dy = cases.cotangent(x.shape, dtype)
    params = per_element(case, x, dtype)
    axes = [(0,)] * len(params)
    y, terms = expect(case, x, params, axes, dy)
    got = run(case, x, params, axes, dy)
    assert_result(case, "y", got["y"], y, dy)
    for name in case.differentiable:
        assert_result(case, name, got[name], terms[name], dy)


GRANULARITIES = {
    "per tensor": ((37, 53), ()),
    "per channel": ((7, 19, 23), (1,)),
    "per sample and channel": ((5, 7, 101), (0, 1)),
}


# Every granularity in f32; wide and mixed types for one.
SETTINGS = [(g, "f32", "f32") for g in GRANULARITIES] + [
    pytest.param("per channel", d, kind, marks=pytest.mark.slow)
    for d, kind in (("f64", "f64"), ("bf16", "f32"))]


@pytest.mark.parametrize("granularity, dtype, kind", SETTINGS)
@pytest.mark.parametrize("case", WITH_PARAMETERS, ids=str)
def test_sums(case, granularity, dtype, kind):
    """Gradients of shared parameters are sums of the oracle's terms."""
    if dtype != kind and "stepwise" in case.words.split():
        pytest.skip("stepwise takes parameters of the data's type")
    shape, axes = GRANULARITIES[granularity]
    rng = np.random.default_rng(3)
    x = (rng.standard_normal(shape) * 2).astype(DTYPES[dtype])
    dy = cases.cotangent(shape, dtype, finite=True)
    size = tuple(shape[a] for a in axes)
    params = [np.asarray(rng.choice(values, size)).astype(DTYPES[kind])
              for values in case.values]
    all_axes = [axes] * len(params)
    y, terms = expect(case, x, params, all_axes, dy)
    got = run(case, x, params, all_axes, dy)
    assert_result(case, "y", got["y"], y, dy)
    assert_result(case, "x", got["x"], terms["x"], dy)
    for name, a in zip(case.parameters, all_axes):
        if name in case.differentiable:
            # The bound of a sum leaves room for a few ULPs in each term; where
            # a term is itself a difference, it is measured by what cancels.
            _, cancelling = dict(case.within).get(name, (0, 0.0))
            size = np.abs(terms[name]) + cancelling * np.abs(dy.astype(terms[name].dtype))
            assert_sum(got[name], terms[name], a, f"{case} d{name}", size)


@pytest.mark.parametrize("dtype", ["f32", pytest.param("bf16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", cases.CATALOGUE, ids=str)
def test_readings_agree(case, dtype):
    """The rule read as IR and compiled, and read on constants, bit for bit."""
    x = cases.adversarial(dtype)[::5]
    dy = cases.cotangent(x.shape, dtype)
    params = per_element(case, x, dtype)
    axes = [(0,)] * len(params)
    got = run(case, x, params, axes, dy)
    want = run(case, x, params, axes, dy, reference=True)
    for name in want:
        assert_same_bits(got[name], want[name], f"{case} {name}")
