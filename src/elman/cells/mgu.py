"""GRUs with fewer gates: the minimal gated unit, which has one, and the minion recurrent units, whose gates are numbers.

The MGU's one gate does the work of both of the GRU's:

    f_t = σ(W_f x_t + b_if + U_f h_{t-1} + b_hf)                   the gate
    n_t = φ(W_h x_t + b_ih + U_h (f_t ⊙ h_{t-1}) + b_hh)           candidate; φ is tanh
    h_t = (1 - f_t) ⊙ h_{t-1} + f_t ⊙ n_t
    y_t = h_t

In MiRU1 the update gate is a number λ, `update_coefficient`; in MiRU2 the reset gate is one too, θ, `reset_coefficient`:

    r_t = σ(W_r x_t + b_ir + U_r h_{t-1} + b_hr)                   MiRU1;  in MiRU2, r_t = θ
    n_t = φ(W_h x_t + b_ih + U_h (r_t ⊙ h_{t-1}) + b_hh)
    h_t = λ h_{t-1} + (1 - λ) n_t
    y_t = h_t

Sources: G.-B. Zhou, J. Wu, C.-L. Zhang and Z.-H. Zhou, "Minimal gated unit for recurrent neural networks", arXiv 1603.09420
(2016); A. M. Zyarah and D. Kudithipudi, "Minion gated recurrent unit for continual learning", arXiv 2503.06175 (2025). The
papers have one bias where there are two here, b_ih and b_hh, as in torchrecurrent; φ and σ can be other functions; λ and θ
are 1/2 unless given, torchrecurrent's values.

Weights (gate order f h, r h, or h alone; k = 2, 2 or 1 of them; D inputs, H units):

    weight_ih (kH, D)     weight_hh (kH, H)     bias_ih (kH)     bias_hh (kH)

Initialiser: all uniform in ±1/√H, as `torch.nn.GRU`; torchrecurrent has Xavier's for matrices and zeros for biases.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.checks import check_number
from elman.cells.operations import activation, split


class MGUState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


class MiRUState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class MGUCell(Cell):
    """One step of the MGU. Raises `OptionError` for functions that aren't known."""

    nonlinearity: str = "tanh"
    gate_nonlinearity: str = "sigmoid"

    name: ClassVar[str] = "mgu"
    title: ClassVar[str] = "Minimal gated unit"
    citation: ClassVar[str] = "Zhou et al. 2016, arXiv 1603.09420"
    gates: ClassVar[tuple[str, ...]] = ("f", "h")
    keep_gates: ClassVar = {"f": -1}
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = MGUState

    def __post_init__(self) -> None:
        super().__post_init__()
        activation(self.nonlinearity)
        activation(self.gate_nonlinearity, "gate_nonlinearity")

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: MGUState
    ) -> tuple[Float[Tensor, "B H"], MGUState]:
        u_f, u_h = split(self.inputs(weights, u_BG), 2)
        f = activation(self.gate_nonlinearity)(u_f + self.recur(weights, state.h, 0, 2))
        n = activation(self.nonlinearity)(u_h + self.recur(weights, f * state.h, 1, 2))
        h_BH = (1 - f) * state.h + f * self.candidate(weights, n)
        return h_BH, MGUState(h_BH)


@dataclass(frozen=True)
class MiRU1Cell(Cell):
    """One step of MiRU1. Raises `OptionError` for functions that aren't known and for a λ that isn't within 0 to 1."""

    update_coefficient: float = 0.5
    nonlinearity: str = "tanh"
    gate_nonlinearity: str = "sigmoid"

    name: ClassVar[str] = "miru1"
    title: ClassVar[str] = "Minion recurrent unit with a reset gate"
    citation: ClassVar[str] = "Zyarah and Kudithipudi 2025, arXiv 2503.06175"
    gates: ClassVar[tuple[str, ...]] = ("r", "h")
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = MiRUState

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("update_coefficient", self.update_coefficient, least=0, most=1)
        activation(self.nonlinearity)
        activation(self.gate_nonlinearity, "gate_nonlinearity")

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: MiRUState
    ) -> tuple[Float[Tensor, "B H"], MiRUState]:
        u_r, u_h = split(self.inputs(weights, u_BG), 2)
        r = activation(self.gate_nonlinearity)(u_r + self.recur(weights, state.h, 0, 2))
        n = activation(self.nonlinearity)(u_h + self.recur(weights, r * state.h, 1, 2))
        h_BH = self.update_coefficient * state.h + (1 - self.update_coefficient) * self.candidate(weights, n)
        return h_BH, MiRUState(h_BH)


@dataclass(frozen=True)
class MiRU2Cell(Cell):
    """One step of MiRU2. Raises `OptionError` for a φ that isn't known and for a λ or θ that isn't within 0 to 1."""

    update_coefficient: float = 0.5
    reset_coefficient: float = 0.5
    nonlinearity: str = "tanh"

    name: ClassVar[str] = "miru2"
    title: ClassVar[str] = "Minion recurrent unit without gates"
    citation: ClassVar[str] = "Zyarah and Kudithipudi 2025, arXiv 2503.06175"
    gates: ClassVar[tuple[str, ...]] = ("h",)
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = MiRUState

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("update_coefficient", self.update_coefficient, least=0, most=1)
        check_number("reset_coefficient", self.reset_coefficient, least=0, most=1)
        activation(self.nonlinearity)

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B H"], state: MiRUState
    ) -> tuple[Float[Tensor, "B H"], MiRUState]:
        recurrent = self.recur(weights, self.reset_coefficient * state.h)
        n = activation(self.nonlinearity)(self.inputs(weights, u_BG) + recurrent)
        h_BH = self.update_coefficient * state.h + (1 - self.update_coefficient) * self.candidate(weights, n)
        return h_BH, MiRUState(h_BH)
