"""Where scales start and how they are observed: against NumPy, Brevitas, torch."""
import numpy as np
import pytest

import oracle
import quant_ste_ctypes
from harness import DTYPES, assert_same_bits, tensor
from test_statistics import SHAPES, groups


def one(op, words, size, axes, dtype, extra=""):
    """A module with the op on x and, if `extra`, an operand of its result's type."""
    x, y = tensor(len(size), dtype), tensor(len(axes), dtype)
    along = f" axes({list(axes)})" if axes else ""
    more = (f", %{extra}: {y}", f", %{extra}", f", {y}") if extra else ("", "", "")
    return quant_ste_ctypes.compile(f"""
func.func @op(%x: {x}{more[0]}) -> {y} {{
  %y = quant_ste.{op} %x{more[1]}{along} {words} grad(detached) : {x}{more[2]} -> {y}
  return %y : {y}
}}
""")


# Percentiles.

def ordered(x):
    """Ascending along the last axis: NaN last, -0 before +0."""
    order = np.lexsort((~np.signbit(x), x.astype(np.float64)), axis=-1)
    return np.take_along_axis(x, order, axis=-1)


def percentile(x, axes, q, rank, of_magnitudes):
    x, _ = groups(np.abs(x) if of_magnitudes else x, axes)
    n = x.shape[-1]
    if n == 0:
        return np.full(x.shape[:-1], np.nan, x.dtype)
    k = np.floor(0.01 * q * n + 0.5) if rank == "nearest" else np.ceil(0.01 * q * n)
    return ordered(x)[..., int(min(max(k, 1), n)) - 1]


PERCENTILES = [(50.0, "nearest", False), (99.9, "nearest", True), (3.0, "ceil", False),
               (0.0, "ceil", True), (100.0, "nearest", False)]


@pytest.mark.parametrize("q, rank, magnitudes", PERCENTILES)
@pytest.mark.parametrize("shape, dtype", [(s, "f32") for s in SHAPES if s != "large"] + [
    ("per channel, last axis", d) for d in ("f16", "bf16", "f64")])
def test_percentile(shape, dtype, q, rank, magnitudes):
    size, axes = SHAPES[shape]
    rng = np.random.default_rng(4)
    x = np.asarray(rng.standard_normal(size) * 10.0 ** rng.integers(-6, 6, size))
    flat = x.reshape(-1)
    for value, every in ((np.nan, 31), (-np.nan, 57), (0.0, 7), (-0.0, 11), (np.inf, 41),
                         (-np.inf, 43)):
        flat[3::every] = value
    with np.errstate(over="ignore"):
        x = x.astype(DTYPES[dtype])
    words = f"{'of_magnitudes ' * magnitudes}q({q}) rank({rank})"
    got, = one("percentile", words, size, axes, dtype).call("op", x)
    want = np.asarray(percentile(x, axes, q, rank, magnitudes), x.dtype)
    assert_same_bits(got, want, f"percentile {words} {shape} {dtype}")


def brevitas_stats(name, **arguments):
    pytest.importorskip("brevitas", reason="Brevitas is not installed")
    from brevitas.core.stats import stats_op
    return getattr(stats_op, name)(**arguments)


@pytest.mark.parametrize("axes", ((), (0,)), ids=("per tensor", "per channel"))
def test_percentile_of_brevitas(axes):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    x = np.random.default_rng(5).standard_normal((7, 333)).astype(np.float32)
    over = {"stats_reduce_dim": 1 if axes else None}
    for op, words, name, given in (
            ("percentile", "of_magnitudes q(99.7)", "AbsPercentile",
             {"high_percentile_q": 99.7}),
            ("percentile", "q(1.5) rank(ceil)", "NegativePercentileOrZero",
             {"low_percentile_q": 1.5})):
        want = brevitas_stats(name, **given, **over)(torch.from_numpy(x)).numpy()
        got, = one(op, words, x.shape, axes, "f32").call("op", x)
        assert_same_bits(got, want.reshape(got.shape), name)


# The scale of least squared error.

def candidates(start, n, wide):
    start = start.astype(wide)
    base = start / wide.type(n)
    return [base + (start - base) * (wide.type(i) / wide.type(n - 1)) for i in range(n)]


def squared_error(x, scale, qmin, qmax):
    with np.errstate(all="ignore"):
        q = oracle.torch_clamp(np.rint(x / scale), qmin, qmax) * scale
        return ((x - q).astype(np.float64) ** 2).sum(axis=-1)


def mse_scale(x, start, axes, qmin, qmax, n):
    wide = np.dtype(np.float64 if x.dtype == np.float64 else np.float32)
    grouped, _ = groups(x.astype(wide), axes)
    best, least = start.astype(wide), np.full(start.shape, np.inf)
    for scale in candidates(start, n, wide):
        error = squared_error(grouped, scale[..., None], qmin, qmax)
        best = np.where(error < least, scale, best)
        least = np.where(error < least, error, least)
    return best.astype(x.dtype)


@pytest.mark.parametrize("shape, dtype", [(s, "f32") for s in SHAPES if s != "large"] + [
    ("per channel, last axis", d) for d in ("f16", "bf16", "f64")])
@pytest.mark.parametrize("qmin, qmax, n", ((-7, 7, 20), (0, 15, 7)))
def test_mse_scale(shape, dtype, qmin, qmax, n):
    size, axes = SHAPES[shape]
    x = np.asarray(np.random.default_rng(6).standard_normal(size)).astype(DTYPES[dtype])
    over, _ = groups(np.abs(x), axes)
    start = np.asarray(over.max(axis=-1, initial=0) / x.dtype.type(qmax), x.dtype)
    if start.ndim:
        start[..., :1] = 0
    words = f"qmin({qmin}) qmax({qmax}) candidates({n})"
    got, = one("mse_scale", words, size, axes, dtype, "start").call("op", x, start)
    assert_same_bits(got, np.asarray(mse_scale(x, start, axes, qmin, qmax, n)),
                     f"mse_scale {words} {shape} {dtype}")


@pytest.mark.parametrize("axes", ((), (0,)), ids=("per tensor", "per channel"))
def test_mse_scale_of_brevitas(axes):
    """The library's search with the same losses: its grid is rounded elsewhere."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("brevitas", reason="Brevitas is not installed")
    from brevitas.core.stats.stats_op import mse_grid_search
    x = np.random.default_rng(7).standard_t(3, (9, 501)).astype(np.float32)
    grouped, _ = groups(x, axes)
    start = (np.abs(grouped).max(axis=-1) / np.float32(7)).astype(np.float32)
    loss = lambda scale: torch.from_numpy(np.asarray(
        squared_error(grouped, scale.numpy()[..., None], -7, 7)))
    high = torch.from_numpy(np.asarray(start))
    want, _ = mse_grid_search(high / 20, high, loss, 20)
    got, = one("mse_scale", "qmin(-7) qmax(7) candidates(20)", x.shape, axes, "f32",
               "start").call("op", x, start)
    np.testing.assert_array_max_ulp(got, want.numpy(), 4)


# torch's observers.

def observer(qmin, qmax, words, axes, c):
    """One step of torch.fused_moving_avg_obs_fake_quant as a composition."""
    x, s = "tensor<?x?xf32>", tensor(len(axes), "f32")
    along = f" axes({list(axes)})" if axes else ""
    beside = " axes([0])" if axes else ""
    state = ", ".join([s] * 4)
    return quant_ste_ctypes.compile(f"""
func.func @step(%x: {x}, %min: {s}, %max: {s}) -> ({x}, {state}) {{
  %low = quant_ste.minimum %x{along} grad(first) : {x} -> {s}
  %high = quant_ste.maximum %x{along} grad(first) : {x} -> {s}
  %a = quant_ste.moving_average %min, %low{beside} constant({c}) grad(detached) : {s}, {s}
  %b = quant_ste.moving_average %max, %high{beside} constant({c}) grad(detached) : {s}, {s}
  %scale = quant_ste.choose_qparams_scale %a, %b{beside} qmin({qmin}) qmax({qmax}) {words}
    grad(detached) : {s}, {s}
  %zero = quant_ste.choose_qparams_zero_point %a, %b{beside} qmin({qmin}) qmax({qmax}) {words}
    grad(detached) : {s}, {s}
  %y = quant_ste.fake_quantize %x, %scale{along}, %zero{along} qmin({qmin}) qmax({qmax})
    multiply_masks grad(clipped) : {x}, {s}, {s}
  return %y, %a, %b, %scale, %zero : {x}, {state}
}}
func.func @f(%x: {x}, %min: {s}, %max: {s}, %dy: {x}, %none: {s}) -> ({x}, {state}, {x}) {{
  %r:6 = quant_ste.vjp @step(%x, %min, %max) cotangents(%dy, %none, %none, %none, %none) wrt [0]
    : ({x}, {s}, {s}), ({x}, {state}) -> ({x}, {state}, {x})
  return %r#0, %r#1, %r#2, %r#3, %r#4, %r#5 : {x}, {state}, {x}
}}
""")


@pytest.mark.parametrize("symmetric", (False, True), ids=("affine", "symmetric"))
@pytest.mark.parametrize("qmin, qmax", ((-128, 127), (0, 255), (-8, 7)))
@pytest.mark.parametrize("axes", ((), (0,)), ids=("per tensor", "per channel"))
def test_fused_observer(axes, qmin, qmax, symmetric):
    """Bit for bit, over steps that hand the state on."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    module = observer(qmin, qmax, "symmetric" if symmetric else "", axes, 0.1)
    rng = np.random.default_rng(11)
    channels = 6
    size = (channels,) if axes else ()
    low, high = np.full(size, np.inf, np.float32), np.full(size, -np.inf, np.float32)
    count = channels if axes else 1
    state = [torch.full((count,), v) for v in (np.inf, -np.inf)]
    scale, zero = torch.ones(count), torch.zeros(count, dtype=torch.int32)
    on = torch.ones(1, dtype=torch.int64)
    for step in range(40):
        x = rng.standard_normal((channels, 50)) * 10.0 ** rng.integers(-7, 4, (channels, 1))
        shift = rng.choice([0, 0.5, 4, -4], (channels, 1)) * np.abs(x).max(-1, keepdims=True)
        x = (x + shift).astype(np.float32) if step else np.zeros((channels, 50), np.float32)
        dy = rng.standard_normal(x.shape).astype(np.float32)
        dy[0, :3] = np.inf, -np.inf, np.nan
        y, low, high, s, z, dx = module.call("f", x, low, high, dy, np.zeros(size, np.float32))
        tx = torch.from_numpy(x.copy()).requires_grad_()
        want = torch.fused_moving_avg_obs_fake_quant(
            tx, on, on, *state, scale, zero, 0.1, qmin, qmax, 0, bool(axes), symmetric)
        want.backward(torch.from_numpy(dy))
        for name, got, expected in (
                ("min", low, state[0]), ("max", high, state[1]), ("scale", s, scale),
                ("zero point", z, zero.to(torch.float32)), ("y", y, want), ("dx", dx, tx.grad)):
            assert_same_bits(got, expected.detach().numpy().reshape(got.shape),
                             f"step {step} {name}")


def choose(qmin, qmax, words):
    s = "tensor<?xf32>"
    op = "quant_ste.choose_qparams_{} %min, %max axes([0]) " + (
        f"qmin({qmin}) qmax({qmax}) {words} grad(detached) : {s}, {s}")
    return quant_ste_ctypes.compile(f"""
func.func @f(%min: {s}, %max: {s}) -> ({s}, {s}) {{
  %scale = {op.format("scale")}
  %zero = {op.format("zero_point")}
  return %scale, %zero : {s}, {s}
}}
""")


def ranges(count):
    rng = np.random.default_rng(12)
    ends = rng.standard_normal((2, count)) * 10.0 ** rng.integers(-9, 9, (2, count))
    ends[:, ::5] *= 0
    ends[0, 1::7] = 0
    ends[1, 2::7] = 0
    ends[1, 3::7] = -ends[0, 3::7]
    return np.sort(ends.astype(np.float32), axis=0)


@pytest.mark.parametrize("symmetric", (False, True), ids=("affine", "symmetric"))
@pytest.mark.parametrize("qmin, qmax", ((-128, 127), (0, 255), (-8, 7), (-127, 127)))
def test_choose_qparams(qmin, qmax, symmetric):
    """20000 ranges through ATen and FBGEMM, as the fused op calls them."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    low, high = ranges(20000)
    words = "symmetric" if symmetric else ""
    got_scale, got_zero = choose(qmin, qmax, words).call("f", low, high)
    off, on = torch.zeros(1, dtype=torch.int64), torch.ones(1, dtype=torch.int64)
    scale, zero = torch.ones(low.size), torch.zeros(low.size, dtype=torch.int32)
    torch.fused_moving_avg_obs_fake_quant(
        torch.zeros(low.size, 1), off, on, torch.from_numpy(low.copy()),
        torch.from_numpy(high.copy()), scale, zero, 0.1, qmin, qmax, 0, True, symmetric)
    assert_same_bits(got_scale, scale.numpy(), "scale")
    assert_same_bits(got_zero, zero.to(torch.float32).numpy(), "zero point")


@pytest.mark.parametrize("symmetric", (False, True), ids=("affine", "symmetric"))
@pytest.mark.parametrize("qmin, qmax", ((-128, 127), (0, 255)))
def test_observer(qmin, qmax, symmetric):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from torch.ao.quantization import PerChannelMinMaxObserver
    scheme = torch.per_channel_symmetric if symmetric else torch.per_channel_affine
    made = PerChannelMinMaxObserver(dtype=torch.qint8 if qmin else torch.quint8, qscheme=scheme)
    low, high = ranges(20000)
    scale, zero = made._calculate_qparams(torch.from_numpy(low.copy()), torch.from_numpy(high.copy()))
    words = f"{'symmetric ' * symmetric}observer"
    got = choose(qmin, qmax, words).call("f", low, high)
    assert_same_bits(got[0], scale.numpy(), "scale")
    assert_same_bits(got[1], zero.to(torch.float32).numpy(), "zero point")


@pytest.mark.parametrize("weighted", (False, True), ids=("torch", "Brevitas"))
def test_moving_average(weighted):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    s = "tensor<?xf32>"
    module = quant_ste_ctypes.compile(f"""
func.func @f(%state: {s}, %x: {s}) -> {s} {{
  %y = quant_ste.moving_average %state, %x axes([0]) constant(0.1) {'weighted ' * weighted}
    grad(detached) : {s}, {s}
  return %y : {s}
}}
""")
    state, x = np.random.default_rng(13).standard_normal((2, 5000)).astype(np.float32)
    got, = module.call("f", state, x)
    if weighted:
        pytest.importorskip("brevitas", reason="Brevitas is not installed")
        from brevitas.core.utils import inplace_momentum_update
        want = inplace_momentum_update(torch.from_numpy(state.copy()), torch.from_numpy(x), 0.1, 1, 2)
    else:
        old = torch.from_numpy(state)
        want = old + 0.1 * (torch.from_numpy(x) - old)
    assert_same_bits(got, want.numpy(), "moving average")
