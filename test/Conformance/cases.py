"""Every op of the dialect in every setting, and the inputs it is tried on."""
import numpy as np

import oracle
from harness import DTYPES, Case, case, quantizer

NAN = float("nan")


def _float(v):
    """A float as MLIR writes an f64 attribute."""
    if not np.isfinite(v):
        return f"0x{np.float64(v).view(np.uint64):016X}"
    mantissa, e, exponent = repr(float(v)).partition("e")
    return mantissa + (".0" if "." not in mantissa else "") + e + exponent


def _clamp(lo, hi):
    return case("scalar_clamp", "scalar_clamp_ste",
                f"min({_float(lo)}) max({_float(hi)}) grad(ste)", min=lo, max=hi)


UNARY = [case(op, name, "grad(ste)") for op, name in [
    ("round", "round_ste"), ("floor", "floor_ste"), ("ceil", "ceil_ste"),
    ("round_to_zero", "round_to_zero_ste"), ("dpu_round", "dpu_round_ste"),
    ("binary_sign", "binary_sign_ste"), ("ternary_sign", "ternary_sign_ste")]]
UNARY.append(case("abs_binary_sign_grad", "abs_binary_sign_grad", "grad(binary_sign)"))
UNARY += [_clamp(lo, hi) for lo, hi in [
    (-1.0, 1.0), (0.0, 6.0), (1.0, -1.0), (NAN, 1.0), (0.0, NAN), (-0.0, 0.0), (-0.1, 0.7)]]
UNARY += [case("scalar_clamp_min", "scalar_clamp_min_ste",
               f"min({_float(lo)}) grad(ste)", min=lo) for lo in (0.0, -1.0, -0.0, 1e-10, NAN)]

TENSOR_CLAMP = [
    case("tensor_clamp", "tensor_clamp", "grad(exact)", ("min", "max")),
    case("tensor_clamp", "tensor_clamp_ste", "grad(ste)", ("min", "max"), ("x",)),
]

PACT = [case("pact", "pact", f"bits({b}) grad(pact)", ("alpha",), bits=b, policy="select")
        for b in (1, 2, 4, 8)]


def _int_quant(signed, narrow, rounding="round", ste=False):
    words = (("signed" if signed else "unsigned") + (" narrow_range" if narrow else "")
             + f" rounding({rounding}) grad({'ste' if ste else 'clipped'})")
    parameters = ("scale", "zero_point", "bit_width")
    return case("int_quant", "int_quant", words, parameters,
                ("x", "scale") if ste else None, stated="int_quant_closed", signed=signed, narrow_range=narrow,
                rounding=rounding, clamp_ste=ste, policy="select")


INT_QUANT = ([_int_quant(s, n) for s in (True, False) for n in (True, False)]
             + [_int_quant(True, False, r)
                for r in ("floor", "ceil", "round_to_zero", "dpu")]
             + [_int_quant(True, False, ste=True), _int_quant(False, True, "floor", True)])

RANGES = [case(f"{end}_int", f"{end}_int",
               f"{'signed' if s else 'unsigned'}{' narrow_range' if n else ''} grad(exact)",
               stated="min_int_closed" if end == "min" else "", signed=s, narrow_range=n)
          for end in ("max", "min") for s in (True, False) for n in (True, False)]
RANGES += [case("max_uint", "max_uint", f"{'narrow_range ' if n else ''}grad(exact)",
                narrow_range=n) for n in (True, False)]

# The quantizers of the field: a line each. test_catalogue.py runs all of them.
SCALES = (0.1, 0.037, 0.25, 1.0, 3.0)
MAXIMA = (1.0, 0.9640276, 0.1, 0.5)
ALPHAS = (6.0, 1.0, 0.3, 10.0, -1.0, 0.0, np.inf, NAN)
ZERO_POINTS = (0.0, 3.0, -2.0)
WIDTHS = (2.0, 4.0, 8.0)
ROUNDINGS = ("round", "floor", "ceil", "round_to_zero", "dpu")


def _integer(signed, narrow, rounding, grad):
    return (("signed" if signed else "unsigned") + (" narrow_range" if narrow else "")
            + f" rounding({rounding}) grad({grad})")


def _decoupled(signed, narrow, rounding="round", ste=False, unfused=False):
    """dx: (dy*s)/ps for dy*(s/ps); dpre_scale and dbit_width likewise."""
    parameters = {"pre_scale": SCALES, "pre_zero_point": ZERO_POINTS, "scale": SCALES,
                  "zero_point": ZERO_POINTS, "bit_width": WIDTHS}
    words = _integer(signed, narrow, rounding,
                     "unfused" if unfused else "ste" if ste else "clipped")
    return quantizer("decoupled_int_quant", "decoupled_int_quant", words, parameters,
                     ("x",) + tuple(parameters)[:5 - ste],
                     # Beside zero, factors in another order underflow elsewhere.
                     within={} if unfused else {"x": 2, "pre_scale": (3, 1e-30), "bit_width": 2},
                     signed=signed, narrow_range=narrow, rounding=rounding, clamp_ste=ste,
                     **({} if unfused else {"policy": "select"}))


def _trunc(signed, narrow, rounding, unfused=False):
    """Unfused, the library divides by factors that it has multiplied with: dscale is
    a difference of integers up to 2^11, the others of terms up to scale * 2^11."""
    widths = {"input_bit_width": (4, 2.0 ** 12), "output_bit_width": (4, 2.0 ** 12)}
    within = widths if unfused else {"x": 2, "scale": (2, 2.0 ** 11), **widths}
    parameters = {"scale": SCALES, "zero_point": ZERO_POINTS,
                  "input_bit_width": (8.0, 10.0), "output_bit_width": (4.0, 6.0)}
    return quantizer("trunc_int_quant", "trunc_int_quant",
                     _integer(signed, narrow, rounding, "unfused" if unfused else "clipped"),
                     parameters, within=within,
                     signed=signed, narrow_range=narrow, rounding=rounding,
                     **({} if unfused else {"policy": "select"}))


def _float_quant(name, signed=True, nonsat=None, exponent=False, spelled=None,
                 scales=SCALES, unfused=False, **attrs):
    """Unfused, dscale is a difference of terms as large as dy times the largest number."""
    largest = oracle.FLOAT_FORMATS[name][3] if isinstance(name, str) else name[3]
    words = (f"format({spelled or name}) {'signed' if signed else 'unsigned'}"
             + ("" if nonsat else " saturating")
             + f" grad({'exponent' if exponent else 'clipped'})")
    within = {"x": 8 if exponent else 2, "scale": (4, 2 * largest)} if unfused else None
    return quantizer("float_quant", "float_quant" if unfused else "float_quant_closed", words,
                     {"scale": scales}, within=within, format=name, signed=signed,
                     saturating=nonsat is None, nonsat=nonsat or "none",
                     detach_exponent=not exponent, policy="select", **attrs)


OFFSETS = (0.0, -0.3, 1.0, 0.7)
LOGARITHMS = (0.0, -0.0, 0.3, -1.7, 2.5, 7.0)
WHOLE = (0.0, 3.0, -5.0, -0.0)
LEARNED_ZERO_POINTS = (0.0, 2.5, -3.0, -0.5, 3.2, 300.0)
UNIFORM = (0.0, 0.25, 0.5, 0.99999994)
OBSERVED = (0.5, -1.25, 3.0, 0.1)
TOPS = (1.0, 0.0, 6.0, 0.3, -1.0, 1e-6, 300.0, 1e-3, 1e-4, 1e-36)
QPARAMS = [(-128, 127, False, False), (0, 255, True, False), (-8, 7, True, False),
           (0, 15, False, True), (-127, 127, True, True), (0, 255, True, True)]


def _choose(what, qmin, qmax, symmetric, observer):
    words = f"qmin({qmin}) qmax({qmax}){' symmetric' * symmetric}{' observer' * observer} grad(detached)"
    return quantizer(f"choose_qparams_{what}", f"choose_qparams_{what}", words, {"max": TOPS}, (),
                     qmin=qmin, qmax=qmax, symmetric=symmetric, observer=observer)


CATALOGUE = [
    # What reproduces the libraries where the dialect's defaults do otherwise.
    quantizer("pact", "pact", "bits(4) multiply_masks grad(pact)", {"alpha": ALPHAS}, bits=4),
    quantizer("pact", "pact", "bits(4) stepwise grad(pact)", {"alpha": ALPHAS}, bits=4,
              policy="select"),
    quantizer("heaviside", "ste_heaviside", "multiply_masks grad(window(-1.0, 1.0))"),
    quantizer("binary_sign", "approx_sign", "nan_positive multiply_masks grad(approx_sign)"),
    quantizer("binary_sign", "approx_sign", "nan_positive stepwise grad(approx_sign)",
              policy="select"),
    *[quantizer("int_quant", "int_quant",
                f"{'signed' if signed else 'unsigned'} rounding({rounding}) {words}grad(unfused)",
                {"scale": SCALES, "zero_point": (0.0, 3.0), "bit_width": (3.0, 8.0)},
                ("x", "scale", "zero_point"), signed=signed, narrow_range=False,
                rounding=rounding)
      for signed, rounding, words in ((True, "round", ""), (False, "floor", ""),
                                      (True, "round", "stepwise "))],
    quantizer("round", "round_ewgs", "grad(ewgs(0.25))", stated="round_ewgs_closed",
              delta=0.25),
    quantizer("floor", "floor_window", "grad(window(-1.0, 2.5))", low=-1.0, high=2.5),
    quantizer("ceil", "ceil_open_window", "grad(open_window(-1.0, 2.5))", low=-1.0, high=2.5),
    quantizer("binary_sign", "bitorch_sign", "nan_positive grad(ste)"),
    quantizer("binary_sign", "approx_sign", "nan_positive grad(approx_sign)", policy="select"),
    quantizer("binary_sign", "swish_sign", "nan_positive grad(swish(5.0))",
              within={"x": (4, 5.0)}, beta=5.0),
    quantizer("binary_sign", "tanh_sign", "grad(tanh(2.0))", within={"x": (4, 2.0)},
              k=2.0),
    quantizer("ternary_sign", "sigmoid_sign", "grad(sigmoid(3.0))",
              within={"x": (4, 1.5)}, k=3.0),
    quantizer("heaviside", "ste_heaviside", "grad(window(-1.0, 1.0))", policy="select"),
    quantizer("heaviside", "heaviside_open", "grad(open_window(-1.0, 1.0))"),
    *[quantizer("progressive_sign", "progressive_sign", f"temperature({_float(t)}) grad(ste)",
                temperature=t) for t in (0.0, 0.5, 1.0)],
    *[quantizer("dorefa", name, f"bits({bits}) grad({word})", bits=bits)
      for bits in (1, 2, 8)
      for name, word in (("dorefa_input", "ste"), ("dorefa_input_paper", "dorefa"))],
    *[quantizer("dorefa_weight", name, f"bits({bits}) grad({word})", {"max": MAXIMA}, ("x",),
                within={"y": ("step", 2 / (2 ** bits - 1)), "x": (4, 10.0)}, bits=bits)
      for bits in (2, 8)
      for name, word in (("dorefa_weight_given_max", "ste"),
                         ("dorefa_weight_given_max_paper", "dorefa"))],
    quantizer("binary_quant", "binary_quant", "grad(ste)", {"scale": SCALES + (-0.3,)}),
    quantizer("clamped_binary_quant", "clamped_binary_quant", "grad(clipped)",
              {"scale": SCALES + (-0.3,)}, within={"scale": 2}),
    quantizer("clamped_binary_quant", "clamped_binary_quant", "grad(unfused)",
              {"scale": SCALES + (-0.3,)}),
    *[quantizer("ternary_quant", "ternary_quant", f"threshold({_float(t)}) grad(ste)",
                {"scale": SCALES + (-0.3,)}, threshold=t, policy="select")
      for t in (0.0, 0.5, 1.0)],
    *[_decoupled(s, n) for s in (True, False) for n in (True, False)],
    *[_decoupled(True, False, r) for r in ROUNDINGS[1:]],
    _decoupled(True, False, ste=True),
    *[_decoupled(s, False, unfused=True) for s in (True, False)],
    *[_float_quant(name) for name in oracle.FLOAT_FORMATS],
    _float_quant("e4m3", signed=False),
    _float_quant("e4m3_ocp", nonsat="nan"),
    _float_quant("e5m2_ocp", nonsat="inf"),
    _float_quant("e5m2_ocp", signed=False, nonsat="inf"),
    _float_quant("e4m3_fnuz", nonsat="nan"),
    *[_float_quant(name, exponent=True) for name in ("e4m3", "e5m2_ocp", "e2m1")],
    _float_quant((3, 4, 3, 15.5), nonsat="inf", spelled="3, 4, 3, 15.5, inf",
                 scales=(1.0, 0.7, 3.0)),
    # Its subnormals are those of f32.
    _float_quant((8, 7, 128, 2.0 ** 127), spelled="8, 7, 128, 1.7014118346046923e38",
                 scales=(1.0, 0.7, 3.0), eps=0.0),
    *[_float_quant(name, exponent=e, unfused=True) for name in ("e4m3_ocp", "e2m3")
      for e in (False, True)],
    *[_trunc(s, n, r) for s, n, r in ((True, False, "round"), (True, True, "floor"),
                                      (False, False, "ceil"), (False, True, "round"))],
    *[_trunc(s, False, r, unfused=True) for s, r in ((True, "round"), (False, "floor"))],
    *[quantizer("scalar_signed_clamp_min", "scalar_signed_clamp_min_ste",
                f"min({_float(lo)}) grad(ste)", min=lo) for lo in (0.0, 1e-10, 0.7, NAN)],
    *[quantizer("mx_scale", "mx_scale", f"element({f}){' brevitas' if b else ''} grad(ste)",
                format=f, brevitas=b) for f in ("int8", "e4m3_ocp", "e2m1") for b in (False, True)],
    *[quantizer("power_of_two", "power_of_two_restrict",
                f"{'of_log2 ' if log2 else ''}rounding({r}) grad(ste)", within={"x": 3},
                stated="power_of_two_closed",
                is_log2=log2, rounding=r) for log2 in (False, True) for r in ROUNDINGS],
    quantizer("pact", "pact", "bits(4) grad(pact_paper)", {"alpha": ALPHAS}, bits=4,
              policy="select", paper=True),
    *[quantizer("lsq", "lsq", f"qmin({n}) qmax({p}) grad_scale({_float(g)}) grad({word})",
                {"scale": SCALES}, qn=-n, qp=p, grad_scale=g, inclusive="inclusive" in word)
      for n, p, g in ((-8, 7, 0.0334), (0, 255, 1.0)) for word in ("lsq", "lsq_inclusive")],
    *[quantizer("lsq_plus", "lsq_plus",
                f"qmin({n}) qmax({p}) grad_scale({_float(g)}) grad({word})",
                {"scale": SCALES, "beta": OFFSETS}, n=n, p=p, grad_scale=g,
                inclusive="inclusive" in word)
      for n, p, g, word in ((-8, 7, 0.0334, "lsq"), (0, 15, 1.0, "lsq_inclusive"))],
    *[quantizer("tqt", "tqt", f"bits({b}) {'signed' if s else 'unsigned'} grad(tqt)",
                {"log2_threshold": LOGARITHMS}, bits=b, signed=s)
      for b in (2, 8) for s in (True, False)],
    *[quantizer("ewgs", "ewgs_discretize", f"levels({n}) grad(ewgs(0.1))", stated="ewgs_closed",
                levels=n, delta=0.1)
      for n in (2, 4, 255)],
    *[quantizer("fake_quantize", "fake_quantize",
                f"qmin({n}) qmax({p}) scaling({scaling}) zero_point({position}) grad(clipped)",
                {"scale": SCALES, "zero_point": WHOLE}, ("x",), qmin=n, qmax=p,
                scaling=scaling, position=position)
      for n, p in ((-128, 127), (0, 15))
      for scaling in ("reciprocal", "divide") for position in ("after", "before")],
    *[quantizer("learnable_fake_quantize", "learnable_fake_quantize",
                f"qmin({n}) qmax({p}) grad_factor({_float(g)}) grad(clipped)",
                {"scale": SCALES, "zero_point": LEARNED_ZERO_POINTS}, qmin=n, qmax=p, grad_factor=g)
      for n, p, g in ((-128, 127, 1.0), (0, 15, 0.0334))],
    quantizer("stochastic_round", "stochastic_round_ste", "grad(ste)", {"u": UNIFORM}, ("x",)),
    quantizer("stochastic_round", "stochastic_round_ewgs", "grad(ewgs(0.25))", {"u": UNIFORM},
              ("x",), delta=0.25),
    *[quantizer("moving_average", "moving_average", f"constant({_float(c)}){' weighted' * w} grad(detached)",
                {"observed": OBSERVED}, (), constant=c, weighted=w)
      for c, w in ((0.01, False), (0.1, True), (1.0, False))],
    *[_choose("scale", *q) for q in QPARAMS],
    *[_choose("zero_point", *q) for q in QPARAMS],
    quantizer("exp2", "exp2", "grad(exact)", within={"y": 2, "x": 4}),
    quantizer("softplus", "softplus", "grad(exact)", within={"y": 8, "x": 4}),
    quantizer("learnable_fake_quantize", "learnable_fake_quantize_unfused",
              "qmin(-128) qmax(127) grad_factor(0.0334) grad(unfused)",
              {"scale": SCALES, "zero_point": LEARNED_ZERO_POINTS}, qmin=-128, qmax=127,
              grad_factor=0.0334),
]


# Attributes that no one would choose and that tell a wrong rule from the right
# one; for test/Mutation.
SHARP = (
    *[_choose(what, *q) for what in ("scale", "zero_point")
      for q in ((3, 18, False, False), (-18, -3, False, False), (-7, 8, True, False),
                (-7, 8, True, True), (3, 19, True, True), (0, 1500000000, False, True))],
    quantizer("mx_scale", "mx_scale", "element(2, 1, 3, 0.75) grad(ste)", format=(2, 1, 3, 0.75),
              brevitas=False),
)


def every():
    """All of the cases above, in the order they are written."""
    lists = [v for v in globals().values() if isinstance(v, list)]
    return list(dict.fromkeys(c for v in lists for c in v if isinstance(c, Case)))


# What a parameter may sensibly be where its case does not say, by its name;
# `None` is any other.
PARAMETERS = {
    "min": (-1.5, 0.0, 2.0), "max": (1.5, 1.0, 0.75),
    "alpha": (6.0, 1.0, 0.3),
    "scale": (0.1, 0.25, 1.0, 3.0), "zero_point": (3.0, 0.0, -2.0),
    "bit_width": (8.0, 4.0, 2.0),
    None: (1.0, 0.3, 2.0),
}


def parameter_values(case):
    """For each operand after x, what it is tried at."""
    return case.values or tuple(PARAMETERS.get(name, PARAMETERS[None])
                                for name in case.parameters)


# Cotangents to repeat; their number shares no factor with a count of inputs.
COTANGENTS = (1.0, -0.3, 0.1, np.inf, -2.5, np.nan, 0.0, -0.0, 1000.0, -np.inf,
              1e-3, 7.0, -1.0)


def adversarial(dtype, finite=False):
    """Zeros, ties and their neighbours, bounds, denormals, the largest, inf, NaN."""
    d = DTYPES[dtype]
    info = np.finfo(np.float32) if dtype == "bf16" else np.finfo(d)
    t = np.arange(-300, 301) * 0.5
    steps = [t, t * 0.1, t * 0.02, t / 7]
    rng = np.random.default_rng(0)
    steps += [rng.standard_normal(750) * s for s in (0.01, 1, 30, 1e4)]
    with np.errstate(all="ignore"):
        x = np.concatenate(steps).astype(d)
        up, down = (np.nextafter(t.astype(d), d.type(s * np.inf)) for s in (1, -1))
    special = [0.0, -0.0, 1.0, -1.0, 0.49999997, -0.49999997, 6.0, 2.5, -2.5, 8388607.5]
    if not finite:
        special += [np.inf, -np.inf, np.nan, float(info.max), -float(info.max),
                    float(info.tiny), -float(info.tiny),
                    float(info.smallest_subnormal), -float(info.smallest_subnormal),
                    16777216.0, 1e10, -1e10, 5e18, -5e18, 1e30]
    with np.errstate(all="ignore"):
        special = np.array(special).astype(d)
    x = np.concatenate([special, x, up, down])
    return x[np.isfinite(x.astype(np.float64))] if finite else x


def cotangent(shape, dtype, finite=False):
    dy = np.random.default_rng(1).standard_normal(shape)
    if not finite:
        flat = dy.reshape(-1)
        flat[::17], flat[1::19], flat[2::23], flat[3::29] = np.inf, np.nan, -np.inf, -0.0
    return dy.astype(DTYPES[dtype])
