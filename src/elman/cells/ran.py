"""The recurrent additive network: an LSTM whose candidate is linear in x and doesn't see the state.

    g_t = W_c x_t + b_ic                                           content
    i_t = σ(W_i x_t + b_ii + U_i h_{t-1} + b_hi)                   input gate
    f_t = σ(W_f x_t + b_if + U_f h_{t-1} + b_hf)                   forget gate
    c_t = i_t ⊙ g_t + f_t ⊙ c_{t-1}
    h_t = φ(c_t)                                                   φ is tanh or, `nonlinearity="identity"`, nothing
    y_t = h_t

Source: K. Lee, O. Levy and L. Zettlemoyer, "Recurrent additive networks", arXiv 1705.07393 (2017), which has both φ;
torchrecurrent has tanh. There, as in the paper, the content has no bias b_ic: here W x is one product with one bias for all of
its rows, and b_ic is zero at first. torchrecurrent's `bias_ih` (2H) is ours without the first H, and fits in after H zeros. The
paper has one bias for each gate where there are two here.

Weights (gate order c i f, and i f in `weight_hh`; D inputs, H units):

    weight_ih (3H, D)     weight_hh (2H, H)     bias_ih (3H)     bias_hh (2H)

Initialiser: b_ic zero, all others uniform in ±1/√H, as `torch.nn.LSTM`; torchrecurrent has Xavier's for matrices and zeros for
biases.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.operations import activation, sigmoid, split, split_rows


class RANState(NamedTuple):
    """h (B, H): the hidden state. c (B, H): the cell state."""

    h: Tensor
    c: Tensor


@dataclass(frozen=True)
class RANCell(Cell):
    """One step of the RAN. Raises `OptionError` for a φ that isn't known."""

    nonlinearity: str = "tanh"

    name: ClassVar[str] = "ran"
    title: ClassVar[str] = "Recurrent additive network"
    citation: ClassVar[str] = "Lee et al. 2017, arXiv 1705.07393"
    gates: ClassVar[tuple[str, ...]] = ("c", "i", "f")
    recurrent_gates: ClassVar[tuple[str, ...] | None] = ("i", "f")
    keep_gates: ClassVar = {"f": 1}
    write_gates: ClassVar[tuple[str, ...]] = ("i",)
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = RANState

    def __post_init__(self) -> None:
        super().__post_init__()
        activation(self.nonlinearity)

    def initialise(self, weights: Weights) -> None:
        super().initialise(weights)
        if self.bias:
            torch.nn.init.zeros_(split_rows(weights["bias_ih"], 3)[0])

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: RANState
    ) -> tuple[Float[Tensor, "B H"], RANState]:
        g, u_i, u_f = split(self.inputs(weights, u_BG), 3)
        v_i, v_f = split(self.recur(weights, state.h), 2)
        c_BH = sigmoid(u_i + v_i) * self.candidate(weights, g) + sigmoid(u_f + v_f) * state.c
        h_BH = activation(self.nonlinearity)(c_BH)
        return h_BH, RANState(h_BH, c_BH)
