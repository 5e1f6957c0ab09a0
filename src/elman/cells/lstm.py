"""Long short-term memory, as PyTorch defines it, and its variants.

    i_t, f_t, o_t = σ(W x_t + b_ih + U h_{t-1} + b_hh)      input, forget and output gate, each with rows of its own
    g_t           = tanh(W_g x_t + b_ig + U_g h_{t-1} + b_hg)
    c_t           = f_t ⊙ c_{t-1} + i_t ⊙ g_t
    h_t           = o_t ⊙ tanh(c_t)                          with a projection (LSTMP): R (o_t ⊙ tanh(c_t))
    y_t           = h_t

With `peepholes`, p_i ⊙ c_{t-1} and p_f ⊙ c_{t-1} are added inside the input and forget gates, p_o ⊙ c_t inside the output gate.
With `coupled` gates (CIFG) there is no input gate: i_t = 1 - f_t. With `layer_norm`, c_t is normalised before its tanh too,
with a gain `norm_c` and a shift `shift_c`.

Source: S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997), with the forget gate of
F. Gers et al., "Learning to forget" (2000); peepholes: F. Gers and J. Schmidhuber, "Recurrent nets that time and count" (2000);
coupled gates: K. Greff et al., arXiv 1503.04069; the projection is that of H. Sak et al., arXiv 1402.1128, without its
non-recurrent part. Plain, it is the same as `torch.nn.LSTM`.

Weights (gate order i f g o, or f g o if coupled; D inputs, H units, P = `projection_size` or H):

    weight_ih (4H, D)     weight_hh (4H, P)     bias_ih (4H)     bias_hh (4H)     weight_hr  R  (P, H), if projected
    weight_ph (3H), if there are peepholes: p_i p_f p_o; (2H) if coupled: p_f p_o

Initialiser: all uniform in ±1/√H, as `torch.nn.LSTM`.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.operations import affine, layer_norm, sigmoid, split, split_rows, tanh
from elman.errors import OptionError


class LSTMState(NamedTuple):
    """h (B, P): the hidden state, projected if there is a projection. c (B, H): the cell state."""

    h: Tensor
    c: Tensor


@dataclass(frozen=True)
class LSTMCell(Cell):
    """One step of the LSTM; `projection_size` 0 means none. Raises `OptionError` if it isn't less than `hidden_size`."""

    projection_size: int = 0
    peepholes: bool = False
    coupled: bool = False

    name: ClassVar[str] = "lstm"
    title: ClassVar[str] = "Long short-term memory"
    citation: ClassVar[str] = "Hochreiter and Schmidhuber 1997, Neural Computation 9"
    gates: ClassVar[tuple[str, ...]] = ("i", "f", "g", "o")
    keep_gates: ClassVar = {"f": 1}
    write_gates: ClassVar[tuple[str, ...]] = ("i",)
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = LSTMState

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.projection_size < self.hidden_size:
            raise OptionError(
                f"proj_size={self.projection_size} must be 0 (no projection) or less than hidden_size="
                f"{self.hidden_size}: a projection makes the hidden state smaller."
            )

    @property
    def gate_names(self) -> tuple[str, ...]:
        return self.gates[1:] if self.coupled else self.gates

    @property
    def output_size(self) -> int:
        return self.projection_size or self.hidden_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.output_size, self.hidden_size)

    @property
    def has_options(self) -> bool:
        return super().has_options or self.peepholes or self.coupled

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        shapes = super().weight_shapes(input_size)
        if self.projection_size:
            shapes["weight_hr"] = (self.projection_size, self.hidden_size)
        if self.peepholes:
            shapes["weight_ph"] = ((len(self.gate_names) - 1) * self.hidden_size,)
        if self.layer_norm:
            shapes |= {"norm_c": (self.hidden_size,), "shift_c": (self.hidden_size,)}
        return shapes

    def initialise(self, weights: Weights) -> None:
        super().initialise(weights)
        if self.layer_norm:
            torch.nn.init.zeros_(weights["shift_c"])

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: LSTMState
    ) -> tuple[Float[Tensor, "B P"], LSTMState]:
        *i, f, g, o = split(self.inputs(weights, u_BG) + self.recur(weights, state.h), len(self.gate_names))
        peepholes = split_rows(weights["weight_ph"], len(self.gate_names) - 1) if self.peepholes else ()
        if peepholes:
            i = [part + p * state.c for part, p in zip(i, peepholes, strict=False)]
            f = f + peepholes[-2] * state.c
        f = sigmoid(f)
        written = self.candidate(weights, tanh(g))
        c_BH = f * state.c + (1 - f if self.coupled else sigmoid(i[0])) * written
        if peepholes:
            o = o + peepholes[-1] * c_BH
        shown = layer_norm(c_BH, weights["norm_c"], weights["shift_c"]) if self.layer_norm else c_BH
        h_BP = sigmoid(o) * tanh(shown)
        if self.projection_size:
            h_BP = affine(h_BP, weights["weight_hr"])
        return h_BP, LSTMState(h_BP, c_BH)
