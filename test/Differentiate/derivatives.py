"""Compares what quant-ste-differentiate makes of a function with finite
differences of the function itself, in f64.

A function is given as the text of a module with a private @f, and its inputs as
numpy arrays (plain floats: numpy.float64). Around it this builds

    @value(args) -> results
    @reverse(args, cotangents) -> (results, gradients)
    @forward(args, tangents) -> (results, tangents)
"""
import re

import numpy as np

import quant_ste_ctypes


def _split(text):
    """The parts of a list of types, at the commas that are not in brackets."""
    parts, depth, part = [], 0, ""
    for c in text:
        depth += (c in "<([") - (c in ">)]")
        if c == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += c
    return parts + [part.strip()] if part.strip() else parts


def _signature(text):
    match = re.search(r"func\.func private @f\((.*?)\)\s*->\s*(\(.*?\)|\S+)"
                      r"(?:\s+attributes\s+\{[^}]*\})?\s*\{", text, re.S)
    arguments = [a.split(":", 1)[1].strip() for a in _split(match.group(1))]
    results = match.group(2)
    results = _split(results[1:-1]) if results.startswith("(") else [results]
    return arguments, results


def is_float(type_):
    return re.search(r"(^|[x<])(f16|bf16|f32|f64)>?$", type_) is not None


class Derivatives:
    """@f, compiled with its derivatives by the arguments `wrt`."""

    def __init__(self, text, wrt=None, modes=("reverse", "forward")):
        arguments, results = _signature(text)
        self.wrt = ([i for i, t in enumerate(arguments) if is_float(t)]
                    if wrt is None else list(wrt))
        self.results = len(results)
        self.float_results = [i for i, t in enumerate(results) if is_float(t)]
        names = [f"%a{i}" for i in range(len(arguments))]
        of_results = [results[i] for i in self.float_results]
        of_wrt = [arguments[i] for i in self.wrt]

        def function(name, op, seeds, seed_types, outs):
            seed_names = [f"%t{i}" for i in range(len(seed_types))]
            params = ", ".join(f"{n}: {t}" for n, t in zip(
                names + seed_names, arguments + seed_types))
            out_names = ", ".join(f"%r#{i}" for i in range(len(outs)))
            if len(outs) == 1:
                out_names = "%r"
            count = f":{len(outs)}" if len(outs) > 1 else ""
            args = ", ".join(names)
            if op == "call":
                body = f"func.call @f({args}) : ({', '.join(arguments)})"
            else:
                body = (f"quant_ste.{op} @f({args}) {seeds}"
                        f"({', '.join(seed_names)}) wrt {self.wrt} : "
                        f"({', '.join(arguments)}), ({', '.join(seed_types)})")
            return (f"func.func @{name}({params}) -> ({', '.join(outs)}) {{\n"
                    f"  %r{count} = {body} -> ({', '.join(outs)})\n"
                    f"  return {out_names} : {', '.join(outs)}\n}}\n")

        text += function("value", "call", "", [], results)
        if "reverse" in modes:
            text += function("reverse", "vjp", "cotangents", of_results,
                             results + of_wrt)
        if "forward" in modes:
            text += function("forward", "jvp", "tangents", of_wrt,
                             results + of_results)
        self.text = text
        self.module = quant_ste_ctypes.compile(text)

    def value(self, *inputs):
        return self.module.call("value", *inputs)

    def reverse(self, inputs, cotangents):
        """The results, and the gradient of each argument in wrt."""
        out = self.module.call("reverse", *inputs, *cotangents)
        return out[:self.results], out[self.results:]

    def forward(self, inputs, tangents):
        """The results, and the tangent of each float result."""
        out = self.module.call("forward", *inputs, *tangents)
        return out[:self.results], out[self.results:]

    def jacobian(self, inputs, step=1e-6):
        """By central differences: [float result][wrt], shaped result x arg."""
        columns = []
        for i in self.wrt:
            x = np.asarray(inputs[i], np.float64)
            out = [np.zeros((np.size(r), x.size)) for r in
                   self._floats(self.value(*inputs))]
            for e in range(x.size):
                moved = []
                for sign in (1, -1):
                    y = x.copy().reshape(-1)
                    y[e] += sign * step
                    args = list(inputs)
                    args[i] = _like(inputs[i], y.reshape(x.shape))
                    moved.append(self._floats(self.value(*args)))
                for k, (up, down) in enumerate(zip(*moved)):
                    out[k][:, e] = ((up - down) / (2 * step)).reshape(-1)
            columns.append(out)
        return [[columns[j][k] for j in range(len(self.wrt))]
                for k in range(len(self.float_results))]

    def _floats(self, results):
        return [np.asarray(results[i], np.float64) for i in self.float_results]

    def check(self, inputs, seed=0, tolerance=1e-6, step=1e-6):
        """Both modes against finite differences, and their primal results
        against @f's own, bit for bit."""
        rng = np.random.default_rng(seed)
        value = self.value(*inputs)
        jacobian = self.jacobian(inputs, step)

        def draw(like):
            return _like(like, rng.normal(size=np.shape(like)))

        cotangents = [draw(value[i]) for i in self.float_results]
        results, gradients = self.reverse(inputs, cotangents)
        for got, want in zip(results, value):
            np.testing.assert_array_equal(got, want)
        for j, i in enumerate(self.wrt):
            want = sum(jacobian[k][j].T @ np.reshape(t, -1)
                       for k, t in enumerate(cotangents))
            self._close(gradients[j], want.reshape(np.shape(inputs[i])),
                        tolerance, f"gradient of argument {i}")

        tangents = [draw(inputs[i]) for i in self.wrt]
        results, pushed = self.forward(inputs, tangents)
        for got, want in zip(results, value):
            np.testing.assert_array_equal(got, want)
        for k, r in enumerate(self.float_results):
            want = sum(jacobian[k][j] @ np.reshape(t, -1)
                       for j, t in enumerate(tangents))
            self._close(pushed[k], want.reshape(np.shape(value[r])),
                        tolerance, f"tangent of result {r}")

    @staticmethod
    def _close(got, want, tolerance, what):
        scale = max(1.0, np.abs(want).max(initial=0.0))
        np.testing.assert_allclose(got, want, rtol=tolerance,
                                   atol=tolerance * scale, err_msg=what)


def _like(original, value):
    """A plain float stays one; arrays keep their type."""
    if isinstance(original, np.ndarray):
        return np.asarray(value, original.dtype).reshape(original.shape)
    return np.dtype(type(original)).type(value)
