"""What there is to know of a cell, found out from the cell itself: `elman cells` and `docs/cells.md` show it."""

import inspect
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from elman import engines
from elman.cells import CELLS, Cell, Option, State, cell_kind, cell_named, cell_options, check_size

INPUT_SIZE, HIDDEN_SIZE = 128, 256


@dataclass(frozen=True)
class CellFacts:
    """A cell without options, in a layer of `hidden_size` units that reads `input_size` features.

    equations     the docstring of the file that it stands in
    summary       the docstring of its class
    gates         those with rows in `weight_ih`, in order
    states        name and size of each
    weights       name and shape of each
    options       by name: their kind and default
    parameters    numbers in a layer
    cost          of one step of one sequence: the multiply-accumulates of its matrix products, the input's projection among
                  them. What goes element by element is not counted: it is of the order of the hidden units
    engine        what "auto" comes to on this machine's processor
    scans         whether a sequence can be computed without a loop over time
    streams       whether the state after a step is as large as that before it, so that a stream of any length takes
                  constant memory
    """

    name: str
    title: str
    citation: str
    equations: str
    summary: str
    input_size: int
    hidden_size: int
    gates: tuple[str, ...]
    states: dict[str, int]
    weights: dict[str, tuple[int, ...]]
    options: dict[str, Option]
    parameters: int
    cost: int
    engine: str
    scans: bool
    streams: bool

    @property
    def shapes_in_words(self) -> dict[str, str]:
        """The weights' shapes, as in "(1024, 128)" or "(256)"."""
        return {name: f"({', '.join(map(str, shape))})" for name, shape in self.weights.items()}

    def to_dict(self) -> dict[str, Any]:
        options = {name: {"default": o.default, "kind": o.kind_in_words} for name, o in self.options.items()}
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"options": options}


def describe_cell(name: str, input_size: int = INPUT_SIZE, hidden_size: int = HIDDEN_SIZE) -> CellFacts:
    """The facts of the cell called `name`. Raises `OptionError` if it isn't known or can't have these sizes."""
    kind = cell_kind(name)
    cell = cell_named(name, hidden_size).for_input(input_size)
    shapes = cell.weight_shapes(input_size)
    before, after, cost = _one_step(cell, input_size)
    return CellFacts(
        name=name,
        title=kind.title or name,
        citation=kind.citation,
        equations=inspect.getdoc(sys.modules[kind.__module__]) or "",
        summary=inspect.getdoc(kind) or "",
        input_size=input_size,
        hidden_size=hidden_size,
        gates=cell.gate_names,
        states=dict(zip(cell.state_type._fields, cell.state_sizes, strict=True)),
        weights=shapes,
        options=cell_options(kind),
        parameters=sum(math.prod(shape) for shape in shapes.values()),
        cost=cost,
        engine=str(engines.resolve(engines.Engine.AUTO, cell, torch.empty(0))),
        scans=kind.scans,
        streams=[s.shape for s in after] == [s.shape for s in before],
    )


def describe_cells(
    names: Iterable[str] | None = None, input_size: int = INPUT_SIZE, hidden_size: int = HIDDEN_SIZE
) -> list[CellFacts]:
    """The facts of these cells, or of all there are. Raises `OptionError` as `describe_cell` does."""
    check_size("input", input_size)
    check_size("hidden", hidden_size)
    return [describe_cell(name, input_size, hidden_size) for name in (CELLS if names is None else names)]


def common_options(facts: Iterable[CellFacts]) -> list[str]:
    """The options that every one of these cells has."""
    first, *others = [list(cell.options) for cell in facts]
    return [name for name in first if all(name in other for other in others)]


def _one_step(cell: Cell, input_size: int) -> tuple[State, State, int]:
    """The states before and after one step of one sequence, without numbers, and how many multiply-accumulates it took."""
    weights = {name: torch.empty(shape, device="meta") for name, shape in cell.weight_shapes(input_size).items()}
    before = cell.initial_state(1, next(iter(weights.values())))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        u_BG = cell.project(weights, torch.empty(1, input_size, device="meta"))
        _, after = cell.advance(weights, u_BG, before)
    # A multiply-accumulate is two operations.
    return before, after, counter.get_total_flops() // 2
