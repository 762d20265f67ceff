"""The whole table of quant_ste.torch on drawn shapes, strides, broadcasts, types and
choices of what requires a gradient, against the oracle of test/Conformance."""
import concurrent.futures
import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
hypothesis = pytest.importorskip("hypothesis", reason="hypothesis is not installed")
from hypothesis import strategies as st  # noqa: E402

import cases  # noqa: E402  of test/Conformance
from harness import assert_result, assert_sum, expect, quantizer  # noqa: E402
import quant_ste.torch as qt  # noqa: E402
from quant_ste.torch._table import OPS  # noqa: E402

DTYPES = {"f32": torch.float32, "f64": torch.float64, "f16": torch.float16,
          "bf16": torch.bfloat16}


@dataclasses.dataclass(frozen=True)
class Entry:
    """How an op is called, and what the oracle has for it."""

    call: object                    # (x, parameters...)
    case: object
    gradient: str = "oracle"        # of x: or "zero", "none"
    prepare: object = lambda x: x   # brings x into the op's domain
    extents: str = "any"            # of parameters: or "one", "channel"
    dtypes: tuple = tuple(DTYPES)
    ignores_zero_sign: bool = False  # masks of torch multiply, those of the oracle select


def positive(x):
    return np.abs(x) + 0.5


def catalogued(text):
    """A case of test/Conformance by its text, with finite values."""
    case = next(c for c in cases.every() if str(c) == text)
    values = tuple(tuple(v for v in vs if np.isfinite(v)) for vs in cases.parameter_values(case))
    return dataclasses.replace(case, values=values)


def closed(text):
    """The form that the dialect states, not the library's."""
    case = catalogued(text)
    return dataclasses.replace(case, oracle=case.stated)


ops, S = torch.ops.quant_ste, cases.SCALES
SIGN = {"signed": True, "narrow_range": False}

ENTRIES = {
    **{f"{name}_ste": Entry(getattr(qt, f"{name}_ste"), catalogued(f"{name} grad(ste)"))
       for name in ("round", "floor", "ceil", "round_to_zero", "dpu_round", "binary_sign",
                    "ternary_sign")},
    "binary_sign": Entry(qt.binary_sign, catalogued("binary_sign grad(ste)"), "none"),
    "round_to_zero": Entry(qt.round_to_zero, catalogued("round_to_zero grad(ste)"), "zero"),
    "dpu_round": Entry(qt.dpu_round, catalogued("dpu_round grad(ste)"), "zero"),
    "abs_binary_sign_grad": Entry(qt.abs_binary_sign_grad, quantizer(
        "abs_binary_sign_grad", "abs_binary_sign_grad", "stepwise")),
    "scalar_clamp_ste": Entry(lambda x: qt.scalar_clamp_ste(x, -1.0, 1.0),
                              catalogued("scalar_clamp min(-1.0) max(1.0) grad(ste)")),
    "scalar_clamp_min_ste": Entry(lambda x: qt.scalar_clamp_min_ste(x, -1.0),
                                  catalogued("scalar_clamp_min min(-1.0) grad(ste)")),
    "scalar_signed_clamp_min_ste": Entry(
        lambda x: qt.scalar_signed_clamp_min_ste(x, 0.7),
        catalogued("scalar_signed_clamp_min min(0.7) grad(ste)")),
    "tensor_clamp": Entry(qt.tensor_clamp, catalogued("tensor_clamp grad(exact)")),
    "tensor_clamp_ste": Entry(qt.tensor_clamp_ste, catalogued("tensor_clamp grad(ste)")),
    "max_int": Entry(lambda x: ops.max_int(x, True, False), dataclasses.replace(
        catalogued("max_int signed grad(exact)"), within=(("y", (2, 0)), ("x", (4, 0)))),
        prepare=positive),
    "min_int": Entry(lambda x: ops.min_int(x, True, False), dataclasses.replace(
        closed("min_int signed grad(exact)"), within=(("y", (2, 0)), ("x", (4, 0)))),
        prepare=positive),
    "int_quant": Entry(qt.int_quant, closed("int_quant signed rounding(round) grad(clipped)")),
    "decoupled_int_quant": Entry(
        lambda x, ps, pz, s, z, b: qt.decoupled_int_quant(x, ps, pz, s, z, b, grad="unfused"),
        catalogued("decoupled_int_quant signed rounding(round) grad(unfused)")),
    "trunc_int_quant": Entry(
        lambda x, *p: qt.trunc_int_quant(x, *p, rounding="round"),
        catalogued("trunc_int_quant signed rounding(round) grad(clipped)")),
    "binary_quant": Entry(qt.binary_quant, catalogued("binary_quant grad(ste)")),
    "clamped_binary_quant": Entry(qt.clamped_binary_quant,
                                  catalogued("clamped_binary_quant grad(clipped)")),
    "ternary_quant": Entry(lambda x, s: qt.ternary_quant(x, s, 0.5),
                           catalogued("ternary_quant threshold(0.5) grad(ste)")),
    "float_quant": Entry(qt.float_quant, catalogued(
        "float_quant format(e4m3_ocp) signed saturating grad(clipped)")),
    "power_of_two": Entry(qt.power_of_two, closed("power_of_two rounding(ceil) grad(ste)"),
                          prepare=positive),
    "stochastic_round_ste": Entry(qt.stochastic_round_ste,
                                  catalogued("stochastic_round grad(ste)")),
    "mx_scale": Entry(qt.mx_scale, catalogued("mx_scale element(e4m3_ocp) grad(ste)"),
                      prepare=positive),
    "sign": Entry(qt.SignFunction.apply, catalogued("binary_sign nan_positive grad(ste)")),
    "approx_sign": Entry(qt.ApproxSignFunction.apply, quantizer(
        "binary_sign", "approx_sign", "stepwise")),
    "ste_heaviside": Entry(qt.SteHeavisideFunction.apply, quantizer(
        "heaviside", "ste_heaviside", "stepwise")),
    "swish_sign": Entry(qt.SwishSignFunction.apply, quantizer(
        "binary_sign", "swish_sign", "stepwise", within={"x": (8, 5.0)}, beta=1.0),
        dtypes=("f32", "f64", "f16"), ignores_zero_sign=True),
    "progressive_sign": Entry(lambda x: qt.ProgressiveSignFunctionTrain.apply(x, 0.5), quantizer(
        "progressive_sign", "progressive_sign", "", temperature=0.5)),
    "input_dorefa": Entry(lambda x: qt.InputDoReFaFunction.apply(x, 2), quantizer(
        "dorefa", "dorefa_input", "stepwise", bits=2)),
    "dorefa": Entry(lambda x: qt.dorefa(x, 2), catalogued("dorefa bits(2) grad(dorefa)")),
    "weight_dorefa_given_max": Entry(
        lambda x, largest: qt.weight_dorefa_given_max(x, largest, 2), dataclasses.replace(
            catalogued("dorefa_weight bits(2) grad(ste)"),
            within=(("y", ("step", 2 / 3)),)), dtypes=("f32", "f64")),
    "pact": Entry(lambda x, alpha: qt.pact(x, alpha, 4), quantizer(
        "pact", "pact", "stepwise", {"alpha": (6.0, 1.0, 0.3)}, bits=4)),
    "fake_quantize_per_tensor_affine": Entry(
        lambda x, s, z: qt.fake_quantize_per_tensor_affine(x, s.detach(), z.detach(), -8, 7),
        quantizer("fake_quantize", "fake_quantize", "", {"scale": S, "zero_point": (0.0, 3.0)},
                  ("x",), qmin=-8, qmax=7, position="after"),
        extents="one", ignores_zero_sign=True),
    "fake_quantize_per_channel_affine": Entry(
        lambda x, s, z: qt.fake_quantize_per_channel_affine(
            x, s.detach().flatten(), z.detach().flatten(), _channel(s), -8, 7),
        quantizer("fake_quantize", "fake_quantize", "", {"scale": S, "zero_point": (0.0, 3.0)},
                  ("x",), qmin=-8, qmax=7, position="after"),
        extents="channel", ignores_zero_sign=True),
    "learnable_fake_quantize_per_tensor_affine": Entry(
        lambda x, s, z: qt._fake_quantize_learnable_per_tensor_affine(
            x, s, z, -128, 127, 0.5), quantizer(
                "learnable_fake_quantize", "learnable_fake_quantize", "",
                {"scale": S, "zero_point": (0.0, 2.5, -3.0)}, qmin=-128, qmax=127,
                grad_factor=0.5), extents="one", ignores_zero_sign=True),
    "learnable_fake_quantize_per_channel_affine": Entry(
        lambda x, s, z: qt._fake_quantize_learnable_per_channel_affine(
            x, s.flatten(), z.flatten(), _channel(s), -128, 127, 0.5), quantizer(
                "learnable_fake_quantize", "learnable_fake_quantize", "",
                {"scale": S, "zero_point": (0.0, 2.5, -3.0)}, qmin=-128, qmax=127,
                grad_factor=0.5), extents="channel", ignores_zero_sign=True),
    "lsq": Entry(lambda x, s: qt.lsq(x, s, -8, 7, 0.0334), catalogued(
        "lsq qmin(-8) qmax(7) grad_scale(0.0334) grad(lsq)")),
    "lsq_plus": Entry(lambda x, s, b: qt.lsq_plus(x, s, b, -8, 7, 0.0334), catalogued(
        "lsq_plus qmin(-8) qmax(7) grad_scale(0.0334) grad(lsq)")),
    "tqt": Entry(lambda x, t: qt.tqt(x, t, 8, True), catalogued("tqt bits(8) signed grad(tqt)")),
    "ewgs": Entry(lambda x: qt.ewgs(x, 4, 0.1), closed("ewgs levels(4) grad(ewgs(0.1))")),
}


def test_no_op_is_left_out():
    assert set(ENTRIES) == {op.name.partition(".")[0] for op in OPS}


#===----------------------------------------------------------------------===#
# What is drawn
#===----------------------------------------------------------------------===#


def _channel(p):
    """The dimension that a parameter of one channel runs along."""
    return next((d for d in range(p.dim()) if p.shape[d] != 1), 0)


@dataclasses.dataclass(frozen=True)
class Draw:
    shape: tuple[int, ...]
    order: tuple[int, ...]           # of x's dimensions in memory
    steps: tuple[int, ...]           # strides beyond dense ones; 0: all elements are one
    dy_order: tuple[int, ...]
    extents: tuple[tuple[bool, ...], ...]  # per parameter and dimension: does it run along
    leading: tuple[int, ...]         # per parameter: how many leading ones are left out
    wanted: tuple[bool, ...]         # requires_grad of x and the parameters
    dtype: str
    seed: int


@st.composite
def draws(draw, entry):
    count, least = len(entry.case.parameters), 1 if entry.extents == "channel" else 0
    rank = draw(st.integers(least, 4))
    shape = tuple(draw(st.integers(0, 4)) for _ in range(rank))
    order = tuple(draw(st.permutations(range(rank))))
    dy_order = tuple(draw(st.permutations(range(rank))))
    steps = tuple(draw(st.sampled_from((1, 1, 1, 2, 0))) for _ in range(rank))
    if entry.extents == "any":
        extents = tuple(tuple(draw(st.booleans()) for _ in range(rank)) for _ in range(count))
        leading = tuple(draw(st.integers(0, rank)) for _ in range(count))
    else:
        axis = draw(st.integers(0, rank - 1)) if entry.extents == "channel" else None
        extents = (tuple(d == axis for d in range(rank)),) * count
        leading = (0 if axis is not None else rank,) * count
    wanted = tuple(draw(st.booleans()) for _ in range(1 + count))
    return Draw(shape, order, steps, dy_order, extents, leading, wanted,
                draw(st.sampled_from(entry.dtypes)), draw(st.integers(0, 5)))


def strided(values, order, steps):
    """A tensor of these values whose dimensions lie in memory in another order, with gaps,
    an offset, or all in one place."""
    shape = values.shape
    sizes = [1 if steps[d] == 0 else shape[d] * steps[d] for d in order]
    base = torch.zeros([n + (i == 0) for i, n in enumerate(sizes)], dtype=values.dtype)
    view = base[1:] if sizes else base
    inverse = [order.index(d) for d in range(len(shape))]
    view = view.permute(inverse)
    for d, step in enumerate(steps):
        view = view[(slice(None),) * d + (slice(None, None, max(step, 1)),)]
    first = values[tuple(slice(0, 1) if s == 0 else slice(None) for s in steps)]
    if first.numel():
        view.copy_(first)
    return view.expand(shape) if all(n or s for n, s in zip(shape, steps)) else view.new_empty(
        shape)


def parameter(values, draw, i, rng):
    """One value for each place of the dimensions it runs along."""
    runs = draw.extents[i]
    shape = [n if along else 1 for n, along in zip(draw.shape, runs)]
    cut = 0
    while cut < min(draw.leading[i], len(shape)) and shape[cut] == 1 and not runs[cut]:
        cut += 1
    flat = rng.choice(np.array(values), shape)
    return torch.from_numpy(np.asarray(flat)).to(DTYPES[draw.dtype]).reshape(shape[cut:])


def numpy_of(t):
    t = t.detach().contiguous()
    if t.dtype == torch.bfloat16:
        import ml_dtypes
        return t.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return t.numpy()


@dataclasses.dataclass
class Ran:
    x: object
    parameters: list
    dy: object
    y: object
    gradients: list


def execute(entry, draw):
    rng = np.random.default_rng(draw.seed)
    values = entry.prepare(np.round(rng.standard_normal(draw.shape) * 40) / 16)
    x = strided(torch.from_numpy(np.asarray(values)).to(DTYPES[draw.dtype]), draw.order,
                draw.steps)
    parameters = [parameter(v, draw, i, rng) for i, v in enumerate(entry.case.values)]
    operands = [t.detach().requires_grad_(w) for t, w in zip([x, *parameters], draw.wanted)]
    before = [t.detach().clone() for t in operands]
    y = entry.call(*operands)
    dy = torch.from_numpy(np.asarray(rng.standard_normal(draw.shape))).to(y.dtype)
    dy = strided(dy, draw.dy_order, (1,) * dy.dim())
    gradients = [None] * len(operands)
    if y.requires_grad:
        given = [t for t in operands if t.requires_grad]
        found = iter(torch.autograd.grad(y, given, dy, allow_unused=True))
        gradients = [next(found) if t.requires_grad else None for t in operands]
    for t, old in zip(operands, before):
        assert torch.equal(t.detach(), old), "an operand was written to"
    return Ran(operands[0], operands[1:], dy, y, gradients)


def check(entry, draw):
    ran, case = execute(entry, draw), entry.case
    assert ran.y.shape == ran.x.shape
    rank = len(draw.shape)
    axes = [tuple(d for d in range(rank) if runs[d]) for runs in draw.extents]
    compact = [numpy_of(p).reshape([draw.shape[d] for d in a])
               for p, a in zip(ran.parameters, axes)]
    y, terms = expect(case, numpy_of(ran.x), compact, axes, numpy_of(ran.dy))

    def clean(array):
        return array + array.dtype.type(0) if entry.ignores_zero_sign else array

    dy = numpy_of(ran.dy)
    assert_result(case, "y", clean(numpy_of(ran.y)), clean(np.asarray(y)), dy)
    dx, *rest = ran.gradients
    if dx is not None:
        assert dx.shape == ran.x.shape and dx.dtype == ran.x.dtype
        want = terms["x"] if entry.gradient == "oracle" else np.zeros_like(y)
        assert_result(case, "x", clean(numpy_of(dx)), clean(np.asarray(want)), dy)
    else:
        assert not draw.wanted[0] or entry.gradient == "none" or not ran.y.requires_grad
    cancelling = {name: bound[1] for name, bound in case.within if bound[0] != "step"}
    for name, p, got, a, wanted in zip(case.parameters, ran.parameters, rest, axes,
                                       draw.wanted[1:]):
        if not wanted or name not in case.differentiable:
            assert got is None, name
            continue
        assert got.shape == p.shape and got.dtype == p.dtype, name
        size = np.abs(terms[name]) + cancelling.get(name, 0) * np.abs(dy.astype(y.dtype))
        if 1 < len(a) < rank:  # may be summed by torch, of terms that are rounded
            size = size * max(1, torch.finfo(p.dtype).eps / 2e-6)
        assert_sum(numpy_of(got).reshape([draw.shape[d] for d in a]), terms[name], a,
                   f"{case} d{name}", size)


def settings(examples):
    return hypothesis.settings(max_examples=examples, deadline=None, derandomize=True,
                               database=None, suppress_health_check=list(
                                   hypothesis.HealthCheck))


def explore(name, examples):
    entry = ENTRIES[name]

    @settings(examples)
    @hypothesis.given(draws(entry))
    def holds(draw):
        check(entry, draw)

    holds()


# A new type, layout or choice costs a kernel, a tenth of a second.
@pytest.mark.parametrize("name", ENTRIES)
def test_properties(name):
    explore(name, 5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTRIES)
def test_many_properties(name):
    explore(name, 15)


#===----------------------------------------------------------------------===#
# Corners
#===----------------------------------------------------------------------===#


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3)], ids=str)
@pytest.mark.parametrize("name", ["int_quant", "lsq_plus", "float_quant"])
def test_small(name, shape):
    entry, rank = ENTRIES[name], len(shape)
    order, count = tuple(range(rank)), len(entry.case.parameters)
    check(entry, Draw(shape, order, (1,) * rank, order, ((False,) * rank,) * count,
                      (rank,) * count, (True,) * (1 + count), "f32", 0))


def test_threads():
    """Threads that compile and run different ops at once get what one alone gets."""
    names = ["int_quant", "lsq_plus", "float_quant", "pact", "tensor_clamp", "approx_sign"]
    work = [(ENTRIES[n], Draw((3, 4, 5), (2, 0, 1), (1, 2, 1), (1, 0, 2), tuple(
        (False, i % 2 == 0, False) for i in range(len(ENTRIES[n].case.parameters))),
        (0,) * 5, (True,) * 6, "f64", seed)) for n in names for seed in range(4)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda pair: execute(*pair), work))
    for pair, ran in zip(work, together):
        alone = execute(*pair)
        assert torch.equal(ran.y, alone.y)
        for a, b in zip(ran.gradients, alone.gradients):
            assert (a is None) == (b is None) and (a is None or torch.equal(a, b))
