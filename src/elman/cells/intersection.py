"""The intersection RNN, "+RNN": each layer has a way through depth and a way through time, with a gate for each.

    y'_t, h'_t, g^y_t, g^h_t  from  W x_t + b_ih + U h_{t-1} + b_hh, each with rows of its own:
    y'_t = ReLU(·)      h'_t = tanh(·)      g^y_t, g^h_t = σ(·)
    y_t  = g^y_t ⊙ x_t + (1 - g^y_t) ⊙ y'_t
    h_t  = g^h_t ⊙ h_{t-1} + (1 - g^h_t) ⊙ h'_t

y is no state: what goes to the next layer and what goes to the next step are different. As x is part of y, the input
must be as wide as the hidden state.

Source: J. Collins, J. Sohl-Dickstein and D. Sussillo, "Capacity and trainability in recurrent neural networks", arXiv
1611.09913. The paper has one bias for each gate; the second is torchrecurrent's. Its three functions can be chosen.

Weights (order y h gy gh; D = H), as torchrecurrent 0.2.5:

    weight_ih (4H, H)     weight_hh (4H, H)     bias_ih (4H)     bias_hh (4H)

Initialiser: all uniform in ±1/√H, where torchrecurrent has Glorot's matrices and zero biases.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.operations import activation, concat, split
from elman.errors import OptionError


class IntersectionState(NamedTuple):
    """h (B, H): the hidden state, which is not the output."""

    h: Tensor


@dataclass(frozen=True)
class IntersectionRNNCell(Cell):
    """One step of the intersection RNN.

    Raises `OptionError` for a nonlinearity that isn't known, and for inputs that aren't as wide as the hidden state.
    """

    depth_nonlinearity: str = "relu"
    recurrent_nonlinearity: str = "tanh"
    gate_nonlinearity: str = "sigmoid"

    name: ClassVar[str] = "intersection"
    title: ClassVar[str] = "Intersection RNN"
    citation: ClassVar[str] = "Collins et al. 2016, arXiv 1611.09913"
    gates: ClassVar[tuple[str, ...]] = ("y", "h", "gy", "gh")
    keep_gates: ClassVar = {"gh": 1}
    reads_input: ClassVar[bool] = True
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = IntersectionState

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in ("depth_nonlinearity", "recurrent_nonlinearity", "gate_nonlinearity"):
            activation(getattr(self, option), option)
        if self.input_size not in {0, self.hidden_size}:
            raise OptionError(
                f"the cell {self.name!r} adds its input to its output: input_size={self.input_size} must be the same as "
                f"hidden_size={self.hidden_size}. Put a linear layer or an embedding of that size before it."
            )

    def project(self, weights: Weights, x: Float[Tensor, "*steps D"]) -> Float[Tensor, "*steps G"]:
        """u_t, and beside it x_t."""
        return concat([super().project(weights, x), x])

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: IntersectionState
    ) -> tuple[Float[Tensor, "B H"], IntersectionState]:
        *u, x_BH = split(u_BG, 5)
        deep, new, g_y, g_h = split(self.inputs(weights, concat(u)) + self.recur(weights, state.h), 4)
        gate = activation(self.gate_nonlinearity)
        g_y, g_h = gate(g_y), gate(g_h)
        written = self.candidate(weights, activation(self.recurrent_nonlinearity)(new))
        y_BH = g_y * x_BH + (1 - g_y) * activation(self.depth_nonlinearity)(deep)
        return y_BH, IntersectionState(g_h * state.h + (1 - g_h) * written)
