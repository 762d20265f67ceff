"""Makes the ctypes wrapper of the conformance tests importable here too."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "Conformance"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
