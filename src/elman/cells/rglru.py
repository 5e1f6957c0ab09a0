"""The real-gated linear recurrent unit (RG-LRU) of Griffin: a decay that the input sets, after a short convolution.

    v_t   = W x_t + b
    x'_t  = w_0 ⊙ v_t + w_1 ⊙ v_{t-1} + … + w_{k-1} ⊙ v_{t-k+1} + b_c      each unit by itself; k = `conv_width`, if 1: x' = v
    r_t   = σ(W_r x'_t + b_r)      i_t = σ(W_i x'_t + b_i)                 recurrence and input gate
    a_t   = exp(-8 softplus(Λ) ⊙ r_t)
    h_t   = a_t ⊙ h_{t-1} + √(1 - a_t²) ⊙ (i_t ⊙ x'_t)
    y_t   = h_t

Source: S. De et al., "Griffin: mixing gated linear recurrences with local attention for efficient language models", arXiv
2402.19427 (2024), equations 1 to 4 and the convolution of its recurrent block; the other branch of that block and the product
after it belong to the block. W_r (the paper's W_a) and W_i are full matrices, where the authors' code has them in blocks. That
code also leaves out √(1 - a²) at the first step of a sequence; the paper, and this, don't. With t = tanh(-log a / 2), a is
(1 - t) / (1 + t) and √(1 - a²) is 2 √t / (1 + t): one transcendental function for both, and no difference of what is nearly
equal. Under the root t never falls below 2.5e-13, so that it has a gradient where a gate is shut. Recurrent dropout drops
i ⊙ x'.

Before the first step v is zero. The last k - 1 v are carried; one probability of zoneout is that of h alone.

Weights (one gate, `v`; D inputs, H units; there is no recurrent matrix):

    weight_ih  W  (H, D)     bias_ih  b  (H)     weight_conv  w_0 w_1 …  (k·H)     bias_conv  b_c  (H)
    weight_gates  W_r W_i  (2H, H)     bias_gates  b_r b_i  (2H)     decay  Λ  (H)

Initialiser: Λ so that a is uniform between 0.9 and 0.999 where r = 1, as in the paper; w and b_c uniform in ±1/√k, as
`torch.nn.Conv1d`; all others uniform in ±1/√H.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch

from elman.axes import Float, Tensor
from elman.cells.cell import Cell, Weights
from elman.cells.checks import check_size
from elman.cells.operations import affine, concat, sigmoid, softplus, split, split_rows, sqrt, tanh

# c of the paper, which scales log a.
_SCALE = 8.0
_DECAYS = (0.9, 0.999)
_LEAST = 2.5e-13


class RGLRUState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


class RGLRUConvState(NamedTuple):
    """h (B, H): the hidden state. past (B, (k-1)·H): the last k - 1 v, the newest first."""

    h: Tensor
    past: Tensor


@dataclass(frozen=True)
class RGLRUCell(Cell):
    """One step of the RG-LRU; a `conv_width` of 1 means no convolution. Raises `OptionError` for one below 1."""

    conv_width: int = 4

    name: ClassVar[str] = "rglru"
    title: ClassVar[str] = "Real-gated linear recurrent unit"
    citation: ClassVar[str] = "De et al. 2024, arXiv 2402.19427"
    gates: ClassVar[tuple[str, ...]] = ("v",)
    recurrent_gates: ClassVar[tuple[str, ...] | None] = ()
    scans: ClassVar[bool] = True
    inner_options: ClassVar[frozenset[str]] = frozenset({"recurrent_dropout"})

    def __post_init__(self) -> None:
        check_size("conv_width", self.conv_width)
        super().__post_init__()

    @property
    def state_type(self) -> Any:
        """With former v only if there is a convolution."""
        return RGLRUState if self.conv_width == 1 else RGLRUConvState

    @property
    def state_sizes(self) -> tuple[int, ...]:
        size = self.hidden_size
        return (size,) if self.conv_width == 1 else (size, (self.conv_width - 1) * size)

    @property
    def zoneout_rates(self) -> tuple[float, ...]:
        if isinstance(self.zoneout, tuple) or self.conv_width == 1:
            return super().zoneout_rates
        return (self.zoneout, 0.0)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        size = self.hidden_size
        shapes = super().weight_shapes(input_size) | {"weight_gates": (2 * size, size), "decay": (size,)}
        if self.conv_width > 1:
            shapes["weight_conv"] = (self.conv_width * size,)
        if self.bias:
            shapes["bias_gates"] = (2 * size,)
        if self.bias and self.conv_width > 1:
            shapes["bias_conv"] = (size,)
        return shapes

    def initialise(self, weights: Weights) -> None:
        super().initialise(weights)
        bound = self.conv_width**-0.5
        for name, weight in weights.items():
            if name.endswith("_conv"):
                torch.nn.init.uniform_(weight, -bound, bound)
        with torch.no_grad():
            decay = weights["decay"].new_empty(self.hidden_size, dtype=torch.float64).uniform_(*_DECAYS)
            # The inverse of a = exp(-8 log(1 + e^Λ)).
            weights["decay"].copy_(torch.expm1(-decay.log() / _SCALE).log())

    def step(self, weights: Weights, u_BG: Float[Tensor, "B H"], state: Any) -> tuple[Float[Tensor, "B H"], Any]:
        x_BH = u_BG
        past: list[Tensor] = []
        if self.conv_width > 1:
            x_BH, *past = _convolved(weights, u_BG, state.past, self.conv_width)
        gates = affine(x_BH, weights["weight_gates"], weights.get("bias_gates"))
        r, i = split(gates, 2)
        added = self.candidate(weights, sigmoid(i) * x_BH)
        h_BH = decayed(weights, r, added, state.h)
        return h_BH, self.state_type(h_BH, *past)


def _convolved(weights: Weights, v_BH: Tensor, past: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """x'_t, and the v that the next step needs."""
    former = split(past, width - 1)
    first, *others = split_rows(weights["weight_conv"], width)
    x_BH = first * v_BH
    for tap, v in zip(others, former, strict=True):
        x_BH = x_BH + tap * v
    if "bias_conv" in weights:
        x_BH = x_BH + weights["bias_conv"]
    return x_BH, concat([v_BH, *former[:-1]])


def decayed(weights: Weights, r_BH: Tensor, added_BH: Tensor, h_BH: Tensor) -> Tensor:
    """h_t, from the recurrence gate before its σ and i ⊙ x'."""
    t = tanh(_SCALE / 2 * softplus(weights["decay"]) * sigmoid(r_BH))
    kept = (1 - t) * h_BH + 2 * sqrt(torch.clamp(t, min=_LEAST)) * added_BH
    return 1 / (1 + t) * kept
