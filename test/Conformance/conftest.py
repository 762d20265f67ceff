"""Makes the oracle and the ctypes wrapper importable."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
