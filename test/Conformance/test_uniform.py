"""quant_ste.uniform against Philox 4x32-10 in NumPy, and that against its vectors."""
import itertools

import numpy as np
import pytest

import quant_ste_ctypes
from harness import assert_same_bits

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
MASK = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)


def philox(counter, key):
    """Four words from four and two: arrays of uint64 that hold 32 bits each."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * np.uint64(MULTIPLIERS[0]), c2 * np.uint64(MULTIPLIERS[1])
        c0, c1, c2, c3 = (p1 >> SHIFT) ^ c1 ^ k0, p1 & MASK, (p0 >> SHIFT) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + np.uint64(WEYL[0])) & MASK, (k1 + np.uint64(WEYL[1])) & MASK
    return c0, c1, c2, c3


def words(v):
    v = np.asarray(v, np.uint64)
    return v & MASK, v >> SHIFT


def uniform_at(seed, step, index):
    all_words = philox((*words(index >> np.uint64(2)), *words(step)), words(seed))
    word = np.choose((index & np.uint64(3)).astype(int), all_words)
    return ((word >> np.uint64(8)).astype(np.float64) / 2 ** 24).astype(np.float32)


def uniform(seed, step, count):
    return uniform_at(*(np.int64(v).view(np.uint64) for v in (seed, step)),
                      np.arange(count, dtype=np.uint64))


def test_published_vectors():
    """philox4x32 10 in kat_vectors of Random123."""
    for counter, key, want in (
            ("00000000 00000000 00000000 00000000", "00000000 00000000",
             "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
            ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
             "408f276d 41c83b0e a20bc7c6 6d5451fd"),
            ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
             "d16cfe09 94fdcceb 5001e420 24126ea1")):
        counter, key, want = ([np.uint64(int(w, 16)) for w in s.split()]
                              for s in (counter, key, want))
        assert list(philox(counter, key)) == want


SHAPES = [(), (1,), (7,), (1003,), (5, 33), (3, 1, 70), (0, 4), (2, 3, 5, 17)]
NUMBERS = [(0, 0), (1, 2 ** 40 + 3), (-1, -1), (0x299F31D0A4093822, 0x0370734413198A2E)]


def program(shape, dynamic):
    sizes = ["?" if is_dynamic else str(n) for n, is_dynamic in zip(shape, dynamic)]
    dims = [d for d, is_dynamic in enumerate(dynamic) if is_dynamic]
    kind = f"tensor<{''.join(s + 'x' for s in sizes)}f32>"
    args = "".join(f", %d{d}: index" for d in dims)
    given = f" sizes({', '.join(f'%d{d}' for d in dims)})" if dims else ""
    return f"""
func.func @f(%seed: i64, %step: i64{args}) -> {kind} {{
  %u = quant_ste.uniform seed(%seed) step(%step){given} : {kind}
  return %u : {kind}
}}
"""


@pytest.mark.parametrize("reference", (False, True), ids=("compiled", "reference"))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_elements(shape, reference):
    for dynamic in itertools.product((False, True), repeat=min(len(shape), 2)):
        dynamic += (False,) * (len(shape) - len(dynamic))
        module = quant_ste_ctypes.compile(program(shape, dynamic), reference=reference)
        sizes = [np.array(n, np.int64) for n, is_dynamic in zip(shape, dynamic) if is_dynamic]
        for seed, step in NUMBERS:
            got, = module.call("f", np.array(seed, np.int64), np.array(step, np.int64), *sizes)
            want = uniform(seed, step, int(np.prod(shape))).reshape(shape)
            assert_same_bits(got, want, f"{shape} {dynamic} seed {seed} step {step}")


def test_stochastic_rounding():
    """Fused with its user and computed again for the gradient: the same bits. The
    mean of what was rounded is what it was rounded from."""
    module = quant_ste_ctypes.compile("""
func.func @round(%x: tensor<?x?xf32>, %seed: i64, %step: i64) -> tensor<?x?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = tensor.dim %x, %c0 : tensor<?x?xf32>
  %m = tensor.dim %x, %c1 : tensor<?x?xf32>
  %u = quant_ste.uniform seed(%seed) step(%step) sizes(%n, %m) : tensor<?x?xf32>
  %y = quant_ste.stochastic_round %x, %u axes([0, 1]) grad(ewgs(0.5))
    : tensor<?x?xf32>, tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}
func.func @f(%x: tensor<?x?xf32>, %seed: i64, %step: i64, %dy: tensor<?x?xf32>)
    -> (tensor<?x?xf32>, tensor<?x?xf32>) {
  %r:2 = quant_ste.vjp @round(%x, %seed, %step) cotangents(%dy) wrt [0]
    : (tensor<?x?xf32>, i64, i64), (tensor<?x?xf32>) -> (tensor<?x?xf32>, tensor<?x?xf32>)
  return %r#0, %r#1 : tensor<?x?xf32>, tensor<?x?xf32>
}
""")
    shape = (301, 333)
    x = np.full(shape, 0.3, np.float32)
    dy = np.ones(shape, np.float32)
    for step in (0, 1):
        y, dx = module.call("f", x, np.array(7, np.int64), np.array(step, np.int64), dy)
        u = uniform(7, step, x.size).reshape(shape)
        want = np.where(u < x, np.float32(1), np.float32(0))
        assert_same_bits(y, want, "y")
        assert_same_bits(dx, dy * (1 + np.float32(0.5) * (x - want)), "dx")
        # Four standard deviations of the mean.
        assert abs(y.mean() - 0.3) < 4 * np.sqrt(0.21 / x.size)
