"""The array operations that a cell's `step` is written in, besides `+ - * /` on arrays.

The set is small on purpose: whatever runs a cell has to provide just these. A step may as well call PyTorch's functions of the
same name, which is what these are; another function keeps a cell from becoming a program (`elman.programs`).
"""

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import linear

__all__ = ["affine", "exp", "layer_norm", "relu", "sigmoid", "split", "split_rows", "sqrt", "tanh"]


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


def split_rows(weight: Tensor, parts: int) -> tuple[Tensor, ...]:
    """Cut a weight into `parts` equal groups of rows, in order: the matrices, or the biases, of the gates."""
    return weight.chunk(parts, dim=0)


def exp(x: Tensor) -> Tensor:
    """e^x."""
    return torch.exp(x)


def sqrt(x: Tensor) -> Tensor:
    """The square root."""
    return torch.sqrt(x)


def layer_norm(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, epsilon: float = 1e-5) -> Tensor:
    """(x - mean) / √(variance + ε) over the last axis, times a weight, plus a bias (Ba et al., arXiv 1607.06450)."""
    return functional.layer_norm(x, x.shape[-1:], weight, bias, epsilon)
