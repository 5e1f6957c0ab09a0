"""The addition-subtraction twin-gated recurrent network (ATR).

    p_t = W x_t + b_ih
    q_t = U h_{t-1} + b_hh
    i_t = σ(p_t + q_t)                input gate
    f_t = σ(p_t - q_t)                forget gate
    h_t = i_t ⊙ p_t + f_t ⊙ h_{t-1}
    y_t = h_t

Source: B. Zhang et al., "Simplifying neural machine translation with addition-subtraction twin-gated recurrent networks",
arXiv 1810.12546 (2018). The paper has p_t = W x_t and q_t = U h_{t-1}; the biases are those of torchrecurrent.

Weights (one gate, `p`; D inputs, H units): weight_ih W (H, D)   weight_hh U (H, H)   bias_ih (H)   bias_hh (H)

Initialiser: all uniform in ±1/√H (torchrecurrent: Xavier's, the recurrent matrix normal, biases 0).
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.operations import sigmoid


class ATRState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class ATRCell(Cell):
    """One step of the ATR: two gates from the sum and the difference of one pair of products."""

    name: ClassVar[str] = "atr"
    title: ClassVar[str] = "Addition-subtraction twin-gated recurrent network"
    citation: ClassVar[str] = "Zhang et al. 2018, arXiv 1810.12546"
    gates: ClassVar[tuple[str, ...]] = ("p",)
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = ATRState

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B H"], state: ATRState
    ) -> tuple[Float[Tensor, "B H"], ATRState]:
        p, q = self.inputs(weights, u_BG), self.recur(weights, state.h)
        h_BH = sigmoid(p + q) * self.candidate(weights, p) + sigmoid(p - q) * state.h
        return h_BH, ATRState(h_BH)
