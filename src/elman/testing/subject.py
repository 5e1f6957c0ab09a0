"""A cell under test: its random cases, and what is computed once for all engines."""

from dataclasses import replace
from functools import cached_property

import torch

from elman.axes import Tensor
from elman.cells import Cell, State
from elman.testing.case import Case, Results, random_case
from elman.testing.compute import Compute, by_folding, random_cotangents, values_and_gradients
from elman.testing.differences import smooth_difference

# For float64 and values of the order of one: many steps and layer norms of few units are allowed for.
TOLERANCE = 1e-10
STEPS, BATCH = 6, 3
# How many directions are tried until the function is smooth along one.
DIRECTIONS = 8
# More than `recompute` keeps together.
_LONG = 18


class Subject:
    """A cell under test."""

    def __init__(self, cell: Cell, input_size: int, seed: int) -> None:
        self.cell = cell.for_input(input_size)
        self.input_size = input_size
        self.seed = seed
        self._known: dict[str, Results] = {}

    @cached_property
    def training(self) -> Case:
        """With masks, if the cell has any."""
        return random_case(self.cell, STEPS, BATCH, self.input_size, self.seed)

    @cached_property
    def evaluation(self) -> Case:
        """The same numbers without masks."""
        return replace(self.training, masks={})

    @cached_property
    def short(self) -> Case:
        """For differences, which take many runs."""
        return random_case(self.cell, 3, 2, self.input_size, self.seed + 1)

    @cached_property
    def long(self) -> Case:
        """More steps than `recompute` keeps together."""
        return random_case(self.cell, _LONG, BATCH, self.input_size, self.seed + 2)

    @cached_property
    def fresh(self) -> State:
        """A state after a reset that isn't the cell's own."""
        return random_case(self.cell, 1, 1, self.input_size, self.seed + 3).state

    def once(self, name: str, case: Case, compute: Compute) -> Results:
        """What `compute` gives for `case`, with gradients, computed the first time that it is asked for by this name."""
        if name not in self._known:
            found = values_and_gradients(case, compute)
            self._known[name] = {key: value.detach() for key, value in found.items()}
        return self._known[name]

    def poisoned(self, times: slice, rows: slice, state: bool) -> Case:
        """The training case with NaN in a part of x and, if `state`, in these rows of the initial state."""
        leaves = {name: value.detach().clone() for name, value in self.training.leaves().items()}
        leaves["x"][times, rows] = torch.nan
        for name in self.training.state._fields if state else ():
            leaves[f"initial {name}"][rows] = torch.nan
        return self.training.with_leaves(leaves)

    @cached_property
    def derivatives(self) -> dict[str, tuple[Tensor, float | None]]:
        """For each leaf of the short case a random direction and the derivative along it, by differences of values.

        None if the function isn't smooth along any of several directions.
        """
        return {name: self._derivative(name) for name in self.short.leaves()}

    def _derivative(self, name: str) -> tuple[Tensor, float | None]:
        leaves = {key: value.detach() for key, value in self.short.leaves().items()}
        cotangents: Results = {}
        generator = torch.Generator().manual_seed(self.seed)

        def moved(distance: float) -> float:
            with torch.no_grad():
                case = self.short.with_leaves({**leaves, name: leaves[name] + distance * direction})
                results = by_folding(case)
            cotangents.update(cotangents or random_cotangents(results, seed=1))
            return float(sum((value * cotangents[key]).sum() for key, value in results.items()))

        for _ in range(DIRECTIONS):
            direction = torch.randn(leaves[name].shape, generator=generator, dtype=torch.float64)
            direction /= direction.norm()
            found = smooth_difference(moved, TOLERANCE / 5)
            if found is not None:
                break
        return direction, found
