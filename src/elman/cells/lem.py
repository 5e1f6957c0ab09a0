"""Long expressive memory (LEM).

    s_t = Δt σ(W_s x_t + b_is + U_s h_{t-1} + b_hs)                  how far h goes in this step
    r_t = Δt σ(W_r x_t + b_ir + U_r h_{t-1} + b_hr)                  how far c goes
    c_t = (1 - r_t) ⊙ c_{t-1} + r_t ⊙ tanh(W_c x_t + b_ic + U_c h_{t-1} + b_hc)
    h_t = (1 - s_t) ⊙ h_{t-1} + s_t ⊙ tanh(W_h x_t + b_ih + V c_t + b_ch)
    y_t = h_t

Source: T. K. Rusch et al., "Long expressive memory for sequence modeling", arXiv 2110.04744 (2021); h is the paper's y and c
its z. The paper has one bias in each of the four sums; the others are those of torchrecurrent.

torchrecurrent documents V c_t, as the paper and the authors' code have it, but computes V c_{t-1}: weights trained with it need
`former_memory=True`, which does the same.

Layer norm leaves V c as it is.

Weights (gate order s r c h; s r c in `weight_hh`; D inputs, H units):

    weight_ih  W  (4H, D)     weight_hh  U  (3H, H)     bias_ih  (4H)     bias_hh  (3H)
    weight_ch  V  (H, H)      bias_ch  (H), if there are biases

Initialiser: all uniform in ±1/√H (torchrecurrent: Xavier's, biases 0).
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.checks import check_number
from elman.cells.operations import affine, sigmoid, split, tanh


class LEMState(NamedTuple):
    """h (B, H): the hidden state. c (B, H): the memory behind it."""

    h: Tensor
    c: Tensor


@dataclass(frozen=True)
class LEMCell(Cell):
    """One step of the LEM; `former_memory`: h_t reads c_{t-1} instead of c_t. Raises `OptionError` unless Δt > 0."""

    dt: float = 1.0
    former_memory: bool = False

    name: ClassVar[str] = "lem"
    title: ClassVar[str] = "Long expressive memory"
    citation: ClassVar[str] = "Rusch et al. 2021, arXiv 2110.04744"
    gates: ClassVar[tuple[str, ...]] = ("s", "r", "c", "h")
    recurrent_gates: ClassVar[tuple[str, ...]] = ("s", "r", "c")
    keep_gates: ClassVar = {"s": -1, "r": -1}
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = LEMState

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("dt", self.dt, above=0)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        shapes = super().weight_shapes(input_size) | {"weight_ch": (self.hidden_size, self.hidden_size)}
        return shapes | {"bias_ch": (self.hidden_size,)} if self.bias else shapes

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: LEMState
    ) -> tuple[Float[Tensor, "B H"], LEMState]:
        u_s, u_r, u_c, u_h = split(self.inputs(weights, u_BG), 4)
        v_s, v_r, v_c = split(self.recur(weights, state.h), 3)
        s, r = self.dt * sigmoid(u_s + v_s), self.dt * sigmoid(u_r + v_r)
        c_BH = (1 - r) * state.c + r * self.candidate(weights, tanh(u_c + v_c))
        memory = state.c if self.former_memory else c_BH
        v_h = affine(memory, weights["weight_ch"], weights.get("bias_ch"))
        h_BH = (1 - s) * state.h + s * self.candidate(weights, tanh(u_h + v_h))
        return h_BH, LEMState(h_BH, c_BH)
