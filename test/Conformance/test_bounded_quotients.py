"""Quotients of clamped whole numbers, by a reciprocal where the processor has fused
multiply-adds: the bits of the division, for bounds of all sizes, signs and kinds."""
import functools

import numpy as np
import pytest

import quant_ste_ctypes
from harness import assert_same_bits

N = 64 * 33 + 5  # whole vectors, and a rest that is divided by the instruction


@functools.lru_cache(maxsize=None)
def compiled(rounding):
    return quant_ste_ctypes.compile(f"""
func.func @f(%x: tensor<?xf32>, %low: f32, %high: f32, %factor: f32, %divisor: f32)
    -> tensor<?xf32> {{
  %e = tensor.empty(%n) : tensor<?xf32>
  %y = linalg.generic {{indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
      iterator_types = ["parallel"]}} ins(%x : tensor<?xf32>) outs(%x : tensor<?xf32>) {{
  ^bb0(%v: f32, %o: f32):
    %below = arith.cmpf olt, %v, %low : f32
    %raised = arith.select %below, %low, %v : f32
    %above = arith.cmpf ogt, %raised, %high : f32
    %clamped = arith.select %above, %high, %raised : f32
    %position = arith.mulf %clamped, %factor : f32
    %whole = math.{rounding} %position : f32
    %q = arith.divf %whole, %divisor : f32
    linalg.yield %q : f32
  }} -> tensor<?xf32>
  return %y : tensor<?xf32>
}}""".replace("  %e = tensor.empty(%n) : tensor<?xf32>\n", ""))


ROUNDINGS = {"roundeven": np.rint, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc}


def check(rounding, x, low, high, factor, divisor):
    with np.errstate(all="ignore"):
        low, high, factor, divisor = (np.float32(v) for v in (low, high, factor, divisor))
        raised = np.where(x < low, low, x)
        clamped = np.where(raised > high, high, raised)
        want = ROUNDINGS[rounding](clamped * factor) / divisor
    got, = compiled(rounding).call("f", x, low, high, factor, divisor)
    assert_same_bits(got, want, f"{rounding}, {low}, {high}, {factor}, {divisor}")


SPECIAL = np.float32([0.0, -0.0, np.nan, np.inf, -np.inf, 0.4999999, -0.4999999, 0.5, 1.5,
                      -2.5, 1e-45, -1e-45, 1e-38, 3.4e38, -3.4e38, 2.0 ** 79, -2.0 ** 81])
NUMBERS = [0.0, -0.0, 1.0, -1.0, 15.0, 0.3, 2.0 ** -41, 2.0 ** -40, 2.0 ** 40, -2.0 ** 41,
           2.0 ** 79, 2.0 ** 100, 1e-45, 1e-38, 3e38, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_bounds_of_all_kinds(rounding):
    rng = np.random.default_rng(0)
    x = np.concatenate([SPECIAL, rng.normal(size=N - SPECIAL.size) * 20]).astype(np.float32)
    with np.errstate(all="ignore"):
        huge = x * np.float32(1e30)
    for divisor in NUMBERS:
        check(rounding, x, -8.0, 7.0, 1.0, divisor)
        check(rounding, x, 0.0, divisor, 15.0 / divisor if divisor else 1.0, divisor)
    for high in NUMBERS:
        check(rounding, x, -high, high, 3.0, 0.7)
        check(rounding, huge, high, -high, 1e20, 3.0)
    for factor in NUMBERS:
        check(rounding, x, -8.0, 7.0, factor, 0.7)


def test_whole_numbers_of_all_sizes():
    """Any number of 24 bits by any divisor, with exponents over all of the range."""
    rng = np.random.default_rng(1)
    for exponent in range(0, 100, 3):
        whole = rng.integers(-(1 << 24), 1 << 24, N).astype(np.float32)
        whole *= np.float32(2.0 ** max(exponent - 24, 0))
        for _ in range(4):
            divisor = np.float32(rng.uniform(1, 2) * 2.0 ** rng.integers(-42, 42))
            check("roundeven", whole, -3e38, 2.0 ** exponent, 1.0, divisor)
            check("roundeven", whole, -2.0 ** exponent, 2.0 ** exponent, 1.0, divisor)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_activations(bits):
    """PACT's forward, for each of many bounds, at and between its steps."""
    module = quant_ste_ctypes.compile(f"""
func.func @f(%x: tensor<?xf32>, %alpha: tensor<f32>) -> tensor<?xf32> {{
  %y = quant_ste.pact %x, %alpha bits({bits}) grad(pact) : tensor<?xf32>, tensor<f32>
  return %y : tensor<?xf32>
}}""")
    rng = np.random.default_rng(bits)
    for _ in range(300):
        alpha = np.float32(rng.uniform(1, 2) * 2.0 ** rng.integers(-38, 36))
        x = (rng.integers(-2, 2 * 2 ** bits + 4, N) / np.float32(2)).astype(np.float32)
        x *= alpha / np.float32(2 ** bits - 1)
        steps = np.float32(1) / alpha * np.float32(2 ** bits - 1)
        with np.errstate(all="ignore"):
            clipped = np.where(x < 0, np.float32(0), x)
            clipped = np.where(clipped > alpha, alpha, clipped)
            want = np.rint(clipped * steps) / steps
        got, = module.call("f", x, np.array(alpha))
        assert_same_bits(got, want, f"alpha {alpha}")
