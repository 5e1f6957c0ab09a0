"""τ-GRU: a gated unit that also sees its state of τ steps before.

    u_t = φ(W_u x_t + b_iu + U_u h_{t-1} + b_hu)                   φ is tanh
    z_t = φ(W_z x_t + b_iz + U_z h_{t-1-τ} + b_hz)                 the same of the delayed state
    g_t = σ(W_g x_t + b_ig + U_g h_{t-1} + b_hg)                   update gate
    a_t = σ(W_a x_t + b_ia + U_a h_{t-1} + b_ha)                   how much the delayed state counts
    h_t = (1 - g_t) ⊙ h_{t-1} + g_t ⊙ (u_t + a_t ⊙ z_t)
    y_t = h_t

The state holds the last τ = `delay` states before h_{t-1}, the oldest first; there are zeros where a sequence has none.

Source: N. B. Erichson, S. H. Lim and M. W. Mahoney, "Gated recurrent neural networks with weighted time-delay feedback",
arXiv 2212.00228 (2022), a delay differential equation in steps of 1. Its products have no biases; here each has two, as in
torchrecurrent. The cell of torchrecurrent takes h_{t-1-τ} as an argument; its layer keeps the states, with a delay of 1 unless
another is given, and starts from zeros whatever state it is given. Here they are carried with the state, over the cuts of a
sequence too. φ and σ can be other functions.

Weights (gate order u z g a; D inputs, H units): weight_ih (4H, D)   weight_hh (4H, H)   bias_ih (4H)   bias_hh (4H)

One probability of zoneout is that of h alone: `past` is a record. Variational dropout drops h and the delayed state alike.

Initialiser: all uniform in ±1/√H, as `torch.nn.GRU`; torchrecurrent has Xavier's for matrices and zeros for biases.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.checks import check_size
from elman.cells.operations import activation, concat, split


class TauGRUState(NamedTuple):
    """h (B, H): the hidden state. past (B, τH): those before it, the oldest first."""

    h: Tensor
    past: Tensor


@dataclass(frozen=True)
class TauGRUCell(Cell):
    """One step of the τ-GRU. Raises `OptionError` for a delay below 1 and for functions that aren't known."""

    delay: int = 5
    nonlinearity: str = "tanh"
    gate_nonlinearity: str = "sigmoid"

    name: ClassVar[str] = "taugru"
    title: ClassVar[str] = "GRU with weighted time-delay feedback"
    citation: ClassVar[str] = "Erichson et al. 2022, arXiv 2212.00228"
    gates: ClassVar[tuple[str, ...]] = ("u", "z", "g", "a")
    keep_gates: ClassVar = {"g": -1}
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = TauGRUState

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size("delay", self.delay)
        activation(self.nonlinearity)
        activation(self.gate_nonlinearity, "gate_nonlinearity")

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden_size, self.delay * self.hidden_size)

    @property
    def zoneout_rates(self) -> tuple[float, ...]:
        return super().zoneout_rates if isinstance(self.zoneout, tuple) else (self.zoneout, 0.0)

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: TauGRUState
    ) -> tuple[Float[Tensor, "B H"], TauGRUState]:
        f, gate = activation(self.nonlinearity), activation(self.gate_nonlinearity)
        u_u, u_z, u_g, u_a = split(self.inputs(weights, u_BG), 4)
        oldest, *later = split(state.past, self.delay)
        u = f(u_u + self.recur(weights, state.h, 0, 4))
        z = f(u_z + self.recur(weights, oldest, 1, 4))
        v_g, v_a = split(self.recur(weights, state.h, 1, 2), 2)
        g, a = gate(u_g + v_g), gate(u_a + v_a)
        h_BH = (1 - g) * state.h + g * self.candidate(weights, u + a * z)
        return h_BH, TauGRUState(h_BH, concat([*later, state.h]))
