"""Modules of PyTorch as .mlir text, by way of torch.export."""
from __future__ import annotations

import functools
import operator
from typing import Any, Callable, Mapping, Sequence

import numpy as np
import torch

from .._emit import ELEMENTS, Emitter, Model, UnsupportedError, Value, product
from ._table import OPS, _Words

__all__ = ["export"]


def export(module: torch.nn.Module | torch.export.ExportedProgram,
           example_inputs: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, *,
           parameters: str = "arguments", name: str = "main") -> Model:
    """A module as a function of MLIR that runs and differentiates.

        model = quant_ste.torch.export(module.eval(), (x,))
        model.save("model.mlir")
        y = model.compile().main(x, *model.parameters.values())

    ``example_inputs``, ``kwargs``: as for torch.export; their sizes are those of the
    function. An exported program is taken as it is. ``parameters``: "arguments" makes
    arguments of the module's parameters, in the order of their use, "constants" writes
    them into the text; buffers always are constants. The ops of `quant_ste.torch`
    become ops of the dialect, those of ATen linalg, arith and math.

    Raises `UnsupportedError`, which names the op, for one that has no form, and for a
    module that changes its buffers (call ``eval()`` first).
    """
    if parameters not in ("constants", "arguments"):
        raise ValueError(f"expected parameters 'constants' or 'arguments', got {parameters!r}")
    program = module if isinstance(module, torch.export.ExportedProgram) else \
        torch.export.export(module, tuple(example_inputs), dict(kwargs or {}))
    return _Exporter(_decomposed(program), parameters == "arguments").run(name)


# run_decompositions forgets where no gradient flows, aten.detach and torch.no_grad():
# another op stands in for it.
_LIBRARY = torch.library.Library("quant_ste_export", "DEF")
_LIBRARY.define("detach(Tensor x) -> Tensor")
_LIBRARY.impl("detach", torch.clone, "CompositeExplicitAutograd")
_DETACH = torch.ops.quant_ste_export.detach.default


def _decomposed(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The program is as it was in the end."""
    undo: list[Callable[[], None]] = []
    for node in program.graph.nodes:
        if node.target in (torch.ops.aten.detach.default, torch.ops.aten.detach_.default):
            undo.append(functools.partial(setattr, node, "target", node.target))
            node.target = _DETACH
        elif node.target is torch.ops.higher_order.wrap_with_set_grad_enabled and not node.args[0]:
            region = getattr(program.graph_module, node.args[1].target)
            undo.append(_detach_results(region))
    try:
        return program.run_decompositions()
    finally:
        for function in reversed(undo):
            function()


def _detach_results(region: torch.fx.GraphModule) -> Callable[[], None]:
    """Gives what takes it back."""
    output = next(n for n in region.graph.nodes if n.op == "output")
    originals, inserted = output.args, []

    def detached(value):
        if not isinstance(value, torch.fx.Node) or not isinstance(
                value.meta.get("val"), torch.Tensor):
            return value
        with region.graph.inserting_before(output):
            node = region.graph.call_function(_DETACH, (value,))
        node.meta.update(value.meta)
        inserted.append(node)
        return node

    output.args = (tuple(detached(v) for v in originals[0]),)
    region.recompile()

    def undo() -> None:
        output.args = originals
        for node in inserted:
            region.graph.erase_node(node)
        region.recompile()

    return undo


_HANDLERS: dict[str, Callable] = {}
_TABLE = {op.name: op for op in OPS}


def _on(*names: str):
    def register(function):
        for n in names:
            _HANDLERS[f"aten.{n}"] = function
        return function
    return register


class _Exporter:
    def __init__(self, program: torch.export.ExportedProgram, has_arguments: bool):
        self.program, self.has_arguments = program, has_arguments
        self.out = Emitter()
        self.environment: dict[torch.fx.Node, Any] = {}
        self.constants: set[str] = set()  # names of values that are no function of an argument
        self.parameters: dict[str, np.ndarray] = {}
        self.pending: dict[str, tuple[str, torch.Tensor, bool]] = {}

    def run(self, name: str) -> Model:
        signature = self.program.graph_signature
        mutated = [*signature.buffers_to_mutate.values(), *signature.user_inputs_to_mutate.values()]
        if mutated:
            raise UnsupportedError(f"the module changes {', '.join(mutated)}; export it after "
                                   "eval()")
        self.find_constants(signature)
        inputs = []
        for node in self.program.graph.nodes:
            if node.op == "placeholder" and node.name not in self.pending:
                value = node.meta.get("val")
                if not isinstance(value, torch.Tensor):
                    raise UnsupportedError(f"input {node.name!r} is not a tensor")
                self.environment[node] = self.out.argument(node.name, *self.type_of(node))
                inputs.append(node.name)
        results: list[Value] = []
        for node in self.program.graph.nodes:
            if node.op == "call_function":
                if not self.fold(node):
                    self.environment[node] = self.call(node)
            elif node.op == "output":
                results = [self.read(r) for r in node.args[0]]
            elif node.op != "placeholder":
                raise UnsupportedError(f"{node.op} {node.target} has no form here")
        if not results or not all(isinstance(r, Value) for r in results):
            raise UnsupportedError("expected results that are tensors")
        text = self.out.function(name, results)
        return Model(text, name, tuple(inputs), tuple(signature.user_outputs), self.parameters)

    def find_constants(self, signature) -> None:
        state = self.program.state_dict
        for spec in signature.input_specs:
            kind, target = spec.kind.name, spec.target
            if kind in ("PARAMETER", "BUFFER", "CONSTANT_TENSOR"):
                tensor = state[target] if target in state else self.program.constants[target]
                self.pending[spec.arg.name] = (target, tensor, kind == "PARAMETER")
            elif kind != "USER_INPUT":
                raise UnsupportedError(f"input {target!r} of kind {kind}")

    @staticmethod
    def type_of(node: torch.fx.Node) -> tuple[list[int], str]:
        value = node.meta["val"]
        element = ELEMENTS.get(str(value.dtype).removeprefix("torch."))
        if element is None:
            raise UnsupportedError(f"{node.name} has elements of type {value.dtype}")
        if any(not isinstance(n, int) for n in value.shape):
            raise UnsupportedError(f"{node.name} has sizes that are not known: "
                                   f"{list(value.shape)}")
        return list(value.shape), element

    # What depends on no argument.

    def fold(self, node: torch.fx.Node) -> bool:
        """Lets torch compute what depends on buffers alone, as Brevitas' numbers of bits and
        ranges do. It is read like a buffer."""
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor) or not isinstance(node.target, torch._ops.OpOverload):
            return False
        if not node.all_input_nodes:
            return False
        for source in node.all_input_nodes:
            if source.name not in self.pending or self.pending[source.name][2]:
                return False
        arguments = torch.fx.map_arg((node.args, node.kwargs),
                                     lambda source: self.pending[source.name][1])
        with torch.no_grad():
            result = node.target(*arguments[0], **arguments[1])
        self.pending[node.name] = (node.name, result, False)
        return True

    # Reading operands.

    def read(self, argument: Any) -> Any:
        if isinstance(argument, (list, tuple)):
            return [self.read(a) for a in argument]
        if not isinstance(argument, torch.fx.Node):
            return argument
        if argument not in self.environment:
            target, tensor, is_parameter = self.pending[argument.name]
            array = _to_numpy(tensor)
            if is_parameter and self.has_arguments:
                value = self.out.argument(target, *self.type_of(argument))
                self.parameters[target] = array
            else:
                value = self.out.constant(array)
                self.constants.add(value.name)
            self.environment[argument] = value
        return self.environment[argument]

    def call(self, node: torch.fx.Node) -> Any:
        if node.target is operator.getitem:
            result = self.read(node.args[0])[node.args[1]]
            if result is None:
                raise UnsupportedError(f"result {node.args[1]} of {node.args[0].target} is not "
                                       "supported")
            return result
        name = str(node.target)
        self.out.comment(f"{name} {node.name}")
        try:
            arguments = self.read(node.args)
            keywords = {k: self.read(v) for k, v in node.kwargs.items()}
            if name.startswith("quant_ste."):
                return self.quantize(node, arguments, keywords)
            if name not in _HANDLERS:
                raise UnsupportedError("has no form here")
            result = _HANDLERS[name](self, node, *arguments, **keywords)
        except UnsupportedError as error:
            raise UnsupportedError(f"{name} ({node.name}): {error}") from None
        except TypeError as error:
            raise UnsupportedError(f"{name} ({node.name}) with these arguments: {error}") from error
        if isinstance(result, Value):
            shape, element = self.type_of(node)
            if (tuple(shape), element) != (result.shape, result.element):
                raise UnsupportedError(f"{name} ({node.name}): expected {shape} of {element}, got "
                                       f"{result.type}")
        return result

    def number(self, number: float, element: str) -> Value:
        value = self.out.constant(np.asarray(number, np.float64), element)
        self.constants.add(value.name)
        return value

    def operand(self, value: Any, like: Value) -> Value:
        """A number becomes a constant."""
        if isinstance(value, (int, float)):
            return self.number(value, like.element)
        if value.element != like.element:
            raise UnsupportedError(f"operands of types {like.element} and {value.element}")
        return value

    # Quantizers.

    def quantize(self, node: torch.fx.Node, arguments: list, keywords: dict) -> Value:
        name = str(node.target).removeprefix("quant_ste.").removesuffix(".default")
        op = _TABLE.get(name)
        if op is None:
            raise UnsupportedError("has no form here")
        given = {}
        for i, declared in enumerate(node.target._schema.arguments):
            given[declared.name] = arguments[i] if i < len(arguments) else \
                keywords.get(declared.name, declared.default_value)
        x, operands, axis, values = None, [], None, {}
        for declared in op.arguments:
            value = given[declared.name]
            if declared.kind == "axis":
                axis = value
            elif declared.kind == "word":
                values[declared.name] = value
            elif x is None:
                x = value
            else:
                operands.append(self.parameter(node, value, x))
        if axis is not None:
            along = [n if d == axis % len(x.shape) else 1 for d, n in enumerate(x.shape)]
            operands = [self.out.reshape(p, along) if len(p.shape) == 1 else p for p in operands]
        if op.gradients[1] == "none":
            operands = [p if p.name in self.constants else self.out.unary("quant_ste.detach", p)
                        for p in operands]
        words = op.words(_Words(values)) if callable(op.words) else \
            op.words.format_map(_Words(values))
        if x.element not in ("f16", "bf16"):  # there each step is rounded anyway
            words = words.replace("stepwise ", "")
        if op.gradients[0] in ("zero", "none"):
            x = self.out.unary("quant_ste.detach", x)
        shape, element = self.type_of(node)
        if element != x.element or tuple(shape) != x.shape:
            raise UnsupportedError(f"{x.type} becomes {shape} of {element}")
        return self.out.quantizer(op.op, x, operands, words)

    def parameter(self, node: torch.fx.Node, value: Any, x: Value) -> Value:
        if isinstance(value, (int, float)):
            return self.number(value, x.element)
        if value.element == x.element:
            return value
        if value.is_float or value.name not in self.constants:
            raise UnsupportedError(f"a parameter of type {value.type} for data of {x.element}")
        source = next(n for n, v in self.environment.items() if v is value)
        constant = self.out.constant(_to_numpy(self.pending[source.name][1]), x.element)
        self.constants.add(constant.name)
        return constant


def _to_numpy(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype == torch.bfloat16:
        import ml_dtypes
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


#===----------------------------------------------------------------------===#
# ATen
#===----------------------------------------------------------------------===#


def _float(x: Value) -> Value:
    if not x.is_float:
        raise UnsupportedError(f"expected floats, got {x.type}")
    return x


def _add_elementwise() -> None:
    def unary(op):
        return lambda self, node, x: self.out.unary(op, _float(x))

    def binary(op, is_reversed=False):
        def handler(self, node, x, y, alpha=1):
            if not isinstance(x, Value):
                x = self.operand(x, y)
            y = self.operand(y, _float(x))
            if is_reversed:
                x, y = y, x
            if alpha != 1:
                y = self.out.with_number("mulf", y, alpha)
            return self.out.binary(op, x, y)
        return handler

    for name, op in {"neg": "arith.negf", "abs": "math.absf", "exp": "math.exp",
                     "exp2": "math.exp2", "log": "math.log", "log2": "math.log2",
                     "sqrt": "math.sqrt", "rsqrt": "math.rsqrt", "tanh": "math.tanh",
                     "erf": "math.erf", "sin": "math.sin", "cos": "math.cos"}.items():
        _HANDLERS[f"aten.{name}.default"] = unary(op)
    for name, op in {"add": "addf", "sub": "subf", "mul": "mulf", "div": "divf"}.items():
        _HANDLERS[f"aten.{name}.Tensor"] = _HANDLERS[f"aten.{name}.Scalar"] = binary(op)
    _HANDLERS["aten.rsub.Scalar"] = binary("subf", True)
    _HANDLERS["aten.maximum.default"] = binary("maximumf")
    _HANDLERS["aten.minimum.default"] = binary("minimumf")


_add_elementwise()


def _detach(self, node, x):
    if x.name in self.constants or not x.is_float:
        return x
    return self.out.unary("quant_ste.detach", x)


_HANDLERS["quant_ste_export.detach.default"] = _detach


@_on("relu.default")
def _relu(self, node, x):
    return self.out.relu(_float(x))


@_on("leaky_relu.default")
def _leaky_relu(self, node, x, slope=0.01):
    return self.out.leaky_relu(_float(x), slope)


@_on("sigmoid.default")
def _sigmoid(self, node, x):
    return self.out.sigmoid(_float(x))


@_on("silu.default")
def _silu(self, node, x):
    return self.out.binary("mulf", x, self.out.sigmoid(_float(x)))


@_on("gelu.default")
def _gelu(self, node, x, approximate="none"):
    return self.out.gelu(_float(x), approximate)


@_on("clamp.default")
def _clamp(self, node, x, low=None, high=None):
    return self.out.clamp(_float(x), low, high)


@_on("clamp_min.default")
def _clamp_min(self, node, x, low):
    return self.out.clamp(_float(x), low, None)


@_on("clamp_max.default")
def _clamp_max(self, node, x, high):
    return self.out.clamp(_float(x), None, high)


def _add_comparisons() -> None:
    def comparison(order):
        def handler(self, node, x, y):
            return self.out.compare(order, _float(x), self.operand(y, x))
        return handler

    for name, order in {"ge": "oge", "gt": "ogt", "le": "ole", "lt": "olt", "eq": "oeq",
                        "ne": "une"}.items():
        _HANDLERS[f"aten.{name}.Scalar"] = _HANDLERS[f"aten.{name}.Tensor"] = comparison(order)


_add_comparisons()


@_on("where.self", "where.ScalarOther", "where.ScalarSelf", "where.Scalar")
def _where(self, node, condition, x, y):
    if condition.element != "i1":
        raise UnsupportedError(f"expected a condition of i1, got {condition.type}")
    element = self.type_of(node)[1]
    x, y = (v if isinstance(v, Value) else self.number(v, element) for v in (x, y))
    return self.out.select(condition, _float(x), self.operand(y, x))


@_on("_assert_tensor_metadata.default")
def _nothing(self, node, *_, **options):
    return None


@_on("hardtanh.default")
def _hardtanh(self, node, x, low=-1.0, high=1.0):
    return self.out.clamp(_float(x), low, high, is_open=True)


@_on("reciprocal.default")
def _reciprocal(self, node, x):
    return self.out.binary("divf", self.out.constant(np.ones(x.shape), _float(x).element), x)


@_on("pow.Tensor_Scalar")
def _pow(self, node, x, exponent):
    _float(x)
    if exponent == 2:
        return self.out.binary("mulf", x, x)
    if exponent in (0.5, -0.5):
        return self.out.unary("math.sqrt" if exponent > 0 else "math.rsqrt", x)
    raise UnsupportedError(f"the power {exponent}")


@_on("clone.default", "alias.default", "contiguous.default", "lift_fresh_copy.default",
     "_to_copy.default")
def _same(self, node, x, **options):
    if x.element == "i1" and self.type_of(node)[1] in ("f16", "bf16", "f32", "f64"):
        one, zero = (self.number(n, self.type_of(node)[1]) for n in (1.0, 0.0))
        return self.out.select(x, one, zero)
    if options.get("dtype") not in (None, node.meta["val"].dtype) or \
            x.element != self.type_of(node)[1]:
        raise UnsupportedError(f"from {x.element} to {node.meta['val'].dtype}")
    return x


@_on("full.default", "scalar_tensor.default", "full_like.default")
def _full(self, node, first, number=None, **options):
    shape, element = self.type_of(node)
    value = self.out.constant(np.full(shape, first if number is None else number), element)
    self.constants.add(value.name)
    return value


# Products and windows.


@_on("mm.default", "bmm.default", "matmul.default")
def _matmul(self, node, x, y):
    return self.out.matmul(_float(x), self.operand(y, x))


@_on("addmm.default", "baddbmm.default")
def _addmm(self, node, bias, x, y, beta=1, alpha=1):
    result = self.out.matmul(_float(x), self.operand(y, x))
    if alpha != 1:
        result = self.out.with_number("mulf", result, alpha)
    if beta != 1:
        bias = self.out.with_number("mulf", bias, beta)
    return self.out.binary("addf", result, bias)


@_on("linear.default")
def _linear(self, node, x, w, bias=None):
    result = self.out.matmul(_float(x), self.out.transpose(w, [1, 0]))
    return result if bias is None else self.out.binary("addf", result, bias)


@_on("convolution.default")
def _convolution(self, node, x, w, bias, stride, padding, dilation, transposed, output_padding,
                 groups):
    if transposed:
        raise UnsupportedError("transposed")
    return self.out.conv(_float(x), self.operand(w, x), bias, stride, padding, padding, dilation,
                         groups)


def _window(x: Value, size: Sequence[int], stride: Sequence[int], padding: Sequence[int],
            dilation: Sequence[int], ceil_mode: bool):
    dims = len(size)

    def every(numbers):
        numbers = [numbers] if isinstance(numbers, int) else list(numbers)
        return numbers * dims if len(numbers) == 1 else numbers

    size, padding, dilation = every(size), every(padding), every(dilation)
    stride = every(stride) if stride else size
    if ceil_mode and any((n + 2 * p - d * (k - 1) - 1) % s for n, k, s, p, d in
                         zip(x.shape[-dims:], size, stride, padding, dilation)):
        raise UnsupportedError("ceil_mode with windows that do not fit")
    return size, stride, padding, padding, dilation


@_on("max_pool2d_with_indices.default")
def _max_pool(self, node, x, size, stride=(), padding=(0,), dilation=(1,), ceil_mode=False):
    return [self.out.pool("max", _float(x),
                          *_window(x, size, stride, padding, dilation, ceil_mode)), None]


@_on("avg_pool2d.default", "avg_pool1d.default")
def _avg_pool(self, node, x, size, stride=(), padding=(0,), ceil_mode=False,
              count_include_pad=True, divisor_override=None):
    if divisor_override is not None:
        raise UnsupportedError("divisor_override")
    window = _window(x, size, stride, padding, [1], ceil_mode)
    return self.out.pool("mean", _float(x), *window, count_include_pad)


@_on("_adaptive_avg_pool2d.default")
def _adaptive_avg_pool(self, node, x, sizes):
    if any(n % s for n, s in zip(x.shape[-2:], sizes)):
        raise UnsupportedError(f"{list(x.shape[-2:])} to {sizes}: windows of several sizes")
    size = [n // s for n, s in zip(x.shape[-2:], sizes)]
    return self.out.pool("mean", _float(x), size, size, [0, 0], [0, 0], [1, 1])


# Normalization and reductions.


@_on("_native_batch_norm_legit_no_training.default")
def _batch_norm(self, node, x, weight, bias, mean, variance, momentum, epsilon):
    along = (x.shape[1], *[1] * (len(x.shape) - 2))
    weight, bias, mean, variance = (v if v is None else self.out.reshape(v, along)
                                    for v in (weight, bias, mean, variance))
    return [self.out.normalize(_float(x), mean, variance, epsilon, weight, bias), None, None]


@_on("native_layer_norm.default")
def _layer_norm(self, node, x, shape, weight, bias, epsilon):
    dims = range(len(x.shape) - len(shape), len(x.shape))
    mean = self.out.reduce("mean", _float(x), dims, True)
    centered = self.out.binary("subf", x, mean)
    variance = self.out.reduce("mean", self.out.binary("mulf", centered, centered), dims, True)
    return [self.out.normalize(x, mean, variance, epsilon, weight, bias), None, None]


@_on("_softmax.default", "_log_softmax.default")
def _softmax(self, node, x, dim, half_to_float):
    return self.out.softmax(_float(x), dim % len(x.shape), "log" in str(node.target))


def _reduction(op):
    def handler(self, node, x, dims=None, keep=False, dtype=None):
        dims = [dims] if isinstance(dims, int) else dims or range(len(_float(x).shape))
        return self.out.reduce(op, x, list(dims), keep)
    return handler


@_on("max.dim", "min.dim")
def _extremum(self, node, x, dim, keep=False):
    op = "maximumf" if "max" in str(node.target) else "minimumf"
    return [self.out.reduce(op, _float(x), [dim], keep), None]


for _names, _op in ((("mean.dim", "mean.default"), "mean"),
                    (("sum.dim_IntList", "sum.default"), "addf"),
                    (("amax.default", "max.default"), "maximumf"),
                    (("amin.default", "min.default"), "minimumf")):
    _on(*_names)(_reduction(_op))


@_on("var.correction")
def _variance(self, node, x, dims=None, correction=None, keepdim=False):
    dims = list(range(len(x.shape)) if dims is None else dims)
    mean = self.out.reduce("mean", _float(x), dims, True)
    centered = self.out.binary("subf", x, mean)
    total = self.out.reduce("addf", self.out.binary("mulf", centered, centered), dims, keepdim)
    count = product(x.shape[d] for d in dims) - (1 if correction is None else correction)
    return self.out.with_number("divf", total, max(count, 0))


# Shapes.


@_on("view.default", "_unsafe_view.default", "reshape.default", "unsqueeze.default",
     "squeeze.dim", "squeeze.dims", "squeeze.default")
def _reshape(self, node, x, *_):
    return self.out.reshape(x, self.type_of(node)[0])


@_on("permute.default")
def _permute(self, node, x, order):
    return self.out.transpose(x, [d % len(x.shape) for d in order])


@_on("t.default")
def _t(self, node, x):
    return self.out.transpose(x, range(len(x.shape))[::-1])


@_on("transpose.int")
def _transpose(self, node, x, a, b):
    order = list(range(len(x.shape)))
    order[a], order[b] = order[b], order[a]
    return self.out.transpose(x, order)


@_on("expand.default")
def _expand(self, node, x, shape, implicit=False):
    return self.out.expand(x, self.type_of(node)[0])


@_on("repeat.default")
def _repeat(self, node, x, counts):
    sizes = [1] * (len(counts) - len(x.shape)) + list(x.shape)
    apart = self.out.reshape(x, [n for size in sizes for n in (1, size)])
    whole = self.out.expand(apart, [n for pair in zip(counts, sizes) for n in pair])
    return self.out.reshape(whole, self.type_of(node)[0])


@_on("cat.default")
def _cat(self, node, values, dim=0):
    return self.out.concat(values, dim % len(values[0].shape))


def _sliced(self, x, dim, start, size, step=1):
    starts, sizes, steps = [0] * len(x.shape), list(x.shape), [1] * len(x.shape)
    starts[dim], sizes[dim], steps[dim] = start, size, step
    return self.out.slice(x, starts, sizes, steps)


@_on("slice.Tensor")
def _slice(self, node, x, dim=0, start=None, end=None, step=1):
    dim %= len(x.shape)
    found = range(x.shape[dim])[slice(start, end, step)]
    return _sliced(self, x, dim, found.start, len(found), step)


@_on("select.int")
def _select(self, node, x, dim, index):
    dim %= len(x.shape)
    row = _sliced(self, x, dim, index % x.shape[dim], 1)
    return self.out.reshape(row, self.type_of(node)[0])


@_on("split_with_sizes.default")
def _split(self, node, x, sizes, dim=0):
    dim %= len(x.shape)
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [_sliced(self, x, dim, s, n) for s, n in zip(starts, sizes)]


@_on("constant_pad_nd.default")
def _pad(self, node, x, pads, number=0.0):
    low, high = [0] * len(x.shape), [0] * len(x.shape)
    for i in range(len(pads) // 2):  # pairs, from the last dimension on
        low[-1 - i], high[-1 - i] = pads[2 * i], pads[2 * i + 1]
    return self.out.pad(_float(x), low, high, number)


@_on("embedding.default")
def _embedding(self, node, table, index, *_):
    if index.element != "i64":
        raise UnsupportedError(f"indices of {index.element}")
    rank = len(index.shape)
    loops = [f"d{i}" for i in range(rank + 1)]
    shape, element = self.type_of(node)
    init = self.out.empty(shape, element)
    kinds = ", ".join(['"parallel"'] * (rank + 1))
    every = ", ".join(loops)
    return self.out.emit(
        f"linalg.generic {{indexing_maps = [affine_map<({every}) -> ({', '.join(loops[:-1])})>, "
        f"affine_map<({every}) -> ({every})>],\n      iterator_types = [{kinds}]}}\n"
        f"      ins({index.name} : {index.type}) outs({init.name} : {init.type}) {{\n"
        f"    ^bb0(%a0: i64, %o: {element}):\n      %i = arith.index_cast %a0 : i64 to index\n"
        f"      %j = linalg.index {rank} : index\n"
        f"      %r = tensor.extract {table.name}[%i, %j] : {table.type}\n"
        f"      linalg.yield %r : {element}\n    }} -> {init.type}", shape, element)
