"""Networks of oscillators: the coupled oscillatory RNN (coRNN) and the undamped independent one (UnICORNN).

The units of a coRNN drive each other, and are damped:

    c_t = c_{t-1} + Δt (tanh(W x_t + b_ih + U h_{t-1} + b_hh + V c_{t-1} + b_ch) - γ h_{t-1} - ε c_{t-1})
    h_t = h_{t-1} + Δt c_t
    y_t = h_t

Those of a UnICORNN are driven by their own state alone, each with a time scale s of its own, and are not damped:

    s   = Δt σ(w_c)
    c_t = c_{t-1} - s ⊙ (tanh(W x_t + b_ih + u ⊙ h_{t-1} + b_hh) + α h_{t-1})
    h_t = h_{t-1} + s ⊙ c_t
    y_t = h_t

h is the paper's y, the position, and c its z, the velocity.

Sources: T. K. Rusch and S. Mishra, "Coupled oscillatory recurrent neural network (coRNN): an accurate and (gradient) stable
architecture for learning long time dependencies", arXiv 2010.00951 (2020), and "UnICORNN: a recurrent model for learning very
long time dependencies", arXiv 2103.05487 (2021), of which this is one layer. The coRNN's paper has -ε c_{t-1}, as here, in the
authors' code and in what torchrecurrent computes, or the implicit -ε c_t, which torchrecurrent documents. Each paper has one
bias; the others are torchrecurrent's, where b_hh of the UnICORNN is off by default (here: `recurrent_bias=False`).
Layer norm leaves V c as it is.

Weights (one gate, `c`; D inputs, H units):

    weight_ih  W  (H, D)     weight_hh  U  (H, H), UnICORNN u (H)     bias_ih  (H)     bias_hh  (H)
    coRNN:     weight_ch  V  (H, H)     bias_ch  (H), if there are biases
    UnICORNN:  weight_ch  w_c  (H)

Initialiser: all uniform in ±1/√H (torchrecurrent: Xavier's, biases 0), but the UnICORNN's u uniform in 0 to 1 and its w_c in
±0.1, as in torchrecurrent.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch

from elman.axes import Float, Tensor
from elman.cells.cell import ALL_INNER_OPTIONS, Cell, Weights
from elman.cells.checks import check_number
from elman.cells.independent import DiagonalCell
from elman.cells.operations import affine, sigmoid, tanh


class OscillatorState(NamedTuple):
    """h (B, H): the hidden state, where each oscillator is. c (B, H): how fast it moves."""

    h: Tensor
    c: Tensor


@dataclass(frozen=True)
class CoRNNCell(Cell):
    """One step of the coRNN. Raises `OptionError` unless Δt > 0, γ >= 0 and ε >= 0."""

    dt: float = 0.1
    gamma: float = 1.0
    epsilon: float = 1.0

    name: ClassVar[str] = "cornn"
    title: ClassVar[str] = "Coupled oscillatory RNN"
    citation: ClassVar[str] = "Rusch and Mishra 2020, arXiv 2010.00951"
    gates: ClassVar[tuple[str, ...]] = ("c",)
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = OscillatorState

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("dt", self.dt, above=0)
        check_number("gamma", self.gamma, least=0)
        check_number("epsilon", self.epsilon, least=0)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        shapes = super().weight_shapes(input_size) | {"weight_ch": (self.hidden_size, self.hidden_size)}
        return shapes | {"bias_ch": (self.hidden_size,)} if self.bias else shapes

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B H"], state: OscillatorState
    ) -> tuple[Float[Tensor, "B H"], OscillatorState]:
        total = self.inputs(weights, u_BG) + self.recur(weights, state.h)
        total = total + affine(state.c, weights["weight_ch"], weights.get("bias_ch"))
        force = self.candidate(weights, tanh(total)) - self.gamma * state.h - self.epsilon * state.c
        c_BH = state.c + self.dt * force
        h_BH = state.h + self.dt * c_BH
        return h_BH, OscillatorState(h_BH, c_BH)


@dataclass(frozen=True)
class UnICORNNCell(DiagonalCell):
    """One step of the UnICORNN. Raises `OptionError` unless Δt > 0 and α >= 0."""

    dt: float = 0.1
    alpha: float = 0.0

    name: ClassVar[str] = "unicornn"
    title: ClassVar[str] = "Undamped independent controlled oscillatory RNN"
    citation: ClassVar[str] = "Rusch and Mishra 2021, arXiv 2103.05487"
    gates: ClassVar[tuple[str, ...]] = ("c",)
    inner_options: ClassVar[frozenset[str]] = ALL_INNER_OPTIONS
    state_type: ClassVar = OscillatorState

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("dt", self.dt, above=0)
        check_number("alpha", self.alpha, least=0)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        return super().weight_shapes(input_size) | {"weight_ch": (self.hidden_size,)}

    def initialise(self, weights: Weights) -> None:
        super().initialise(weights)
        torch.nn.init.uniform_(weights["weight_hh"], 0, 1)
        torch.nn.init.uniform_(weights["weight_ch"], -0.1, 0.1)

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B H"], state: OscillatorState
    ) -> tuple[Float[Tensor, "B H"], OscillatorState]:
        scale_H = self.dt * sigmoid(weights["weight_ch"])
        force = self.candidate(weights, tanh(self.inputs(weights, u_BG) + self.recur(weights, state.h)))
        c_BH = state.c - scale_H * (force + self.alpha * state.h)
        h_BH = state.h + scale_H * c_BH
        return h_BH, OscillatorState(h_BH, c_BH)
