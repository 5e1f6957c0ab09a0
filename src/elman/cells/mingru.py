"""minGRU and minLSTM: a GRU and an LSTM whose gates see the input alone, so that the state is linear in itself.

minGRU:     z_t = σ(W_z x_t + b_z)                                 update gate
            v_t = φ(W_h x_t + b_h)                                 candidate
            h_t = (1 - z_t) ⊙ h_{t-1} + z_t ⊙ v_t

minLSTM:    f_t = σ(W_f x_t + b_f)      i_t = σ(W_i x_t + b_i)     forget and input gate
            v_t = φ(W_h x_t + b_h)
            h_t = f'_t ⊙ h_{t-1} + i'_t ⊙ v_t
            f' = f / (f + i), i' = i / (f + i), so that f' + i' = 1; or f' = f and i' = i if not `normalised`

            y_t = h_t

φ is the identity, as in sections 3.1 and 3.2 of the paper, or g, `nonlinearity="positive"`: g(v) = v + 1/2 where v ≥ 0, σ(v)
elsewhere, which the paper takes where a sequence is computed in logarithms (appendix B). Other functions serve as well.

Source: L. Feng et al., "Were RNNs all we needed?", arXiv 2410.01201 (2024). In its log-space form the state before the first
step goes through g too; here a state is h itself, whatever it is given. The quotient is computed as f' = σ(log f - log i) and
i' = 1 - f', which is the same and has no 0 / 0 where both gates are shut.

Weights (gate order z h, or f i h; D inputs, H units; there is no recurrent matrix):

    minGRU      weight_ih (2H, D)     bias_ih (2H)
    minLSTM     weight_ih (3H, D)     bias_ih (3H)

Initialiser: all uniform in ±1/√H, as the paper's linear layers for D = H.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import Cell, Weights
from elman.cells.operations import activation, clip, relu, sigmoid, softplus, split


@dataclass(frozen=True)
class _MinimalCell(Cell):
    """What a minGRU and a minLSTM have in common: a candidate that is φ of the input."""

    nonlinearity: str = "identity"

    citation: ClassVar[str] = "Feng et al. 2024, arXiv 2410.01201"
    recurrent_gates: ClassVar[tuple[str, ...] | None] = ()
    scans: ClassVar[bool] = True
    inner_options: ClassVar[frozenset[str]] = frozenset({"layer_norm", "recurrent_dropout"})

    def __post_init__(self) -> None:
        super().__post_init__()
        self._activation()

    def _activation(self) -> Callable[[Tensor], Tensor]:
        return _positive if self.nonlinearity == "positive" else activation(self.nonlinearity)


def _positive(v: Tensor) -> Tensor:
    """g: v + 1/2 where v ≥ 0, σ(v) elsewhere."""
    return relu(v) + clip(sigmoid(v), 0.0, 0.5)


class MinGRUState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class MinGRUCell(_MinimalCell):
    """One step of the minGRU. Raises `OptionError` for a φ that isn't known."""

    name: ClassVar[str] = "mingru"
    title: ClassVar[str] = "minGRU"
    gates: ClassVar[tuple[str, ...]] = ("z", "h")
    keep_gates: ClassVar = {"z": -1}
    state_type: ClassVar = MinGRUState

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: MinGRUState
    ) -> tuple[Float[Tensor, "B H"], MinGRUState]:
        z, v = split(self.inputs(weights, u_BG), 2)
        z = sigmoid(z)
        h_BH = state.h + z * (self.candidate(weights, self._activation()(v)) - state.h)
        return h_BH, MinGRUState(h_BH)


class MinLSTMState(NamedTuple):
    """h (B, H): the hidden state, which is the cell state too."""

    h: Tensor


@dataclass(frozen=True)
class MinLSTMCell(_MinimalCell):
    """One step of the minLSTM; `normalised`: its gates sum to one. Raises `OptionError` for a φ that isn't known."""

    normalised: bool = True

    name: ClassVar[str] = "minlstm"
    title: ClassVar[str] = "minLSTM"
    gates: ClassVar[tuple[str, ...]] = ("f", "i", "h")
    keep_gates: ClassVar = {"f": 1}
    write_gates: ClassVar[tuple[str, ...]] = ("i",)
    state_type: ClassVar = MinLSTMState

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: MinLSTMState
    ) -> tuple[Float[Tensor, "B H"], MinLSTMState]:
        f, i, v = split(self.inputs(weights, u_BG), 3)
        if self.normalised:
            # -log σ(x) is softplus(-x).
            f = sigmoid(softplus(-i) - softplus(-f))
            i = 1 - f
        else:
            f, i = sigmoid(f), sigmoid(i)
        h_BH = f * state.h + i * self.candidate(weights, self._activation()(v))
        return h_BH, MinLSTMState(h_BH)
