"""Units that recur each on itself alone, and the independently recurrent network (IndRNN), which is made of them.

    h_t = f(W x_t + b_ih + u ⊙ h_{t-1} + b_hh)      f is tanh or another activation
    y_t = h_t

Source: S. Li et al., "Independently recurrent neural network (IndRNN): building a longer and deeper RNN", arXiv 1803.04831
(2018). The paper's f is ReLU and it has one bias; tanh and the second bias are torchrecurrent's, where u is `vector_u`. The
paper holds |u| within 2^{1/T} for sequences of T steps, with ReLU; nothing here does.

Weights (one gate, `h`; D inputs, H units): weight_ih W (H, D)   weight_hh u (H)   bias_ih (H)   bias_hh (H)

Initialiser: u uniform in 0 to 1 (torchrecurrent: normal), all others uniform in ±1/√H (torchrecurrent: Xavier's, biases 0).
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.operations import activation, split_rows


@dataclass(frozen=True)
class DiagonalCell(Cell):
    """A cell whose `weight_hh` is a vector for each gate: what stands for U h is u ⊙ h."""

    diagonal: ClassVar[bool] = True

    def recur(
        self, weights: Weights, h_BH: Float[Tensor, "B H"], part: int = 0, parts: int = 1
    ) -> Float[Tensor, "B H"]:
        """u ⊙ h + b_hh for the gate with number `part` of `parts`; h dropped and the gate normalised, as for a matrix."""
        bias = split_rows(weights["bias_hh"], parts)[part] if "bias_hh" in weights else None
        if "mask_h" in weights:
            h_BH = h_BH * weights["mask_h"]
        recurred = h_BH * split_rows(weights["weight_hh"], parts)[part]
        if self.layer_norm:
            return self._normed(recurred, split_rows(weights["norm_hh"], parts)[part], bias)
        return recurred if bias is None else recurred + bias


class IndRNNState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


@dataclass(frozen=True)
class IndRNNCell(DiagonalCell):
    """One step of the IndRNN. Raises `OptionError` for an f that isn't known."""

    nonlinearity: str = "tanh"

    name: ClassVar[str] = "indrnn"
    title: ClassVar[str] = "Independently recurrent network"
    citation: ClassVar[str] = "Li et al. 2018, arXiv 1803.04831"
    gates: ClassVar[tuple[str, ...]] = ("h",)
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = IndRNNState

    def __post_init__(self) -> None:
        super().__post_init__()
        activation(self.nonlinearity)

    def initialise(self, weights: Weights) -> None:
        super().initialise(weights)
        torch.nn.init.uniform_(weights["weight_hh"], 0, 1)

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B H"], state: IndRNNState
    ) -> tuple[Float[Tensor, "B H"], IndRNNState]:
        f = activation(self.nonlinearity)
        h_BH = self.candidate(weights, f(self.inputs(weights, u_BG) + self.recur(weights, state.h)))
        return h_BH, IndRNNState(h_BH)
