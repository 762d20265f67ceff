"""Quotients by a reciprocal have the bits of a division, on GPUs and, where
division=reciprocal asks for them, on CPUs."""
import functools
import platform

import numpy as np
import pytest

import emulation
import quant_ste_ctypes
from harness import assert_same_bits

if platform.machine() != "x86_64":
    pytest.skip("the emulated driver needs x86-64", allow_module_level=True)

TEXT = """
  #s = affine_map<(i, j) -> (AXIS)>
  #id = affine_map<(i, j) -> (i, j)>
  func.func @f(%x: tensor<?x?xf32>, %s: tensor<?xf32>) -> tensor<?x?xf32> {
    %q = linalg.generic {indexing_maps = [#id, #s, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x, %s : tensor<?x?xf32>, tensor<?xf32>) outs(%x : tensor<?x?xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %r = arith.divf %a, %b : f32
      linalg.yield %r : f32
    } -> tensor<?x?xf32>
    return %q : tensor<?x?xf32>
  }"""


@functools.lru_cache(maxsize=None)
def compiled(axis, target):
    text = TEXT.replace("AXIS", axis)
    if target == "gpu":
        return emulation.compile(text)
    return quant_ste_ctypes.compile(text, "division=reciprocal")


@pytest.fixture(params=["gpu", "cpu"], name="check")
def check_on(request):
    def check(x, s, axis="i"):
        with np.errstate(all="ignore"):
            want = x / (s[:, None] if axis == "i" else s)
        got, = compiled(axis, request.param).call(None, x, s)
        assert_same_bits(got, want, "quotient")
    return check


def divisors(rng, n):
    """Of all sizes, with mantissas at both ends, in the middle and anywhere."""
    ends = [0, 1, 2, 3, 0x7ffffe, 0x7fffff, 0x3504f3, 0x400000, 0x3fffff, 0x555555, 0x2aaaab]
    mantissa = np.concatenate([ends, rng.integers(0, 1 << 23, n)])
    exponent = rng.integers(-39, 40, mantissa.size)
    sign = rng.integers(0, 2, mantissa.size)
    bits = (sign << 31) | ((exponent + 127) << 23) | mantissa
    return bits.astype(np.uint32).view(np.float32)


def hardest(s, n):
    """Dividends whose quotients are closest to the middle between two floats:
    with s and the middle M as whole numbers of 24 and 25 bits, s M = x 2^25 + c
    for the smallest odd c of both signs."""
    whole = (s.view(np.uint32) & 0x7fffff | 0x800000).astype(np.uint64)[:, None]
    inverse = whole  # modulo 2^25, by Newton's iteration from 3 bits
    for _ in range(4):
        inverse = inverse * (2 - whole * inverse) % (1 << 25)
    c = (np.arange(n).astype(np.int64) - n // 2) * 2 + 1
    middle = inverse * c.astype(np.uint64) % (1 << 25)
    x = (whole * middle).astype(np.int64) - c >> 25
    assert ((x << 25) + c == (whole * middle).astype(np.int64)).all() and (x < 1 << 24).all()
    return np.where(middle >= 1 << 24, x, 1).astype(np.float32)


def test_closest_to_a_tie(check):
    rng = np.random.default_rng(1)
    s = divisors(rng, 5000)
    s = s[s.view(np.uint32) % 2 == 1]
    x = hardest(s, 64)
    check(x, s)
    check(np.ldexp(x, rng.integers(-70, 40, x.shape)).astype(np.float32), s)


def test_exact_quotients(check):
    rng = np.random.default_rng(2)
    s = divisors(rng, 50)
    q = np.ldexp(rng.integers(-4096, 4096, (s.size, 1027)), rng.integers(-30, 30, (s.size, 1027)))
    check((q * s[:, None].astype(np.float64)).astype(np.float32), s)


@pytest.mark.parametrize("axis", ["i", "j"])
def test_any_bits(axis, check):
    """Zeros, subnormals, infinities, NaNs, and all that overflows or underflows."""
    rng = np.random.default_rng(3)
    special = np.array([0, -0.0, 1e-45, -1e-45, 1e-38, 2**-126, 2**-80, 2**-81, 2**80, 2**81, 3e38,
                        np.inf, -np.inf, np.nan, 2**-40, 2**-41, 2**40, 2**41, 1, -1], np.float32)
    s = np.concatenate([special, rng.integers(0, 1 << 32, 44, np.uint32).view(np.float32)])
    x = rng.integers(0, 1 << 32, (64, 64), np.uint32).view(np.float32)
    check(x, s, axis)
    # Few of them among many others.
    x = rng.standard_normal((64, 2048)).astype(np.float32)
    x.flat[rng.integers(0, x.size, 2000)] = rng.choice(special, 2000)
    check(x, s if axis == "i" else np.resize(s, 2048), axis)
    # Zeros stay in the product, with their signs.
    check(np.where(rng.random(x.shape) < 0.5, np.float32(0), np.float32(-0.0)),
          divisors(rng, x.shape[axis == "j"] - 11), axis)
