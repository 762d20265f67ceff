"""Libraries for C programs whose functions launch kernels."""
import ctypes
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import emulation

if platform.machine() != "x86_64":
    pytest.skip("the emulated driver needs x86-64", allow_module_level=True)

ROOT = Path(__file__).parents[2]
BUILD = Path(os.environ["QUANT_STE_C_LIBRARY"]).parents[1]
RUNTIME = BUILD / "lib" / "libQuantSTERuntime.a"
EXAMPLE = ROOT / "examples" / "pact_backward.mlir"
EXPECTED = """\
x   -1  y 0.0000  dx 0
x  0.5  y 0.5333  dx 1
x    1  y 1.0667  dx 1
x    2  y 2.0000  dx 1
x    3  y 2.0000  dx 0
dalpha 2
"""


def compile(output, *options, source=EXAMPLE):
    return subprocess.run(
        [BUILD / "bin" / "qopt-compile", source, "-o", output,
         *([] if any("--target" in str(o) for o in options) else ["--target=cuda:sm_90"]),
         *options],
        capture_output=True, text=True)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("cuda") / "libpact.so"
    said = compile(path, "--pipeline=bitcode", f"--header={path.parent / 'pact.h'}")
    assert said.returncode == 0, said.stderr
    return path


def pointer(array):
    return ctypes.c_void_p(array.ctypes.data)


def backward(library, x, alpha, dy, stream, n=None):
    """In the memory of the emulated GPU, which is that of the host."""
    loaded = ctypes.CDLL(str(library))
    loaded.libpact_error.restype = ctypes.c_char_p
    y, dx, dalpha = np.empty_like(x), np.empty_like(x), np.empty((), np.float32)
    size = ctypes.c_int64(len(x))
    code = loaded.pact_backward(pointer(x), size, pointer(alpha), pointer(dy),
                                ctypes.c_int64(len(x) if n is None else n), pointer(y),
                                pointer(dx), pointer(dalpha), ctypes.c_void_p(stream))
    return code & 15, loaded.libpact_error(code).decode(), (y, dx, dalpha)


def test_packed_bits(tmp_path):
    """The caller gives the bytes of bits, of which the library knows how many."""
    said = compile(tmp_path / "packed.so", "--pipeline=bitcode",
                   source=ROOT / "test" / "Compile" / "packed.mlir")
    assert said.returncode == 0, said.stderr
    emulation.Driver()
    loaded = ctypes.CDLL(str(tmp_path / "packed.so"))
    loaded.packed_error.restype = ctypes.c_char_p
    rng = np.random.default_rng(0)
    stream = ctypes.c_void_p(20759)
    for m, n in ((1, 9), (3, 64), (5, 1001)):
        x, dy = rng.standard_normal((2, m, n)).astype(np.float32)
        bits = np.empty((m, -(-n // 8)), np.int8)
        sizes = [ctypes.c_int64(size) for size in (m, n)]
        assert loaded.keep(pointer(x), *sizes, pointer(bits), stream) == 0
        np.testing.assert_array_equal(
            bits.view(np.uint8), np.packbits(x > 0, axis=-1, bitorder="little"))
        dx = np.empty_like(dy)
        code = loaded.pass_(pointer(bits), sizes[0], ctypes.c_int64(bits.shape[1] + 1),
                            pointer(dy), *sizes, pointer(dx), stream)
        assert code & 15 == 2
        assert loaded.packed_error(code) == (
            b"pass_: bits_size1: expected the bytes of dy_size1 bits")
        assert loaded.pass_(pointer(bits), sizes[0], ctypes.c_int64(bits.shape[1]),
                            pointer(dy), *sizes, pointer(dx), stream) == 0
        np.testing.assert_array_equal(dx, np.where(x > 0, dy, 0))


NETWORK = """
func.func private @loss(%x: tensor<?x64xf32>, %w: tensor<64x32xf32>, %s: tensor<32xf32>,
                        %a: tensor<f32>) -> tensor<f32> {
  %z = arith.constant dense<0.0> : tensor<f32>
  %zero = arith.constant 0.0 : f32
  %b = arith.constant dense<4.0> : tensor<f32>
  %q = quant_ste.int_quant %w, %s axes([1]), %z, %b signed grad(clipped)
    : tensor<64x32xf32>, tensor<32xf32>, tensor<f32>, tensor<f32>
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x64xf32>
  %zeros = tensor.splat %zero[%n] : tensor<?x32xf32>
  %m = linalg.matmul ins(%x, %q : tensor<?x64xf32>, tensor<64x32xf32>)
    outs(%zeros : tensor<?x32xf32>) -> tensor<?x32xf32>
  %y = quant_ste.pact %m, %a bits(4) grad(pact) : tensor<?x32xf32>, tensor<f32>
  %sum = linalg.reduce { arith.addf } ins(%y : tensor<?x32xf32>) outs(%z : tensor<f32>)
    dimensions = [0, 1]
  return %sum : tensor<f32>
}
func.func @step(%x: tensor<?x64xf32>, %w: tensor<64x32xf32>, %s: tensor<32xf32>,
                %a: tensor<f32>) -> (tensor<64x32xf32>, tensor<32xf32>, tensor<f32>) {
  %l, %dw, %ds, %da = quant_ste.value_and_grad @loss(%x, %w, %s, %a) wrt [1, 2, 3]
    : (tensor<?x64xf32>, tensor<64x32xf32>, tensor<32xf32>, tensor<f32>)
    -> (tensor<f32>, tensor<64x32xf32>, tensor<32xf32>, tensor<f32>)
  return %dw, %ds, %da : tensor<64x32xf32>, tensor<32xf32>, tensor<f32>
}
"""


def test_workspace(tmp_path):
    """A caller that allocates the memory for temporary buffers itself."""
    (tmp_path / "net.mlir").write_text(NETWORK)
    for name, options in (("pool.so", []), ("net.so", ["--workspace"])):
        said = compile(tmp_path / name, "--pipeline=bitcode", *options,
                       source=tmp_path / "net.mlir")
        assert said.returncode == 0, said.stderr
    header = (tmp_path / "net.h").read_text()
    assert "int step_workspace(int64_t x_size0, int64_t *bytes);" in header
    driver = emulation.Driver()
    net = ctypes.CDLL(str(tmp_path / "net.so"))
    pool = ctypes.CDLL(str(tmp_path / "pool.so"))
    net.net_error.restype = ctypes.c_char_p
    rng = np.random.default_rng(0)
    stream = ctypes.c_void_p(20759)
    least = {}
    for n in (0, 1, 1000):
        x = rng.standard_normal((n, 64)).astype(np.float32)
        w = rng.standard_normal((64, 32)).astype(np.float32)
        s, a = np.full(32, 0.2, np.float32), np.array(3, np.float32)
        size = ctypes.c_int64(n)

        def run(library, *workspace):
            out = [np.full((64, 32), 7, np.float32), np.full(32, 7, np.float32),
                   np.full((), 7, np.float32)]
            code = library.step(pointer(x), size, pointer(w), pointer(s), pointer(a),
                                *map(pointer, out), *workspace, stream)
            return code, out

        code, wanted = run(pool)
        assert code == 0
        driver.log()
        found = ctypes.c_int64(-1)
        assert net.step_workspace(size, ctypes.byref(found)) == 0
        assert driver.log() == []  # asks no GPU
        least[n] = found.value
        # A temporary tensor each for the product and its cotangent, at least.
        assert least[n] >= 2 * 4 * n * 32 and least[n] % 256 == 0
        memory = np.zeros(least[n] + 256, np.uint8)
        begin = -memory.ctypes.data % 256
        place = ctypes.c_void_p(memory.ctypes.data + begin)
        code, have = run(net, place, ctypes.c_int64(least[n]))
        assert code == 0, net.net_error(code)
        log = driver.log()
        assert any(line.startswith("cuLaunchKernel") for line in log)
        assert not any("Alloc" in line or "Free" in line for line in log)
        for one, other in zip(have, wanted):
            np.testing.assert_array_equal(one, other)
        assert not memory[begin + least[n]:].any()
        code, have = run(net, None, ctypes.c_int64(0))  # the pool
        assert code == 0 and any("Alloc" in line for line in driver.log())
        np.testing.assert_array_equal(have[0], wanted[0])
    assert least[1000] < 20 * 4 * 1000 * 32  # what is freed is used again
    code, _ = run(net, place, ctypes.c_int64(least[1000] - 256))
    assert code & 15 == 7
    assert net.net_error(code) == (
        f"expected a workspace of at least {least[1000]} bytes, "
        f"got {least[1000] - 256}".encode())
    assert driver.live_buffers() == 0
    for memory, size_of, wrong, text in (
            (place, -1, 2, b"workspace_bytes: expected no negative size"),
            (None, 1, 1, b"workspace: expected a pointer, got NULL"),
            (ctypes.c_void_p(place.value + 16), 16, 3,
             b"workspace: expected an address that is a multiple of 256")):
        code, _ = run(net, memory, ctypes.c_int64(size_of))
        assert (code & 15, net.net_error(code)) == (wrong, b"step: " + text)
    code = net.step_workspace(ctypes.c_int64(-1), ctypes.byref(found))
    assert net.net_error(code) == b"step: x_size0: expected no negative size"
    assert net.step_workspace(size, None) & 15 == 1


def test_workspace_errors(tmp_path):
    said = compile(tmp_path / "f.so", "--workspace", "--target=cpu")
    assert said.returncode == 1 and "--workspace: expected a GPU as target, got 'cpu'" in said.stderr
    (tmp_path / "f.mlir").write_text("func.func @f() { return }\nfunc.func @f_workspace() { return }\n")
    said = compile(tmp_path / "f.so", "--workspace", source=tmp_path / "f.mlir")
    assert said.returncode == 1
    assert ("f.mlir:2:1: error: @f_workspace has no form in C: 'f_workspace' is the function "
            "that says how much workspace @f needs") in said.stderr


def test_library(library):
    driver = emulation.Driver()
    driver.log()
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 10007)).astype(np.float32) * 2
    alpha = np.array(2, np.float32)
    code, text, (y, dx, dalpha) = backward(library, x, alpha, dy, 20759)
    assert (code, text) == (0, "no error")
    wanted = np.where(x < 0, 0, np.where(x >= 2, 0, dy))
    wanted[x == 2] = dy[x == 2]
    np.testing.assert_array_equal(dx, wanted)
    assert y.max() == 2 and abs(dalpha - dy[x >= 2].sum(dtype=np.float64)) < 1e-3
    log = driver.log()
    launches = [line for line in log if line.startswith("cuLaunchKernel")]
    # Which version depends on where NumPy's arrays are.
    assert len(launches) == 2 and all(line.endswith("stream=20759)") for line in launches), log
    assert not any("Synchronize" in line for line in log)
    assert driver.live_buffers() == 0


def test_errors(library):
    x = np.ones(5, np.float32)
    alpha = np.array(2, np.float32)
    assert backward(library, x, alpha, x, None, n=4)[:2] == (
        2, "pact_backward: dy_size0: expected x_size0")
    emulation.Driver().fail("cuLaunchKernel", 1)
    code, text, _ = backward(library, x, alpha, x, None)
    assert code == 7 and text.startswith("kernel 'pact_backward_") and "invalid argument" in text
    assert backward(library, x, alpha, x, None)[0] == 0


def test_example(library):
    """examples/c/pact_cuda.c"""
    if b"__asan" in RUNTIME.read_bytes():
        pytest.skip("a sanitized runtime wants a sanitized program")
    folder = library.parent
    program = folder / "pact"
    compiler = shutil.which("cc") or shutil.which("clang-22")
    subprocess.run(
        [compiler, "-std=c99", "-pedantic", "-Wall", "-Werror", ROOT / "examples/c/pact_cuda.c",
         f"-I{ROOT / 'test/GPU/Inputs'}", f"-I{folder}", library, emulation.DRIVER,
         f"-Wl,-rpath,{folder}:{emulation.DRIVER.parent}", "-o", program], check=True)
    run = subprocess.run([program], capture_output=True, text=True)
    assert run.stdout == EXPECTED, run.stderr
    # Without a driver.
    run = subprocess.run([program], capture_output=True, text=True,
                         env={**os.environ, "QUANT_STE_LIBCUDA": "/nowhere/libcuda.so"})
    assert run.returncode == 1
    assert run.stderr.startswith("there is no CUDA driver on this machine: /nowhere/libcuda.so")


def set_capability(capability):
    emulation.Driver().library.emulated_set_capability(capability)


def test_several_chips(tmp_path):
    """The code for the GPU of the call; an error where there is none."""
    path = tmp_path / "libpact.so"
    said = compile(path, "--pipeline=bitcode", "--target=cuda:sm_90,sm_80+sm_90a")
    assert said.returncode == 0, said.stderr
    header = (tmp_path / "libpact.h").read_text()
    assert "for cuda:sm_90,sm_80+sm_90a." in header
    x, alpha = np.ones(5, np.float32), np.array(2, np.float32)
    driver = emulation.Driver()
    try:
        set_capability(75)
        code, text, _ = backward(path, x, alpha, x, None)
        assert (code, text) == (7, "expected a GPU that runs code for sm_80, sm_90, sm_90a, "
                                   "got one of sm_75")
        for capability, chip in ((80, "sm_80"), (90, "sm_90a"), (120, "sm_90"), (89, None)):
            driver.log()
            set_capability(capability)
            code, text, (y, _, dalpha) = backward(path, x, alpha, x, None)
            assert (code, text) == (0, "no error")
            images = [line for line in driver.log() if line.startswith("image")]
            # What is loaded is not loaded again.
            assert images == ([f"image({chip})"] if chip else [])
            assert abs(y[0] - 1.0667) < 1e-4 and dalpha == 0
    finally:
        set_capability(90)


def test_chips_are_checked(tmp_path):
    for word, text in (("cuda:sm_80+sm_80", "expected each chip once, got 'cuda:sm_80+sm_80'"),
                       ("cuda:", "expected a chip after 'cuda:'"),
                       ("cuda:sm_80+sm_1", "expected a chip (sm_75, ")):
        said = compile(tmp_path / "f.so", f"--target={word}")
        assert said.returncode == 1 and text in said.stderr, said.stderr


def test_time(tmp_path):
    """qopt-run --target=cuda --time: by events of the GPU, after runs to warm up."""
    log = tmp_path / "log"
    arguments = [EXAMPLE, "--function=pact_backward", "--target=cuda:sm_90", "--pipeline=bitcode", "--input=4xf32=1,2,3,4",
                 "--input=2", "--input=4xf32=1"]
    run = subprocess.run([BUILD / "bin" / "qopt-run", *arguments, "--time", "--time-runs=7"],
                         capture_output=True, text=True,
                         env={**os.environ, "QUANT_STE_EMULATED_LOG": str(log)})
    assert run.returncode == 0, run.stderr
    assert "result[0]: 4xf32=1.0666667 2 2 2" in run.stdout, run.stdout
    said = re.search(r"on the GPU min (.*) ms, median (.*) ms of 7 runs \(CUDA events\)",
                     run.stderr)
    assert said and 0 < float(said[1]) <= float(said[2]), run.stderr
    lines = log.read_text().splitlines()
    assert sum(line.startswith("cuLaunchKernel") for line in lines) == 1 + 3 + 7
    assert sum(line.startswith("cuEventRecord") for line in lines) == 2 * (3 + 7)
    assert sum(line.startswith("cuMemcpyHtoD") for line in lines) == 2 * 3


def test_kernels_alone(tmp_path):
    assert compile(tmp_path / "f.ptx", "--pipeline=ptx=80").returncode == 0
    ptx = (tmp_path / "f.ptx").read_text()
    assert ".version 8.0\n.target sm_90\n" in ptx and ".entry pact_backward_aligned(" in ptx
    assert not (tmp_path / "f.h").exists()


@pytest.mark.parametrize("image, magic", [
    pytest.param("cubin", b"\x7fELF", marks=pytest.mark.slow), ("fatbin", b"\x50\xed\x55\xba")])
def test_embedded_code(image, magic, tmp_path):
    """What ptxas made goes into the library, or a tool is missing."""
    output = tmp_path / "f.so"
    none = subprocess.run(
        [BUILD / "bin" / "qopt-compile", EXAMPLE, "--target=cuda:sm_90", f"--pipeline=image={image}",
         "-o", output], capture_output=True, text=True,
        env={**os.environ, "QUANT_STE_CUDA_BIN": "/nowhere"})
    assert none.returncode == 1 and "expected 'ptxas' of the CUDA toolkit" in none.stderr
    assert "without it, PTX can be made" in none.stderr and not output.exists()
    if not shutil.which("ptxas") and not shutil.which("ptxas", path="/usr/local/cuda/bin"):
        pytest.skip("there is no ptxas on the path or in /usr/local/cuda/bin")
    said = compile(output, f"--pipeline=image={image}", "--target=cuda:sm_80+sm_90")
    assert said.returncode == 0, said.stderr
    code = output.read_bytes()
    assert code.count(magic) >= 2 and b".target sm_" not in code


def test_fatbin_of_several_chips(tmp_path):
    """One file of code for each chip, and the PTX of the last, by the tools' own words."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("ptxas", "fatbinary"):
        (tools / tool).write_text(f"""#!/bin/sh
echo "{tool} $*" >> {tmp_path}/log
for word; do case $word in
  --output-file=*) echo cubin > "${{word#--output-file=}}";;
  --create=*) echo fatbin > "${{word#--create=}}";;
esac; done
""")
        (tools / tool).chmod(0o755)
    said = subprocess.run(
        [BUILD / "bin" / "qopt-compile", EXAMPLE, "--target=cuda:sm_90,sm_80", "-o",
         tmp_path / "f.fatbin"], capture_output=True, text=True,
        env={**os.environ, "QUANT_STE_CUDA_BIN": str(tools)})
    assert said.returncode == 0, said.stderr
    assert (tmp_path / "f.fatbin").read_text() == "fatbin\n"
    log = (tmp_path / "log").read_text().splitlines()
    assert [re.search("--gpu-name=(\\S+)", line)[1] for line in log[:2]] == ["sm_80", "sm_90"]
    assert re.findall(r"kind=(\w+),sm=(\d+)", log[2]) == [("elf", "80"), ("elf", "90"),
                                                         ("ptx", "90")]


@pytest.mark.parametrize("kind", ["cubin", "fatbin"])
def test_toolkit(kind, tmp_path):
    output = tmp_path / f"f.{kind}"
    none = subprocess.run(
        [BUILD / "bin" / "qopt-compile", EXAMPLE, "--target=cuda:sm_90", "-o", output],
        capture_output=True, text=True, env={**os.environ, "QUANT_STE_CUDA_BIN": "/nowhere"})
    assert none.returncode == 1 and "expected 'ptxas' of the CUDA toolkit" in none.stderr
    assert not output.exists()
    if not shutil.which("ptxas") and not shutil.which("ptxas", path="/usr/local/cuda/bin"):
        pytest.skip("there is no ptxas on the path or in /usr/local/cuda/bin")
    said = compile(output)
    assert said.returncode == 0, said.stderr
    magic = b"\x7fELF" if kind == "cubin" else b"\x50\xed\x55\xba"
    assert output.read_bytes()[:4] == magic


@pytest.mark.slow
def test_benchmark(tmp_path):
    """benchmarks/gpu.py, to its end: on the emulated GPU, with the tensors of torch's CPU."""
    pytest.importorskip("torch", reason="torch is not installed")
    script, folder, found = ROOT / "benchmarks/gpu.py", tmp_path / "lib", tmp_path / "found.json"
    kernels = ["--kernels", "int_quant_image", "product_cublas", "mx", "mx_gradient",
               "convolution_cublas", "stochastic", "float8", "packed", "polynomials"]
    subprocess.run([sys.executable, script, "--build", folder, "--small", "--pipeline=bitcode",
                    "--qopt-compile", BUILD / "bin" / "qopt-compile", *kernels], check=True)
    ran = subprocess.run(
        [sys.executable, script, "--run", folder, "--emulated", *kernels, "--sizes", "9",
         "--compile-sizes", "9", "--check-sizes", "0", "5", "4097", "--rounds", "2",
         "--json", found], capture_output=True, text=True)
    assert ran.returncode == 0 and "everything is right" in ran.stdout, ran.stdout + ran.stderr
    rows = json.loads(found.read_text())
    assert set(rows["wrong"].values()) == {0} and len(rows["rows"]) == 2 * 2
    assert {n["network"] for n in rows["networks"]} == {"resnet18", "transformer"}
    for row in rows["rows"]:
        assert {"quant_ste", "copy", "stream", "torch", "compile"} <= set(row["seconds"])
        assert ("atomic" in row["seconds"]) == (row["direction"] == "backward")
    assert len(rows["steps"]) == 2
    assert all({"quant_ste", "plain", "torch", "compile"} == set(s["seconds"])
               for s in rows["steps"])
    # Another run adds to it; each goal is met, missed or not measured.
    more = subprocess.run(
        [sys.executable, script, "--run", folder, "--emulated", "--kernels", "int_quant_image",
         "--sizes", "8", "--check-sizes", "5", "--rounds", "1", "--peers", "--no-networks",
         "--json", found, "--append"], capture_output=True, text=True)
    assert more.returncode == 0, more.stdout + more.stderr
    rows = json.loads(found.read_text())
    assert len(rows["rows"]) == 4 * 2 and len(rows["networks"]) == len(rows["steps"]) == 2
    said = subprocess.run([sys.executable, script, "--goals", found], check=True,
                          capture_output=True, text=True).stdout
    assert said in more.stdout and said.startswith(
        "goals:\nNOT MEASURED every class of kernel is right (not checked: pact, lsq, ")
    assert "NOT MEASURED forward at least 95 % of the copy" in said
    assert re.search("^(met|MISSED) +a step with convolutions ahead of torch", said, re.M)
    # The figures go to the documents, again in the same place.
    docs = tmp_path / "performance.md"
    docs.write_text("# Performance\n")
    for _ in range(2):
        subprocess.run([sys.executable, script, "--docs", found, "--docs-file", docs], check=True)
    text = docs.read_text()
    assert text.count("## NVIDIA GPUs") == 1 and text.count("| int_quant_image | f32 | forward |") == 2
    # Without a GPU it says so.
    ran = subprocess.run([sys.executable, script, "--run", folder], capture_output=True, text=True)
    assert ran.returncode == 0 or ran.stderr.startswith("nothing was measured: "), ran.stderr


@pytest.mark.slow
def test_tuning(tmp_path):
    """benchmarks/gpu_tune.py."""
    pytest.importorskip("torch", reason="torch is not installed")
    script = ROOT / "benchmarks/gpu_tune.py"
    few = ["--unroll", "2", "4", "--min-blocks", "4", "--waves", "8"]
    subprocess.run([sys.executable, script, "--build", tmp_path, "--pipeline=bitcode", *few,
                    "--qopt-compile", BUILD / "bin" / "qopt-compile"], check=True)
    ran = subprocess.run([sys.executable, script, "--run", tmp_path, "--emulated", "--size", "12",
                          "--rounds", "1", *few], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert re.search(r'\{"sm_90", ..., [24], 4, 4, 1056\},', ran.stdout), ran.stdout
