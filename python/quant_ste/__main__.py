"""python -m quant_ste info | import"""
from __future__ import annotations

import argparse
import sys

from . import info


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m quant_ste", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info", help="versions, processor, and what is in use")
    options = parser.parse_args(arguments)
    if options.command == "info":
        for name, value in info().items():
            print(f"{name:10} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
