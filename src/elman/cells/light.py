"""Two light gated units, of one gate: the LiGRU and the light recurrent unit (LightRU).

LiGRU, a GRU without its reset gate:

    z_t = g(W_z x_t + b_iz + U_z h_{t-1} + b_hz)          update gate; g is σ or another activation
    n_t = f(W_n x_t + b_in + U_n h_{t-1} + b_hn)          f is ReLU or another activation
    h_t = z_t ⊙ h_{t-1} + (1 - z_t) ⊙ n_t
    y_t = h_t

LightRU, whose new state reads the input alone:

    n_t = tanh(W_n x_t + b_in)
    f_t = σ(W_f x_t + b_if + U_f h_{t-1} + b_hf)          1 takes the new state, 0 keeps the old one
    h_t = (1 - f_t) ⊙ h_{t-1} + f_t ⊙ n_t
    y_t = h_t

Sources: M. Ravanelli et al., "Light gated recurrent units for speech recognition", arXiv 1803.10225 (2018); H. Ye et al.,
"Light recurrent unit: towards an interpretable recurrent neural network for modeling long-range dependency", Electronics 13
(2024). The LiGRU's paper normalises W x_t over the batch; as in torchrecurrent there is no batch norm here, and `layer_norm`
is the closest to it. The LightRU is torchrecurrent's, without the paper's stack recurrent cell. So are the second biases.

Weights (D inputs, H units; gate order z n; LightRU: n f, and f alone in `weight_hh`):

    LiGRU:    weight_ih  W  (2H, D)     weight_hh  U  (2H, H)     bias_ih  (2H)     bias_hh  (2H)
    LightRU:  weight_ih  W  (2H, D)     weight_hh  U  (H, H)      bias_ih  (2H)     bias_hh  (H)

Initialiser: all uniform in ±1/√H (torchrecurrent: Xavier's, biases 0).
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.operations import activation, sigmoid, split, tanh


class LightState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class LiGRUCell(Cell):
    """One step of the LiGRU. Raises `OptionError` for an f or g that isn't known."""

    nonlinearity: str = "relu"
    gate_nonlinearity: str = "sigmoid"

    name: ClassVar[str] = "ligru"
    title: ClassVar[str] = "Light gated recurrent unit"
    citation: ClassVar[str] = "Ravanelli et al. 2018, arXiv 1803.10225"
    gates: ClassVar[tuple[str, ...]] = ("z", "n")
    keep_gates: ClassVar = {"z": 1}
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = LightState

    def __post_init__(self) -> None:
        super().__post_init__()
        activation(self.nonlinearity)
        activation(self.gate_nonlinearity, "gate_nonlinearity")

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: LightState
    ) -> tuple[Float[Tensor, "B H"], LightState]:
        z, n = split(self.inputs(weights, u_BG) + self.recur(weights, state.h), 2)
        z = activation(self.gate_nonlinearity)(z)
        n = self.candidate(weights, activation(self.nonlinearity)(n))
        h_BH = z * state.h + (1 - z) * n
        return h_BH, LightState(h_BH)


@dataclass(frozen=True)
class LightRUCell(Cell):
    """One step of the light recurrent unit."""

    name: ClassVar[str] = "lightru"
    title: ClassVar[str] = "Light recurrent unit"
    citation: ClassVar[str] = "Ye et al. 2024, Electronics 13"
    gates: ClassVar[tuple[str, ...]] = ("n", "f")
    recurrent_gates: ClassVar[tuple[str, ...]] = ("f",)
    keep_gates: ClassVar = {"f": -1}
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = LightState

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: LightState
    ) -> tuple[Float[Tensor, "B H"], LightState]:
        u_n, u_f = split(self.inputs(weights, u_BG), 2)
        f = sigmoid(u_f + self.recur(weights, state.h))
        h_BH = (1 - f) * state.h + f * self.candidate(weights, tanh(u_n))
        return h_BH, LightState(h_BH)
