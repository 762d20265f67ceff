"""Fake quantizers as ops of PyTorch."""
import torch

from ._register import OP_NAMESPACE, register

REGISTRATION = register()
