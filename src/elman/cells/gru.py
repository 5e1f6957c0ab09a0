"""The gated recurrent unit, as PyTorch and cuDNN define it.

    r_t = σ(W_r x_t + b_ir + U_r h_{t-1} + b_hr)             reset gate
    z_t = σ(W_z x_t + b_iz + U_z h_{t-1} + b_hz)             update gate
    n_t = tanh(W_n x_t + b_in + r_t ⊙ (U_n h_{t-1} + b_hn))   new state; or, reset before the product,
          tanh(W_n x_t + b_in + U_n (r_t ⊙ h_{t-1}) + b_hn)
    h_t = (1 - z_t) ⊙ n_t + z_t ⊙ h_{t-1}
    y_t = h_t

Source: K. Cho et al., arXiv 1406.1078. The reset gate acts after the recurrent product, as in the paper's first version and in
`torch.nn.GRU`, or before it, as in the paper's later versions (`reset_after=False`, Keras's name for it).

Weights (gate order r z n; D inputs, H units): weight_ih (3H, D)   weight_hh (3H, H)   bias_ih (3H)   bias_hh (3H)

Initialiser: all uniform in ±1/√H, as `torch.nn.GRU`.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.operations import sigmoid, split, tanh


class GRUState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class GRUCell(Cell):
    """One step of the GRU; the reset gate acts after the recurrent product, or before it."""

    reset_after: bool = True

    name: ClassVar[str] = "gru"
    title: ClassVar[str] = "Gated recurrent unit"
    citation: ClassVar[str] = "Cho et al. 2014, arXiv 1406.1078"
    gates: ClassVar[tuple[str, ...]] = ("r", "z", "n")
    keep_gates: ClassVar = {"z": 1}
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = GRUState

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: GRUState
    ) -> tuple[Float[Tensor, "B H"], GRUState]:
        u_r, u_z, u_n = split(self.inputs(weights, u_BG), 3)
        if self.reset_after:
            v_r, v_z, v_n = split(self.recur(weights, state.h), 3)
            r = sigmoid(u_r + v_r)
            v_n = r * v_n
        else:
            r = sigmoid(u_r + self.recur(weights, state.h, 0, 3))
            v_z = self.recur(weights, state.h, 1, 3)
            v_n = self.recur(weights, r * state.h, 2, 3)
        z = sigmoid(u_z + v_z)
        n = self.candidate(weights, tanh(u_n + v_n))
        h_BH = (1 - z) * n + z * state.h
        return h_BH, GRUState(h_BH)
