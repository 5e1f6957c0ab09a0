"""A cell and random numbers for it: all that a scan reads, as one value that can be cut, moved and changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from elman.axes import Bool, Float, Tensor
from elman.cells import Cell, Mask, State, map_state

# Arrays by name: "y", "final h", "gradient of x" ...
Results = dict[str, Tensor]
# How far random weights lie from those that the cell itself fills in.
_NOISE = 0.1


@dataclass(frozen=True)
class Case:
    """A cell and all that a scan reads: weights, inputs, a state before the first step, masks if training draws any, and the
    state after a reset, (1, size) each, if it isn't the cell's own."""

    cell: Cell
    weights: dict[str, Tensor]
    x_TBD: Float[Tensor, "T B D"]
    state: State
    masks: dict[str, Tensor] = field(default_factory=dict)
    fresh: State | None = None

    @property
    def steps(self) -> int:
        """T."""
        return self.x_TBD.shape[0]

    @property
    def batch(self) -> int:
        """B."""
        return self.x_TBD.shape[1]

    def leaves(self) -> Results:
        """Everything that has a gradient, by name: x, the weights, "initial NAME" and "fresh NAME" for each state."""
        fresh = {} if self.fresh is None else named("fresh", self.fresh)
        return {"x": self.x_TBD, **self.weights, **named("initial", self.state), **fresh}

    def with_leaves(self, leaves: Mapping[str, Tensor]) -> "Case":
        """The same case with other numbers."""
        weights = {name: leaves[name] for name in self.weights}
        state = unnamed("initial", leaves, self.state)
        fresh = None if self.fresh is None else unnamed("fresh", leaves, self.fresh)
        return replace(self, weights=weights, x_TBD=leaves["x"], state=state, fresh=fresh)

    def to(self, dtype: torch.dtype) -> "Case":
        """The same numbers in another precision, as leaves of their own."""
        leaves = {name: value.detach().to(dtype).requires_grad_() for name, value in self.leaves().items()}
        masks = {name: mask.to(dtype) for name, mask in self.masks.items()}
        return replace(self.with_leaves(leaves), masks=masks)

    def piece(self, times: slice = slice(None), rows: slice = slice(None)) -> "Case":
        """Some of the steps, some of the rows. The state is that before the first step of the whole."""
        masks = {name: mask[times, rows] if mask.dim() == 3 else mask[rows] for name, mask in self.masks.items()}
        state = map_state(lambda s: s[rows], self.state)
        return replace(self, x_TBD=self.x_TBD[times, rows], state=state, masks=masks)

    def masks_at(self, t: int) -> Results:
        """The masks of one step."""
        return {name: mask[t] if mask.dim() == 3 else mask for name, mask in self.masks.items()}


def random_case(
    cell: Cell, steps: int, batch: int, features: int, seed: int, device: torch.device | str = "cpu"
) -> Case:
    """Random numbers in float64, the same for the same seed, and a state that is not zero.

    Inputs and states are normal. Weights are what `cell.initialise` fills in, moved a little: so a gain stays near one and
    whatever has to be positive stays so, and nothing is exactly zero. If the cell has masks, they are drawn.
    """
    cell = cell.for_input(features)
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(shape, generator=generator, dtype=torch.float64)

    def leaf(value: Tensor) -> Tensor:
        return value.to(device).requires_grad_()

    weights = initial_weights(cell, features, seed)
    moved = {name: leaf(weight + normal(*weight.shape, scale=_NOISE)) for name, weight in weights.items()}
    state = cell.state_type(*(leaf(normal(batch, size)) for size in cell.state_sizes))
    masks = {name: draw_mask(mask, steps, batch, generator).to(device) for name, mask in cell.masks.items()}
    return Case(cell, moved, leaf(normal(steps, batch, features)), state, masks)


def initial_weights(cell: Cell, features: int, seed: int) -> Results:
    """What `cell.initialise` fills in, float64; an element that it leaves out is NaN. The global generator stays as it is."""
    shapes = cell.weight_shapes(features)
    weights = {name: torch.full(shape, torch.nan, dtype=torch.float64) for name, shape in shapes.items()}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        cell.initialise(weights)
    return weights


def draw_mask(mask: Mask, steps: int, batch: int, generator: torch.Generator) -> Tensor:
    """A mask as training draws it: (T, B, size) or (B, size), float64."""
    shape = (steps, batch, mask.size) if mask.every_step else (batch, mask.size)
    kept = torch.rand(shape, generator=generator, dtype=torch.float64) >= mask.zero
    return kept.to(torch.float64) * (1 / (1 - mask.zero) if mask.scaled else 1.0)


def reset_flags(case: Case, places: Iterable[tuple[int, int]]) -> Bool[Tensor, "T B"]:
    """Flags that are true at each (t, b) of `places`."""
    flags = torch.zeros(case.steps, case.batch, dtype=torch.bool)
    for t, b in places:
        flags[t, b] = True
    return flags.to(case.x_TBD.device)


def with_padding(case: Case, lengths: Sequence[int], value: float) -> Case:
    """The same case with `value` wherever a row has ended."""
    x_TBD = case.x_TBD.detach().clone()
    for b, length in enumerate(lengths):
        x_TBD[length:, b] = value
    return replace(case, x_TBD=x_TBD.requires_grad_())


def named(prefix: str, state: State) -> Results:
    """The arrays of a state by name, with a word in front."""
    return {f"{prefix} {name}": value for name, value in zip(state._fields, state, strict=True)}


def unnamed(prefix: str, arrays: Mapping[str, Tensor], like: State) -> State:
    """The state whose arrays have these names: undoes `named`."""
    return type(like)(**{name: arrays[f"{prefix} {name}"] for name in like._fields})
