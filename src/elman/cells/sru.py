"""The simple recurrent unit (SRU): gates that see the input and, element by element, the state; and a highway for the input.

    f_t = σ(W_f x_t + v_f ⊙ c_{t-1} + b_f)                         forget gate
    r_t = σ(W_r x_t + v_r ⊙ c_{t-1} + b_r)                         reset gate
    c_t = f_t ⊙ c_{t-1} + (1 - f_t) ⊙ (W_z x_t + b_z)
    y_t = r_t ⊙ φ(c_t) + (1 - r_t) ⊙ α x_t                         y is no state; if D ≠ H: W_x x_t for α x_t

Without `peepholes` there are no v, and c is linear in itself: the first version, arXiv 1709.02755v1, whose φ is tanh. With
them, as in the fifth, φ is the identity; `nonlinearity` is φ.

Source: T. Lei et al., "Simple recurrent units for highly parallelizable recurrence", arXiv 1709.02755v5 (2018), equations 1 to
4. b_z is ours, and zero at first. α is 1; with `rescale`, √(1 + 2 e^b) for a bias b_r that is b = `highway_bias` at first,
which keeps the variance of y near that of x (section 3.2). W_x is the fourth projection of the authors' code. Where there is
recurrent dropout it drops W_z x_t + b_z.

Weights (gate order z f r; D inputs, H units; there is no recurrent matrix):

    weight_ih (3H, D), if D ≠ H (4H, D) with W_x last     bias_ih (3H)     weight_ph  v_f v_r  (2H), if there are peepholes

Initialiser: biases zero but b_r, which is `highway_bias`; all others uniform in ±1/√H, where the authors' code has ±√(3/D).
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch

from elman.axes import Float, Tensor
from elman.cells.cell import Cell, Weights
from elman.cells.checks import check_number
from elman.cells.operations import activation, affine, concat, sigmoid, split, split_rows


class SRUState(NamedTuple):
    """c (B, H): the cell state, which is not the output."""

    c: Tensor


@dataclass(frozen=True)
class SRUCell(Cell):
    """One step of the SRU. Raises `OptionError` for a φ that isn't known and a `highway_bias` that is no number."""

    peepholes: bool = True
    nonlinearity: str = "identity"
    highway_bias: float = 0.0
    rescale: bool = False

    name: ClassVar[str] = "sru"
    title: ClassVar[str] = "Simple recurrent unit"
    citation: ClassVar[str] = "Lei et al. 2018, arXiv 1709.02755v5"
    gates: ClassVar[tuple[str, ...]] = ("z", "f", "r")
    recurrent_gates: ClassVar[tuple[str, ...] | None] = ()
    keep_gates: ClassVar = {"f": 1}
    # With peepholes, which it has unless they are left out, the forget gate depends on the state.
    scans: ClassVar[bool] = False
    inner_options: ClassVar[frozenset[str]] = frozenset({"recurrent_dropout"})
    state_type: ClassVar = SRUState

    def __post_init__(self) -> None:
        super().__post_init__()
        activation(self.nonlinearity)
        check_number("highway_bias", self.highway_bias)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        shapes = super().weight_shapes(input_size)
        if self.peepholes:
            shapes["weight_ph"] = (2 * self.hidden_size,)
        rows = 3 if input_size == self.hidden_size else 4
        return shapes | {"weight_ih": (rows * self.hidden_size, input_size)}

    def initialise(self, weights: Weights) -> None:
        super().initialise(weights)
        if self.bias:
            torch.nn.init.zeros_(weights["bias_ih"])
            torch.nn.init.constant_(split_rows(weights["bias_ih"], 3)[2], self.highway_bias)

    def project(self, weights: Weights, x: Float[Tensor, "*steps D"]) -> Float[Tensor, "*steps _"]:
        """u_t, and beside it what the highway carries."""
        gates, highway = weights["weight_ih"].tensor_split([3 * self.hidden_size])
        if highway.shape[0]:
            carried = affine(x, highway)
        else:
            carried = math.sqrt(1 + 2 * math.exp(self.highway_bias)) * x if self.rescale else x
        return concat([affine(x, gates, weights.get("bias_ih")), carried])

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B _"], state: SRUState
    ) -> tuple[Float[Tensor, "B H"], SRUState]:
        z, f, r, carried = split(u_BG, 4)
        if self.peepholes:
            v_f, v_r = split_rows(weights["weight_ph"], 2)
            f, r = f + v_f * state.c, r + v_r * state.c
        f, r = sigmoid(f), sigmoid(r)
        new = self.candidate(weights, z)
        c_BH = new + f * (state.c - new)
        y_BH = carried + r * (activation(self.nonlinearity)(c_BH) - carried)
        return y_BH, SRUState(c_BH)
