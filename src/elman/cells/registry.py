"""Every cell by its name, and a cell from a name and options: what `--cell` and `elman cells` go by."""

from dataclasses import MISSING, fields
from typing import Any, get_args, get_type_hints

from elman.cells.cell import Cell
from elman.cells.elman import ElmanCell
from elman.cells.gru import GRUCell
from elman.cells.lstm import LSTMCell
from elman.errors import OptionError

CELLS: dict[str, type[Cell]] = {kind.name: kind for kind in (ElmanCell, LSTMCell, GRUCell)}


def cell_named(name: str, hidden_size: int, **options: Any) -> Cell:
    """The cell called `name` with `hidden_size` units.

    Raises `OptionError`, with what there is, for a name or an option that isn't known, and for values that make no sense.
    """
    if name not in CELLS:
        raise OptionError(f"cell={name!r} is not known: choose from {', '.join(CELLS)}.")
    kind = CELLS[name]
    known = cell_options(kind)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise OptionError(f"the cell {name!r} has no option {', '.join(unknown)}: it has {', '.join(known)}.")
    return kind(hidden_size, **options)


def cell_options(kind: type[Cell]) -> dict[str, Any]:
    """The options of a cell and their defaults; less those inside a step that it has no place for."""
    absent = {"layer_norm", "variational_dropout", "recurrent_dropout"} - kind.inner_options
    return {
        field.name: field.default
        for field in fields(kind)
        if field.default is not MISSING and field.name not in absent | {"input_size"}
    }


def option_from_text(kind: type[Cell], name: str, text: str) -> Any:
    """The value of an option as written on a command line: `true`, `0.1`, `0.1,0.05`, `none`, a word.

    Raises `OptionError` if the cell has no such option or the text isn't a value of its kind.
    """
    known = cell_options(kind)
    if name not in known:
        raise OptionError(f"the cell {kind.name!r} has no option {name!r}: it has {', '.join(known)}.")
    hint = get_type_hints(kind)[name]
    for alternative in get_args(hint) or (hint,):
        value = _read(alternative, text)
        if value is not MISSING:
            return value
    raise OptionError(f"{name}={text!r} is not a value of this option, which is {known[name]!r} by default.")


def _read(kind: Any, text: str) -> Any:
    """`text` as a value of `kind`, or MISSING."""
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), MISSING)
    if kind is str:
        return text
    if kind is type(None):
        return None if text.lower() == "none" else MISSING
    try:
        if kind in (int, float):
            return kind(text)
        # The one composite kind: numbers, one for each state.
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        return MISSING
