# %% [markdown]
# Quantization-aware training with quant_ste, from a picture of a quantizer to a file
# that runs without PyTorch. Run it as a script, or cell by cell in an editor that
# knows `# %%`:
#
#     python examples/tutorial/tutorial.py --out /tmp/tutorial

# %%
import argparse
import pathlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import quant_ste
import quant_ste.torch as qs
from quant_ste import plot

parser = argparse.ArgumentParser()
parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tutorial-out"))
parser.add_argument("--epochs", type=int, default=12)
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## 1. A quantizer is a staircase with a gradient of its own
# The forward function of PACT (Choi et al. 2018) is flat almost everywhere. Its rule,
# `grad(pact)`, passes the gradient to x between 0 and alpha, and to alpha above.

# %%
picture = plot.quantizer("pact %x, %alpha bits(2) grad(pact)", alpha=3.0, low=-1.0, high=5.0,
                         wrt=("x", "alpha"))
picture.save(options.out / "pact.svg")

# %% [markdown]
# ## 2. Data: handwritten digits, 8 x 8 pixels

# %%
folder = pathlib.Path(__file__).resolve().parents[1] / "digits" / "data"
pixels = torch.from_numpy(np.load(folder / "X.npy").astype(np.float32))
labels = torch.from_numpy(np.load(folder / "y.npy").astype(np.int64))
order = torch.from_numpy(np.load(folder / "split.npy").astype(np.int64))
pixels = pixels / pixels.max()
train, test = order[:1437], order[1437:]


# %% [markdown]
# ## 3. A model with weights and activations of 4 bits
# The quantizers are modules, and their scales and bounds parameters like any other. Each
# op is compiled when it is first called.

# %%
class Linear(nn.Linear):
    """Weights of 4 bits with a learned scale for each output."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        self.quantize = qs.IntQuant(bit_width=4, channels=outputs, dim=0, rank=2,
                                    narrow_range=True)
        with torch.no_grad():
            self.quantize.scale.copy_(self.weight.abs().amax(1, keepdim=True) / 7)

    def forward(self, x):
        return F.linear(x, self.quantize(self.weight), self.bias)


torch.manual_seed(0)
model = nn.Sequential(Linear(64, 64), qs.Pact(4, alpha=3.0), Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
for epoch in range(options.epochs):
    for batch in train[torch.randperm(len(train))].split(64):
        loss = F.cross_entropy(model(pixels[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    done = (epoch + 1) * 20 // options.epochs
    print(f"\r[{'#' * done:20}] epoch {epoch + 1}, loss {loss.item():.4f}", end="", flush=True)
with torch.no_grad():
    accuracy = (model(pixels[test]).argmax(1) == labels[test]).float().mean().item()
print(f"\naccuracy with 4 bits: {accuracy:.4f}, alpha learned: {model[1].alpha.item():.3f}")

# %% [markdown]
# ## 4. A model of another library
# `accelerate` swaps the fake quantizers of Brevitas, bitorch and torch.ao for compiled
# ones. `diff_report` first says what that would change, result by result and gradient by
# gradient, in units in the last place.

# %%
from torch.ao.quantization import FakeQuantize, MovingAverageMinMaxObserver  # noqa: E402

other = nn.Sequential(
    FakeQuantize(MovingAverageMinMaxObserver, quant_min=0, quant_max=255), nn.Linear(64, 10))
differences = qs.diff_report(other, pixels[train[:64]])
for row in differences:
    print(f"{row.name}: {row.differing} of {row.elements} differ, by {row.ulps} ULP at most"
          f"{' (' + row.cause + ')' if row.cause else ''}")
print(qs.accelerate(other))

# %% [markdown]
# ## 5. Out of PyTorch
# `export` writes the model as a function of MLIR, here with its weights as constants. What
# is compiled from the file needs numpy alone, and can still be differentiated.

# %%
exported = qs.export(model.eval(), (pixels[test],), parameters="constants")
exported.save(options.out / "digits.mlir")

module = quant_ste.compile(options.out / "digits.mlir")
logits = module.main(pixels[test].numpy())
agreement = float(np.mean(logits.argmax(1) == model(pixels[test]).argmax(1).numpy()))
print(f"the file and the model agree on {agreement:.4f} of the digits")

# %% [markdown]
# Which pixels speak for a digit: the gradient of its logit, through the quantizers.

# %%
dy = np.zeros_like(logits)
dy[np.arange(len(dy)), logits.argmax(1)] = 1
_, dx = module.vjp("main")(pixels[test].numpy(), dy)
row, column = divmod(int(abs(dx[0]).argmax()), 8)
print(f"the pixel that matters most to the first digit: row {row}, column {column}")
clip = 7 * model[0].quantize.scale.mean().item()
plot.histogram(model[0].weight, clip=(-clip, clip), title="weights of the first layer").save(
    options.out / "weights.svg")
