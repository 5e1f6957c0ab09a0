"""What a step makes of weights alone is made once for a sequence: values, gradients, second derivatives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import pytest
import torch
from torch import Tensor

from elman.cells import Cell, Weights, cell_kind
from elman.cells.operations import clip, exp, log, maximum, minimum, relu, sigmoid, softplus, split_rows, sqrt, tanh
from elman.engines import scan
from elman.errors import TraceError
from elman.programs import programs_of

T, B, H = 5, 3, 8
FORMS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "add": lambda a, b: 1 + a + b,
    "sub": lambda a, b: 1 - a - b,
    "mul": lambda a, b: 2 * a * b,
    "div": lambda a, b: 1 / (2 + a) / (3 + b),
    "neg": lambda a, b: -a + -b,
    "sigmoid": lambda a, b: sigmoid(a) + tanh(b),
    "relu": lambda a, b: relu(a) + exp(b),
    "sqrt": lambda a, b: sqrt(2 + a) + log(2 + b),
    "softplus": lambda a, b: softplus(a) * softplus(a) * softplus(b),
    "clip": lambda a, b: clip(a, -0.2, 0.2) + maximum(a, b) * minimum(a, b),
}


class DecayState(NamedTuple):
    """h (B, H): the hidden state."""

    h: Tensor


def cell_of(form: Callable[[Tensor, Tensor], Any]) -> Cell:
    """h_t = tanh(s form(a, b) h_{t-1} + u_t), where a and b are the halves of a vector, and s is a number."""

    @dataclass(frozen=True)
    class DecayCell(Cell):
        name: ClassVar[str] = "decay"
        gates: ClassVar[tuple[str, ...]] = ("h",)
        state_type: ClassVar = DecayState

        def weight_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
            return {"weight_ih": (self.hidden_size, input_size), "rates": (2 * self.hidden_size,), "scale": (1,)}

        def step(self, weights: Weights, u_BG: Tensor, state: DecayState) -> tuple[Tensor, DecayState]:
            made = weights["scale"] * form(*split_rows(weights["rates"], 2))
            h = tanh(made * state.h + u_BG)
            return h, DecayState(h)

    return DecayCell(H, bias=False)


def run(cell: Cell, engine: str, seed: int = 0) -> tuple[Tensor, list[Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: torch.empty(shape, dtype=torch.float64).uniform_(-0.5, 0.5, generator=generator).requires_grad_()
        for name, shape in cell.weight_shapes(4).items()
    }
    x = torch.randn(T, B, 4, dtype=torch.float64, generator=generator)
    state = cell.state_type(torch.randn(B, H, dtype=torch.float64, generator=generator))
    y, _ = scan(cell, weights, x, state, engine=engine)
    return y, list(weights.values())


@pytest.mark.parametrize("form", FORMS)
def test_engines_agree_and_so_do_derivatives_of_second_order(form: str) -> None:
    cell = cell_of(FORMS[form])
    assert programs_of(cell).derived
    found = []
    for engine in ("native", "reference"):
        y, leaves = run(cell, engine)
        first = torch.autograd.grad(y.square().sum(), leaves, create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), leaves)
        found.append([y, *first, *second])
    for native, reference in zip(*found, strict=True):
        torch.testing.assert_close(native, reference, rtol=1e-10, atol=1e-10)


def test_gradients_that_are_taken_once_are_those_of_the_core() -> None:
    cell = cell_of(FORMS["softplus"])
    found = []
    for engine in ("native", "reference"):
        y, leaves = run(cell, engine)
        found.append(torch.autograd.grad(y.square().sum(), leaves))
    for native, reference in zip(*found, strict=True):
        torch.testing.assert_close(native, reference, rtol=1e-10, atol=1e-10)


def test_weights_of_different_sizes_make_no_program() -> None:
    cell = cell_of(lambda a, b: a + split_rows(b, 2)[0])
    with pytest.raises(TraceError, match="'add' has weights of 4 and 8 elements"):
        programs_of(cell)


def test_equal_expressions_are_derived_once_and_nothing_of_weights_alone_is_left_in_a_step() -> None:
    programs = programs_of(cell_of(FORMS["softplus"]))
    assert [derived.operation for _, derived in programs.derived] == ["softplus", "mul", "softplus", "mul", "mul"]
    # The decay of an RG-LRU among them.
    assert [derived.operation for _, derived in programs_of(cell_kind("rglru")(H)).derived] == ["softplus", "mul"]
    assert type(programs).from_text(programs.to_text()).derived == programs.derived
