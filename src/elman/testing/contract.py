"""What a cell says of itself, held against what it does: sizes, names, types, masks."""

import dataclasses
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace

import torch

from elman.axes import Tensor
from elman.cells import Cell
from elman.testing.case import Case, initial_weights, random_case


def complaints(cell: Cell, input_size: int) -> Iterator[str]:
    """Everything about a cell that is not as the contract (`elman.cells.Cell`) has it, one after the other."""
    yield from _about_the_value(cell)
    names, sizes = cell.state_type._fields, cell.state_sizes
    if len(names) != len(sizes):
        yield f"state_sizes has {len(sizes)} sizes for {len(names)} states, {', '.join(names)}"
    yield from _about_weights(cell, input_size)
    case = random_case(cell, steps=6, batch=3, features=input_size, seed=0)
    yield from _about_the_initial_state(case)
    yield from _about_the_step(case)


def _about_the_value(cell: Cell) -> Iterator[str]:
    try:
        hash(cell)
    except TypeError as error:
        yield f"it has no hash ({error}): let its fields be numbers, strings and tuples"
    if replace(cell) != cell:
        yield "a copy of it is not equal to it: let its fields be numbers, strings and tuples, and nothing else make it up"
    for field in dataclasses.fields(cell):
        try:
            setattr(cell, field.name, getattr(cell, field.name))
        except FrozenInstanceError:
            continue
        yield f"its field {field.name} can be set: decorate the class with @dataclass(frozen=True)"


def _about_weights(cell: Cell, features: int) -> Iterator[str]:
    shapes = cell.weight_shapes(features)
    if not shapes:
        yield "it has no weights"
    for name, shape in shapes.items():
        if not name.isidentifier():
            yield f"the name {name!r} of a weight is not that of a parameter: let it be an identifier"
        if not shape or any(not isinstance(size, int) or size < 1 for size in shape):
            yield f"the weight {name} has shape {shape}: let it be a tuple of whole numbers, each at least 1"
    if list(cell.weight_shapes(features + 1)) != list(shapes):
        yield "the names of its weights depend on the size of the input"
    if shared := sorted(set(shapes) & set(cell.masks)):
        yield f"{', '.join(shared)} is the name of both a weight and a mask"
    for name, weight in initial_weights(cell, features, seed=0).items():
        if not weight.isfinite().all():
            yield f"initialise leaves elements of {name} unfilled, or fills in what is not finite"


def _about_the_initial_state(case: Case) -> Iterator[str]:
    cell = case.cell
    like = next(iter(case.weights.values()))
    for dtype in (torch.float64, torch.float32):
        state = cell.initial_state(case.batch, like.detach().to(dtype))
        yield from _about_a_state(case, state, "initial_state gives", dtype)


def _about_the_step(case: Case) -> Iterator[str]:
    cell = case.cell
    for dtype in (torch.float64, torch.float32):
        own = case.to(dtype)
        with torch.no_grad():
            u_TBG, u_BG, u_G = (cell.project(own.weights, x) for x in (own.x_TBD, own.x_TBD[0], own.x_TBD[0, 0]))
            if not tuple(u_TBG.shape) == (case.steps, *u_BG.shape) == (case.steps, case.batch, *u_G.shape):
                yield (
                    f"project gives {tuple(u_TBG.shape)} for a sequence, {tuple(u_BG.shape)} for a step, "
                    f"{tuple(u_G.shape)} for a row of it: let it act on the last axis alone"
                )
            if u_TBG.dtype != dtype:
                yield f"project gives {u_TBG.dtype} for inputs and weights of {dtype}"
            result = cell.step({**own.weights, **own.masks_at(0)}, u_BG, own.state)
        if not isinstance(result, tuple) or len(result) != 2:
            yield f"step gives a {type(result).__name__}: let it give the pair (y, state after)"
        y_BH, after = result
        yield from _about_an_array("step gives a y", y_BH, (case.batch, cell.output_size), dtype)
        yield from _about_a_state(case, after, "step gives", dtype)


def _about_a_state(case: Case, state: object, giver: str, dtype: torch.dtype) -> Iterator[str]:
    kind = case.cell.state_type
    if not isinstance(state, kind):
        yield f"{giver} a state that is a {type(state).__name__}: let it be a {kind.__name__}"
        return
    for name, size in zip(kind._fields, case.cell.state_sizes, strict=True):
        yield from _about_an_array(f"{giver} a state {name}", getattr(state, name), (case.batch, size), dtype)


def _about_an_array(what: str, array: object, shape: tuple[int, ...], dtype: torch.dtype) -> Iterator[str]:
    if not isinstance(array, Tensor):
        yield f"{what} that is a {type(array).__name__}: let it be a tensor"
    elif tuple(array.shape) != shape:
        yield f"{what} of shape {tuple(array.shape)}: it has to be {shape}"
    elif array.dtype != dtype:
        yield f"{what} of dtype {array.dtype} where all that is given is {dtype}: make numbers Python's, not tensors"
