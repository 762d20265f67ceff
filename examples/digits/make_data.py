#!/usr/bin/env python3
"""Writes examples/digits/data: the digits, their labels and the split.

    python3 -m pip install numpy scikit-learn
    python3 examples/digits/make_data.py [folder]

X.npy      1797x64 f32, the pixels as k/16 (exact)
y.npy      1797 i64, the digits 0 to 9
split.npy  1797 i64, one random permutation of the image numbers: the first
           1437 train, the last 360 test
"""

import pathlib
import sys

import numpy as np
from sklearn.datasets import load_digits

# Chosen before the first training run and never changed since. RandomState,
# because NumPy promises never to change its stream.
SPLIT_SEED = 0


def main():
    folder = pathlib.Path(__file__).resolve().parent / "data"
    if len(sys.argv) > 1:
        folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    pixels, digits = load_digits(return_X_y=True)
    split = np.random.RandomState(SPLIT_SEED).permutation(len(digits))
    np.save(folder / "X.npy", (pixels / 16).astype(np.float32))
    np.save(folder / "y.npy", digits.astype(np.int64))
    np.save(folder / "split.npy", split.astype(np.int64))


if __name__ == "__main__":
    main()
