"""The simple gated recurrent network: one matrix for the input serves both the gate and what is written.

    u_t = W x_t + b_ih
    f_t = σ(u_t + U h_{t-1} + b_hh)                                forget gate
    h_t = tanh((1 - f_t) ⊙ u_t + f_t ⊙ h_{t-1})
    y_t = h_t

Source: X. Zu and K. Wei, "A simple gated recurrent network for detection of power quality disturbances", IET Generation,
Transmission & Distribution 15 (2021), doi 10.1049/gtd2.12056. The form is torchrecurrent's: b_ih is written too, and the gate
has a second bias, b_hh. `keep_gates` doesn't name f, because b_ih is written as well as it opens the gate.

Weights (D inputs, H units; one gate, f):

    weight_ih  W  (H, D)     weight_hh  U  (H, H)     bias_ih (H)     bias_hh (H)

Initialiser: all uniform in ±1/√H, as `torch.nn.RNN`; torchrecurrent has Xavier's for matrices and zeros for biases.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.operations import sigmoid, tanh


class SGRNState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class SGRNCell(Cell):
    """One step of the SGRN."""

    name: ClassVar[str] = "sgrn"
    title: ClassVar[str] = "Simple gated recurrent network"
    citation: ClassVar[str] = "Zu and Wei 2021, IET Generation, Transmission & Distribution 15"
    gates: ClassVar[tuple[str, ...]] = ("f",)
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = SGRNState

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B H"], state: SGRNState
    ) -> tuple[Float[Tensor, "B H"], SGRNState]:
        u = self.inputs(weights, u_BG)
        f = sigmoid(u + self.recur(weights, state.h))
        h_BH = tanh((1 - f) * self.candidate(weights, u) + f * state.h)
        return h_BH, SGRNState(h_BH)
