"""What a user's program may look like, for type checkers."""
from typing import Annotated

import numpy as np
import torch

import quant_ste
import quant_ste.torch as qt
from quant_ste import build as qs
from quant_ste import plot, qonnx

Rows = Annotated[qs.Value, qs.f32[None, 8]]


@qs.rule(partials=lambda x, s, y: (abs(x) <= 1, 0.0))
def steps(x: qs.Value, s: qs.Value) -> qs.Value:
    return (x / s).round() * s


@qs.function
def layer(x: Rows, alpha: Annotated[qs.Value, qs.f32]) -> qs.Value:
    return qs.pact(qs.where(x > 0.5, steps(x, 0.5), 1 - x), alpha, bits=4, grad="pact")


module: quant_ste.Module = quant_ste.compile(layer.text)
f: quant_ste.Function = module["layer"]
y = f(np.ones((2, 8), np.float32), 1.0, out=None)
ranks: list[int] = [len(t.shape or ()) for t in f.arguments]
for phase, text in module.stages().items():
    print(phase.upper(), text.strip())
gradients = module.vjp("layer", wrt=["x"])
module.save("layer.so", vjp=["layer"])
library: quant_ste.Library = quant_ste.load("layer.so")
print(library["layer_vjp"].signature, quant_ste.info()["torch"])
try:
    quant_ste.compile("not MLIR {")
except quant_ste.CompileError as error:
    lines: list[int] = [d.line for d in error.diagnostics]

model = torch.nn.Sequential(torch.nn.Linear(2, 3), qt.Pact(4), qt.IntQuant(4, 0.1))
report = qt.accelerate(model)
names: list[str] = [swap.name for swap in report.swapped]
for row in qt.diff_report(model, torch.zeros(1, 2)):
    print(row.name, row.ulps + 1)
rounded: torch.Tensor = qt.round_ste(torch.zeros(3))
act = qt.PactActFn.apply(torch.zeros(3), torch.tensor(1.0), 4)
with qt.patch_brevitas() as replaced:
    print(len(replaced))
written: str = qt.export(model, (torch.zeros(1, 2),)).text
print(qonnx.load("a.onnx", shapes={"x": [1, 2]}).parameters["w"].shape)
picture: plot.Picture = plot.quantizer("round %x grad(ste)", low=-1.0)
picture.save("round.svg")
