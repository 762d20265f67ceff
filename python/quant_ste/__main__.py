"""python -m quant_ste info | import"""
from __future__ import annotations

import argparse
import sys
from typing import Sequence

from . import info


def _import(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    try:
        from . import qonnx
    except ImportError as error:
        parser.error(str(error))
    try:
        shapes = {name: [int(n) for n in sizes.split(",") if n]
                  for name, _, sizes in (s.rpartition("=") for s in options.shape)}
        model = qonnx.load(options.model, shapes=shapes, name=options.name,
                           parameters="arguments" if options.parameters else "constants")
        if options.parameters:
            import numpy
            numpy.savez(options.parameters, **model.parameters)  # type: ignore[arg-type]
        if options.output is None:
            print(model.text, end="")
        else:
            with open(options.output, "w") as file:
                file.write(model.text)
    except (qonnx.UnsupportedError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m quant_ste", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info", help="versions, processor, and what is in use")
    importer = commands.add_parser("import", help="a QONNX model to .mlir (needs onnx)")
    importer.add_argument("model", help="an .onnx file")
    importer.add_argument("-o", dest="output", metavar="FILE", help="default: standard output")
    importer.add_argument("--name", default="main", help="of the function")
    importer.add_argument("--parameters", metavar="FILE.npz",
                          help="make weights and scales arguments, and write their values here")
    importer.add_argument("--shape", action="append", default=[], metavar="INPUT=N,N,...",
                          help="the shape of an input where the model leaves sizes open")
    options = parser.parse_args(arguments)
    if options.command == "import":
        return _import(parser, options)
    if options.command == "info":
        for name, value in info().items():
            print(f"{name:10} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
