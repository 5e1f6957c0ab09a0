"""Law 5: gradients with respect to inputs, weights and the initial state match finite differences."""

from collections.abc import Callable

import pytest
import torch
import typechecks
from laws import (
    Case,
    MakeCell,
    assert_same,
    by_engine,
    every_cell,
    every_cell_and_engine,
    random_case,
    reset_flags,
    smooth_cells,
)
from torch import Tensor

from elman.engines import Engine

# Of sixth order: with a step of 0.001 truncation and rounding both stay below 1e-12.
_STENCIL = {-3: -1 / 60, -2: 9 / 60, -1: -45 / 60, 1: 45 / 60, 2: -9 / 60, 3: 1 / 60}


def _difference(function: Callable[[float], Tensor], step: float) -> Tensor:
    """The derivative of `function` at 0, by central differences of sixth order."""
    return sum(factor * function(k * step) for k, factor in _STENCIL.items()) / step


def _loss(case: Case, engine: Engine) -> Tensor:
    """A random linear functional of outputs and final state, with lengths, resets and all."""
    results = by_engine(engine, [5, 0, 3], reset_flags(case, {(2, 0), (1, 2)}))(case)
    generator = torch.Generator().manual_seed(3)
    return sum(
        (value * torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value.device)).sum()
        for value in results.values()
    )


def _moved(case: Case, name: str, direction: Tensor, distance: float) -> Case:
    leaves = case.leaves()
    return case.with_leaves({**leaves, name: leaves[name] + distance * direction})


def _direction(like: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like.device)


@every_cell_and_engine
def test_gradient_along_any_direction_matches_differences(
    make_cell: MakeCell, engine: Engine, device: torch.device
) -> None:
    """Leaf by leaf, random directions and cotangents, to ten digits."""
    case = random_case(make_cell(3), steps=5, batch=3, features=2, seed=11, device=device)
    leaves = case.leaves()
    gradients = torch.autograd.grad(_loss(case, engine), list(leaves.values()))
    # A ReLU has kinks: stay so near that none lies in between; a layer norm of three numbers is steep. What is left is of low
    # degree, so only rounding counts.
    step = (
        1e-4 if getattr(case.cell, "nonlinearity", "") == "relu" or case.cell.name in {"leaky", "normed_lstm"} else 1e-3
    )

    for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True):
        for seed in range(3):
            direction = _direction(leaf, seed)
            with torch.no_grad(), typechecks.off():
                expected = _difference(lambda s: _loss(_moved(case, name, direction, s), engine), step)  # noqa: B023
            assert_same({name: (gradient * direction).sum()}, {name: expected}, tolerance=1e-10)


@every_cell_and_engine
@pytest.mark.parametrize("size", [1, 3])
def test_whole_jacobian_passes_gradcheck(make_cell: MakeCell, engine: Engine, size: int, device: torch.device) -> None:
    """Each output and final state against each leaf, entry by entry."""
    case = random_case(make_cell(size), steps=3, batch=2, features=2, seed=12, device=device)
    names = list(case.leaves())

    def outputs(*values: Tensor) -> tuple[Tensor, ...]:
        return tuple(by_engine(engine)(case.with_leaves(dict(zip(names, values, strict=True)))).values())

    # Differences of second order with a step of 1e-6 know no more than nine digits; the test above knows more.
    assert torch.autograd.gradcheck(outputs, tuple(case.leaves().values()), atol=1e-8, rtol=1e-8, nondet_tol=1e-13)


@smooth_cells
def test_second_derivatives_of_the_reference_match_differences(make_cell: MakeCell, device: torch.device) -> None:
    """The gradient's own derivative along a random direction in all leaves at once, entry by entry."""
    case = random_case(make_cell(3), steps=5, batch=3, features=2, seed=13, device=device)
    leaves = case.leaves()
    directions = {name: _direction(leaf, 5) for name, leaf in leaves.items()}

    def gradient(distance: float) -> list[Tensor]:
        moved = {name: (leaf + distance * directions[name]).detach().requires_grad_() for name, leaf in leaves.items()}
        loss = _loss(case.with_leaves(moved), Engine.REFERENCE)
        return list(torch.autograd.grad(loss, list(moved.values())))

    first = torch.autograd.grad(_loss(case, Engine.REFERENCE), list(leaves.values()), create_graph=True)
    along = sum((g * directions[name]).sum() for name, g in zip(leaves, first, strict=True))
    second = torch.autograd.grad(along, list(leaves.values()))

    for index, name in enumerate(leaves):
        expected = _difference(lambda s: gradient(s)[index], 1e-3)  # noqa: B023
        assert_same({name: second[index]}, {name: expected}, tolerance=1e-10)


@every_cell
def test_second_derivatives_of_the_reference_pass_gradgradcheck(make_cell: MakeCell, device: torch.device) -> None:
    """Entry by entry, with random cotangents on outputs and final state."""
    case = random_case(make_cell(2), steps=2, batch=1, features=1, seed=14, device=device)
    names = list(case.leaves())

    def outputs(*values: Tensor) -> tuple[Tensor, ...]:
        results = by_engine(Engine.REFERENCE)(case.with_leaves(dict(zip(names, values, strict=True))))
        return tuple(results.values())

    assert torch.autograd.gradgradcheck(outputs, tuple(case.leaves().values()), atol=1e-7, rtol=1e-7)
