"""Mutants of a rule header: one wrong token at a time, all in one text.

A statement with mutants becomes a choice on the integer `quant_ste_mutant`, so
that one compilation holds every mutant of a header. Statements that compute are
mutated: initializers, assignments, conditions and returned values of forward,
partials and the functions that they call.
"""
import dataclasses
import re

# Not the math of an op: surrogates are judged by differences (SurrogateTest),
# attributes and diagnostics by the tests of the dialect.
SKIPPED_FUNCTIONS = {"surrogate", "lint", "invalid", "of"}
# Readings, which hold no math.
SKIPPED_STRUCTS = {"Host", "Footprint"}

TOKEN = re.compile(r"""
    (?P<skip>//[^\n]*|/\*.*?\*/|^[ \t]*\#[^\n]*|\s+)
  | (?P<number>(?:0[xX][0-9a-fA-F.]+(?:[pP][-+]?\d+)?|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)[uUlLfF]*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<sign>::|->|&&|\|\||<=|>=|==|!=|\+\+|--|[-+*/]=|[^\w\s])
""", re.VERBOSE | re.DOTALL | re.MULTILINE)

# Names that stand for the two ends of a range.
ENDS = [("min", "max"), ("qmin", "qmax"), ("lo", "hi"), ("lower", "upper"),
        ("below", "above"), ("negative", "positive")]
OTHER_END = {a: b for pair in ENDS for a, b in (pair, pair[::-1])}

RELATIONS = {"<": ("<=", ">"), "<=": ("<", ">="), ">": (">=", "<"), ">=": (">", "<=")}
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*"}
NOT_FUNCTIONS = {"int", "double", "float", "bool", "sizeof", "int64_t", "size_t"}


@dataclasses.dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class Mutant:
    number: int
    file: str
    line: int
    function: str
    original: str
    mutated: str

    @property
    def key(self):
        return self.file, self.function, self.original, self.mutated


def one_line(text):
    return " ".join(text.split())


def only_beside_the_math(sources, asked):
    """The skipped functions, and those that nothing but they call; not those
    that are `asked` themselves."""
    asked = {"forward", "partials", "apply", *asked}
    callers = {}
    for source in sources:
        for name, used in Header("", source, 1).calls.items():
            for other in used - {name}:
                callers.setdefault(other, set()).add(name)
    skipped, grown = set(), set(SKIPPED_FUNCTIONS)
    while grown != skipped:
        skipped = grown
        grown = skipped | {f for f, by in callers.items()
                           if by <= skipped and f not in asked}
    return frozenset(skipped)


class Header:
    """The mutants of one header, and its text with all of them."""

    def __init__(self, file, source, first_number, skipped=frozenset(SKIPPED_FUNCTIONS)):
        self.file, self.source, self.skipped = file, source, skipped
        self.calls = {}  # by each function's name, the names that it calls
        self.tokens = [Token(m.lastgroup, m.group(), m.start(), m.end())
                       for m in TOKEN.finditer(source) if m.lastgroup != "skip"]
        self.match = self._matching_brackets()
        self.angles = self._template_brackets()
        self.mutants = []
        self.next = first_number
        self._edits = []  # (start, end, function of the numbers left -> text)
        self._scope(0, len(self.tokens), ())

    def text(self, left_out=frozenset()):
        """The header with every mutant but those. A line that is a mutant's own
        ends with its number."""
        parts, at = ["extern \"C\" int quant_ste_mutant;\n"], 0
        for start, end, emit in sorted(self._edits, key=lambda e: e[:2]):
            parts += [self.source[at:start], emit(left_out)]
            at = end
        return "".join(parts) + self.source[at:]

    # Structure

    def _matching_brackets(self):
        match, stack = {}, []
        for i, t in enumerate(self.tokens):
            if t.text in "([{" and t.kind == "sign":
                stack.append(i)
            elif t.text in ")]}" and t.kind == "sign":
                j = stack.pop()
                match[i], match[j] = j, i
        return match

    def _template_brackets(self):
        """Pairs of < and > around template arguments: written without a space,
        or after `template`."""
        pairs = {}
        for i, t in enumerate(self.tokens):
            if t.text != "<" or i == 0 or i in pairs:
                continue
            before = self.tokens[i - 1]
            if before.text != "template" and (before.kind != "name" or before.end != t.start):
                continue
            stack = []
            for j in range(i, len(self.tokens)):
                text = self.tokens[j].text
                if text == "<":
                    stack.append(j)
                elif text == ">":
                    k = stack.pop()
                    pairs[j], pairs[k] = k, j
                elif text in (";", "{", "}"):
                    break
                if not stack:
                    break
        return pairs

    def _range(self, begin, end):
        """The tokens' text."""
        return self.source[self.tokens[begin].start:self.tokens[end - 1].end] if begin < end else ""

    def _scope(self, begin, end, names):
        """Finds the functions between two tokens."""
        header = i = begin
        while i < end:
            text = self.tokens[i].text
            if text in (";", "}"):
                header = i + 1
            elif text == "(":
                i = self.match[i]
            elif text == "{":
                close = self.match[i]
                name, kind = self._what(header, i)
                if kind == "scope" and name not in SKIPPED_STRUCTS:
                    self._scope(i + 1, close, names + ((name,) if name else ()))
                elif kind == "function":
                    self.calls.setdefault(name, set()).update(
                        t.text for k, t in enumerate(self.tokens[i:close], i)
                        if t.kind == "name"
                        and (self.tokens[k + 1].text == "(" or k + 1 in self.angles))
                if kind == "function" and name not in self.skipped:
                    self.scalar, self.result = self._types(header, i)
                    self.operands = self._operands(header, i)
                    self.function = "::".join(names + (name,))
                    self._body(i + 1, close)
                i = close
                if kind:
                    header = i + 1
            i += 1

    def _outside_templates(self, begin, end):
        i = begin
        while i < end:
            if i in self.angles and self.angles[i] > i:
                i = self.angles[i]
            else:
                yield i
            i += 1

    def _what(self, begin, brace):
        """('name', 'scope' or 'function') of the text before a brace."""
        plain = list(self._outside_templates(begin, brace))
        texts = [self.tokens[i].text for i in plain]
        if "namespace" in texts:
            return "", "scope"
        if "enum" in texts:
            return "", "enum"
        if "struct" in texts or "class" in texts:
            at = texts.index("struct" if "struct" in texts else "class")
            return texts[at + 1], "scope"
        if "(" in texts and "=" not in texts:
            return texts[texts.index("(") - 1], "function"
        return "", None

    def _types(self, begin, brace):
        """The scalar's name in a function template, and its result's type."""
        texts = [t.text for t in self.tokens[begin:brace]]
        scalar = texts[texts.index("class") + 1] if "class" in texts else "S"
        plain = [self.tokens[i].text for i in self._outside_templates(begin, brace)]
        before = [t for t in plain[:plain.index("(") - 1]
                  if t not in ("template", "inline", "static", "constexpr", "friend")]
        return scalar, "".join(before)

    def _operands(self, begin, brace):
        """The names of a function's scalar parameters."""
        return [b.text for a, b, c in zip(*(self.tokens[begin + k:brace - 2 + k] for k in range(3)))
                if a.text == self.scalar and b.kind == "name" and c.text in (",", ")")]

    # Statements

    def _body(self, begin, end):
        i = begin
        while i < end:
            text = self.tokens[i].text
            if text in ("{", "}", "else", ";"):
                i += 1
            elif text in ("case", "default"):
                while self.tokens[i].text != ":":
                    i += 1
                i += 1
            elif text in ("if", "for", "while", "switch"):
                constant = self.tokens[i + 1].text == "constexpr"
                open_ = i + 2 if constant else i + 1
                close = self.match[open_]
                if text == "if" and not constant:
                    self._choice(open_ + 1, close, self._emit_value("bool"), "bool")
                i = close + 1
            else:
                semicolon = self._end_of_statement(i, end)
                self._statement(i, semicolon)
                i = semicolon + 1

    def _end_of_statement(self, i, end):
        while i < end and self.tokens[i].text != ";":
            i = self.match[i] + 1 if self.tokens[i].text in "([{" else i + 1
        return i

    def _statement(self, begin, end):
        first = self.tokens[begin].text
        if first == "return":
            if begin + 1 < end:
                self._choice(begin + 1, end, None, self.result, begin, end + 1)
            return
        assign = begin
        while assign < end and self.tokens[assign].text != "=":
            assign = (self.match[assign] if self.tokens[assign].text in "([{" else assign) + 1
        if assign + 1 >= end:
            return
        left = [t.text for t in self.tokens[begin:assign]]
        if "constexpr" in left:
            if left[-2:] == ["[", "]"]:
                self._table(begin, assign, end)
            return
        # `T name = ...` or `name = ...`
        kind = self._range(begin, assign - 1) if self.tokens[assign - 1].kind == "name" else ""
        kind = kind if kind not in ("auto", "const auto") and "." not in kind else ""
        self._choice(assign + 1, end, self._emit_value(kind.replace("const ", "")), kind)

    def _table(self, begin, assign, end):
        """The numbers of a constexpr array, which stops being one."""
        keyword = next(t for t in self.tokens[begin:assign] if t.text == "constexpr")
        self._edits.append((keyword.start, keyword.end, lambda left_out: "const"))
        name, index = self.tokens[assign - 3].text, 0
        for i in range(assign + 1, end):
            index += self.tokens[i].text == ","
            if self.tokens[i].kind == "number":
                value = self.tokens[i].text
                self._choice(i, i + 1, self._emit_value("double"), "",
                             texts=[f"{value} * 1.001", "0.0", f"-{value}"],
                             element=f"{name}[{index}]")

    def _emit_value(self, kind):
        """Emits an expression that chooses; `kind` is its type or ''."""
        def emit(original, alternatives):
            lines = ["("]
            for number, text in alternatives:
                lines.append(f"quant_ste_mutant == {number} ? {kind}({text}) : /*@{number}*/")
            lines.append(f"{kind}({original}))")
            return "\n".join(lines) if alternatives else original
        return emit

    @staticmethod
    def _emit_return(original, alternatives):
        if not alternatives:
            return f"return {original};"
        lines = ["{"]
        for number, text in alternatives:
            lines.append(f"if (quant_ste_mutant == {number}) return {text}; /*@{number}*/")
        return "\n".join(lines + [f"return {original}; }}"])

    def _choice(self, begin, end, emit, kind, edit_begin=None, edit_end=None, texts=None,
                element=""):
        """Adds the mutants of the expression from token `begin` to `end`."""
        emit = emit or self._emit_return
        edit_begin = begin if edit_begin is None else edit_begin
        edit_end = end if edit_end is None else edit_end
        original = one_line(self._range(begin, end))
        if not element:
            texts = [one_line(t) for t in self._mutate(begin, end)]
            if kind in ("S", "D"):
                texts.append(f"-({original})")
            if kind == "bool":
                texts += [f"!({original})", "true", "false"]
        # A statement is shown from its first token, a number by its place.
        first, last = begin, end
        while not element and first > 0 and self.tokens[first - 1].text not in (";", "{", "}", ":") and not (
                self.tokens[first - 1].text == ")" and kind != "bool"):
            first -= 1
        if not element and self.tokens[end].text in (";", ")"):
            last = end + 1
        before, after = self._range(first, begin), self._range(end, last)
        before = f"{element} =" if element else before
        shown = lambda text: one_line(f"{before} {text}{after}").replace("( ", "(")
        line = self.source.count("\n", 0, self.tokens[begin].start) + 1
        alternatives = []
        for text in dict.fromkeys(texts):
            if text == original:
                continue
            alternatives.append((self.next, text))
            self.mutants.append(Mutant(self.next, self.file, line, self.function,
                                       shown(original), shown(text)))
            self.next += 1
        self._edits.append((
            self.tokens[edit_begin].start, self.tokens[edit_end - 1].end,
            lambda left_out: emit(original, [a for a in alternatives if a[0] not in left_out])))

    # Expressions

    def _is_value_end(self, i):
        t = self.tokens[i]
        return t.kind in ("name", "number") and t.text != "return" or t.text in (")", "]", "}")

    def _primary_after(self, i, end):
        """The token behind the operand that starts at `i`."""
        while self.tokens[i].text in ("-", "!"):
            i += 1
        if self.tokens[i].text in "([{":
            i = self.match[i]
        i += 1
        while i < end:
            text = self.tokens[i].text
            if text in (".", "::", "->"):
                i += 2
            elif text in ("(", "[", "{"):
                i = self.match[i] + 1
            elif i in self.angles:
                i = self.angles[i] + 1
            else:
                break
        return i

    def _primary_before(self, i, begin):
        """The first token of the operand that ends before `i`."""
        j = i - 1
        while True:
            if self.tokens[j].text in (")", "]", "}"):
                j = self.match[j]
                # A call or an index: its callee is in front.
                if j > begin and (self.tokens[j - 1].kind == "name" or j - 1 in self.angles):
                    j -= 1
                    if j in self.angles:
                        j = self.angles[j] - 1
            if j - 1 > begin and self.tokens[j - 1].text in (".", "::", "->"):
                j -= 2
                continue
            break
        while j > begin and self.tokens[j - 1].text in ("-", "!") and (
                j - 1 == begin or not self._is_value_end(j - 2)):
            j -= 1
        return j

    def _arguments(self, open_):
        """Pairs of tokens around each argument."""
        out, start = [], open_ + 1
        close = self.match[open_]
        i = start
        while i < close:
            if self.tokens[i].text in "([{":
                i = self.match[i]
            elif i in self.angles and self.angles[i] > i:
                i = self.angles[i]
            elif self.tokens[i].text == ",":
                out.append((start, i))
                start = i + 1
            i += 1
        return out + [(start, close)] if close > open_ + 1 else []

    def _mutate(self, begin, end):
        """Every mutated text of the expression."""
        def put(b, e, text):
            start, stop = self.tokens[b].start, self.tokens[e - 1].end
            return (self.source[self.tokens[begin].start:start] + text
                    + self.source[stop:self.tokens[end - 1].end])

        inside_index = set()
        for i in range(begin, end):
            if self.tokens[i].text == "[":
                inside_index.update(range(i, self.match[i]))
        in_angles = {j for i in range(begin, end) if i in self.angles
                     for j in range(i, self.angles[i])}
        for i in range(begin, end):
            if i in inside_index:
                continue
            t = self.tokens[i]
            binary = i > begin and self._is_value_end(i - 1)
            if t.text in RELATIONS and i not in self.angles and not self._is_shift(i):
                for other in RELATIONS[t.text]:
                    yield put(i, i + 1, other)
            elif t.text == "==":
                b, e = self._primary_before(i, begin), self._primary_after(i + 1, end)
                yield put(b, e, f"!({self._range(b, e)})")
            elif t.text in ("&&", "||"):
                yield put(i, i + 1, "||" if t.text == "&&" else "&&")
                yield from self._drop_sides(i, begin, end, put)
            elif t.text in ARITHMETIC and binary:
                yield put(i, i + 1, ARITHMETIC[t.text])
                yield from self._drop_sides(i, begin, end, put)
                if t.text in "-/":
                    b, e = self._primary_before(i, begin), self._primary_after(i + 1, end)
                    yield put(b, e, f"{self._range(i + 1, e)} {t.text} {self._range(b, i)}")
            elif t.text in ("-", "!"):
                yield put(i, i + 1, "")
            elif t.text == "?":
                b = self._condition_start(i, begin)
                yield put(b, i, f"!({self._range(b, i)}) ")
            elif t.kind == "number":
                for number in () if i in in_angles else self._other_numbers(t.text):
                    # No comparison sees the sign of a zero.
                    if number != "-0.0" or not self._is_compared(i):
                        yield put(i, i + 1, number)
            elif t.kind == "name":
                yield from self._mutate_name(i, begin, end, put)

    def _drop_sides(self, i, begin, end, put):
        yield put(i, self._primary_after(i + 1, end), "")
        yield put(self._primary_before(i, begin), i + 1, "")

    def _is_shift(self, i):
        """Is this half of a << or >>?"""
        return any(self.tokens[a].text == self.tokens[b].text and self.tokens[a].end == self.tokens[b].start
                   for a, b in ((i - 1, i), (i, i + 1)))

    def _condition_start(self, i, begin):
        j = i
        while j > begin and self.tokens[j - 1].text not in ("(", ",", "{", "?", ":"):
            j = self.match[j - 1] if self.tokens[j - 1].text in ")]}" else j - 1
        return j

    def _is_compared(self, i):
        """Is `S(number)` a side of a comparison?"""
        around = {self.tokens[j].text for j in (i - 3, i + 2) if j < len(self.tokens)}
        return bool(around & {"<", ">", "<=", ">=", "=="})

    @staticmethod
    def _other_numbers(text):
        if text.startswith("0x") and text.endswith("u"):
            return [f"({text} ^ 1u)"]
        if text.startswith("0x"):
            return [f"({text} * 2.0)", f"(-{text})"]
        if not re.fullmatch(r"\d+\.?\d*(?:[eE][-+]?\d+)?", text):
            return []
        if "." not in text and "e" not in text.lower():
            return [str(int(text) + 1)]
        return ["1.0", "-0.0"] if float(text) == 0 else [f"({text} + 1.0)", f"(-{text})"]

    def _mutate_name(self, i, begin, end, put):
        name = self.tokens[i].text
        callee_end = self.angles[i + 1] + 1 if i + 1 in self.angles else i + 1
        is_call = callee_end < end and self.tokens[callee_end].text == "("
        if name in OTHER_END:
            yield put(i, i + 1, OTHER_END[name])
        if not is_call:
            if name in self.operands and (i == begin or self.tokens[i - 1].text != "."):
                yield from (put(i, i + 1, o) for o in self.operands if o != name)
            if re.fullmatch(r"k[A-Z]\w*", name):
                yield put(i, i + 1, "1.0")
            return
        S = self.scalar
        first = i
        while first - 2 >= begin and self.tokens[first - 1].text in (".", "::", "->"):
            first -= 2
        last = self.match[callee_end] + 1
        args = [self._range(b, e) for b, e in self._arguments(callee_end)]
        whole = lambda text: put(first, last, text)
        if name == "select" and len(args) == 3:
            c, a, b = args
            yield from (whole(f"select({c}, {b}, {a})"), whole(f"({a})"), whole(f"({b})"))
            if b == f"{S}(0.0)" and a != f"{S}(1.0)":
                yield whole(f"({a} * select({c}, {S}(1.0), {S}(0.0)))")
            if a == f"{S}(0.0)" and b != f"{S}(1.0)":
                yield whole(f"({b} * select({c}, {S}(0.0), {S}(1.0)))")
        elif name in ("zero", "one") and not args:
            yield whole(f"{'one' if name == 'zero' else 'zero'}<{S}>()")
        elif name == "mask" and len(args) == 1:
            yield from (whole(f"one<{S}>()"), whole(f"zero<{S}>()"),
                        whole(f"mask<{S}>(!({args[0]}))"),
                        whole(f"value<{S}>(select({args[0]}, {S}(1.0), {S}(0.0)))"))
        elif name == "value" and len(args) == 1:
            yield from (whole(f"one<{S}>()"), whole(f"zero<{S}>()"),
                        whole(f"value<{S}>(-({args[0]}))"))
        elif name == "masked" and len(args) == 2:
            m, v = args
            yield from (whole(f"value<{S}>({v})"), whole(f"mask<{S}>({m})"),
                        whole(f"zero<{S}>()"), whole(f"masked<{S}>(!({m}), {v})"),
                        whole(f"masked<{S}>({m}, -({v}))"),
                        whole(f"value<{S}>(select({m}, {v}, {S}(0.0)))"))
        elif name == "roundEven" and len(args) == 1:
            a, half, nought = args[0], f"{S}(0.5)", f"{S}(0.0)"
            yield from (whole(f"({a})"), whole(f"floor({a})"),
                        whole(f"floor(({a}) + {half})"),
                        whole(f"select(({a}) < {nought}, ceil(({a}) - {half}), "
                              f"floor(({a}) + {half}))"))
        elif name in ("floor", "ceil") and len(args) == 1:
            yield from (whole(f"({args[0]})"), whole(f"roundEven({args[0]})"),
                        whole(f"{'ceil' if name == 'floor' else 'floor'}({args[0]})"))
        elif name == "abs" and len(args) == 1:
            yield from (whole(f"({args[0]})"), whole(f"(-({args[0]}))"))
        elif len(args) == 1 and name[0].islower() and name not in NOT_FUNCTIONS:
            yield whole(f"({args[0]})")
        elif len(args) >= 2 and first == i:
            for k in range(len(args) - 1):
                swapped = args[:k] + [args[k + 1], args[k]] + args[k + 2:]
                yield whole(f"{self._range(i, callee_end)}({', '.join(swapped)})")
