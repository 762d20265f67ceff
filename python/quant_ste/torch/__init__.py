"""Fake quantizers as ops of PyTorch.

Each function below is an op ``torch.ops.quant_ste.<name>``, compiled on first use for
each type, layout and choice of words, forward and backward. They are named and
called as in the library they come from:

    from quant_ste.torch import round_ste, tensor_clamp, PactActFn

    y = PactActFn.apply(x, alpha, 4)          # bitorch
    y = tensor_clamp(x, min_val, max_val)     # brevitas.function.ops
    y = fake_quantize_per_tensor_affine(x, 0.1, 0, -128, 127)

and give that library's numbers (docs/python.md has what differs). They work under
torch.compile, torch.export, autocast and vmap; a second derivative of a rule is an
error. `accelerate` swaps the quantizers of a model for these.
"""

from ._accelerate import Report, Swap, accelerate, diff_report
from ._export import export
from ._functions import *  # noqa: F401,F403
from ._functions import __all__ as _function_names
from ._modules import *  # noqa: F401,F403
from ._modules import __all__ as _module_names
from ._patch import patch_bitorch, patch_brevitas
from ._register import OP_NAMESPACE, REGISTRATION

__all__ = [*_function_names, *_module_names, "OP_NAMESPACE", "REGISTRATION", "Report", "Swap",
           "accelerate", "diff_report", "export", "patch_bitorch", "patch_brevitas"]
