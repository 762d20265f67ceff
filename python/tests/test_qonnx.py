"""QONNX models: what is imported computes what qonnx's own execution does."""
import pathlib
import subprocess
import sys

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
qonnx = pytest.importorskip("qonnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from qonnx.core.modelwrapper import ModelWrapper  # noqa: E402
from qonnx.core.onnx_exec import execute_onnx  # noqa: E402

import quant_ste  # noqa: E402
from quant_ste import qonnx as imported  # noqa: E402

QONNX = "qonnx.custom_op.general"
MODES = ("ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN")
RNG = np.random.default_rng(5)


def make(nodes, inputs, outputs, constants, version=2, opset=17):
    """A model of float inputs {name: shape}; the outputs' shapes are inferred."""
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
                     for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()])
    return helper.make_model(graph, ir_version=9, opset_imports=[
        helper.make_opsetid("", opset), helper.make_opsetid(QONNX, version)])


def theirs(model, feeds):
    """Node by node, as qonnx executes them."""
    wrapper = ModelWrapper(model)
    names = [o.name for o in model.graph.output]
    context = execute_onnx(wrapper, feeds, return_full_exec_context=True)
    return [context[n] for n in names]


def ours(model, feeds, **options):
    got = imported.load(model, **options).compile().main(*feeds.values())
    return list(got) if isinstance(got, tuple) else [got]


class Nodes:
    """Many nodes that read x, each with constants of its own."""

    def __init__(self):
        self.nodes, self.constants = [], {}

    def add(self, op, inputs, domain=QONNX, **attributes):
        output = f"y{len(self.nodes)}"
        names = ["x"]
        for i, value in enumerate(inputs):
            names.append(f"{output}_{i}")
            self.constants[names[-1]] = np.asarray(value, np.float32)
        self.nodes.append(helper.make_node(op, names, [output], domain=domain, name=output,
                                           **attributes))

    def check(self, x, version=2):
        model = make(self.nodes, {"x": x.shape}, [n.output[0] for n in self.nodes],
                     self.constants, version)
        for node, a, b in zip(self.nodes, theirs(model, {"x": x}), ours(model, {"x": x})):
            np.testing.assert_array_equal(b, a, str(node))


#: Ties, the neighbours of one half, zeros, far outside, and ordinary numbers.
X = np.concatenate([np.arange(-40, 41) / 4, [0.49999997, -0.49999997, 1e9, -1e9, 0.0, -0.0],
                    3 * RNG.standard_normal(57)]).astype(np.float32).reshape(6, 4, 6)


def test_quant():
    nodes = Nodes()
    for mode in MODES:
        for signed, narrow, bits in ((1, 0, 4), (1, 1, 3), (0, 0, 2), (0, 1, 8), (1, 0, 1)):
            nodes.add("Quant", [0.5, 0, bits], signed=signed, narrow=narrow, rounding_mode=mode)
    channels = RNG.uniform(0.1, 2, (1, 4, 1))
    for mode in ("ROUND", "HALF_UP"):
        nodes.add("Quant", [channels, 0, 4], signed=1, narrow=1, rounding_mode=mode)
        nodes.add("IntQuant", [RNG.uniform(0.1, 1, (6, 1, 6)), 3, 4], signed=0, narrow=0,
                  rounding_mode=mode.lower())
        nodes.add("Quant", [0.3, RNG.integers(-3, 3, (4, 1)), [[[4.0]]]], signed=1, narrow=0,
                  rounding_mode=mode)
    # With bounds that are not whole, clamping before rounding is not after it.
    nodes.add("Quant", [1, 0, 3.5], signed=1, narrow=0, rounding_mode="ROUND")
    nodes.check(X)


def test_bipolar_and_trunc():
    nodes = Nodes()
    nodes.add("BipolarQuant", [0.25])
    nodes.add("BipolarQuant", [RNG.uniform(0.1, 2, (4, 1))])
    for mode in MODES:
        nodes.add("Trunc", [0.25, 0, 8, 1.0, 4], rounding_mode=mode, signed=1, narrow=0)
        nodes.add("Trunc", [0.25, 2, 8, 0.5, 3], rounding_mode=mode, signed=0, narrow=1)
    nodes.add("Trunc", [0.3, 0, 8, 1.0, 4], rounding_mode="ROUND", signed=1, narrow=1)
    nodes.check(X)
    nodes = Nodes()
    for mode in MODES:
        nodes.add("Trunc", [0.25, 3, 8, 6], rounding_mode=mode)
    nodes.check(X, version=1)


def test_float_quant():
    nodes = Nodes()
    flags = {"has_inf": 0, "has_nan": 1, "has_subnormal": 1}
    nodes.add("FloatQuant", [1, 4, 3, 7, 448], saturation=1, **flags)
    nodes.add("FloatQuant", [0.5, 4, 3, 7, 448], saturation=0, **flags)
    nodes.add("FloatQuant", [RNG.uniform(0.1, 2, (4, 1)), 2, 1, 1, 6], saturation=1,
              has_inf=0, has_nan=0, has_subnormal=1)
    nodes.add("FloatQuant", [1, 5, 2, 15, 57344], saturation=0, has_inf=1, has_nan=1,
              has_subnormal=1)
    for mode in MODES:
        nodes.add("FloatQuant", [0.5, 4, 3, 7, 448], saturation=1, rounding_mode=mode, **flags)
        nodes.add("FloatQuant", [RNG.uniform(0.1, 2, (4, 1)), 2, 1, 1, 6], saturation=0,
                  rounding_mode=mode.lower(), **flags)
        nodes.add("FloatQuant", [3, 3, 2, 3, 28], saturation=0, rounding_mode=mode, has_inf=1,
                  has_nan=1, has_subnormal=1)
    nodes.check(X)
    nodes.nodes[2].domain = "onnx.brevitas"
    model = make(nodes.nodes, {"x": X.shape}, ["y2"], nodes.constants)
    assert "format(e2m1) signed saturating" in quant_ste.compile(imported.load(model).text).text


@pytest.mark.parametrize("mode", ["UP", "FLOOR"])
def test_float_quant_gradients(mode):
    """Of a rule as of the op: straight through where nothing is clipped."""
    nodes = Nodes()
    nodes.add("FloatQuant", [0.5, 2, 1, 1, 6], saturation=1, rounding_mode=mode, has_inf=0,
              has_nan=0, has_subnormal=1)
    x = np.float32([-9, -2.9, -0.3, 0, 0.1, 0.7, 2.9, 3.2, 9])
    model = make(nodes.nodes, {"x": x.shape}, ["y0"], nodes.constants)
    model = imported.load(model, parameters="arguments")
    y, dx, ds = model.compile().vjp("main")(x, np.float32(0.5), np.ones_like(x))
    rounded = np.float32({"UP": [-8, -6, -1, 0, 0.5, 1.5, 6, 8, 12],
                          "FLOOR": [-12, -6, -1, 0, 0, 1, 4, 6, 12]}[mode])
    c, is_clipped = np.clip(rounded, -6, 6), np.abs(rounded) > 6
    np.testing.assert_array_equal(y, c / 2)
    np.testing.assert_array_equal(dx, ~is_clipped)
    np.testing.assert_allclose(ds, np.sum(np.where(is_clipped, c, c - x / np.float32(0.5))),
                               rtol=1e-6)


def test_gradients():
    """Rules and ops have the same gradient, and Trunc that of the quotient of scales."""
    nodes = Nodes()
    nodes.add("Quant", [0.5, 0, 3], signed=1, narrow=0, rounding_mode="ROUND")
    nodes.add("Quant", [0.5, 0, 3.000001], signed=1, narrow=0, rounding_mode="ROUND")
    nodes.add("Trunc", [0.25, 0, 8, 1.0, 4], rounding_mode="UP", signed=1, narrow=0)
    x = X.ravel()[:81]
    model = make(nodes.nodes, {"x": x.shape}, ["y0", "y1", "y2"], nodes.constants)
    model = imported.load(model, parameters="arguments")
    assert list(model.parameters) == ["y0_0", "y1_0", "y2_0", "y2_3"]
    assert model.text.count("quant_ste.rule @") == 2 and "quant_ste.int_quant" in model.text
    given = list(model.parameters.values())
    dy = np.ones_like(x)
    zero = np.zeros_like(x)
    f = model.compile().vjp("main")
    *_, dx0, ds0, none, _, _ = f(x, *given, dy, zero, zero)
    *_, dx1, _, ds1, _, _ = f(x, *given, zero, dy, zero)
    assert none == 0 and ds0 != 0
    np.testing.assert_array_equal(dx0, dx1)
    np.testing.assert_allclose(ds0, ds1, rtol=1e-4)
    np.testing.assert_array_equal(dx0, (np.round(x / 0.5) >= -4) & (np.round(x / 0.5) <= 3))
    *_, dx2, _, _, _, dscale = f(x, *given, zero, zero, dy)
    assert set(dx2) <= {0.0, 1.0} and dscale != 0


def weights(*shape):
    """Multiples of 1/8, so that sums are exact in any order."""
    return (RNG.integers(-8, 8, shape) / 8).astype(np.float32)


def test_standard_ops():
    """The ops of MLPs and CNNs, on numbers whose sums are exact."""
    c = {"w": weights(4, 3, 3, 2), "b": weights(4), "g": weights(6, 2, 3, 3), "m": weights(4, 5),
         "v": weights(5), "one": np.float32(0.5), "low": np.float32(-1), "high": np.float32(1),
         "shape": np.array([0, -1, 4]), "axes": np.array([2, 3]), "a1": np.array([1]),
         "s0": np.array([0, 1]), "s1": np.array([2, 100]), "s2": np.array([1, 2]),
         "pads": np.array([0, 0, 1, 0, 0, 0, 0, 2]), "two": np.float32(2), "bn": weights(4) + 2,
         "sizes": np.array([1, 3]), "wide": weights(2, 1, 5), "k": weights(2, 2, 3)}
    n = helper.make_node
    nodes = [
        n("Conv", ["x", "w", "b"], ["conv"], strides=[2, 1], pads=[1, 0, 2, 1], dilations=[1, 2]),
        n("Conv", ["conv", "g"], ["grouped"], group=2, auto_pad="SAME_UPPER"),
        n("BatchNormalization", ["conv", "bn", "b", "b", "bn"], ["norm"], epsilon=0.5),
        n("Relu", ["norm"], ["relu"]), n("LeakyRelu", ["norm"], ["leaky"], alpha=0.25),
        n("MaxPool", ["relu"], ["max"], kernel_shape=[2, 2], strides=[2, 1], pads=[0, 1, 0, 0]),
        n("AveragePool", ["relu"], ["mean"], kernel_shape=[2, 2], pads=[1, 1, 0, 0]),
        n("AveragePool", ["relu"], ["mean0"], kernel_shape=[2, 2], pads=[1, 1, 0, 0],
          count_include_pad=1),
        n("GlobalAveragePool", ["relu"], ["global"]), n("Flatten", ["global"], ["flat"]),
        n("MatMul", ["flat", "m"], ["product"]), n("Gemm", ["m", "flat", "one"], ["gemm"],
                                                   transA=1, transB=1, alpha=0.5, beta=2.0),
        n("Add", ["product", "v"], ["sum"]), n("Mul", ["sum", "wide"], ["broadcast"]),
        n("Clip", ["sum", "low", "high"], ["clip"]), n("Softmax", ["sum"], ["soft"], axis=0),
        n("LogSoftmax", ["sum"], ["logsoft"]), n("Sigmoid", ["sum"], ["sigmoid"]),
        n("Reshape", ["conv", "shape"], ["reshaped"]), n("Transpose", ["conv"], ["transposed"],
                                                         perm=[0, 2, 3, 1]),
        n("Shape", ["sum"], ["extent"]), n("Concat", ["extent", "a1"], ["longer"], axis=0),
        n("Reshape", ["sum", "longer"], ["column"]), n("Squeeze", ["column", "s1x"], ["squeezed"]),
        n("Slice", ["sum", "s0", "s1", "s0", "s2"], ["slice"]), n("Pad", ["x", "pads", "two"], ["pad"]),
        n("Split", ["sum", "sizes2"], ["left", "right"], axis=1),
        n("Concat", ["right", "left"], ["joined"], axis=1),
        n("ReduceMean", ["x"], ["rmean"], axes=[1, -1], keepdims=0),
        n("ReduceMax", ["x"], ["rmax"], axes=[2]), n("Unsqueeze", ["sum", "a1"], ["unsqueezed"]),
        n("Max", ["sum", "one"], ["largest"]), n("Sub", ["one", "sum"], ["minus"]),
        n("Div", ["sum", "two"], ["half"]), n("Pow", ["sum", "two"], ["square"]),
        n("Identity", ["sum"], ["same"]), n("PRelu", ["sum", "v"], ["prelu"]),
        n("Expand", ["v", "extent"], ["expanded"]), n("Erf", ["sum"], ["erf"]),
        n("Conv", ["expanded3", "k"], ["conv1"]), n("Unsqueeze", ["expandedc", "a0"], ["expanded3"]),
    ]
    c.update(s1x=np.array([2]), sizes2=np.array([2, 3]), a0=np.array([0]))
    nodes.insert(-2, n("Add", ["expanded", "sum"], ["expandedc"]))
    nodes[-2], nodes[-1] = nodes[-1], nodes[-2]
    x = weights(2, 3, 7, 8)
    skipped = {"extent", "longer"}
    outputs = [o for node in nodes for o in node.output if o not in skipped]
    model = make(nodes, {"x": x.shape}, outputs, c)
    from onnx.reference import ReferenceEvaluator
    wanted = dict(zip(outputs, ReferenceEvaluator(model).run(None, {"x": x})))
    got = dict(zip(outputs, ours(model, {"x": x})))
    for name in outputs:
        assert got[name].shape == wanted[name].shape, name
        np.testing.assert_allclose(got[name], wanted[name], rtol=2e-6, atol=2e-6, err_msg=name)


def test_errors(tmp_path):
    x = {"x": [2, 3]}
    n = helper.make_node
    cases = [
        (make([n("NonZero", ["x"], ["y"], name="odd")], x, ["y"], {}),
         r"node 'odd' \(NonZero\) has no form"),
        (make([n("MultiThreshold", ["x", "t"], ["y"], name="mt", domain=QONNX)], x, ["y"],
              {"t": np.zeros((1, 1), np.float32)}),
         r"node 'mt' \(qonnx.custom_op.general.MultiThreshold\)"),
        (make([n("Quant", ["x", "s", "s", "s"], ["y"], rounding_mode="ODD", domain=QONNX)], x,
              ["y"], {"s": np.float32(1)}), "rounding mode 'ODD'; there are ROUND"),
        (make([n("Quant", ["x", "s"], ["y"], domain=QONNX)], x, ["y"], {"s": np.float32(1)}),
         "is malformed"),
        (make([n("Quant", ["x", "s", "z", "z"], ["y"], domain=QONNX)], x, ["y"],
              {"s": np.ones(2, np.float32), "z": np.float32(2)}), r"\[2\] does not broadcast"),
        (make([n("Relu", ["q"], ["y"])], x, ["y"], {}), "'q' is not defined"),
        (make([n("Relu", ["x"], ["y"])], {"x": ["n", 3]}, ["y"], {}),
         r"input 'x' has open sizes \['n', 3\]"),
        (make([n("FloatQuant", ["x", *"seebm"], ["y"], domain=QONNX, has_inf=0, has_nan=0,
                 has_subnormal=1, saturation=1, rounding_mode="FLOOR")], x, ["y"],
              {k: np.float32(127 if k == "b" else 8) for k in "sebm"}), "a format beyond the numbers of f32"),
    ]
    for model, message in cases:
        with pytest.raises(quant_ste.Error, match=message):
            imported.load(model)
    open_ = cases[6][0]
    np.testing.assert_array_equal(
        ours(open_, {"x": np.float32([[-1, 0, 1]])}, shapes={"x": [1, 3]})[0], [[0, 0, 1]])
    with pytest.raises(ValueError, match="another shape"):
        imported.load(open_, shapes={"x": [1, 4]})
    with pytest.raises(ValueError, match="no input is named z"):
        imported.load(open_, shapes={"z": [1]})


def test_command(tmp_path):
    nodes = Nodes()
    nodes.add("Quant", [0.5, 0, 3], signed=1, narrow=0, rounding_mode="ROUND")
    onnx.save(make(nodes.nodes, {"x": ["n"]}, ["y0"], nodes.constants), tmp_path / "m.onnx")
    run = [sys.executable, "-m", "quant_ste", "import", tmp_path / "m.onnx"]
    environment = {"PYTHONPATH": str(pathlib.Path(quant_ste.__file__).parents[1])}
    done = subprocess.run(run, capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and "open sizes ['n']" in done.stderr
    run += ["--shape", "x=3", "-o", tmp_path / "m.mlir", "--parameters", tmp_path / "p.npz"]
    subprocess.run(run, check=True, env=environment)
    scale = np.load(tmp_path / "p.npz")["y0_0"]
    got = quant_ste.compile(tmp_path / "m.mlir").main(np.float32([0.7, 9, -9]), scale)
    np.testing.assert_array_equal(got, [0.5, 1.5, -2])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_brevitas(tmp_path):
    """Exported by Brevitas, with scales that are powers of two: equal to qonnx."""
    torch = pytest.importorskip("torch")
    nn = pytest.importorskip("brevitas.nn")
    pytest.importorskip("onnxoptimizer")
    from brevitas.export import export_qonnx
    from brevitas.quant import (Int8ActPerTensorFixedPoint, Int8WeightPerTensorFixedPoint,
                                Uint8ActPerTensorFixedPoint)
    torch.manual_seed(0)
    weight = {"weight_quant": Int8WeightPerTensorFixedPoint, "weight_bit_width": 4}
    act = {"act_quant": Uint8ActPerTensorFixedPoint, "bit_width": 4}
    model = torch.nn.Sequential(
        nn.QuantIdentity(act_quant=Int8ActPerTensorFixedPoint),
        nn.QuantConv2d(1, 4, 3, padding=1, bias=False, **weight), nn.QuantReLU(**act),
        torch.nn.MaxPool2d(2), nn.QuantConv2d(4, 4, 3, groups=2, bias=False, **weight),
        nn.QuantReLU(**act), torch.nn.Flatten(), nn.QuantLinear(16, 10, bias=False, **weight))
    x = torch.randn(2, 1, 8, 8)
    model(x)
    model.eval()
    export_qonnx(model, args=x, export_path=str(tmp_path / "model.onnx"))
    exported = onnx.load(tmp_path / "model.onnx")
    feeds = {exported.graph.input[0].name: x.numpy()}
    wanted, = theirs(exported, feeds)
    got, = ours(exported, feeds)
    np.testing.assert_array_equal(got, wanted)
    np.testing.assert_allclose(got, model(x).detach().numpy(), rtol=1e-6)
    trained = imported.load(exported, parameters="arguments")
    parameters = list(trained.parameters.values())
    *_, dx, = trained.compile().vjp("main", wrt=[0])(x.numpy(), *parameters, np.ones_like(got))
    x.requires_grad_()
    model(x).sum().backward()
    np.testing.assert_allclose(dx, x.grad.numpy(), rtol=1e-4, atol=1e-6)
