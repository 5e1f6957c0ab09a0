"""The hierarchically gated recurrent network (HGRN): a forget gate with a lower bound, linear in its state, and an output gate.

    f_t = γ + (1 - γ) σ(W_f x_t + b_f)                             forget gate, never below γ
    h_t = f_t ⊙ h_{t-1} + (1 - f_t) ⊙ SiLU(W_i x_t + b_i)
    y_t = σ(W_g x_t + b_g) ⊙ h_t                                   y is no state

Source: Z. Qin, S. Yang and Y. Zhong, "Hierarchically gated recurrent neural network for sequence modeling", arXiv 2311.04823
(2023), the recurrence alone. Its states are complex, with a phase θ that is learnt; real ones, θ = 0, are what is here, as in
the package fla. The norm and the product after the output gate belong to the block around the cell. γ is learnt in the paper,
for each unit and layer, and grows from layer to layer by a cumulative softmax over the depth; here it is one number for all
units, the option `lower_bound`, and is not learnt.

Weights (gate order f i g; D inputs, H units; there is no recurrent matrix): weight_ih (3H, D)   bias_ih (3H)

Initialiser: all uniform in ±1/√H.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import Cell, Weights
from elman.cells.checks import check_probability
from elman.cells.operations import sigmoid, silu, split


class HGRNState(NamedTuple):
    """h (B, H): the hidden state, which is not the output."""

    h: Tensor


@dataclass(frozen=True)
class HGRNCell(Cell):
    """One step of the HGRN. Raises `OptionError` for a `lower_bound` that isn't from 0 to less than 1."""

    lower_bound: float = 0.0

    name: ClassVar[str] = "hgrn"
    title: ClassVar[str] = "Hierarchically gated recurrent network"
    citation: ClassVar[str] = "Qin et al. 2023, arXiv 2311.04823"
    gates: ClassVar[tuple[str, ...]] = ("f", "i", "g")
    recurrent_gates: ClassVar[tuple[str, ...] | None] = ()
    keep_gates: ClassVar = {"f": 1}
    scans: ClassVar[bool] = True
    inner_options: ClassVar[frozenset[str]] = frozenset({"layer_norm", "recurrent_dropout"})
    state_type: ClassVar = HGRNState

    def __post_init__(self) -> None:
        super().__post_init__()
        check_probability("lower_bound", self.lower_bound)

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: HGRNState
    ) -> tuple[Float[Tensor, "B H"], HGRNState]:
        f, i, g = split(self.inputs(weights, u_BG), 3)
        f = self.lower_bound + (1 - self.lower_bound) * sigmoid(f)
        new = self.candidate(weights, silu(i))
        h_BH = new + f * (state.h - new)
        return sigmoid(g) * h_BH, HGRNState(h_BH)
