"""ptxas takes the kernels of every chip, with few registers and none in memory; what it
makes of them has wide loads and stores, and shuffles."""
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from test_gpu_batches import WEIGHTS, weights
from test_gpu_convolutions import NCHW, layer, results
from test_gpu_groups import GRADIENTS, gradient, mx
from test_gpu_kernels import bits, int_quant
from test_gpu_networks import ELEMENTS, SIZES, networks

PTXAS = shutil.which("ptxas") or shutil.which("ptxas", path="/usr/local/cuda/bin")
if not PTXAS:
    pytest.skip("there is no ptxas on the path or in /usr/local/cuda/bin",
                allow_module_level=True)
QOPT_OPT = Path(os.environ["QUANT_STE_C_LIBRARY"]).parents[1] / "bin" / "qopt-opt"

PACT = """
  func.func private @q(%x: tensor<?xT>, %a: tensor<f32>) -> tensor<?xT> {
    %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xT>, tensor<f32>
    return %y : tensor<?xT>
  }
  func.func @forward(%x: tensor<?xT>, %a: tensor<f32>) -> tensor<?xT> {
    %y = quant_ste.pact %x, %a bits(4) grad(pact) : tensor<?xT>, tensor<f32>
    return %y : tensor<?xT>
  }
  func.func @backward(%x: tensor<?xT>, %a: tensor<f32>, %dy: tensor<?xT>)
      -> (tensor<?xT>, tensor<f32>) {
    %y, %dx, %da = quant_ste.vjp @q(%x, %a) cotangents(%dy) wrt [0, 1]
      : (tensor<?xT>, tensor<f32>), (tensor<?xT>) -> (tensor<?xT>, tensor<?xT>, tensor<f32>)
    return %dx, %da : tensor<?xT>, tensor<f32>
  }"""

EXAMPLES = Path(__file__).parents[2] / "examples"


def network(name):
    """The gradients of a network: kernels of every kind."""
    text, _ = networks.build(name, "f32", True, **SIZES[name])
    return text[:text.index("func.func @train")]


MODULES = {
    "pact f32": PACT.replace("xT>", "xf32>"),
    "pact bf16": PACT.replace("xT>", "xbf16>"),
    "pact f16": PACT.replace("xT>", "xf16>"),
    "int_quant f64": int_quant(1, (), "f64"),
    "int_quant per channel": int_quant(3, (1,), "f32"),
    "int_quant per channel bf16": int_quant(3, (1,), "bf16"),
    "int_quant channels last": int_quant(2, (1,), "f32"),
    "int_quant channels last bf16": int_quant(2, (1,), "bf16"),
    "packed bits": bits("3x37x16", "3x37x2", 1, "f32"),
    "elements and tables": ELEMENTS,
    "groups": mx(32, "f32"),
    "groups, backward": gradient(32, "f32", *GRADIENTS["mx"]),
    "groups, backward bf16": gradient(32, "bf16", *GRADIENTS["mx shared"]),
    "windows": layer(*NCHW, results(*NCHW, (2, 1), (1, 1)), "f32", (2, 1)),
    "weights at once": weights(WEIGHTS, True),
    "random numbers": (EXAMPLES / "uniform.mlir").read_text(),
    "numbers of kernels": (EXAMPLES / "percentile.mlir").read_text(),
    "8-bit floats": """
  func.func @f(%x: tensor<?xf32>, %c: tensor<?xf8E5M2>) -> (tensor<?xf8E4M3FN>, tensor<?xf8E5M2>, tensor<?xbf16>) {
    %a = arith.truncf %x : tensor<?xf32> to tensor<?xf8E4M3FN>
    %b = arith.truncf %x : tensor<?xf32> to tensor<?xf8E5M2>
    %y = arith.extf %c : tensor<?xf8E5M2> to tensor<?xbf16>
    return %a, %b, %y : tensor<?xf8E4M3FN>, tensor<?xf8E5M2>, tensor<?xbf16>
  }""",
    "exp and its kin": """
  func.func @f(%x: tensor<?xf32>) -> tensor<?xf32> {
    %a = math.exp %x : tensor<?xf32>
    %b = math.log %a : tensor<?xf32>
    %c = math.tanh %b : tensor<?xf32>
    return %c : tensor<?xf32>
  }""",
}
#: Of seconds each; on a chip of those with few registers.
NETWORKS = [("sm_75", "lenet"), ("sm_121", "transformer")]
CHIPS = ["sm_75", "sm_80", "sm_89", "sm_90", "sm_100", "sm_121"]
# Of one kernel; those with polynomials may have more.
MAX_REGISTERS = 128
POLYNOMIALS = ("exp and its kin", "lenet", "transformer")


def to_ptx(text, chip, options=""):
    out = subprocess.run(
        [QOPT_OPT, f"--quant-ste-gpu-pipeline=chip={chip} {options} stop-after=binary", "-"],
        input=text, capture_output=True, text=True, check=True).stdout
    escaped = re.search(r'assembly = "((?:[^"\\]|\\.)*)"', out).group(1)
    return re.sub(r"\\([0-9A-F]{2})", lambda m: chr(int(m.group(1), 16)), escaped)


def registers(ptx, chip, folder):
    """{kernel: registers}; fails if any of them is kept in memory."""
    source = folder / "kernels.ptx"
    source.write_text(ptx)
    said = subprocess.run(
        [PTXAS, "-v", "--fmad=false", f"--gpu-name={chip}", source, "-o", folder / "kernels.cubin"],
        capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert set(re.findall(r"(\d+) bytes (?:stack frame|spill)", said.stderr)) <= {"0"}, said.stderr
    return dict(zip(re.findall(r"Compiling entry function '(\w+)'", said.stderr),
                    map(int, re.findall(r"Used (\d+) registers", said.stderr))))


#: With options of the pipeline.
OPTIONS = {"int_quant per channel": "sums=atomic", "windows": "matmul=cublas"}


@pytest.mark.parametrize("chip, name", [
    pytest.param(chip, name, marks=[] if chip == "sm_90" else pytest.mark.slow)
    for chip in CHIPS for name in MODULES] + [
    pytest.param(chip, name, marks=pytest.mark.slow) for chip, name in NETWORKS])
def test_ptxas(chip, name, tmp_path):
    text = MODULES[name] if name in MODULES else network(name)
    ptx = to_ptx(text, chip, OPTIONS.get(name, ""))
    assert ".local" not in ptx and "call" not in ptx and ".extern" not in ptx
    # Nothing that ptxas may contract.
    assert not re.search(r"^\s+(add|sub|mul)\.f(32|64)", ptx, re.M)
    used = registers(ptx, chip, tmp_path)
    assert used and max(used.values()) <= (255 if name in POLYNOMIALS else MAX_REGISTERS), used
    print("\n" + "\n".join(f"{chip} {name}: {k} {v}" for k, v in used.items()))


def find_nvdisasm():
    """Of the toolkit, or of an installed Triton."""
    triton = importlib.util.find_spec("triton")
    own = [Path(p, "backends/nvidia/bin")
           for p in (triton.submodule_search_locations or [] if triton else [])]
    return shutil.which("nvdisasm") or next(
        filter(None, (shutil.which("nvdisasm", path=p) for p in ("/usr/local/cuda/bin", *own))),
        None)


def machine_code(cubin):
    """{kernel: its instructions}."""
    said = subprocess.run([find_nvdisasm(), "-c", cubin], capture_output=True, text=True,
                          check=True).stdout
    parts = re.split(r"\.section\s+\.text\.", said)[1:]
    instruction = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)")
    return {part.split(",")[0]: instruction.findall(part) for part in parts}


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[] if name in ("pact f32", "int_quant per channel bf16", "groups")
                 else pytest.mark.slow) for name in MODULES])
def test_machine_code(name, tmp_path):
    if not find_nvdisasm():
        pytest.skip("there is no nvdisasm on the path, in /usr/local/cuda/bin or in triton")
    registers(to_ptx(MODULES[name], "sm_90", OPTIONS.get(name, "")), "sm_90", tmp_path)
    kernels = machine_code(tmp_path / "kernels.cubin")
    assert kernels and all(len(code) > 8 for code in kernels.values())
    for kernel, code in kernels.items():
        assert not [i for i in code if re.match("LDL|STL", i)], kernel
        # Of the rare quotients and roots, a part of the kernel.
        assert {i for i in code if i.startswith("CALL")} <= {"CALL.REL.NOINC"}, kernel
        if "_aligned" in kernel and not kernel.startswith("one_of"):  # of two elements
            assert [i for i in code if re.match(r"(LDG|STG)\.E\.(64|128)", i)], kernel
        if "_finish" in kernel or name == "groups":
            assert "SHFL.BFLY" in code, kernel
