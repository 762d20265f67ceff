"""libQuantSTE-C from Python: compile a module's text, call it on numpy arrays.

The library's path is taken from the environment: QUANT_STE_C_LIBRARY.

    module = compile("func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {...}")
    y, = module.call("f", x)

Arguments are numpy arrays or scalars of the element types of the function
(bf16: ml_dtypes.bfloat16; index: int64). A Python int or float takes the type
that the function expects only if that is i64 or f64: pass numpy.float32(3).
"""

import ctypes
import os
import types

import ml_dtypes
import numpy as np


class Error(RuntimeError):
    """What the library said."""


class _Array(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("element_type", ctypes.c_int32),
                ("rank", ctypes.c_int32),
                ("sizes", ctypes.POINTER(ctypes.c_int64)),
                ("strides", ctypes.POINTER(ctypes.c_int64))]


class _CompileOptions(ctypes.Structure):
    _fields_ = [("pipeline_options", ctypes.c_char_p), ("cpu", ctypes.c_char_p),
                ("features", ctypes.c_char_p),
                ("opt_level_plus_one", ctypes.c_int32),
                ("reference", ctypes.c_bool),
                ("target", ctypes.c_char_p)]


# In the order of quant_ste_element_type; index last, read back as int64.
_DTYPES = [np.dtype(t) for t in (
    np.float16, ml_dtypes.bfloat16, np.float32, np.float64, np.bool_, np.int8,
    np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64,
    np.int64)]
_CODES = {dtype: code for code, dtype in reversed(list(enumerate(_DTYPES)))}


def _load():
    path = os.environ.get("QUANT_STE_C_LIBRARY")
    if not path:
        raise Error("set QUANT_STE_C_LIBRARY to the path of libQuantSTE-C.so")
    shared = ctypes.CDLL(path)
    lib = types.SimpleNamespace()
    pointer, text, i32 = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int32
    error = ctypes.POINTER(ctypes.c_void_p)
    for name, result, arguments in (
            ("compile", pointer, [text, ctypes.c_size_t,
                                  ctypes.POINTER(_CompileOptions), error]),
            ("module_free", None, [pointer]),
            ("module_function_count", i32, [pointer]),
            ("module_function_name", text, [pointer, i32]),
            ("module_lookup", i32, [pointer, text, error]),
            ("function_signature", pointer, [pointer, i32]),
            ("call", pointer, [pointer, i32, ctypes.POINTER(_Array), i32, error]),
            ("results_count", i32, [pointer]),
            ("results_get", ctypes.POINTER(_Array), [pointer, i32]),
            ("results_free", None, [pointer]),
            ("error_free", None, [pointer]),
            ("set_thread_count", None, [i32])):
        function = getattr(shared, "quant_ste_" + name)
        function.restype, function.argtypes = result, arguments
        setattr(lib, name, function)
    return lib


_lib = None


def library():
    global _lib
    if _lib is None:
        _lib = _load()
    return _lib


def _take_string(pointer):
    try:
        return ctypes.string_at(pointer).decode(errors="replace")
    finally:
        library().error_free(pointer)


def _checked(call, *arguments):
    """call(*arguments, &error), raising what it says."""
    error = ctypes.c_void_p()
    result = call(*arguments, ctypes.byref(error))
    if error.value is not None:
        raise Error(_take_string(error.value))
    return result


def _wrap(array):
    """The descriptor of a numpy array, and what must stay alive with it."""
    array = np.asarray(array)
    code = _CODES.get(array.dtype)
    if code is None:
        raise Error(f"no element type for numpy's {array.dtype!r}")
    if any(stride % array.itemsize for stride in array.strides):
        array = np.ascontiguousarray(array)
    ints = ctypes.c_int64 * array.ndim
    sizes = ints(*array.shape)
    strides = ints(*(s // array.itemsize for s in array.strides))
    return _Array(array.ctypes.data, code, array.ndim, sizes, strides), (
        array, sizes, strides)


def _unwrap(view):
    """An array of its own with the elements of a result."""
    shape = tuple(view.sizes[i] for i in range(view.rank))
    out = np.empty(shape, _DTYPES[view.element_type])
    if out.nbytes:
        ctypes.memmove(out.ctypes.data, view.data, out.nbytes)
    return out


class Module:
    """The public functions of a compiled module."""

    def __init__(self, handle):
        self._handle = handle

    def __del__(self):
        if self._handle:
            library().module_free(self._handle)
            self._handle = None

    @property
    def functions(self):
        lib = library()
        return [lib.module_function_name(self._handle, i).decode()
                for i in range(lib.module_function_count(self._handle))]

    def _lookup(self, name):
        return _checked(library().module_lookup, self._handle,
                        name.encode() if name else None)

    def signature(self, name=None):
        return _take_string(
            library().function_signature(self._handle, self._lookup(name)))

    def call(self, name, *arguments):
        lib = library()
        wrapped = [_wrap(a) for a in arguments]
        arrays = (_Array * len(wrapped))(*(w[0] for w in wrapped))
        results = _checked(lib.call, self._handle, self._lookup(name), arrays,
                           len(wrapped))
        try:
            return [_unwrap(lib.results_get(results, i).contents)
                    for i in range(lib.results_count(results))]
        finally:
            lib.results_free(results)


def compile(text, pipeline_options="", reference=False, opt_level=None,
            cpu=None, target=None):
    """Compiles the public functions of a module, given as str or bytes."""
    data = text.encode() if isinstance(text, str) else text
    options = _CompileOptions(
        pipeline_options=pipeline_options.encode(),
        cpu=cpu.encode() if cpu else None,
        opt_level_plus_one=0 if opt_level is None else opt_level + 1,
        reference=reference,
        target=target.encode() if target else None)
    return Module(_checked(library().compile, data, len(data),
                           ctypes.byref(options)))


def set_thread_count(count):
    library().set_thread_count(count)
