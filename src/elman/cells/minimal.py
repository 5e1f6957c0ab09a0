"""MinimalRNN: an input is taken into the space of the states by itself; a gate then mixes it with the state.

    z_t = φ(W x_t + b_ih)                          the input in the space of the states; φ is tanh
    u_t = σ(U h_{t-1} + M z_t + b_hh)              update gate
    h_t = u_t ⊙ h_{t-1} + (1 - u_t) ⊙ z_t
    y_t = h_t

Source: M. Chen, "MinimalRNN: toward more interpretable and trainable recurrent neural networks", arXiv 1711.06788 (2017). There
φ may be any network of x; ours is the paper's own choice, one layer, as in torchrecurrent. φ and σ can be other functions.
Layer norm takes W x and U h, not M z. The gate's only bias is the recurrent one: with `recurrent_bias=False` it has none.

Weights (D inputs, H units; the one gate of `weight_ih` is z, that of `weight_hh` is u):

    weight_ih  W  (H, D)     weight_hh  U  (H, H)     weight_mm  M  (H, H)     bias_ih (H)     bias_hh (H)

Initialiser: all uniform in ±1/√H, as `torch.nn.RNN`; torchrecurrent has Xavier's for matrices and zeros for biases.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.operations import activation, affine


class MinimalRNNState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class MinimalRNNCell(Cell):
    """One step of MinimalRNN. Raises `OptionError` for functions that aren't known."""

    nonlinearity: str = "tanh"
    gate_nonlinearity: str = "sigmoid"

    name: ClassVar[str] = "minimalrnn"
    title: ClassVar[str] = "MinimalRNN"
    citation: ClassVar[str] = "Chen 2017, arXiv 1711.06788"
    gates: ClassVar[tuple[str, ...]] = ("z",)
    recurrent_gates: ClassVar[tuple[str, ...] | None] = ("u",)
    keep_gates: ClassVar = {"u": 1}
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = MinimalRNNState

    def __post_init__(self) -> None:
        super().__post_init__()
        activation(self.nonlinearity)
        activation(self.gate_nonlinearity, "gate_nonlinearity")

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        return super().weight_shapes(input_size) | {"weight_mm": (self.hidden_size, self.hidden_size)}

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B H"], state: MinimalRNNState
    ) -> tuple[Float[Tensor, "B H"], MinimalRNNState]:
        z = activation(self.nonlinearity)(self.inputs(weights, u_BG))
        u = activation(self.gate_nonlinearity)(self.recur(weights, state.h) + affine(z, weights["weight_mm"]))
        h_BH = u * state.h + (1 - u) * self.candidate(weights, z)
        return h_BH, MinimalRNNState(h_BH)
