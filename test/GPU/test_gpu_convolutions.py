"""matmul=cublas: convolutions and their gradients as products of matrices."""
import functools
import platform

import ml_dtypes
import numpy as np
import pytest

import emulation
import quant_ste_ctypes
from test_cublas import DTYPES, calls, cublas  # noqa: F401 (a fixture)

if platform.machine() != "x86_64":
    pytest.skip("the emulated driver needs x86-64", allow_module_level=True)


def tensor(shape, dtype):
    return f"tensor<{'x'.join(map(str, shape))}x{dtype}>"


def layer(op, x, w, y, dtype="f32", strides=(1, 1), dilations=(1, 1), dynamic=()):
    """@f: a convolution and its gradients by image and filter. `dynamic`: the dimensions
    of x and y that are only known in the run."""
    total = "f64" if dtype == "f64" else "f32"
    hide = lambda shape: ["?" if d in dynamic else s for d, s in enumerate(shape)]
    xt, wt, yt = tensor(hide(x), dtype), tensor(w, dtype), tensor(hide(y), total)
    attrs = f"{{strides = dense<{list(strides)}> : tensor<2xi64>, " \
            f"dilations = dense<{list(dilations)}> : tensor<2xi64>}}"
    sizes = "".join(f"    %c{d} = arith.constant {d} : index\n"
                    f"    %n{d} = tensor.dim %o, %c{d} : {yt}\n" for d in dynamic)
    return f"""
  func.func private @layer(%x: {xt}, %w: {wt}, %o: {yt}) -> {yt} {{
    %zero = arith.constant 0.0 : {total}
{sizes}    %e = tensor.empty({', '.join(f'%n{d}' for d in dynamic)}) : {yt}
    %z = linalg.fill ins(%zero : {total}) outs(%e : {yt}) -> {yt}
    %y = linalg.{op} {attrs} ins(%x, %w : {xt}, {wt}) outs(%z : {yt}) -> {yt}
    return %y : {yt}
  }}
  func.func @f(%x: {xt}, %w: {wt}, %dy: {yt}) -> ({yt}, {xt}, {wt}) {{
    %y, %dx, %dw = quant_ste.vjp @layer(%x, %w, %dy) cotangents(%dy) wrt [0, 1]
      : ({xt}, {wt}, {yt}), ({yt}) -> ({yt}, {xt}, {wt})
    return %y, %dx, %dw : {yt}, {xt}, {wt}
  }}"""


@functools.lru_cache(maxsize=None)
def compiled(text, options=""):
    return emulation.compile(text, options=f"matmul=cublas {options}")


def whole_numbers(shape, dtype, seed):
    """Small ones: sums of products are exact in any order, in every type."""
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(DTYPES[dtype])


def check(x, w, y, text, dtype="f32", options=""):
    total = "f64" if dtype == "f64" else "f32"
    arrays = [whole_numbers(x, dtype, 0), whole_numbers(w, dtype, 1), whole_numbers(y, total, 2)]
    got = compiled(text, options).call("f", *arrays)
    want = quant_ste_ctypes.compile(text).call("f", *arrays)
    for name, a, b in zip(("y", "dx", "dw"), got, want, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a.astype(np.float64), b.astype(np.float64), err_msg=name)
        assert np.any(a.astype(np.float64))
    assert emulation.Driver().live_buffers() == 0


NCHW = "conv_2d_nchw_fchw", (3, 5, 11, 9), (8, 5, 3, 3)
NHWC = "conv_2d_nhwc_hwcf", (3, 11, 9, 5), (3, 3, 5, 8)
FHWC = "conv_2d_nhwc_fhwc", (3, 11, 9, 5), (8, 3, 3, 5)


def results(op, x, w, strides, dilations):
    """The shape of y."""
    channels_last = "nhwc" in op
    image = x[1:3] if channels_last else x[-2:]
    taps = {"hwcf": w[0:2], "fhwc": w[1:3]}.get(op[-4:], w[-2:])
    size = [(i - d * (k - 1) - 1) // s + 1 for i, k, s, d in zip(image, taps, strides, dilations)]
    if channels_last:
        return (x[0], *size, w[3] if op.endswith("hwcf") else w[0])
    return (*((x[0], *w[:2]) if "ng" in op else (x[0], w[0])), *size)


@pytest.mark.parametrize("op, x, w", [NCHW, NHWC, FHWC])
@pytest.mark.parametrize("strides, dilations", [((1, 1), (1, 1)), ((2, 1), (1, 1)),
                                                ((2, 3), (2, 1)), ((1, 1), (2, 3))])
def test_layouts(op, x, w, strides, dilations, cublas):  # noqa: F811
    y = results(op, x, w, strides, dilations)
    check(x, w, y, layer(op, x, w, y, "f32", strides, dilations))
    # One call each for the result, the gradient by the filter and by the image.
    assert len(calls(cublas)) == 3


@pytest.mark.parametrize("dtype", ["f64", "f16", "bf16"])
@pytest.mark.parametrize("op, x, w", [NCHW, NHWC])
def test_types(op, x, w, dtype, cublas):  # noqa: F811
    y = results(op, x, w, (2, 2), (1, 1))
    check(x, w, y, layer(op, x, w, y, dtype, (2, 2)), dtype)
    assert len(calls(cublas)) == 3


def test_groups(cublas):  # noqa: F811
    x, w = (2, 3, 4, 7, 8), (3, 5, 4, 3, 3)
    op = "conv_2d_ngchw_gfchw"
    y = results(op, x, w, (1, 1), (1, 1))
    check(x, w, y, layer(op, x, w, y))
    # A batch of the groups; images apart where they are no part of a matrix.
    assert [c[8] for c in calls(cublas)] == [3, 3, 3, 3, 3]


def test_by_depth_stays(cublas):  # noqa: F811
    x, w = (2, 11, 9, 8), (3, 3, 8)
    y = (2, 9, 7, 8)
    check(x, w, y, layer("depthwise_conv_2d_nhwc_hwc", x, w, y))
    assert calls(cublas) == []


def test_one_tap(cublas):  # noqa: F811
    """It reads no window, but for a stride."""
    x, w = (3, 6, 9, 9), (8, 6, 1, 1)
    for strides in ((1, 1), (2, 2)):
        y = results("conv_2d_nchw_fchw", x, w, strides, (1, 1))
        check(x, w, y, layer("conv_2d_nchw_fchw", x, w, y, "f32", strides))
        assert len(calls(cublas)) == 3


def test_unknown_sizes(cublas):  # noqa: F811
    for op, x, w, dynamic in ((*NCHW, (0, 2, 3)), (*NHWC, (0, 1, 2))):
        y = results(op, x, w, (2, 1), (1, 2))
        text = layer(op, x, w, y, "f32", (2, 1), (1, 2), dynamic)
        check(x, w, y, text)
        assert len(calls(cublas)) == 3


@pytest.mark.parametrize("op, x, w", [NCHW, NHWC])
@pytest.mark.parametrize("dynamic", [(), (0,)])
def test_in_pieces(op, x, w, dynamic, cublas):  # noqa: F811
    """Two images of three at a time, and one."""
    y = results(op, x, w, (1, 1), (1, 1))
    text = layer(op, x, w, y, dynamic=dynamic)
    copied = 5 * 9 * 9 * 7 * 4  # for one image: channels, taps, places, bytes
    for most, pieces in ((copied * 5 // 2, 2), (copied - 1, 3)):
        check(x, w, y, text, options=f"gather-bytes={most}")
        # What the gradient by the filter copies of y comes on top.
        assert 3 * pieces - 1 <= len(calls(cublas)) <= 3 * pieces + 1


def test_numbers(cublas):  # noqa: F811
    """On numbers that round, within the rounding of other orders of the terms."""
    op, x, w = NCHW
    y = results(op, x, w, (1, 1), (1, 1))
    text = layer(op, x, w, y)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s).astype(np.float32) for s in (x, w, y)]
    got = compiled(text).call("f", *arrays)
    for a, b in zip(got, quant_ste_ctypes.compile(text).call("f", *arrays)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
