"""Compile a module, call its functions, ask for their derivatives."""
from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
from typing import Any, Callable, Iterator, Protocol, Sequence, TypeVar

from . import _device, _native
from ._arrays import (ELEMENT_TYPES, assign, finish, framework_of, library_of, may_write,
                      prepare, span)
from ._errors import CallError, CompileError

#: The phases after which `Module.stages` has the text.
PHASES = ("source", "differentiate", "linalg", "fuse", "bufferize", "vectorize", "llvm")
#: The same for a GPU.
GPU_PHASES = ("source", "differentiate", "linalg", "fuse", "bufferize", "kernels", "nvvm",
              "binary", "llvm")


@dataclasses.dataclass(frozen=True)
class ValueType:
    """The type of an argument or a result.

    ``element`` is MLIR's name ("f32"), ``shape`` has None for a size that is known
    at the call only and is None for a plain scalar, ``name`` is the attribute
    ``quant_ste.name``.
    """

    element: str
    shape: tuple[int | None, ...] | None
    name: str = ""

    @property
    def is_float(self) -> bool:
        """Whether its elements are f16, bf16, f32 or f64."""
        return self.element in ("f16", "bf16", "f32", "f64")

    def __str__(self) -> str:
        if self.shape is None:
            return self.element
        sizes = "".join(f"{'?' if n is None else n}x" for n in self.shape)
        return f"tensor<{sizes}{self.element}>"


_T = TypeVar("_T")


@functools.lru_cache(maxsize=256)
def _compiled(text: bytes, options: tuple[Any, ...], cache: str | None) -> _native.Module:
    """Code for a text and options, from memory if it is there, else from disk."""
    return _native.Module(text, _native.Options(**dict(options)), cache)


def _checked(name: str, function: Callable[..., _T], *arguments: Any) -> _T:
    try:
        return function(*arguments)
    except _native.Error as error:
        raise CompileError(str(error), name) from None


class Function:
    """A compiled function.

    Called with one argument per operand, it gives the result, or a tuple if there
    are several. ``out`` is an array (or a tuple of them, one per tensor result)
    to write to; results in it have no memory of their own. Raises `CallError`
    for arguments that do not fit.

    Of a module for a GPU, arguments and results are arrays there, and numbers. The
    work is put on ``stream``, a number or a stream of torch or cupy; default: the
    current one of the arguments' library. Nothing waits for it.
    """

    def __init__(self, module: Functions, native: Code, index: int, name: str):
        self._module, self._native, self._index = module, native, index
        self.name = self.__name__ = name
        self.arguments = self._types(False)
        self.results = self._types(True)

    def _types(self, of_results: bool) -> tuple[ValueType, ...]:
        return tuple(
            ValueType(ELEMENT_TYPES[element],
                      None if is_scalar else tuple(None if n < 0 else n for n in shape), name)
            for element, is_scalar, shape, name in self._native.types(self._index, of_results))

    def __repr__(self) -> str:
        return f"<quant_ste.Function @{self.name} : {self.signature}>"

    @property
    def signature(self) -> str:
        """The types, as in ``(?xf32, f32) -> (?xf32)``."""
        return self._native.signature(self._index)

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        return f"@{self.name} : {self.signature}"

    def __call__(self, *arguments: Any, out: Any = None, stream: Any = None) -> Any:
        if self._module.is_for_gpu:
            return self._call_on_device(arguments, out, stream)
        if stream is not None:
            raise TypeError("expected a module for a GPU to have a stream")
        if out is not None:
            return self._call_into(arguments, out)
        results = self._call(arguments)
        return results[0] if len(results) == 1 else tuple(results) if results else None

    def _call(self, arguments: Sequence[Any], outs: Sequence[Any] = ()) -> list[Any]:
        like = next((a for a in arguments if library_of(a)), None)
        elements = [t.element for t in self.arguments]
        elements += ["f32"] * (len(arguments) - len(elements))  # counted below
        prepared = [prepare(a, e, i) for i, (a, e) in enumerate(zip(arguments, elements))]
        prepared += [prepare(o, "", i) for i, o in enumerate(outs)]
        try:
            results = self._native.call(self._index, [p[0] for p in prepared],
                                        [p[1] for p in prepared], framework_of(like), len(outs))
        except _native.Error as error:
            raise CallError(str(error)) from None
        return [finish(r, t.element, like, t.shape is None)
                for r, t in zip(results, self.results)]

    def _call_on_device(self, arguments: Sequence[Any], out: Any, stream: Any) -> Any:
        outs = None
        if out is not None:
            outs = out if isinstance(out, (tuple, list)) else (out,)
            wanted = sum(t.shape is not None for t in self.results)
            if len(outs) != wanted:
                raise CallError(f"expected out to have {wanted} arrays, got {len(outs)}")
        results = _device.call(self._run_on_device, self.arguments, self.results, arguments, outs,
                               stream)
        return results[0] if len(results) == 1 else tuple(results) if results else None

    def _run_on_device(self, views: Sequence[_device.View], device: int, stream: int,
                       allocate: Callable[..., int]) -> list[Any]:
        try:
            return self._native.call_on_device(self._index, [v.native() for v in views], device,
                                               stream, allocate)
        except _native.Error as error:
            raise CallError(str(error)) from None

    def _call_into(self, arguments: Sequence[Any], out: Any) -> Any:
        outs = out if isinstance(out, (tuple, list)) else (out,)
        wanted = [t for t in self.results if t.shape is not None]
        if len(outs) != len(wanted):
            raise CallError(f"expected out to have {len(wanted)} arrays, got {len(outs)}")
        if all(may_write(o) for o in outs) and not _overlap(outs, arguments):
            results = self._call(arguments, outs)
        else:
            results = self._call(arguments)
            tensors = [r for r, t in zip(results, self.results) if t.shape is not None]
            for o, value in zip(outs, tensors):
                if tuple(o.shape) != tuple(value.shape):
                    raise CallError(f"expected out of shape {tuple(value.shape)}, got "
                                    f"{tuple(o.shape)}")
                assign(o, value)
        scalars = iter([r for r, t in zip(results, self.results) if t.shape is None])
        written = iter(outs)
        all_results = [next(scalars if t.shape is None else written) for t in self.results]
        return all_results[0] if len(all_results) == 1 else tuple(all_results)


def _overlap(outs: Sequence[Any], arguments: Sequence[Any]) -> bool:
    """Whether writing to one of `outs` might change another array."""
    spans = [span(o) for o in outs]
    others = spans + [span(a) for a in arguments if library_of(a) in ("numpy", "torch")
                      and hasattr(a, "shape") and len(a.shape)]
    for i, s in enumerate(spans):
        for o in others[i + 1:]:
            if s is None or o is None or (s[0] < o[1] and o[0] < s[1]):
                return True
    return False


class Code(Protocol):
    """Compiled functions by number, as the native module has them."""

    @property
    def functions(self) -> list[str]: ...
    def signature(self, function: int) -> str: ...
    def types(self, function: int,
              of_results: bool) -> list[tuple[int, bool, list[int], str]]: ...
    def call(self, function: int, arguments: Sequence[Any], bf16: Sequence[bool],
             framework: str, num_outs: int = 0) -> list[Any]: ...
    def call_on_device(self, function: int, arguments: Sequence[tuple[Any, ...]], device: int,
                       stream: int, allocate: Callable[[int, int, list[int]], int]
                       ) -> list[Any]: ...


class Functions:
    """Functions by name: ``functions.f``, ``functions["f"]``, and in their order."""

    def __init__(self, native: Code, name: str):
        self._native, self._name = native, name
        self._functions = {f: Function(self, native, i, f)
                           for i, f in enumerate(native.functions)}

    @property
    def is_for_gpu(self) -> bool:
        """Whether functions take arrays on an NVIDIA GPU."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return (f"<quant_ste.{type(self).__name__} {self._name}: "
                f"{', '.join('@' + f for f in self._functions)}>")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._functions]

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)

    def __getitem__(self, name: str) -> Function:
        if name not in self._functions:
            raise KeyError(self._missing(name))
        return self._functions[name]

    def __getattr__(self, name: str) -> Function:
        functions: dict[str, Function] = self.__dict__.get("_functions", {})
        if name in functions:
            return functions[name]
        raise AttributeError(self._missing(name))

    def _missing(self, name: str) -> str:
        known = ", ".join("@" + f for f in self.__dict__.get("_functions", {}))
        return f"no function @{name}; the public functions are {known}"


class Module(Functions):
    """The public functions of a compiled module, as attributes or by ``module["f"]``.

    Functions may be called from several threads at once; a call does not hold the
    GIL.
    """

    def __init__(self, text: bytes, name: str, options: dict[str, Any],
                 cache: str | None = None):
        self._text, self._options, self._cache = text, options, cache
        self._code = _checked(name, _compiled, text, tuple(sorted(options.items())), cache)
        super().__init__(self._code, name)

    @property
    def is_for_gpu(self) -> bool:
        """Whether functions take arrays on an NVIDIA GPU."""
        return str(self._options.get("target", "")).startswith("cuda")

    @property
    def text(self) -> str:
        """The source, printed by MLIR."""
        return self._lower("")

    def _lower(self, phase: str) -> str:
        options = _native.Options(**self._options)
        return _checked(self._name, _native.lower, self._text, options, phase)

    @property
    def is_from_cache(self) -> bool:
        """Whether the code was found on disk, not made."""
        return bool(self._code.is_from_cache)

    def save(self, path: str | os.PathLike[str], target: str = "", *, vjp: Sequence[str] = (),
             header: str | os.PathLike[str] = "", prefix: str = "", linker: str = "") -> None:
        """Writes the functions for C programs, and for `load`: a shared library (``f.so``),
        an object (``f.o``), assembly (``.s``) or LLVM IR (``.ll``), by the suffix, and a
        C header beside it.

        ``target``: as qopt-compile's, ``cpu:x86-64-v2+x86-64-v4``, ``aarch64`` or
        ``cuda:sm_80+sm_90``; default: what the module was compiled for. For a GPU the
        kernels alone can be written too (``.ptx``, ``.cubin``, ``.fatbin``). ``vjp``: functions whose
        derivatives in every float argument are added, as ``f_vjp``. ``header``: its path.
        ``prefix``: put before each name in C. ``linker``: the clang, cc or gcc that links.
        Raises `CompileError`, also for a function whose results' sizes only the
        call tells.
        """
        text = self._text
        for function in vjp:
            wrt = self._positions(function, None)
            text = self._add_derivative(text, function, f"{function}_vjp", wrt, False)
        _checked(self._name, _native.save, text, _native.Options(**self._options),
                 os.fspath(path), target, os.fspath(header), prefix, linker)

    def stages(self) -> dict[str, str]:
        """The text after each phase of the compiler (`PHASES`, or `GPU_PHASES`)."""
        return {phase: self._lower("" if phase == "source" else phase)
                for phase in (GPU_PHASES if self.is_for_gpu else PHASES)}

    def vjp(self, function: str, wrt: Sequence[int | str] | None = None) -> Function:
        """``g(*arguments, *cotangents) -> (*results, *gradients)``: one cotangent per
        float result, one gradient per entry of ``wrt`` (positions or names of
        arguments; default: every float argument)."""
        return self._derivative(function, wrt, False)

    def jvp(self, function: str, wrt: Sequence[int | str] | None = None) -> Function:
        """``g(*arguments, *tangents) -> (*results, *result_tangents)``: one tangent per
        entry of ``wrt``, one result tangent per float result. Rules that are not
        linear have none, which is a `CompileError`."""
        return self._derivative(function, wrt, True)

    def _derivative(self, function: str, wrt: Any, is_forward: bool) -> Function:
        return self._derived(function, self._positions(function, wrt), is_forward)

    def _positions(self, function: str, wrt: Any) -> tuple[int, ...]:
        primal = self[function]
        if wrt is None:
            wrt = [i for i, t in enumerate(primal.arguments) if t.is_float]
        names = {t.name: i for i, t in enumerate(primal.arguments) if t.name}
        positions = []
        for w in wrt:
            if isinstance(w, str) and w not in names:
                raise KeyError(f"@{function} has no argument named {w!r}")
            positions.append(names[w] if isinstance(w, str) else int(w))
        return tuple(positions)

    def _add_derivative(self, text: bytes, function: str, name: str, wrt: Sequence[int],
                        is_forward: bool) -> bytes:
        return _checked(self._name, _native.add_derivative, text, function, name, is_forward,
                        list(wrt)).encode()

    @functools.lru_cache(maxsize=64)
    def _derived(self, function: str, wrt: tuple[int, ...], is_forward: bool) -> Function:
        name = f"{function}_{'jvp' if is_forward else 'vjp'}"
        while name in self._functions:
            name += "_"
        text = self._add_derivative(self._text, function, name, wrt, is_forward)
        return Module(text, self._name, self._options, self._cache)[name]


def compile(path_or_text: str | bytes | os.PathLike[str], target: str = "cpu", *,
            pipeline: str = "", cpu: str = "", features: str = "", opt_level: int = 2,
            reference: bool = False, cache: bool | str | os.PathLike[str] = True) -> Module:
    """Compiles the public functions of a module.

    ``path_or_text``: a path to a file (one line without braces), or a module as text or
    bytecode. ``target``: "cpu"; or an NVIDIA GPU, "cuda" (that of this machine) or
    "cuda:sm_90", whose functions take arrays on the GPU (docs/gpu.md). ``pipeline``:
    options of quant-ste-cpu-pipeline ("openmp=false"), or quant-ste-gpu-pipeline.
    ``cpu``, ``features``: as llc's -mcpu and -mattr; default: this machine.
    ``opt_level``: 0 to 3. ``reference``: do not compile, evaluate each rule exactly
    (slow; for tests).

    The code of 256 modules is kept in memory: compiling the same text again costs
    a look-up. ``cache``: whether it is kept on disk too, for the next process, or in
    which directory (default: ``$QUANT_STE_CACHE_DIR``, else ``quant_ste`` in
    ``$XDG_CACHE_HOME`` or ``~/.cache``). An entry is found by the text, the options,
    the processor and the builds of quant_ste and LLVM. Raises `CompileError` with the place and message of MLIR.
    """
    if target != "cpu" and target.partition(":")[0] != "cuda":
        raise ValueError(f"expected target 'cpu', 'cuda' or 'cuda:<chip>', got {target!r}")
    if target == "cuda" and "chip=" not in pipeline:
        target = _cuda_of_this_machine()
    name = "<text>"
    if isinstance(path_or_text, os.PathLike) or (
            isinstance(path_or_text, str) and not set("\n{") & set(path_or_text)):
        name = os.fspath(path_or_text)
        path_or_text = pathlib.Path(name).read_bytes()
    text = path_or_text.encode() if isinstance(path_or_text, str) else bytes(path_or_text)
    options = {"pipeline": pipeline, "cpu": cpu, "features": features,
               "opt_level": opt_level, "reference": reference,
               "target": "" if target == "cpu" else target}
    directory = None if reference or cache is False else "" if cache is True else os.fspath(cache)
    return Module(text, name, options, directory)


def _cuda_of_this_machine() -> str:
    """The target word of the GPU here; the oldest that is common, where there is none."""
    try:
        return f"cuda:{_native.device_chip()}"
    except _native.Error:
        return "cuda"


def set_thread_count(count: int) -> None:
    """Sets how many threads the parallel loops of calls from this thread use."""
    _native.set_thread_count(count)
