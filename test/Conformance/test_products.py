"""Matrix products and convolutions: what computes them changes no bit."""
import itertools

import ml_dtypes
import numpy as np
import pytest

import quant_ste_ctypes as quant_ste

MAPS = """
#mk = affine_map<(m, n, k) -> (m, k)>
#km = affine_map<(m, n, k) -> (k, m)>
#kn = affine_map<(m, n, k) -> (k, n)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
"""


def in_order(pairs, c):
    """c plus the products one after another, each rounded."""
    for a, b in pairs:
        c = c + a * b
    return c


def matmul(a, b, c):
    """[..., m, k] and [..., k, n]"""
    pairs = ((a[..., :, k, None], b[..., None, k, :]) for k in range(a.shape[-1]))
    return in_order(pairs, c)


def convolution(x, w, y, stride, dilation, order):
    """Channels last: x [n, h, w, c], w [kh, kw, c, f]; `order` of the terms."""
    def cut(i, size):
        return slice(i * dilation, i * dilation + (size - 1) * stride + 1, stride)

    sizes = dict(zip("hwc", w.shape))
    pairs = []
    for at in itertools.product(*(range(sizes[d]) for d in order)):
        i, j, c = (at[order.index(d)] for d in "hwc")
        pairs.append((x[:, cut(i, y.shape[1]), cut(j, y.shape[2]), c, None], w[i, j, c]))
    return in_order(pairs, y)


def product_text(op, attributes, a, b, c):
    types = [f"tensor<{'x'.join(map(str, shape))}x{t}>" for shape, t in (a, b, c)]
    return MAPS + f"""
func.func @f(%a: {types[0]}, %b: {types[1]}, %c: {types[2]}) -> {types[2]} {{
  %y = linalg.{op} {attributes} ins(%a, %b : {types[0]}, {types[1]})
    outs(%c : {types[2]}) -> {types[2]}
  return %y : {types[2]}
}}
"""


def draw(shape, dtype, seed):
    values = np.random.default_rng(seed).standard_normal(shape)
    return values.astype(dtype)


NAMES = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64",
         np.dtype(np.float16): "f16", np.dtype(ml_dtypes.bfloat16): "bf16"}


def check(op, attributes, a, b, c, want):
    text = product_text(op, attributes, *((x.shape, NAMES[x.dtype]) for x in (a, b, c)))
    for options in ("matmul=own", "matmul=inline", "matmul=own openmp=false"):
        got, = quant_ste.compile(text, options).call("f", a, b, c)
        assert got.tobytes() == want.tobytes(), options


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("a_map, b_map", [("mk", "kn"), ("km", "kn"), ("mk", "nk")])
def test_matmul(a_map, b_map, dtype):
    a, b, c = draw((37, 70), dtype, 0), draw((70, 51), dtype, 1), draw((37, 51), dtype, 2)
    check("matmul", f"indexing_maps = [#{a_map}, #{b_map}, #mn]",
          np.ascontiguousarray(a.T) if a_map == "km" else a,
          np.ascontiguousarray(b.T) if b_map == "nk" else b, c, matmul(a, b, c))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_wide_sum(dtype):
    a, b, c = draw((9, 40), dtype, 0), draw((40, 33), dtype, 1), draw((9, 33), np.float32, 2)
    check("matmul", "", a, b, c, matmul(a.astype(np.float32), b.astype(np.float32), c))


def test_batch():
    a, b, c = (draw(s, np.float32, i) for i, s in enumerate(
        [(3, 20, 30), (3, 30, 17), (3, 20, 17)]))
    check("batch_matmul", "", a, b, c, matmul(a, b, c))


@pytest.mark.parametrize("stride, dilation", [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("channels", ["nhwc_hwcf", "nchw_fchw"])
def test_convolution(channels, stride, dilation):
    size = (11 - 2 * dilation - 1) // stride + 1
    x, w = draw((2, 11, 11, 3), np.float32, 0), draw((3, 3, 3, 8), np.float32, 1)
    y = draw((2, size, size, 8), np.float32, 2)
    attributes = (f"{{strides = dense<{stride}> : tensor<2xi64>, "
                  f"dilations = dense<{dilation}> : tensor<2xi64>}}")
    if channels == "nhwc_hwcf":
        check(f"conv_2d_{channels}", attributes, x, w, y,
              convolution(x, w, y, stride, dilation, "hwc"))
        return
    # The channels come first in memory. Among the terms the window does, in either
    # layout: it is unrolled into products (quant-ste-unroll-windows).
    want = convolution(x, w, y, stride, dilation, "hwc")
    first = [np.ascontiguousarray(v) for v in (
        x.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1), y.transpose(0, 3, 1, 2),
        want.transpose(0, 3, 1, 2))]
    check(f"conv_2d_{channels}", attributes, *first)


def test_library():
    """It rounds otherwise, but not much; or there is none, and that is said."""
    a, b = draw((40, 50), np.float32, 0), draw((50, 60), np.float32, 1)
    c = np.zeros((40, 60), np.float32)
    text = product_text("matmul", "", *((x.shape, "f32") for x in (a, b, c)))
    want = matmul(a.astype(np.float64), b.astype(np.float64), 0)
    got, = quant_ste.compile(text, "matmul=auto").call("f", a, b, c)
    np.testing.assert_allclose(got, want, atol=1e-4)
    try:
        module = quant_ste.compile(text, "matmul=library")
    except quant_ste.Error as error:
        assert "expected a library for matrix products" in str(error)
        return
    np.testing.assert_allclose(module.call("f", a, b, c)[0], want, atol=1e-4)


@pytest.mark.parametrize("channels", ["nhwc_hwcf", "nchw_fchw"])
def test_convolution_by_library(channels):
    """And both gradients of it, whose terms and rows are scattered in memory."""
    last = channels == "nhwc_hwcf"
    shapes = ([(2, 13, 12, 9), (3, 3, 9, 10), (2, 11, 10, 10)] if last else
              [(2, 9, 13, 12), (10, 9, 3, 3), (2, 10, 11, 10)])
    x, w, y = (f"tensor<{'x'.join(map(str, s))}xf32>" for s in shapes)
    text = f"""
func.func private @c(%x: {x}, %w: {w}, %y: {y}) -> {y} {{
  %r = linalg.conv_2d_{channels} ins(%x, %w : {x}, {w}) outs(%y : {y}) -> {y}
  return %r : {y}
}}
func.func @f(%x: {x}, %w: {w}, %y: {y}, %dy: {y}) -> ({y}, {x}, {w}) {{
  %r:3 = quant_ste.vjp @c(%x, %w, %y) cotangents(%dy) wrt [0, 1]
    : ({x}, {w}, {y}), ({y}) -> ({y}, {x}, {w})
  return %r#0, %r#1, %r#2 : {y}, {x}, {w}
}}
"""
    given = [draw(s, np.float32, i) for i, s in enumerate([*shapes, shapes[2]])]
    want = quant_ste.compile(text, "matmul=inline").call("f", *given)
    got = quant_ste.compile(text, "matmul=auto").call("f", *given)
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, atol=1e-4)
