"""Whole networks: a training step on the emulated GPU against the CPU's."""
import platform
import sys
from pathlib import Path

import numpy as np
import pytest

import emulation
import quant_ste_ctypes
from harness import assert_same_bits

if platform.machine() != "x86_64":
    pytest.skip("the emulated driver needs x86-64", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "examples" / "networks"), str(ROOT / "test" / "Differentiate")]
import networks  # noqa: E402
from torch_networks import arguments, draw  # noqa: E402

SIZES = {"lenet": {"batch": 3}, "mlp": {"batch": 4}, "transformer": {"batch": 1},
         "resnet18": {"batch": 1, "width": 2, "image": 32}}
ALPHA = {"resnet18": 1.0, "lenet": 0.25}


@pytest.mark.parametrize("name", [
    "lenet",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("mlp", "transformer", "resnet18"))])
def test_gradients(name):
    """Products are added in one order, so the loss has the CPU's bits unless a
    mean of activations, which is cut otherwise, goes into it; gradients that are
    sums have its numbers."""
    text, k = networks.build(name, "f32", True, **SIZES[name])
    text = text[:text.index("func.func @train")]
    values = draw(k, np.random.default_rng(0), alpha=ALPHA.get(name, 0.4))
    if "frozen" in values:
        values["frozen"] = np.bool_(False)
    given = arguments(k, values, "f32")
    got = emulation.compile(text).call("gradients", *given)
    want = quant_ste_ctypes.compile(text).call("gradients", *given)
    assert emulation.Driver().live_buffers() == 0
    assert np.isfinite(got[0]) and len(got) == len(k.params) + 1
    if name != "resnet18":
        assert_same_bits(got[0], want[0], "loss")
    for (parameter, _, _), a, b in zip(k.params, got[1:], want[1:], strict=True):
        top = np.abs(b).max()
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5 * max(top, 1e-3), err_msg=parameter)


@pytest.mark.parametrize("name", [
    "lenet", pytest.param("resnet18", marks=pytest.mark.slow)])
def test_by_cublas(name):
    """Convolutions too: other orders of the terms, so other roundings."""
    text, k = networks.build(name, "f32", True, **SIZES[name])
    text = text[:text.index("func.func @train")]
    values = draw(k, np.random.default_rng(0), alpha=ALPHA.get(name, 0.4))
    if "frozen" in values:
        values["frozen"] = np.bool_(False)
    given = arguments(k, values, "f32")
    cublas = emulation.Cublas()
    cublas.log()
    got = emulation.compile(text, options="matmul=cublas").call("gradients", *given)
    assert sum(line.startswith("cublasGemm") for line in cublas.log()) > 5
    assert emulation.Driver().live_buffers() == 0
    want = quant_ste_ctypes.compile(text).call("gradients", *given)
    # What falls on the other side of a step moves a gradient by that much.
    for a, b in zip(got, want, strict=True):
        assert np.linalg.norm(a - b) <= 0.02 * np.linalg.norm(b) + 1e-6


@pytest.mark.slow
def test_training_program():
    """A whole program: it draws weights, shuffles, trains and counts."""
    folder = ROOT / "examples" / "digits"
    text = (folder / "train.mlir").read_text()
    data = [np.load(folder / "data" / f"{name}.npy") for name in ("X", "y", "split")]
    results = [compile(text).call("main", *data, np.int64(1), np.int64(0))
               for compile in (emulation.compile, quant_ste_ctypes.compile)]
    for got, want in zip(*(r[:2] for r in results)):  # loss and accuracy
        np.testing.assert_allclose(got, want, rtol=0.02)


ELEMENTS = """
  #id = affine_map<(i) -> (i)>
  // Fisher and Yates' shuffle, and how many went up; rows added by number.
  func.func @shuffle(%order: tensor<?xi64>, %swaps: tensor<?xindex>) -> (tensor<?xi64>, index, f32) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %zero = arith.constant 0.0 : f32
    %n = tensor.dim %order, %c0 : tensor<?xi64>
    %r:3 = scf.for %i = %c0 to %n step %c1 iter_args(%p = %order, %up = %c0, %sum = %zero)
        -> (tensor<?xi64>, index, f32) {
      %j = tensor.extract %swaps[%i] : tensor<?xindex>
      %a = tensor.extract %p[%i] : tensor<?xi64>
      %b = tensor.extract %p[%j] : tensor<?xi64>
      %p0 = tensor.insert %b into %p[%i] : tensor<?xi64>
      %p1 = tensor.insert %a into %p0[%j] : tensor<?xi64>
      %more = arith.cmpi ult, %i, %j : index
      %next = arith.addi %up, %c1 : index
      %ups = arith.select %more, %next, %up : index
      %f = arith.sitofp %b : i64 to f32
      %s = arith.addf %sum, %f : f32
      scf.yield %p1, %ups, %s : tensor<?xi64>, index, f32
    }
    return %r#0, %r#1, %r#2 : tensor<?xi64>, index, f32
  }
  func.func @scatter(%rows: tensor<?x40xf32>, %at: tensor<?xindex>, %into: tensor<9x40xf32>)
      -> tensor<9x40xf32> {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %n = tensor.dim %at, %c0 : tensor<?xindex>
    %r = scf.for %i = %c0 to %n step %c1 iter_args(%t = %into) -> tensor<9x40xf32> {
      %j = tensor.extract %at[%i] : tensor<?xindex>
      %row = tensor.extract_slice %rows[%i, 0] [1, 40] [1, 1] : tensor<?x40xf32> to tensor<40xf32>
      %old = tensor.extract_slice %t[%j, 0] [1, 40] [1, 1] : tensor<9x40xf32> to tensor<40xf32>
      %sum = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
          ins(%row : tensor<40xf32>) outs(%old : tensor<40xf32>) {
      ^bb0(%a: f32, %o: f32):
        %s = arith.addf %o, %a : f32
        linalg.yield %s : f32
      } -> tensor<40xf32>
      %u = tensor.insert_slice %sum into %t[%j, 0] [1, 40] [1, 1] : tensor<40xf32> into tensor<9x40xf32>
      scf.yield %u : tensor<9x40xf32>
    }
    return %r : tensor<9x40xf32>
  }
  // An element decides on the host how often a kernel is launched.
  func.func @count(%x: tensor<?xf32>, %n: tensor<?xindex>, %i: index) -> (tensor<?xf32>, i1) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %two = arith.constant 2.0 : f32
    %times = tensor.extract %n[%i] : tensor<?xindex>
    %r = scf.for %k = %c0 to %times step %c1 iter_args(%t = %x) -> tensor<?xf32> {
      %u = arith.addf %t, %x : tensor<?xf32>
      scf.yield %u : tensor<?xf32>
    }
    %e = tensor.extract %r[%i] : tensor<?xf32>
    %large = arith.cmpf ogt, %e, %two : f32
    %s = tensor.insert %two into %r[%c0] : tensor<?xf32>
    return %s, %large : tensor<?xf32>, i1
  }
  func.func @table(%x: tensor<8xf32>, %i: index) -> (tensor<8xf32>, f32, tensor<4xf32>) {
    %t = arith.constant dense<[0.0, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5]> : tensor<8xf32>
    %y = arith.addf %x, %t : tensor<8xf32>
    %e = tensor.extract %t[%i] : tensor<8xf32>
    %f = tensor.extract %y[%i] : tensor<8xf32>
    %g = arith.addf %e, %f : f32
    %s = tensor.extract_slice %t[%i] [4] [1] : tensor<8xf32> to tensor<4xf32>
    return %y, %g, %s : tensor<8xf32>, f32, tensor<4xf32>
  }
  func.func @one_of(%x: tensor<2xf32>, %p: i1) -> tensor<2xf32> {
    %c = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
    %t = scf.if %p -> tensor<2xf32> {
      scf.yield %c : tensor<2xf32>
    } else {
      %y = arith.mulf %x, %x : tensor<2xf32>
      scf.yield %y : tensor<2xf32>
    }
    %r = arith.addf %t, %x : tensor<2xf32>
    return %r : tensor<2xf32>
  }
"""


def test_elements():
    """Loops that visit elements, what the host waits for, tables of constants."""
    gpu, cpu = emulation.compile(ELEMENTS), quant_ste_ctypes.compile(ELEMENTS)
    rng = np.random.default_rng(1)
    f32 = np.float32

    def check(function, *given):
        for i, (got, want) in enumerate(zip(gpu.call(function, *given),
                                            cpu.call(function, *given), strict=True)):
            assert np.asarray(got).tobytes() == np.asarray(want).tobytes(), (function, i)
        assert emulation.Driver().live_buffers() == 0

    for n in (0, 1, 2, 300):
        swaps = np.array([rng.integers(0, i + 1) for i in range(n)], np.int64)
        swaps[::3] = np.minimum(swaps[::3] + 5, max(n - 1, 0))
        check("shuffle", rng.permutation(n).astype(np.int64), swaps)
        check("scatter", rng.standard_normal((n, 40)).astype(f32), rng.integers(0, 9, n),
              rng.standard_normal((9, 40)).astype(f32))
    for times in (0, 1, 3):
        check("count", rng.random(500).astype(f32), np.array([7, times]), np.int64(1))
    for i in range(5):
        check("table", rng.random(8).astype(f32), np.int64(i))
    for p in (False, True):
        check("one_of", rng.random(2).astype(f32), np.bool_(p))
