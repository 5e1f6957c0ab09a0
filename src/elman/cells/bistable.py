"""The bistable recurrent cell (BRC) and its neuromodulated form (nBRC).

    a_t = 1 + tanh(W_a x_t + b_ia + u_a ⊙ h_{t-1} + b_ha)         in 0 to 2: above 1 a unit has two stable states
    c_t = σ(W_c x_t + b_ic + u_c ⊙ h_{t-1} + b_hc)                how much is kept
    h_t = c_t ⊙ h_{t-1} + (1 - c_t) ⊙ tanh(W_h x_t + b_ih + a_t ⊙ h_{t-1})
    y_t = h_t

Neuromodulated, u_a ⊙ h_{t-1} and u_c ⊙ h_{t-1} are U_a h_{t-1} and U_c h_{t-1}: units act on each other's a and c.

Source: N. Vecoven, D. Ernst and G. Drion, "A bio-inspired bistable recurrent cell allows for long-lasting memory",
arXiv 2006.05252 (2020). The paper has no biases; they are those of torchrecurrent, whose names are BR and NBR.
Variational dropout drops h in a_t and c_t, not where a_t multiplies it.

Weights (gate order a c h; a c in `weight_hh`; D inputs, H units):

    weight_ih  W  (3H, D)     weight_hh  (2H) u, or (2H, H) U     bias_ih  (3H)     bias_hh  (2H)

Initialiser: all uniform in ±1/√H (torchrecurrent: Xavier's, the BRC's u normal, biases 0).
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.independent import DiagonalCell
from elman.cells.operations import sigmoid, split, tanh


class BistableState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class NBRCCell(Cell):
    """One step of the neuromodulated bistable recurrent cell."""

    name: ClassVar[str] = "nbrc"
    title: ClassVar[str] = "Neuromodulated bistable recurrent cell"
    citation: ClassVar[str] = "Vecoven et al. 2020, arXiv 2006.05252"
    gates: ClassVar[tuple[str, ...]] = ("a", "c", "h")
    recurrent_gates: ClassVar[tuple[str, ...]] = ("a", "c")
    keep_gates: ClassVar = {"c": 1}
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = BistableState

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: BistableState
    ) -> tuple[Float[Tensor, "B H"], BistableState]:
        u_a, u_c, u_h = split(self.inputs(weights, u_BG), 3)
        a = 1 + tanh(u_a + self.recur(weights, state.h, 0, 2))
        c = sigmoid(u_c + self.recur(weights, state.h, 1, 2))
        new = self.candidate(weights, tanh(u_h + a * state.h))
        h_BH = c * state.h + (1 - c) * new
        return h_BH, BistableState(h_BH)


@dataclass(frozen=True)
class BRCCell(DiagonalCell, NBRCCell):
    """One step of the bistable recurrent cell: the same, each unit by itself."""

    name: ClassVar[str] = "brc"
    title: ClassVar[str] = "Bistable recurrent cell"
