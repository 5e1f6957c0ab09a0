"""The sLSTM of the xLSTM: exponential gates, kept in range by a stabiliser, and a recurrence in heads.

    ĩ_t, f̃_t, z̃_t, õ_t = W x_t + b_ih + U h_{t-1} + b_hh      each with rows of its own
    φ_t = log σ(f̃_t), or f̃_t if `forget_gate` is "exp"
    m_t = max(φ_t + m_{t-1}, ĩ_t)
    i_t = exp(ĩ_t - m_t)      f_t = exp(φ_t + m_{t-1} - m_t)
    c_t = f_t ⊙ c_{t-1} + i_t ⊙ tanh(z̃_t)
    n_t = f_t ⊙ n_{t-1} + i_t
    h_t = σ(õ_t) ⊙ c_t / n_t

U is block-diagonal: each of `heads` groups of H/heads units recurs on itself alone. c and n are e^{-m} times those of
the equations without stabiliser, so h doesn't depend on m.

Source: M. Beck et al., "xLSTM: extended long short-term memory", arXiv 2405.04517, section 2.2 and appendix A, the cell
alone: without the convolution, the group norm and the projections of the block around it. The second bias is that of
torch's layers. The package xlstm takes m = ĩ where all n of a batch are zero; the factor that this puts into c and n
cancels in h, and here there is no such exception.

Weights (gate order i f z o; d = H/heads):

    weight_ih (4H, D)     weight_hh  (4H, d): one head after another, in each i f z o     bias_ih (4H)     bias_hh (4H)

Biases, as the rows of weight_ih, stand gate by gate. A bias of the package xlstm is bias_ih, with bias_hh zero, its
recurrent kernel (heads, 4·d, d) weight_hh.

Initialiser: matrices uniform in ±1/√H, biases zero but that of the forget gate, which goes from 5 down to -7 within
each head, 5 - 12 (k/(d-1))^0.3 for unit k, as the package xlstm has it in a network of one block.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch

from elman.axes import Float, Tensor
from elman.cells.cell import Cell, Weights
from elman.cells.checks import check_size
from elman.cells.operations import affine, concat, exp, maximum, sigmoid, softplus, split, split_rows, tanh
from elman.errors import OptionError


class SLSTMState(NamedTuple):
    """h (B, H): the hidden state. c (B, H): the cell state. n (B, H): its normaliser. m (B, H): the stabiliser."""

    h: Tensor
    c: Tensor
    n: Tensor
    m: Tensor


@dataclass(frozen=True)
class SLSTMCell(Cell):
    """One step of the sLSTM; `forget_gate` is "sigmoid" or "exp".

    Raises `OptionError` for another forget gate, and for heads that don't divide the units.
    """

    heads: int = 1
    forget_gate: str = "sigmoid"

    name: ClassVar[str] = "slstm"
    title: ClassVar[str] = "sLSTM"
    citation: ClassVar[str] = "Beck et al. 2024, arXiv 2405.04517"
    gates: ClassVar[tuple[str, ...]] = ("i", "f", "z", "o")
    keep_gates: ClassVar = {"f": 1}
    inner_options: ClassVar[frozenset[str]] = frozenset({"variational_dropout", "recurrent_dropout"})
    state_type: ClassVar = SLSTMState

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size("heads", self.heads)
        if self.hidden_size % self.heads:
            raise OptionError(f"heads={self.heads} must divide hidden_size={self.hidden_size} without a remainder.")
        if self.forget_gate not in {"sigmoid", "exp"}:
            raise OptionError(f"forget_gate={self.forget_gate!r} is not known: choose from sigmoid, exp.")

    @property
    def piece_size(self) -> int:
        return self.hidden_size // self.heads

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        return super().weight_shapes(input_size) | {"weight_hh": (4 * self.hidden_size, self.piece_size)}

    def initialise(self, weights: Weights) -> None:
        super().initialise(weights)
        for bias in (weights[name] for name in ("bias_ih", "bias_hh") if name in weights):
            torch.nn.init.zeros_(bias)
        if self.bias:
            units = torch.arange(self.piece_size, dtype=torch.float64) / max(self.piece_size - 1, 1)
            with torch.no_grad():
                split_rows(weights["bias_ih"], 4)[1].copy_((5 - 12 * units**0.3).repeat(self.heads))

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: SLSTMState
    ) -> tuple[Float[Tensor, "B H"], SLSTMState]:
        i, f, z, o = split(u_BG + self._by_head(weights, state.h), 4)
        log_f = f if self.forget_gate == "exp" else -softplus(-f)
        kept = log_f + state.m
        m_BH = maximum(kept, i)
        i, f = exp(i - m_BH), exp(kept - m_BH)
        c_BH = f * state.c + i * self.candidate(weights, tanh(z))
        n_BH = f * state.n + i
        h_BH = sigmoid(o) * c_BH / n_BH
        return h_BH, SLSTMState(h_BH, c_BH, n_BH, m_BH)

    def _by_head(self, weights: Weights, h_BH: Float[Tensor, "B H"]) -> Float[Tensor, "B G"]:
        """U h + b_hh, gate by gate: a product for each head."""
        if "mask_h" in weights:
            h_BH = h_BH * weights["mask_h"]
        matrices = split_rows(weights["weight_hh"], self.heads)
        products = [split(affine(h, matrix), 4) for h, matrix in zip(split(h_BH, self.heads), matrices, strict=True)]
        v_BG = concat([product[gate] for gate in range(4) for product in products])
        return v_BG + weights["bias_hh"] if "bias_hh" in weights else v_BG
