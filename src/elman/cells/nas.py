"""The cell that neural architecture search found for language.

    k = 0…7, each with rows of its own:  a_k = f_k(W_k x_t + b_ih + U_k h_{t-1} + b_hh)
    f_k is σ for k = 0, 2, 5, 7, ReLU for k = 1, 3 and tanh for k = 4, 6

    l_t = tanh(a_0 ⊙ a_1)
    c_t = tanh(l_t + c_{t-1}) ⊙ tanh(a_2 + a_3)
    h_t = tanh(c_t ⊙ tanh(tanh(a_4 ⊙ a_5) + σ(a_6 + a_7)))

Source: B. Zoph and Q. V. Le, "Neural architecture search with reinforcement learning", arXiv 1611.01578, in the form
that torchrecurrent 0.2.5 has. TensorFlow's `NASCell` has a product for k = 3, ReLU(W_3 x ⊙ U_3 h), where
this one has a sum.

Weights (gates k0 to k7): weight_ih (8H, D)   weight_hh (8H, H)   bias_ih (8H)   bias_hh (8H), as torchrecurrent.

Initialiser: all uniform in ±1/√H, where torchrecurrent has Glorot's matrices and zero biases.
"""

from dataclasses import dataclass
from typing import ClassVar

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.lstm import LSTMState
from elman.cells.operations import relu, sigmoid, split, tanh


@dataclass(frozen=True)
class NASCell(Cell):
    """One step of the cell found by neural architecture search."""

    name: ClassVar[str] = "nas"
    title: ClassVar[str] = "Cell found by neural architecture search"
    citation: ClassVar[str] = "Zoph and Le 2016, arXiv 1611.01578"
    gates: ClassVar[tuple[str, ...]] = ("k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7")
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = LSTMState

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: LSTMState
    ) -> tuple[Float[Tensor, "B H"], LSTMState]:
        functions = (sigmoid, relu, sigmoid, relu, tanh, sigmoid, tanh, sigmoid)
        gates = split(self.inputs(weights, u_BG) + self.recur(weights, state.h), 8)
        a = [f(gate) for f, gate in zip(functions, gates, strict=True)]
        written = self.candidate(weights, tanh(a[0] * a[1]))
        c_BH = tanh(written + state.c) * tanh(a[2] + a[3])
        h_BH = tanh(c_BH * tanh(tanh(a[4] * a[5]) + sigmoid(a[6] + a[7])))
        return h_BH, LSTMState(h_BH, c_BH)
