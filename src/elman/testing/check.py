"""`check_cell`: one call that holds a cell to the laws."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields

import torch

from elman.cells import Cell
from elman.engines import Engine, resolve
from elman.errors import CellError, EngineError
from elman.testing.compare import largest_difference
from elman.testing.laws import LAWS, Law
from elman.testing.subject import Subject

# Odd, so that no two sizes are alike; large enough for a layer norm.
_HIDDEN_SIZE = 5


@dataclass(frozen=True)
class Checked:
    """A law that was kept."""

    law: str
    statement: str
    # None for a law about the cell alone.
    engine: Engine | None
    # The largest difference, |a - e| / (1 + |e|); 0 where arrays had to be equal bit for bit.
    worst: float


@dataclass(frozen=True)
class CheckReport:
    """What `check_cell` checked; printed, it is a table."""

    cell: Cell
    engines: tuple[Engine, ...]
    # Why an engine was left out, by its name.
    refusals: Mapping[Engine, str]
    laws: tuple[Checked, ...]

    def __str__(self) -> str:
        width = max(len(self._title(checked)) for checked in self.laws)
        lines = [described(self.cell), f"{'':{width}}" + "".join(f"  {engine:>9}" for engine in self.engines)]
        for title in dict.fromkeys(self._title(checked) for checked in self.laws):
            worst = {checked.engine: checked.worst for checked in self.laws if self._title(checked) == title}
            cells = ["kept"] if None in worst else [f"{worst[e]:.1e}" if worst[e] else "equal" for e in self.engines]
            lines.append(f"{title:{width}}" + "".join(f"  {cell:>9}" for cell in cells))
        lines += [f"not by the {engine} engine: {reason}" for engine, reason in self.refusals.items()]
        return "\n".join(lines)

    @staticmethod
    def _title(checked: Checked) -> str:
        return f"{checked.law}: {checked.statement}"


def check_cell(
    cell: Cell | type[Cell],
    *,
    engines: Iterable[Engine | str] | None = None,
    input_size: int = 3,
    seed: int = 0,
    verbose: bool = False,
) -> CheckReport:
    """Hold a cell to the laws, on every engine, values and all gradients, in float64; says what was checked.

    1 a scan equals folding `step` · 2 a sequence may be cut anywhere and gone on with from the carried state · 3 a reset equals
    a fresh start · 4 `step` changes nothing that it is given · 5 gradients with respect to inputs, weights and the initial
    state are those of finite differences (where there are kinks: see `elman.testing.differences`) · 6 padding changes
    nothing and gets no gradient, even if it is NaN · 7 save, load and go on is bit-equal · 8 a row doesn't depend on another.
    Besides: the cell is what it says of itself, its masks are used, engines agree in all options, float32 is close to float64.

    cell        a cell, or a class of cells, of which one with 5 units is made
    engines     which engines; None means each that can serve: the reference always, and the report has the reasons of others
    input_size  D
    seed        of all random numbers: weights near those of `cell.initialise`, inputs, states that are not zero, masks
    verbose     print each law when it has been checked

    Raises `CellError`, an `AssertionError` too, for the first law that is broken; `EngineError` if an engine was named that
    can't serve this cell.
    """
    if isinstance(cell, type):
        cell = cell(_HIDDEN_SIZE)
    if not isinstance(cell, Cell):
        raise CellError(f"{cell!r} is a {type(cell).__name__}: give a cell, or a class of cells (elman.cells.Cell).")
    with torch.enable_grad():
        subject = Subject(cell, input_size, seed)
        kept = [_keep(law, subject, None, verbose) for law in LAWS if law.of_the_cell]
        able, refusals = _engines_for(subject, engines)
        for engine in able:
            kept += [_keep(law, subject, engine, verbose) for law in LAWS if not law.of_the_cell]
    return CheckReport(subject.cell, able, refusals, tuple(kept))


def described(cell: Cell) -> str:
    """A cell as one would write it: its class, its size, and the options that are not the default."""
    shown = [str(cell.hidden_size)]
    for field in fields(cell):
        value = getattr(cell, field.name)
        if not field.repr or field.name in {"hidden_size", "input_size"}:
            continue
        if field.default is MISSING or value != field.default:
            shown.append(f"{field.name}={value!r}")
    return f"{type(cell).__name__}({', '.join(shown)})"


def _engines_for(
    subject: Subject, wanted: Iterable[Engine | str] | None
) -> tuple[tuple[Engine, ...], dict[Engine, str]]:
    """The engines to check, and why the others are not."""
    like = next(iter(subject.training.weights.values()))
    if wanted is not None:
        return tuple(dict.fromkeys(resolve(engine, subject.cell, like) for engine in wanted)), {}
    able, refusals = [], {}
    for engine in (Engine.REFERENCE, Engine.SCAN, Engine.TORCH, Engine.NATIVE):
        try:
            able.append(resolve(engine, subject.cell, like))
        except EngineError as error:
            refusals[engine] = str(error)
    return tuple(able), refusals


def _keep(law: Law, subject: Subject, engine: Engine | None, verbose: bool) -> Checked:
    """Check one law. Raises `CellError` where it is broken."""
    where = "" if engine is None else f" on the {engine} engine"
    broken = f"{described(subject.cell)} breaks {law.name}{where}, {law.statement}: "
    cause = law.cause
    if engine not in {None, Engine.REFERENCE}:
        cause += " If the cell passes on the reference engine, it is this engine's defect: please report it."
    worst = 0.0
    try:
        for finding in law.check(subject, engine or Engine.REFERENCE):
            if isinstance(finding, str):
                raise CellError(f"{broken}{finding}. {cause}")
            found = largest_difference(finding.actual, finding.expected)
            if found.size > finding.tolerance:
                allowed = f"at most {finding.tolerance:.0e} is allowed" if finding.tolerance else "not a bit may differ"
                raise CellError(f"{broken}{found.text}; {allowed}. {cause}")
            worst = max(worst, found.size)
    except CellError:
        raise
    except Exception as error:
        raise CellError(f"{broken}{_said(error)}. {cause}") from error
    if verbose:
        sys.stdout.write(f"{law.name}{where}: {law.statement}, {worst:.1e}\n")
    return Checked(law.name, law.statement, engine, worst)


def _said(error: Exception) -> str:
    """An error of a cell's own code, in one line."""
    return f"{type(error).__name__} was raised, {str(error).strip().rstrip('.')}"
