"""The update gate RNN: an Elman network with one gate between the old state and the new.

    c_t = tanh(W_c x_t + b_ic + U_c h_{t-1} + b_hc)                candidate
    g_t = σ(W_g x_t + b_ig + U_g h_{t-1} + b_hg)                   update gate
    h_t = g_t ⊙ h_{t-1} + (1 - g_t) ⊙ c_t
    y_t = h_t

Source: J. Collins, J. Sohl-Dickstein and D. Sussillo, "Capacity and trainability in recurrent neural networks", arXiv
1611.09913 (2016). The paper adds a constant to g before its σ, where a bias will do, has one bias where there are two here, and
lets ReLU stand for tanh: ours is torchrecurrent's form.

Weights (gate order c g; D inputs, H units): weight_ih (2H, D)   weight_hh (2H, H)   bias_ih (2H)   bias_hh (2H)

Initialiser: all uniform in ±1/√H, as `torch.nn.GRU`; torchrecurrent has Xavier's for matrices and zeros for biases.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.operations import sigmoid, split, tanh


class UGRNNState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class UGRNNCell(Cell):
    """One step of the UGRNN."""

    name: ClassVar[str] = "ugrnn"
    title: ClassVar[str] = "Update gate RNN"
    citation: ClassVar[str] = "Collins et al. 2016, arXiv 1611.09913"
    gates: ClassVar[tuple[str, ...]] = ("c", "g")
    keep_gates: ClassVar = {"g": 1}
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = UGRNNState

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: UGRNNState
    ) -> tuple[Float[Tensor, "B H"], UGRNNState]:
        c, g = split(self.inputs(weights, u_BG) + self.recur(weights, state.h), 2)
        g = sigmoid(g)
        h_BH = g * state.h + (1 - g) * self.candidate(weights, tanh(c))
        return h_BH, UGRNNState(h_BH)
