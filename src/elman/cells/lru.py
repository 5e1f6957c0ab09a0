"""The linear recurrent unit (LRU): units that turn in the complex plane, each by itself, and no nonlinearity.

    λ   = exp(-e^ν + i e^θ)                                        for each unit; |λ| < 1 whatever ν is
    h_t = λ ⊙ h_{t-1} + e^γ ⊙ (B x_t + b)                          complex; carried as two real states, re and im
    y_t = Re(C h_t) + D x_t                                        y is no state

Source: A. Orvieto et al., "Resurrecting recurrent neural networks for long sequences", arXiv 2303.06349 (2023), section 3 and
the code of its appendix A: the recurrence alone, without the norm and the gated layer around it. b is ours, zero at first.
States and outputs are as many, H. D x is a product element by element where x is of size H, as in the paper, and that
with a matrix elsewhere. The same mask of recurrent dropout drops both parts of a unit.

Weights (order re im; D inputs, H units; there is no recurrent matrix):

    weight_ih  B  (2H, D)     bias_ih  b  (2H)     nu, theta, gamma  ν θ γ  (H)
    weight_hy  C  (H, 2H): the real part of each row, then the imaginary     weight_d  D  (H) if D = H, else (H, D)

Initialiser: |λ|² uniform between r_min² and r_max², the phase uniform between 0 and `max_phase`; e^γ = √(1 - |λ|²), so that h
is of the size of B x; B normal with standard deviation 1/√(2D), C with 1/√H; D normal with 1, or as a matrix with 1/√D. The
paper's code has r_min = 0, r_max = 1; its experiments choose them by task, nearer to 1 for long memory, which is what 0.9 and
0.999 are for.

λ depends on weights alone: a whole sequence is run with its parts computed once, and C h for all steps at once.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import torch

from elman.axes import Bool, Float, Int, Tensor
from elman.cells.cell import Cell, Weights
from elman.cells.checks import check_number
from elman.cells.operations import affine, concat, split
from elman.errors import OptionError

# Of |λ|² from 1, and of |λ|² and the phase from 0, so that their logarithms are finite.
_LEAST = 1e-6


class LRUState(NamedTuple):
    """re, im (B, H): the real and the imaginary part of the hidden state, which is not the output."""

    re: Tensor
    im: Tensor


@dataclass(frozen=True)
class LRUCell(Cell):
    """One step of the LRU.

    Raises `OptionError` unless 0 ≤ r_min ≤ r_max ≤ 1, and for a `max_phase` that isn't above 0.
    """

    r_min: float = 0.9
    r_max: float = 0.999
    max_phase: float = 2 * math.pi

    name: ClassVar[str] = "lru"
    title: ClassVar[str] = "Linear recurrent unit"
    citation: ClassVar[str] = "Orvieto et al. 2023, arXiv 2303.06349"
    gates: ClassVar[tuple[str, ...]] = ("re", "im")
    recurrent_gates: ClassVar[tuple[str, ...] | None] = ()
    scans: ClassVar[bool] = True
    inner_options: ClassVar[frozenset[str]] = frozenset({"recurrent_dropout"})
    state_type: ClassVar = LRUState

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("r_min", self.r_min, least=0)
        check_number("r_max", self.r_max, most=1)
        check_number("max_phase", self.max_phase, above=0)
        if self.r_min > self.r_max:
            raise OptionError(f"r_min={self.r_min!r} must be at most r_max={self.r_max!r}.")
        # Made now, since torch.compile can't follow the making of a frozen value.
        _ = self._turning

    @cached_property
    def _turning(self) -> "_TurningCell":
        """What `scan` runs."""
        return _TurningCell(self.hidden_size, input_size=2 * self.hidden_size)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        size = self.hidden_size
        return super().weight_shapes(input_size) | {
            "nu": (size,),
            "theta": (size,),
            "gamma": (size,),
            "weight_hy": (size, 2 * size),
            "weight_d": (size,) if input_size == size else (size, input_size),
        }

    def initialise(self, weights: Weights) -> None:
        features = weights["weight_ih"].shape[1]
        with torch.no_grad():
            # In float64: |λ| is near one, and the logarithms are of small differences.
            square = weights["nu"].new_empty(self.hidden_size, dtype=torch.float64)
            square.uniform_(self.r_min**2, self.r_max**2).clamp_(_LEAST, 1 - _LEAST)
            phase = torch.empty_like(square).uniform_(0, self.max_phase).clamp_(min=_LEAST)
            weights["nu"].copy_((-0.5 * square.log()).log())
            weights["theta"].copy_(phase.log())
            weights["gamma"].copy_(0.5 * (1 - square).log())
        torch.nn.init.normal_(weights["weight_ih"], std=(2 * features) ** -0.5)
        torch.nn.init.normal_(weights["weight_hy"], std=self.hidden_size**-0.5)
        torch.nn.init.normal_(weights["weight_d"], std=1.0 if weights["weight_d"].dim() == 1 else features**-0.5)
        if self.bias:
            torch.nn.init.zeros_(weights["bias_ih"])

    def project(self, weights: Weights, x: Float[Tensor, "*steps D"]) -> Float[Tensor, "*steps _"]:
        """e^γ ⊙ (B x_t + b), and beside it D x_t."""
        return concat([super().project(weights, x) * _scale(weights), _direct(weights, x)])

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B _"], state: LRUState
    ) -> tuple[Float[Tensor, "B H"], LRUState]:
        u_re, u_im, through = split(u_BG, 3)
        u_re, u_im = self.candidate(weights, u_re), self.candidate(weights, u_im)
        after = _turned(*_eigenvalues(weights), state, u_re, u_im)
        return _shown(weights, concat([after.re, -after.im]), through), after

    def scan(
        self,
        run: Callable[..., Any],
        weights: Weights,
        x_TBD: Float[Tensor, "T B D"],
        state: LRUState,
        lengths_B: Int[Tensor, "B"] | None = None,
        reset_TB: Bool[Tensor, "T B"] | None = None,
        *,
        fresh: LRUState,
    ) -> tuple[Float[Tensor, "T B H"], LRUState]:
        # The scale goes into the matrix: so no array of a whole sequence is made or kept for it.
        scale = _scale(weights)
        bias = weights["bias_ih"] * scale if self.bias else None
        u_TBG = affine(x_TBD, weights["weight_ih"] * scale.unsqueeze(-1), bias)
        turning = dict(zip(("re", "im"), _eigenvalues(weights), strict=True))
        before, anew = (_TurningState(concat([s.re, -s.im])) for s in (state, fresh))
        h_TBF, (last,) = run(self._turning, turning, u_TBG, before, lengths_B, reset_TB, fresh=anew)
        re, im = split(last, 2)
        return _shown(weights, h_TBF, _direct(weights, x_TBD)), LRUState(re, -im)


class _TurningState(NamedTuple):
    """h (B, 2H): re beside -im, which C then takes."""

    h: Tensor


@dataclass(frozen=True)
class _TurningCell(Cell):
    """h_t = λ ⊙ h_{t-1} + u_t alone, for the parts of λ as weights. One array is state and y: so it is written once."""

    name: ClassVar[str] = "turning"
    gates: ClassVar[tuple[str, ...]] = ("re", "im")
    reads_input: ClassVar[bool] = True
    state_type: ClassVar = _TurningState

    @property
    def output_size(self) -> int:
        return 2 * self.hidden_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (2 * self.hidden_size,)

    def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:  # noqa: ARG002
        return {"re": (self.hidden_size,), "im": (self.hidden_size,)}

    def project(self, weights: Weights, x: Float[Tensor, "*steps G"]) -> Float[Tensor, "*steps G"]:  # noqa: ARG002
        """x_t itself."""
        return x

    def step(
        self, weights: Weights, u_BG: Float[Tensor, "B G"], state: _TurningState
    ) -> tuple[Float[Tensor, "B _"], _TurningState]:
        re, im = split(state.h, 2)
        after = _turned(weights["re"], weights["im"], LRUState(re, -im), *split(u_BG, 2))
        h_BF = concat([after.re, -after.im])
        return h_BF, _TurningState(h_BF)


def _scale(weights: Weights) -> Float[Tensor, "_"]:
    """e^γ, for both parts."""
    return torch.exp(weights["gamma"]).repeat(2)


def _direct(weights: Weights, x: Float[Tensor, "*steps D"]) -> Float[Tensor, "*steps H"]:
    """D x."""
    direct = weights["weight_d"]
    return x * direct if direct.dim() == 1 else affine(x, direct)


def _eigenvalues(weights: Weights) -> tuple[Float[Tensor, "H"], Float[Tensor, "H"]]:
    """The real and the imaginary part of λ."""
    radius, phase = torch.exp(-torch.exp(weights["nu"])), torch.exp(weights["theta"])
    return radius * torch.cos(phase), radius * torch.sin(phase)


def _turned(re: Tensor, im: Tensor, h: LRUState, u_re: Tensor, u_im: Tensor) -> LRUState:
    """λ ⊙ h + u."""
    return LRUState(re * h.re - im * h.im + u_re, re * h.im + im * h.re + u_im)


def _shown(weights: Weights, h: Float[Tensor, "*steps _"], through: Float[Tensor, "*steps H"]) -> Tensor:
    """Re(C h) + D x, from re and -im of h side by side."""
    return affine(h, weights["weight_hy"]) + through
