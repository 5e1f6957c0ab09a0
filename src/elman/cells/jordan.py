"""The Jordan network: what recurs is the output.

    n_t = f(W x_t + b_ih + U y_{t-1} + b_hh)        f is tanh or another activation
    y_t = g(V n_t + b_hy)                           g is tanh or another activation

Source: M. I. Jordan, "Serial order: a parallel distributed processing approach", ICS report 8604, University of California,
San Diego (1986). tanh for f and g is ours, as in `ElmanCell`. The paper's state units also keep a part μ of what they held,
s_t = μ s_{t-1} + y_{t-1}: this is the form with μ = 0, which textbooks have. The output layer, which in other cells belongs to
the model, is part of the recurrence here. Recurrent dropout drops n_t.

The state is y: n_t is not carried. With an output of its own size, O = `outputs`; 0 means H.

Weights (one gate, `n`; D inputs, H units):

    weight_ih  W  (H, D)     weight_hh  U  (H, O)     bias_ih  (H)     bias_hh  (H)
    weight_hy  V  (O, H)     bias_hy  (O), if there are biases

Initialiser: all uniform in ±1/√H.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.checks import check_size
from elman.cells.operations import activation, affine


class JordanState(NamedTuple):
    """h (B, O): the output y, which takes the place of a hidden state."""

    h: Tensor


@dataclass(frozen=True)
class JordanCell(Cell):
    """One step of the Jordan network. Raises `OptionError` for an f or g that isn't known and a size that makes no sense."""

    nonlinearity: str = "tanh"
    output_nonlinearity: str = "tanh"
    outputs: int = 0

    name: ClassVar[str] = "jordan"
    title: ClassVar[str] = "Jordan network"
    citation: ClassVar[str] = "Jordan 1986, ICS report 8604"
    gates: ClassVar[tuple[str, ...]] = ("n",)
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = JordanState

    def __post_init__(self) -> None:
        super().__post_init__()
        activation(self.nonlinearity)
        activation(self.output_nonlinearity, "output_nonlinearity")
        if self.outputs:
            check_size("outputs", self.outputs)

    @property
    def output_size(self) -> int:
        return self.outputs or self.hidden_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.output_size,)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        shapes = super().weight_shapes(input_size) | {"weight_hy": (self.output_size, self.hidden_size)}
        return shapes | {"bias_hy": (self.output_size,)} if self.bias else shapes

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B H"], state: JordanState
    ) -> tuple[Float[Tensor, "B O"], JordanState]:
        f, g = activation(self.nonlinearity), activation(self.output_nonlinearity)
        n = self.candidate(weights, f(self.inputs(weights, u_BG) + self.recur(weights, state.h)))
        y_BO = g(affine(n, weights["weight_hy"], weights.get("bias_hy")))
        return y_BO, JordanState(y_BO)
