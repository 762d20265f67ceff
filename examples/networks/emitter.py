"""Writes a network's functions as MLIR. Needs nothing but Python.

A network (networks.py) is a function of a backend `k`, which has an op for each
layer: here each op writes its MLIR. The tests have a second backend, torch.
"""
import collections

Value = collections.namedtuple("Value", "name shape element")


def tensor(shape, element):
    return f"tensor<{''.join(f'{s}x' for s in shape)}{element}>"


def product(numbers):
    n = 1
    for v in numbers:
        n *= v
    return n


class Emitter:
    """The ops of a network, on static shapes and floats of one type."""

    def __init__(self, element="f32", quantized=True):
        self.element, self.quantized = element, quantized
        self.lines, self.inputs, self.params = [], [], []
        self.count = 0

    # Arguments.

    def input(self, name, shape, element=None):
        value = Value(f"%{name}", tuple(shape), element or self.element)
        self.inputs.append(value)
        return value

    def param(self, name, shape, init):
        """`init`: a number, ("normal", deviation) or ("absmax", weights)."""
        value = Value(f"%{name}", tuple(shape), self.element)
        self.params.append((name, value, init))
        return value

    # How lines are written.

    def emit(self, text, shape, element=None):
        element = element or self.element
        value = Value(f"%v{self.count}", tuple(shape), element)
        self.count += 1
        self.lines.append(f"{value.name} = {text}")
        return value

    def type(self, value):
        if value.element == "i1":
            return "i1"
        return tensor(value.shape, value.element)

    def scalar(self, number):
        text = "0xFFF0000000000000" if self.element == "f64" else "0xFF800000"
        if number != float("-inf"):
            text = f"{number:.17e}"
        return self.emit(f"arith.constant {text} : {self.element}", ()).name

    def fill(self, shape, number=0.0):
        zero = self.scalar(number)
        t = tensor(shape, self.element)
        empty = self.emit(f"tensor.empty() : {t}", shape)
        return self.emit(f"linalg.fill ins({zero} : {self.element}) "
                         f"outs({empty.name} : {t}) -> {t}", shape)

    def splat(self, shape, number):
        return self.emit(f"arith.constant dense<{number:.17e}> : "
                         f"{tensor(shape, self.element)}", shape)

    def elementwise(self, shape, operands, body, init=None, sums=(), element=None):
        """`operands`: values, each with the dimensions of the loops that it sees.
        The body's lines say {0}, {1} ... and {out}; the last one defines %r."""
        element = element or self.element
        loops = [f"d{i}" for i in range(len(shape))]
        out = [d for d in range(len(shape)) if d not in sums]
        out_shape = [shape[d] for d in out]
        if init is None:
            init = self.emit(f"tensor.empty() : {tensor(out_shape, element)}",
                             out_shape, element)
        maps = [f"affine_map<({', '.join(loops)}) -> "
                f"({', '.join(loops[d] for d in dims)})>"
                for dims in [dims for _, dims in operands] + [out]]
        kinds = ", ".join('"reduction"' if d in sums else '"parallel"'
                          for d in range(len(shape)))
        names = [f"%a{i}" for i in range(len(operands))]
        args = ", ".join(f"{n}: {v.element}" for n, (v, _) in zip(names, operands))
        body = "; ".join(body).format(*names, out="%o", T=self.element)
        given = ", ".join(v.name for v, _ in operands)
        types = ", ".join(self.type(v) for v, _ in operands)
        lines = "\n      ".join(body.split("; "))
        t = tensor(out_shape, element)
        return self.emit(
            f"linalg.generic {{indexing_maps = [{', '.join(maps)}],\n"
            f"      iterator_types = [{kinds}]}}\n"
            f"      ins({given} : {types}) outs({init.name} : {t}) {{\n"
            f"    ^bb0({args}, %o: {element}):\n      {lines}\n"
            f"      linalg.yield %r : {element}\n    }} -> {t}",
            out_shape, element)

    def broadcast(self, op, x, y, dims):
        """x op y, where y's dimensions are the `dims` of x."""
        every = tuple(range(len(x.shape)))
        return self.elementwise(x.shape, [(x, every), (y, dims)],
                                [f"%r = arith.{op} {{0}}, {{1}} : {{T}}"])

    def unary(self, op, x):
        return self.emit(f"{op} {x.name} : {self.type(x)}", x.shape)

    def binary(self, op, x, y):
        return self.emit(f"arith.{op} {x.name}, {y.name} : {self.type(x)}",
                         x.shape)

    def scale(self, x, number):
        return self.binary("mulf", x, self.splat(x.shape, number))

    def reduce(self, op, x, dims, start):
        shape = [s for d, s in enumerate(x.shape) if d not in dims]
        init = self.fill(shape, start)
        return self.emit(
            f"linalg.reduce {{ arith.{op} }} ins({x.name} : {self.type(x)}) "
            f"outs({init.name} : {self.type(init)}) dimensions = {list(dims)}",
            shape)

    def mean(self, x, dims):
        total = self.reduce("addf", x, dims, 0.0)
        return self.scale(total, 1 / product(x.shape[d] for d in dims))

    # Layers.

    def add(self, x, y):
        return self.binary("addf", x, y)

    def weights(self, name, shape, bits=4, value=None):
        """Weights and, where they are quantized, a learned scale for each of the
        last dimension. `value` gives the weights where they are computed."""
        w = value
        if value is None:
            fan = product(shape[:-1])
            w = self.param(name, shape, ("normal", (2 / fan) ** 0.5))
        if not self.quantized:
            return w
        s = self.param(f"{name}_scale", shape[-1:],
                       ("absmax", name, 2 ** (bits - 1) - 1))
        zero, width = self.splat((), 0.0), self.splat((), bits)
        t, scalar = self.type(w), tensor((), self.element)
        return self.emit(
            f"quant_ste.int_quant {w.name}, {s.name} axes([{len(shape) - 1}]), "
            f"{zero.name}, {width.name}\n"
            f"      signed narrow_range rounding(round) grad(clipped)\n"
            f"      : {t}, {self.type(s)}, {scalar}, {scalar}", shape)

    def bias(self, name, x, init=0.0):
        b = self.param(name, x.shape[-1:], init)
        return self.broadcast("addf", x, b, (len(x.shape) - 1,))

    def linear(self, name, x, width):
        w = self.weights(name, (x.shape[-1], width))
        shape = (x.shape[0], width)
        init = self.fill(shape)
        y = self.emit(f"linalg.matmul ins({x.name}, {w.name} : {self.type(x)}, "
                      f"{self.type(w)}) outs({init.name} : {self.type(init)}) "
                      f"-> {self.type(init)}", shape)
        return self.bias(f"{name}_bias", y)

    def pad(self, x, padding, number=0.0):
        """Of the two dimensions in the middle."""
        if padding == 0:
            return x
        n, h, w, c = x.shape
        shape = (n, h + 2 * padding, w + 2 * padding, c)
        low = f"[0, {padding}, {padding}, 0]"
        value = self.scalar(number)
        return self.emit(
            f"tensor.pad {x.name} low{low} high{low} {{\n"
            f"    ^bb0(%i: index, %j: index, %k: index, %l: index):\n"
            f"      tensor.yield {value} : {self.element}\n"
            f"    }} : {self.type(x)} to {tensor(shape, self.element)}", shape)

    def window(self, op, x, w, size, width, stride, start):
        n, h, v, _ = x.shape
        shape = (n, (h - size) // stride + 1, (v - size) // stride + 1, width)
        init = self.fill(shape, start)
        two = f"dense<{stride}> : tensor<2xi64>"
        return self.emit(
            f"linalg.{op} {{strides = {two}, dilations = dense<1> : tensor<2xi64>}}\n"
            f"      ins({x.name}, {w.name} : {self.type(x)}, {self.type(w)}) "
            f"outs({init.name} : {self.type(init)}) -> {self.type(init)}", shape)

    def conv(self, name, x, width, size=3, stride=1, padding=1, value=None):
        """NHWC, with weights [height, width, in, out]."""
        w = value or self.weights(name, (size, size, x.shape[-1], width))
        x = self.pad(x, padding)
        return self.window("conv_2d_nhwc_hwcf", x, w, size, width, stride, 0.0)

    def max_pool(self, x, size, stride, padding=0):
        x = self.pad(x, padding, float("-inf"))
        taps = self.emit(f"tensor.empty() : {tensor((size, size), self.element)}",
                         (size, size))
        return self.window("pooling_nhwc_max", x, taps, size, x.shape[-1], stride,
                           float("-inf"))

    def average_pool(self, x, size):
        taps = self.emit(f"tensor.empty() : {tensor((size, size), self.element)}",
                         (size, size))
        total = self.window("pooling_nhwc_sum", x, taps, size, x.shape[-1], size,
                            0.0)
        return self.scale(total, 1 / (size * size))

    def pact(self, name, x, alpha=2.0):
        """PACT activations of 4 bits; in float, max(x, 0)."""
        if not self.quantized:
            return self.binary("maximumf", x, self.splat(x.shape, 0.0))
        a = self.param(f"{name}_alpha", (), alpha)
        return self.emit(f"quant_ste.pact {x.name}, {a.name} bits(4) grad(pact) "
                         f": {self.type(x)}, {self.type(a)}", x.shape)

    def lsq(self, name, x, bits=8, step=0.03):
        """LSQ activations, signed, one learned step for all."""
        if not self.quantized:
            return x
        s = self.param(f"{name}_step", (), step)
        top = 2 ** (bits - 1) - 1
        slope = (product(x.shape) * top) ** -0.5
        return self.emit(f"quant_ste.lsq {x.name}, {s.name} qmin({-top - 1}) "
                         f"qmax({top}) grad_scale({slope:.6e}) grad(lsq) "
                         f": {self.type(x)}, {self.type(s)}", x.shape)

    def moments(self, x, dims):
        """Mean and variance over `dims`; x without its mean."""
        mean = self.mean(x, dims)
        kept = tuple(d for d in range(len(x.shape)) if d not in dims)
        centered = self.broadcast("subf", x, mean, kept)
        var = self.mean(self.binary("mulf", centered, centered), dims)
        return mean, var, centered, kept

    def inverse_deviation(self, var, epsilon):
        return self.unary("math.rsqrt", self.binary(
            "addf", var, self.splat(var.shape, epsilon)))

    def normalize(self, name, x, dims, epsilon=1e-5):
        """Batch norm's training form or layer norm: over the dimensions `dims`,
        with one factor and one bias for each of the last dimension."""
        _, var, centered, kept = self.moments(x, dims)
        y = self.broadcast("mulf", centered,
                           self.inverse_deviation(var, epsilon), kept)
        g = self.param(f"{name}_gamma", x.shape[-1:], 1.0)
        y = self.broadcast("mulf", y, g, (len(x.shape) - 1,))
        return self.bias(f"{name}_beta", y)

    def folded_conv(self, name, x, width, frozen, running_mean, running_var,
                    size=3, padding=1, epsilon=1e-5):
        """A convolution with its batch norm folded into the quantized weights:
        Q(w * gamma / deviation). The statistics are the batch's until they are
        frozen, and then the running ones."""
        w = self.param(name, (size, size, x.shape[-1], width),
                       ("normal", (2 / (size * size * x.shape[-1])) ** 0.5))
        t = tensor((width,), self.element)
        outer, self.lines = self.lines, []
        y = self.conv(name, x, width, size, 1, padding, value=w)
        mean, var, _, _ = self.moments(y, (0, 1, 2))
        inner, self.lines = self.lines, outer
        body = "\n    ".join(inner)
        statistics = self.emit(
            f"scf.if {frozen.name} -> ({t}, {t}) {{\n"
            f"      scf.yield {running_mean.name}, {running_var.name} : {t}, {t}\n"
            f"    }} else {{\n    {body}\n"
            f"      scf.yield {mean.name}, {var.name} : {t}, {t}\n    }}", (width,))
        name_ = statistics.name
        self.lines[-1] = self.lines[-1].replace(f"{name_} =", f"{name_}:2 =", 1)
        mean = Value(f"{name_}#0", (width,), self.element)
        var = Value(f"{name_}#1", (width,), self.element)
        g = self.param(f"{name}_gamma", (width,), 1.0)
        factor = self.binary("mulf", g, self.inverse_deviation(var, epsilon))
        folded = self.broadcast("mulf", w, factor, (3,))
        folded = self.weights(name, w.shape, value=folded)
        y = self.conv(name, x, width, size, 1, padding, value=folded)
        shift = self.binary("mulf", mean, factor)
        y = self.broadcast("subf", y, shift, (3,))
        return self.bias(f"{name}_beta", y)

    # Shapes.

    def reshape(self, x, shape):
        """By way of one dimension."""
        if tuple(shape) == x.shape:
            return x
        flat = (product(x.shape),)
        if len(x.shape) > 1:
            x = self.emit(f"tensor.collapse_shape {x.name} "
                          f"[{list(range(len(x.shape)))}] : {self.type(x)} into "
                          f"{tensor(flat, x.element)}", flat, x.element)
        if len(shape) == 1:
            return x
        return self.emit(f"tensor.expand_shape {x.name} "
                         f"[{list(range(len(shape)))}] output_shape "
                         f"{list(shape)} : {self.type(x)} into "
                         f"{tensor(shape, x.element)}", shape, x.element)

    def transpose(self, x, order):
        shape = [x.shape[d] for d in order]
        empty = self.emit(f"tensor.empty() : {tensor(shape, self.element)}", shape)
        return self.emit(f"linalg.transpose ins({x.name} : {self.type(x)}) "
                         f"outs({empty.name} : {self.type(empty)}) "
                         f"permutation = {list(order)}", shape)

    # Attention and its like.

    def embedding(self, name, tokens, rows, width):
        """Rows of a learned table: [n] of integers to [n, width]."""
        table = self.param(name, (rows, width), ("normal", 1.0))
        return self.elementwise(
            (*tokens.shape, width), [(tokens, (0,))],
            ["%i = arith.index_cast {0} : i64 to index", "%j = linalg.index 1 : index",
             f"%r = tensor.extract {table.name}[%i, %j] : {self.type(table)}"])

    def add_rows(self, name, x, deviation=0.5):
        """One learned row for each place: x is [batch, place, width]."""
        p = self.param(name, x.shape[1:], ("normal", deviation))
        return self.broadcast("addf", x, p, (1, 2))

    def batch_matmul(self, x, y, transposed=False):
        n, rows, inner = x.shape
        columns = y.shape[1] if transposed else y.shape[2]
        init = self.fill((n, rows, columns))
        maps = ""
        if transposed:
            d = "affine_map<(b, m, n, k) -> "
            maps = (f"indexing_maps = [{d}(b, m, k)>, {d}(b, n, k)>, "
                    f"{d}(b, m, n)>] ")
        return self.emit(f"linalg.batch_matmul {maps}ins({x.name}, {y.name} : "
                         f"{self.type(x)}, {self.type(y)}) outs({init.name} : "
                         f"{self.type(init)}) -> {self.type(init)}", init.shape)

    def shifted(self, x):
        """x without the largest of its last dimension, which keeps exp in range
        and through which no gradient flows."""
        top = self.reduce("maximumf", x, (len(x.shape) - 1,), float("-inf"))
        top = self.unary("quant_ste.detach", top)
        return self.broadcast("subf", x, top, tuple(range(len(x.shape) - 1)))

    def softmax(self, x):
        e = self.unary("math.exp", self.shifted(x))
        total = self.reduce("addf", e, (len(x.shape) - 1,), 0.0)
        return self.broadcast("divf", e, total, tuple(range(len(x.shape) - 1)))

    def cross_entropy(self, logits, labels):
        """Mean over the rows of logits [n, classes]; a tensor of rank 0."""
        x = self.shifted(logits)
        total = self.reduce("addf", self.unary("math.exp", x), (1,), 0.0)
        log = self.broadcast("subf", x, self.unary("math.log", total), (0,))
        share = -1.0 / logits.shape[0]
        return self.elementwise(
            log.shape, [(log, (0, 1)), (labels, (0,))],
            ["%k = linalg.index 1 : index",
             "%l = arith.index_cast {1} : i64 to index",
             "%hit = arith.cmpi eq, %k, %l : index",
             f"%w = arith.constant {share:.17e} : {{T}}",
             "%zero = arith.constant 0.0 : {T}",
             "%p = arith.mulf {0}, %w : {T}",
             "%t = arith.select %hit, %p, %zero : {T}",
             "%r = arith.addf {out}, %t : {T}"],
            init=self.fill(()), sums=(0, 1))

    # Functions.

    def function(self, name, inputs, results, private=True):
        arguments = inputs + [v for _, v, _ in self.params]
        given = ",\n    ".join(
            f"{v.name}: {self.type(v)}" +
            ("" if private or v in inputs else
             f' {{quant_ste.name = "{v.name[1:]}"}}') for v in arguments)
        types = ", ".join(self.type(v) for v in results)
        body = "\n  ".join(self.lines)
        visibility = "private " if private else ""
        return (f"func.func {visibility}@{name}({given})\n    -> ({types}) {{\n"
                f"  {body}\n  return {', '.join(v.name for v in results)} : "
                f"{types}\n}}\n")
