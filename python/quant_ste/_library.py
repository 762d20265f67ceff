"""Libraries that were compiled ahead of time, called from Python."""
from __future__ import annotations

import ctypes
import json
import os
import pathlib
from typing import Any, Callable, Iterator, Sequence

import numpy as np

from . import _native
from ._arrays import ELEMENT_TYPES, _NUMPY, library_of
from ._errors import Error
from ._module import Functions

_DESCRIPTION = "quant_ste_library"
_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_int64
_SCALARS: dict[str, Any] = {
    "f16": ctypes.c_uint16, "bf16": ctypes.c_uint16, "f32": ctypes.c_float,
    "f64": ctypes.c_double, "i1": ctypes.c_uint8, "i8": ctypes.c_int8, "i16": ctypes.c_int16,
    "i32": ctypes.c_int32, "i64": ctypes.c_int64, "ui8": ctypes.c_uint8, "ui16": ctypes.c_uint16,
    "ui32": ctypes.c_uint32, "ui64": ctypes.c_uint64, "index": ctypes.c_int64}


def _dtype(element: str) -> np.dtype:
    # numpy has no bf16: its bits.
    return np.dtype(np.uint16 if element == "bf16" else _NUMPY[element])


def _view(array: Any, number: int, is_bf16: bool) -> tuple[np.ndarray, str]:
    """Any array as one of numpy, and its element type."""
    if library_of(array) == "torch":
        import torch
        if array.device.type != "cpu":
            raise TypeError(f"argument #{number}: expected memory of the CPU")
        is_bf16 = array.dtype == torch.bfloat16
        array = (array.view(torch.int16) if is_bf16 else array).numpy()
    elif not isinstance(array, np.ndarray):
        if not hasattr(array, "__dlpack__"):
            raise TypeError(f"argument #{number}: expected an array of the CPU (numpy, torch, "
                            f"or any with __dlpack__), got {type(array)}")
        array = np.from_dlpack(array)
    if is_bf16:
        return array.view(np.uint16), "bf16"
    for element, dtype in _NUMPY.items():
        if element != "index" and array.dtype == dtype:
            return array, element
    raise TypeError(f"argument #{number}: no element type for its dtype {array.dtype}")


def _fits(element: str, expected: str) -> bool:
    if expected == "index":
        return element == "i64"
    return element in (expected, "u" + expected)


def _spell(shape: Sequence[int | None], element: str) -> str:
    return "".join(f"{'?' if n is None else n}x" for n in shape) + element


def _size(described: Any, shape_of: Callable[[int], Sequence[int]]) -> int:
    """Of a result's dimension: as long as an argument's, perhaps the bytes of its bits."""
    if isinstance(described, int):
        return described
    argument, dim, bits = described
    size = int(shape_of(argument)[dim])
    return (size * bits + 7) // 8 if bits else size


class _Code:
    """What `Function` expects of the native module: functions by number."""

    def __init__(self, path: str):
        try:
            self._library = ctypes.CDLL(path)
        except OSError as error:
            raise Error(f"cannot load '{path}': {error}") from None
        try:
            address = ctypes.addressof(ctypes.c_char.in_dll(self._library, _DESCRIPTION))
        except ValueError:
            raise Error(f"'{path}' was not written by Module.save or qopt-compile: it has no "
                        f"{_DESCRIPTION}") from None
        described = json.loads(ctypes.string_at(address))
        self._functions = described["functions"]
        self._explain = self._library[described["error"]]
        self._explain.argtypes, self._explain.restype = [ctypes.c_int], ctypes.c_char_p
        self._entries = [self._entry(f) for f in self._functions]
        self.is_for_gpu = any(["stream"] in f["parameters"] for f in self._functions)

    def _entry(self, function: dict[str, Any]) -> Any:
        entry = self._library[function["c_name"]]
        entry.restype = ctypes.c_int
        entry.argtypes = [self._ctype(function, *p) for p in function["parameters"]]
        return entry

    @staticmethod
    def _ctype(function: dict[str, Any], kind: str, value: int = 0, dim: int = 0) -> Any:
        if kind == "scalar":
            return _SCALARS[function["values"][value]["type"]]
        return _POINTER if kind in ("data", "workspace", "stream") else _SIZE

    @property
    def functions(self) -> list[str]:
        return [f["name"] for f in self._functions]

    def signature(self, function: int) -> str:
        return str(self._functions[function]["signature"])

    def types(self, function: int, of_results: bool) -> list[tuple[Any, ...]]:
        return [(ELEMENT_TYPES.index(v["type"]), v["shape"] is None,
                 [-1 if n is None else n for n in v["shape"] or ()], v["name"])
                for v in self._functions[function]["values"] if v["is_result"] == of_results]

    def call(self, number: int, arguments: Sequence[Any], bf16: Sequence[bool], framework: str,
             num_outs: int = 0) -> list[Any]:
        f = self._functions[number]
        inputs = [v for v in f["values"] if not v["is_result"]]
        count = len(arguments) - num_outs
        if count != len(inputs):
            raise _native.Error(f"@{f['name']} expects {len(inputs)} arguments, got {count}")
        arrays = [self._take(f, i, v, *_view(a, i, is_bf16)) for i, (v, a, is_bf16)
                  in enumerate(zip(inputs, arguments, bf16))]
        outs = iter([_view(a, i, is_bf16) for i, (a, is_bf16)
                     in enumerate(zip(arguments[count:], bf16[count:]))])
        results = []
        for i, value in enumerate(f["values"][count:]):
            shape = [_size(n, lambda i: arrays[i].shape) for n in value.get("sizes", ())]
            if num_outs and value["shape"] is not None:
                out, element = next(outs)
                if list(out.shape) != shape or not _fits(element, value["type"]):
                    raise _native.Error(
                        f"out #{i}: expected {_spell(shape, value['type'])}, got "
                        f"{_spell(out.shape, element)}")
                results.append(out)
            else:
                results.append(np.empty(shape, _dtype(value["type"])))
        # ctypes lets other threads run.
        code = self._entries[number](*self._parameters(f, arrays + results))
        if code:
            raise _native.Error(self._explain(code).decode())
        return [self._give(r, v["type"], framework)
                for r, v in zip(results, f["values"][count:])]

    def call_on_device(self, number: int, arguments: Sequence[tuple[Any, ...]], device: int, stream: int,
                       allocate: Callable[..., int]) -> list[Any]:
        """As the native module's: (address, element type, sizes) of each argument."""
        f = self._functions[number]
        given = [(address, ELEMENT_TYPES[element], tuple(sizes))
                 for address, element, sizes in arguments]
        inputs = [v for v in f["values"] if not v["is_result"]]
        for i, (value, (_, element, sizes)) in enumerate(zip(inputs, given)):
            self._check(f, i, value, sizes, element)
        results = f["values"][len(inputs):]
        scalars = [np.empty((), _dtype(v["type"])) if v["shape"] is None else None
                   for v in results]
        for k, value in enumerate(results):
            sizes = tuple(_size(n, lambda i: given[i][2]) for n in value.get("sizes", ()))
            scalar = scalars[k]
            address = (allocate(k, ELEMENT_TYPES.index(value["type"]), sizes)
                       if scalar is None else scalar.ctypes.data)
            given.append((address, value["type"], sizes))
        previous = _native.enter_device(device)
        try:
            code = self._entries[number](*self._device_parameters(f, given, stream))
        finally:
            _native.leave_device(previous)
        if code:
            raise _native.Error(self._explain(code).decode())
        return scalars

    @staticmethod
    def _device_parameters(function: dict[str, Any], given: Sequence[tuple[Any, ...]],
                           stream: int) -> Iterator[Any]:
        for kind, *at in function["parameters"]:
            if kind == "stream":
                yield stream
                continue
            if kind in ("workspace", "workspace_bytes"):  # none: the stream's pool
                yield 0
                continue
            address, element, sizes = given[at[0]]
            if kind == "data":
                yield address
            elif kind == "size":
                yield sizes[at[1]]
            else:
                yield _SCALARS[element].from_address(address).value

    @staticmethod
    def _check(function: dict[str, Any], number: int, value: dict[str, Any],
               sizes: Sequence[int], element: str) -> None:
        shape = value["shape"] or []
        if (len(shape) != len(sizes) or not _fits(element, value["type"]) or
                any(n not in (None, m) for n, m in zip(shape, sizes))):
            raise _native.Error(f"@{function['name']}: argument #{number}: expected "
                                f"{_spell(shape, value['type'])}, got {_spell(sizes, element)}")

    @staticmethod
    def _take(function: dict[str, Any], number: int, value: dict[str, Any], array: np.ndarray,
              element: str) -> np.ndarray:
        """The argument as the code wants it."""
        _Code._check(function, number, value, array.shape, element)
        if value["is_writable"] and not (array.flags.c_contiguous and array.flags.writeable and
                                         array.flags.aligned):
            raise _native.Error(f"@{function['name']}: argument #{number}: the function writes "
                                "to it: expected an array without gaps that may be written")
        return np.require(array, requirements=["C", "A"]).reshape(array.shape)

    @staticmethod
    def _parameters(function: dict[str, Any], arrays: Sequence[np.ndarray]) -> Iterator[Any]:
        for kind, i, *dim in function["parameters"]:
            if kind == "data":
                yield arrays[i].ctypes.data
            elif kind == "scalar":
                element = function["values"][i]["type"]
                bits = np.uint16 if element in ("f16", "bf16") else arrays[i].dtype
                yield arrays[i].view(bits).item()
            elif kind == "size":
                yield arrays[i].shape[dim[0]]
            else:
                yield arrays[i].strides[dim[0]] // arrays[i].itemsize

    @staticmethod
    def _give(array: np.ndarray, element: str, framework: str) -> Any:
        if framework != "torch":
            return array
        import torch
        if element == "bf16":
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(array)


class Library(Functions):
    """The functions of a shared library, as attributes or by ``library["f"]``; called
    as those of a `Module`."""

    def __init__(self, path: str):
        code = _Code(path)
        super().__init__(code, path)
        self._is_for_gpu = code.is_for_gpu

    @property
    def is_for_gpu(self) -> bool:
        """Whether functions take arrays on an NVIDIA GPU."""
        return self._is_for_gpu


def load(path: str | os.PathLike[str]) -> Library:
    """Loads a shared library that `Module.save` or qopt-compile wrote.

    It knows its functions' types; nothing is compiled. Loading runs code: take
    libraries from whom you trust. Raises `Error` for a file that is none.
    """
    return Library(str(pathlib.Path(path).resolve()))
