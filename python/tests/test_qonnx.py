"""QONNX models, against qonnx's own execution."""
import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
execution = pytest.importorskip("qonnx.core.onnx_exec", reason="qonnx is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from qonnx.core.modelwrapper import ModelWrapper  # noqa: E402
from qonnx.transformation.infer_shapes import InferShapes  # noqa: E402

import quant_ste.__main__  # noqa: E402
from quant_ste import qonnx  # noqa: E402

DOMAIN = "qonnx.custom_op.general"
RANDOM = np.random.default_rng(0)


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def model_of(nodes, x_shape, constants, version=1):
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x_shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13),
                                                   helper.make_opsetid(DOMAIN, version)])


def check(model, x, exact=True):
    got = qonnx.read(model).compile().main(x)
    wrapper = ModelWrapper(model).transform(InferShapes())
    want, = execution.execute_onnx(wrapper, {"x": x}).values()
    if exact:
        np.testing.assert_array_equal(got, want)
    else:
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


# Ties, both signs, and beyond the bounds.
X = (np.arange(-40, 40, dtype=np.float32) / 8).reshape(2, 40)


@pytest.mark.parametrize("mode", ["ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP",
                                  "HALF_DOWN"])
def test_quant(mode):
    for signed, narrow, zero in ((1, 1, 0.0), (0, 0, 3.0)):
        node = helper.make_node("Quant", ["x", "s", "z", "b"], ["y"], domain=DOMAIN,
                                signed=signed, narrow=narrow, rounding_mode=mode)
        constants = {"s": np.float32([[0.25], [0.5]]), "z": np.float32(zero),
                     "b": np.float32(4)}
        check(model_of([node], X.shape, constants), X)


def test_bipolar_and_one_bit():
    constants = {"s": np.float32(0.5), "z": np.float32(0), "b": np.float32(1)}
    check(model_of([helper.make_node("BipolarQuant", ["x", "s"], ["y"], domain=DOMAIN)],
                   X.shape, {"s": constants["s"]}), X)
    check(model_of([helper.make_node("Quant", ["x", "s", "z", "b"], ["y"], domain=DOMAIN,
                                     signed=1, narrow=0)], X.shape, constants), X)


def test_trunc():
    constants = {"s": np.float32(0.125), "z": np.float32(0), "i": np.float32(8),
                 "o": np.float32(4)}
    for mode in ("FLOOR", "HALF_UP"):
        check(model_of([helper.make_node("Trunc", ["x", "s", "z", "i", "o"], ["y"],
                                         domain=DOMAIN, rounding_mode=mode)],
                       X.shape, constants), X)
    constants["os"] = np.float32(0.5)
    check(model_of([helper.make_node("Trunc", ["x", "s", "z", "i", "os", "o"], ["y"],
                                     domain=DOMAIN, rounding_mode="FLOOR", signed=1,
                                     narrow=0)], X.shape, constants, version=2), X)


def network():
    quant = dict(domain=DOMAIN, signed=1, narrow=1, rounding_mode="ROUND")
    nodes = [
        helper.make_node("Quant", ["w", "s", "z", "b"], ["wq"], **quant),
        helper.make_node("Conv", ["x", "wq", "bias"], ["c"], pads=[1, 0, 1, 0], strides=[1, 2]),
        helper.make_node("BatchNormalization", ["c", "g", "bias", "mean", "var"], ["n"]),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("AveragePool", ["p"], ["a"], kernel_shape=[2, 1], strides=[1, 1]),
        helper.make_node("Flatten", ["a"], ["f"]),
        helper.make_node("Gemm", ["f", "v", "vb"], ["e"], transB=1, alpha=0.5),
        helper.make_node("Sigmoid", ["e"], ["h"]),
        helper.make_node("Softmax", ["h"], ["y"])]
    constants = {"w": normal(3, 2, 3, 3), "s": np.abs(normal(3, 1, 1, 1)) + np.float32(0.1),
                 "z": np.float32(0), "b": np.float32(4), "bias": normal(3), "g": normal(3),
                 "mean": normal(3), "var": np.abs(normal(3)), "v": normal(5, 9),
                 "vb": normal(5)}
    return model_of(nodes, (2, 2, 8, 8), constants)


def test_network():
    model, x = network(), normal(2, 2, 8, 8)
    check(model, x, exact=False)
    read = qonnx.read(model, parameters=True)
    assert {"w", "s", "v"} <= set(read.parameters) and "b" not in read.parameters
    y, *gradients = read.compile().vjp("main")(x, *read.parameters.values(),
                                               np.ones((2, 5), np.float32))
    assert [g.shape for g in gradients] == [x.shape, *(p.shape for p in
                                                       read.parameters.values())]


def test_command(tmp_path, capsys):
    onnx.save(network(), tmp_path / "m.onnx")
    output = tmp_path / "m.mlir"
    main = quant_ste.__main__.main
    assert main(["import", str(tmp_path / "m.onnx"), "-o", str(output), "--parameters",
                 str(tmp_path / "p.npz")]) == 0
    x = normal(2, 2, 8, 8)
    parameters = np.load(tmp_path / "p.npz")
    y = quant_ste.compile(output).main(x, *parameters.values())
    np.testing.assert_allclose(y.sum(1), 1, rtol=1e-5)
    node = helper.make_node("Einsum", ["x"], ["y"], name="mixed", equation="ij->ji")
    onnx.save(model_of([node], (2, 3), {}), tmp_path / "n.onnx")
    assert main(["import", str(tmp_path / "n.onnx"), "-o", str(output)]) == 1
    assert "ai.onnx.Einsum (mixed): no form for this op" in capsys.readouterr().err


@pytest.mark.slow
def test_brevitas():
    """What Brevitas exports, in a CNN and an MLP."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    qnn = pytest.importorskip("brevitas.nn", reason="brevitas is not installed")
    from brevitas.export import export_qonnx
    torch.manual_seed(0)
    cnn = torch.nn.Sequential(
        qnn.QuantConv2d(1, 4, 3, padding=1, weight_bit_width=4), qnn.QuantReLU(bit_width=4),
        torch.nn.MaxPool2d(2), torch.nn.Flatten(),
        qnn.QuantLinear(64, 5, bias=True, weight_bit_width=4)).eval()
    mlp = torch.nn.Sequential(qnn.QuantIdentity(bit_width=8, return_quant_tensor=True),
                              qnn.QuantLinear(64, 8, bias=True, weight_bit_width=2),
                              qnn.QuantReLU(bit_width=3)).eval()
    for network, x in ((cnn, torch.randn(2, 1, 8, 8)), (mlp, torch.randn(3, 64))):
        model = export_qonnx(network, x)
        got = qonnx.read(model).compile().main(x.numpy())
        wrapper = ModelWrapper(model)
        want, = execution.execute_onnx(wrapper, {wrapper.graph.input[0].name: x.numpy()}).values()
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
