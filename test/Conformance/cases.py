"""Every op of the dialect in every setting, and the inputs it is tried on."""
import numpy as np

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
CATALOGUE = [
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
]


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
