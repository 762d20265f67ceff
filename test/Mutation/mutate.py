#!/usr/bin/env python3
"""Does a wrong token in a gradient rule change a number?

    mutate.py --rule-dump build/release/bin/quant-ste-rule-dump [--cxx clang++]
              [--rule Pact.h]... [--jobs N] [--list]

Every rule header is mutated in one place at a time (mutants.py) and read on
numbers (driver.h, no MLIR). A mutant is killed if y or a gradient of some case
of test/Conformance/cases.py then differs from the NumPy oracle. The rule that a
case's attributes make comes from the op itself, through quant-ste-rule-dump.

Survivors are printed; those in equivalent.txt, each with its reason, are
expected. Exit code 1: an unexpected survivor, or a line of equivalent.txt that
no survivor has.
"""
import argparse
import concurrent.futures
import ctypes
import dataclasses
import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RULES = ROOT / "include" / "quant_ste" / "Rules"
sys.path.insert(0, str(HERE.parent / "Conformance"))
import cases
import mutants
import harness
import test_uniform
from harness import assert_result, expect, module_text, same_values

SECONDS_PER_MUTANT = 30


# What a rule is given, and what it must answer.

@dataclasses.dataclass
class Question:
    """A rule, as (C++ type, scalar) and bytes, on many operands, with the known
    answers: y, and the gradient of each operand."""

    case: harness.Case
    type: tuple
    bytes: bytes
    operands: list
    cotangent: np.ndarray
    answers: list
    ulps: int = 0

    def first_difference(self, library):
        """Where the library's answer is another, or None."""
        names = ("y",) + self.case.operands
        for name, got, want in zip(names, library.run(self), self.answers):
            same = same_values(got, want, self.ulps)
            if same.all():
                continue
            if name in dict(self.case.within):
                try:
                    assert_result(self.case, name, got, want, self.cotangent)
                    continue
                except AssertionError as error:
                    return str(error)
            at = np.argmin(same)
            values = ", ".join(repr(o[at]) for o in self.operands)
            return (f"{self.case}: {'' if name == 'y' else 'gradient of '}{name} at ({values}), "
                    f"dy = {self.cotangent[at]!r}: got {got[at]!r}, want {want[at]!r}")
        return None


# No parameter is too strange: what comparisons and signs can turn on.
STRANGE = (0.0, -0.0, -1.0, 1.0, 0.037, -0.3, np.inf, -np.inf, np.nan, 2.5, 1e-20, 1e30)


def parameter_settings(case, rng):
    """Usual parameters; each of them strange, alone and with others; two that
    agree. A bound holds for what is usual only."""
    usual = cases.parameter_values(case)
    some = lambda values: [np.float32(rng.choice(v)) for v in values]
    settings = [some(usual) for _ in range(12)]
    if usual and not case.within:
        for i in range(len(usual)):
            settings += [some(usual[:i]) + [np.float32(v)] + some(usual[i + 1:]) for v in STRANGE]
        settings += [some([STRANGE] * len(usual)) for _ in range(12)]
        settings += [[p] * len(usual) for p in some([usual[0]] * 3)]
    return settings if usual else [[]]


def ties_of_zero_points(case, params):
    """Least values of ranges whose zero points are halves, by either end."""
    if case.op != "choose_qparams_zero_point":
        return []
    attrs = dict(case.attrs)
    count = min(attrs["qmax"] - attrs["qmin"], 300)
    half = np.arange(count) + np.float32(0.5)
    return [-params[0] * half / (count - half)]


def operand_rows(case, rng):
    """x and the parameters: for each setting of the parameters, some of the
    adversarial values and values on and beside every boundary it makes."""
    pool = cases.adversarial("f32")
    numbers = [np.float32(v) for _, v in case.attrs if isinstance(v, float)]
    powers = np.exp2(np.arange(-149, 128)).astype(np.float32)
    # A strange x meets every cotangent.
    strange = np.repeat(np.array(STRANGE, np.float32), len(cases.COTANGENTS))
    halves = np.arange(-40, 41, dtype=np.float32) / 2
    many_halves = np.arange(-600, 601, dtype=np.float32) / 2
    rows = []
    for k, params in enumerate(parameter_settings(case, rng)):
        count = 300 if k < 12 else 100
        with np.errstate(all="ignore"):
            edges = np.array([e for v in numbers + params for e in (v, -v)], np.float32)
            near = [halves * p for p in params]
            near += [(many_halves - q) * p for p, q in itertools.permutations(params, 2)]
            near += ties_of_zero_points(case, params)
            near = np.concatenate([*near, edges]).astype(np.float32)
            near = np.concatenate([edges, rng.permutation(near)[:count]])
            beside = [np.nextafter(near, np.float32(s * np.inf)) for s in (1, -1)]
        x = np.concatenate([strange, near, *beside, *([rng.choice(pool, count)] if params else
                                                      [pool, powers, -powers])])
        rows.append([x] + [np.full(x.size, p) for p in params])
    return [np.concatenate(column).astype(np.float32) for column in zip(*rows)]


def question(case, rule):
    """The oracle's answer to a case. An operand without a gradient has 0."""
    x, *params = operand_rows(case, np.random.default_rng(7))
    dy = np.resize(np.array(cases.COTANGENTS), x.shape).astype(np.float32)
    y, terms = expect(case, x, params, [(0,)] * len(params), dy, stated=True)
    gradients = [terms.get(name) for name in case.operands]
    gradients = [np.zeros_like(dy) if g is None else g for g in gradients]
    type_, _, data = rule
    return Question(case, (type_, "float"), data, [x] + params, dy, [y] + gradients)


# The functions of Elementary.h, each with the bound it states in double
# precision, in ULPs; log2 in whole numbers is frexp.
FUNCTIONS = {"exp": (np.exp, 2), "exp2": (np.exp2, 2), "tanh": (np.tanh, 4),
             "cosh": (np.cosh, 3), "log": (np.log, 3), "log2": (np.log2, 3),
             "wholePowerOfTwo": (np.exp2, 0),
             "floorLog2": (lambda x: np.where(np.isfinite(x), np.frexp(x)[1] - 1, x), 0)}


def function_question(name):
    """A function of Elementary.h in double precision, against long double."""
    exact, ulps = FUNCTIONS[name]
    rng = np.random.default_rng(8)
    x = np.concatenate([
        rng.uniform(-60, 60, 8000), rng.uniform(-1100, 1100, 4000), rng.uniform(-2, 2, 8000),
        rng.standard_normal(4000) * np.exp2(rng.uniform(-1000, 1000, 4000)),
        # Beside halves and 1, where a polynomial of 2^f or ln m is at its worst.
        rng.integers(-60, 60, 30000) + rng.uniform(0.49, 0.51, 30000),
        1 + rng.uniform(-1e-3, 1e-3, 4000), np.exp2(rng.uniform(-1074, 1023, 4000)),
        np.arange(-1100, 1101), np.arange(-100, 100) / 2, np.exp2(np.arange(-1074, 1024)),
        [0.0, -0.0, np.inf, -np.inf, np.nan, 1e300, -1e300, 1.7976931348623157e308]])
    if name == "floorLog2":
        x = x[~(x <= 0)]
    if name == "wholePowerOfTwo":
        x = np.arange(-1022.0, 1023.0)
    with np.errstate(all="ignore"):
        y = exact(x.astype(np.longdouble)).astype(np.float64)
    case = harness.case(name, "", "")
    return Question(case, ("Function_" + name, "double"), b"\0", [x], np.ones_like(x),
                    [y, np.ones_like(x)], ulps)


def uniform_question():
    """quant_ste.uniform: seed, step and index as the bits of doubles."""
    rng = np.random.default_rng(9)
    edges = np.array([0, 1, 2, 3, 4, 5, 7, 2 ** 32 - 1, 2 ** 32, 2 ** 34 + 2, 2 ** 64 - 1], np.uint64)
    seed, step, index = (np.concatenate([rng.integers(0, 2 ** 64, 500, np.uint64),
                                         rng.choice(edges, 500)]) for _ in range(3))
    operands = [v.view(np.float64) for v in (seed, step, index)]
    y = test_uniform.uniform_at(seed, step, index).astype(np.float64)
    one = np.ones_like(y)
    case = harness.case("uniform", "", "", ("step", "index"))
    return Question(case, ("Function_uniformAt", "double"), b"\0", operands, one, [y, one, one, one])


def dumped_rules(rule_dump, all_cases):
    """(type, arity, bytes) of each case's rule."""
    texts = []
    for i, case in enumerate(all_cases):
        text = module_text(case, 1, ((0,),) * len(case.parameters), "f32", "f32")
        texts.append(text.replace("@op(", f"@op{i}(").replace("@f(", f"@f{i}("))
    done = subprocess.run([rule_dump], input="".join(texts), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    lines = done.stdout.splitlines()
    without = {line.split()[1] for line in lines if line.startswith("op ")}
    without -= {case.op for case in all_cases}
    if without:
        sys.exit(f"expected a case in cases.py for every op, got none for "
                 f"{', '.join(sorted(without))}")
    rules = []
    for line in lines:
        if line.startswith("rule "):
            type_, arity, data = line[len("rule "):].rsplit(" ", 2)
            rules.append((type_, int(arity), bytes.fromhex(data)))
    if len(rules) != len(all_cases):
        sys.exit(f"expected {len(all_cases)} rules, got {len(rules)}")
    return rules


# Compiled mutants.

def readers_of(name):
    """The rule headers that include this one, and itself."""
    texts = {p.name: p.read_text() for p in RULES.glob("*.h") if p.name != "Rules.h"}
    found, new = set(), {name}
    while new:
        found |= new
        new = {n for n in texts.keys() - found
               if any(f'#include "quant_ste/Rules/{f}"' in texts[n] for f in found)}
    return found


def home_of(type_):
    """The header with a rule's definition, or that of driver.h's functions."""
    name = re.match(r"(?:\w+::)*(\w+)", type_).group(1)
    if name.startswith("Function_"):
        return "Philox.h" if name == "Function_uniformAt" else "Elementary.h"
    for path in sorted(RULES.glob("*.h")):
        code = re.sub(r"//.*", "", path.read_text())
        if re.search(rf"\bstruct {name}\b", code):
            return path.name
        # An alias of a template.
        if alias := re.search(rf"\busing {name} = (\w+)", code):
            return home_of(alias.group(1))
    sys.exit(f"expected `struct {name}` in a rule header, found none")


def driver_source(types):
    runs = "\n".join(
        f"  case {i}: return runRule<{type_}, {scalar}>"
        "(bytes, n, operands, cotangent, result, gradients);"
        for i, (type_, scalar) in enumerate(types))
    return f"""#include "driver.h"
using namespace mlir::quant_ste::test;
extern "C" {{
int quant_ste_mutant = 0;
void run_rule(int rule, const void *bytes, size_t n, const void *const *operands,
              const void *cotangent, void *result, void *const *gradients) {{
  switch (rule) {{
{runs}
  }}
}}
}}
"""


class Library:
    """A shared library of rules, with a switch for the mutant."""

    def __init__(self, path, types):
        self.types = types
        self.shared = ctypes.CDLL(str(path))
        self.mutant = ctypes.c_int.in_dll(self.shared, "quant_ste_mutant")

    def run(self, question):
        arrays = list(question.operands)
        out = [np.empty_like(a) for a in question.answers]
        pointers = lambda list_: (ctypes.c_void_p * len(list_))(*(a.ctypes.data for a in list_))
        self.shared.run_rule(
            ctypes.c_int(self.types.index(question.type)), question.bytes, ctypes.c_size_t(arrays[0].size),
            pointers(arrays), ctypes.c_void_p(question.cotangent.ctypes.data),
            ctypes.c_void_p(out[0].ctypes.data), pointers(out[1:]))
        return out


def compile_header(header, types, cxx, folder):
    """The library of these rules with a header's mutants, and the numbers of
    those that are no C++."""
    place = folder / header.file
    rules = place / "quant_ste" / "Rules"
    rules.mkdir(parents=True)
    for source in RULES.glob("*.h"):
        shutil.copy(source, rules)
    (place / "driver.cpp").write_text(driver_source(types))
    path = place / "rules.so"
    # Overflows of conversions that a mutant makes must not be assumed away.
    command = [cxx, "-std=c++20", "-O1", "-ffp-contract=off", "-fPIC", "-shared", "-w",
               "-I", str(place), "-I", str(HERE), str(place / "driver.cpp"), "-o", str(path)]
    if "clang" in os.path.basename(cxx):
        command += ["-ferror-limit=0"]
    invalid = set()
    while True:
        text = header.text(invalid)
        (rules / header.file).write_text(text)
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            return Library(path, types), invalid
        lines = text.splitlines()
        at_lines = re.findall(rf"{re.escape(header.file)}:(\d+):", done.stderr)
        found = {int(n) for at in at_lines
                 for n in re.findall(r"/\*@(\d+)\*/", lines[int(at) - 1])} - invalid
        if not found:
            sys.exit(done.stderr)
        invalid |= found


# Judging.

def answer_and_exit(library, number, questions):
    """In a child: exits with 1 if the mutant gives another answer."""
    try:
        signal.alarm(SECONDS_PER_MUTANT)
        library.mutant.value = number
        if any(q.first_difference(library) for q in questions):
            os._exit(1)
        os._exit(0)
    except Exception:
        traceback.print_exc()
        os._exit(2)


def survivors_of(tried, libraries, questions, jobs):
    """The mutants that answer every question of their header and end. Each runs in a process of
    its own, as a mutant may crash or not end."""
    running, survivors = {}, []

    def wait():
        child, status = os.wait()
        mutant = running.pop(child)
        if status == 0:
            survivors.append(mutant)
        elif os.WIFEXITED(status) and os.WEXITSTATUS(status) != 1:
            sys.exit(f"could not judge mutant {mutant.number} of {mutant.file}")

    for mutant in tried:
        if len(running) == jobs:
            wait()
        child = os.fork()
        if child == 0:
            answer_and_exit(libraries[mutant.file], mutant.number, questions[mutant.file])
        running[child] = mutant
    while running:
        wait()
    return sorted(survivors, key=lambda m: m.number)


def read_equivalents(path):
    """{(file, function, original, mutated): reason} of equivalent.txt."""
    out, file, function, reason, original = {}, None, None, None, None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("- "):
            original = line[2:].strip()
        elif line.startswith("+ ") and original and reason:
            out[file, function, original, line[2:].strip()] = reason
        elif m := re.fullmatch(r"(\S+) ([^:\s]+(?:::[^:\s]+)*): (.+)", line):
            file, function, reason = m.groups()
            original = None
        else:
            sys.exit(f"{path}:{number}: expected `<file> <function>: <reason>`, then "
                     f"`- <statement>` and `+ <mutated>`, got {line!r}")
    return out


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rule-dump", required=True, metavar="PROGRAM")
    parser.add_argument("--cxx", default="clang++", help="default: %(default)s")
    parser.add_argument("--rule", action="append", metavar="FILE",
                        help="only this header; may be repeated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--equivalents", type=pathlib.Path, default=HERE / "equivalent.txt",
                        metavar="FILE", help="default: %(default)s")
    parser.add_argument("--list", action="store_true", help="print the mutants and stop")
    args = parser.parse_args()
    names = sorted(p.name for p in RULES.glob("*.h"))
    for rule in args.rule or ():
        if rule not in names:
            parser.error(f"expected one of {', '.join(names)}, got {rule}")
    args.rules = args.rule or names
    return args


def main():
    args = parse_arguments()
    skipped = mutants.only_beside_the_math([p.read_text() for p in RULES.glob("*.h")], FUNCTIONS)
    headers, next_number = [], 1
    for name in args.rules:
        header = mutants.Header(name, (RULES / name).read_text(), next_number, skipped)
        next_number = header.next
        if header.mutants:
            headers.append(header)
    if args.list:
        for m in itertools.chain(*(h.mutants for h in headers)):
            print(f"{m.file}:{m.line}: {m.function}\n- {m.original}\n+ {m.mutated}")
        return 0

    all_cases = cases.every() + list(cases.SHARP)
    rules = dumped_rules(args.rule_dump, all_cases)
    questions = []
    for case, (type_, arity, data) in zip(all_cases, rules):
        # These two change how a rule is read, not the rule.
        if {"stepwise", "multiply_masks"} & set(case.words.split()):
            continue
        if arity != len(case.operands):
            sys.exit(f"{case}: expected {arity} operands, got {', '.join(case.operands)}")
        questions.append(question(case, (type_, arity, data)))
    questions = [*map(function_question, FUNCTIONS), uniform_question(), *questions]

    libraries, asked, tried = {}, {}, []
    with tempfile.TemporaryDirectory() as folder:
        def build(header):
            readers = readers_of(header.file)
            asked[header.file] = [q for q in questions if home_of(q.type[0]) in readers]
            types = list(dict.fromkeys(q.type for q in asked[header.file]))
            return compile_header(header, types, args.cxx, pathlib.Path(folder))

        with concurrent.futures.ThreadPoolExecutor(args.jobs) as threads:
            for header, (library, invalid) in zip(headers, threads.map(build, headers)):
                libraries[header.file] = library
                tried += [m for m in header.mutants if m.number not in invalid]
        wrong = {d for file, library in libraries.items()
                 for q in asked[file] if (d := q.first_difference(library))}
        if wrong:
            print("The rules and the oracle disagree:", *sorted(wrong), sep="\n  ")
            return 1
        survivors = survivors_of(tried, libraries, asked, args.jobs)
    return report(args, tried, survivors)


def report(args, tried, survivors):
    equivalents = read_equivalents(args.equivalents)
    unexpected = [m for m in survivors if m.key not in equivalents]
    for m in unexpected:
        print(f"{m.file}:{m.line}: survived, in {m.function}\n- {m.original}\n+ {m.mutated}")
    alive = {m.key for m in survivors}
    stale = [k for k in equivalents if k[0] in args.rules and k not in alive]
    for file, function, original, mutated in stale:
        print(f"{args.equivalents}: no survivor, {file} {function}\n- {original}\n+ {mutated}")
    print(f"killed {len(tried) - len(survivors)} of {len(tried)}, "
          f"{len(survivors) - len(unexpected)} equivalent, {len(unexpected)} survived, "
          f"{len(stale)} stale")
    return 1 if unexpected or stale else 0


if __name__ == "__main__":
    sys.exit(main())
