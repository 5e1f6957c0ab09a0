"""The Mogrifier LSTM: before the step of an LSTM, input and hidden state gate each other in turn.

    x^0 = x_t      h^0 = h_{t-1}      for k = 1 … rounds:
    x ← 2 σ(Q_j h) ⊙ x      in rounds 1, 3, 5, … (j = 1, 2, …)
    h ← 2 σ(R_j x) ⊙ h      in rounds 2, 4, …    (j = 1, 2, …)
    (h_t, c_t) = the LSTM's step on the x and h that came of it, and c_{t-1}

The LSTM is that of `elman.cells.lstm`, with all of its options; without rounds it is nothing else.

Source: G. Melis, T. Kočiský and P. Blunsom, "Mogrifier LSTM", arXiv 1909.01792, section 2. Q and R have full rank here,
where the paper's best models factorise them; biases are those of torch's LSTM. There is no projection of a whole
sequence: x is changed by h before W sees it. Variational dropout drops the h that the LSTM sees, not the one that
gates x.

Weights: those of the LSTM (gate order i f g o), and with h of P columns (P = H without a projection)

    weight_q  Q_1 Q_2 …  (⌈rounds/2⌉·D, P)     weight_r  R_1 R_2 …  (⌊rounds/2⌋·P, D)

Initialiser: all uniform in ±1/√H.
"""

from dataclasses import dataclass
from typing import ClassVar

from elman.axes import Float, Tensor
from elman.cells.cell import Weights
from elman.cells.lstm import LSTMCell, LSTMState
from elman.cells.operations import affine, sigmoid, split_rows
from elman.errors import OptionError


@dataclass(frozen=True)
class MogrifierLSTMCell(LSTMCell):
    """One step of the Mogrifier LSTM. Raises `OptionError` if `rounds` isn't a whole number, 0 or more."""

    rounds: int = 5

    name: ClassVar[str] = "mogrifier"
    title: ClassVar[str] = "Mogrifier LSTM"
    citation: ClassVar[str] = "Melis et al. 2019, arXiv 1909.01792"
    reads_input: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.rounds, int) or isinstance(self.rounds, bool) or self.rounds < 0:
            raise OptionError(f"rounds={self.rounds!r} must be a whole number, 0 (an LSTM) or more.")

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        shapes = super().weight_shapes(input_size)
        for_x, for_h = self._rounds
        if for_x:
            shapes["weight_q"] = (for_x * input_size, self.output_size)
        if for_h:
            shapes["weight_r"] = (for_h * self.output_size, input_size)
        return shapes

    def project(self, weights: Weights, x: Float[Tensor, "*steps D"]) -> Float[Tensor, "*steps D"]:  # noqa: ARG002
        """x_t itself."""
        return x

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B D"], state: LSTMState
    ) -> tuple[Float[Tensor, "B P"], LSTMState]:
        x_BD, h_BP = u_BG, state.h
        for_x, for_h = self._rounds
        for_x_matrices = split_rows(weights["weight_q"], for_x) if for_x else ()
        for_h_matrices = split_rows(weights["weight_r"], for_h) if for_h else ()
        for k in range(self.rounds):
            if k % 2 == 0:
                x_BD = 2 * sigmoid(affine(h_BP, for_x_matrices[k // 2])) * x_BD
            else:
                h_BP = 2 * sigmoid(affine(x_BD, for_h_matrices[k // 2])) * h_BP
        return super().step(weights, super().project(weights, x_BD), LSTMState(h_BP, state.c))

    @property
    def _rounds(self) -> tuple[int, int]:
        """How many rounds change x, and how many h."""
        return (self.rounds + 1) // 2, self.rounds // 2
