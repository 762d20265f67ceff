#!/usr/bin/env python3
"""Prints the test accuracies of trainings and, where there are any, the learned
alphas; then, last, the means. Needs nothing but Python.

    summary.py <name> <trained.safetensors>... <name> <trained.safetensors>...
"""

import json
import struct
import sys


def read_f32(path):
    """The f32 tensors of a safetensors file, flat, by name."""
    with open(path, "rb") as file:
        data = file.read()
    size, = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + size])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            tensors[name] = struct.unpack_from(f"<{(end - begin) // 4}f", data,
                                               8 + size + begin)
    return tensors


def main():
    means = []
    accuracies = None
    for argument in sys.argv[1:]:
        if not argument.endswith(".safetensors"):
            accuracies = []
            means.append((argument, accuracies))
            continue
        trained = read_f32(argument)
        accuracy = trained["accuracy"][-1]
        line = (f"{means[-1][0]}, seed {len(accuracies)}: "
                f"test accuracy {100 * accuracy:.2f} %")
        alphas = [f"{v:.3f}" for n in sorted(trained) if n[0] == "a" and
                  n[1:].isdigit() for v in trained[n]]
        if alphas:
            line += ", learned alphas " + " and ".join(alphas) + " (from 1)"
        print(line)
        accuracies.append(accuracy)
    print("test accuracy: " + ", ".join(
        f"{name} {100 * sum(a) / len(a):.2f} %" for name, a in means))


if __name__ == "__main__":
    main()
