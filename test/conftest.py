"""Settings that must be there before any test module is imported."""
import os

# torch's AVX kernels contract multiplications and additions; these do not.
os.environ.setdefault("ATEN_CPU_CAPABILITY", "default")
