"""The array operations that a cell's `step` is written in, besides `+ - *` on arrays.

The set is small on purpose: whatever runs a cell (today PyTorch) has to provide just these.
"""

import torch
from torch import Tensor
from torch.nn.functional import linear

__all__ = ["affine", "relu", "sigmoid", "split", "tanh"]


def affine(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b, over the last axis of x; W is (out, in)."""
    return linear(x, weight, bias)


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e^{-x})."""
    return torch.sigmoid(x)


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return torch.tanh(x)


def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return torch.relu(x)


def split(x: Tensor, parts: int) -> tuple[Tensor, ...]:
    """Cut the last axis into `parts` equal pieces, in order: the gates of a cell."""
    return x.chunk(parts, dim=-1)
