"""Other forms of the cells that scan, in operations of PyTorch: a minGRU in logarithms, and trees over time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv1d, linear, silu, softplus

from elman.cells import Weights
from elman.cells.mingru import MinGRUCell


@dataclass(frozen=True)
class GivenMinGRUCell(MinGRUCell):
    """A minGRU whose u is its input: what remains is the scan."""

    reads_input = True
    nonlinearity: str = "positive"

    def project(self, weights: Weights, x: Tensor) -> Tensor:  # noqa: ARG002
        return x


def minimal_in_logarithms(u: Tensor) -> Tensor:
    """A minGRU from a state of zeros, as its paper computes it (Feng et al., arXiv 2410.01201, appendix B): u is (T, B, 2H)."""
    k, v = u.chunk(2, -1)
    log_keep, log_z = -softplus(k), -softplus(-k)
    log_g = torch.where(v >= 0, (torch.relu(v) + 0.5).log(), -softplus(-v))
    kept = log_keep.cumsum(0)
    return (kept + torch.logcumsumexp(log_z + log_g - kept, 0)).exp()


def tree(a: Tensor, b: Tensor) -> Tensor:
    """h_t = a_t h_{t-1} + b_t from zero in ⌈log₂ T⌉ passes over the sequence (Hillis and Steele 1986)."""
    reach = 1
    while reach < b.shape[0]:
        b = torch.cat([b[:reach], b[reach:] + a[reach:] * b[:-reach]])
        a = torch.cat([a[:reach], a[reach:] * a[:-reach]])
        reach *= 2
    return b


def _gates(weights: dict[str, Tensor], x: Tensor) -> tuple[Tensor, ...]:
    return linear(x, weights["weight_ih"], weights["bias_ih"]).chunk(weights["weight_ih"].shape[0] // x.shape[-1], -1)


def _mingru(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    z, v = _gates(weights, x)
    return tree(torch.sigmoid(-z), torch.sigmoid(z) * v)


def _minlstm(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    f, i, v = _gates(weights, x)
    f, i = torch.sigmoid(f), torch.sigmoid(i)
    return tree(f / (f + i), i / (f + i) * v)


def _qrnn(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    z, f, o = _gates(weights, x)
    f = torch.sigmoid(f)
    return torch.sigmoid(o) * tree(f, (1 - f) * torch.tanh(z))


def _sru(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    z, f, r = _gates(weights, x)
    f, r = torch.sigmoid(f), torch.sigmoid(r)
    return r * tree(f, (1 - f) * z) + (1 - r) * x


def _hgrn(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    f, i, g = _gates(weights, x)
    f = torch.sigmoid(f)
    return torch.sigmoid(g) * tree(f, (1 - f) * silu(i))


def _lru(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    re, im = _gates(weights, x)
    eigenvalue = torch.exp(torch.complex(-weights["nu"].exp(), weights["theta"].exp()))
    u = torch.complex(re, im) * weights["gamma"].exp()
    h = tree(eigenvalue.expand(u.shape), u)
    return linear(torch.cat([h.real, -h.imag], -1), weights["weight_hy"]) + weights["weight_d"] * x


def _rglru(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    (v,) = _gates(weights, x)
    size = v.shape[-1]
    kernel = weights["weight_conv"].view(-1, size).flip(0).T.unsqueeze(1)
    padded = torch.nn.functional.pad(v.permute(1, 2, 0), (kernel.shape[-1] - 1, 0))
    x = conv1d(padded, kernel, weights["bias_conv"], groups=size).permute(2, 0, 1)
    r, i = torch.sigmoid(linear(x, weights["weight_gates"], weights["bias_gates"])).chunk(2, -1)
    log_a = -8 * softplus(weights["decay"]) * r
    return tree(log_a.exp(), torch.sqrt(-torch.expm1(2 * log_a)) * i * x)


# By the name of the cell: its options and, for those that are linear in their state, a tree.
FORMS: dict[str, tuple[dict[str, Any], Callable[[dict[str, Tensor], Tensor], Tensor] | None]] = {
    "mingru": ({}, _mingru),
    "minlstm": ({}, _minlstm),
    "qrnn": ({}, _qrnn),
    "sru": ({"peepholes": False}, _sru),
    "hgrn": ({}, _hgrn),
    "lru": ({}, _lru),
    "rglru": ({}, _rglru),
}
