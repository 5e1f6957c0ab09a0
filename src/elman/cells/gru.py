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
from elman.cells.cell import Cell, Weights
from elman.cells.operations import affine, sigmoid, split, split_rows, tanh


class GRUState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class GRUCell(Cell):
    """One step of the GRU; the reset gate acts after the recurrent product, or before it."""

    reset_after: bool = True

    name: ClassVar[str] = "gru"
    gates: ClassVar[tuple[str, ...]] = ("r", "z", "n")
    state_type: ClassVar = GRUState

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: GRUState
    ) -> tuple[Float[Tensor, "B H"], GRUState]:
        u_r, u_z, u_n = split(u_BG, 3)
        if self.reset_after:
            v_r, v_z, v_n = split(affine(state.h, weights["weight_hh"], weights.get("bias_hh")), 3)
            r = sigmoid(u_r + v_r)
            v_n = r * v_n
        else:
            matrices = split_rows(weights["weight_hh"], 3)
            biases = split_rows(weights["bias_hh"], 3) if self.bias else (None, None, None)
            r = sigmoid(u_r + affine(state.h, matrices[0], biases[0]))
            v_z = affine(state.h, matrices[1], biases[1])
            v_n = affine(r * state.h, matrices[2], biases[2])
        z = sigmoid(u_z + v_z)
        n = tanh(u_n + v_n)
        h_BH = (1 - z) * n + z * state.h
        return h_BH, GRUState(h_BH)
