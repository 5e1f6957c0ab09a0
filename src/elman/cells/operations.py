"""The array operations that a cell's `step` is written in, besides `+ - * /` on arrays.

The set is small on purpose: whatever runs a cell has to provide just these. A step may as well call PyTorch's functions of the
same name, which is what these are; another function keeps a cell from becoming a program (`elman.programs`).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import linear

from elman.errors import OptionError

__all__ = [
    "ACTIVATIONS",
    "activation",
    "affine",
    "clip",
    "concat",
    "exp",
    "hard_sigmoid",
    "identity",
    "layer_norm",
    "log",
    "maximum",
    "minimum",
    "relu",
    "sigmoid",
    "silu",
    "softplus",
    "split",
    "split_rows",
    "sqrt",
    "tanh",
]


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


def identity(x: Tensor) -> Tensor:
    """X itself."""
    return x


def silu(x: Tensor) -> Tensor:
    """x σ(x)."""
    return x * torch.sigmoid(x)


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x)."""
    return functional.softplus(x)


def hard_sigmoid(x: Tensor) -> Tensor:
    """x / 6 + 1/2, held between 0 and 1."""
    return torch.clamp(x * (1 / 6) + 0.5, 0.0, 1.0)


def split(x: Tensor, parts: int) -> tuple[Tensor, ...]:
    """Cut the last axis into `parts` equal pieces, in order: the gates of a cell."""
    return x.chunk(parts, dim=-1)


def concat(parts: Sequence[Tensor]) -> Tensor:
    """Put arrays side by side along the last axis: what `split` cuts."""
    return torch.cat(list(parts), dim=-1)


def split_rows(weight: Tensor, parts: int) -> tuple[Tensor, ...]:
    """Cut a weight into `parts` equal groups of rows, in order: the matrices, or the biases, of the gates."""
    return weight.chunk(parts, dim=0)


def exp(x: Tensor) -> Tensor:
    """e^x."""
    return torch.exp(x)


def log(x: Tensor) -> Tensor:
    """The natural logarithm."""
    return torch.log(x)


def sqrt(x: Tensor) -> Tensor:
    """The square root."""
    return torch.sqrt(x)


def maximum(a: Tensor, b: Tensor) -> Tensor:
    """The larger of two arrays, element by element; where they are equal each gets half of the gradient."""
    return torch.maximum(a, b)


def minimum(a: Tensor, b: Tensor) -> Tensor:
    """The smaller of two arrays, element by element; where they are equal each gets half of the gradient."""
    return torch.minimum(a, b)


def clip(x: Tensor, low: float, high: float) -> Tensor:
    """X held between two numbers; outside of them the gradient is zero."""
    return torch.clamp(x, low, high)


def layer_norm(x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, epsilon: float = 1e-5) -> Tensor:
    """(x - mean) / √(variance + ε) over the last axis, times a weight, plus a bias (Ba et al., arXiv 1607.06450)."""
    return functional.layer_norm(x, x.shape[-1:], weight, bias, epsilon)


# By the names that cells take for their `nonlinearity`.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": tanh,
    "relu": relu,
    "sigmoid": sigmoid,
    "hard_sigmoid": hard_sigmoid,
    "softplus": softplus,
    "silu": silu,
    "identity": identity,
}


def activation(name: str, option: str = "nonlinearity") -> Callable[[Tensor], Tensor]:
    """The function called `name`. Raises `OptionError`, with the names there are, if it isn't known."""
    if name not in ACTIVATIONS:
        raise OptionError(f"{option}={name!r} is not known: choose from {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]
