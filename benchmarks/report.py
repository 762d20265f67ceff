"""What cpu.py prints and writes: tables, docs/performance.md, plots."""
import collections
import importlib.metadata
import os
import pathlib
import platform
import re
import subprocess
import time

import plots

PEER_VERSIONS = {"torch eager": "torch", "Brevitas": "brevitas", "bitorch": "bitorch",
                 "numpy": "numpy"}
OURS = ("quant_ste", "quant_ste_allocating")
GOALS = "64 MiB and more: forward 0.97, backward 0.95, rows of 49 and channels last 0.85"


def machine(peers, is_warm):
    """Lines that name the machine and what ran on it."""
    lines = []
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
        model = re.search(r"model name\s*:\s*(.*)", text)
        flags = re.search(r"flags\s*:\s*(.*)", text)
        known = ("avx512f", "avx512_bf16", "avx512_fp16", "avx2", "f16c")
        has = [f for f in known if flags and f in flags[1].split()]
        lines.append(f"{model[1] if model else platform.machine()}, {os.cpu_count()} "
                     f"logical processors ({', '.join(has)})")
    except OSError:
        lines.append(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    caches = []
    for index in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, size, kind = ((index / n).read_text().strip() for n in ("level", "size", "type"))
        if kind != "Instruction":
            caches.append(f"L{level} {size}")
    if caches:
        lines.append("caches: " + ", ".join(caches))
    lines.append(f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
                 f"load average {os.getloadavg()[0]:.1f} at the end")
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        lines.append("others were at work on the machine: take the ratios, and not the times")
    versions = [f"{package} {importlib.metadata.version(package)}"
                for peer, package in PEER_VERSIONS.items() if peer in peers
                and _is_installed(package)]
    if versions:
        lines.append("peers: " + ", ".join(versions))
    if not is_warm:
        lines.append("the allocator could not be kept warm: what allocates pays for new pages")
    return lines


def _is_installed(package):
    try:
        importlib.metadata.version(package)
        return True
    except importlib.metadata.PackageNotFoundError:
        return False


def points(rows):
    """(kernel, direction, elements, dtype, threads) -> impl -> row, in order."""
    out = collections.OrderedDict()
    for row in rows:
        key = tuple(row[k] for k in ("kernel", "direction", "elements", "dtype", "threads"))
        out.setdefault(key, {})[row["impl"]] = row
    return out


def human(seconds):
    for unit, scale in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def count(elements):
    for unit, scale in (("M", 2 ** 20), ("K", 2 ** 10)):
        if elements >= scale:
            return f"{elements / scale:.3g} {unit}"
    return str(elements)


def bandwidth(row):
    return row["bytes"] / row["seconds"] / 1e9


def is_peer(impl):
    return impl not in OURS and not impl.startswith("copy")


def against_peers(at):
    """(peer, its time over ours); ours allocates, as peers do."""
    ours = at.get("quant_ste_allocating") or at.get("quant_ste")
    return sorted(((row["seconds"] / ours["seconds"], impl)
                   for impl, row in at.items() if is_peer(impl)))


def line(key, at):
    kernel, direction, elements, dtype, threads = key
    ours, copy = at["quant_ste"], at["copy"]
    text = (f"{kernel:24} {direction:8} {count(elements):>7} {dtype:5} {threads:2}  "
            f"{human(ours['seconds']):>9} {human(copy['seconds']):>9}  "
            f"{ours['ratio_to_copy']:5.2f} [{ours['ratio_low']:.2f}, {ours['ratio_high']:.2f}] "
            f"{bandwidth(ours):6.1f}")
    peers = against_peers(at)
    if peers:
        text += "  " + ", ".join(f"{impl} {times:.1f}x" for times, impl in peers)
    return text


HEADER = (f"{'kernel':24} {'':8} {'elements':>7} {'type':5}thr  {'quant_ste':>9} {'copy':>9}"
          f"  ratio to copy       GB/s  peers' time over ours")


def print_row(rows, point, out):
    key, at = list(points(rows).items())[-1]
    print(line(key, at), file=out, flush=True)


def worst_ratio(rows, least_bytes=0):
    rows = [r for r in rows if r["impl"] == "quant_ste" and r["bytes"] >= least_bytes]
    return min(rows, key=lambda r: r["ratio_to_copy"], default=None)


def describe(row):
    return (f"{row['kernel']} {row['direction']}, {'x'.join(map(str, row['shape']))} "
            f"{row['dtype']}, {row['threads']} thread{'s' if row['threads'] > 1 else ''}")


def worst_peer(rows):
    worst = None
    for at in points(rows).values():
        for times, impl in against_peers(at)[:1]:
            if worst is None or times < worst[0]:
                worst = times, impl, at["quant_ste"]
    return worst


def worst_lines(rows):
    lines = []
    large = worst_ratio(rows, 2 * 64 * 2 ** 20)
    for what, row in (("of all", worst_ratio(rows)), ("from 64 MiB", large)):
        if row:
            lines.append(f"worst ratio to the copy, {what}: {row['ratio_to_copy']:.2f} "
                         f"({describe(row)})")
    peer = worst_peer(rows)
    if peer:
        lines.append(f"worst row against a peer: {peer[1]} takes {peer[0]:.2f} times as long "
                     f"({describe(peer[2])})")
    return lines


def absent_lines(absent):
    return [f"{name}: {reason} ({', '.join(kernels)})"
            for (name, reason), kernels in absent.items()]


def print_tables(rows, absent, machine_lines, out):
    for text in machine_lines:
        print(text, file=out)
    print(HEADER, file=out)
    for key, at in points(rows).items():
        print(line(key, at), file=out)
    print(file=out)
    for text in worst_lines(rows):
        print(text, file=out)
    if absent:
        print("left out:", file=out)
        for text in absent_lines(absent):
            print("  " + text, file=out)


# ===----------------------------------------------------------------------===
# docs/performance.md
# ===----------------------------------------------------------------------===

INTRODUCTION = """\
# Performance

Made by `benchmarks/cpu.py --docs docs`; do not edit. Figures of one machine on one
day: {date}

{machine}

**ratio to copy** is the time of a hand-written stream that reads and writes the
same bytes and computes nothing (the best of memcpy, a vector loop and
non-temporal stores; `benchmarks/streams.c`), over the kernel's time: 1 is the
limit of the memory. It is the median of up to 20 interleaved pairs, with the
middle half of them in brackets. Forward reads x and writes y; backward reads x
and dy and writes dx, and sums the parameters' gradients on the way. Outputs are
preallocated, except where peers are compared: these allocate, and so do we.
Times of quant_ste are of calls from C, those of peers of calls from Python, as
each is used; below some ten thousand elements that is most of a peer's time.
"""


def _table(header, lines):
    out = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return out + ["| " + " | ".join(cells) + " |" for cells in lines]


def _ratio(row):
    return f"{row['ratio_to_copy']:.2f} [{row['ratio_low']:.2f}, {row['ratio_high']:.2f}]"


def _ratio_tables(rows):
    """One table for each type and number of threads, at two sizes: one that fits
    the second-level cache, and the largest; the plots have those between."""
    by_point = points(rows)
    out = []
    settings = sorted({(k[3], k[4]) for k in by_point}, key=lambda s: (s[1], s[0] != "f32", s[0]))
    for dtype, threads in settings:
        here = {k: v for k, v in by_point.items() if k[3:] == (dtype, threads)}
        out += ["", f"## {dtype}, {threads} thread{'s' if threads > 1 else ''}", ""]
        lines = []
        largest = {k[0]: k[2] for k in sorted(here, key=lambda k: k[2])}
        for (kernel, direction, elements, _, _), at in here.items():
            if elements != largest[kernel] and not 2 ** 15 < elements < 2 ** 17:
                continue
            ours = at["quant_ste"]
            lines.append([kernel, direction, "x".join(map(str, ours["shape"])),
                          human(ours["seconds"]), f"{bandwidth(ours):.1f}", _ratio(ours)]
                         + ([", ".join(f"{i} {t:.1f}" for t, i in against_peers(at))]))
        out += _table(["kernel", "", "shape", "time", "GB/s", "ratio to copy",
                       "peers: their time over ours"], lines)
    return out


def _plots(rows, folder):
    """Bandwidth over size, a plot for each kernel and direction."""
    (folder / "performance").mkdir(parents=True, exist_ok=True)
    by_point = points(rows)
    out = ["", "## Bandwidth over size", "",
           "f32, one thread: bytes that must be read and written, over time.", ""]
    for kernel, direction in dict.fromkeys((k[0], k[1]) for k in by_point):
        lines = collections.OrderedDict()
        for key, at in by_point.items():
            if key[0] != kernel or key[1] != direction or key[3:] != ("f32", 1):
                continue
            for impl, row in at.items():
                if not impl.endswith("_allocating"):
                    lines.setdefault(impl, []).append((key[2], bandwidth(row)))
        if not lines or all(len(p) < 2 for p in lines.values()):
            continue
        name = f"{kernel}-{direction}.svg"
        (folder / "performance" / name).write_text(
            plots.roofline(f"{kernel}, {direction}", lines))
        out.append(f"![{kernel}, {direction}](performance/{name})")
    return out


def write_docs(rows, absent, machine_lines, folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], text=True,
                            cwd=pathlib.Path(__file__).parent, capture_output=True)
    stamp = time.strftime("%Y-%m-%d")
    if commit.returncode == 0:
        stamp += f", commit {commit.stdout.strip()}"
    text = [INTRODUCTION.format(date=stamp + ".", machine="\n".join(
        f"- {text}" for text in machine_lines))]
    text += ["", *(f"- {text}" for text in worst_lines(rows)),
             f"- goals: {GOALS}"]
    text += _ratio_tables(rows)
    text += _plots(rows, folder)
    if absent:
        text += ["", "## Left out", "", *(f"- {text}" for text in absent_lines(absent))]
    (folder / "performance.md").write_text("\n".join(text) + "\n")
