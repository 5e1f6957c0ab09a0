"""MUT1, MUT2 and MUT3: the three best cells that a search by mutation found, all near the GRU.

Each ends in h_t = z_t ⊙ n_t + (1 - z_t) ⊙ h_{t-1} and y_t = h_t. Before that:

    MUT1    z_t = σ(W_z x_t + b_iz)
            r_t = σ(W_r x_t + b_ir + U_r h_{t-1} + b_hr)
            n_t = tanh(tanh(W_h x_t + b_ih) + U_h (r_t ⊙ h_{t-1}) + b_hh)

    MUT2    z_t = σ(W_z x_t + b_iz + U_z h_{t-1} + b_hz)
            r_t = σ(W_r x_t + b_ir + U_r h_{t-1} + b_hr)
            n_t = tanh(W_h x_t + b_ih + U_h (r_t ⊙ h_{t-1}) + b_hh)

    MUT3    as MUT2, but z_t = σ(W_z x_t + b_iz + U_z tanh(h_{t-1}) + b_hz)

Source: R. Jozefowicz, W. Zaremba and I. Sutskever, "An empirical exploration of recurrent network architectures", ICML (2015).
The paper has x_t itself where MUT1 has W_h x_t + b_ih, inside of the inner tanh, and where MUT2 has W_r x_t + b_ir, so that x
must have H features. Ours are torchrecurrent's, with these matrices, for any number of features; MUT2 so becomes a GRU whose
reset gate acts before the product. (torchrecurrent's text gives MUT3 another z and r than its code; ours is the code's, and
the paper's.) The paper has one bias where there are two here, b_ih and b_hh.

Weights (gate order z r h; `weight_hh` of MUT1 has no z: k = 2, else 3; D inputs, H units):

    weight_ih (3H, D)     weight_hh (kH, H)     bias_ih (3H)     bias_hh (kH)

Initialiser: all uniform in ±1/√H, as `torch.nn.GRU`; torchrecurrent has Xavier's for matrices and zeros for biases.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.operations import sigmoid, split, tanh


class MUTState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class MUT1Cell(Cell):
    """One step of MUT1: the update gate doesn't see the state."""

    name: ClassVar[str] = "mut1"
    title: ClassVar[str] = "Mutated unit 1"
    citation: ClassVar[str] = "Jozefowicz et al. 2015, ICML"
    gates: ClassVar[tuple[str, ...]] = ("z", "r", "h")
    recurrent_gates: ClassVar[tuple[str, ...] | None] = ("r", "h")
    keep_gates: ClassVar = {"z": -1}
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = MUTState

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: MUTState
    ) -> tuple[Float[Tensor, "B H"], MUTState]:
        u_z, u_r, u_h = split(self.inputs(weights, u_BG), 3)
        z = sigmoid(u_z)
        r = sigmoid(u_r + self.recur(weights, state.h, 0, 2))
        n = tanh(tanh(u_h) + self.recur(weights, r * state.h, 1, 2))
        h_BH = z * self.candidate(weights, n) + (1 - z) * state.h
        return h_BH, MUTState(h_BH)


@dataclass(frozen=True)
class MUT2Cell(Cell):
    """One step of MUT2."""

    name: ClassVar[str] = "mut2"
    title: ClassVar[str] = "Mutated unit 2"
    citation: ClassVar[str] = "Jozefowicz et al. 2015, ICML"
    gates: ClassVar[tuple[str, ...]] = ("z", "r", "h")
    keep_gates: ClassVar = {"z": -1}
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = MUTState

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: MUTState
    ) -> tuple[Float[Tensor, "B H"], MUTState]:
        u_z, u_r, u_h = split(self.inputs(weights, u_BG), 3)
        z = sigmoid(u_z + self.recur(weights, self.seen_by_z(state.h), 0, 3))
        r = sigmoid(u_r + self.recur(weights, state.h, 1, 3))
        n = tanh(u_h + self.recur(weights, r * state.h, 2, 3))
        h_BH = z * self.candidate(weights, n) + (1 - z) * state.h
        return h_BH, MUTState(h_BH)

    def seen_by_z(self, h_BH: Float[Tensor, "B H"]) -> Float[Tensor, "B H"]:
        """What the update gate sees of the state: all of it."""
        return h_BH


@dataclass(frozen=True)
class MUT3Cell(MUT2Cell):
    """One step of MUT3."""

    name: ClassVar[str] = "mut3"
    title: ClassVar[str] = "Mutated unit 3"

    def seen_by_z(self, h_BH: Float[Tensor, "B H"]) -> Float[Tensor, "B H"]:
        """What the update gate sees of the state: its tanh."""
        return tanh(h_BH)
