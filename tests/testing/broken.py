"""Cells that break one law each, and otherwise keep it: the checker has to be able to fail.

They are tanh networks whose first state is y; what is wrong with each is what its docstring says.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from elman.cells import Cell, ElmanCell, Mask
from elman.cells.operations import tanh


@dataclass(frozen=True)
class Diary(ElmanCell):
    """Remembers its former input on itself."""

    pages: list = field(default_factory=list, compare=False, repr=False)

    def step(self, weights, u_BG, state):
        former = self.pages[-1] if self.pages else 0.0
        self.pages.append(u_BG.detach())
        y, after = super().step(weights, u_BG, state)
        return y + torch.as_tensor(former, dtype=y.dtype), after


@dataclass(frozen=True)
class InPlace(ElmanCell):
    """Halves the state that it was given, where it stands."""

    def step(self, weights, u_BG, state):
        with torch.no_grad():
            state.h.mul_(0.5)
        return super().step(weights, u_BG, state)


@dataclass(frozen=True)
class StandsStill(ElmanCell):
    """Gives back the state that it was given."""

    def step(self, weights, u_BG, state):
        return super().step(weights, u_BG, state)[0], state


@dataclass(frozen=True)
class BatchNorm(ElmanCell):
    """Normalises over the rows of the batch."""

    def step(self, weights, u_BG, state):
        return super().step(weights, (u_BG - u_BG.mean(0)) / (u_BG.std(0) + 1e-3), state)


@dataclass(frozen=True)
class Lookahead(ElmanCell):
    """Its projection adds the next step's, which a step on its own doesn't know."""

    def project(self, weights, x):
        u = super().project(weights, x)
        return u + torch.cat([u[1:], u[:1]]) if x.dim() == 3 else u


@dataclass(frozen=True)
class PairsOfSteps(ElmanCell):
    """Projects two steps at a time, and forgets the last of an odd number."""

    def project(self, weights, x):
        u = super().project(weights, x)
        return torch.cat([u[:-1], 0 * u[-1:]]) if x.dim() == 3 and len(u) % 2 else u


@dataclass(frozen=True)
class HiddenParameters(ElmanCell):
    """Draws numbers of its own when it is made, which no file holds."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "own", torch.randn(self.hidden_size, dtype=torch.float64))

    def step(self, weights, u_BG, state):
        return super().step(weights, u_BG + self.own.to(u_BG.dtype), state)  # type: ignore[attr-defined]


class _TanhWithAWrongBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(torch.tanh(x))
        return torch.tanh(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return gradients[0] * (1 - y)


@dataclass(frozen=True)
class WrongBackward(ElmanCell):
    """Its tanh has the gradient 1 - y instead of 1 - y²."""

    def step(self, weights, u_BG, state):
        h = _TanhWithAWrongBackward.apply(u_BG + self.recur(weights, state.h))
        return h, self.state_type(h)


@dataclass(frozen=True)
class CutGradient(ElmanCell):
    """Cuts the state's gradient, as truncated back-propagation through time doesn't have to."""

    def step(self, weights, u_BG, state):
        return super().step(weights, u_BG, self.state_type(state.h.detach()))


@dataclass(frozen=True)
class Jumps(ElmanCell):
    """Rounds: it has a derivative nowhere that matters."""

    def step(self, weights, u_BG, state):
        y, after = super().step(weights, u_BG, state)
        return y + torch.round(1e6 * y) / 1e6, after


@dataclass(frozen=True)
class FreshByPlace(ElmanCell):
    """Starts each row from its number."""

    def initial_state(self, batch, like):
        rows = torch.arange(batch, dtype=like.dtype, device=like.device)
        return self.state_type(rows[:, None].repeat(1, self.hidden_size))


@dataclass(frozen=True)
class UnitInput(ElmanCell):
    """Divides x by its length, which in the padding is 0 / 0."""

    def project(self, weights, x):
        return super().project(weights, x / x.norm(dim=-1, keepdim=True))


@dataclass(frozen=True)
class Overflows(ElmanCell):
    """A softplus as one writes it down: its exponential is too large for float32."""

    def step(self, weights, u_BG, state):
        return super().step(weights, torch.log(1 + torch.exp(100 * u_BG)) / 100, state)


@dataclass(frozen=True)
class UnusedMask(ElmanCell):
    """Draws a mask and never reads it."""

    @property
    def masks(self):
        return {**super().masks, "mask_extra": Mask(self.hidden_size, 0.5, every_step=True)}


@dataclass(frozen=True)
class Unhashable(ElmanCell):
    """Has a list for a field."""

    widths: list = field(default_factory=list)


@dataclass(frozen=True)
class NotItsCopy(ElmanCell):
    """Is not equal to another of the same fields."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True)
class Unfilled(ElmanCell):
    """Fills in its matrices and forgets its biases."""

    def initialise(self, weights):
        super().initialise({name: weight for name, weight in weights.items() if not name.startswith("bias")})


@dataclass(frozen=True)
class NamesByInput(ElmanCell):
    """Names a weight after the size of the input."""

    def weight_shapes(self, input_size):
        return {**super().weight_shapes(input_size), f"extra_{input_size}": (1,)}


@dataclass(frozen=True)
class DottedName(ElmanCell):
    """Has a weight whose name no parameter can have."""

    def weight_shapes(self, input_size):
        return {**super().weight_shapes(input_size), "gate.bias": (1,)}


@dataclass(frozen=True)
class NoRows(ElmanCell):
    """Has a weight of no rows."""

    def weight_shapes(self, input_size):
        return {**super().weight_shapes(input_size), "extra": (0, 2)}


@dataclass(frozen=True)
class MaskLikeAWeight(ElmanCell):
    """Gives a mask the name of a weight."""

    @property
    def masks(self):
        return {"weight_hh": Mask(self.hidden_size, 0.5, every_step=True)}


class TwoStates(NamedTuple):
    """h and a second state."""

    h: Tensor
    m: Tensor


@dataclass(frozen=True)
class ForgetsASize(ElmanCell):
    """Has two states and says the size of one."""

    state_type: ClassVar = TwoStates

    @property
    def zoneout_rates(self):
        return (0.0, 0.0)

    @property
    def state_sizes(self):
        return (self.hidden_size,)

    def initial_state(self, batch, like):
        return TwoStates(like.new_zeros(batch, self.hidden_size), like.new_zeros(batch, self.hidden_size))


@dataclass(frozen=True)
class FlatProjection(ElmanCell):
    """Projects a sequence to rows without time."""

    def project(self, weights, x):
        u = super().project(weights, x)
        return u.reshape(-1, u.shape[-1])


@dataclass(frozen=True)
class GivesTheStateAlone(ElmanCell):
    """Gives the state and no y."""

    def step(self, weights, u_BG, state):
        return super().step(weights, u_BG, state)[1]


@dataclass(frozen=True)
class GivesATuple(ElmanCell):
    """Gives a bare tuple for its state."""

    def step(self, weights, u_BG, state):
        y, after = super().step(weights, u_BG, state)
        return y, tuple(after)


@dataclass(frozen=True)
class WideOutput(ElmanCell):
    """Gives twice as many outputs as it says."""

    def step(self, weights, u_BG, state):
        y, after = super().step(weights, u_BG, state)
        return torch.cat([y, y], dim=-1), after


@dataclass(frozen=True)
class AlwaysDouble(ElmanCell):
    """Multiplies by a float64 tensor, whatever it was given."""

    def step(self, weights, u_BG, state):
        y, after = super().step(weights, u_BG, state)
        return y * torch.full((self.hidden_size,), 0.5, dtype=torch.float64), after


@dataclass(frozen=True)
class TooNarrow(ElmanCell):
    """Says that it has two gates and reads one."""

    gates: ClassVar[tuple[str, ...]] = ("a", "b")

    def step(self, weights, u_BG, state):
        return super().step(weights, u_BG, self.state_type(state.h[:, 1:]))


class Mutable(Cell):
    """Not a frozen value: its fields can be set."""

    name: ClassVar[str] = "mutable"
    gates: ClassVar[tuple[str, ...]] = ("h",)
    state_type: ClassVar = ElmanCell.state_type

    __setattr__ = object.__setattr__

    def step(self, weights, u_BG, state):
        h = tanh(u_BG + self.recur(weights, state.h))
        return h, self.state_type(h)
