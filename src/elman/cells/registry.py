"""Every cell by its name, and a cell from a name and options: what `--cell` and `elman cells` go by."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, get_type_hints

from elman.cells.cell import ALL_INNER_OPTIONS, Cell
from elman.cells.elman import ElmanCell
from elman.cells.gru import GRUCell
from elman.cells.lstm import LSTMCell
from elman.cells.options import Option, read_options
from elman.errors import OptionError, choices

CELLS: dict[str, type[Cell]] = {kind.name: kind for kind in (ElmanCell, LSTMCell, GRUCell)}


def cell_kind(name: str) -> type[Cell]:
    """The class of the cell called `name`. Raises `OptionError`, with the names there are, if it isn't known."""
    if name not in CELLS:
        raise OptionError(f"cell={name!r} is not known: {choices(name, *CELLS)}")
    return CELLS[name]


def cell_named(name: str, hidden_size: int, **options: Any) -> Cell:
    """The cell called `name` with `hidden_size` units.

    Raises `OptionError`, with what there is, for a name or an option that isn't known, and for values that make no sense.
    """
    return cell_kind(name)(hidden_size, **read_cell_options(name, options))


def cell_options(kind: type[Cell]) -> dict[str, Option]:
    """The options of a cell by name; less those inside a step that it has no place for."""
    hints = get_type_hints(kind)
    absent = {"hidden_size", "input_size"} | (ALL_INNER_OPTIONS - kind.inner_options)
    return {
        field.name: Option(
            field.name,
            hints[field.name],
            field.default if field.default_factory is MISSING else field.default_factory(),
        )
        for field in fields(kind)
        if field.init and field.name not in absent
    }


def read_cell_options(name: str, given: Mapping[str, Any] | Sequence[str]) -> dict[str, Any]:
    """Options of the cell called `name`, from values or from texts NAME=VALUE: see `elman.cells.options`.

    Raises `OptionError` for a cell or an option that isn't known, and for a value of another kind than the option's.
    """
    return read_options(f"the cell {name!r}", cell_options(cell_kind(name)), given)
