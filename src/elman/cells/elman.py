"""The Elman network's cell.

    h_t = f(W x_t + b_ih + U h_{t-1} + b_hh)        f is tanh, ReLU or another activation
    y_t = h_t

Source: J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990). The paper's f is the logistic function;
tanh is what PyTorch, Keras and the tutorials take, and so do we. The tutorials' one bias b is the sum b_ih + b_hh: two are
kept because `torch.nn.RNN` keeps two. The output layer y_t = V h_t + c belongs to the model (`models/sequence.py`).

Weights (H hidden units, D inputs; one gate, `h`):

    weight_ih  W  (H, D)     weight_hh  U  (H, H)     bias_ih  (H)     bias_hh  (H)

Initialiser: all uniform in ±1/√H, as `torch.nn.RNN`.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.operations import activation


class ElmanState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class ElmanCell(Cell):
    """h_t = f(u_t + U h_{t-1} + b_hh), with u_t = W x_t + b_ih. Raises `OptionError` for an f that isn't known."""

    nonlinearity: str = "tanh"

    name: ClassVar[str] = "elman"
    title: ClassVar[str] = "Elman network"
    citation: ClassVar[str] = "Elman 1990, Cognitive Science 14"
    gates: ClassVar[tuple[str, ...]] = ("h",)
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = ElmanState

    def __post_init__(self) -> None:
        super().__post_init__()
        activation(self.nonlinearity)

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B H"], state: ElmanState
    ) -> tuple[Float[Tensor, "B H"], ElmanState]:
        f = activation(self.nonlinearity)
        h_BH = self.candidate(weights, f(self.inputs(weights, u_BG) + self.recur(weights, state.h)))
        return h_BH, ElmanState(h_BH)
