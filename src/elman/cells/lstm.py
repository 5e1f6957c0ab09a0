"""Long short-term memory, as PyTorch defines it.

    i_t, f_t, o_t = σ(W x_t + b_ih + U h_{t-1} + b_hh)      input, forget and output gate, each with rows of its own
    g_t           = tanh(W_g x_t + b_ig + U_g h_{t-1} + b_hg)
    c_t           = f_t ⊙ c_{t-1} + i_t ⊙ g_t
    h_t           = o_t ⊙ tanh(c_t)                          with a projection (LSTMP): R (o_t ⊙ tanh(c_t))
    y_t           = h_t

Source: S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997), with the forget gate of
F. Gers et al., "Learning to forget" (2000), without peepholes; the projection is that of H. Sak et al., arXiv 1402.1128,
without its non-recurrent part. The same as `torch.nn.LSTM`.

Weights (gate order i f g o; D inputs, H units, P = `projection_size` or H):

    weight_ih (4H, D)     weight_hh (4H, P)     bias_ih (4H)     bias_hh (4H)     weight_hr  R  (P, H), if projected

Initialiser: all uniform in ±1/√H, as `torch.nn.LSTM`.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import Cell, Weights
from elman.cells.operations import affine, sigmoid, split, tanh
from elman.errors import OptionError


class LSTMState(NamedTuple):
    """h (B, P): the hidden state, projected if there is a projection. c (B, H): the cell state."""

    h: Tensor
    c: Tensor


@dataclass(frozen=True)
class LSTMCell(Cell):
    """One step of the LSTM; `projection_size` 0 means none. Raises `OptionError` if it isn't less than `hidden_size`."""

    projection_size: int = 0

    name: ClassVar[str] = "lstm"
    gates: ClassVar[tuple[str, ...]] = ("i", "f", "g", "o")
    state_type: ClassVar = LSTMState

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.projection_size < self.hidden_size:
            raise OptionError(
                f"proj_size={self.projection_size} must be 0 (no projection) or less than hidden_size="
                f"{self.hidden_size}: a projection makes the hidden state smaller."
            )

    @property
    def output_size(self) -> int:
        return self.projection_size or self.hidden_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.output_size, self.hidden_size)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        shapes = super().weight_shapes(input_size)
        if self.projection_size:
            shapes["weight_hr"] = (self.projection_size, self.hidden_size)
        return shapes

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: LSTMState
    ) -> tuple[Float[Tensor, "B P"], LSTMState]:
        gates_BG = u_BG + affine(state.h, weights["weight_hh"], weights.get("bias_hh"))
        i, f, g, o = split(gates_BG, 4)
        c_BH = sigmoid(f) * state.c + sigmoid(i) * tanh(g)
        h_BP = sigmoid(o) * tanh(c_BH)
        if self.projection_size:
            h_BP = affine(h_BP, weights["weight_hr"])
        return h_BP, LSTMState(h_BP, c_BH)
