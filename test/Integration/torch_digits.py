"""The network of examples/digits in PyTorch, with the same random numbers.

IntQuant and PACT are written out as torch autograd functions: the forward as
Brevitas and bitorch have it, the gradients as in the op descriptions (select,
never multiply; dx of int_quant is the masked cotangent).
"""
from __future__ import annotations

import numpy as np
import torch

LAYERS = [(64, 128), (128, 64), (64, 10)]
NAMES = "w0 b0 s0 a0 w1 b1 s1 a1 w2 b2 s2".split()

GOLDEN = 0x9E3779B97F4A7C15


class IntQuant(torch.autograd.Function):
    """4 bits, signed, narrow range, zero point 0, one scale per column."""

    @staticmethod
    def forward(ctx, w, scale):
        t = w / scale
        r = torch.round(t)
        c = torch.clamp(r, -7, 7)
        ctx.save_for_backward(t, r, c)
        return c * scale

    @staticmethod
    def backward(ctx, dy):
        t, r, c = ctx.saved_tensors
        inside = r == c
        dscale = torch.where(inside, dy * (c - t), dy * c).sum(0)
        return torch.where(inside, dy, 0.0), dscale


class Pact(torch.autograd.Function):
    """4 bits, one alpha."""

    @staticmethod
    def forward(ctx, x, alpha):
        ctx.save_for_backward(x, alpha)
        scale = (1 / alpha) * 15
        clipped = torch.minimum(torch.clamp(x, min=0), alpha)
        return torch.round(clipped * scale) / scale

    @staticmethod
    def backward(ctx, dy):
        x, alpha = ctx.saved_tensors
        return (torch.where((x < 0) | (x > alpha), 0.0, dy),
                torch.where(x >= alpha, dy, 0.0).sum())


def net(x, p, quantized=True):
    for i in range(3):
        w = IntQuant.apply(p[f"w{i}"], p[f"s{i}"]) if quantized else p[f"w{i}"]
        x = x @ w + p[f"b{i}"]
        if i < 2:
            x = Pact.apply(x, p[f"a{i}"]) if quantized else torch.relu(x)
    return x


def loss(x, labels, p, quantized=True):
    return torch.nn.functional.cross_entropy(net(x, p, quantized), labels)


def mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def random(seed, stream, count):
    """The first `count` numbers of @random."""
    with np.errstate(over="ignore"):
        key = mix(np.array(seed, np.uint64) * np.uint64(GOLDEN) + np.uint64(stream))
        return mix(key + np.arange(count, dtype=np.uint64) * np.uint64(GOLDEN))


def first_parameters(seed):
    p = {}
    for i, (inputs, outputs) in enumerate(LAYERS):
        n = random(seed, i, inputs * outputs) >> np.uint64(40)
        u = n.astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
        bound = np.sqrt(np.float32(6) / np.float32(inputs))
        w = (u * bound).reshape(inputs, outputs)
        p[f"w{i}"] = w
        p[f"b{i}"] = np.zeros(outputs, np.float32)
        p[f"s{i}"] = (np.abs(w) / np.float32(7)).max(axis=0)
        if i < 2:
            p[f"a{i}"] = np.array(1, np.float32)
    return p


def shuffle(order, seed, stream):
    numbers = random(seed, stream, len(order))
    for i in range(1, len(order)):
        j = int(numbers[i]) % (i + 1)
        order[i], order[j] = order[j], order[i]


def train(images, labels, split, epochs, seed, quantized=True):
    """The mean loss of each epoch, and the trained parameters."""
    images, labels = torch.tensor(images), torch.tensor(labels)
    names = [n for n in NAMES if quantized or n[0] in "wb"]
    start = first_parameters(seed)
    p = {n: torch.tensor(start[n], requires_grad=True) for n in names}
    groups = [{"params": [p[n] for n in names if n[0] in "wb"], "lr": 0.05}]
    if quantized:
        learned = [p[n] for n in names if n[0] in "sa"]
        groups.append({"params": learned, "lr": 0.01})
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    order = split[:1437].copy()
    losses = []
    for epoch in range(epochs):
        shuffle(order, seed, 3 + epoch)
        total = 0.0
        for at in range(0, 22 * 64, 64):
            rows = torch.tensor(order[at:at + 64])
            value = loss(images[rows], labels[rows], p, quantized)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += value.item()
        losses.append(total / 22)
    return losses, {n: v.detach().numpy() for n, v in p.items()}
