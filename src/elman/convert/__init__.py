"""Weights in and out: PyTorch, Keras, Flax, ONNX, and elman's own file.

A converter is two functions, `from_…` and `to_…`, with elman's layers on one side. What a format has no place for, and a layout
that isn't known, are errors, never guesses.
"""

from elman.convert.files import FORMATS, describe, read, write
from elman.convert.flax import from_flax, to_flax
from elman.convert.keras import KerasLayer, from_keras, to_keras, to_keras_objects
from elman.convert.onnx_export import to_onnx
from elman.convert.onnx_import import from_onnx
from elman.convert.pytorch import from_pytorch, to_pytorch
from elman.convert.stack import Told
from elman.convert.store import load, save

__all__ = [
    "FORMATS",
    "KerasLayer",
    "Told",
    "describe",
    "from_flax",
    "from_keras",
    "from_onnx",
    "from_pytorch",
    "load",
    "read",
    "save",
    "to_flax",
    "to_keras",
    "to_keras_objects",
    "to_onnx",
    "to_pytorch",
    "write",
]
