"""Convolutions and pooling of all layouts: reverse and forward mode against
finite differences, and against torch."""
import numpy as np
import pytest
import torch

from derivatives import Derivatives


def tensor(shape, element="f64"):
    return "tensor<" + "".join(f"{s}x" for s in shape) + element + ">"


def draw(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s) for s in shapes]


def attributes(strides, dilations):
    n = len(strides)
    return (f"{{strides = dense<{list(strides)}> : tensor<{n}xi64>, "
            f"dilations = dense<{list(dilations)}> : tensor<{n}xi64>}}")


def window(name, x, w, y, strides, dilations):
    x, w, y = tensor(x), tensor(w), tensor(y)
    return f"""
func.func private @f(%x: {x}, %w: {w}, %o: {y}) -> {y} {{
  %y = linalg.{name} {attributes(strides, dilations)}
    ins(%x, %w : {x}, {w}) outs(%o : {y}) -> {y}
  return %y : {y}
}}
"""


# name, x, w, y of stride 1 and dilation 1 with two outputs in each dimension.
# Letters: n batch, c in, f out, g group, m multiplier; 1 2 3 space, a b d taps.
CONVOLUTIONS = {
    "conv_1d": ("1", "a", "1"),
    "conv_1d_nwc_wcf": ("n1c", "acf", "n1f"),
    "conv_1d_ncw_fcw": ("nc1", "fca", "nf1"),
    "conv_2d": ("12", "ab", "12"),
    "conv_2d_nhwc_hwcf": ("n12c", "abcf", "n12f"),
    "conv_2d_nhwc_fhwc": ("n12c", "fabc", "n12f"),
    "conv_2d_nchw_fchw": ("nc12", "fcab", "nf12"),
    "conv_2d_ngchw_fgchw": ("ngc12", "fgcab", "ngf12"),
    "conv_2d_ngchw_gfchw": ("ngc12", "gfcab", "ngf12"),
    "conv_2d_nhwgc_gfhwc": ("n12gc", "gfabc", "n12gf"),
    "conv_3d_ndhwc_dhwcf": ("n123c", "abdcf", "n123f"),
    "conv_3d_ncdhw_fcdhw": ("nc123", "fcabd", "nf123"),
    "depthwise_conv_1d_nwc_wc": ("n1c", "ac", "n1c"),
    "depthwise_conv_1d_ncw_cw": ("nc1", "ca", "nc1"),
    "depthwise_conv_1d_nwc_wcm": ("n1c", "acm", "n1cm"),
    "depthwise_conv_2d_nhwc_hwc": ("n12c", "abc", "n12c"),
    "depthwise_conv_2d_nchw_chw": ("nc12", "cab", "nc12"),
    "depthwise_conv_2d_nhwc_hwcm": ("n12c", "abcm", "n12cm"),
}
SIZES = {"n": 2, "c": 2, "f": 3, "g": 2, "m": 2, "a": 3, "b": 2, "d": 2}


def shapes(letters, stride, dilation, extra=0):
    """Of x, w, y; `extra` elements of x at each end that no window sees."""
    taps = {"1": "a", "2": "b", "3": "d"}
    x, w, y = letters
    def of(text, sizes):
        return tuple(sizes[c] for c in text)
    outputs = dict(SIZES, **{p: 2 for p in taps})
    inputs = dict(SIZES, **{p: stride + dilation * (SIZES[t] - 1) + 1 + extra
                            for p, t in taps.items()})
    return of(x, inputs), of(w, SIZES), of(y, outputs)


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("stride,dilation,extra", [(1, 1, 0), (2, 1, 1),
                                                   (3, 2, 2)])
def test_convolution(name, stride, dilation, extra):
    letters = CONVOLUTIONS[name]
    dims = sum(c in "123" for c in letters[0])
    if name in ("conv_1d", "conv_2d"):
        if stride != 1 or dilation != 1:
            pytest.skip("the op has neither strides nor dilations")
        text = window(name, *shapes(letters, 1, 1), [], [])
        text = text.replace(attributes([], []), "")
        Derivatives(text).check(draw(*shapes(letters, 1, 1)))
        return
    sizes = shapes(letters, stride, dilation, extra)
    text = window(name, *sizes, [stride] * dims, [dilation] * dims)
    Derivatives(text).check(draw(*sizes))


def test_dynamic_sizes():
    dyn = ("?",) * 4
    text = window("conv_2d_nhwc_hwcf", dyn, dyn, dyn, [2, 2], [1, 2])
    sizes = (2, 6, 7, 2), (3, 2, 2, 3), (2, 2, 3, 3)
    Derivatives(text).check(draw(*sizes))


def test_each_dimension_has_a_stride_of_its_own():
    sizes = (2, 7, 5, 2), (3, 2, 2, 3), (2, 2, 4, 3)
    text = window("conv_2d_nhwc_hwcf", *sizes, [3, 1], [1, 1])
    Derivatives(text).check(draw(*sizes))


def torch_convolution(x, w, stride, dilation, padding, groups):
    tensors = [torch.tensor(v, requires_grad=True) for v in (x, w)]
    y = torch.nn.functional.conv2d(*tensors, stride=stride, dilation=dilation,
                                   padding=padding, groups=groups)
    return y, tensors


@pytest.mark.parametrize("stride,dilation,padding", [
    (1, 1, 1), (2, 1, 1), (2, 2, 3), (1, 1, 0)])
@pytest.mark.parametrize("layout", ["nhwc_hwcf", "nchw_fchw"])
def test_padding_against_torch(layout, stride, dilation, padding):
    x, w = draw((2, 3, 11, 9), (8, 3, 3, 3))
    y, (tx, tw) = torch_convolution(x, w, stride, dilation, padding, 1)
    t, = draw(y.shape, seed=1)
    y.backward(torch.tensor(t))
    last = layout == "nhwc_hwcf"
    def there(v):
        return np.ascontiguousarray(v.transpose(0, 2, 3, 1)) if last else v
    ws = np.ascontiguousarray(w.transpose(2, 3, 1, 0)) if last else w
    xs, ts = there(x), there(t)
    spatial = (1, 2) if last else (2, 3)
    pad = [padding if d in spatial else 0 for d in range(4)]
    padded = tuple(s + 2 * p for s, p in zip(xs.shape, pad))
    text = f"""
func.func private @f(%x: {tensor(xs.shape)}, %w: {tensor(ws.shape)}) -> {tensor(ts.shape)} {{
  %zero = arith.constant 0.0 : f64
  %p = tensor.pad %x low{pad} high{pad} {{
  ^bb0(%a: index, %b: index, %c: index, %d: index):
    tensor.yield %zero : f64
  }} : {tensor(xs.shape)} to {tensor(padded)}
  %e = tensor.empty() : {tensor(ts.shape)}
  %o = linalg.fill ins(%zero : f64) outs(%e : {tensor(ts.shape)}) -> {tensor(ts.shape)}
  %y = linalg.conv_2d_{layout} {attributes([stride] * 2, [dilation] * 2)}
    ins(%p, %w : {tensor(padded)}, {tensor(ws.shape)}) outs(%o : {tensor(ts.shape)}) -> {tensor(ts.shape)}
  return %y : {tensor(ts.shape)}
}}
"""
    derivatives = Derivatives(text)
    (got,), (dx, dw) = derivatives.reverse([xs, ws], [ts])
    gw = tw.grad.numpy()
    for mine, theirs in ((got, there(y.detach().numpy())),
                         (dx, there(tx.grad.numpy())),
                         (dw, gw.transpose(2, 3, 1, 0) if last else gw)):
        np.testing.assert_allclose(mine, theirs, rtol=0,
                                   atol=1e-13 * np.abs(theirs).max())


GROUPED = {
    # Layout of x and y, of w; letters as above, with the groups' one split off.
    "conv_2d_ngchw_fgchw": ("ngchw", "fgcab"),
    "conv_2d_ngchw_gfchw": ("ngchw", "gfcab"),
    "conv_2d_nhwgc_gfhwc": ("nhwgc", "gfabc"),
    "depthwise_conv_2d_nchw_chw": ("nghw", "gab"),
    "depthwise_conv_2d_nhwc_hwc": ("nhwg", "abg"),
}


@pytest.mark.parametrize("stride,dilation,padding", [(1, 1, 1), (2, 2, 2)])
@pytest.mark.parametrize("name", GROUPED)
def test_groups_against_torch(name, stride, dilation, padding):
    """torch's weights are (groups * f, c, a, b) and one f a group if depthwise."""
    data, weights = GROUPED[name]
    groups, c, f = 3, 2, 2
    if "depthwise" in name:
        c = f = 1
    x, w = draw((2, groups * c, 9, 8), (groups * f, c, 3, 2))
    y, (tx, tw) = torch_convolution(x, w, stride, dilation, padding, groups)
    t, = draw(y.shape, seed=1)
    y.backward(torch.tensor(t))

    def there(v, from_letters, to_letters):
        """Groups split off, dimensions of one element dropped, in the op's order."""
        sizes = {"n": 2, "g": groups, "c": c, "f": f, "h": v.shape[-2],
                 "w": v.shape[-1], "a": v.shape[-2], "b": v.shape[-1]}
        v = v.reshape([sizes[letter] for letter in from_letters])
        dropped = tuple(i for i, letter in enumerate(from_letters)
                        if letter not in to_letters)
        letters = [letter for letter in from_letters if letter in to_letters]
        v = v.squeeze(dropped)
        return np.ascontiguousarray(
            v.transpose([letters.index(letter) for letter in to_letters]))

    results = data.replace("c", "f")
    xs, ws = there(x, "ngchw", data), there(w, "gfcab", weights)
    ts = there(t, "ngfhw", results)
    pad = [padding if letter in "hw" else 0 for letter in data]
    padded = tuple(s + 2 * p for s, p in zip(xs.shape, pad))
    indices = ", ".join(f"%i{d}: index" for d in range(len(pad)))
    text = f"""
func.func private @f(%x: {tensor(xs.shape)}, %w: {tensor(ws.shape)}) -> {tensor(ts.shape)} {{
  %zero = arith.constant 0.0 : f64
  %p = tensor.pad %x low{pad} high{pad} {{
  ^bb0({indices}):
    tensor.yield %zero : f64
  }} : {tensor(xs.shape)} to {tensor(padded)}
  %e = tensor.empty() : {tensor(ts.shape)}
  %o = linalg.fill ins(%zero : f64) outs(%e : {tensor(ts.shape)}) -> {tensor(ts.shape)}
  %y = linalg.{name} {attributes([stride] * 2, [dilation] * 2)}
    ins(%p, %w : {tensor(padded)}, {tensor(ws.shape)}) outs(%o : {tensor(ts.shape)}) -> {tensor(ts.shape)}
  return %y : {tensor(ts.shape)}
}}
"""
    (got,), (dx, dw) = Derivatives(text, modes=("reverse",)).reverse([xs, ws], [ts])
    for mine, theirs in (
            (got, there(y.detach().numpy(), "ngfhw", results)),
            (dx, there(tx.grad.numpy(), "ngchw", data)),
            (dw, there(tw.grad.numpy(), "gfcab", weights))):
        np.testing.assert_allclose(mine, theirs, rtol=0,
                                   atol=1e-13 * np.abs(theirs).max())


POOLINGS = {"pooling_ndhwc": "n123c", "pooling_nhwc": "n12c", "pooling_nchw": "nc12",
            "pooling_nwc": "n1c", "pooling_ncw": "nc1"}


@pytest.mark.parametrize("layout", POOLINGS)
@pytest.mark.parametrize("kind", ["sum", "max", "min"])
@pytest.mark.parametrize("stride,dilation", [(1, 1), (2, 1), (2, 2)])
def test_pooling(layout, kind, stride, dilation):
    if kind == "min" and layout in ("pooling_nchw", "pooling_ncw"):
        pytest.skip("no such op")
    letters = POOLINGS[layout]
    dims = sum(c in "123" for c in letters)
    x, w, y = shapes((letters, "abd"[:dims], letters), stride, dilation, 1)
    text = window(f"{layout}_{kind}", x, w, y, [stride] * dims, [dilation] * dims)
    xs, os = draw(x, y)
    Derivatives(text, wrt=[0, 2]).check([xs, np.zeros(w), os])


@pytest.mark.parametrize("stride,padding", [(1, 0), (2, 1)])
def test_average_against_torch(stride, padding):
    """A sum over padded windows, divided by their size (count_include_pad)."""
    x, = draw((2, 4, 9, 7))
    tx = torch.tensor(x, requires_grad=True)
    y = torch.nn.functional.avg_pool2d(tx, 3, stride, padding)
    t, = draw(y.shape, seed=1)
    y.backward(torch.tensor(t))
    pad = [0, 0, padding, padding]
    padded = tuple(s + 2 * p for s, p in zip(x.shape, pad))
    text = f"""
func.func private @f(%x: {tensor(x.shape)}, %w: {tensor((3, 3))}) -> {tensor(t.shape)} {{
  %zero = arith.constant 0.0 : f64
  %nine = arith.constant dense<9.0> : {tensor(t.shape)}
  %p = tensor.pad %x low{pad} high{pad} {{
  ^bb0(%a: index, %b: index, %c: index, %d: index):
    tensor.yield %zero : f64
  }} : {tensor(x.shape)} to {tensor(padded)}
  %o = arith.constant dense<0.0> : {tensor(t.shape)}
  %s = linalg.pooling_nchw_sum {attributes([stride] * 2, [1, 1])}
    ins(%p, %w : {tensor(padded)}, {tensor((3, 3))}) outs(%o : {tensor(t.shape)}) -> {tensor(t.shape)}
  %y = arith.divf %s, %nine : {tensor(t.shape)}
  return %y : {tensor(t.shape)}
}}
"""
    (got,), (dx,) = Derivatives(text, wrt=[0]).reverse([x, np.zeros((3, 3))], [t])
    np.testing.assert_allclose(got, y.detach().numpy(), rtol=0, atol=1e-14)
    np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_maximum_goes_to_the_first_of_a_window(layout, stride):
    """Ties, as in torch: 3x3 windows of small integers."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (2, 4, 9, 9)).astype(np.float64)
    tx = torch.tensor(x, requires_grad=True)
    y = torch.nn.functional.max_pool2d(tx, 3, stride)
    t, = draw(y.shape, seed=1)
    y.backward(torch.tensor(t))
    def there(v):
        v = np.asarray(v)
        return np.ascontiguousarray(v.transpose(0, 2, 3, 1)) if layout == "nhwc" else v
    xs, ts = there(x), there(t)
    text = window(f"pooling_{layout}_max", xs.shape, (3, 3), ts.shape,
                  [stride] * 2, [1, 1])
    derivatives = Derivatives(text, wrt=[0])
    start = np.full(ts.shape, -np.inf)
    (got,), (dx,) = derivatives.reverse([xs, np.zeros((3, 3)), start], [ts])
    np.testing.assert_array_equal(got, there(y.detach()))
    np.testing.assert_allclose(dx, there(tx.grad), rtol=1e-14, atol=1e-14)
    v, = draw(xs.shape, seed=2)
    _, (ty,) = derivatives.forward([xs, np.zeros((3, 3)), start], [v])
    np.testing.assert_allclose(np.sum(ty * ts), np.sum(v * dx), rtol=1e-12)


def test_generic_with_windows_in_both_factors():
    """Correlation of two signals, each read in windows; and a scatter, whose
    result is."""
    a = "affine_map"
    text = f"""
func.func private @f(%x: {tensor((4,))}, %w: {tensor((3,))}, %o: {tensor((9,))}) -> {tensor((9,))} {{
  %y = linalg.generic {{indexing_maps = [{a}<(i, k) -> (i)>,
      {a}<(i, k) -> (k)>, {a}<(i, k) -> (2 * i + k)>],
      iterator_types = ["reduction", "reduction"]}}
    ins(%x, %w : {tensor((4,))}, {tensor((3,))}) outs(%o : {tensor((9,))}) {{
  ^bb0(%p: f64, %q: f64, %r: f64):
    %m = arith.mulf %p, %q : f64
    %s = arith.addf %r, %m : f64
    linalg.yield %s : f64
  }} -> {tensor((9,))}
  return %y : {tensor((9,))}
}}
"""
    Derivatives(text).check(draw((4,), (3,), (9,)))
    text = f"""
func.func private @f(%x: {tensor((8,))}, %w: {tensor((9,))}, %o: {tensor((3, 4))}, %z: tensor<2xf64>) -> {tensor((3, 4))} {{
  %y = linalg.generic {{indexing_maps = [{a}<(i, j, k) -> (3 * i + k)>,
      {a}<(i, j, k) -> (2 * j + k)>, {a}<(i, j, k) -> (k)>, {a}<(i, j, k) -> (i, j)>],
      iterator_types = ["parallel", "parallel", "reduction"]}}
    ins(%x, %w, %z : {tensor((8,))}, {tensor((9,))}, tensor<2xf64>) outs(%o : {tensor((3, 4))}) {{
  ^bb0(%p: f64, %q: f64, %r: f64, %s: f64):
    %m = arith.mulf %p, %q : f64
    %n = arith.mulf %m, %r : f64
    %t = arith.addf %s, %n : f64
    linalg.yield %t : f64
  }} -> {tensor((3, 4))}
  return %y : {tensor((3, 4))}
}}
"""
    Derivatives(text).check(draw((8,), (9,), (3, 4), (2,)))
