"""Small kernels that are launched at once, and sums by atomic additions."""
import platform
import re

import numpy as np
import pytest

import emulation
import quant_ste_ctypes
from harness import assert_same_bits
from test_gpu_kernels import int_quant

if platform.machine() != "x86_64":
    pytest.skip("the emulated driver needs x86-64", allow_module_level=True)

WEIGHTS = [(64, 3, 7, 7), (8, 8, 3, 3), (16, 8, 3, 3), (1, 1, 1, 1), (10, 512), (33, 17), (3, 1),
           (1, 4100)]


def tensor(shape, dtype="f32"):
    return f"tensor<{'x'.join(map(str, (*shape, dtype)))}>"


def weights(shapes, backward, dtype="f32"):
    """@f: all weights with their scales, and cotangents -> all results."""
    functions, arguments, body, results = [], [], [], []
    for i, shape in enumerate(shapes):
        w, s = tensor(shape, dtype), tensor(shape[:1])
        types = f"{w}, {s}, tensor<f32>, tensor<f32>"
        functions.append(f"""
          func.func private @q{i}(%w: {w}, %s: {s}, %z: tensor<f32>, %b: tensor<f32>) -> {w} {{
            %y = quant_ste.int_quant %w, %s axes([0]), %z, %b signed grad(clipped) : {types}
            return %y : {w}
          }}""")
        arguments += [f"%w{i}: {w}", f"%s{i}: {s}"]
        if backward:
            arguments.append(f"%d{i}: {w}")
            body.append(f"%r{i}:3 = quant_ste.vjp @q{i}(%w{i}, %s{i}, %z, %b) cotangents(%d{i}) "
                        f"wrt [0, 1] : ({types}), ({w}) -> ({w}, {w}, {s})")
            results += [(f"%r{i}#1", w), (f"%r{i}#2", s)]
        else:
            body.append(f"%r{i} = call @q{i}(%w{i}, %s{i}, %z, %b) : ({types}) -> {w}")
            results.append((f"%r{i}", w))
    names, types = (", ".join(x) for x in zip(*results))
    return f"""{''.join(functions)}
      func.func @f({', '.join(arguments)}, %z: tensor<f32>, %b: tensor<f32>) -> ({types}) {{
        {chr(10).join(body)}
        return {names} : {types}
      }}"""


def make(shapes, backward, seed=0):
    rng = np.random.default_rng(seed)
    given = []
    for shape in shapes:
        given += [rng.standard_normal(shape).astype(np.float32),
                  (0.1 + rng.random(shape[0])).astype(np.float32)]
        if backward:
            given.append(rng.standard_normal(shape).astype(np.float32))
    return [*given, np.float32(0), np.float32(4)]


def launches(call):
    """What is launched, as {kernel: times}, and the results."""
    driver = emulation.Driver()
    driver.log()
    results = call()
    names = [m.group(1) for line in driver.log()
             if (m := re.match(r"cuLaunchKernel\((\w+)", line))]
    return {name: names.count(name) for name in names}, results


@pytest.mark.parametrize("backward", [False, True])
def test_weights(backward):
    """One launch for all weights of a rank, and the bits of one launch for each."""
    text, given = weights(WEIGHTS, backward), make(WEIGHTS, backward)
    one, got = launches(lambda: emulation.compile(text).call("f", *given))
    many, want = launches(lambda: emulation.compile(text, options="batch=false").call("f", *given))
    assert sum(one.values()) <= 4, one
    assert sum(many.values()) >= len(WEIGHTS), many
    for a, b in zip(got, want):
        assert a.tobytes() == b.tobytes()
    for i, (a, b) in enumerate(zip(got, quant_ste_ctypes.compile(text).call("f", *given))):
        if backward and i % 2:
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
        else:
            assert_same_bits(a, b, f"result {i}")


def test_more_than_fit():
    """A kernel has 4096 bytes of arguments: 60 tensors are a few launches."""
    shapes = [(1 + i % 5, 1 + i % 37) for i in range(60)]
    text, given = weights(shapes, False), make(shapes, False)
    names, got = launches(lambda: emulation.compile(text).call("f", *given))
    assert 2 <= sum(names.values()) <= 5, names
    for a, b in zip(got, quant_ste_ctypes.compile(text).call("f", *given)):
        assert_same_bits(a, b, "y")


def test_order():
    """A quantizer of another's result waits for it."""
    w, s = tensor((5, 40)), tensor((5,))
    types = f"{w}, {s}, tensor<f32>, tensor<f32>"
    pairs = ("%x", "%s"), ("%y0", "%t"), ("%x", "%t"), ("%y1", "%s")
    lines = "\n".join(f"%y{i} = quant_ste.int_quant {x}, {t} axes([0]), %z, %b signed "
                      f"grad(clipped) : {types}" for i, (x, t) in enumerate(pairs))
    text = f"""
      func.func @f(%x: {w}, %s: {s}, %t: {s}, %z: tensor<f32>, %b: tensor<f32>) -> ({w}, {w}, {w}, {w}) {{
        {lines}
        return %y0, %y1, %y2, %y3 : {w}, {w}, {w}, {w}
      }}"""
    rng = np.random.default_rng(2)
    given = (rng.standard_normal((5, 40)).astype(np.float32),
             *(0.1 + rng.random((2, 5))).astype(np.float32), np.float32(0), np.float32(4))
    names, got = launches(lambda: emulation.compile(text).call("f", *given))
    for a, b in zip(got, quant_ste_ctypes.compile(text).call("f", *given)):
        assert_same_bits(a, b, "y")


@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16"])
@pytest.mark.parametrize("shape, axes", [((100003,), ()), ((3, 5000), (0,)), ((1000, 64), (1,)),
                                         ((257, 33), (1,)), ((0,), ())], ids=str)
def test_atomic_sums(shape, axes, dtype):
    """Elements keep their bits; sums are right, but of no fixed order."""
    import ml_dtypes
    kind = {"f32": np.float32, "f64": np.float64, "bf16": ml_dtypes.bfloat16}[dtype]
    rng = np.random.default_rng(4)
    x, dy = (rng.standard_normal(shape).astype(kind) for _ in range(2))
    s = (0.1 + rng.random([shape[a] for a in axes])).astype(kind)
    given = x, s, np.float32(1), np.float32(3), dy
    text = int_quant(len(shape), axes, dtype)
    names, got = launches(lambda: emulation.compile(text, options="sums=atomic").call("f", *given))
    want = emulation.compile(text).call("f", *given)
    assert dtype == "bf16" or not any("finish" in name for name in names), names
    assert_same_bits(got[0], want[0], "y")
    assert_same_bits(got[1], want[1], "dx")
    bound = {"f32": 1e-6, "f64": 1e-14, "bf16": 1e-2}[dtype] * (
        1 + np.abs(dy.astype(float)).sum()) * 40
    for a, b in zip(got[2:], want[2:]):
        assert (np.abs(a.astype(float) - b.astype(float)) <= bound).all()
