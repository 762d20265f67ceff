"""What the compiler says, as exceptions."""
from __future__ import annotations

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Diagnostic:
    """One message of MLIR. ``line`` and ``column`` count from 1, and are 0 where the
    message is about the whole module."""

    severity: str  # "error" or "note"
    message: str
    line: int = 0
    column: int = 0


class Error(RuntimeError):
    """An error of quant_ste; the base of the others."""


class CompileError(Error):
    """A module does not parse, verify or compile.

    ``diagnostics`` has each message with its place in the text, ``name`` the file
    that the text came from, or ``<text>``.
    """

    def __init__(self, message: str, name: str = "<text>"):
        super().__init__(message.replace("<text>:", f"{name}:"))
        self.name = name
        self.diagnostics = parse_diagnostics(message)


class CallError(Error, ValueError):
    """Arguments do not fit the function, or cannot be read."""


_DIAGNOSTIC = re.compile(r"^(?:<text>:(\d+):(\d+): )?(error|note): (.*)$")


def parse_diagnostics(message: str) -> list[Diagnostic]:
    """The messages in a text of one a line; what follows one belongs to it."""
    found: list[Diagnostic] = []
    for line in message.splitlines():
        match = _DIAGNOSTIC.match(line)
        if match:
            at_line, column, severity, text = match.groups()
            found.append(Diagnostic(severity, text, int(at_line or 0), int(column or 0)))
        elif found:
            last = found.pop()
            found.append(dataclasses.replace(last, message=f"{last.message}\n{line}"))
        else:
            found.append(Diagnostic("error", line))
    return found
