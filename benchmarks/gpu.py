#!/usr/bin/env python3
"""Kernels on an NVIDIA GPU: right, and then how fast beside copies and peers.

    benchmarks/gpu.py --build FOLDER --chip sm_90   where quant_ste was built
    benchmarks/gpu.py --run FOLDER                  where the GPU is

The first writes one shared library for each kernel, by qopt-compile; the second
needs these, the files of this folder, and a torch with CUDA (and triton, unless
--peers says otherwise). Without --build or --run both are done here.

Times are medians of pairs that take turns with a copy of the same bytes, by CUDA
events, in a loop long enough for the clock. `of copy` is the copy's time per byte
over the kernel's.
"""
import argparse
import ctypes
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]

# %T is f32 or bf16. Functions @forward and @backward; parameters are f32.
_BODY = """
func.func private @q(%x: tensor<{shape}x%T>, {declared}) -> tensor<{shape}x%T> {{
  %y = quant_ste.{op} : tensor<{shape}x%T>, {types}
  return %y : tensor<{shape}x%T>
}}
func.func @forward(%x: tensor<{shape}x%T>, {declared}) -> tensor<{shape}x%T> {{
  %y = quant_ste.{op} : tensor<{shape}x%T>, {types}
  return %y : tensor<{shape}x%T>
}}
func.func @backward(%x: tensor<{shape}x%T>, {declared}, %dy: tensor<{shape}x%T>)
    -> (tensor<{shape}x%T>, {wanted}) {{
  %y, %dx, %dp = quant_ste.vjp @q(%x, {used}) cotangents(%dy) wrt [0, 1]
    : (tensor<{shape}x%T>, {types}), (tensor<{shape}x%T>)
    -> (tensor<{shape}x%T>, tensor<{shape}x%T>, {wanted})
  return %dx, %dp : tensor<{shape}x%T>, {wanted}
}}
"""


def _text(op, shape, parameters):
    """`parameters`: name -> type; the gradient of the first is wanted."""
    return _BODY.format(
        op=op, shape=shape, used=", ".join(f"%{p}" for p in parameters),
        declared=", ".join(f"%{p}: {t}" for p, t in parameters.items()),
        types=", ".join(parameters.values()), wanted=next(iter(parameters.values())))


_SCALAR, _CHANNELS = "tensor<f32>", "tensor<?xf32>"
_INT = dict(s=_SCALAR, z=_SCALAR, b=_SCALAR)
KERNELS = {
    "pact": _text("pact %x, %a bits(4) grad(pact)", "?", dict(a=_SCALAR)),
    "lsq": _text("lsq %x, %s qmin(-8) qmax(7) grad_scale(0.01) grad(lsq)", "?", dict(s=_SCALAR)),
    "int_quant": _text("int_quant %x, %s, %z, %b signed grad(clipped)", "?", _INT),
    "int_quant_channel": _text("int_quant %x, %s axes([0]), %z, %b signed grad(clipped)", "?x?",
                               {**_INT, "s": _CHANNELS}),
}
TYPES = {"f32": 4, "bf16": 2}
CHANNEL_SIZE = 4096  # elements of a channel
MODULES = [(name, dtype) for name in KERNELS for dtype in TYPES]


def _library(folder, name, dtype):
    return folder / f"lib{name}_{dtype}.so"


# ===----------------------------------------------------------------------===
# --build
# ===----------------------------------------------------------------------===

def build(folder, chip, qopt_compile, pipeline):
    folder.mkdir(parents=True, exist_ok=True)
    for name, dtype in MODULES:
        source = folder / f"{name}_{dtype}.mlir"
        source.write_text(KERNELS[name].replace("%T", dtype))
        subprocess.run([qopt_compile, source, f"--target=cuda:{chip}", f"--pipeline={pipeline}",
                        "-o", _library(folder, name, dtype)], check=True)
        print(f"{_library(folder, name, dtype)}")


# ===----------------------------------------------------------------------===
# Calls
# ===----------------------------------------------------------------------===

class Kernel:
    """A library's @forward and @backward on tensors that lie where it computes."""

    def __init__(self, folder, name, dtype):
        path = _library(folder, name, dtype)
        if not path.exists():
            raise SystemExit(f"error: no {path}: run with --build {folder} first")
        self.name, self.dtype, self.library = name, dtype, ctypes.CDLL(str(path))
        self.explain = getattr(self.library, path.stem + "_error")
        self.explain.restype = ctypes.c_char_p

    def shape(self, elements):
        if self.name.endswith("channel"):
            inner = min(elements, CHANNEL_SIZE)
            return elements // inner, inner
        return (elements,)

    def parameter_shapes(self, shape):
        first = shape[:1] if self.name.endswith("channel") else ()
        return [first] + [()] * (2 if self.name.startswith("int_quant") else 0)

    def _call(self, function, pointers, shapes, results, stream):
        given = []
        for pointer, shape in zip(pointers, shapes):
            given.append(ctypes.c_void_p(pointer))
            given += [ctypes.c_int64(n) for n in shape]
        given += [ctypes.c_void_p(p) for p in (*results, stream)]
        code = getattr(self.library, function)(*given)
        if code:
            raise SystemExit(f"error: {self.name} {self.dtype}: {self.explain(code).decode()}")

    def forward(self, x, parameters, y, shape, stream):
        self._call("forward", (x, *parameters), (shape, *self.parameter_shapes(shape)), (y,),
                   stream)

    def backward(self, x, parameters, dy, dx, dp, shape, stream):
        self._call("backward", (x, *parameters, dy),
                   (shape, *self.parameter_shapes(shape), shape), (dx, dp), stream)


# ===----------------------------------------------------------------------===
# Peers: the formulas in torch
# ===----------------------------------------------------------------------===

def formulas(torch):
    """name -> (forward, backward) on f32; what Brevitas and the papers say."""
    def unit(x, s, low, high):
        scaled = x / s
        return scaled, torch.clamp(torch.round(scaled), low, high)

    def pact(x, a):
        scale = a / 15
        return torch.round(torch.where(x < 0, 0, torch.minimum(x, a)) / scale) * scale

    def pact_backward(x, a, dy):
        clipped = x >= a
        return (torch.where((x >= 0) & ~clipped, dy, 0),
                torch.where(clipped, dy, 0).sum())

    def int_quant(x, s, z, b):
        last = 2 ** (b - 1)
        s = s.reshape(-1, *([1] * (x.dim() - 1))) if s.dim() else s
        return (torch.clamp(torch.round(x / s + z), -last, last - 1) - z) * s
    return {"pact": (pact, pact_backward), "int_quant": (int_quant, None),
            "int_quant_channel": (int_quant, None)}, unit


def triton_pact(torch):
    """The one-pass backward as one would write it by hand."""
    import triton
    import triton.language as tl

    @triton.jit
    def kernel(x, dy, a, dx, da, n, BLOCK: tl.constexpr):
        at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        inside = at < n
        v = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
        g = tl.load(dy + at, mask=inside, other=0.0).to(tl.float32)
        alpha = tl.load(a)
        clipped = v >= alpha
        tl.store(dx + at, tl.where((v >= 0) & (v < alpha), g, 0.0), mask=inside)
        tl.atomic_add(da, tl.sum(tl.where(clipped, g, 0.0)))

    def backward(x, a, dy, dx, da):
        n = x.numel()
        da.zero_()
        kernel[(triton.cdiv(n, 4096),)](x, dy, a, dx, da, n, BLOCK=4096)
    return backward


# ===----------------------------------------------------------------------===
# --run
# ===----------------------------------------------------------------------===

def load_torch():
    """torch with a GPU, or an end that says why there is none."""
    try:
        import torch
    except ImportError as error:
        raise SystemExit(f"nothing was measured: there is no torch here ({error})")
    if not torch.cuda.is_available():
        raise SystemExit("nothing was measured: there is no NVIDIA GPU here "
                         f"(torch {torch.__version__}, CUDA {torch.version.cuda})")
    return torch


class Problem:
    """Tensors of a kernel, and calls on them."""

    def __init__(self, torch, kernel, elements):
        self.torch, self.kernel = torch, kernel
        self.shape = kernel.shape(elements)
        dtype = getattr(torch, {"f32": "float32"}.get(kernel.dtype, "bfloat16"))
        generator = torch.Generator("cuda").manual_seed(elements)
        self.x, self.dy = (torch.randn(self.shape, device="cuda", generator=generator).to(dtype)
                           for _ in range(2))
        shapes = kernel.parameter_shapes(self.shape)
        values = (0.05 if kernel.name != "pact" else 1.5), 0.0, 8.0
        self.parameters = [torch.full(s, v, device="cuda") for s, v in zip(shapes, values)]
        self.y, self.dx = torch.empty_like(self.x), torch.empty_like(self.x)
        self.dp = torch.empty_like(self.parameters[0])
        self.stream = torch.cuda.current_stream().cuda_stream

    @property
    def bytes(self):
        return self.x.numel() * self.x.element_size()

    def _parameters(self):
        return [p.data_ptr() for p in self.parameters]

    def forward(self):
        self.kernel.forward(self.x.data_ptr(), self._parameters(), self.y.data_ptr(), self.shape,
                            self.stream)

    def backward(self):
        self.kernel.backward(self.x.data_ptr(), self._parameters(), self.dy.data_ptr(),
                             self.dx.data_ptr(), self.dp.data_ptr(), self.shape, self.stream)

    def copy(self):
        self.y.copy_(self.x)

    def check(self, formulas):
        """The formula's values in f32 to one step; sums to 1e-3, twice the same bits."""
        torch = self.torch
        forward, backward = formulas.get(self.kernel.name, (None, None))
        self.forward()
        if forward:
            want = forward(self.x.float(), *self.parameters)
            step = self.parameters[0].max().item()
            wrong = (self.y.float() - want).abs() > (1e-5 if self.x.element_size() == 4 else step)
            if wrong.any():
                raise SystemExit(f"error: {self.kernel.name} {self.kernel.dtype}: "
                                 f"{int(wrong.sum())} values of {wrong.numel()} are wrong")
        self.backward()
        first = self.dp.clone()
        self.backward()
        if not torch.equal(first, self.dp):
            raise SystemExit(f"error: {self.kernel.name}: a sum has other bits the second time")
        if backward:
            dx, dp = backward(self.x.float(), *self.parameters, self.dy.float())
            if not torch.equal(self.dx.float(), dx):
                raise SystemExit(f"error: {self.kernel.name}: dx is wrong")
            bound = 1e-3 * self.dy.float().abs().sum()
            if (dp - self.dp).abs() > bound:
                raise SystemExit(f"error: {self.kernel.name}: the parameter's gradient is wrong")


def measure(torch, functions, pairs):
    """name -> median seconds; the functions take turns."""
    def once(function, repeats):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(repeats):
            function()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) * 1e-3 / repeats
    repeats = {}
    for name, function in functions.items():
        function()
        torch.cuda.synchronize()
        repeats[name] = max(1, min(1000, int(5e-3 / max(1e-6, once(function, 3)))))
    times = {name: [] for name in functions}
    for _ in range(pairs):
        for name, function in functions.items():
            times[name].append(once(function, repeats[name]))
    return {name: statistics.median(t) for name, t in times.items()}


def peers_of(torch, problem, wanted):
    """Direction -> name -> call."""
    known, _ = formulas(torch)
    forward, _ = known.get(problem.kernel.name, (None, None))
    found = {"forward": {}, "backward": {}}
    if not forward:
        return found

    def eager():
        forward(problem.x, *problem.parameters)
    if "torch" in wanted:
        found["forward"]["torch"] = eager
    if "compile" in wanted:
        compiled = torch.compile(forward)
        found["forward"]["compile"] = lambda: compiled(problem.x, *problem.parameters)
    if "triton" in wanted and problem.kernel.name == "pact":
        backward = triton_pact(torch)
        found["backward"]["triton"] = lambda: backward(problem.x, problem.parameters[0],
                                                       problem.dy, problem.dx, problem.dp)
    return found


def run(folder, sizes, pairs, wanted, output):
    torch = load_torch()
    device = torch.cuda.get_device_properties(0)
    print(f"{device.name}, {device.multi_processor_count} multiprocessors, "
          f"torch {torch.__version__}, CUDA {torch.version.cuda}")
    print(f"{'kernel':20} {'type':5} {'direction':9} {'elements':>11} {'us':>10} {'GB/s':>8} "
          f"{'of copy':>8}  peers / us")
    rows = []
    for name, dtype in MODULES:
        kernel = Kernel(folder, name, dtype)
        for size in sizes:
            problem = Problem(torch, kernel, 1 << size)
            problem.check(formulas(torch)[0])
            peers = peers_of(torch, problem, wanted)
            for direction, arrays in (("forward", 2), ("backward", 3)):
                times = measure(torch, {"quant_ste": getattr(problem, direction),
                                        "copy": problem.copy, **peers[direction]}, pairs)
                own = times["quant_ste"]
                rate = arrays * problem.bytes / own
                of_copy = rate / (2 * problem.bytes / times["copy"])
                others = {k: v for k, v in times.items() if k not in ("quant_ste", "copy")}
                print(f"{name:20} {dtype:5} {direction:9} {1 << size:11} {own * 1e6:10.1f} "
                      f"{rate * 1e-9:8.0f} {of_copy:8.1%}  "
                      + ", ".join(f"{k} {v * 1e6:.1f}" for k, v in others.items()), flush=True)
                rows.append(dict(kernel=name, type=dtype, direction=direction,
                                 elements=1 << size, seconds=times, of_copy=of_copy))
            del problem
            torch.cuda.empty_cache()
    if output:
        output.write_text(json.dumps(dict(device=device.name, torch=torch.__version__, rows=rows),
                                     indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--run", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--chip", default="sm_90")
    parser.add_argument("--pipeline", default="", help="options of quant-ste-gpu-pipeline")
    parser.add_argument("--qopt-compile", default=ROOT / "build/release/bin/qopt-compile")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="LOG2",
                        default=[12, 16, 20, 22, 24, 26, 28, 30], help="elements, as powers of 2")
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--peers", nargs="*", default=["torch", "compile", "triton"])
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    args = parser.parse_args()
    folder = args.build or args.run or ROOT / "build/release/gpu-benchmark"
    if args.build or not args.run:
        if not shutil.which(str(args.qopt_compile)):
            raise SystemExit(f"error: no {args.qopt_compile}: build the preset 'release' first, or "
                             f"give --qopt-compile")
        build(folder, args.chip, args.qopt_compile, args.pipeline)
    if args.run or not args.build:
        run(args.run or folder, args.sizes, args.pairs, args.peers, args.json)


if __name__ == "__main__":
    sys.exit(main())
