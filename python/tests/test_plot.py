"""Pictures: the curves are what the ops compute, the SVG is well formed."""
import json
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

import quant_ste
from quant_ste import plot


def elements(picture, tag):
    return ElementTree.fromstring(picture.svg).findall(f"{{*}}{tag}")


def test_quantizer_as_text():
    picture = plot.quantizer("pact %x, %alpha bits(2) grad(pact)", alpha=3.0, low=-1, high=4,
                             points=501, wrt=("x", "alpha"))
    x, y = picture["y"]
    np.testing.assert_array_equal(y, np.round(np.clip(x, 0, 3)))
    np.testing.assert_array_equal(picture["dx"][1], (x >= 0) & (x <= 3))
    assert set(picture["dalpha"][1][x > 3.01]) == {1.0}
    assert len(elements(picture, "polyline")) == 3
    assert "pact %x, %alpha" in picture.svg
    with pytest.raises(KeyError, match="there are y, dx, dalpha"):
        picture["dbeta"]


@pytest.mark.parametrize("element", ["f16", "bf16", "f64"])
def test_types(element):
    x, y = plot.quantizer("quant_ste.floor %x grad(ste)", points=17, element=element)["y"]
    np.testing.assert_array_equal(y, np.floor(x))


def test_quantizer_of_a_module():
    module = quant_ste.compile("""
        func.func @f(%x: tensor<?xf32>, %s: tensor<f32> {quant_ste.name = "s"}) -> tensor<?xf32> {
          %y = quant_ste.binary_quant %x, %s grad(ste) : tensor<?xf32>, tensor<f32>
          return %y : tensor<?xf32>
        }
        func.func @g(%x: tensor<?x2xf32>) -> tensor<?x2xf32> { return %x : tensor<?x2xf32> }""")
    picture = plot.quantizer(module.f, s=2.0, points=5, title="two < three")
    np.testing.assert_array_equal(picture["y"][1], [-2, -2, 2, 2, 2])
    np.testing.assert_array_equal(picture["dx"][1], [2] * 5)
    assert elements(picture, "text")[0].text == "two < three"
    with pytest.raises(ValueError, match="not one element for each x"):
        plot.quantizer(module.f, s=2.0, wrt=("s",))
    with pytest.raises(ValueError, match="one dimension"):
        plot.quantizer(module.g)


def test_errors():
    with pytest.raises(ValueError, match="expected values for alpha, got none"):
        plot.quantizer("pact %x, %alpha bits(2) grad(pact)")
    with pytest.raises(ValueError, match="without types"):
        plot.quantizer("round %x grad(ste) : tensor<?xf32>")
    with pytest.raises(quant_ste.CompileError, match="rounded"):
        plot.quantizer("rounded %x grad(ste)")
    with pytest.raises(ValueError, match="wrt"):
        plot.quantizer("round %x grad(ste)", wrt=("scale",))
    with pytest.raises(ValueError, match="finite"):
        plot.histogram([np.nan])


def test_histogram():
    picture = plot.histogram(np.array([-3.0, -1, 0, 0, 1, 2, np.inf, np.nan]), clip=(-2.0, 2.0),
                             bins=5)
    edges, counts = picture["elements"]
    np.testing.assert_array_equal(counts, [1, 0, 1, 2, 2])
    assert edges.size == 6 and "2 of 8 are not finite" in picture.svg
    assert "clipped: 16.7 %" in picture.svg
    assert len(elements(picture, "rect")) == 1 + 4


def test_roofline():
    picture = plot.roofline({"round": (0.25, 4.0), "matmul": (30.0, 60.0)}, bandwidth=20.0,
                            peak=100.0)
    x, y = picture["roof"]
    np.testing.assert_allclose(y, np.minimum(20 * x, 100))
    assert len(elements(picture, "circle")) == 2


def test_roofline_of_a_benchmark(tmp_path):
    """The rows of the largest size alone, under the bandwidth of their copies."""
    def row(kernel, impl, elements, seconds, **more):
        return {"kernel": kernel, "direction": "forward", "elements": elements, "dtype": "f32",
                "threads": 1, "impl": impl, "seconds": seconds, "bytes": 8 * elements, **more}

    path = tmp_path / "rows.json"
    path.write_text(json.dumps([
        row("pact", "quant_ste", 1000, 1e-9), row("pact", "copy", 1000, 1e-9),
        row("pact", "quant_ste", 10**6, 1e-3), row("pact", "copy", 10**6, 5e-4),
        row("pact", "torch", 10**6, 1e-2),
        row("rows", "quant_ste", 960000, 1.92e-3), row("rows", "copy", 960000, 6e-4),
        row("pact", "quant_ste", 10**6, 1e-5, dtype="f16")]))
    picture = plot.roofline(path, title="here")
    assert [s.name for s in picture.series] == ["roof", "pact, forward", "rows, forward"]
    np.testing.assert_allclose(picture["pact, forward"], [[1 / 8], [1.0]])
    np.testing.assert_allclose(picture["rows, forward"], [[1 / 8], [0.5]])
    x, y = picture["roof"]
    np.testing.assert_allclose(y, 16 * x)
    assert "elements per byte" in picture.svg and "here" in picture.svg
    np.testing.assert_allclose(plot.roofline(path, elements=1000)["pact, forward"][1], 1000)
    np.testing.assert_allclose(
        plot.roofline(str(path), implementation="torch", peak=1.5)["roof"][1].max(), 1.5)
    with pytest.raises(ValueError, match="expected rows of quant_ste and of a copy for f16"):
        plot.roofline(path, dtype="f16")
    path.write_text('{"a": 1}')
    with pytest.raises(ValueError, match="expected the rows of benchmarks/cpu.py"):
        plot.roofline(path)


def test_save(tmp_path, monkeypatch):
    picture = plot.quantizer("round %x grad(ste)", points=33)
    picture.save(tmp_path / "round.svg")
    assert ElementTree.parse(tmp_path / "round.svg").getroot().tag.endswith("svg")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="needs matplotlib"):
        picture.save(tmp_path / "round.png")


def test_matplotlib(tmp_path):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    axes = plot.histogram([0.0, 1, 2], clip=(0, 1)).draw()
    assert axes.get_xlabel() == "" and len(axes.get_lines()) == 2
    plot.quantizer("round %x grad(ste)", points=33).save(tmp_path / "round.pdf")
    assert (tmp_path / "round.pdf").read_bytes().startswith(b"%PDF")
    plot.roofline({"round": (0.25, 4.0)}, bandwidth=20.0).save(tmp_path / "roof.png")
    assert (tmp_path / "roof.png").read_bytes().startswith(b"\x89PNG")


NET = """
  func.func private @act(%x: tensor<4x?xf32>, %s: tensor<f32>) -> tensor<4x?xf32> {
    %y = quant_ste.binary_quant %x, %s grad(ste) : tensor<4x?xf32>, tensor<f32>
    return %y : tensor<4x?xf32>
  }
  func.func @net(%x: tensor<4x?xf32> {quant_ste.name = "image"}, %n: index) -> (tensor<4x?xf32>, index) {
    %s = arith.constant dense<0.5> : tensor<f32>
    %0 = arith.constant 0 : index
    %1 = arith.constant 1 : index
    %a = func.call @act(%x, %s) : (tensor<4x?xf32>, tensor<f32>) -> tensor<4x?xf32>
    %b:2 = scf.for %i = %0 to %n step %1 iter_args(%c = %a, %d = %0) -> (tensor<4x?xf32>, index) {
      %e = arith.addf %c, %x : tensor<4x?xf32>
      scf.yield %e, %i : tensor<4x?xf32>, index
    }
    return %b#0, %b#1 : tensor<4x?xf32>, index
  }
"""


def test_graph(tmp_path):
    graph = plot.graph(NET)
    assert graph.name == "act"
    assert [(n.label, n.detail) for n in graph.nodes] == [
        ("%arg0", "tensor<4x?xf32>"), ("%arg1", "tensor<f32>"),
        ("quant_ste.binary_quant", "grad(ste)"), ("return", "")]
    assert [(a, b) for a, b, _ in graph.edges] == [(0, 2), (1, 2), (2, 3)]

    module = quant_ste.compile(NET)
    graph = plot.graph(module, "net")
    at = {n.label if n.label != "arith.constant" else n.detail: i
          for i, n in enumerate(graph.nodes)}
    assert set(at) == {"%image", "%arg1", "dense<5.000000e-01>", "0", "1", "call", "scf.for",
                       "return"}
    loop = at["scf.for"]
    # What the loop's body reads is an edge to the loop; two results are one edge.
    assert {a for a, b, _ in graph.edges if b == loop} == {
        at[n] for n in ("%image", "%arg1", "0", "1", "call")}
    assert [b for a, b, _ in graph.edges if a == loop] == [at["return"]]
    assert graph.nodes[at["call"]].detail == "@act"
    boxes = [[float(r.get(k)) for k in ("x", "y", "width", "height")]
             for r in elements(graph, "rect")[1:]]
    assert len(boxes) == len(graph.nodes)
    for i, (x, y, w, h) in enumerate(boxes):
        assert all(x + w <= a or a + c <= x or y + h <= b or b + d <= y
                   for a, b, c, d in boxes[:i])
    assert all(boxes[a][1] < boxes[b][1] for a, b, _ in graph.edges)
    graph.save(tmp_path / "net.dot")
    assert f'n{loop} [label="scf.for"' in (tmp_path / "net.dot").read_text()
    graph.save(tmp_path / "net.svg")
    assert ElementTree.parse(tmp_path / "net.svg").getroot().tag.endswith("svg")
    for phase in quant_ste.PHASES:
        found = plot.graph(module, phase=phase)
        assert found.edges and found.nodes, phase


def test_graph_errors(tmp_path):
    with pytest.raises(KeyError, match="no function @f; there are @act, @net"):
        plot.graph(NET, "f")
    with pytest.raises(KeyError, match="no phase 'end'; there are source, "):
        plot.graph(NET, phase="end")
    with pytest.raises(ValueError, match="ends in .svg or .dot"):
        plot.graph(NET).save(tmp_path / "net.png")
    with pytest.raises(quant_ste.CompileError):
        plot.graph("func.func {")
