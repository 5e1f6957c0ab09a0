"""The structurally constrained recurrent network: beside the units that recur freely, a context that changes slowly.

    s_t = (1 - α) (W_s x_t + b_is) + α s_{t-1}                               context
    g_t = σ(W_h x_t + b_ih + U_h h_{t-1} + b_hh + V_h s_t + b_ch)            hidden units
    h_t = tanh(U_y g_t + b_hy + V_y s_t + b_cy)
    y_t = h_t

Source: T. Mikolov, A. Joulin, S. Chopra, M. Mathieu and M. Ranzato, "Learning longer memory in recurrent neural networks",
arXiv 1412.7753 (2014). Ours is torchrecurrent's, which is another network in these points: the paper feeds the hidden units
g_{t-1} back, here it is the output h_{t-1}, as in Jordan's network; the paper's output is a softmax over words, here it is a
tanh of H units, for layers to come; the paper's α is a constant, 0.95, here it is learned, from the value of the option
`alpha`; the context has H units too, where the paper has fewer; the paper has no biases.

Weights (gate order s h in `weight_ih`, h y in the others; D inputs, H units):

    weight_ih  W  (2H, D)     weight_hh  U  (2H, H)     weight_ch  V  (2H, H)     bias_ih, bias_hh, bias_ch (2H)
    alpha  α  (1): torchrecurrent's has shape ()

`bias=False` leaves out `bias_ch` too. Layer norm takes W x and U h, not V s.

Initialiser: α from the option, all others uniform in ±1/√H, as `torch.nn.RNN`; torchrecurrent has Xavier's for W and U,
standard normal numbers for V, and zeros for biases.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.checks import check_number
from elman.cells.operations import affine, sigmoid, split, tanh


class SCRNState(NamedTuple):
    """h (B, H): the output, which is fed back. s (B, H): the context."""

    h: Tensor
    s: Tensor


@dataclass(frozen=True)
class SCRNCell(Cell):
    """One step of the SCRN; `alpha` is what α is at first. Raises `OptionError` if it isn't within 0 to 1."""

    alpha: float = 0.5

    name: ClassVar[str] = "scrn"
    title: ClassVar[str] = "Structurally constrained recurrent network"
    citation: ClassVar[str] = "Mikolov et al. 2014, arXiv 1412.7753"
    gates: ClassVar[tuple[str, ...]] = ("s", "h")
    recurrent_gates: ClassVar[tuple[str, ...] | None] = ("h", "y")
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = SCRNState

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("alpha", self.alpha, least=0, most=1)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        rows = 2 * self.hidden_size
        shapes = super().weight_shapes(input_size) | {"weight_ch": (rows, self.hidden_size), "alpha": (1,)}
        return shapes | {"bias_ch": (rows,)} if self.bias else shapes

    def initialise(self, weights: Weights) -> None:
        super().initialise(weights)
        torch.nn.init.constant_(weights["alpha"], self.alpha)

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: SCRNState
    ) -> tuple[Float[Tensor, "B H"], SCRNState]:
        alpha = weights["alpha"]
        u_s, u_h = split(self.inputs(weights, u_BG), 2)
        s_BH = (1 - alpha) * self.candidate(weights, u_s) + alpha * state.s
        c_h, c_y = split(affine(s_BH, weights["weight_ch"], weights.get("bias_ch")), 2)
        g = sigmoid(u_h + self.recur(weights, state.h, 0, 2) + c_h)
        h_BH = tanh(self.recur(weights, g, 1, 2) + c_y)
        return h_BH, SCRNState(h_BH, s_BH)
