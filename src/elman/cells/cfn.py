"""The chaos-free network (CFN).

    θ_t = σ(W_θ x_t + b_iθ + U_θ h_{t-1} + b_hθ)      horizontal gate
    η_t = σ(W_η x_t + b_iη + U_η h_{t-1} + b_hη)      vertical gate
    h_t = θ_t ⊙ tanh(h_{t-1}) + η_t ⊙ tanh(W_h x_t + b_ih)
    y_t = h_t

Source: T. Laurent and J. von Brecht, "A recurrent neural network without chaos", arXiv 1612.06212 (2016). The paper has one
bias in each gate and none in the last tanh; the others are those of torchrecurrent.

Weights (gate order θ η h, here `theta`, `eta`, `h`; θ η in `weight_hh`; D inputs, H units):

    weight_ih  W  (3H, D)     weight_hh  U  (2H, H)     bias_ih  (3H)     bias_hh  (2H)

Initialiser: all uniform in ±1/√H (torchrecurrent: Xavier's, biases 0).
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.operations import sigmoid, split, tanh


class CFNState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class CFNCell(Cell):
    """One step of the CFN: without inputs, its state goes to 0."""

    name: ClassVar[str] = "cfn"
    title: ClassVar[str] = "Chaos-free network"
    citation: ClassVar[str] = "Laurent and von Brecht 2016, arXiv 1612.06212"
    gates: ClassVar[tuple[str, ...]] = ("theta", "eta", "h")
    recurrent_gates: ClassVar[tuple[str, ...]] = ("theta", "eta")
    keep_gates: ClassVar = {"theta": 1}
    write_gates: ClassVar[tuple[str, ...]] = ("eta",)
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = CFNState

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: CFNState
    ) -> tuple[Float[Tensor, "B H"], CFNState]:
        u_theta, u_eta, u_h = split(self.inputs(weights, u_BG), 3)
        v_theta, v_eta = split(self.recur(weights, state.h), 2)
        new = self.candidate(weights, tanh(u_h))
        h_BH = sigmoid(u_theta + v_theta) * tanh(state.h) + sigmoid(u_eta + v_eta) * new
        return h_BH, CFNState(h_BH)
