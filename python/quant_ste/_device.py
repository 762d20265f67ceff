"""Arrays in the memory of an NVIDIA GPU, of any library."""
from __future__ import annotations

import dataclasses
import math
from typing import Any, Callable, Sequence

import numpy as np

from . import _native
from ._arrays import ELEMENT_TYPES, _NUMPY, _bfloat16_bits, library_of
from ._errors import CallError, Error

#: torch's name for the devices that are GPUs of NVIDIA.
TORCH_DEVICE = "cuda"
_DLPACK_CUDA, _DLPACK_MANAGED = 2, 13
# The default stream, as DLPack and __cuda_array_interface__ spell it; the driver takes
# the number too.
_LEGACY_STREAM = 1


def _dtype(element: str) -> np.dtype:
    # numpy has no bf16: its bits.
    return np.dtype(np.uint16 if element == "bf16" else _NUMPY[element])


def _checked(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except _native.Error as error:
        raise Error(str(error)) from None


class DeviceArray:
    """An array without gaps on a GPU, for programs that have no other library for these.

    Made by `to_device`, and by calls whose arguments are of no library that makes
    arrays. Has ``__dlpack__`` and ``__cuda_array_interface__``; ``numpy()`` copies
    it to the host. ``element`` is MLIR's name of the type, "bf16" among them.
    """

    def __init__(self, shape: Sequence[int], element: str, device: int = 0, stream: int = 0):
        self.shape, self.element = tuple(shape), element
        self.device, self.stream = device, stream
        self.address = 0
        self.address = _checked(_native.device_malloc, device, self.nbytes, stream)

    def __del__(self) -> None:
        if getattr(self, "address", 0):
            _native.device_free(self.device, self.address, self.stream)

    def __repr__(self) -> str:
        sizes = "".join(f"{n}x" for n in self.shape)
        return f"<quant_ste.DeviceArray {sizes}{self.element} on GPU {self.device}>"

    @property
    def ndim(self) -> int:
        """How many dimensions it has."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes its elements are."""
        return self.size * _dtype(self.element).itemsize

    def numpy(self) -> np.ndarray:
        """A copy on the host; waits for the array's stream. bf16 needs ml_dtypes."""
        host = np.empty(self.shape, _dtype(self.element))
        _checked(_native.copy_to_host, self.device, host.ctypes.data, self.address,
                 self.nbytes, self.stream)
        if self.element == "bf16":
            import ml_dtypes
            host = host.view(ml_dtypes.bfloat16)
        return host

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise TypeError("an array on a GPU does not become one of numpy by itself: "
                        "x.numpy() copies it")

    def __dlpack_device__(self) -> tuple[int, int]:
        return _DLPACK_CUDA, self.device

    def __dlpack__(self, *, stream: int | None = None, max_version: Any = None,
                   dl_device: Any = None, copy: bool | None = None) -> Any:
        if copy or dl_device not in (None, self.__dlpack_device__()):
            raise BufferError("expected the array where it lies")
        if stream not in (None, -1, self.stream or _LEGACY_STREAM):
            # The consumer's stream would have to wait for this one; so does the host.
            _checked(_native.copy_to_host, self.device, 0, 0, 0, self.stream)
        exported = _native.export_array(self.address, ELEMENT_TYPES.index(self.element),
                                        self.shape, self.device, self)
        return exported.__dlpack__()

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        if self.element == "bf16":
            raise AttributeError("__cuda_array_interface__ has no bf16")
        return {"shape": self.shape, "typestr": _dtype(self.element).str,
                "data": (self.address, False), "strides": None, "version": 3,
                "stream": self.stream or _LEGACY_STREAM}


def to_device(array: Any, device: int = 0, *, stream: Any = None) -> DeviceArray:
    """A copy of an array of the host (numpy, or what numpy can read) on a GPU.

    The copy is put on ``stream`` (default: the default stream). Raises `Error` with
    the driver's words, also where there is no driver.
    """
    array = np.asarray(array)
    if array.dtype.name == "bfloat16":
        array, element = array.view(np.uint16), "bf16"
    else:
        element = _element_of(array.dtype, "the array")
    made = DeviceArray(array.shape, element, device, _stream_number(stream))
    array = np.ascontiguousarray(array)
    _checked(_native.copy_to_device, device, made.address, array.ctypes.data, made.nbytes,
             made.stream)
    return made


def _element_of(dtype: np.dtype, what: str) -> str:
    for element, known in _NUMPY.items():
        if element != "index" and dtype == known:
            return element
    raise TypeError(f"{what}: no element type for its dtype {dtype}")


def _stream_number(stream: Any) -> int:
    """A CUstream from a number, or the stream of torch or cupy."""
    if stream is None:
        return 0
    for name in ("cuda_stream", "ptr"):
        if hasattr(stream, name):
            return int(getattr(stream, name))
    return int(stream)


# ===----------------------------------------------------------------------===
# Arguments
# ===----------------------------------------------------------------------===

@dataclasses.dataclass
class View:
    """Where an argument lies. A scalar, and a number before it is copied, are `host`."""

    element: str
    shape: tuple[int, ...]
    address: int = 0
    device: int | None = None
    keep: Any = None
    host: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * _dtype(self.element).itemsize

    def native(self) -> tuple[int, int, tuple[int, ...]]:
        address = self.address if self.host is None else self.host.ctypes.data
        return address, ELEMENT_TYPES.index(self.element), self.shape


def _of_host(array: Any, number: int) -> TypeError:
    library = library_of(array)
    advice = {"torch": "x.cuda()", "jax": "jax.device_put(x, gpu)",
              "cupy": "cupy.asarray(x)"}.get(library, "quant_ste.to_device(x)")
    return TypeError(f"argument #{number}: expected memory of the GPU, got an array of the host "
                     f"({type(array).__module__}.{type(array).__qualname__}): copy it there by "
                     f"{advice}")


def _view_torch(array: Any, number: int) -> View:
    import torch
    if array.device.type != TORCH_DEVICE:
        raise _of_host(array, number)
    if array.requires_grad and torch.is_grad_enabled():
        raise TypeError(f"argument #{number} requires grad, which a compiled function "
                        "does not record: pass x.detach(), or use quant_ste.torch")
    element = _TORCH_ELEMENTS.get(str(array.dtype))
    if element is None:
        raise TypeError(f"argument #{number}: no element type for its dtype {array.dtype}")
    packed = array.detach().contiguous()
    return View(element, tuple(packed.shape), packed.data_ptr(), packed.device.index or 0, packed)


_TORCH_ELEMENTS = {"torch.float16": "f16", "torch.bfloat16": "bf16", "torch.float32": "f32",
                   "torch.float64": "f64", "torch.bool": "i1", "torch.int8": "i8",
                   "torch.int16": "i16", "torch.int32": "i32", "torch.int64": "i64",
                   "torch.uint8": "ui8", "torch.uint16": "ui16", "torch.uint32": "ui32",
                   "torch.uint64": "ui64"}


def _packed(shape: Sequence[int], strides: Sequence[int] | None, itemsize: int) -> bool:
    expected = itemsize
    for size, stride in zip(reversed(shape), reversed(strides or ())):
        if size != 1 and stride != expected and 0 not in shape:
            return False
        expected *= size
    return True


def _with_gaps(number: int) -> TypeError:
    return TypeError(f"argument #{number}: expected an array without gaps; make a copy by its "
                     "own library")


def _view_interface(array: Any, number: int) -> View:
    """By __cuda_array_interface__, version 2 or 3."""
    said = array.__cuda_array_interface__
    dtype = np.dtype(said["typestr"])
    if not _packed(said["shape"], said.get("strides"), dtype.itemsize):
        raise _with_gaps(number)
    device = getattr(getattr(array, "device", None), "id", None)
    if device is None and hasattr(array, "__dlpack_device__"):
        device = array.__dlpack_device__()[1]
    return View(_element_of(dtype, f"argument #{number}"), tuple(said["shape"]),
                said["data"][0], device, array)


def _view_dlpack(array: Any, number: int, stream: int) -> View:
    kind, device = array.__dlpack_device__()
    if kind not in (_DLPACK_CUDA, _DLPACK_MANAGED):
        raise _of_host(array, number)
    view = _native.View(array.__dlpack__(stream=stream or _LEGACY_STREAM))
    if view.element_type is None:
        raise TypeError(f"argument #{number}: no element type for its dtype")
    if not view.is_packed:
        raise _with_gaps(number)
    return View(ELEMENT_TYPES[view.element_type], tuple(view.sizes), view.address, device, view)


def _view_number(value: Any, element: str) -> View:
    """A number of Python or numpy, on the host yet."""
    if element == "bf16":
        return View(element, (), host=_bfloat16_bits(float(value)))
    return View(element, (), host=np.asarray(value, _NUMPY[element]))


def view(array: Any, element: str, number: int, stream: int) -> View:
    """`element` is what the function expects, for numbers."""
    if isinstance(array, (bool, int, float, np.generic)):
        return _view_number(array, element)
    if isinstance(array, np.ndarray) and array.ndim == 0:
        return _view_number(array[()], element)
    if library_of(array) == "torch":
        if array.device.type == "cpu" and array.dim() == 0:
            return _view_number(array.item(), element)
        return _view_torch(array, number)
    if isinstance(array, DeviceArray):
        return View(array.element, array.shape, array.address, array.device, array)
    if hasattr(array, "__cuda_array_interface__"):
        return _view_interface(array, number)
    if hasattr(array, "__dlpack__") and hasattr(array, "__dlpack_device__"):
        return _view_dlpack(array, number, stream)
    raise _of_host(array, number)


def current_stream(arguments: Sequence[Any], stream: Any) -> int:
    """The stream that was asked for, or the one on which the arguments' library works."""
    if stream is not None:
        return _stream_number(stream)
    for a in arguments:
        library = library_of(a)
        if library == "torch" and a.device.type == TORCH_DEVICE:
            return torch_stream(a.device)
        if library == "cupy":
            import cupy  # type: ignore[import-not-found, unused-ignore]
            return int(cupy.cuda.get_current_stream().ptr)
        if isinstance(a, DeviceArray):
            return a.stream
        interface = getattr(a, "__cuda_array_interface__", None)
        if interface and interface.get("stream"):
            return int(interface["stream"])
    return 0


def torch_stream(device: Any) -> int:
    import torch
    return torch.cuda.current_stream(device).cuda_stream


# ===----------------------------------------------------------------------===
# Results
# ===----------------------------------------------------------------------===

def _allocate_like(like: Any, element: str, shape: Sequence[int], device: int,
                   stream: int) -> Any:
    """Memory of the library that `like` is of."""
    library = library_of(like) if like is not None else ""
    if library == "torch":
        import torch
        dtype = next(getattr(torch, name.partition(".")[2])
                     for name, e in _TORCH_ELEMENTS.items()
                     if e == ("i64" if element == "index" else element))
        return torch.empty(tuple(shape), dtype=dtype, device=like.device)
    if library == "cupy" and element != "bf16":
        import cupy
        return cupy.empty(tuple(shape), _dtype(element))
    return DeviceArray(shape, element, device, stream)


def _finish(result: Any, like: Any) -> Any:
    """What was allocated here, as the caller's library has it."""
    if not isinstance(result, DeviceArray) or isinstance(like, DeviceArray) or like is None:
        return result
    namespace = getattr(like, "__array_namespace__", None)
    return namespace().from_dlpack(result) if namespace is not None else result


def _check_out(out: View, k: int, element: str, shape: Sequence[int]) -> None:
    if out.shape != tuple(shape) or out.element not in (element, "u" + element):
        def spell(shape: Sequence[int], element: str) -> str:
            return "".join(f"{n}x" for n in shape) + element
        raise CallError(f"out for result #{k}: expected {spell(shape, element)}, got "
                        f"{spell(out.shape, out.element)}")


def _device_of(views: Sequence[View]) -> int:
    devices = {v.device for v in views if v.device is not None}
    if len(devices) > 1:
        raise CallError(f"expected arguments on one GPU, got GPUs {sorted(devices)}")
    return devices.pop() if devices else 0


def _overlap(outs: Sequence[View], arguments: Sequence[View]) -> bool:
    everything = [*outs, *arguments]
    return any(a.address < b.address + b.nbytes and b.address < a.address + a.nbytes
               for i, a in enumerate(outs) for b in everything[i + 1:]
               if a.nbytes and b.nbytes and b.host is None)


def call(run: Callable[..., Any], types: Sequence[Any], results: Sequence[Any], arguments: Sequence[Any],
         outs: Sequence[Any] | None, stream: Any) -> list[Any]:
    """Calls `run(views, device, stream, allocate)`; the results, as the caller's library has
    them. ``outs`` has an array for each tensor result."""
    if len(arguments) != len(types):
        raise CallError(f"expected {len(types)} argument{'s' * (len(types) != 1)}, got "
                        f"{len(arguments)}")
    on = current_stream(arguments, stream)
    views = [view(a, t.element, i, on) for i, (a, t) in enumerate(zip(arguments, types))]
    out_views = [view(o, "", i, on) for i, o in enumerate(outs or ())]
    device = _device_of([*views, *out_views])
    if _overlap(out_views, views):
        raise CallError("expected out to overlap no argument and no other out")
    uploaded = [_upload(v, device, on) if v.host is not None and t.shape is not None else v
                for v, t in zip(views, types)]
    like = next((a for a in arguments if library_of(a) and not isinstance(a, np.generic)), None)
    made: dict[int, Any] = {}
    place = {k: i for i, k in enumerate(k for k, t in enumerate(results) if t.shape is not None)}

    def allocate(k: int, element: int, shape: Sequence[int]) -> int:
        name = ELEMENT_TYPES[element]
        if outs:
            _check_out(out_views[place[k]], k, name, shape)
            made[k] = outs[place[k]]
            return out_views[place[k]].address
        made[k] = _allocate_like(like, name, shape, device, on)
        return view(made[k], name, k, on).address

    scalars = run(uploaded, device, on, allocate)
    return [scalars[k].item() if t.shape is None else made[k] if outs else _finish(made[k], like)
            for k, t in enumerate(results)]


def _upload(number: View, device: int, stream: int) -> View:
    """A number where a tensor of rank 0 is expected."""
    assert number.host is not None
    made = DeviceArray((), number.element, device, stream)
    _checked(_native.copy_to_device, device, made.address, number.host.ctypes.data, made.nbytes,
             stream)
    return View(number.element, (), made.address, device, made)
