"""python -m quant_ste info | import"""
from __future__ import annotations

import argparse
import pathlib
import sys

from . import info


def _import(options) -> int:
    import numpy as np

    from . import Error, qonnx
    try:
        sizes = {name: int(n) for name, _, n in (s.partition("=") for s in options.size)}
        model = qonnx.read(options.model, options.parameters is not None, sizes)
    except (Error, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    pathlib.Path(options.output).write_text(model.text)
    if options.parameters:
        np.savez(options.parameters, **model.parameters)
    return 0


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m quant_ste", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info", help="versions, processor, and what is in use")
    convert = commands.add_parser("import", help="a QONNX model as a module")
    convert.add_argument("model", help="model.onnx")
    convert.add_argument("-o", dest="output", required=True, help="model.mlir")
    convert.add_argument("--parameters", metavar="f.npz",
                         help="take the stored tensors as arguments; write them here")
    convert.add_argument("--size", action="append", default=[], metavar="name=n",
                         help="a size that the model leaves open")
    options = parser.parse_args(arguments)
    if options.command == "import":
        return _import(options)
    if options.command == "info":
        for name, value in info().items():
            print(f"{name:10} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
