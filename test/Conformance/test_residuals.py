"""Split with packed residuals: the bits of the joint function, for every quantizer;
how many bits are kept; and the layout of packed bits."""
import os
import pathlib
import re
import subprocess

import numpy as np
import pytest

import cases
import quant_ste_ctypes
from harness import assert_same_bits, tensor

NOTHING_ALIVE = "keep-arguments=false keep-results=false"


def qopt_opt(text, *passes):
    library = pathlib.Path(os.environ["QUANT_STE_C_LIBRARY"])
    run = subprocess.run([library.parent.parent / "bin" / "qopt-opt", *passes],
                         input=text, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def source(case, name, shape, axes):
    """@name: x of the shape (with its outer size dynamic), then the parameters."""
    types = [f"tensor<{'x'.join(map(str, ['?', *shape[1:]]))}xf32>"]
    types += [tensor(len(axes), "f32").replace("?", str(shape[axes[0]]) if axes else "?")
              for _ in case.parameters]
    names = ["%x"] + [f"%p{i}" for i in range(len(case.parameters))]
    operands = names[:1] + [n + (f" axes({list(axes)})" if axes else "") for n in names[1:]]
    arguments = ", ".join(f"{n}: {t}" for n, t in zip(names, types))
    return f"""
func.func @{name}({arguments}) -> {types[0]} {{
  %y = quant_ste.{case.op} {', '.join(operands)} {case.words} : {', '.join(types)}
  return %y : {types[0]}
}}
"""


SHAPES = {"per tensor": ((6, 7, 5), ()), "rows of bytes": ((5, 3, 16), ()),
          "per channel": ((3, 4, 21), (1,))}
# Each kind of gradient; all cases in the slow suites.
KINDS = ("binary_sign", "ewgs", "int_quant", "lsq", "pact", "tqt")
ONE_EACH = list({c.op: c for c in cases.CATALOGUE if c.op in KINDS}.values())


def check(some, shape, axes, plan):
    """All of them in one module: compiling is what takes the time."""
    text = "".join(source(c, f"f{i}", shape, axes) for i, c in enumerate(some))
    joint = qopt_opt(
        text, *(f"--quant-ste-differentiate=function=f{i} "
                f"wrt={','.join(str(c.operands.index(n)) for n in c.differentiable)}"
                for i, c in enumerate(some)),
        "--convert-quant-ste-to-linalg", "--canonicalize", "--cse")
    split = qopt_opt(joint, f"--quant-ste-plan-residuals={plan}", "--quant-ste-split")
    # What is compared are passes, not what LLVM makes of them.
    whole, parts = (quant_ste_ctypes.compile(m, opt_level=0) for m in (joint, split))
    rng = np.random.default_rng(7)
    for i, c in enumerate(some):
        x = (rng.standard_normal(shape) * 2).astype(np.float32)
        x.flat[:4] = [0.0, -0.0, np.nan, np.inf]
        dy = cases.cotangent(shape, "f32", finite=True)
        size = tuple(shape[a] for a in axes)
        arguments = [x, *(np.asarray(rng.choice(v, size)).astype(np.float32)
                          for v in c.values)]
        want = whole.call(f"f{i}_vjp", *arguments, dy)
        y, *residuals = parts.call(f"f{i}_fwd", *arguments)
        given = iter(residuals)
        values = {"residual": lambda _: next(given), "argument": lambda n: arguments[n],
                  "result": lambda _: y, "cotangent": lambda _: dy}
        (line,) = [l for l in split.splitlines() if f"func.func @f{i}_bwd(" in l]
        marks = [re.search(r"quant_ste\.(\w+)(?: = (\d+))?", a)
                 for a in line[:line.index(") ->")].split("%")[1:]]
        got = [y, *parts.call(f"f{i}_bwd", *(values[m[1]](m[2] and int(m[2]))
                                            for m in marks))]
        assert len(got) == len(want)
        for n, (g, w) in enumerate(zip(got, want)):
            assert_same_bits(g, w, f"{c}, {plan}, result {n}")


@pytest.mark.parametrize("setting", SHAPES)
def test_split_keeps_the_bits(setting):
    check(ONE_EACH, *SHAPES[setting], NOTHING_ALIVE)


@pytest.mark.slow
@pytest.mark.parametrize("plan", [NOTHING_ALIVE, "residuals=minimal",
                                  "residuals=speed " + NOTHING_ALIVE,
                                  "residuals=all " + NOTHING_ALIVE])
@pytest.mark.parametrize("setting", SHAPES)
def test_all_cases(setting, plan):
    check(cases.CATALOGUE, *SHAPES[setting], plan)


SUMS = {"?x64": (64, 64), "?x?x?": (6, 7, 5), "32x?x16x8": (32, 9, 16, 8),
        "8x24x130": (8, 24, 130), "5x?x7x9": (5, 3, 7, 9)}


def test_sums_keep_their_order():
    """PACT's dalpha, a sum over all dimensions, has the bits of the joint function
    whether its mask is packed or not, and however many dimensions a row of bits
    has. In f64: rounding a sum to f32 could hide another order."""
    text = ""
    for i, sizes in enumerate(SUMS):
        t = f"tensor<{sizes}xf64>"
        text += f"""
func.func @f{i}(%x: {t}, %p: tensor<f64>) -> {t} {{
  %y = quant_ste.pact %x, %p bits(4) grad(pact) : {t}, tensor<f64>
  return %y : {t}
}}"""
    joint = qopt_opt(text, *(f"--quant-ste-differentiate=function=f{i} wrt=0,1"
                             for i in range(len(SUMS))),
                     "--convert-quant-ste-to-linalg", "--canonicalize", "--cse")
    whole = quant_ste_ctypes.compile(joint)
    rng = np.random.default_rng(3)
    alpha = np.array(1.5)
    given = [(rng.normal(0, 2, s), rng.normal(size=s)) for s in SUMS.values()]
    want = [whole.call(f"f{i}_vjp", x, alpha, dy) for i, (x, dy) in enumerate(given)]
    for packs in ("true", "false"):
        parts = quant_ste_ctypes.compile(qopt_opt(
            joint, f"--quant-ste-plan-residuals={NOTHING_ALIVE} pack-bits={packs}",
            "--quant-ste-split"))
        for i, (x, dy) in enumerate(given):
            y, *residuals = parts.call(f"f{i}_fwd", x, alpha)
            masks = [r for r in residuals if r.ndim > 0]
            assert {m.dtype for m in masks} == {
                np.dtype(np.int8 if packs == "true" else np.bool_)}
            got = [y, *parts.call(f"f{i}_bwd", *residuals, dy)]
            for g, w in zip(got, want[i], strict=True):
                assert_same_bits(g, w, f"{list(SUMS)[i]}, pack-bits={packs}")


def product(x, y, out, n=16):
    t = f"tensor<{n}x{n}xf32>"
    return (f"%{out} = linalg.matmul ins({x}, {y} : {t}, {t}) outs(%zero : {t}) -> {t}\n")


DONATED = {
    # d(xw) = dy cos(xw) is written where xw was.
    "dead": (["%x", "%w"], product("%x", "%w", "m") + "%y = math.sin %m : T\n"
             + product("%y", "%w", "z"), True),
    # xw is still alive then: dv needs it, after it.
    "alive": (["%x", "%w", "%v"], product("%x", "%w", "m") + product("%m", "%v", "u")
              + "%s = math.sin %m : T\n" + product("%s", "%u", "z"), None),
}


@pytest.mark.parametrize("name", DONATED)
def test_donated_residuals(name):
    """The backward may write over the residuals: into them where they are dead, with
    the same gradients."""
    names, body, overwritten = DONATED[name]
    n, t = 16, "tensor<16x16xf32>"
    joint = qopt_opt(f"""
func.func @f({', '.join(f'{a}: {t}' for a in names)}) -> {t} {{
  %zero = arith.constant dense<0.0> : {t}
  {body.replace('T', t)}
  return %z : {t}
}}""", "--quant-ste-differentiate=function=f", "--convert-elementwise-to-linalg",
                     "--canonicalize", "--cse")
    rng = np.random.default_rng(5)
    arguments = [rng.normal(size=(n, n)).astype(np.float32) for _ in names]
    dy = rng.normal(size=(n, n)).astype(np.float32)
    want = quant_ste_ctypes.compile(joint).call("f_vjp", *arguments, dy)
    for donates in ("false", "true"):
        module = quant_ste_ctypes.compile(qopt_opt(
            joint, "--quant-ste-plan-residuals=residuals=all keep-arguments=false",
            f"--quant-ste-split=donate-residuals={donates}"))
        y, *residuals = module.call("f_fwd", *arguments)
        before = [r.copy() for r in residuals]
        got = [y, *module.call("f_bwd", *residuals, dy)]
        for i, (g, w) in enumerate(zip(got, want, strict=True)):
            assert_same_bits(g, w, f"{name}, result {i}, donated: {donates}")
        changed = [a.tobytes() != b.tobytes() for a, b in zip(residuals, before)]
        if donates == "false":
            assert not any(changed)
        elif overwritten:
            assert any(changed)


def plan_of(text, argument):
    joint = qopt_opt(text, f"--quant-ste-differentiate=function=f wrt={argument}",
                     "--convert-quant-ste-to-linalg", "--canonicalize", "--cse")
    library = pathlib.Path(os.environ["QUANT_STE_C_LIBRARY"])
    run = subprocess.run(
        [library.parent.parent / "bin" / "qopt-opt",
         f"--quant-ste-print-residuals={NOTHING_ALIVE}"],
        input=joint, capture_output=True, text=True, check=True)
    return int(re.search(r": (\d+) bytes", run.stderr)[1])


N = 1 << 12


@pytest.mark.parametrize("op, wrt, bits", [
    ("pact %x, %p bits(4) grad(pact)", "0", 1),
    ("pact %x, %p bits(4) grad(pact)", "0,1", 2),
    ("binary_sign %x grad(window(-1.0, 1.0))", "0", 1),
    ("round %x grad(ste)", "0", 0),
])
def test_bits_per_element(op, wrt, bits):
    """The residuals of one quantizer where nothing is alive anyway."""
    types = f"tensor<{N}xf32>" + (", tensor<f32>" if "%p" in op else "")
    text = f"""
func.func @f(%x: tensor<{N}xf32>, %p: tensor<f32>) -> tensor<{N}xf32> {{
  %y = quant_ste.{op} : {types}
  return %y : tensor<{N}xf32>
}}"""
    assert plan_of(text, wrt) * 8 == bits * N


N_ROWS = [(shape, rows) for shape in [(3, 19), (2, 64), (1, 1), (0, 5), (3, 7, 7), (2, 3, 130)]
          for rows in range(1, len(shape) + 1)]


@pytest.mark.parametrize("reference", [True, False])
def test_packing_is_numpys(reference):
    """The layout, compiled and by the evaluator; padding bits are 0."""
    parts, checks = [], []
    rng = np.random.default_rng(1)
    for i, (shape, rows) in enumerate(N_ROWS):
        bits = rng.integers(0, 2, shape).astype(bool)
        flat = bits.reshape(*shape[:len(shape) - rows], int(np.prod(shape[-rows:])))
        packed = np.packbits(flat, axis=-1, bitorder="little").view(np.int8)
        b = f"tensor<{'x'.join(map(str, shape))}xi1>"
        d = f"tensor<{'x'.join(map(str, packed.shape))}xi8>"
        parts.append(f"""
func.func @pack{i}(%x: {b}) -> {d} {{
  %p = quant_ste.pack_bits %x row_dims({rows}) : {b} -> {d}
  return %p : {d}
}}
func.func @unpack{i}(%p: {d}) -> {b} {{
  %x = quant_ste.unpack_bits %p row_dims({rows}) : {d} -> {b}
  return %x : {b}
}}""")
        checks.append((i, bits, packed))
    module = quant_ste_ctypes.compile("".join(parts), reference=reference)
    for i, bits, packed in checks:
        np.testing.assert_array_equal(module.call(f"pack{i}", bits)[0], packed)
        np.testing.assert_array_equal(module.call(f"unpack{i}", packed)[0], bits)
