"""Functions of thousands of calls, which are compiled apart from their kernels: the
bits of the same steps in numpy."""
import numpy as np
import pytest

import oracle
import quant_ste_ctypes
from harness import assert_same_bits

STEPS = 300
SHAPES = {"static": "4x7", "dynamic": "?x7"}


def network(shape, in_loop):
    """Additions and PACT in turn, hundreds of arguments; a reduction now and then."""
    tensor = f"tensor<{SHAPES[shape]}xf32>"
    arguments = [f"%x: {tensor}"]
    arguments += [f"%b{i}: {tensor}, %a{i}: tensor<f32>" for i in range(STEPS)]
    body, x = [], "%carried" if in_loop else "%x"
    for i in range(STEPS):
        body.append(f"""
    %s{i} = arith.addf {x}, %b{i} : {tensor}
    %y{i} = quant_ste.pact %s{i}, %a{i} bits(4) grad(pact) : {tensor}, tensor<f32>""")
        if i % 3 == 2:  # no chain of elementwise ops goes on: a sum is between
            body.append(f"""
    %zero{i} = arith.constant dense<0.0> : tensor<7xf32>
    %sum{i} = linalg.reduce {{ arith.maximumf }} ins(%y{i} : {tensor})
      outs(%zero{i} : tensor<7xf32>) dimensions = [0]
    %z{i} = linalg.broadcast ins(%sum{i} : tensor<7xf32>) outs(%y{i} : {tensor})
      dimensions = [0]""")
            x = f"%z{i}"
        else:
            x = f"%y{i}"
    text = "".join(body)
    if in_loop:
        text = f"""
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c3 = arith.constant 3 : index
    %last = scf.for %i = %c0 to %c3 step %c1 iter_args(%carried = %x) -> ({tensor}) {{
    {text}
    scf.yield {x} : {tensor}
    }}"""
        x = "%last"
    return (f"func.func @net({', '.join(arguments)}) -> {tensor} {{{text}\n"
            f"    return {x} : {tensor}\n}}\n")


def expected(x, parameters, in_loop):
    for _ in range(3 if in_loop else 1):
        for i in range(STEPS):
            b, a = parameters[2 * i:2 * i + 2]
            x = oracle.OPS["pact"].forward({"x": x + b, "alpha": a}, {"bits": 4})
            if i % 3 == 2:
                x = np.broadcast_to(x.max(axis=0), x.shape)
    return x


@pytest.mark.parametrize("in_loop", [False, True], ids=["straight", "loop"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("openmp", ["true", "false"])
def test_network(shape, in_loop, openmp):
    rng = np.random.default_rng(5)
    x, *b = rng.normal(size=(STEPS + 1, 4, 7)).astype(np.float32)
    a = rng.uniform(0.5, 4, size=STEPS).astype(np.float32)
    parameters = [v for pair in zip(b, a) for v in pair]
    module = quant_ste_ctypes.compile(network(shape, in_loop), f"openmp={openmp}")
    got, = module.call("net", x, *parameters)
    assert_same_bits(got, expected(x, parameters, in_loop), f"{shape} {in_loop}")


@pytest.mark.parametrize("openmp", ["true", "false"])
def test_gradients(openmp):
    """What the forward keeps lives across hundreds of calls, and is in memory then; at
    -O1 it is where LLVM's register allocator puts it."""
    tensor = "tensor<4x7xf32>"
    types = [tensor] + [tensor, "tensor<f32>"] * STEPS
    names = [f"%p{i}" for i in range(len(types))]
    arguments = ", ".join(f"{n}: {t}" for n, t in zip(names, types))
    results = ", ".join([tensor] + types)
    text = network("static", False).replace("@net", "private @net") + f"""
func.func @backward({arguments}, %dy: {tensor}) -> ({results}) {{
  %r:{len(types) + 1} = quant_ste.vjp @net({', '.join(names)}) cotangents(%dy)
    wrt [{', '.join(map(str, range(len(types))))}]
    : ({', '.join(types)}), ({tensor}) -> ({results})
  return {', '.join(f'%r#{i}' for i in range(len(types) + 1))} : {results}
}}"""
    rng = np.random.default_rng(6)
    # Small steps, so that gradients reach the first; one column is clipped.
    dy, x, *b = rng.normal(size=(STEPS + 2, 4, 7)).astype(np.float32) * np.float32(0.01)
    x += np.float32([2] * 6 + [20])
    a = rng.uniform(8, 16, size=STEPS).astype(np.float32)
    parameters = [v for pair in zip(b, a) for v in pair]
    want, got = (quant_ste_ctypes.compile(text, f"openmp={openmp}", opt_level=level)
                 .call("backward", x, *parameters, dy) for level in (1, 2))
    assert_same_bits(got[0], expected(x, parameters, False), "y")
    assert np.any(got[1]) and any(map(np.any, got[3::2]))  # dx, dalpha
    for i, (mine, other) in enumerate(zip(got, want, strict=True)):
        assert_same_bits(mine, other, f"result {i}")
