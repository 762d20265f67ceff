#!/usr/bin/env python3
"""Kernels on an NVIDIA GPU: right, and then how fast beside copies and peers.

    benchmarks/gpu.py --build FOLDER --chip sm_90   where quant_ste was built
    benchmarks/gpu.py --run FOLDER                  where the GPU is
    benchmarks/gpu.py --goals FILE.json             what of the goals is met
    benchmarks/gpu.py --docs FILE.json              figures to docs/performance.md

The first writes libraries for the GPU and, to compare with, for x86-64 processors, by
qopt-compile, and `check.json`, what is where. The second needs that folder, this file and
gpu_peers.py, and a torch with CUDA (and triton, unless --peers says otherwise): nothing
of quant_ste, LLVM or a CUDA toolkit.

First everything is checked: each class of kernel against the same function on the
processor (the bits of all but sums) and against torch; sums have the same bits twice, unless they
are made by atomic additions (`atomic` among the peers).
Then times: medians of rounds in which all take turns, by CUDA events, in a loop long
enough for the clock, or as a CUDA graph of 20 calls where one can be made (`graph`),
which leaves out what calls cost the host. `of copy` is the time per byte of a copy on
the device over the kernel's, `of stream` that of a stream with the kernel's own reads and
writes (a copy forward, dx = x + dy backward). Then all weights of two networks at once,
and a step of a quantized convolution by cuBLAS beside torch's. Last the goals, met or
not. After --time-limit seconds nothing new is begun; --json is written after each row,
and with --append beside what another run has written, so that an hour can be spent in
parts: --kernels, --sizes.
"""
import argparse
import contextlib
import ctypes
import json
import math
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time

import gpu_peers

ROOT = pathlib.Path(__file__).resolve().parents[1]

# ===----------------------------------------------------------------------===
# What there is
# ===----------------------------------------------------------------------===

# %T is the type of the data. @forward gives y, @backward dx and the first parameter's
# gradient.
_BODY = """
func.func private @q(%x: {x}, {declared}) -> {x} {{
  %y = quant_ste.{op} : {x}, {types}
  return %y : {x}
}}
func.func @forward(%x: {x}, {declared}) -> {x} {{
  %y = quant_ste.{op} : {x}, {types}
  return %y : {x}
}}
func.func @backward(%x: {x}, {declared}, %dy: {x}) -> ({x}, {wanted}) {{
  %y, %dx, %dp = quant_ste.vjp @q(%x, {used}) cotangents(%dy) wrt [0, 1]
    : ({x}, {types}), ({x}) -> ({x}, {x}, {wanted})
  return %dx, %dp : {x}, {wanted}
}}
"""


def _text(op, shape, parameters):
    """`parameters`: name -> type; the gradient of the first is wanted."""
    return _BODY.format(
        op=op, x=f"tensor<{shape}x%T>", used=", ".join(f"%{p}" for p in parameters),
        declared=", ".join(f"%{p}: {t}" for p, t in parameters.items()),
        types=", ".join(parameters.values()), wanted=next(iter(parameters.values())))


_SCALAR, _CHANNELS = "tensor<f32>", "tensor<?xf32>"
_INT = dict(s=_SCALAR, z=_SCALAR, b=_SCALAR)
_PER_CHANNEL = {**_INT, "s": _CHANNELS}
#: With gradients, to measure.
KERNELS = {
    "pact": _text("pact %x, %a bits(4) grad(pact_paper)", "?", dict(a=_SCALAR)),
    "lsq": _text("lsq %x, %s qmin(-8) qmax(7) grad_scale(0.01) grad(lsq)", "?", dict(s=_SCALAR)),
    "int_quant": _text("int_quant %x, %s, %z, %b signed grad(clipped)", "?", _INT),
    "int_quant_channel": _text("int_quant %x, %s axes([0]), %z, %b signed grad(clipped)", "?x?",
                               _PER_CHANNEL),
    "int_quant_image": _text("int_quant %x, %s axes([1]), %z, %b signed grad(clipped)", "?x?x?",
                             _PER_CHANNEL),
    "int_quant_last": _text("int_quant %x, %s axes([1]), %z, %b signed grad(clipped)", "?x?",
                            _PER_CHANNEL),
}
#: Other classes of kernels, forward alone and checked alone.
CHECKED = {
    "float_quant": """
func.func @forward(%x: tensor<?x%T>, %s: tensor<f32>) -> tensor<?x%T> {
  %y = quant_ste.float_quant %x, %s format(e4m3_ocp) signed saturating grad(clipped)
    : tensor<?x%T>, tensor<f32>
  return %y : tensor<?x%T>
}""",
    "sign": """
func.func @forward(%x: tensor<?x%T>, %s: tensor<f32>) -> tensor<?x%T> {
  %y = quant_ste.binary_quant %x, %s grad(ste) : tensor<?x%T>, tensor<f32>
  return %y : tensor<?x%T>
}""",
    "product": """
func.func @forward(%x: tensor<?x96x%T>, %w: tensor<96x80x%T>) -> tensor<?x80xf32> {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x96x%T>
  %e = tensor.empty(%n) : tensor<?x80xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x80xf32>) -> tensor<?x80xf32>
  %y = linalg.matmul ins(%x, %w : tensor<?x96x%T>, tensor<96x80x%T>)
    outs(%f : tensor<?x80xf32>) -> tensor<?x80xf32>
  return %y : tensor<?x80xf32>
}""",
}
CHECKED["product_cublas"] = CHECKED["product"]
CHECKED["mx"] = """
func.func @forward(%x: tensor<?x32x%T>, %min: tensor<f32>) -> tensor<?x32x%T> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x32x%T>
  %zero = arith.constant 0.0 : %T
  %empty = tensor.empty(%n) : tensor<?x%T>
  %start = linalg.fill ins(%zero : %T) outs(%empty : tensor<?x%T>) -> tensor<?x%T>
  %abs = math.absf %x : tensor<?x32x%T>
  %max = linalg.reduce { arith.maximumf } ins(%abs : tensor<?x32x%T>)
    outs(%start : tensor<?x%T>) dimensions = [1]
  %s = quant_ste.mx_scale %max element(e2m1) grad(ste) : tensor<?x%T>
  %y = quant_ste.float_quant %x, %s axes([0]) format(e2m1) signed saturating grad(clipped)
    : tensor<?x32x%T>, tensor<?x%T>
  return %y : tensor<?x32x%T>
}"""
CHECKED["mx_gradient"] = """
func.func private @q(%x: tensor<?x32x%T>) -> tensor<?x32x%T> {
  %max = quant_ste.absmax %x axes([0]) grad(first) : tensor<?x32x%T> -> tensor<?x%T>
  %s = quant_ste.mx_scale %max element(e2m1) grad(ste) : tensor<?x%T>
  %y = quant_ste.float_quant %x, %s axes([0]) format(e2m1) signed saturating grad(clipped)
    : tensor<?x32x%T>, tensor<?x%T>
  return %y : tensor<?x32x%T>
}
func.func @forward(%x: tensor<?x32x%T>, %dy: tensor<?x32x%T>) -> tensor<?x32x%T> {
  %y, %dx = quant_ste.vjp @q(%x) cotangents(%dy) wrt [0]
    : (tensor<?x32x%T>), (tensor<?x32x%T>) -> (tensor<?x32x%T>, tensor<?x32x%T>)
  return %dx : tensor<?x32x%T>
}"""
CHECKED["convolution"] = """
func.func @forward(%x: tensor<?x8x10x10x%T>, %w: tensor<16x8x3x3x%T>) -> tensor<?x16x8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x8x10x10x%T>
  %e = tensor.empty(%n) : tensor<?x16x8x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x16x8x8xf32>) -> tensor<?x16x8x8xf32>
  %y = linalg.conv_2d_nchw_fchw ins(%x, %w : tensor<?x8x10x10x%T>, tensor<16x8x3x3x%T>)
    outs(%f : tensor<?x16x8x8xf32>) -> tensor<?x16x8x8xf32>
  return %y : tensor<?x16x8x8xf32>
}"""
CHECKED["convolution_cublas"] = CHECKED["convolution"]
CHECKED["stochastic"] = """
func.func @forward(%x: tensor<?x%T>, %min: tensor<f32>) -> tensor<?x%T> {
  %c0 = arith.constant 0 : index
  %seed = arith.constant 7 : i64
  %step = arith.constant 3 : i64
  %n = tensor.dim %x, %c0 : tensor<?x%T>
  %u = quant_ste.uniform seed(%seed) step(%step) sizes(%n) : tensor<?x%T>
  %y = quant_ste.stochastic_round %x, %u axes([0]) grad(ste) : tensor<?x%T>, tensor<?x%T>
  return %y : tensor<?x%T>
}"""
CHECKED["float8"] = """
func.func @forward(%x: tensor<?x%T>, %min: tensor<f32>) -> tensor<?x%T> {
  %a = arith.truncf %x : tensor<?x%T> to tensor<?xf8E4M3FN>
  %y = arith.extf %a : tensor<?xf8E4M3FN> to tensor<?x%T>
  return %y : tensor<?x%T>
}"""
CHECKED["packed"] = """
func.func @forward(%x: tensor<1001x64x%T>, %min: tensor<f32>) -> tensor<1001x8xi8> {
  %abs = math.absf %x : tensor<1001x64x%T>
  %m = arith.cmpf oeq, %x, %abs : tensor<1001x64x%T>
  %p = quant_ste.pack_bits %m row_dims(1) : tensor<1001x64xi1> -> tensor<1001x8xi8>
  return %p : tensor<1001x8xi8>
}"""
CHECKED["polynomials"] = """
func.func @forward(%x: tensor<?x%T>, %min: tensor<f32>) -> tensor<?x%T> {
  %e = math.exp %x : tensor<?x%T>
  %t = math.tanh %e : tensor<?x%T>
  %y = arith.mulf %x, %t : tensor<?x%T>
  return %y : tensor<?x%T>
}"""
#: Sums of them, or of products, are not added in the processor's order: how far off they
#: may be, in f32 and in narrower types.
ROUNDED = {"product_cublas": (1e-3, 1e-3), "convolution_cublas": (1e-3, 1e-3),
           "mx_gradient": (1e-3, 0.5)}
TYPES = {"f32": 4, "bf16": 2, "f16": 2}
#: Random numbers are f32.
ONLY = {"stochastic": ("f32",)}
#: Kernels that are measured in these types, and checked in all.
MEASURED_TYPES = ("f32", "bf16")
CHANNEL_SIZE = 4096  # elements of a channel of [C, n]
IMAGE = (64, 784)    # C and n of [N, C, n]
LAST = 256           # C of [n, C]
#: Sizes to check, around vectors, blocks and rows.
TAILS = (0, 1, 3, 4, 255, 4096, 4097, 100003)


def resnet18():
    """The shapes of its weights."""
    shapes, width = [(64, 3, 7, 7)], 64
    for stage in range(4):
        out = 64 << stage
        for block in range(2):
            shapes += [(out, width, 3, 3), (out, out, 3, 3)]
            if width != out:
                shapes.append((out, width, 1, 1))
            width = out
    return shapes + [(1000, 512)]


def transformer():
    """A decoder of 1.1 billion parameters, as Llama's: 22 layers of 2048."""
    wide, narrow, inner = 2048, 256, 5632
    layer = [(wide, wide), (narrow, wide), (narrow, wide), (wide, wide), (inner, wide),
             (inner, wide), (wide, inner)]
    return [(32000, wide), *(layer * 22), (32000, wide)]


def small(shapes):
    """The same number of tensors, for machines without a GPU."""
    return [tuple(max(1, n // 256) for n in s) for s in shapes]


NETWORKS = {"resnet18": (resnet18, "f32"), "transformer": (transformer, "bf16")}


def _network_text(shapes, dtype):
    """All weights in one function: each its own scale."""
    types = [f"tensor<{'x'.join(map(str, s))}x{dtype}>" for s in shapes]
    arguments = ", ".join([f"%w{i}: {t}" for i, t in enumerate(types)]
                          + [f"%s{i}: tensor<f32>" for i in range(len(types))])
    body = "".join(f"  %q{i} = quant_ste.int_quant %w{i}, %s{i}, %z, %b signed grad(clipped)\n"
                   f"    : {t}, tensor<f32>, tensor<f32>, tensor<f32>\n"
                   for i, t in enumerate(types))
    results = ", ".join(f"%q{i}" for i in range(len(types)))
    return (f"func.func @forward({arguments}) -> ({', '.join(types)}) {{\n"
            "  %z = arith.constant dense<0.0> : tensor<f32>\n"
            "  %b = arith.constant dense<4.0> : tensor<f32>\n"
            f"{body}  return {results} : {', '.join(types)}\n}}\n")


# ===----------------------------------------------------------------------===
# --build
# ===----------------------------------------------------------------------===

def build(folder, chip, qopt_compile, pipeline, is_small, kernels):
    folder.mkdir(parents=True, exist_ok=True)

    def compile(name, text, target, options, suffix=""):
        source = folder / f"{name}.mlir"
        source.write_text(text)
        library = folder / f"lib{name}{suffix}.so"
        subprocess.run([qopt_compile, source, f"--target={target}",
                        f"--pipeline={options.strip()}", "-o", library], check=True)
        print(library, flush=True)
    for name, text in {**KERNELS, **CHECKED}.items():
        for dtype in ONLY.get(name, TYPES) if name in kernels else ():
            made = text.replace("%T", dtype)
            cublas = " matmul=cublas" if name.endswith("cublas") else ""
            compile(f"{name}_{dtype}", made, f"cuda:{chip}", pipeline + cublas)
            compile(f"{name}_{dtype}", made, "x86_64:x86-64-v3", "openmp=false", "_cpu")
            if name in KERNELS:
                compile(f"{name}_{dtype}", made, f"cuda:{chip}", pipeline + " sums=atomic",
                        "_atomic")
    shapes = {}
    for name, (get, dtype) in NETWORKS.items():
        shapes[name] = small(get()) if is_small else get()
        compile(name, _network_text(shapes[name], dtype), f"cuda:{chip}", pipeline)
    steps = step_shapes(is_small)
    for i, (x, w) in enumerate(steps):
        for suffix, options in ("", " matmul=cublas"), ("_plain", ""):
            compile(f"step{i}", _step_text(x, w), f"cuda:{chip}", pipeline + options, suffix)
    (folder / "check.json").write_text(json.dumps(
        dict(chip=chip, pipeline=pipeline, shapes=shapes, steps=steps)) + "\n")


# ===----------------------------------------------------------------------===
# Calls
# ===----------------------------------------------------------------------===

_NAMES = {"i8": "int8", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "f64": "float64"}


class Library:
    """A library's functions on tensors of torch, by the description that it contains."""

    def __init__(self, torch, path):
        if not path.exists():
            raise SystemExit(f"error: no {path}: run with --build {path.parent} first")
        self.torch, self.path, self.library = torch, path, ctypes.CDLL(str(path))
        text = ctypes.addressof(ctypes.c_char.in_dll(self.library, "quant_ste_library"))
        described = json.loads(ctypes.string_at(text))
        self.explain = self.library[described["error"]]
        self.explain.restype, self.explain.argtypes = ctypes.c_char_p, [ctypes.c_int]
        self.functions = {f["name"]: f for f in described["functions"]}
        self.entries = {}
        for f in described["functions"]:
            # Each look-up makes another object.
            entry = self.entries[f["name"]] = self.library[f["c_name"]]
            entry.restype = ctypes.c_int
            entry.argtypes = [ctypes.c_int64 if p[0] in ("size", "stride") else ctypes.c_void_p
                              for p in f["parameters"]]

    def results(self, name, arguments):
        """Tensors for what the function gives."""
        values = self.functions[name]["values"]
        made = []
        for v in values[len(arguments):]:
            sizes = [n if isinstance(n, int) else arguments[n[0]].shape[n[1]] for n in v["sizes"]]
            made.append(self.torch.empty(sizes, dtype=getattr(self.torch, _NAMES[v["type"]]),
                                         device=arguments[0].device))
        return made

    def bind(self, name, arguments, results, stream):
        """A call without arguments. `stream()` is asked each time."""
        f = self.functions[name]
        tensors = [*arguments, *results]
        if len(tensors) != len(f["values"]):
            raise SystemExit(f"error: {self.path}: @{name} has {len(f['values'])} arguments and "
                             f"results, got {len(tensors)}")
        entry, given, has_stream = self.entries[name], [], False
        for kind, *at in f["parameters"]:
            if kind == "data":
                given.append(tensors[at[0]].data_ptr())
            elif kind == "size":
                given.append(tensors[at[0]].shape[at[1]])
            else:
                has_stream = True

        def call():
            code = entry(*given, stream()) if has_stream else entry(*given)
            if code:
                raise SystemExit(f"error: {self.path.name}: @{name}: "
                                 f"{self.explain(code).decode()}")
        call.tensors = tensors  # alive as long as the call
        return call


class Machine:
    """Where tensors are, and the clock: a GPU, or the processor that stands in for one."""

    def __init__(self, torch, emulated):
        self.torch, self.emulated = torch, emulated
        self.device = "cpu" if emulated else "cuda"

    def stream(self):
        return 0 if self.emulated else self.torch.cuda.current_stream().cuda_stream

    def synchronize(self):
        if not self.emulated:
            self.torch.cuda.synchronize()

    def time(self, function, repeats):
        """Seconds of one call."""
        if self.emulated:
            begin = time.perf_counter()
            for _ in range(repeats):
                function()
            return (time.perf_counter() - begin) / repeats
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(repeats):
            function()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) * 1e-3 / repeats

    def graph(self, function, calls=20):
        """Replays so many calls at once; None where they cannot be captured."""
        if self.emulated:
            return None
        torch = self.torch
        try:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                function()
            torch.cuda.current_stream().wait_stream(side)
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                for _ in range(calls):
                    function()
            graph.replay()
            torch.cuda.synchronize()
        except (RuntimeError, SystemExit) as error:
            print(f"  (no graph: {str(error).splitlines()[0]})", file=sys.stderr)
            with contextlib.suppress(RuntimeError):
                torch.cuda.synchronize()
            return None
        return graph.replay

    def describe(self):
        if self.emulated:
            return {"device": "none: emulated", "torch": self.torch.__version__}
        torch = self.torch
        properties = torch.cuda.get_device_properties(0)
        found = {"device": properties.name, "multiprocessors": properties.multi_processor_count,
                 "memory_GiB": round(properties.total_memory / 2**30, 1),
                 "capability": "{}.{}".format(*torch.cuda.get_device_capability(0)),
                 "torch": torch.__version__, "CUDA": torch.version.cuda}
        fields = ("driver_version", "clocks.sm", "clocks.mem", "clocks.max.sm", "clocks.max.mem",
                  "power.limit", "temperature.gpu")
        if shutil.which("nvidia-smi"):
            said = subprocess.run(["nvidia-smi", f"--query-gpu={','.join(fields)}", "-i", "0",
                                   "--format=csv,noheader"], capture_output=True, text=True)
            if said.returncode == 0:
                found.update(zip(fields, map(str.strip, said.stdout.split(","))))
        return found


def load_torch(emulated):
    """torch with a GPU, or an end that says why there is none."""
    try:
        import torch
    except ImportError as error:
        raise SystemExit(f"nothing was measured: there is no torch here ({error})")
    if not emulated and not torch.cuda.is_available():
        raise SystemExit("nothing was measured: there is no NVIDIA GPU here "
                         f"(torch {torch.__version__}, CUDA {torch.version.cuda})")
    return torch


# ===----------------------------------------------------------------------===
# Tensors of a kernel
# ===----------------------------------------------------------------------===

def shape_of(name, elements):
    """The shape with about so many elements."""
    if name.endswith("channel"):
        inner = min(max(elements, 1), CHANNEL_SIZE)
        return elements // inner, inner
    if name.endswith("image"):
        inner = min(max(elements // IMAGE[0], 1), IMAGE[1])
        return elements // (IMAGE[0] * inner), IMAGE[0], inner
    if name.endswith("last"):
        return elements // LAST, LAST
    if name.startswith("product"):
        return elements // 96, 96
    if name.startswith("mx"):
        return elements // 32, 32
    if name.startswith("convolution"):
        return elements // 800, 8, 10, 10
    if name == "packed":
        return 1001, 64  # rows that end in a byte
    return (elements,)


class Problem:
    """Tensors of a kernel, and calls on them."""

    def __init__(self, machine, folder, name, dtype, elements, variant=""):
        torch = machine.torch
        self.machine, self.name, self.dtype = machine, name, dtype
        self.shape = shape_of(name, elements)
        self.library = Library(torch, folder / f"lib{name}_{dtype}{variant}.so")
        kind = getattr(torch, _NAMES[dtype])
        generator = torch.Generator(machine.device).manual_seed(elements)

        def random(shape):
            # In parts: torch draws in f32, which would be twice as much memory.
            made = torch.empty(shape, dtype=kind, device=machine.device)
            for part in made.view(-1).split(1 << 26):
                part.copy_(torch.randn(part.shape, device=machine.device, generator=generator))
            return made
        self.x = random(self.shape)
        if name.startswith("product"):
            self.parameters = [random((96, 80))]
        elif name.startswith("convolution"):
            self.parameters = [random((16, 8, 3, 3))]
        elif name == "mx_gradient":
            self.parameters = [random(self.shape)]
        else:
            channels = {"channel": 0, "image": 1, "last": 1}.get(name.rpartition("_")[2])
            first = () if channels is None else (self.shape[channels],)
            shapes = [first] + [()] * (2 if name.startswith("int_quant") else 0)
            values = {"pact": 1.5, "sign": 0.7}.get(name, 0.2), 0.0, 4.0
            self.parameters = [torch.full(s, v, device=machine.device)
                               for s, v in zip(shapes, values)]
        self.y, = self.library.results("forward", [self.x, *self.parameters])
        self.forward = self.library.bind("forward", [self.x, *self.parameters], [self.y],
                                         machine.stream)
        self.has_backward = "backward" in self.library.functions
        if self.has_backward:
            self.dy = random(self.shape)
            self.dx, self.dp = self.library.results("backward", [self.x, *self.parameters, self.dy])
            given = [self.x, *self.parameters, self.dy]
            self.backward = self.library.bind("backward", given, [self.dx, self.dp],
                                              machine.stream)
            if not variant:
                # The same with atomic additions, whose sum is of no fixed order.
                atomic = Library(torch, folder / f"lib{name}_{dtype}_atomic.so")
                self.atomic_dp = torch.empty_like(self.dp)
                self.atomic = atomic.bind("backward", given, [self.dx, self.atomic_dp],
                                          machine.stream)

    @property
    def bytes(self):
        return self.x.numel() * self.x.element_size()

    def copy(self):
        """From the device to the device, of the data's size."""
        self.y.copy_(self.x)

    def stream(self, direction):
        """As many reads and writes as the kernel's, by torch."""
        if direction == "forward":
            return lambda: self.y.copy_(self.x)
        return lambda: self.machine.torch.add(self.x, self.dy, out=self.dx)


# ===----------------------------------------------------------------------===
# Right
# ===----------------------------------------------------------------------===

class Wrong(Exception):
    """A result that is not what it should be."""


def _same_bits(torch, have, want, what):
    have, want = have.cpu(), want.cpu()
    same = (have == want) | (have.isnan() & want.isnan())
    if not bool(same.all()):
        at = int((~same).flatten().nonzero()[0])
        raise Wrong(f"{what}: {int((~same).sum())} of {have.numel()} differ; element {at}: "
                    f"{have.flatten()[at].item()!r}, expected {want.flatten()[at].item()!r}")


def _close(torch, have, want, bound, what):
    worst = (have.double().cpu() - want.double().cpu()).abs()
    bad = worst > bound
    if not worst.numel():
        return
    if bool(bad.any()) or bool(have.isnan().any()):
        raise Wrong(f"{what}: off by up to {worst.max().item():.3g}, expected at most "
                    f"{float(bound.max() if hasattr(bound, 'max') else bound):.3g}")


def check_beside_cpu(problem, folder):
    """All but sums have the bits of the processor; sums are as near as their types allow."""
    torch = problem.machine.torch
    path = folder / f"lib{problem.name}_{problem.dtype}_cpu.so"
    library = Library(torch, path)
    for name in library.functions:
        arguments = [t.cpu() for t in (problem.x, *problem.parameters)]
        results = [problem.y]
        if name == "backward":
            arguments.append(problem.dy.cpu())
            results = [problem.dx, problem.dp]
        wanted = library.results(name, arguments)
        library.bind(name, arguments, wanted, lambda: 0)()
        what = f"{problem.name} {problem.dtype} {tuple(problem.shape)} @{name}"
        if problem.name in ROUNDED:
            bound = ROUNDED[problem.name][problem.dtype != "f32"]
            _close(torch, results[0], wanted[0], bound * (1 + wanted[0].double().abs()), what)
            continue
        _same_bits(torch, results[0], wanted[0], what)
        if name == "backward":
            count = problem.x.numel() // max(1, wanted[1].numel())
            bound = 1e-5 + 1e-5 * wanted[1].double().abs() + 1e-6 * count
            for have, how in (results[1], ""), (problem.atomic_dp, " by atomic additions"):
                _close(torch, have, wanted[1], bound, f"{what}, the parameter's gradient{how}")


def check_beside_torch(problem, known):
    """The formula's values to one step of the scale where rounding may differ, in few places."""
    torch, machine = problem.machine.torch, problem.machine
    forward, backward = known.get(problem.name, (None, None))
    if not forward or not problem.x.numel():
        return
    what = f"{problem.name} {problem.dtype} {tuple(problem.shape)} beside torch"

    def few_differ(have, want, tolerance, name):
        wrong = ((have.float() - want.float()).abs() > tolerance).float().mean().item()
        if wrong > 1e-3 + 2 / have.numel():
            raise Wrong(f"{what}: {wrong:.2%} of {name} differ")
    tolerance = {"f32": 1e-5}.get(problem.dtype, 2e-2)
    few_differ(problem.y, forward(problem.x, *problem.parameters), tolerance, "y")
    dx, dp = backward(problem.x, *problem.parameters, problem.dy)
    few_differ(problem.dx, dx, 0, "dx")
    count = problem.x.numel() / max(1, dp.numel())
    _close(torch, problem.dp, dp.reshape(problem.dp.shape),
           1e-3 + 2e-2 * math.sqrt(count) + 1e-4 * count, what + ", the parameter's gradient")
    machine.synchronize()


def check_end(problem, known):
    """The last elements of an array too large to look at whole."""
    forward, _ = known.get(problem.name, (None, None))
    if not forward:
        return
    problem.forward()
    count = 4096 if problem.x.dim() == 1 else 1
    per_row = problem.name.endswith("channel")
    parameters = [p[-count:] if per_row and p.dim() else p for p in problem.parameters]
    have, want = problem.y[-count:], forward(problem.x[-count:], *parameters)
    tolerance = {"f32": 1e-5}.get(problem.dtype, 2e-2)
    wrong = ((have.float() - want.float()).abs() > tolerance).float().mean().item()
    if wrong > 1e-3 + 2 / have.numel():
        raise SystemExit(f"error: {problem.name} {problem.dtype} {tuple(problem.shape)}: "
                         f"{wrong:.2%} of the last elements are wrong")


def check(machine, folder, sizes, wanted):
    """Every class of kernel: how many of its cases are wrong."""
    known = gpu_peers.formulas(machine.torch)
    wrong = dict.fromkeys(wanted, 0)
    has_cpu = platform.machine() == "x86_64"
    if not has_cpu:
        print("not compared with a processor's results: this one is no x86-64")
    for name in wanted:
        for dtype in ONLY.get(name, TYPES):
            said = "right"
            for size in sizes:
                try:
                    problem = Problem(machine, folder, name, dtype, size)
                    problem.forward()
                    if problem.has_backward:
                        problem.atomic()
                        problem.backward()
                        first = problem.dp.clone()
                        problem.backward()
                        _same_bits(machine.torch, problem.dp, first, "a sum the second time")
                    machine.synchronize()
                    if has_cpu:
                        check_beside_cpu(problem, folder)
                    check_beside_torch(problem, known)
                except Wrong as error:
                    said = f"WRONG: {error}"
                    wrong[name] += 1
                except SystemExit as error:
                    is_absent = name.endswith("cublas") and "no cuBLAS" in str(error)
                    said = f"{'not there' if is_absent else 'WRONG'}: {error}"
                    wrong[name] += not is_absent
                    if is_absent:
                        break
            print(f"{name:20} {dtype:5} {said}", flush=True)
    return wrong


# ===----------------------------------------------------------------------===
# Fast
# ===----------------------------------------------------------------------===

def measure(machine, functions, rounds):
    """name -> median seconds; the functions take turns."""
    repeats = {}
    for name, function in functions.items():
        function()
        machine.synchronize()
        repeats[name] = max(1, min(1000, int(5e-3 / max(1e-6, machine.time(function, 3)))))
        if machine.emulated:
            repeats[name] = 1
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            times[name].append(machine.time(function, repeats[name]))
    return {name: statistics.median(t) for name, t in times.items()}


def measure_graphs(machine, functions, rounds, calls=20):
    """The same for a graph of calls of each; those that have one."""
    graphs = {name: machine.graph(f, calls) for name, f in functions.items()}
    times = measure(machine, {n: g for n, g in graphs.items() if g}, rounds)
    return {name: t / calls for name, t in times.items()}


class Peers:
    """Calls of others on the same tensors."""

    def __init__(self, machine, wanted, compile_sizes):
        self.machine, self.wanted, self.compile_sizes = machine, wanted, compile_sizes
        self.formulas = gpu_peers.formulas(machine.torch)
        self.triton = {}
        if "triton" in wanted:
            try:
                self.triton = gpu_peers.triton_kernels(machine.torch)
            except ImportError as error:
                print(f"without Triton: {error}")
        backend = "eager" if machine.emulated else "inductor"
        self.compiled = {name: tuple(machine.torch.compile(f, backend=backend) for f in both)
                         for name, both in self.formulas.items()}

    def get(self, problem, direction, log2):
        """name -> call."""
        at = ("forward", "backward").index(direction)
        given = [problem.x, *problem.parameters] + ([problem.dy] if at else [])
        results = [problem.dx, problem.dp] if at else [problem.y]
        found = {}
        if problem.name in self.formulas:
            if "torch" in self.wanted:
                found["torch"] = lambda: self.formulas[problem.name][at](*given)
            if "compile" in self.wanted and log2 in self.compile_sizes:
                found["compile"] = lambda: self.compiled[problem.name][at](*given)
        if problem.name in self.triton:
            found["triton"] = lambda: self.triton[problem.name][at](*given, *results)
        return {name: call for name, call in found.items() if self.works(name, problem, call)}

    def works(self, name, problem, call):
        """A peer that fails is left out, and named."""
        try:
            call()
            self.machine.synchronize()
            return True
        except Exception as error:  # noqa: BLE001  whatever it is, it is not ours
            print(f"  ({name} {problem.name} {problem.dtype}: "
                  f"{type(error).__name__}: {str(error).splitlines()[0][:100]})", file=sys.stderr)
            return False


_REFERENCES = ("quant_ste", "stream", "copy")


def print_row(row):
    others = {k: v for k, v in row["seconds"].items() if k not in _REFERENCES}
    graph = row["graph_seconds"].get("quant_ste")
    print(f"{row['kernel']:20} {row['type']:5} {row['direction']:9} {row['elements']:11} "
          f"{row['seconds']['quant_ste'] * 1e6:10.1f} "
          f"{'' if graph is None else f'{graph * 1e6:.1f}':>10} {row['rate'] * 1e-9:8.0f} "
          f"{row['of_copy']:8.1%} {row['of_stream']:9.1%}  "
          + ", ".join(f"{k} {v * 1e6:.1f}" for k, v in others.items()), flush=True)


def measure_kernels(machine, folder, options, rows, save, deadline):
    peers = Peers(machine, options.peers, options.compile_sizes)
    print(f"{'kernel':20} {'type':5} {'direction':9} {'elements':>11} {'us':>10} {'graph us':>10} "
          f"{'GB/s':>8} {'of copy':>8} {'of stream':>9}  peers / us")
    for log2 in sorted(options.sizes, key=lambda n: (n != 26, n)):  # the goals' size first
        for name in (k for k in KERNELS if k in options.kernels):
            for dtype in MEASURED_TYPES:
                if time.monotonic() > deadline:
                    print("the time is over")
                    return
                problem = Problem(machine, folder, name, dtype, 1 << log2)
                if not problem.x.numel():
                    continue
                check_end(problem, peers.formulas)
                for direction, arrays in (("forward", 2), ("backward", 3)):
                    calls = {"quant_ste": getattr(problem, direction),
                             "copy": problem.copy,
                             "stream": problem.stream(direction),
                             **({"atomic": problem.atomic} if direction == "backward" else {}),
                             **peers.get(problem, direction, log2)}
                    times = measure(machine, calls, options.rounds)
                    graphs = {}
                    if options.graphs and log2 <= 22:
                        graphs = measure_graphs(machine, calls, options.rounds)
                    own = graphs.get("quant_ste", times["quant_ste"])
                    own_of = graphs if "quant_ste" in graphs else times
                    stream, copy = (own_of.get(n, times[n]) for n in ("stream", "copy"))
                    rows.append(dict(
                        kernel=name, type=dtype, direction=direction,
                        elements=problem.x.numel(), seconds=times, graph_seconds=graphs,
                        bytes=problem.bytes, rate=arrays * problem.bytes / own,
                        of_copy=arrays / 2 * copy / own, of_stream=stream / own))
                    print_row(rows[-1])
                    save()
                del problem, calls
                if not machine.emulated:
                    machine.torch.cuda.empty_cache()


def measure_networks(machine, folder, options, networks, save, deadline):
    """All weights of a network at once."""
    torch = machine.torch
    shapes = json.loads((folder / "check.json").read_text())["shapes"]
    for name, (_, dtype) in NETWORKS.items():
        if time.monotonic() > deadline:
            print("the time is over")
            return
        library = Library(torch, folder / f"lib{name}.so")
        kind = getattr(torch, _NAMES[dtype])
        weights = [torch.randn(s, device=machine.device).to(kind) for s in shapes[name]]
        scales = [0.01 + 0.001 * (i % 7) for i in range(len(weights))]
        on_device = [torch.tensor(s, device=machine.device) for s in scales]
        results = library.results("forward", [*weights, *on_device])
        calls = {"quant_ste": library.bind("forward", [*weights, *on_device], results,
                                           machine.stream)}
        calls["quant_ste"]()
        machine.synchronize()
        for w, s, have in zip(weights, scales, results):
            want = torch.clamp(torch.round(w.float() / torch.tensor(s)), -8, 7) * torch.tensor(s)
            few = ((have.float() - want).abs() > 1e-2 * s + (8e-3 if dtype == "bf16" else 0)
                   * want.abs()).float().mean()
            if few > 1e-3 + 2 / w.numel():
                raise SystemExit(f"error: {name}: {few.item():.2%} of the weights are wrong")
        others = gpu_peers.multi_tensor(torch)
        for peer, f in others.items():
            calls[peer] = lambda f=f: f(weights, scales)
        if "compile" in options.peers:
            compiled = torch.compile(others["torch"],
                                     backend="eager" if machine.emulated else "inductor")
            calls["compile"] = lambda: compiled(weights, scales)
        usable = {}
        for peer, call in calls.items():
            try:
                call()
                usable[peer] = call
            except Exception as error:  # noqa: BLE001
                print(f"  ({peer} {name}: {str(error).splitlines()[0][:100]})", file=sys.stderr)
        times = measure(machine, usable, options.rounds)
        graphs = measure_graphs(machine, usable, options.rounds, 5) if options.graphs else {}
        moved = 2 * sum(w.numel() * w.element_size() for w in weights)
        networks.append(dict(network=name, type=dtype, tensors=len(weights), bytes=moved,
                             seconds=times, graph_seconds=graphs))
        print(f"{name}: {len(weights)} tensors, {moved / 2e6:.0f} MB: " + ", ".join(
            f"{k} {v * 1e6:.0f} us" for k, v in times.items()), flush=True)
        save()
        del weights, results, calls, usable


# ===----------------------------------------------------------------------===
# A step with convolutions
# ===----------------------------------------------------------------------===

def step_shapes(is_small):
    """Of x and w: a layer of a ResNet, and one of its 1 x 1 convolutions."""
    if is_small:
        return [((2, 8, 10, 10), (16, 8, 3, 3)), ((2, 8, 6, 6), (16, 8, 1, 1))]
    return [((32, 64, 58, 58), (64, 64, 3, 3)), ((32, 256, 16, 16), (256, 256, 3, 3)),
            ((32, 256, 56, 56), (64, 256, 1, 1))]


def _step_text(x, w):
    """y, and the gradients by x, w, the scales and PACT's bound."""
    y = (x[0], w[0], *(n - k + 1 for n, k in zip(x[2:], w[2:])))
    tx, tw, ty = (f"tensor<{'x'.join(map(str, t))}xf32>" for t in (x, w, y))
    ts, ta = f"tensor<{w[0]}xf32>", "tensor<f32>"
    return f"""
func.func private @layer(%x: {tx}, %w: {tw}, %s: {ts}, %a: {ta}) -> {ty} {{
  %zero = arith.constant dense<0.0> : {ta}
  %bits = arith.constant dense<4.0> : {ta}
  %q = quant_ste.int_quant %w, %s axes([0]), %zero, %bits signed grad(clipped)
    : {tw}, {ts}, {ta}, {ta}
  %none = arith.constant 0.0 : f32
  %e = tensor.empty() : {ty}
  %f = linalg.fill ins(%none : f32) outs(%e : {ty}) -> {ty}
  %c = linalg.conv_2d_nchw_fchw ins(%x, %q : {tx}, {tw}) outs(%f : {ty}) -> {ty}
  %y = quant_ste.pact %c, %a bits(4) grad(pact_paper) : {ty}, {ta}
  return %y : {ty}
}}
func.func @step(%x: {tx}, %w: {tw}, %s: {ts}, %a: {ta}, %dy: {ty})
    -> ({ty}, {tx}, {tw}, {ts}, {ta}) {{
  %y, %dx, %dw, %ds, %da = quant_ste.vjp @layer(%x, %w, %s, %a) cotangents(%dy) wrt [0, 1, 2, 3]
    : ({tx}, {tw}, {ts}, {ta}), ({ty}) -> ({ty}, {tx}, {tw}, {ts}, {ta})
  return %y, %dx, %dw, %ds, %da : {ty}, {tx}, {tw}, {ts}, {ta}
}}"""


def measure_steps(machine, folder, options, steps, save, deadline):
    """By cuBLAS, by the plain kernel, and torch's (cuDNN, in f32 proper)."""
    torch = machine.torch
    if not machine.emulated:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    step = gpu_peers.convolution_step(torch)
    compiled = torch.compile(step, backend="eager" if machine.emulated else "inductor")
    for i, (x, w) in enumerate(json.loads((folder / "check.json").read_text())["steps"]):
        if time.monotonic() > deadline:
            print("the time is over")
            return
        random = lambda shape: torch.randn(shape, device=machine.device)  # noqa: E731
        given = [random(x), random(w), torch.full((w[0],), 0.3, device=machine.device),
                 torch.tensor(6.0, device=machine.device)]
        given.append(random((x[0], w[0], *(n - k + 1 for n, k in zip(x[2:], w[2:])))))
        calls, wanted = {}, step(*given)
        for name, suffix in (("quant_ste", ""), ("plain", "_plain")):
            library = Library(torch, folder / f"libstep{i}{suffix}.so")
            results = library.results("step", given)
            call = library.bind("step", given, results, machine.stream)
            try:
                call()
            except SystemExit as error:
                if suffix or "no cuBLAS" not in str(error):
                    raise
                print(f"  ({error})", file=sys.stderr)
                continue
            machine.synchronize()
            for what, have, want in zip(("y", "dx", "dw", "ds", "da"), results, wanted):
                off = (have - want.reshape(have.shape)).norm() / want.norm()
                # What lies at the edge of a step may fall on its other side.
                if not off < 0.02:
                    raise SystemExit(f"error: step of {x}, {w}, {name}: {what} is off by "
                                     f"{off.item():.2%}")
            calls[name] = call
        if "torch" in options.peers:
            calls["torch"] = lambda: step(*given)
        if "compile" in options.peers:
            calls["compile"] = lambda: compiled(*given)
        times = measure(machine, calls, options.rounds)
        steps.append(dict(x=x, w=w, seconds=times))
        print(f"step of {x}, {w}: " + ", ".join(f"{k} {v * 1e6:.0f} us" for k, v in times.items()),
              flush=True)
        save()
        del given, calls, wanted, results


# ===----------------------------------------------------------------------===
# Goals
# ===----------------------------------------------------------------------===

def goals(found):
    """(met, missed or not measured; what; the worst case) of each."""
    rows = found["rows"]

    def best(row, name):
        """The time of a call: of both by graphs, or of both without."""
        graphs = row.get("graph_seconds", {})
        own = graphs if "quant_ste" in graphs and name in graphs else row["seconds"]
        return own["quant_ste"] / own[name]

    def name(row):
        return "{kernel} {type} {direction} {elements}".format(**row)

    def judge(goal, ratios, limit, is_at_least):
        """`ratios`: (ratio, what)."""
        ratios = list(ratios)
        if not ratios:
            return "NOT MEASURED", goal, "no such row"
        worst, what = (min if is_at_least else max)(ratios)
        bad = sum((r < limit) if is_at_least else (r > limit) for r, _ in ratios)
        return ("MISSED" if bad else "met", goal,
                f"worst {worst:.3f}: {what}; {len(ratios) - bad} of {len(ratios)}")
    large = [r for r in rows if r["bytes"] >= 64 << 20]
    is_channel = {id(r): r["kernel"].startswith("int_quant_") for r in rows}
    wrong = [kernel for kernel, n in found["wrong"].items() if n]
    missing = [k for k in (*KERNELS, *CHECKED) if k not in found["wrong"]]
    yield ("MISSED" if wrong else "NOT MEASURED" if missing else "met",
           "every class of kernel is right",
           "wrong: " + ", ".join(wrong) if wrong else "not checked: " + ", ".join(missing)
           if missing else f"{len(found['wrong'])} of them")
    for direction in ("forward", "backward"):
        of = [r for r in large if r["direction"] == direction]
        yield judge(f"{direction} at least 95 % of the copy from 64 MiB on",
                    ((r["of_copy"], name(r)) for r in of if not is_channel[id(r)]), 0.95, True)
        yield judge(f"{direction} per channel at least 92 %",
                    ((r["of_copy"], name(r)) for r in of if is_channel[id(r)]), 0.92, True)
    yield judge("ordered sums at most 10 % slower than atomic ones",
                ((best(r, "atomic"), name(r)) for r in rows if "atomic" in r["seconds"]), 1.1,
                False)
    for peer in ("torch", "compile", "triton"):
        yield judge(f"ahead of {peer} at every size",
                    ((best(r, peer), name(r)) for r in rows if peer in r["seconds"]), 1, False)
    for peer in ("foreach", "torch", "compile"):
        yield judge(f"all weights of a network ahead of {peer}",
                    ((best(n, peer), n["network"]) for n in found["networks"]
                     if peer in n["seconds"]), 1, False)
    for peer in ("torch", "compile"):
        yield judge(f"a step with convolutions ahead of {peer}",
                    ((best(n, peer), "x".join(map(str, n["x"]))) for n in found["steps"]
                     if {peer, "quant_ste"} <= set(n["seconds"])), 1, False)


def print_goals(found):
    print("goals:")
    for state, goal, detail in goals(found):
        print(f"{state:12} {goal} ({detail})")


def merge(old, new):
    """Rows that only the old one has stay."""
    keys = {"rows": ("kernel", "type", "direction", "elements"), "networks": ("network",),
            "steps": ("x", "w")}
    for kind, fields in keys.items():
        key = lambda row: [row[f] for f in fields]  # noqa: B023, E731
        mine = [key(row) for row in new[kind]]
        new[kind] = [row for row in old[kind] if key(row) not in mine] + new[kind]
    new["wrong"] = {**old["wrong"], **new["wrong"]}
    return new


def run(folder, options):
    torch = load_torch(options.emulated)
    machine = Machine(torch, options.emulated)
    # One function is compiled for many shapes and types, and not to fall back.
    import torch._dynamo.config as dynamo
    for name in ("recompile_limit", "cache_size_limit"):
        with contextlib.suppress(AttributeError):
            setattr(dynamo, name, 256)
    described = machine.describe()
    print(", ".join(f"{k} {v}" for k, v in described.items()))
    deadline = time.monotonic() + options.time_limit
    rows, networks, steps = [], [], []
    old = None
    if options.append and options.json and options.json.exists():
        old = json.loads(options.json.read_text())
        if old["machine"].get("device") != described["device"]:
            raise SystemExit(f"error: {options.json} is of {old['machine'].get('device')}, this is "
                             f"{described['device']}")

    def collect():
        found = dict(machine=described, wrong=wrong, rows=list(rows), networks=list(networks),
                     steps=list(steps))
        return merge(old, found) if old else found

    def save():
        if options.json:
            options.json.write_text(json.dumps(collect(), indent=1) + "\n")
    wrong = check(machine, folder, options.check_sizes, options.kernels)
    save()
    is_right = not any(wrong.values())
    print("everything is right" if is_right else f"{sum(wrong.values())} are wrong")
    if not options.check_only:
        if options.networks:
            measure_networks(machine, folder, options, networks, save, deadline)
            measure_steps(machine, folder, options, steps, save, deadline)
        measure_kernels(machine, folder, options, rows, save, deadline)
        print_goals(collect())
    if not is_right:
        raise SystemExit("error: " + ", ".join(name for name, n in wrong.items() if n)
                         + ": wrong")


# ===----------------------------------------------------------------------===
# --docs
# ===----------------------------------------------------------------------===

_BEGIN, _END = "<!-- benchmarks/gpu.py begins -->", "<!-- benchmarks/gpu.py ends -->"


def render(found):
    """The figures as a section of docs/performance.md."""
    machine = found["machine"]
    lines = [_BEGIN, "", "## NVIDIA GPUs", "",
             "By `benchmarks/gpu.py` on " + ", ".join(f"{k} {v}" for k, v in machine.items()) + ".",
             "Times in us of one call; `of stream` beside a stream of the same reads and writes.",
             "Up to 2^22 elements by CUDA graphs where these could be made.", ""]
    peers = sorted({k for row in found["rows"] for k in row["seconds"]} - set(_REFERENCES))
    lines += ["| kernel | type | direction | elements | us | GB/s | of copy | of stream | "
              + " | ".join(peers) + " |", "|---" * (8 + len(peers)) + "|"]
    for row in found["rows"]:
        best = {**row["seconds"], **row["graph_seconds"]}
        others = [f"{best[p] * 1e6:.1f}" if p in best else "" for p in peers]
        lines.append(f"| {row['kernel']} | {row['type']} | {row['direction']} | {row['elements']} | "
                     f"{best['quant_ste'] * 1e6:.1f} | {row['rate'] * 1e-9:.0f} | "
                     f"{row['of_copy']:.1%} | {row['of_stream']:.1%} | " + " | ".join(others) + " |")
    lines += ["", "All weights of a network:", "", "| network | tensors | MB | us |", "|---|---|---|---|"]
    for n in found["networks"]:
        lines.append(f"| {n['network']} {n['type']} | {n['tensors']} | {n['bytes'] / 2e6:.0f} | " +
                     ", ".join(f"{k} {v * 1e6:.0f}" for k, v in n["seconds"].items()) + " |")
    lines += ["", "Steps of a quantized convolution (weights by int_quant per channel, "
              "PACT behind it), f32:", "", "| x | w | us |", "|---|---|---|"]
    for n in found["steps"]:
        lines.append("| {} | {} | ".format(*("x".join(map(str, n[k])) for k in "xw")) + ", ".join(
            f"{k} {v * 1e6:.0f}" for k, v in n["seconds"].items()) + " |")
    lines += ["", "Goals:", ""]
    lines += [f"- {state}: {goal} ({detail})" for state, goal, detail in goals(found)]
    return "\n".join([*lines, "", _END])


def write_docs(found, path):
    """Puts the section where it was, or at the end."""
    text = path.read_text()
    section = render(found)
    pattern = re.compile(re.escape(_BEGIN) + ".*?" + re.escape(_END), re.DOTALL)
    if pattern.search(text):
        text = pattern.sub(lambda _: section, text)
    else:
        text = text.rstrip("\n") + "\n\n" + section + "\n"
    path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--run", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--docs", type=pathlib.Path, metavar="JSON",
                        help="write what --json has written to docs/performance.md")
    parser.add_argument("--goals", type=pathlib.Path, metavar="JSON",
                        help="say of what --json has written which goals are met")
    parser.add_argument("--docs-file", type=pathlib.Path, default=ROOT / "docs/performance.md")
    parser.add_argument("--chip", default="sm_90")
    parser.add_argument("--pipeline", default="", help="options of quant-ste-gpu-pipeline")
    parser.add_argument("--qopt-compile", default=ROOT / "build/release/bin/qopt-compile")
    parser.add_argument("--kernels", nargs="+", choices=[*KERNELS, *CHECKED], metavar="NAME",
                        default=[*KERNELS, *CHECKED], help=", ".join([*KERNELS, *CHECKED]))
    parser.add_argument("--small", action="store_true", help="networks of small tensors")
    parser.add_argument("--emulated", action="store_true",
                        help="without a GPU: libraries of --pipeline=bitcode on the driver that "
                             "QUANT_STE_LIBCUDA names, whose memory is the host's")
    parser.add_argument("--sizes", type=int, nargs="*", metavar="LOG2",
                        default=[12, 14, 16, 18, 20, 22, 24, 26, 28, 30],
                        help="elements, as powers of 2")
    parser.add_argument("--check-sizes", type=int, nargs="+", metavar="N", default=TAILS)
    parser.add_argument("--check-only", action="store_true")
    parser.add_argument("--compile-sizes", type=int, nargs="*", metavar="LOG2",
                        help="where torch.compile takes part (all)")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--no-networks", dest="networks", action="store_false",
                        help="neither networks nor steps")
    parser.add_argument("--no-graphs", dest="graphs", action="store_false")
    parser.add_argument("--peers", nargs="*", default=["torch", "compile", "triton"])
    parser.add_argument("--time-limit", type=float, metavar="SECONDS", default=540)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--append", action="store_true", help="to what is in --json already")
    options = parser.parse_args()
    if options.compile_sizes is None:
        options.compile_sizes = options.sizes
    if options.goals:
        print_goals(json.loads(options.goals.read_text()))
        return
    if options.docs:
        write_docs(json.loads(options.docs.read_text()), options.docs_file)
        return
    if options.build:
        build(options.build, options.chip, options.qopt_compile, options.pipeline, options.small,
              options.kernels)
    if options.run:
        run(options.run, options)
    if not options.build and not options.run:
        folder = pathlib.Path("build/gpu-benchmark")
        build(folder, options.chip, options.qopt_compile, options.pipeline, options.small,
              options.kernels)
        run(folder, options)


if __name__ == "__main__":
    main()
