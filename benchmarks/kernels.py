"""The quantizers that are measured: their text, inputs, and what they must give.

`x` repeats a block along its first dimension, so that a reference of the block
says what every element of the whole tensor, and every sum over it, must be.
"""
import dataclasses
import functools

import numpy as np

import timing  # first: it says where the next two are
from timing import Failed, quant_ste

import harness  # of test/Conformance
import oracle
from harness import DTYPES, quantizer

BLOCK = 1 << 18  # elements, or as few as one entry of the first dimension


@dataclasses.dataclass(frozen=True)
class Kernel:
    name: str
    case: harness.Case            # the op, and the oracle's name for it
    shape: tuple = (0,)           # 0: as many as make the number of elements
    axes: tuple = ()              # of x, that every parameter in `along` has
    along: tuple = ()             # parameters that have axes; others have none
    values: dict = dataclasses.field(default_factory=dict, hash=False)
    per_element: tuple = ()       # parameters as large as x, of its type
    codes: bool = False           # gives integers in bytes, and has no backward

    def sizes(self, elements):
        """The shape that has about so many elements."""
        rest = int(np.prod(self.shape[1:], dtype=np.int64))
        return (max(1, round(elements / rest)),) + self.shape[1:]

    def axes_of(self, parameter):
        if parameter in self.per_element:
            return tuple(range(len(self.shape)))
        return self.axes if parameter in self.along else ()

    @property
    def gradients(self):
        return () if self.codes else self.case.differentiable

    @property
    def directions(self):
        return ("forward",) if self.codes else ("forward", "backward")

    def reads(self, direction):
        """How many arrays of x's size must be read."""
        more = len(self.per_element)
        if direction == "forward":
            return 1 + more
        return 1 if self.case.op == "stochastic_round" else 2


def _case(op, oracle, words, parameters=None, differentiable=None, **attrs):
    return quantizer(op, oracle, words, dict.fromkeys(parameters or (), ()),
                     differentiable, **attrs)


oracle.op("binary_sign_window", lambda i, a: oracle.binary_sign(i["x"]), oracle.closed,
          notes="Courbariaux et al. 2016")
INT = _case("int_quant", "int_quant_closed", "signed rounding(round) grad(clipped)",
            ("scale", "zero_point", "bit_width"), ("x", "scale", "zero_point"),
            signed=True, narrow_range=False, rounding="round", clamp_ste=False,
            policy="select")
FAKE = _case("fake_quantize", "fake_quantize",
             "qmin(-128) qmax(127) scaling(reciprocal) zero_point(after) grad(clipped)",
             ("scale", "zero_point"), ("x",), qmin=-128, qmax=127,
             scaling="reciprocal", position="after")
INT_VALUES = {"scale": 0.02, "zero_point": 3.0, "bit_width": 8.0}
# What int_quant would scale back again: the codes, as a program spells them.
CODES = _case("int_quant", "int_quant_closed", "signed", ("scale", "zero_point"))
CODES_TEXT = """\
  %min = arith.constant -128.0 : f32
  %max = arith.constant 127.0 : f32
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : {data}
  %none = tensor.empty(%n) : tensor<?xi8>
  %y = linalg.generic {{
      indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>,
                       affine_map<(i) -> ()>, affine_map<(i) -> (i)>],
      iterator_types = ["parallel"]}}
      ins(%x, %p0, %p1 : {types}) outs(%none : tensor<?xi8>) {{
  ^bb0(%e: {dtype}, %s: f32, %z: f32, %o: i8):{extend}
    %q = arith.divf {wide}, %s : f32
    %t = arith.addf %q, %z : f32
    %r = math.roundeven %t : f32
    %above = arith.cmpf ogt, %r, %min : f32
    %l = arith.select %above, %r, %min : f32
    %below = arith.cmpf olt, %l, %max : f32
    %c = arith.select %below, %l, %max : f32
    %i = arith.fptosi %c : f32 to i8
    linalg.yield %i : i8
  }} -> tensor<?xi8>
"""


def _int_quant(name, shape, axis):
    return Kernel(name, INT, shape, (axis,), ("scale", "zero_point"), INT_VALUES)


KERNELS = [
    Kernel("pact", _case("pact", "pact", "bits(4) grad(pact)", ("alpha",), bits=4,
                         policy="select"), values={"alpha": 1.5}),
    Kernel("int_quant", INT, values=INT_VALUES),
    Kernel("int_quant_codes", CODES, values=INT_VALUES, codes=True),
    Kernel("lsq", _case("lsq", "lsq", "qmin(-8) qmax(7) grad_scale(0.0334) grad(lsq)",
                        ("scale",), qn=8, qp=7, grad_scale=0.0334, inclusive=False),
           values={"scale": 0.2}),
    Kernel("fake_quantize", FAKE, values={"scale": 0.02, "zero_point": 3.0}),
    Kernel("learnable_fake_quantize",
           _case("learnable_fake_quantize", "learnable_fake_quantize",
                 "qmin(-128) qmax(127) grad_factor(1.0) grad(clipped)",
                 ("scale", "zero_point"), qmin=-128, qmax=127, grad_factor=1.0),
           values={"scale": 0.02, "zero_point": 2.5}),
    Kernel("binary_sign_clipped",
           _case("binary_sign", "binary_sign_window", "grad(window(-1.0, 1.0))",
                 low=-1.0, high=1.0)),
    Kernel("stochastic_round",
           _case("stochastic_round", "stochastic_round_ste", "grad(ste)", ("u",), ("x",)),
           per_element=("u",)),
    Kernel("float_quant_e4m3",
           _case("float_quant", "float_quant_closed",
                 "format(e4m3_ocp) signed saturating grad(clipped)", ("scale",),
                 format="e4m3_ocp", signed=True, saturating=True, nonsat="none",
                 detach_exponent=True, policy="select"), values={"scale": 0.005}),
    _int_quant("int_quant_rows", (0, 4096), 0),
    _int_quant("int_quant_channels_56x56", (0, 256, 56, 56), 1),
    _int_quant("int_quant_channels_7x7", (0, 2048, 7, 7), 1),
    _int_quant("int_quant_last", (0, 4096), 1),
    _int_quant("int_quant_channels_last", (0, 56, 56, 256), 3),
    Kernel("fake_quantize_rows", FAKE, (0, 4096), (0,), ("scale", "zero_point"),
           {"scale": 0.02, "zero_point": 3.0}),
]
# The shapes of the tables: elements of each kernel that has channels.
CHANNEL_ELEMENTS = {"int_quant_rows": 16384 * 4096, "int_quant_last": 16384 * 4096,
                    "int_quant_channels_56x56": 32 * 256 * 56 * 56,
                    "int_quant_channels_7x7": 256 * 2048 * 49,
                    "int_quant_channels_last": 32 * 256 * 56 * 56,
                    "fake_quantize_rows": 16384 * 4096}


# ===----------------------------------------------------------------------===
# Text
# ===----------------------------------------------------------------------===

def module_text(kernel, dtype, allocate):
    """@forward(x, p..., results...) and @backward(x, p..., dy, results...), which
    write their results where they are told, or return them."""
    rank = len(kernel.shape)
    data = f"tensor<{'?x' * rank}{dtype}>"
    types, operands = [data], ["%x"]
    for i, name in enumerate(kernel.case.parameters):
        axes = kernel.axes_of(name)
        element = dtype if name in kernel.per_element else "f32"
        types.append(f"tensor<{'?x' * len(axes)}{element}>")
        operands.append(f"%p{i}" + (f" axes({list(axes)})" if axes else ""))
    names = [o.split()[0] for o in operands]
    arguments = ", ".join(f"{n}: {t}" for n, t in zip(names, types))
    wrt = [kernel.case.operands.index(n) for n in kernel.gradients]
    gradients = [types[i] for i in wrt]
    gradient_names = [f"%g{i}" for i in range(len(wrt))]
    joined = ", ".join(types)

    def function(name, arguments, body, values, results):
        if allocate:
            return (f"func.func @{name}({arguments}) -> ({', '.join(results)}) {{\n{body}"
                    f"  return {', '.join(values)} : {', '.join(results)}\n}}\n")
        outs = "".join(f", %o{i}: {t} {{bufferization.writable = true}}"
                       for i, t in enumerate(results))
        stores = ""
        for i, (v, t) in enumerate(zip(values, results)):
            buffer = t.replace("tensor", "memref")
            stores += (f"  %b{i} = bufferization.to_buffer %o{i} : {t} to {buffer}\n"
                       f"  bufferization.materialize_in_destination {v} in restrict "
                       f"writable %b{i} : ({t}, {buffer}) -> ()\n")
        return f"func.func @{name}({arguments}{outs}) {{\n{body}{stores}  return\n}}\n"

    if kernel.codes:
        wide = "%e" if dtype == "f32" else "%f"
        extend = "" if dtype == "f32" else f"\n    %f = arith.extf %e : {dtype} to f32"
        body = CODES_TEXT.format(data=data, types=joined, dtype=dtype, wide=wide,
                                 extend=extend)
        return function("forward", arguments, body, ["%y"], ["tensor<?xi8>"])
    op = f"quant_ste.{kernel.case.op} {', '.join(operands)} {kernel.case.words} : {joined}"
    return (
        f"func.func private @op({arguments}) -> {data} {{\n"
        f"  %y = {op}\n  return %y : {data}\n}}\n"
        + function("forward", arguments,
                   f"  %y = func.call @op({', '.join(names)}) : ({joined}) -> {data}\n",
                   ["%y"], [data])
        + function("backward", f"{arguments}, %dy: {data}",
                   f"  %y, {', '.join(gradient_names)} = quant_ste.vjp @op({', '.join(names)})"
                   f" cotangents(%dy) wrt {wrt} : ({joined}), ({data})"
                   f" -> ({', '.join([data] + gradients)})\n",
                   gradient_names, gradients))


@functools.lru_cache(maxsize=None)
def compiled(kernel, dtype, allocate):
    return quant_ste.compile(module_text(kernel, dtype, allocate))


# ===----------------------------------------------------------------------===
# Inputs and references
# ===----------------------------------------------------------------------===

class Problem:
    """A kernel with inputs of one size and type, and what it must give."""

    def __init__(self, kernel, dtype, elements):
        self.kernel, self.dtype = kernel, dtype
        shape = self.shape = kernel.sizes(elements)
        row = int(np.prod(shape[1:], dtype=np.int64))
        rows = max(d for d in range(1, max(1, min(shape[0], BLOCK // row)) + 1)
                   if shape[0] % d == 0)
        self.block_shape = (rows,) + shape[1:]
        self.times = shape[0] // rows
        rng = np.random.default_rng(7)
        self.block = {"x": self._draw(rng, 1.0), "dy": self._draw(rng, 1.0)}
        self.x = self._repeat(self.block["x"])
        self.dy = self._repeat(self.block["dy"])
        self.parameters = []
        for name in kernel.case.parameters:
            axes = kernel.axes_of(name)
            if name in kernel.per_element:
                u = (rng.random(self.block_shape) * 0.99).astype(DTYPES[dtype])
                self.block[name] = u
                self.parameters.append(self._repeat(u))
                continue
            size = tuple(self.block_shape[a] for a in axes)
            value = kernel.values[name]
            if axes:  # channels differ
                value = value * (0.75 + 0.5 * rng.random(size))
            p = np.asarray(value, np.float32)
            if name == "zero_point" and "learnable" not in kernel.case.op:
                p = np.asarray(np.rint(p), np.float32)
            self.block[name] = p
            self.parameters.append(np.tile(p, self.times) if 0 in axes else p)
        result = np.int8 if kernel.codes else DTYPES[dtype]
        self.results = {"forward": [timing.aligned(shape, result)]}
        self.results["backward"] = [
            self.results["forward"][0] if name == "x" else
            np.zeros_like(self.parameters[kernel.case.parameters.index(name)])
            for name in kernel.gradients]

    @property
    def elements(self):
        return self.x.size

    def bytes(self, direction):
        return (self.kernel.reads(direction) * self.x.nbytes
                + self.results["forward"][0].nbytes)

    def _draw(self, rng, scale):
        x = rng.standard_normal(self.block_shape, dtype=np.float32) * np.float32(scale)
        return x.astype(DTYPES[self.dtype])

    def _repeat(self, block):
        out = timing.aligned(self.shape, block.dtype)
        out.reshape((self.times,) + block.shape)[...] = block
        return out

    def arguments(self, direction):
        return [self.x, *self.parameters] + ([self.dy] if direction == "backward" else [])

    def ours(self, direction, allocate=False):
        module = compiled(self.kernel, self.dtype, allocate)
        outs = [] if allocate else self.results[direction]
        return timing.Compiled(module, direction, self.arguments(direction) + outs)

    def streams(self, direction, threads, allocate=False):
        arrays = [self.x, self.dy]
        if self.kernel.per_element and direction == "forward":
            arrays = [self.x, self.parameters[0]]
        return timing.all_streams(arrays[:self.kernel.reads(direction)],
                                  self.results["forward"][0], threads, allocate)

    @functools.cached_property
    def reference(self):
        """y of the block, and the terms of each gradient in f64."""
        k = self.kernel
        if k.codes:
            x, scale, zero_point = (self.block[n].astype(np.float32)
                                    for n in ("x", "scale", "zero_point"))
            return np.clip(np.rint(x / scale + zero_point), -128, 127), {}
        params = [self.block[n] for n in k.case.parameters]
        axes = [k.axes_of(n) for n in k.case.parameters]
        y, terms = harness.expect(k.case, self.block["x"], params, axes, self.block["dy"])
        return y, terms

    def check(self, direction):
        """Calls the kernel once and compares all that it wrote."""
        for out in self.results[direction]:
            out[...] = 0 if self.kernel.codes else np.nan
        self.ours(direction).check_call()
        y, terms = self.reference
        if direction == "forward":
            self._check_elements("y", y, self.results[direction][0])
            return
        for name, got in zip(self.kernel.gradients, self.results[direction]):
            if name == "x":
                self._check_elements("dx", terms[name], got)
            else:
                self._check_sum(name, terms[name], got)

    def _fail(self, what):
        raise Failed(f"{self.kernel.name} {self.dtype} {'x'.join(map(str, self.shape))}: {what}")

    def _check_elements(self, name, want, got):
        want = harness.rounded(want, got.dtype)
        got = got.reshape((self.times,) + self.block_shape)
        for i in range(self.times):
            same = harness.same_values(got[i], want)
            if not same.all():
                at = tuple(np.argwhere(~same)[0])
                self._fail(f"{name}: {np.count_nonzero(~same)} of {same.size} elements "
                           f"differ, first got {got[i][at]!r}, want {want[at]!r}")

    def _check_sum(self, name, terms, got):
        """Within 1e-6 of the sum of magnitudes, as the pipeline promises."""
        axes = self.kernel.axes_of(name)
        over = harness.kept(axes, terms.ndim)
        terms = terms.astype(np.float64)
        exact, size = terms.sum(axis=over), np.abs(terms).sum(axis=over)
        if 0 in axes:
            exact, size = np.tile(exact, self.times), np.tile(size, self.times)
        else:
            exact, size = exact * self.times, size * self.times
        bound = 1e-6 * size + np.abs(exact) * 2.0 ** -24
        error = np.abs(got.astype(np.float64) - exact)
        if not (error <= bound).all():
            worst = np.argmax(error - bound)
            self._fail(f"d{name}: off by {np.ravel(error)[worst]} where "
                       f"{np.ravel(bound)[worst]} is allowed")
