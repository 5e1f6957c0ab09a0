"""STAR, the stackable recurrent cell: one gate, and a tanh around the new state; made to be stacked high.

    z_t = tanh(W_z x_t + b_iz)
    k_t = σ(W_k x_t + b_ik + U h_{t-1} + b_hh)                     gate
    h_t = tanh((1 - k_t) ⊙ h_{t-1} + k_t ⊙ z_t)
    y_t = h_t

Source: M. O. Turkoglu, S. D'Aronco, J. D. Wegner and K. Schindler, "Gating revisited: deep multi-layer RNNs that can be
trained", arXiv 1911.11033 (2019). The paper's gate has one bias where there are two here, b_ik and b_hh, as in torchrecurrent.

Weights (gate order z k, and k alone in `weight_hh`; D inputs, H units):

    weight_ih  W  (2H, D)     weight_hh  U  (H, H)     bias_ih (2H)     bias_hh (H)

Initialiser: all uniform in ±1/√H, as `torch.nn.GRU`; torchrecurrent has Xavier's for matrices and zeros for biases.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.operations import sigmoid, split, tanh


class STARState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class STARCell(Cell):
    """One step of STAR."""

    name: ClassVar[str] = "star"
    title: ClassVar[str] = "Stackable recurrent cell"
    citation: ClassVar[str] = "Turkoglu et al. 2019, arXiv 1911.11033"
    gates: ClassVar[tuple[str, ...]] = ("z", "k")
    recurrent_gates: ClassVar[tuple[str, ...] | None] = ("k",)
    keep_gates: ClassVar = {"k": -1}
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = STARState

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: STARState
    ) -> tuple[Float[Tensor, "B H"], STARState]:
        u_z, u_k = split(self.inputs(weights, u_BG), 2)
        k = sigmoid(u_k + self.recur(weights, state.h))
        h_BH = tanh((1 - k) * state.h + k * self.candidate(weights, tanh(u_z)))
        return h_BH, STARState(h_BH)
