"""Two cells of one's own, for the benchmark: an LSTM with layer norm, and one that nobody has published."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch

from elman.axes import Tensor
from elman.cells import Cell, LSTMCell, State, Weights
from elman.cells.operations import affine, layer_norm, sigmoid, split, split_rows, tanh


@dataclass(frozen=True)
class LayerNormLSTMCell(LSTMCell):
    """Layer norm on the recurrent part of each gate and on c (Ba et al., arXiv 1607.06450)."""

    name: ClassVar[str] = "layer_norm_lstm"

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        size = self.hidden_size
        return super().weight_shapes(input_size) | {"gain": (4 * size,), "gain_c": (size,), "shift_c": (size,)}

    def step(self, weights: Weights, u_BG: Tensor, state: State) -> tuple[Tensor, State]:
        v = split(affine(state.h, weights["weight_hh"], weights["bias_hh"]), 4)
        gains = split_rows(weights["gain"], 4)
        i, f, g, o = (u + layer_norm(part, gain) for u, part, gain in zip(split(u_BG, 4), v, gains, strict=True))
        c = sigmoid(f) * state.c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(layer_norm(c, weights["gain_c"], weights["shift_c"]))
        return h, type(state)(h, c)


class TwoRateState(NamedTuple):
    """h (B, H): the hidden state. s (B, H): its slow mean."""

    h: Tensor
    s: Tensor


@dataclass(frozen=True)
class TwoRateCell(Cell):
    """h_t moves fast towards a candidate, s_t follows it slowly; the candidate sees both."""

    name: ClassVar[str] = "two_rate"
    gates: ClassVar[tuple[str, ...]] = ("a", "n", "o", "k")
    state_type: ClassVar = TwoRateState

    def step(self, weights: Weights, u_BG: Tensor, state: State) -> tuple[Tensor, State]:
        a, n, o, k = split(u_BG + affine(state.h, weights["weight_hh"], weights["bias_hh"]), 4)
        fast = torch.sigmoid(a)
        candidate = torch.tanh(n + torch.sigmoid(k) * state.s)
        h = torch.sigmoid(o) * (fast * candidate + (1 - fast) * state.h)
        return h, TwoRateState(h, 0.9 * state.s + 0.1 * h)
