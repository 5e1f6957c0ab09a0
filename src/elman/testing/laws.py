"""The laws of DESIGN, each a function from a cell and an engine to what has to be the same.

A law gives comparisons, or says in words what is wrong. They are listed from the plainest to those that presuppose others:
the first one that is broken says most.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import safetensors.torch
import torch

from elman.engines import Engine, scan
from elman.testing import contract
from elman.testing.case import Case, Results, named, reset_flags, unnamed, with_padding
from elman.testing.compute import (
    by_engine,
    by_folding,
    in_two_pieces,
    row_by_row,
    values_and_gradients,
)
from elman.testing.subject import BATCH, DIRECTIONS, STEPS, TOLERANCE, Subject

_SINGLE = 1e-4
# In any order, zero included.
_LENGTHS = [2, 6, 0]
# The first step, within a row, in the padding of row 0 and of row 2.
_RESETS = {(0, 0), (3, 1), (4, 1), (4, 0), (1, 2)}
# A gradient that `clip_gradient` holds back is not a derivative; of cotangents as small as this none is held back, and a power
# of two costs no digit.
_TINY = 2.0**-40


@dataclass(frozen=True)
class Comparison:
    """Two sets of arrays that have to be the same: bit for bit if the tolerance is 0."""

    actual: Results
    expected: Results
    tolerance: float = TOLERANCE


Findings = Iterator[Comparison | str]


@dataclass(frozen=True)
class Law:
    """What a law says, what usually breaks it, and how it is checked. `name` is what errors and reports call it."""

    name: str
    statement: str
    cause: str
    check: Callable[[Subject, Engine], Findings]
    # Whether it is about the cell alone, whatever runs it.
    of_the_cell: bool = False


def _contract(subject: Subject, _: Engine) -> Findings:
    yield from contract.complaints(subject.cell, subject.input_size)


def _masks(subject: Subject, _: Engine) -> Findings:
    for name, mask in subject.training.masks.items():
        drawn = subject.once("fold training", subject.training, by_folding)
        turned = {**subject.training.masks, name: torch.where(mask == 0, mask.max(), 0.0)}
        found = values_and_gradients(replace(subject.training, masks=turned), by_folding)
        if all(torch.equal(found[key], drawn[key]) for key in found):
            yield f"the mask {name} is drawn in training, and changes nothing"


def _step_is_pure(subject: Subject, engine: Engine) -> Findings:
    case = subject.training
    cell = case.cell
    with torch.no_grad():
        weights = {name: weight.detach().clone() for name, weight in {**case.weights, **case.masks_at(0)}.items()}
        u_BG = cell.project(weights, case.x_TBD[0].detach().clone()).clone()
        state = cell.state_type(*(s.detach().clone() for s in case.state))
        given = {**weights, "u": u_BG, **named("state", state)}
        before = {name: value.clone() for name, value in given.items()}
        first = cell.advance(weights, u_BG, state)
        # What it gave may be the very memory that it was given: keep the values.
        results = {"y": first[0].clone(), **{n: v.clone() for n, v in named("state", first[1]).items()}}
        yield Comparison(given, before, 0)
        if first[1] is state or all(torch.equal(new, old) for new, old in zip(first[1], state, strict=True)):
            yield "the state after a step is the one before it: a stream would stand still"
        cell.advance(weights, -u_BG, first[1])
        y_BH, after = cell.advance(weights, u_BG, state)
        yield Comparison({"y, when asked again": y_BH}, {"y, when asked again": results.pop("y")}, 0)
        yield Comparison(named("state", after), results, 0)
        yield from _scan_is_pure(case, engine)


def _scan_is_pure(case: Case, engine: Engine) -> Findings:
    lengths_B, reset_TB = torch.tensor(_LENGTHS), reset_flags(case, _RESETS)
    given = {**case.leaves(), **case.masks, "lengths": lengths_B, "reset": reset_TB}
    before = {name: value.detach().clone() for name, value in given.items()}
    _, last = scan(
        case.cell, case.weights, case.x_TBD, case.state, lengths_B, reset_TB, masks=case.masks, engine=engine
    )
    yield Comparison({name: value.detach() for name, value in given.items()}, before, 0)
    if last is case.state:
        yield "the final state of a scan is the very state that it was given"


def _rows_are_apart(subject: Subject, engine: Engine) -> Findings:
    with torch.no_grad():
        clean = by_engine(engine)(subject.training)
        for b in range(BATCH):
            dirty = by_engine(engine)(subject.poisoned(slice(None), slice(b, b + 1), state=True))
            others = [row for row in range(BATCH) if row != b]
            yield Comparison(_rows(dirty, others), _rows(clean, others), 0)
    case = subject.training
    results = by_engine(engine)(case)
    loss = sum((_rows({name: value}, [1])[name].sum() for name, value in results.items()), start=torch.zeros(()))
    leaves = {"x": case.x_TBD, **named("initial", case.state)}
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    gradients = {f"gradient of {name}": g for name, g in zip(leaves, found, strict=True)}
    foreign = {name: g[:, [0, 2]] if g.dim() == 3 else g[[0, 2]] for name, g in gradients.items()}
    yield Comparison(foreign, {name: torch.zeros_like(g) for name, g in foreign.items()}, 0)


def _rows(results: Results, rows: list[int]) -> Results:
    return {name: value[:, rows] if value.dim() == 3 else value[rows] for name, value in results.items()}


def _scan_folds(subject: Subject, engine: Engine) -> Findings:
    cases = {"training": subject.training, "evaluation": subject.evaluation}
    for name, case in cases.items() if subject.cell.masks else [("evaluation", subject.evaluation)]:
        yield Comparison(values_and_gradients(case, by_engine(engine)), subject.once(f"fold {name}", case, by_folding))


def _may_be_cut(subject: Subject, engine: Engine) -> Findings:
    whole = values_and_gradients(subject.training, by_engine(engine))
    for cut in range(STEPS + 1):
        yield Comparison(values_and_gradients(subject.training, in_two_pieces(engine, cut)), whole)


def _survives_a_file(subject: Subject, engine: Engine) -> Findings:
    first, second = subject.training.piece(slice(None, 3)), subject.training.piece(slice(3, None))
    with torch.no_grad():
        found = by_engine(engine)(first)
        middle = unnamed("final", found, second.state)
        expected = by_engine(engine)(replace(second, state=middle))

        saved = safetensors.torch.save(
            {name: value.contiguous() for name, value in {**first.weights, **named("state", middle)}.items()}
        )
        loaded = safetensors.torch.load(saved)
        state = unnamed("state", loaded, middle)
        # Nor is the cell the same object in a program that starts anew.
        weights = {name: loaded[name] for name in first.weights}
        actual = by_engine(engine)(replace(second, cell=replace(subject.cell), weights=weights, state=state))
    yield Comparison(actual, expected, 0)


def _gradients_are_derivatives(subject: Subject, engine: Engine) -> Findings:
    found = values_and_gradients(subject.short, by_engine(engine), scale=_TINY)
    for name, (direction, expected) in subject.derivatives.items():
        if expected is None:
            yield f"y and the states jump or bend along {DIRECTIONS} directions of {name}: they have no derivative there"
        key = f"gradient of {name}"
        along = {f"{key} along a direction": (found[key].detach() * direction).sum()}
        yield Comparison(along, {next(iter(along)): torch.tensor(expected, dtype=torch.float64)})


def _resets_are_fresh_starts(subject: Subject, engine: Engine) -> Findings:
    case = subject.training
    rows, row = (named("initial", subject.cell.initial_state(b, case.x_TBD.detach())) for b in (BATCH, 1))
    yield Comparison(rows, {name: value.repeat(BATCH, 1) for name, value in row.items()}, 0)
    reset_TB = reset_flags(case, _RESETS)
    cases = {"resets": case}
    if engine is not Engine.TORCH:
        cases["resets to a state that was given"] = replace(case, fresh=subject.fresh)
    for name, each in cases.items():
        yield Comparison(
            values_and_gradients(each, by_engine(engine, reset_TB=reset_TB)),
            subject.once(name, each, row_by_row(reset_TB=reset_TB)),
        )
    everywhere = reset_flags(case, {(2, b) for b in range(BATCH)})
    poisoned = subject.poisoned(slice(0, 2), slice(None), state=True)
    with torch.no_grad():
        clean, dirty = (by_engine(engine, reset_TB=everywhere)(each) for each in (case, poisoned))
    yield Comparison({**dirty, "y": dirty["y"][2:]}, {**clean, "y": clean["y"][2:]}, 0)


def _padding_is_nothing(subject: Subject, engine: Engine) -> Findings:
    case = with_padding(subject.training, _LENGTHS, torch.nan)
    padding_TB = torch.arange(STEPS)[:, None] >= torch.tensor(_LENGTHS)
    for name, reset_TB in {"lengths": None, "lengths and resets": reset_flags(case, _RESETS)}.items():
        found = values_and_gradients(case, by_engine(engine, _LENGTHS, reset_TB))
        yield Comparison(found, subject.once(name, case, row_by_row(_LENGTHS, reset_TB)))
        beyond = {f"{name} in the padding": found[name].detach()[padding_TB] for name in ("y", "gradient of x")}
        yield Comparison(beyond, {name: torch.zeros_like(value) for name, value in beyond.items()}, 0)


def _engines_agree(subject: Subject, engine: Engine) -> Findings:
    """Lengths, resets and directions in every combination, the other options so that any two meet in every way.

    A fresh state is given where all states are asked for: PyTorch's own layers know neither.
    """
    for lengths, resets, reverse in product([False, True], repeat=3):
        case = subject.training if lengths ^ resets else subject.evaluation
        all_states = engine not in {Engine.TORCH, Engine.SCAN} and lengths ^ reverse
        recompute = resets ^ reverse
        if engine is not Engine.REFERENCE or recompute:
            yield _agreement(subject, engine, case, (lengths, resets, reverse, all_states), recompute)
    for reverse in (False, True):
        yield _agreement(subject, engine, subject.long, (True, True, reverse, False), True)


def _agreement(
    subject: Subject, engine: Engine, case: Case, options: tuple[bool, bool, bool, bool], recompute: bool
) -> Comparison:
    lengths, resets, reverse, all_states = options
    rows = [length * case.steps // STEPS for length in _LENGTHS] if lengths else None
    padded = with_padding(replace(case, fresh=subject.fresh if all_states else None), rows or [], torch.nan)
    reset_TB = reset_flags(case, _RESETS) if resets else None
    name = f"agree {case.steps} {bool(case.masks)} {options}"
    expected = subject.once(name, padded, by_engine(Engine.REFERENCE, rows, reset_TB, reverse, all_states))
    compute = by_engine(engine, rows, reset_TB, reverse, all_states, recompute)
    return Comparison(values_and_gradients(padded, compute), expected)


def _single_precision(subject: Subject, engine: Engine) -> Findings:
    single = subject.training.to(torch.float32)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.no_grad():
            actual = by_engine(engine)(single)
            expected = by_engine(Engine.REFERENCE)(single.to(torch.float64))
    finally:
        torch.set_float32_matmul_precision(before)
    yield Comparison(actual, {name: value.float() for name, value in expected.items()}, _SINGLE)


LAWS = (
    Law("the contract", "a cell is what it says of itself", "See elman.cells.Cell.", _contract, of_the_cell=True),
    Law(
        "masks",
        "what training draws is used",
        "A step finds masks among its weights by the names in Cell.masks; recur and candidate read those of the options.",
        _masks,
        of_the_cell=True,
    ),
    Law(
        "law 4",
        "step changes nothing that it is given and returns another state",
        "Usually: an operation in place (add_, mul_, out=, x[...] = ...), or something kept on the cell between steps. "
        "Compute new arrays and return them; what has to be remembered is a state.",
        _step_is_pure,
    ),
    Law(
        "law 8",
        "a row doesn't depend on another",
        "Usually: a sum, mean or norm over the batch axis (dim=0), or over all axes, as in batch norm. Rows are separate "
        "sequences: work along the last axis.",
        _rows_are_apart,
    ),
    Law(
        "law 1",
        "a scan equals folding step",
        "Usually: project looks at more than one step, or depends on how many there are. What comes from a former step "
        "is a state.",
        _scan_folds,
    ),
    Law(
        "law 2",
        "a sequence may be cut anywhere",
        "Usually: something else than the state is carried from step to step, or project depends on how many steps there are.",
        _may_be_cut,
    ),
    Law(
        "law 7",
        "saved, loaded, it goes on bit for bit",
        "Usually: the cell has numbers besides its weights, states and fields, such as random ones drawn when it is made. "
        "Let them be weights, filled in by initialise.",
        _survives_a_file,
    ),
    Law(
        "law 5",
        "gradients are those of finite differences",
        "Usually: a torch.autograd.Function with a wrong backward, detach(), .data or no_grad() in the step, or rounding such "
        "as round() and sign().",
        _gradients_are_derivatives,
    ),
    Law(
        "law 3",
        "a reset equals a fresh start",
        "Usually: initial_state depends on the size of the batch, or its rows differ.",
        _resets_are_fresh_starts,
    ),
    Law(
        "law 6",
        "padding changes nothing and gets no gradient",
        "Padding is read as zeros, and what comes of it is thrown away; a NaN or an infinite derivative there stays one. "
        "Usually: a quotient, square root, norm or logarithm at zero, without an epsilon.",
        _padding_is_nothing,
    ),
    Law(
        "agreement",
        "an engine gives what the reference gives",
        "Usually: a defect of elman, since the laws before this one were kept.",
        _engines_agree,
    ),
    Law(
        "float32",
        "single precision is close to double",
        "Usually: a difference of large numbers or a quotient by a small one; an epsilon that float32 doesn't see.",
        _single_precision,
    ),
)
