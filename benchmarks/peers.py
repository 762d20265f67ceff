"""The systems around: what each computes for a kernel, or why it is left out.

A peer is given as `forward()` -> y and, behind it, `backward()` -> gradients; both
allocate what they return unless they say `preallocated`. Formulas that several
front ends share are written once, as one would write them in PyTorch.
"""
import contextlib
import importlib
import io
import warnings

import ml_dtypes
import numpy as np

import timing


class Absent(Exception):
    """Why there is nothing to measure."""


def _import(name):
    try:
        return importlib.import_module(name)
    except Exception as error:  # a broken installation raises anything
        raise Absent(f"{name} cannot be imported ({type(error).__name__}: {error})") from None


# ===----------------------------------------------------------------------===
# PyTorch
# ===----------------------------------------------------------------------===

def formulas():
    """Kernel -> function of (x, parameters) with the gradients of the kernel."""
    import torch
    # Imported only if torch is there: a class per quantizer.
    from torch.autograd import Function

    def along(p, x, axis):
        if p.dim() == 0 or p.shape == x.shape:
            return p
        view = [1] * x.dim()
        view[axis] = -1
        return p.view(view)

    def total(t, p, axis):
        over = [d for d in range(t.dim()) if p.dim() == 0 or d != axis]
        return t.sum(over).to(p.dtype)

    class Pact(Function):
        @staticmethod
        def forward(ctx, x, alpha, axis):
            ctx.save_for_backward(x, alpha)
            scale = (1 / alpha) * 15
            return torch.round(torch.minimum(x.clamp(min=0), alpha) * scale) / scale

        @staticmethod
        def backward(ctx, dy):
            x, alpha = ctx.saved_tensors
            return (torch.where((x < 0) | (x > alpha), 0.0, dy),
                    torch.where(x >= alpha, dy, 0.0).sum().to(alpha.dtype), None)

    class IntQuant(Function):
        @staticmethod
        def forward(ctx, x, scale, zero_point, bits, axis):
            ctx.save_for_backward(x, scale, zero_point)
            ctx.axis = axis
            s, z = along(scale, x, axis), along(zero_point, x, axis)
            q = torch.clamp(torch.round(x / s + z), -128, 127)
            return ((q - z) * s).to(x.dtype)

        @staticmethod
        def backward(ctx, dy):
            x, scale, zero_point = ctx.saved_tensors
            axis = ctx.axis
            s, z = along(scale, x, axis), along(zero_point, x, axis)
            t = x / s
            r = torch.round(t + z)
            c = torch.clamp(r, -128, 127)
            inside = r == c
            ds = dy * (torch.where(inside, c - z - t, c - z))
            dz = torch.where(inside, 0.0, -(dy * s))
            return (torch.where(inside, dy, 0.0), total(ds, scale, axis),
                    total(dz, zero_point, axis), None, None)

    class IntQuantNarrow(Function):
        """4 bits, narrow range, zero point 0: weights."""

        @staticmethod
        def forward(ctx, w, scale, axis):
            t = w / along(scale, w, axis)
            r = torch.round(t)
            c = torch.clamp(r, -7, 7)
            ctx.save_for_backward(t, r, c, scale)
            ctx.axis = axis
            return c * along(scale, w, axis)

        @staticmethod
        def backward(ctx, dy):
            t, r, c, scale = ctx.saved_tensors
            inside = r == c
            ds = torch.where(inside, dy * (c - t), dy * c)
            return torch.where(inside, dy, 0.0), total(ds, scale, ctx.axis), None

    class Lsq(Function):
        @staticmethod
        def forward(ctx, x, scale, axis):
            ctx.save_for_backward(x, scale)
            return (torch.round(torch.clamp(x / scale, -8, 7)) * scale).to(x.dtype)

        @staticmethod
        def backward(ctx, dy):
            x, scale = ctx.saved_tensors
            t = x / scale
            below, above = t <= -8, t >= 7
            slope = torch.where(below, -8.0, torch.where(above, 7.0, torch.round(t) - t))
            return (torch.where(below | above, 0.0, dy),
                    (dy * slope * 0.0334).sum().to(scale.dtype), None)

    class Sign(Function):
        @staticmethod
        def forward(ctx, x, axis):
            ctx.save_for_backward(x)
            return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)

        @staticmethod
        def backward(ctx, dy):
            x, = ctx.saved_tensors
            return torch.where((x >= -1) & (x <= 1), dy, 0.0), None

    class Stochastic(Function):
        @staticmethod
        def forward(ctx, x, u, axis):
            low = torch.floor(x)
            return torch.where(u < (x - low).abs(), low + 1, low)

        @staticmethod
        def backward(ctx, dy):
            return dy.clone(), None, None

    class E4M3(Function):
        @staticmethod
        def forward(ctx, x, scale, axis):
            ctx.save_for_backward(x, scale)
            t = torch.clamp(x / scale, -448, 448).to(torch.float8_e4m3fn)
            return (t.to(scale.dtype) * scale).to(x.dtype)

        @staticmethod
        def backward(ctx, dy):
            x, scale = ctx.saved_tensors
            t = x / scale
            c = torch.clamp(t, -448, 448)
            q = c.to(torch.float8_e4m3fn).to(scale.dtype)
            inside = t == c
            return (torch.where(inside, dy, 0.0),
                    (dy * torch.where(inside, q - t, q)).sum().to(scale.dtype), None)

    def apply(function):
        return lambda axis: lambda x, *p: function.apply(x, *p, axis)

    return {"pact": apply(Pact), "int_quant": apply(IntQuant),
            "int_quant_narrow": apply(IntQuantNarrow), "lsq": apply(Lsq),
            "binary_sign": apply(Sign), "stochastic_round": apply(Stochastic),
            "float_quant": apply(E4M3)}


def _torch_fake_quantize(torch, kernel):
    """torch's own ops, which one calls eagerly or compiles."""
    op, axis = kernel.case.op, (kernel.axes or (None,))[0]
    if op == "fake_quantize" and axis is None:
        return lambda x, s, z: torch.fake_quantize_per_tensor_affine(
            x, s, z.to(torch.int32), -128, 127)
    if op == "fake_quantize":
        return lambda x, s, z: torch.fake_quantize_per_channel_affine(
            x, s, z.to(torch.int32), axis, -128, 127)
    if op == "learnable_fake_quantize":
        return lambda x, s, z: torch._fake_quantize_learnable_per_tensor_affine(
            x, s.view(1), z.view(1), -128, 127, 1.0)
    return None


class TorchPeer:
    """A function of torch tensors on a problem's inputs."""

    preallocated = False

    def __init__(self, torch, function, problem, threads, compile_=False):
        self.torch, self.problem = torch, problem
        torch.set_num_threads(threads)
        kernel = problem.kernel
        self.wanted = [kernel.case.operands.index(n) for n in kernel.gradients]
        self.inputs = [self._tensor(a, i in self.wanted)
                       for i, a in enumerate([problem.x, *problem.parameters])]
        self.dy = self._tensor(problem.dy, False)
        self.function = torch.compile(function, fullgraph=True) if compile_ else function
        with quiet():
            self.y = self.function(*self.inputs)
            dx = self.backward()[0]
        if dx.data_ptr() == self.dy.data_ptr():
            self.backward = None

    def _tensor(self, array, wants_grad):
        torch = self.torch
        if array.dtype == ml_dtypes.bfloat16:
            t = torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        else:
            t = torch.from_numpy(array)
        return t.detach().requires_grad_(wants_grad)

    def forward(self):
        return self.function(*self.inputs)

    def backward(self):
        return self.torch.autograd.grad(
            self.y, [self.inputs[i] for i in self.wanted], self.dy, retain_graph=True)

    def result(self):
        return self.y.detach().float().numpy()


def torch_eager(problem, threads):
    torch = _import("torch")
    function = _torch_fake_quantize(torch, problem.kernel)
    if function is None:
        formula = formulas()[problem.kernel.case.op]
        function = formula((problem.kernel.axes or (None,))[0])
    return TorchPeer(torch, function, problem, threads)


def torch_compile(problem, threads):
    torch = _import("torch")
    formula = formulas().get(problem.kernel.case.op)
    function = (formula((problem.kernel.axes or (None,))[0]) if formula
                else _torch_fake_quantize(torch, problem.kernel))
    import torch._dynamo
    import torch._functorch.config
    torch._functorch.config.donated_buffer = False  # backward is run many times
    torch._dynamo.reset()
    return TorchPeer(torch, function, problem, threads, compile_=True)


# ===----------------------------------------------------------------------===
# Brevitas, bitorch
# ===----------------------------------------------------------------------===

def brevitas(problem, threads):
    torch = _import("torch")
    _import("brevitas")
    kernel = problem.kernel
    axis = (kernel.axes or (None,))[0]
    from brevitas.core.function_wrapper import Identity, RoundSte, TensorClamp
    from brevitas.core.quant import ClampedBinaryQuant
    from brevitas.core.quant.int_base import IntQuant
    if kernel.case.op == "int_quant":
        quant = IntQuant(signed=True, narrow_range=False, input_view_impl=Identity(),
                         float_to_int_impl=RoundSte(), tensor_clamp_impl=TensorClamp())

        def function(x, s, z, b):
            if axis is not None:
                view = [1] * x.dim()
                view[axis] = -1
                s, z = s.view(view), z.view(view)
            return quant(s, z, b, x)
    elif kernel.case.op == "binary_sign":
        quant = ClampedBinaryQuant(scaling_impl=lambda x: torch.ones(()))

        def function(x):
            return quant(x)[0]
    else:
        raise Absent("has no such quantizer")
    return TorchPeer(torch, function, problem, threads)


def bitorch(problem, threads):
    torch = _import("torch")
    op = problem.kernel.case.op
    if op == "binary_sign":
        quantizations = _import("bitorch.quantizations")
        # Its gradient is not clipped, which spares it the mask.
        function = quantizations.Sign()
    elif op == "pact":
        pact = _import("bitorch.layers.pact").PactActFn

        def function(x, alpha):
            return pact.apply(x, alpha, 4)
    else:
        raise Absent("has no such quantizer")
    return TorchPeer(torch, function, problem, threads)


# ===----------------------------------------------------------------------===
# NumPy
# ===----------------------------------------------------------------------===

class NumpyPeer:
    """One ufunc after the other, in place: forward only, and one thread."""

    preallocated = True

    def __init__(self, problem, threads):
        if threads > 1:
            raise Absent("has one thread")
        if problem.x.dtype == ml_dtypes.bfloat16:
            raise Absent("has no bf16")
        kernel = problem.kernel
        steps = {"int_quant": self._int_quant, "fake_quantize": self._fake,
                 "pact": self._pact, "lsq": self._lsq, "binary_sign": self._sign,
                 "stochastic_round": self._stochastic}.get(kernel.case.op)
        if not steps:
            raise Absent("has no such function")
        self.steps, self.x = steps, problem.x
        self.y = np.empty_like(problem.x)
        view = [1] * problem.x.ndim
        self.p = []
        for p, name in zip(problem.parameters, kernel.case.parameters):
            if name not in kernel.per_element:
                p = p.astype(problem.x.dtype)
                if p.ndim:
                    view[kernel.axes[0]] = -1
                    p = p.reshape(view)
            self.p.append(p)

    def forward(self):
        self.steps(self.x, self.y, *self.p)

    def result(self):
        self.forward()
        return self.y.astype(np.float32)

    backward = None

    def _int_quant(self, x, y, s, z, b):
        np.divide(x, s, out=y)
        np.add(y, z, out=y)
        np.rint(y, out=y)
        np.clip(y, -128, 127, out=y)
        np.subtract(y, z, out=y)
        np.multiply(y, s, out=y)

    def _fake(self, x, y, s, z):
        self._int_quant(x, y, s, z, None)

    def _pact(self, x, y, alpha):
        scale = 15 / alpha
        np.clip(x, 0, alpha, out=y)
        np.multiply(y, scale, out=y)
        np.rint(y, out=y)
        np.divide(y, scale, out=y)

    def _lsq(self, x, y, s):
        np.divide(x, s, out=y)
        np.clip(y, -8, 7, out=y)
        np.rint(y, out=y)
        np.multiply(y, s, out=y)

    def _sign(self, x, y):
        np.greater_equal(x, 0, out=y, casting="unsafe")
        np.multiply(y, 2, out=y)
        np.subtract(y, 1, out=y)

    def _stochastic(self, x, y, u):
        np.floor(x, out=y)
        np.add(y, u < x - y, out=y)


PEERS = {"torch eager": torch_eager, "torch.compile": torch_compile, "Brevitas": brevitas,
         "bitorch": bitorch, "numpy": NumpyPeer}


@contextlib.contextmanager
def quiet():
    """bitorch prints in its backward, torch warns of its own deprecations."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def make(name, problem, threads):
    """The peer, its forward compared with ours; or Absent."""
    if problem.kernel.codes:
        raise Absent("gives no codes")
    try:
        peer = PEERS[name](problem, threads)
    except Absent:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:100]
        raise Absent(reason) from None
    want = problem.reference[0].astype(np.float32)
    got = peer.result()[:problem.block_shape[0]]
    # Front ends differ in an ULP here and there, and then by a whole step.
    scale = np.abs(want).max() or 1.0
    wrong = np.abs(got - want) > 0.02 * scale
    if np.count_nonzero(wrong) > 0.05 * wrong.size:
        raise Absent(f"computes something else: {np.count_nonzero(wrong)} of "
                     f"{wrong.size} elements are far off")
    return peer


def implementation(peer, direction):
    function = getattr(peer, direction)
    if function is None:
        raise Absent(f"has no {direction}" if isinstance(peer, NumpyPeer) else
                     "its backward gives dy itself: there is nothing to measure")
    return timing.Python(function)
