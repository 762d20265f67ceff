"""A second backend of examples/networks: torch, with the same quantizers written as
autograd functions. Also values for inputs and parameters, as numpy arrays."""
import numpy as np
import torch

F = torch.nn.functional


class IntQuant(torch.autograd.Function):
    """Signed, narrow range, one scale for each of the last dimension."""

    @staticmethod
    def forward(ctx, w, s, top):
        r = torch.round(w / s)
        q = torch.clamp(r, -top, top)
        ctx.save_for_backward(w, s, r, q)
        ctx.top = top
        return q * s

    @staticmethod
    def backward(ctx, g):
        w, s, r, q = ctx.saved_tensors
        inside = (r >= -ctx.top) & (r <= ctx.top)
        ds = g * torch.where(inside, q - w / s, q)
        return (torch.where(inside, g, 0), ds.sum(tuple(range(w.dim() - 1))),
                None)


class Pact(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha):
        ctx.save_for_backward(x, alpha)
        steps = 15 / alpha
        return torch.round(torch.clamp(x, torch.zeros_like(alpha), alpha)
                           * steps) / steps

    @staticmethod
    def backward(ctx, g):
        x, alpha = ctx.saved_tensors
        dx = torch.where((x < 0) | (x > alpha), 0, g)
        return dx, torch.where(x >= alpha, g, 0).sum()


class Lsq(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, s, qmin, qmax, slope):
        t = x / s
        ctx.save_for_backward(t)
        ctx.range = qmin, qmax, slope
        return torch.round(torch.clamp(t, qmin, qmax)) * s

    @staticmethod
    def backward(ctx, g):
        t, = ctx.saved_tensors
        qmin, qmax, slope = ctx.range
        below, above = t <= qmin, t >= qmax
        ds = torch.where(below, qmin, torch.where(above, qmax,
                                                  torch.round(t) - t))
        return (torch.where(below | above, 0, g), (g * ds * slope).sum(), None,
                None, None)


class Torch:
    """The backend of networks.py that computes, with torch's own layers."""

    def __init__(self, values, dtype, quantized=True):
        self.values, self.dtype, self.quantized = values, dtype, quantized
        self.tensors = {}

    def input(self, name, shape, element=None):
        v = torch.tensor(self.values[name])
        return v.to(self.dtype) if v.is_floating_point() else v

    def param(self, name, shape, init):
        t = torch.tensor(self.values[name], dtype=self.dtype, requires_grad=True)
        assert t.shape == tuple(shape)
        self.tensors[name] = t
        return t

    def weights(self, name, shape, bits=4, value=None):
        w = self.param(name, shape, None) if value is None else value
        if not self.quantized:
            return w
        s = self.param(f"{name}_scale", shape[-1:], None)
        return IntQuant.apply(w, s, 2 ** (bits - 1) - 1)

    def bias(self, name, x, init=0.0):
        return x + self.param(name, x.shape[-1:], None)

    def linear(self, name, x, width):
        return self.bias(f"{name}_bias",
                         x @ self.weights(name, (x.shape[-1], width)))

    def conv(self, name, x, width, size=3, stride=1, padding=1, value=None):
        w = (self.weights(name, (size, size, x.shape[-1], width))
             if value is None else value)
        y = F.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), None, stride,
                     padding)
        return y.permute(0, 2, 3, 1)

    def folded_conv(self, name, x, width, frozen, running_mean, running_var,
                    size=3, padding=1, epsilon=1e-5):
        w = self.param(name, (size, size, x.shape[-1], width), None)
        mean, var = running_mean, running_var
        if not frozen:
            y = self.conv(name, x, width, size, 1, padding, value=w)
            var, mean = torch.var_mean(y, (0, 1, 2), unbiased=False)
        g = self.param(f"{name}_gamma", (width,), None)
        factor = g / torch.sqrt(var + epsilon)
        folded = self.weights(name, w.shape, value=w * factor)
        y = self.conv(name, x, width, size, 1, padding, value=folded)
        return self.bias(f"{name}_beta", y - mean * factor)

    def max_pool(self, x, size, stride, padding=0):
        return F.max_pool2d(x.permute(0, 3, 1, 2), size, stride,
                            padding).permute(0, 2, 3, 1)

    def average_pool(self, x, size):
        return F.avg_pool2d(x.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)

    def pact(self, name, x, alpha=2.0):
        if not self.quantized:
            return F.relu(x)
        return Pact.apply(x, self.param(f"{name}_alpha", (), None))

    def lsq(self, name, x, bits=8, step=0.03):
        if not self.quantized:
            return x
        top = 2 ** (bits - 1) - 1
        slope = float(f"{(x.numel() * top) ** -0.5:.6e}")
        return Lsq.apply(x, self.param(f"{name}_step", (), None), -top - 1, top,
                         slope)

    def normalize(self, name, x, dims, epsilon=1e-5):
        g = self.param(f"{name}_gamma", x.shape[-1:], None)
        b = self.param(f"{name}_beta", x.shape[-1:], None)
        if dims == (x.dim() - 1,) or dims == (1,):
            return F.layer_norm(x, x.shape[-1:], g, b, epsilon)
        y = F.batch_norm(x.permute(0, 3, 1, 2), None, None, g, b, True, 0.1,
                         epsilon)
        return y.permute(0, 2, 3, 1)

    def add(self, x, y):
        return x + y

    def scale(self, x, number):
        return x * number

    def mean(self, x, dims):
        return x.mean(dims)

    def reshape(self, x, shape):
        return x.reshape(shape)

    def transpose(self, x, order):
        return x.permute(order)

    def embedding(self, name, tokens, rows, width):
        return F.embedding(tokens, self.param(name, (rows, width), None))

    def add_rows(self, name, x, deviation=0.5):
        return x + self.param(name, x.shape[1:], None)

    def batch_matmul(self, x, y, transposed=False):
        return x @ (y.transpose(1, 2) if transposed else y)

    def softmax(self, x):
        return F.softmax(x, -1)

    def cross_entropy(self, logits, labels):
        return F.cross_entropy(logits, labels)


def draw(k, rng, random=True, alpha=1.0):
    """Values for all inputs and parameters. `random`: biases and the like are
    random, so that no gradient is zero or at an edge by construction; PACT's
    bounds are `alpha` times as wide, so that some activations are beyond them.
    """
    values = {}
    for v in k.inputs:
        if v.element == "i64":
            values[v.name[1:]] = rng.integers(0, 10, v.shape)
        elif v.element == "i1":
            values[v.name[1:]] = np.bool_(False)
        elif v.name == "%x":
            values["x"] = rng.uniform(0.5, 1.5, v.shape)
        else:
            mean = 0.0 if v.name == "%running_mean" else 1.0
            values[v.name[1:]] = mean + rng.uniform(-0.3, 0.3, v.shape)
    for name, v, init in k.params:
        if isinstance(init, float):
            values[name] = np.full(v.shape, init)
            if random and v.shape:
                values[name] += rng.normal(0, 0.1, v.shape)
            elif random:
                values[name] *= rng.uniform(0.8, 1.2) * (
                    alpha if name.endswith("_alpha") else 1)
        elif init[0] == "normal":
            values[name] = rng.normal(0, init[1], v.shape)
        else:
            w = np.abs(values[init[1]])
            top = w.max(tuple(range(w.ndim - 1)))
            values[name] = top / init[2] * (rng.uniform(0.8, 1.2, v.shape)
                                            if random else 1)
    return values


NUMPY = {"f32": np.float32, "f64": np.float64}


def arguments(k, values, element):
    every = [v.name[1:] for v in k.inputs] + [n for n, _, _ in k.params]
    return [v if v.dtype.kind in "bi" else v.astype(NUMPY[element])
            for v in (np.asarray(values[n]) if np.ndim(values[n]) or
                      not isinstance(values[n], np.generic) else values[n]
                      for n in every)]
