"""Other forms of the cells that scan, in operations of PyTorch: a minGRU in logarithms, and trees over time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import silu, softplus

from elman.cells import Cell, Weights
from elman.cells.hgrn import HGRNCell
from elman.cells.mingru import MinGRUCell, MinLSTMCell
from elman.cells.operations import sigmoid, split
from elman.cells.qrnn import QRNNCell
from elman.cells.rglru import RGLRUState, decayed
from elman.cells.sru import SRUCell


def given(kind: type[Cell]) -> type[Cell]:
    """The cell whose u is its input: what remains is the recurrence."""

    def project(self: Cell, weights: Weights, x: Tensor) -> Tensor:  # noqa: ARG001
        return x

    def weight_shapes(self: Cell, input_size: int) -> dict[str, tuple[int, ...]]:
        shapes = kind.weight_shapes(self, input_size)
        kept = {name: shape for name, shape in shapes.items() if name not in {"weight_ih", "bias_ih"}}
        # An engine takes its dtype and device from a weight.
        return kept or {"unused": (1,)}

    def initialise(self: Cell, weights: Weights) -> None:  # noqa: ARG001
        for weight in weights.values():
            torch.nn.init.uniform_(weight, -0.5, 0.5)

    body = {"reads_input": True, "project": project, "weight_shapes": weight_shapes, "initialise": initialise}
    return type(f"Given{kind.__name__}", (kind,), body)


class TurningState(NamedTuple):
    """re, im (B, H): the parts of a complex state."""

    re: Tensor
    im: Tensor


@dataclass(frozen=True)
class TurningCell(Cell):
    """What recurs in an LRU: h_t = λ ⊙ h_{t-1} + u_t, complex; y is the real part."""

    name = "turning"
    gates = ("re", "im")
    state_type = TurningState

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        shapes = super().weight_shapes(input_size)
        return {"weight_ih": shapes["weight_ih"], "re": (self.hidden_size,), "im": (self.hidden_size,)}

    def step(self, weights: Weights, u_BG: Tensor, state: TurningState) -> tuple[Tensor, TurningState]:
        u_re, u_im = split(u_BG, 2)
        re = weights["re"] * state.re - weights["im"] * state.im + u_re
        im = weights["im"] * state.re + weights["re"] * state.im + u_im
        return re, TurningState(re, im)


@dataclass(frozen=True)
class DecayCell(Cell):
    """What recurs in an RG-LRU, from its gates and its convolved input."""

    name = "decay"
    gates = ("r", "i", "x")
    state_type = RGLRUState

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        return {"weight_ih": super().weight_shapes(input_size)["weight_ih"], "decay": (self.hidden_size,)}

    def step(self, weights: Weights, u_BG: Tensor, state: RGLRUState) -> tuple[Tensor, RGLRUState]:
        r, i, x = split(u_BG, 3)
        h = decayed(weights, r, sigmoid(i) * x, state.h)
        return h, RGLRUState(h)


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


def _mingru(_: dict[str, Tensor], z: Tensor, v: Tensor) -> Tensor:
    return tree(torch.sigmoid(-z), torch.sigmoid(z) * v)


def _minlstm(_: dict[str, Tensor], f: Tensor, i: Tensor, v: Tensor) -> Tensor:
    f, i = torch.sigmoid(f), torch.sigmoid(i)
    return tree(f / (f + i), i / (f + i) * v)


def _qrnn(_: dict[str, Tensor], z: Tensor, f: Tensor, o: Tensor) -> Tensor:
    f = torch.sigmoid(f)
    return torch.sigmoid(o) * tree(f, (1 - f) * torch.tanh(z))


def _sru(_: dict[str, Tensor], z: Tensor, f: Tensor, r: Tensor, x: Tensor) -> Tensor:
    f, r = torch.sigmoid(f), torch.sigmoid(r)
    return r * tree(f, (1 - f) * z) + (1 - r) * x


def _hgrn(_: dict[str, Tensor], f: Tensor, i: Tensor, g: Tensor) -> Tensor:
    f = torch.sigmoid(f)
    return torch.sigmoid(g) * tree(f, (1 - f) * silu(i))


def _lru(weights: dict[str, Tensor], re: Tensor, im: Tensor) -> Tensor:
    u, eigenvalue = torch.complex(re, im), torch.complex(weights["re"], weights["im"])
    return tree(eigenvalue.expand(u.shape), u).real


def _rglru(weights: dict[str, Tensor], r: Tensor, i: Tensor, x: Tensor) -> Tensor:
    log_a = -8 * softplus(weights["decay"]) * torch.sigmoid(r)
    return tree(log_a.exp(), torch.sqrt(-torch.expm1(2 * log_a)) * torch.sigmoid(i) * x)


# By the name of the cell: what recurs in it, options, in how many pieces u comes, and a tree.
FORMS: dict[str, tuple[type[Cell], dict[str, Any], int, Callable[..., Tensor]]] = {
    "mingru": (MinGRUCell, {}, 2, _mingru),
    "minlstm": (MinLSTMCell, {}, 3, _minlstm),
    "qrnn": (QRNNCell, {}, 3, _qrnn),
    "sru": (SRUCell, {"peepholes": False}, 4, _sru),
    "hgrn": (HGRNCell, {}, 3, _hgrn),
    "lru": (TurningCell, {}, 2, _lru),
    "rglru": (DecayCell, {}, 3, _rglru),
}
