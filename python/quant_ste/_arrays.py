"""Arrays of several libraries as the compiled code wants them."""
from __future__ import annotations

from typing import Any

import numpy as np

# The names of quant_ste_element_type, in its order.
ELEMENT_TYPES = ("f16", "bf16", "f32", "f64", "i1", "i8", "i16", "i32", "i64",
                 "ui8", "ui16", "ui32", "ui64", "index")
_NUMPY = {"f16": np.float16, "f32": np.float32, "f64": np.float64, "i1": np.bool_,
          "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64,
          "ui8": np.uint8, "ui16": np.uint16, "ui32": np.uint32, "ui64": np.uint64,
          "index": np.int64}


def _bfloat16_bits(value: float) -> np.ndarray:
    """The nearest bf16, ties to even, as its bits."""
    wide = np.float32(value).reshape(1).view(np.uint32)[0]
    if np.isnan(value):
        return np.array(0x7FC0, np.uint16)
    return np.array((int(wide) + 0x7FFF + (int(wide) >> 16 & 1)) >> 16, np.uint16)


def library_of(array: Any) -> str:
    """The package that an array is of: "numpy", "torch", "jax" ...; "" for a
    number."""
    if isinstance(array, (bool, int, float)):
        return ""
    return type(array).__module__.partition(".")[0]


def prepare(array: Any, element: str, number: int) -> Any:
    """What to hand to the native call, and whether it is bf16 as 16-bit integers.

    A Python number becomes ``element``, the type that the function expects.
    """
    if isinstance(array, (bool, int, float)):
        if element == "bf16":
            return _bfloat16_bits(array), True
        return np.asarray(array, _NUMPY[element]), False
    if isinstance(array, np.generic):
        array = np.asarray(array)
    if isinstance(array, np.ndarray):
        if array.dtype.name == "bfloat16":
            return array.view(np.uint16), True
        # Elements that are not a whole number of strides apart cannot be named.
        if array.itemsize and any(s % array.itemsize for s in array.strides):
            return np.ascontiguousarray(array), False
        return array, False
    if getattr(array, "requires_grad", False):
        import torch
        if torch.is_grad_enabled():
            raise TypeError(f"argument #{number} requires grad, which a compiled function "
                            "does not record: pass x.detach(), or use quant_ste.torch")
        return array.detach(), False
    return array, False


def finish(result: Any, element: str, like: Any, is_scalar: bool) -> Any:
    """A result of the native call as the caller's library has it."""
    library = library_of(like) if like is not None else "numpy"
    if library in ("numpy", ""):
        if element == "bf16":
            import ml_dtypes
            result = result.view(ml_dtypes.bfloat16)
        return result.item() if is_scalar else result
    if library != "torch":
        namespace = getattr(like, "__array_namespace__", None)
        if namespace is not None:
            result = namespace().from_dlpack(result)
    return result.item() if is_scalar and hasattr(result, "item") else result


def framework_of(like: Any) -> str:
    library = library_of(like) if like is not None else "numpy"
    return library if library in ("numpy", "torch") else ""


def span(array: Any) -> tuple[int, int] | None:
    """The first and last address of an array of numpy or torch, or None."""
    if isinstance(array, np.ndarray):
        return np.lib.array_utils.byte_bounds(array) if hasattr(
            np.lib, "array_utils") else np.byte_bounds(array)  # type: ignore[attr-defined]
    if library_of(array) == "torch":
        start = array.data_ptr()
        last = sum((n - 1) * abs(s) for n, s in zip(array.shape, array.stride()))
        return start, start + (last + 1) * array.element_size()
    return None


def may_write(array: Any) -> bool:
    """Whether results can be written there: no gaps, writable, of numpy or torch."""
    if isinstance(array, np.ndarray):
        return bool(array.flags.c_contiguous and array.flags.writeable and array.flags.aligned)
    return library_of(array) == "torch" and array.is_contiguous() and not array.requires_grad


def assign(out: Any, value: Any) -> None:
    """out[...] = value, for what has gaps or overlaps an argument."""
    if library_of(out) == "torch":
        import torch
        with torch.no_grad():
            out.copy_(value if isinstance(value, torch.Tensor) else torch.from_numpy(value))
    else:
        out[...] = value
