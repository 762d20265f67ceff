"""Independent NumPy oracle of the field's quantizers (no torch import).

Measured against torch 2.13, Brevitas 0.13.4 and bitorch 0.4.1; it shares no
code with the compiler.

Registry:  OPS[name] = Op(forward, vjp, operands, notes)
    forward(inputs: dict[str, ndarray], attrs: dict) -> ndarray
    vjp(inputs, attrs, dy) -> dict[str, ndarray | None]      (None: the op defines no gradient)

Conventions
  * every element-wise step is performed in the dtype of inputs["x"] (float32 unless the caller passes another),
    one IEEE rounding per written operator, no fused multiply-add, rint == round-half-to-even;
  * operands other than x broadcast against x by NumPy rules; their gradients are reduced back to their own shape
    by `reduce_to`, which sums in float64 and rounds once (torch sums in float32 in an unspecified order, so sums
    over more than one element agree only to rounding; the per-element terms agree bit for bit);
  * integer conversions that are undefined behaviour in C++ follow x86-64 (cvttss2si / cvtss2si -> INT64_MIN).
Set attrs["policy"] = "select" on the ops that have a multiplying mask to obtain the recommended NaN-safe variant
(mask ? dy : 0); the default reproduces the reference ("multiply").
"""
from collections import namedtuple
import numpy as np

Op = namedtuple("Op", "forward vjp operands notes")
OPS = {}
I64MIN = -2 ** 63


def op(name, forward, vjp, operands=("x",), notes=""):
    OPS[name] = Op(forward, vjp, tuple(operands), notes)


def quiet(f):
    def g(*a, **k):
        with np.errstate(all="ignore"):
            return f(*a, **k)
    return g


def F(v, like):
    """constant -> dtype of `like`"""
    return np.asarray(v, dtype=np.asarray(like).dtype)


def reduce_to(g, shape):
    """Adjoint of broadcasting: float64 sum over the broadcast axes, rounded once."""
    shape = tuple(shape)
    g = np.asarray(g)
    if g.shape == shape:
        return g
    dt = g.dtype
    lead = g.ndim - len(shape)
    ax = tuple(range(lead)) + tuple(i + lead for i, n in enumerate(shape) if n == 1 and g.shape[i + lead] != 1)
    with np.errstate(all="ignore"):
        return g.astype(np.float64).sum(axis=ax).reshape(shape).astype(dt)


def mask_grad(dy, m, attrs):
    if attrs.get("policy", "multiply") == "select":
        return np.where(m, dy, F(0, dy))
    return dy * m.astype(dy.dtype)


def exact(f, x):
    """f(x), correctly rounded in nearly every case: NumPy's own f32 functions are not."""
    return f(x.astype(np.longdouble if x.dtype == np.float64 else np.float64)).astype(x.dtype)


def sign0(x):            # torch.sign: (x>0)-(x<0); NaN -> +0, -0 -> +0
    return (x > 0).astype(x.dtype) - (x < 0).astype(x.dtype)


def torch_clamp(x, lo, hi):   # bounds of x's type
    lo, hi = F(lo, x), F(hi, x)
    y = np.where(x < lo, lo, x)                  # keeps x on equality (so keeps -0) and NaN
    y = np.where(y > hi, hi, y)                  # upper bound wins when lo > hi
    return np.where(np.isnan(lo) | np.isnan(hi), F(np.nan, x), y)


# ---------------------------------------------------------------- rounding family
def r_round(x): return np.rint(x)
def r_floor(x): return np.floor(x)
def r_ceil(x): return np.ceil(x)
def r_rtz(x): return sign0(x) * np.floor(np.abs(x))


def r_dpu(x):
    return np.where((x < 0) & ((x - np.floor(x)) == F(0.5, x)), np.ceil(x), np.rint(x))


def binary_sign(x): return np.where(x >= 0, F(1, x), F(-1, x))     # NaN -> -1 (python back end)


def binary_sign_native(x):                                          # brevitas C++ back end: NaN -> 0
    return (x >= 0).astype(x.dtype) - (x < 0).astype(x.dtype)


ROUND = dict(round=r_round, floor=r_floor, ceil=r_ceil, round_to_zero=r_rtz, dpu=r_dpu)


def ste(f):
    return (quiet(lambda i, a: f(i["x"])), lambda i, a, dy: {"x": dy.copy()})


for _n, _f in [("round_ste", r_round), ("floor_ste", r_floor), ("ceil_ste", r_ceil), ("round_to_zero_ste", r_rtz),
               ("dpu_round_ste", r_dpu), ("binary_sign_ste", binary_sign), ("ternary_sign_ste", sign0),
               ("binary_sign_ste_native", binary_sign_native)]:
    op(_n, *ste(_f))

op("abs_binary_sign_grad", lambda i, a: np.abs(i["x"]),
   quiet(lambda i, a, dy: {"x": binary_sign(i["x"]) * dy}), notes="subgradient +1 at +-0, -1 at NaN")

op("scalar_clamp_ste", quiet(lambda i, a: torch_clamp(i["x"], a["min"], a["max"])), lambda i, a, dy: {"x": dy.copy()})


@quiet
def clamp_min_f(i, a):
    x = i["x"]
    if np.isnan(a["min"]):
        return np.full_like(x, np.nan)
    return np.where(x < F(a["min"], x), F(a["min"], x), x)


op("scalar_clamp_min_ste", clamp_min_f, lambda i, a, dy: {"x": dy.copy()})


# ---------------------------------------------------------------- tensor_clamp
def tclamp(x, lo, hi):
    lo, hi = np.asarray(lo, x.dtype), np.asarray(hi, x.dtype)
    y = np.where(x > hi, hi, x)
    return np.where(y < lo, lo, y)               # lower bound wins when lo > hi


def tclamp_vjp(x, lo, hi, dy):
    lo, hi = np.asarray(lo, x.dtype), np.asarray(hi, x.dtype)
    z = F(0, dy)
    gt = x > hi
    lt = np.where(gt, hi, x) < lo
    d1 = np.where(lt, z, dy)
    return np.where(gt, z, d1), np.where(lt, dy, z), np.where(gt, d1, z)   # dx, dlo, dhi (unreduced)


@quiet
def tensor_clamp_v(i, a, dy):
    x = i["x"]
    dx, dl, dh = tclamp_vjp(x, i["min"], i["max"], dy)
    return {"x": reduce_to(dx, x.shape), "min": reduce_to(dl, np.shape(i["min"])), "max": reduce_to(dh, np.shape(i["max"]))}


tensor_clamp_f = quiet(lambda i, a: tclamp(i["x"], i["min"], i["max"]))
op("tensor_clamp", tensor_clamp_f, tensor_clamp_v, ("x", "min", "max"), "true gradient, inclusive pass-through, select")
op("tensor_clamp_ste", tensor_clamp_f, lambda i, a, dy: {"x": reduce_to(dy, i["x"].shape).copy(), "min": None, "max": None},
   ("x", "min", "max"))


@quiet
def tclamp_inplace_f(i, a):
    # torch.min then torch.max: NaN in ANY operand propagates. Zero-sign on equal zeros is the AVX rule (returns the 2nd operand).
    x, lo, hi = np.broadcast_arrays(i["x"], np.asarray(i["min"], i["x"].dtype), np.asarray(i["max"], i["x"].dtype))
    y = np.where(np.isnan(x) | np.isnan(hi), F(np.nan, x), np.where(x < hi, x, hi))
    return np.where(np.isnan(y) | np.isnan(lo), F(np.nan, x), np.where(y > lo, y, lo))


op("tensor_clamp_ste_", tclamp_inplace_f, lambda i, a, dy: {"x": dy.copy(), "min": None, "max": None}, ("x", "min", "max"),
   "python back end; the C++ back end registers the out-of-place kernel under this name")


# ---------------------------------------------------------------- integer ranges (bit_width is the differentiable operand)
def pow2(e):
    """2**e in double precision, rounded once to e's type (torch's own powf is within an ULP of it)."""
    return np.asarray(np.exp2(e.astype(np.float64))).astype(e.dtype)


def int_max(signed, narrow, bw):
    bw = np.asarray(bw)
    if signed:
        return pow2(bw - F(1, bw)) - F(1, bw)
    return pow2(bw) - F(2 if narrow else 1, bw)


def int_min(signed, narrow, bw):
    bw = np.asarray(bw)
    if not signed:
        return F(0, bw) * bw
    p = -pow2(bw - F(1, bw))
    return p + F(1, bw) if narrow else p


def int_max_vjp(signed, bw, g):
    p = pow2(bw - F(1, bw)) if signed else pow2(bw)
    return g * (p * F(np.log(2.0), bw))


def int_min_vjp(signed, bw, g):
    if not signed:
        return g * F(0, bw)
    return -g * (pow2(bw - F(1, bw)) * F(np.log(2.0), bw))


op("max_int", quiet(lambda i, a: int_max(a["signed"], a["narrow_range"], i["x"])),
   quiet(lambda i, a, dy: {"x": int_max_vjp(a["signed"], i["x"], dy)}))
op("min_int", quiet(lambda i, a: int_min(a["signed"], a["narrow_range"], i["x"])),
   quiet(lambda i, a, dy: {"x": int_min_vjp(a["signed"], i["x"], dy)}))
op("min_int_closed", quiet(lambda i, a: int_min(a["signed"], a["narrow_range"], i["x"])),
   quiet(lambda i, a, dy: {"x": int_min_vjp(a["signed"], i["x"], dy) if a["signed"] else np.zeros_like(dy)}),
   notes="an unsigned lower bound is constant: its gradient is 0, not dy*0")
op("max_uint", quiet(lambda i, a: int_max(False, a["narrow_range"], i["x"])),
   quiet(lambda i, a, dy: {"x": int_max_vjp(False, i["x"], dy)}), notes="2020 API; equals max_int(signed=False)")


# ---------------------------------------------------------------- Brevitas IntQuant family
def _range(a, bw):
    return int_min(a["signed"], a["narrow_range"], bw), int_max(a["signed"], a["narrow_range"], bw)


def _rnd(a):
    return ROUND[a.get("rounding", "round")]


def _iq(x, ps, pz, s, z, bw, a):
    u = x / ps + pz
    r = _rnd(a)(u)
    lo, hi = _range(a, bw)
    c = tclamp(r, lo, hi)
    w = c - z
    return r, w, w * s, lo, hi


@quiet
def decoupled_f(i, a):
    return _iq(i["x"], i["pre_scale"], i["pre_zero_point"], i["scale"], i["zero_point"], i["bit_width"], a)[2]


@quiet
def _decoupled_terms(x, ps, pz, s, z, bw, a, dy):
    r, w, _, lo, hi = _iq(x, ps, pz, s, z, bw, a)
    dw = dy * s                                   # through y = w*s
    if a.get("clamp_ste", False):
        dr, dlo, dhi = dw, np.zeros_like(dw), np.zeros_like(dw)
    else:
        dr, dlo, dhi = tclamp_vjp(r, lo, hi, dw)
    dx = dr / ps                                  # note (dy*s)/s, not dy
    dps = -dr * ((x / ps) / ps)                   # 0*inf = NaN if x = +-inf (reference behaviour)
    if a.get("policy") == "select" and not a.get("clamp_ste", False):
        inside = ~((r > hi) | (tclamp(r, -np.inf, hi) < lo))
        dps = np.where(inside, dps, F(0, dy))
    dbw_t = (dlo, dhi)
    return dict(dx=dx, dps=dps, dpz=dr, ds=dy * w, dz=-dw, dlo=dlo, dhi=dhi)


@quiet
def _bw_grad(a, bw, T):
    bw = np.asarray(bw)
    glo, ghi = reduce_to(T["dlo"], bw.shape), reduce_to(T["dhi"], bw.shape)
    return int_min_vjp(a["signed"], bw, glo) + int_max_vjp(a["signed"], bw, ghi)


@quiet
def decoupled_v(i, a, dy):
    T = _decoupled_terms(i["x"], i["pre_scale"], i["pre_zero_point"], i["scale"], i["zero_point"], i["bit_width"], a, dy)
    sh = lambda k: np.shape(i[k])
    return {"x": reduce_to(T["dx"], sh("x")), "pre_scale": reduce_to(T["dps"], sh("pre_scale")),
            "pre_zero_point": reduce_to(T["dpz"], sh("pre_zero_point")), "scale": reduce_to(T["ds"], sh("scale")),
            "zero_point": reduce_to(T["dz"], sh("zero_point")), "bit_width": _bw_grad(a, i["bit_width"], T)}


@quiet
def intq_f(i, a):
    return _iq(i["x"], i["scale"], i["zero_point"], i["scale"], i["zero_point"], i["bit_width"], a)[2]


@quiet
def intq_v(i, a, dy):
    T = _decoupled_terms(i["x"], i["scale"], i["zero_point"], i["scale"], i["zero_point"], i["bit_width"], a, dy)
    sh = lambda k: np.shape(i[k])
    return {"x": reduce_to(T["dx"], sh("x")),
            "scale": reduce_to(T["ds"], sh("scale")) + reduce_to(T["dps"], sh("scale")),
            "zero_point": reduce_to(T["dz"], sh("zero_point")) + reduce_to(T["dpz"], sh("zero_point")),
            "bit_width": _bw_grad(a, i["bit_width"], T)}


op("int_quant", intq_f, intq_v, ("x", "scale", "zero_point", "bit_width"))


@quiet
def intq_closed_v(i, a, dy):
    """The closed form: dx is the masked dy, not (dy*s)/s; ds one product with w - x/s (w where clipped)."""
    x, s, z, bw = (i[k] for k in ("x", "scale", "zero_point", "bit_width"))
    r, w, _, lo, hi = _iq(x, s, z, s, z, bw, a)
    gt = r > hi
    lt = np.where(gt, hi, r) < lo
    out = gt | lt
    error = w - x / s
    O = F(0, x)
    if a.get("clamp_ste", False):
        return {"x": dy.copy(), "scale": reduce_to(dy * error, np.shape(s)), "zero_point": None, "bit_width": None}
    step = s * int_max_vjp(a["signed"], bw, F(1, x))
    dbw = np.where(lt, -step if a["signed"] else O, step)
    return {"x": np.where(out, O, dy), "scale": reduce_to(dy * np.where(out, w, error), np.shape(s)),
            "zero_point": reduce_to(np.where(out, dy * -s, O), np.shape(z)),
            "bit_width": reduce_to(np.where(out, dy * dbw, O), np.shape(bw))}


op("int_quant_closed", intq_f, intq_closed_v, ("x", "scale", "zero_point", "bit_width"))
op("decoupled_int_quant", decoupled_f, decoupled_v,
   ("x", "pre_scale", "pre_zero_point", "scale", "zero_point", "bit_width"))


@quiet
def _trunc(i, a):
    x, s, z, ib, ob = (i[k] for k in ("x", "scale", "zero_point", "input_bit_width", "output_bit_width"))
    r1 = np.rint(x / s + z)
    ts = np.power(F(2, x), np.asarray(ib, x.dtype) - np.asarray(ob, x.dtype))
    v = r1 / ts
    lo, hi = int_min(a["signed"], a.get("narrow_range", False), np.asarray(ob)), int_max(a["signed"], a.get("narrow_range", False), np.asarray(ob))
    r2 = _rnd(a)(v)
    c = tclamp(r2, lo, hi)
    os, oz = s * ts, z / ts
    w = c - oz
    return r1, ts, r2, lo, hi, os, oz, w, w * os


@quiet
def trunc_v(i, a, dy):
    x, s, z = i["x"], i["scale"], i["zero_point"]
    r1, ts, r2, lo, hi, os, oz, w, _ = _trunc(i, a)
    dw = dy * os
    dv, _, _ = tclamp_vjp(r2, lo, hi, dw)
    du = dv / ts
    dos = reduce_to(dy * w, np.shape(os))
    doz = -dw
    # 2**(ib-ob) divides r1 and z and multiplies s; the bounds follow ob.
    _, dlo, dhi = tclamp_vjp(r2, lo, hi, dw)
    divided = -dv * (r1 / ts / ts)
    if a.get("policy") == "select":
        divided = np.where((r2 > hi) | (r2 < lo), F(0, x), divided)
    dts = dw * (z / ts / ts) + dos * s + divided
    dbits = dts * (ts * F(np.log(2.0), x))
    ob = np.asarray(i["output_bit_width"])
    bounds = int_min_vjp(a["signed"], ob, dlo) + int_max_vjp(a["signed"], ob, dhi)
    through = -du * ((x / s) / s)
    if a.get("policy") == "select":
        through = np.where((r2 > hi) | (r2 < lo), F(0, x), through)
    dz = doz / ts + du
    if a.get("policy") == "select":  # the sum of both is 0 where nothing was clipped
        dz = np.where((r2 > hi) | (r2 < lo), doz / ts, F(0, x))
    return {"x": du / s,
            "scale": reduce_to(dos * ts, np.shape(s)) + reduce_to(through, np.shape(s)),
            "zero_point": reduce_to(dz, np.shape(z)),
            "input_bit_width": reduce_to(dbits, np.shape(i["input_bit_width"])),
            "output_bit_width": reduce_to(bounds - dbits, ob.shape)}


op("trunc_int_quant", lambda i, a: _trunc(i, a)[8], trunc_v,
   ("x", "scale", "zero_point", "input_bit_width", "output_bit_width"), "bit-width gradients checked against an autograd composition, not Brevitas itself")

op("binary_quant", quiet(lambda i, a: binary_sign(i["x"]) * i["scale"]),
   quiet(lambda i, a, dy: {"x": dy * i["scale"], "scale": reduce_to(dy * binary_sign(i["x"]), np.shape(i["scale"]))}),
   ("x", "scale"))


@quiet
def cbq_f(i, a):
    s = i["scale"]
    return binary_sign(tclamp(i["x"], -s, s)) * s


@quiet
def cbq_v(i, a, dy):
    x, s = i["x"], i["scale"]
    b = binary_sign(tclamp(x, -s, s))
    dx, dlo, dhi = tclamp_vjp(x, -s, s, dy * s)
    sh = np.shape(s)
    return {"x": dx, "scale": (reduce_to(dy * b, sh) - reduce_to(dlo, sh)) + reduce_to(dhi, sh)}


op("clamped_binary_quant", cbq_f, cbq_v, ("x", "scale"))


@quiet
def tern_y1(i, a):
    x = i["x"]
    m = (np.abs(x) > F(a["threshold"], x) * i["scale"]).astype(x.dtype)
    return m, m * sign0(x)


op("ternary_quant", quiet(lambda i, a: tern_y1(i, a)[1] * i["scale"]),
   quiet(lambda i, a, dy: {"x": (dy * i["scale"]) * tern_y1(i, a)[0] if a.get("policy") != "select"
                           else np.where(tern_y1(i, a)[0] != 0, dy * i["scale"], F(0, dy)),
                           "scale": reduce_to(dy * tern_y1(i, a)[1] if a.get("policy") != "select"
                                              else np.where(tern_y1(i, a)[0] != 0, dy * sign0(i["x"]), F(0, dy)),
                                              np.shape(i["scale"]))}), ("x", "scale"))


# ---------------------------------------------------------------- minifloat (Brevitas FloatQuant)
FLOAT_FORMATS = {  # exponent bits, mantissa bits, bias, largest finite
    "e4m3": (4, 3, 7, 480.0), "e4m3_ocp": (4, 3, 7, 448.0), "e5m2": (5, 2, 15, 114688.0), "e5m2_ocp": (5, 2, 15, 57344.0),
    "e3m2": (3, 2, 3, 28.0), "e2m3": (2, 3, 1, 7.5), "e2m1": (2, 1, 1, 6.0),
    "e4m3_fnuz": (4, 3, 8, 240.0), "e5m2_fnuz": (5, 2, 16, 57344.0)}


def floor_log2(v):
    m, e = np.frexp(v)
    return np.where(np.isfinite(v), (e - 1).astype(v.dtype), v)   # inf -> inf, nan -> nan; v > 0 assumed


def float_format(a):
    """By name, or (exponent bits, mantissa bits, bias, largest)."""
    f = a["format"]
    return FLOAT_FORMATS[f] if isinstance(f, str) else f


@quiet
def _fq(i, a):
    x, s = i["x"], i["scale"]
    eb, mb, bias, mx = float_format(a)
    eps = F(a.get("eps", np.finfo(np.float32).tiny), x)
    sx = x / s
    lraw = floor_log2(np.abs(sx) + eps) - F(mb, x)
    lmin = F(1 - bias - mb, x)
    # Infinities and NaN have no exponent (Brevitas: NaN): they are rounded to themselves.
    l = np.where(np.isfinite(sx) & (lraw >= lmin), lraw, lmin)
    sc = np.exp2(l)
    q = sx / sc
    rq = np.rint(q)
    v = sc * rq
    lo = F(0, x) if not a.get("signed", True) else F(-mx, x)
    hi = F(mx, x)
    c = tclamp(v, lo, hi)
    gt, lt = v > hi, v < lo
    if not a.get("saturating", True):
        above = F(np.inf if a["nonsat"] == "inf" else np.nan, x)
        c = np.where(gt, above, np.where(v < -hi, -above, c) if a.get("signed", True) else c)
    return sx, lraw >= lmin, l, sc, q, rq, v, c, eps, lo, hi


@quiet
def floatq_v(i, a, dy):
    x, s = i["x"], i["scale"]
    sx, lm, l, sc, q, rq, v, c, eps, lo, hi = _fq(i, a)
    dc = dy * s
    ds = reduce_to(dy * c, np.shape(s))
    if not a.get("saturating", True):
        dc = np.where((v > hi) | (v < lo), F(0, x), dc)
    dv, _, _ = tclamp_vjp(v, lo, hi, dc)
    # v = sc*round(q), q = sx/sc ; the reference differentiates sc as well (floor is straight-through)
    drq = dv * sc
    dsx = drq / sc
    if not a.get("detach_exponent", False):
        dsc = dv * rq + (-drq * ((sx / sc) / sc))
        dl = dsc * (sc * F(np.log(2.0), x))
        da = np.where(lm & (dv != 0), dl / ((np.abs(sx) + eps) * F(np.log(2.0), x)), F(0, x))
        dsx = dsx + da * sign0(sx)
    through = -dsx * ((x / s) / s)
    if a.get("policy") == "select":
        through = np.where((v > hi) | (v < lo), F(0, x), through)
    return {"x": dsx / s, "scale": ds + reduce_to(through, np.shape(s))}


@quiet
def floatq_closed_v(i, a, dy):
    """The same with cancelling factors gone: s*dy/s, sc/sc, and in the normal range the whole of dscale."""
    sx, normal, l, sc, q, rq, v, c, eps, lo, hi = _fq(i, a)
    clipped = (v > hi) | (v < lo)
    dx, ds = np.where(clipped, F(0, dy), dy), dy * np.where(clipped, c, c - sx)
    if not a.get("detach_exponent", False):
        still = normal & ~clipped
        dx, ds = np.where(still, dy * (v / sx), dx), np.where(still, F(0, dy), ds)
    return {"x": dx, "scale": reduce_to(ds, np.shape(i["scale"]))}


op("float_quant_closed", quiet(lambda i, a: _fq(i, a)[7] * i["scale"]), floatq_closed_v, ("x", "scale"))
op("float_quant", quiet(lambda i, a: _fq(i, a)[7] * i["scale"]), floatq_v, ("x", "scale"),
   "exponent from frexp, the reference uses floor(log2(.)) in f32; attrs detach_exponent=True gives the plain STE")


@quiet
def signed_clamp_min_f(i, a):
    x = i["x"]
    return binary_sign(x) * clamp_min_f({"x": np.abs(x)}, a)


op("scalar_signed_clamp_min_ste", signed_clamp_min_f, lambda i, a, dy: {"x": dy.copy()})


@quiet
def pow2_f(i, a):
    """log2 and 2** in a wider type: rounded to x's, a logarithm beside a whole number becomes that number."""
    x = i["x"]
    wide = x.astype(np.longdouble if x.dtype == np.float64 else np.float64)
    return np.exp2(_rnd(a)(wide if a.get("is_log2", False) else np.log2(wide))).astype(x.dtype)


@quiet
def pow2_v(i, a, dy):
    x, y = i["x"], pow2_f(i, a)
    if a.get("is_log2", False):
        return {"x": dy * y * F(np.log(2.0), x)}
    ln2 = F(np.log(2.0), x)
    return {"x": (dy * y * ln2) / (x * ln2)}


op("power_of_two_restrict", pow2_f, pow2_v, notes="is_log2: x is in the log domain, as Brevitas learns it")


@quiet
def pow2_closed_v(i, a, dy):
    """ln2 cancels before it can lose the digits of a denormal x."""
    x, y = i["x"], pow2_f(i, a)
    return {"x": dy * (y * F(np.log(2.0), x) if a.get("is_log2", False) else y / x)}


op("power_of_two_closed", pow2_f, pow2_closed_v)


# ---------------------------------------------------------------- MX group quantisation (last axis, group_size | n)
@quiet
def mx_scale(i, a):
    x = i["x"]
    g = x.reshape(x.shape[:-1] + (-1, a.get("group_size", 32)))
    amax = np.abs(g).max(-1, keepdims=True)
    mn = a.get("min", 1e-10)
    am = np.maximum(amax, F(mn, x))
    if a["format"] == "int8":
        emax = float(a.get("emax", 6))        # 6: OCP MXINT8 (int8 * 2**-6); 7: what Brevitas MXInt8{Act,Weight} compute
    else:
        emax = float(np.floor(np.log2(FLOAT_FORMATS[a["format"]][3])))
    p = np.exp2(floor_log2(am))
    p2 = np.maximum(p, F(mn, x))
    return g, amax, am, p, p2 / F(2.0 ** emax, x), emax


def _mx_emax(a):
    if a["format"] == "int8":
        return 7 if a["brevitas"] else 6
    return int(np.floor(np.log2(float_format(a)[3])))


@quiet
def _mx_shared(i, a):
    """amax, p = 2**floor(log2 amax), p/2**emax before it is clipped, and the scale."""
    x = i["x"]
    am = np.where(x < F(1e-10, x), F(1e-10, x), x) if a["brevitas"] else x
    top = np.ldexp(F(1, x), np.frexp(np.where(np.isfinite(am), am, F(1, x)))[1] - 1)
    p = np.where(np.isinf(am), am, top)
    p = np.where(am > 0, p, np.where(am == 0, am, F(np.nan, x)))
    div = F(2.0 ** _mx_emax(a), x)
    if a["brevitas"]:
        return am, p / div, np.where(p < F(1e-10, x), F(1e-10, x), p) / div
    return am, p / div, torch_clamp(p / div, 2.0 ** -127, 2.0 ** 127)


@quiet
def mx_shared_v(i, a, dy):
    am, s, _ = _mx_shared(i, a)
    d = dy * (s / am)
    return {"x": d if a["brevitas"] else np.where((s < 2.0 ** -127) | (s > 2.0 ** 127), F(0, dy), d)}


op("mx_scale", lambda i, a: _mx_shared(i, a)[2], mx_shared_v, notes="x is a group's largest magnitude; OCP clips to e8m0")


@quiet
def mx_f(i, a):
    g, amax, am, p, s, emax = mx_scale(i, a)
    if a["format"] == "int8":
        y = intq_f({"x": g, "scale": s, "zero_point": F(0, g), "bit_width": F(8, g)}, dict(signed=True, narrow_range=a.get("narrow_range", False)))
    else:
        y = OPS["float_quant"].forward({"x": g, "scale": s}, dict(format=a["format"]))
    return y.reshape(i["x"].shape)


@quiet
def mx_v(i, a, dy):
    g, amax, am, p, s, emax = mx_scale(i, a)
    d = dy.reshape(g.shape)
    if a["format"] == "int8":
        G = intq_v({"x": g, "scale": s, "zero_point": F(0, g), "bit_width": F(8, g)}, dict(signed=True, narrow_range=a.get("narrow_range", False)), d)
    else:
        G = floatq_v({"x": g, "scale": s}, dict(format=a["format"]), d)
    dx = G["x"]
    if not a.get("detach_scale", False):
        ln2 = F(np.log(2.0), g)
        dp = G["scale"] / F(2.0 ** emax, g)
        dam = (dp * (p * ln2)) / (am * ln2)
        k = np.argmax(np.abs(g), -1)[..., None]        # first maximal element (torch.max(dim) picks one index)
        add = np.zeros_like(g)
        np.put_along_axis(add, k, dam * sign0(np.take_along_axis(g, k, -1)), -1)
        dx = dx + add
    return {"x": dx.reshape(i["x"].shape)}


op("mx_group_quant", mx_f, mx_v, ("x",), "attrs format in int8/e4m3_ocp/..., group_size, detach_scale")


# ---------------------------------------------------------------- bitorch
def bsign(x):
    s = sign0(x)
    return np.where(s == 0, F(1, x), s)          # NaN -> +1


op("bitorch_sign", quiet(lambda i, a: bsign(i["x"])), lambda i, a, dy: {"x": dy.copy()})


@quiet
def approx_v(i, a, dy):
    x = i["x"]
    m = np.abs(x) <= 1
    if a.get("policy") == "select":
        return {"x": np.where(m, (F(2, x) - F(2, x) * np.abs(x)) * dy, F(0, x))}
    return {"x": ((F(2, x) - F(2, x) * np.abs(x)) * m.astype(x.dtype)) * dy}


op("approx_sign", quiet(lambda i, a: bsign(i["x"])), approx_v)
op("ste_heaviside", quiet(lambda i, a: np.where(i["x"] > 0, np.float32(1), np.float32(-1))),
   quiet(lambda i, a, dy: {"x": mask_grad(dy, np.abs(i["x"]) <= 1, a)}), notes="result is float32 whatever x is")


@quiet
def swish_v(i, a, dy):
    x = i["x"]
    b = F(a.get("beta", 5.0), x)
    bx = b * x
    sw = (b * (F(2, x) - bx * np.tanh(bx / F(2, x)))) / (F(1, x) + np.cosh(bx))
    return {"x": sw * dy}


op("swish_sign", quiet(lambda i, a: bsign(i["x"])), swish_v)


@quiet
def prog_f(i, a):
    x = i["x"]
    if not a.get("training", True):
        return bsign(x)
    return torch_clamp(x / F(max(1.0 - a["temperature"], 1e-7), x), -1.0, 1.0)


op("progressive_sign", prog_f, lambda i, a, dy: {"x": dy.copy()}, notes="temperature = 1 - alpha**(-beta*scale)")


@quiet
def dorefa_in(i, a):
    x = i["x"]
    n = F(2 ** a["bits"] - 1, x)
    return np.rint(torch_clamp(x, 0.0, 1.0) * n) / n


op("dorefa_input", dorefa_in, lambda i, a, dy: {"x": dy.copy()}, notes="bitorch: no clip mask in the gradient")
op("dorefa_input_paper", dorefa_in,
   quiet(lambda i, a, dy: {"x": np.where((i["x"] < 0) | (i["x"] > 1), F(0, dy), dy)}),
   notes="UNVERIFIED boundary convention; NaN is not clipped")


@quiet
def dorefa_w(i, a):
    x = i["x"]
    n = F(2 ** a["bits"] - 1, x)
    t = np.tanh(x)
    m = np.max(np.abs(t))
    adj = t / (F(2, x) * m) + F(0.5, x)
    return F(2, x) * (np.rint(adj * n) / n) - F(1, x)


op("dorefa_weight", dorefa_w, lambda i, a, dy: {"x": dy.copy()}, notes="bitorch: tanh and max are not differentiated")
op("dorefa_weight_paper", dorefa_w,
   quiet(lambda i, a, dy: {"x": dy * (F(1, dy) - np.tanh(i["x"]) ** 2) / np.max(np.abs(np.tanh(i["x"])))}),
   notes="chain rule with the max held constant; UNVERIFIED against an author implementation")


@quiet
def dorefa_w_max(i, a):
    """The same with max|tanh(x)| given, for any granularity."""
    x, m = i["x"], i["max"]
    n = F(2 ** a["bits"] - 1, x)
    adj = exact(np.tanh, x) / (F(2, x) * m) + F(0.5, x)
    return F(2, x) * (np.rint(adj * n) / n) - F(1, x)


op("dorefa_weight_given_max", dorefa_w_max, lambda i, a, dy: {"x": dy.copy(), "max": None}, ("x", "max"))
op("dorefa_weight_given_max_paper", dorefa_w_max,
   quiet(lambda i, a, dy: {"x": dy * ((F(1, dy) - exact(np.tanh, i["x"]) ** 2) / i["max"]), "max": None}), ("x", "max"))


# ---------------------------------------------------------------- surrogates of one value, apart from the forward
def window_v(test):
    return quiet(lambda i, a, dy: {"x": np.where(test(i["x"], a), dy, F(0, dy))})


closed = window_v(lambda x, a: (x >= F(a["low"], x)) & (x <= F(a["high"], x)))
opened = window_v(lambda x, a: (x > F(a.get("low", -1), x)) & (x < F(a.get("high", 1), x)))
op("floor_window", quiet(lambda i, a: r_floor(i["x"])), closed)
op("ceil_open_window", quiet(lambda i, a: r_ceil(i["x"])), opened)
op("heaviside_open", quiet(lambda i, a: np.where(i["x"] > 0, F(1, i["x"]), F(-1, i["x"]))), opened)


@quiet
def round_ewgs_v(i, a, dy):
    x = i["x"]
    return {"x": dy * (F(1, x) + sign0(dy) * (F(a["delta"], x) * (x - np.rint(x))))}


op("round_ewgs", quiet(lambda i, a: r_round(i["x"])), round_ewgs_v, notes="Lee et al. 2021, x - x_q in steps")


@quiet
def round_ewgs_closed_v(i, a, dy):
    """The sign of dy selects: 0 stays 0 where x - x_q is NaN (x infinite or NaN)."""
    x = i["x"]
    d = F(a["delta"], x) * (x - np.rint(x))
    return {"x": dy * (F(1, x) + np.where(dy > 0, d, np.where(dy < 0, -d, F(0, x))))}


op("round_ewgs_closed", quiet(lambda i, a: r_round(i["x"])), round_ewgs_closed_v)


def soft_step_v(factor):
    @quiet
    def v(i, a, dy):
        # In double precision: 1 - tanh^2 cancels.
        x = i["x"].astype(np.float64)
        k = a["k"] * factor
        return {"x": dy * (k / np.cosh(k * x) ** 2).astype(i["x"].dtype)}
    return v


op("tanh_sign", quiet(lambda i, a: binary_sign(i["x"])), soft_step_v(1.0))
op("sigmoid_sign", quiet(lambda i, a: sign0(i["x"])), soft_step_v(0.5))
op("identity", lambda i, a: i["x"].copy(), lambda i, a, dy: {"x": dy.copy()})


@quiet
def pact_f(i, a):
    x, al = i["x"], np.asarray(i["alpha"])
    c = torch_clamp(x, 0.0, al)
    sc = (F(1, x) / al.astype(x.dtype)) * F(2 ** a["bits"] - 1, x)   # int / tensor is reciprocal-then-multiply in torch
    return np.rint(c * sc) / sc


@quiet
def pact_v(i, a, dy):
    x, al = i["x"], np.asarray(i["alpha"])
    keep = ~((x < 0) | ((x >= al) if a.get("paper", False) else (x > al)))
    if a.get("policy") == "select":
        return {"x": np.where(keep, dy, F(0, dy)), "alpha": reduce_to(np.where(x >= al, dy, F(0, dy)), al.shape)}
    return {"x": dy * keep.astype(dy.dtype), "alpha": reduce_to(dy * (x >= al).astype(dy.dtype), al.shape)}


op("pact", pact_f, pact_v, ("x", "alpha"))


# ---------------------------------------------------------------- torch fake quantisation
def i64(v):
    """C++ static_cast<int64_t> on x86-64: truncation, INT64_MIN when out of range or NaN (UB in the standard)."""
    v = np.asarray(v, np.float64)
    ok = np.isfinite(v) & (v >= -2.0 ** 63) & (v < 2.0 ** 63)
    out = np.full(v.shape, I64MIN, np.int64)
    out[ok] = np.trunc(v[ok]).astype(np.int64)
    return out


def fma32(p, q, r):
    """float32 fused p*q+r (product exact in float64; the double rounding of the sum is ignored)."""
    return (np.asarray(p, np.float64) * np.asarray(q, np.float64) + np.asarray(r, np.float64)).astype(np.float32)


def muladd(p, q, r, a):
    """p*q + r; attrs['fma']=True reproduces torch's AVX2/AVX512 kernels, which GCC contracts. Default: two roundings."""
    if a.get("fma", False) and np.asarray(p).dtype == np.float32:
        return fma32(p, q, r)
    return p * q + r


def pt_rawq(x, s, zp):
    inv = np.float32(1) / np.float32(s)
    return np.asarray(zp, np.int64).astype(x.dtype) + np.rint(x * inv.astype(x.dtype))


@quiet
def fq_pt_f(i, a):
    x = i["x"]
    s, zp, qmin, qmax = np.float32(a["scale"]), int(a["zero_point"]), a["quant_min"], a["quant_max"]
    raw = pt_rawq(x, s, zp).astype(np.float64)
    q = i64(np.fmin(np.fmax(raw, qmin), qmax))           # NaN -> quant_min
    return ((q - zp).astype(np.float32) * s).astype(x.dtype)


@quiet
def fq_pt_v(i, a, dy):
    raw = pt_rawq(i["x"], a["scale"], int(a["zero_point"]))
    return {"x": mask_grad(dy, (raw >= a["quant_min"]) & (raw <= a["quant_max"]), a)}


op("fake_quantize_per_tensor_affine", fq_pt_f, fq_pt_v, ("x",))


def _chan(v, x, axis):
    sh = [1] * x.ndim
    sh[axis] = -1
    return np.asarray(v).reshape(sh)


def pc_q(i, a):
    x = i["x"]
    s = _chan(i["scale"], x, a["axis"]).astype(np.float32)
    z = _chan(i["zero_point"], x, a["axis"])
    inv = np.float32(1) / s
    if np.issubdtype(z.dtype, np.integer):
        q = i64(z.astype(np.int32).astype(x.dtype) + np.rint(x * inv.astype(x.dtype)))
    else:
        q = i64(np.rint(muladd(x, inv.astype(x.dtype), z.astype(x.dtype), a).astype(np.float32)))   # lrintf
    return x, s, z, q


@quiet
def fq_pc_f(i, a):
    x, s, z, q = pc_q(i, a)
    c = np.clip(q, a["quant_min"], a["quant_max"]).astype(np.float64)
    return ((c - z.astype(np.float64)) * s.astype(np.float64)).astype(x.dtype)


@quiet
def fq_pc_v(i, a, dy):
    _, _, _, q = pc_q(i, a)
    return {"x": mask_grad(dy, (q >= a["quant_min"]) & (q <= a["quant_max"]), a)}


op("fake_quantize_per_channel_affine", fq_pc_f, fq_pc_v, ("x", "scale", "zero_point"))


@quiet
def lpt_f(i, a):
    z = np.float32(i["zero_point"].reshape(-1)[0])
    zp = int(min(max(np.rint(z), np.float32(a["quant_min"])), np.float32(a["quant_max"])))
    return fq_pt_f({"x": i["x"]}, dict(a, scale=np.float32(i["scale"].reshape(-1)[0]), zero_point=zp))


def _learn_terms(x, dy, s, zp_f, xqi, a):
    f32 = np.float32
    gf = f32(a.get("grad_factor", 1.0))
    inv = f32(1) / s
    qmin, qmax = a["quant_min"], a["quant_max"]
    out = (xqi < qmin) | (xqi > qmax)
    small, big = (f32(qmin) - zp_f), (f32(qmax) - zp_f)
    dx = dy * (~out).astype(f32)
    dz = np.where(out, dy * f32(-1) * s * gf, f32(0))
    qz = np.clip(xqi, qmin, qmax).astype(f32) - zp_f
    err = muladd(qz, s, -x, a)                        # (q - zp)*scale - x
    ds = np.where(out, np.where(xqi < qmin, dy * small, dy * big) * gf, dy * err * inv * gf)
    return dx, ds.astype(f32), dz.astype(f32)


@quiet
def lpt_v(i, a, dy):
    """zero point used here: trunc(clamp(zp + 0.5)) -- the reference, off by one for negative zero points.
    attrs consistent_zero_point=True uses the forward's nearbyint instead (recommended)."""
    f32 = np.float32
    x = i["x"]
    s = f32(i["scale"].reshape(-1)[0])
    z = f32(i["zero_point"].reshape(-1)[0])
    zz = np.rint(z) if a.get("consistent_zero_point", False) else z + f32(0.5)
    zp = int(min(max(zz, f32(a["quant_min"])), f32(a["quant_max"])))
    inv = f32(1) / s
    xqi = i64(np.rint(muladd(x, inv, f32(zp), a)))
    dx, ds, dz = _learn_terms(x, dy, s, f32(zp), xqi, a)
    return {"x": dx, "scale": reduce_to(ds, i["scale"].shape), "zero_point": reduce_to(dz, i["zero_point"].shape)}


op("fake_quantize_learnable_per_tensor_affine", lpt_f, lpt_v, ("x", "scale", "zero_point"))


def _zr(i, a):
    return np.clip(np.rint(i["zero_point"].astype(np.float32)), a["quant_min"], a["quant_max"]).astype(np.float32)


@quiet
def lpc_f(i, a):
    return fq_pc_f({"x": i["x"], "scale": i["scale"], "zero_point": _zr(i, a).astype(np.int32)}, a)


@quiet
def lpc_v(i, a, dy):
    f32 = np.float32
    x = i["x"]
    s, z = _chan(i["scale"], x, a["axis"]).astype(f32), _chan(_zr(i, a), x, a["axis"])
    inv = f32(1) / s
    xqi = i64(np.rint(muladd(x, inv, z, a)))
    dx, ds, dz = _learn_terms(x, dy, s, z, xqi, a)
    sh = _chan(i["scale"], x, a["axis"]).shape
    return {"x": dx, "scale": reduce_to(ds, sh).reshape(-1), "zero_point": reduce_to(dz, sh).reshape(-1)}


op("fake_quantize_learnable_per_channel_affine", lpc_f, lpc_v, ("x", "scale", "zero_point"))


def fq_steps(x, s, a):
    return x / s if a.get("scaling") == "divide" else x * (F(1, x) / s)


@quiet
def fq_f(i, a):
    """The generic form, on floats of x's type: no conversion to an integer can overflow."""
    x, s, z = i["x"], i["scale"], i["zero_point"]
    t = fq_steps(x, s, a)
    q = np.rint(t + z) if a["position"] == "before" else z + np.rint(t)
    c = np.fmin(np.fmax(q, F(a["qmin"], x)), F(a["qmax"], x))
    return (c + F(0, x) - z) * s, (q >= a["qmin"]) & (q <= a["qmax"])


op("fake_quantize", lambda i, a: fq_f(i, a)[0],
   lambda i, a, dy: {"x": np.where(fq_f(i, a)[1], dy, F(0, dy)), "scale": None, "zero_point": None},
   ("x", "scale", "zero_point"), "torch's and its neighbours' arithmetic; masks select")


def lfq_zero_point(i, a):
    """NaN counts as below qmin."""
    n, p = F(a["qmin"], i["x"]), F(a["qmax"], i["x"])
    return np.fmin(np.fmax(np.rint(i["zero_point"]), n), p)


@quiet
def lfq_v(i, a, dy):
    """fake_quantize_learnable_* with the zero point of its forward; saturates instead of wrapping;
    dy is multiplied last."""
    x, s, z = i["x"], i["scale"], lfq_zero_point(i, a)
    inv, g = F(1, x) / s, F(a["grad_factor"], x)
    n, p = F(a["qmin"], x), F(a["qmax"], x)
    r = np.rint(x * inv + z)
    inside = (r >= n) & (r <= p)
    q = np.fmin(np.fmax(r, n), p)
    slope = np.where(inside, ((q - z) * s - x) * inv, q - z) * g
    return {"x": np.where(inside, dy, F(0, dy)), "scale": reduce_to(dy * slope, np.shape(s)),
            "zero_point": reduce_to(np.where(inside, F(0, dy), dy * (-s * g)), np.shape(i["zero_point"]))}


op("learnable_fake_quantize",
   lambda i, a: fq_f(dict(i, zero_point=lfq_zero_point(i, a)), dict(a, position="after"))[0], lfq_v,
   ("x", "scale", "zero_point"))


@quiet
def choose_qparams(mn, mx, qmin, qmax, symmetric):
    """FBGEMM-style scale / zero point from a float32 range."""
    f32 = np.float32
    mn, mx = f32(mn), f32(mx)
    if mn < 0 and mx > 0 and symmetric:
        sq_min, sq_max = -((qmax - qmin) // 2 + 1), (qmax - qmin) // 2
        m = max(abs(float(mn) / sq_min), abs(float(mx) / sq_max))
        mn, mx = f32(m * sq_min), f32(m * sq_max)
    mn, mx = min(mn, f32(0)), max(mx, f32(0))
    scale = f32((float(mx) - float(mn)) / (qmax - qmin))
    if scale == 0 or np.isinf(f32(1) / scale):
        scale = f32(0.1)
    small = f32(6.1e-5)
    if scale < small:
        org, scale = scale, small
        if mn == 0:
            mx = f32(small * f32(qmax - qmin))
        elif mx == 0:
            mn = f32(-small * f32(qmax - qmin))
        else:
            amp = f32(small / org)
            mn, mx = f32(mn * amp), f32(mx * amp)
    zmin, zmax = qmin - float(mn) / float(scale), qmax - float(mx) / float(scale)
    emin, emax = abs(qmin) + abs(float(mn) / float(scale)), abs(qmax) + abs(float(mx) / float(scale))
    z = zmin if emin < emax else zmax
    if mn < 0 and mx > 0 and symmetric:
        z = (qmin + qmax) / 2.0
    zp = qmin if z < qmin else qmax if z > qmax else int(np.rint(z))
    return scale, zp


@quiet
def fused_state(i, a):
    """returns running_min, running_max, scale, zero_point after the observer step (per tensor)."""
    f32 = np.float32
    rm, rM = f32(i["running_min"].reshape(-1)[0]), f32(i["running_max"].reshape(-1)[0])
    if a.get("observer_on", True):
        c = f32(a["averaging_const"])
        lo, hi = i["x"].min(), i["x"].max()
        rm = lo if np.isinf(rm) else f32(rm + f32(c * f32(lo - rm)))
        rM = hi if np.isinf(rM) else f32(rM + f32(c * f32(hi - rM)))
    s, z = choose_qparams(rm, rM, a["quant_min"], a["quant_max"], a["symmetric"])
    return rm, rM, s, z


def fused_f(i, a):
    _, _, s, z = fused_state(i, a)
    if not a.get("fake_quant_on", True):
        return i["x"].copy()
    return fq_pt_f({"x": i["x"]}, dict(a, scale=s, zero_point=z))


def fused_v(i, a, dy):
    _, _, s, z = fused_state(i, a)
    if not a.get("fake_quant_on", True):
        return {"x": dy.copy()}
    return fq_pt_v({"x": i["x"]}, dict(a, scale=s, zero_point=z), dy)


op("fused_moving_avg_obs_fake_quant", fused_f, fused_v, ("x", "running_min", "running_max"))


# ---------------------------------------------------------------- literature
@quiet
def lsq_f(i, a):
    x, s = i["x"], i["scale"]
    return np.rint(torch_clamp(x / s, float(-a["qn"]), float(a["qp"]))) * s


def lsq_terms(t, n, p, a):
    """(clipped, slope by the scale times grad_scale): Esser et al. 2020, the open range;
    attrs inclusive=True gives the torch.clamp convention of the public PyTorch ports.
    NaN is not clipped."""
    below, above = (t < n, t > p) if a.get("inclusive", False) else (t <= n, t >= p)
    slope = np.where(below, n, np.where(above, p, np.rint(t) - t))
    return below | above, slope * F(a["grad_scale"], t)


@quiet
def lsq_v(i, a, dy):
    x, s = i["x"], i["scale"]
    clipped, slope = lsq_terms(x / s, F(-a["qn"], x), F(a["qp"], x), a)
    return {"x": np.where(clipped, F(0, dy), dy), "scale": reduce_to(dy * slope, np.shape(s))}


op("lsq", lsq_f, lsq_v, ("x", "scale"))


@quiet
def lsqp_f(i, a):
    x, s, b = i["x"], i["scale"], i["beta"]
    return np.rint(torch_clamp((x - b) / s, float(a["n"]), float(a["p"]))) * s + b


@quiet
def lsqp_v(i, a, dy):
    x, s, b = i["x"], i["scale"], i["beta"]
    clipped, slope = lsq_terms((x - b) / s, F(a["n"], x), F(a["p"], x), a)
    return {"x": np.where(clipped, F(0, dy), dy), "scale": reduce_to(dy * slope, np.shape(s)),
            "beta": reduce_to(np.where(clipped, dy * F(a["grad_scale"], x), F(0, dy)), np.shape(b))}


op("lsq_plus", lsqp_f, lsqp_v, ("x", "scale", "beta"), "UNVERIFIED against an author implementation")


def _tqt(i, a):
    x, l2t = i["x"], i["log2_threshold"]
    s = np.exp2(np.ceil(l2t)) / F(2.0 ** (a["bits"] - (1 if a["signed"] else 0)), x)
    n, p = (-(2 ** (a["bits"] - 1)), 2 ** (a["bits"] - 1) - 1) if a["signed"] else (0, 2 ** a["bits"] - 1)
    r = np.rint(x / s)
    return s, F(n, x), F(p, x), r


@quiet
def tqt_v(i, a, dy):
    s, n, p, r = _tqt(i, a)
    x = i["x"]
    below, above = r < n, r > p                       # NaN is in range
    term = np.where(below, n, np.where(above, p, r - x / s))
    return {"x": np.where(below | above, F(0, dy), dy), "log2_threshold": reduce_to(dy * (s * F(np.log(2.0), x) * term), np.shape(i["log2_threshold"]))}


op("tqt", quiet(lambda i, a: torch_clamp(_tqt(i, a)[3], float(_tqt(i, a)[1]), float(_tqt(i, a)[2])) * _tqt(i, a)[0]), tqt_v,
   ("x", "log2_threshold"), "UNVERIFIED against an author implementation")


@quiet
def ewgs_v(i, a, dy):
    x = i["x"]
    n = F(a["levels"] - 1, x)
    d = x - np.rint(x * n) / n
    return {"x": dy * (F(1, x) + F(a["delta"], x) * sign0(dy) * d)}


@quiet
def ewgs_closed_v(i, a, dy):
    """The sign of dy selects: 0 stays 0 where x - x_q is NaN."""
    x = i["x"]
    n = F(a["levels"] - 1, x)
    d = F(a["delta"], x) * (x - np.rint(x * n) / n)
    return {"x": dy * (F(1, x) + np.where(dy > 0, d, np.where(dy < 0, -d, F(0, x))))}


op("ewgs_discretize", quiet(lambda i, a: np.rint(i["x"] * F(a["levels"] - 1, i["x"])) / F(a["levels"] - 1, i["x"])), ewgs_v,
   notes="x already in [0,1]; UNVERIFIED against an author implementation")
op("ewgs_closed", quiet(lambda i, a: np.rint(i["x"] * F(a["levels"] - 1, i["x"])) / F(a["levels"] - 1, i["x"])), ewgs_closed_v,
   notes="x already in [0,1]; UNVERIFIED against an author implementation")


@quiet
def sr_f(i, a):
    x = i["x"]                                       # a uniform in [0,1) per element is an explicit operand
    fl = np.floor(x)
    return np.where(i["u"] < np.abs(x - fl), fl + F(1, x), fl)


op("stochastic_round_ste", sr_f, lambda i, a, dy: {"x": dy.copy(), "u": None}, ("x", "u"),
   "distribution matches; the bit stream does not (torch.bernoulli); reference raises for NaN/inf")


# ---------------------------------------------------------------- observers and scales
@quiet
def moving_average_f(i, a):
    s, m = i["x"], i["observed"]
    c = F(a["constant"], s)
    moved = s * F(1 - a["constant"], s) + m * c if a.get("weighted") else s + c * (m - s)
    return np.where(np.isinf(s), m, moved)


def detached_v(i, a, dy):
    return {}


op("moving_average", moving_average_f, detached_v, ("x", "observed"))


def real_range(lo, hi, a):
    """The range with 0 in it; `symmetric` in ATen's form widens it before."""
    if a["symmetric"] and not a["observer"]:
        half = (a["qmax"] - a["qmin"]) // 2
        step = np.maximum(lo / F(-half - 1, lo), np.abs(hi / F(half, hi)))
        inside = (lo < 0) & (hi > 0)
        lo, hi = np.where(inside, step * F(-half - 1, lo), lo), np.where(inside, step * F(half, hi), hi)
    return np.where(lo > 0, F(0, lo), lo), np.where(hi < 0, F(0, hi), hi)


def qparams_scale(lo, hi, a):
    """(what the range asks for, the scale)"""
    count = a["qmax"] - a["qmin"]
    if a["observer"]:
        wanted = (np.maximum(-lo, hi) / F(count / 2, lo) if a["symmetric"]
                  else (hi - lo) / F(count, lo))
        return wanted, np.where(wanted < F(2.0 ** -23, lo), F(2.0 ** -23, lo), wanted)
    wanted = ((hi.astype(np.float64) - lo.astype(np.float64)) / count).astype(lo.dtype)
    wanted = np.where((wanted == 0) | np.isinf(F(1, lo) / wanted), F(0.1, lo), wanted)
    least = F(np.float32(6.1e-5), lo)
    return wanted, np.where(wanted < least, least, wanted)


op("choose_qparams_scale",
   quiet(lambda i, a: qparams_scale(*real_range(i["x"], i["max"], a), a)[1]),
   detached_v, ("x", "max"))


@quiet
def qparams_zero_point(i, a):
    lo, hi = real_range(i["x"], i["max"], a)
    qmin, qmax = a["qmin"], a["qmax"]
    wanted, scale = qparams_scale(lo, hi, a)
    if a["observer"]:
        if a["symmetric"]:
            return np.full_like(lo, 0 if qmin < 0 else (qmin + qmax + 1) // 2)
        return np.clip(F(qmin, lo) - np.rint(lo / scale), F(qmin, lo), F(qmax, lo))
    least = F(np.float32(6.1e-5), lo)
    reach = F(np.float32(6.1e-5) * np.float32(qmax - qmin), lo)
    factor = least / wanted
    small = wanted < least
    wide_lo = np.where(lo == 0, lo, np.where(hi == 0, -reach, lo * factor))
    wide_hi = np.where(lo == 0, reach, np.where(hi == 0, hi, hi * factor))
    wide = np.float64
    lo, hi, s = (v.astype(wide) for v in (np.where(small, wide_lo, lo), np.where(small, wide_hi, hi), scale))
    by_min, by_max = qmin - lo / s, qmax - hi / s
    better = abs(qmin) + np.abs(lo / s) < abs(qmax) + np.abs(hi / s)
    z = np.where(better, by_min, by_max)
    if a["symmetric"]:
        z = np.where((lo < 0) & (hi > 0), (qmin + qmax) / 2, z)
    return (np.rint(np.clip(z, qmin, qmax)) + 0.0).astype(i["x"].dtype)


op("choose_qparams_zero_point", qparams_zero_point, detached_v, ("x", "max"))


def exp2_v(i, a, dy):
    return {"x": dy * (exact(np.exp2, i["x"]) * F(np.log(2.0), i["x"]))}


op("exp2", quiet(lambda i, a: exact(np.exp2, i["x"])), quiet(exp2_v))


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


op("softplus", quiet(lambda i, a: exact(softplus, i["x"])),
   quiet(lambda i, a, dy: {"x": dy * exact(lambda x: 1 / (1 + np.exp(-x)), i["x"])}))


@quiet
def lfq_unfused_v(i, a, dy):
    """The order of torch's kernel: dy first; masks multiply."""
    x, s, z = i["x"], i["scale"], lfq_zero_point(i, a)
    inv, g = F(1, x) / s, F(a["grad_factor"], x)
    n, p = F(a["qmin"], x), F(a["qmax"], x)
    r = np.rint(x * inv + z)
    inside = (r >= n) & (r <= p)
    q = np.fmin(np.fmax(r, n), p)
    ds = np.where(inside, dy * ((q - z) * s - x) * inv, dy * (q - z)) * g
    return {"x": dy * inside.astype(x.dtype), "scale": reduce_to(ds, np.shape(s)),
            "zero_point": reduce_to(np.where(inside, F(0, dy), -dy * s * g), np.shape(i["zero_point"]))}


op("learnable_fake_quantize_unfused", OPS["learnable_fake_quantize"].forward, lfq_unfused_v,
   ("x", "scale", "zero_point"))


@quiet
def stochastic_round_ewgs_v(i, a, dy):
    x = i["x"]
    d = F(a["delta"], x) * (x - sr_f(i, a))
    return {"x": dy * (F(1, x) + np.where(dy > 0, d, np.where(dy < 0, -d, F(0, x)))), "u": None}


op("stochastic_round_ewgs", sr_f, stochastic_round_ewgs_v, ("x", "u"))
