"""Series in a table with a row a step: a column tells series apart, one has the time, one the class; the others are features.

series,time,x,y,class
7,0.00,0.1,-3,left
7,0.05,0.2,-3,left
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from elman.data.bad_rows import BadRows
from elman.data.columns import has_column, known_column, named_column
from elman.data.delimited import LABEL_NAMES, is_number
from elman.data.labelled_series import Columns, Found, Series
from elman.data.table import SAMPLE, Row, Table, read_table
from elman.data.text import Source
from elman.errors import DataError

ID_NAMES = (
    *("unique_id", "series_id", "series", "sequence_id", "sequence", "sample_id", "sample", "case_id", "case"),
    *("instance", "id", "item_id", "recording"),
)
TIME_NAMES = ("ds", "time", "timestamp", "time_step", "timestep", "step", "datetime", "date", "t", "frame")
_NOTHING = {"", "?", "nan", "na", "null", "none", "-nan", "n/a"}


@dataclass
class _Growing:
    """A series as far as it has been read."""

    label: str | None
    group: str
    where: str
    rows: list[list[float]] = field(default_factory=list)
    last: float = -math.inf
    wrong: str = ""


def read_long_table(source: Source, columns: Columns, encoding: str, bad: BadRows) -> Found:
    """The series of a table, in the order in which they begin; rows of different series may be mixed.

    Columns are as named, else those of known names; features are those of `columns.values`, else the other columns that hold
    numbers. Bad rows: those of `read_table`; an empty id; a series whose time stamps don't rise or are no times, whose label or
    group isn't the same in all its rows, or a value of which is no number. Raises `DataError` for a column that isn't there.
    """
    known = (*ID_NAMES, *TIME_NAMES, *LABEL_NAMES)
    names = [name for name in (columns.id, columns.time, columns.label, columns.group, *columns.values) if name]
    table = read_table(source, encoding=encoding, bad=bad, asked=[*names, *known])
    sample = list(itertools.islice(table.rows, SAMPLE))
    taken = long_columns(table, sample, columns)
    features: tuple[str, ...] = taken["values"]
    growing: dict[str, _Growing] = {}
    for where, row in itertools.chain(sample, table.rows):
        name = row.get(taken["id"], "").strip()
        if not name:
            bad.skip(where, f"its id (column {taken['id']!r}) is empty")
            continue
        label, group = (row.get(taken.get(role, ""), "").strip() for role in ("label", "group"))
        one = growing.setdefault(name, _Growing(label or None, group, where))
        if not one.wrong:
            one.wrong = _add(one, row, taken, features)
            if one.wrong:
                one.where = where
    series = []
    for name, one in growing.items():
        if one.wrong:
            bad.skip(one.where, f"the series {name!r} can't be used: {one.wrong}")
        else:
            values_TD = np.array(one.rows, np.float32).reshape(-1, len(features))
            series.append(Series(values_TD, one.label, f"{one.where} (series {name!r})", name, one.group))
    told = ", ".join(
        f"the {role} is column {taken[role]!r}" for role in ("id", "time", "label", "group") if role in taken
    )
    return Found(series, f"a row a step: {told}, features are {', '.join(features)}", taken)


def long_columns(table: Table, sample: Sequence[Row], columns: Columns) -> dict[str, Any]:
    """The columns of a table by their roles: "id", and where they are there "time", "label", "group"; "values", a tuple.

    Raises `DataError` if one that was named isn't there, if none tells series apart, or if there are no features.
    """
    taken: dict[str, Any] = {}
    for role, name, known in (
        ("id", columns.id, ID_NAMES),
        ("time", columns.time, TIME_NAMES),
        ("label", columns.label, LABEL_NAMES),
        ("group", columns.group, ()),
    ):
        free = [column for column in table.columns if column not in taken.values()]
        # New data to answer on has no labels, and no groups.
        found = (
            known_column(free, known)
            if name is None
            else named_column(table, name, role)
            if (role in ("id", "time") or has_column(table, name))
            else None
        )
        if found is not None:
            taken[role] = found
    if "id" not in taken:
        raise DataError(
            f"{table.name} has the columns {', '.join(table.columns)}: none of them is known to tell series apart. "
            "Name it with --id."
        )
    others = [column for column in table.columns if column not in taken.values()]
    if columns.values:
        features = tuple(columns.values)
        if lacking := [name for name in features if name not in table.columns]:
            raise DataError(
                f"{table.name} has no column {lacking[0]!r}, which is among the features that were learnt "
                f"({', '.join(features)}): give a table with all of them."
            )
    else:
        features = tuple(column for column in others if _holds_numbers(column, sample))
    if not features:
        raise DataError(f"{table.name} has no column of numbers beside {', '.join(map(repr, taken.values()))}.")
    return taken | {"values": features}


def _holds_numbers(column: str, sample: Sequence[Row]) -> bool:
    cells = [cell for _, row in sample if (cell := row.get(column, "").strip()).casefold() not in _NOTHING]
    return bool(cells) and 2 * sum(map(is_number, cells)) > len(cells)


def _add(one: _Growing, row: dict[str, str], taken: dict[str, Any], features: Sequence[str]) -> str:
    """Take in a row of a series; says what is wrong with it, or nothing."""
    for role, before in (("label", one.label or ""), ("group", one.group)):
        if role in taken and row.get(taken[role], "").strip() != before:
            return f"its {role} is {before!r} before and {row.get(taken[role], '').strip()!r} here"
    if "time" in taken:
        cell = row.get(taken["time"], "").strip()
        now = time_of(cell)
        if now is None:
            return f"{cell!r} is no time: give a number or a date as 2024-01-31 15:00"
        if now <= one.last:
            return f"its time {cell} {'is there twice' if now == one.last else 'lies before that of the row before it'}"
        one.last = now
    values = []
    for feature in features:
        cell = row.get(feature, "").strip()
        if cell.casefold() in _NOTHING:
            values.append(math.nan)
        elif is_number(cell):
            values.append(float(cell))
        else:
            return f"{cell!r} in column {feature!r} is no number"
    one.rows.append(values)
    return ""


def time_of(cell: str) -> float | None:
    """A number, or a date in seconds; None for what is neither."""
    if is_number(cell):
        return float(cell) if math.isfinite(float(cell)) else None
    try:
        return datetime.fromisoformat(cell).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
