"""JANET: an LSTM of nothing but its forget gate.

    s_t = W_f x_t + b_if + U_f h_{t-1} + b_hf
    g_t = tanh(W_c x_t + b_ic + U_c h_{t-1} + b_hc)                candidate
    h_t = σ(s_t) ⊙ h_{t-1} + (1 - σ(s_t - β)) ⊙ g_t
    y_t = h_t

Source: J. van der Westhuizen and J. Lasenby, "The unreasonable effectiveness of the forget gate", arXiv 1804.04849 (2018).
There β is a constant, 1; here it is learned, from the value of the option `beta`, as in torchrecurrent. The paper has one bias
where there are two here. In the paper h_t is c_t; torchrecurrent carries both, which can differ only in the state that it is
given to start from: here there is one state, h.

Weights (gate order f c; D inputs, H units):

    weight_ih (2H, D)     weight_hh (2H, H)     bias_ih (2H)     bias_hh (2H)     beta  β  (1): torchrecurrent's has shape ()

Initialiser: β from the option, all others uniform in ±1/√H, as `torch.nn.LSTM`; torchrecurrent has Xavier's for matrices and
zeros for biases, the paper chrono initialisation for b_f.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.checks import check_number
from elman.cells.operations import sigmoid, split, tanh


class JANETState(NamedTuple):
    """h (B, H): the hidden state, which is the cell state too."""

    h: Tensor


@dataclass(frozen=True)
class JANETCell(Cell):
    """One step of JANET; `beta` is what β is at first. Raises `OptionError` if it is no number."""

    beta: float = 1.0

    name: ClassVar[str] = "janet"
    title: ClassVar[str] = "JANET, an LSTM with the forget gate alone"
    citation: ClassVar[str] = "van der Westhuizen and Lasenby 2018, arXiv 1804.04849"
    gates: ClassVar[tuple[str, ...]] = ("f", "c")
    keep_gates: ClassVar = {"f": 1}
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = JANETState

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("beta", self.beta)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        return super().weight_shapes(input_size) | {"beta": (1,)}

    def initialise(self, weights: Weights) -> None:
        super().initialise(weights)
        torch.nn.init.constant_(weights["beta"], self.beta)

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: JANETState
    ) -> tuple[Float[Tensor, "B H"], JANETState]:
        s, c = split(self.inputs(weights, u_BG) + self.recur(weights, state.h), 2)
        g = self.candidate(weights, tanh(c))
        h_BH = sigmoid(s) * state.h + (1 - sigmoid(s - weights["beta"])) * g
        return h_BH, JANETState(h_BH)
