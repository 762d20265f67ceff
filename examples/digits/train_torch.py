#!/usr/bin/env python3
"""Trains a 4-bit CNN of Brevitas' layers on handwritten digits twice from one seed: as it
is, and after quant_ste.torch.accelerate.

    pip install . torch brevitas
    python examples/digits/train_torch.py

Says how far the losses of the first steps are apart, and the accuracies after training.
benchmarks/torch_step.py measures the time of steps.
"""
import argparse
import copy
import dataclasses
import pathlib

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas.quant import Int8WeightPerChannelFloat
from torch import nn

import quant_ste.torch

DATA = pathlib.Path(__file__).resolve().parent / "data"
TRAIN = 1437


def make_model() -> nn.Module:
    def weights():
        return {"weight_quant": Int8WeightPerChannelFloat, "weight_bit_width": 4, "bias": True}

    return nn.Sequential(
        qnn.QuantConv2d(1, 16, 3, padding=1, **weights()), qnn.QuantReLU(bit_width=4),
        qnn.QuantConv2d(16, 32, 3, stride=2, padding=1, **weights()),
        qnn.QuantReLU(bit_width=4), nn.Flatten(),
        qnn.QuantLinear(32 * 4 * 4, 10, **weights()))


def load_digits():
    """Images, labels, and the order to split by."""
    pixels = torch.from_numpy(np.load(DATA / "X.npy")).reshape(-1, 1, 8, 8)
    labels, order = (torch.from_numpy(np.load(DATA / f"{n}.npy")) for n in ("y", "split"))
    return pixels, labels, order


@dataclasses.dataclass
class Training:
    losses: list[float]
    accuracy: float  # on the images that are left out


def train(model: nn.Module, epochs: int, name: str) -> Training:
    """The same batches for every model."""
    pixels, labels, order = load_digits()
    training, test = order[:TRAIN], order[TRAIN:]
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for epoch in range(epochs):
        for batch in training[torch.randperm(TRAIN, generator=generator)].split(64):
            loss = nn.functional.cross_entropy(model(pixels[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        done = (epoch + 1) * 30 // epochs
        print(f"\r{name:12} [{'#' * done:30}] epoch {epoch + 1}, loss {losses[-1]:.4f} ", end="",
              flush=True)
    model.eval()
    with torch.no_grad():
        accuracy = (model(pixels[test]).argmax(1) == labels[test]).double().mean().item()
    print(f"accuracy {100 * accuracy:.1f} %")
    return Training(losses, accuracy)


def main(arguments=None) -> tuple[Training, Training]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    model = make_model()
    accelerated = copy.deepcopy(model)
    print(quant_ste.torch.accelerate(accelerated))
    theirs = train(model, options.epochs, "Brevitas")
    ours = train(accelerated, options.epochs, "accelerated")
    apart = max(abs(a - b) for a, b in zip(ours.losses[:20], theirs.losses))
    print(f"losses of the first 20 steps: at most {apart:.1e} apart")
    return theirs, ours


if __name__ == "__main__":
    main()
