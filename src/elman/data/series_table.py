"""Series from tables, wide or long: CSV, TSV, JSON lines, Parquet.

    wide   date,load,temperature             a column a series, a row a step
    long   unique_id,ds,y                    a row for each series and step, in the layout of Nixtla's libraries

Rows of different series may be mixed; those of one are in order of time.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from elman.data.bad_rows import BadRows, nothing_left
from elman.data.columns import known_column, named_column
from elman.data.delimited import is_number
from elman.data.missing import fill, on_grid
from elman.data.series import Columns, Series, SeriesReading
from elman.data.stamps import ROW, Clock, common_style, infer_clock, read_stamp
from elman.data.table import SAMPLE, Row, Table, read_table
from elman.data.text import Source
from elman.errors import DataError

ID_NAMES = ("unique_id", "series_id", "series", "item_id", "id")
TIME_NAMES = ("ds", "date", "datetime", "timestamp", "time", "month", "day", "year", "t", "step")
_VALUE_NAMES = ("y",)
_NOTHING = {"", "nan", "na", "n/a", "null", "none", "?"}
# A table that would be mostly filled in is another one than was meant.
_MOST_FILLED = 10


@dataclass
class _Rows:
    """The rows of one series, as they are read: where each stands, its stamp, its numbers."""

    id: str
    name: str
    where: list[str] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)
    numbers: list[list[float]] = field(default_factory=list)


def read_series(
    sources: Sequence[Source],
    asked: Columns,
    *,
    missing: str = "error",
    clock: Clock | None = None,
    encoding: str = "utf-8",
    bad: BadRows,
) -> SeriesReading:
    """The series of some tables that are alike; a file without a column of ids is a series by itself.

    Columns are those `asked` for, else: the id and the time are columns with a usual name (`unique_id`, `ds`, …), or the time
    the first whose cells are dates; to forecast are `y`, if there is one, else all columns of numbers that nothing else is.
    Without a time, rows are counted. `clock`: of the data that a model learnt from; None: it is inferred.

    Rows at the end of a series that have covariates known ahead and no value are the future. `missing` is a rule of
    `elman.data.missing`. Raises `DataError`, naming file and line, for a cell that is no number or no time stamp, for stamps
    that don't rise, for a gap or a missing value if that is an error.
    """
    rows: list[_Rows] = []
    styles: set[str] = set()
    columns = asked
    for number, source in enumerate(sources):
        names = [asked.id, asked.time, *asked.values, *asked.past, *asked.known, *ID_NAMES[:1], *TIME_NAMES[:5]]
        table = read_table(source, encoding=encoding, bad=bad, asked=names)
        sample = list(itertools.islice(table.rows, SAMPLE))
        if not sample:
            raise nothing_left(table.name, bad, "it has no rows.")
        columns = series_columns(table, sample, columns if number else asked, learnt=clock is not None)
        rows += _read_rows(table.name, columns, itertools.chain(sample, table.rows), styles)
    style = common_style(styles)
    if style is None or (clock is not None and {style, clock.style} not in _ALIKE and style != clock.style):
        found = sorted(styles if clock is None else {*styles, clock.style})
        raise DataError(f"time stamps are of kinds that don't go together ({', '.join(found)}): write them all alike.")
    arrays = [np.array(one.stamps, np.int64) for one in rows]
    for one, stamps_T in zip(rows, arrays, strict=True):
        _check_order(one, stamps_T, style)
    clock = clock or infer_clock(arrays, style)
    series = [_series(one, stamps_T, columns, clock, missing) for one, stamps_T in zip(rows, arrays, strict=True)]
    return SeriesReading(series, clock, columns, _understood(rows, columns, clock))


_ALIKE = ({"date", "datetime"},)


def series_columns(table: Table, sample: Sequence[Row], asked: Columns, learnt: bool = False) -> Columns:
    """The columns of a table by their roles; `learnt`: those `asked` for are a model's.

    Raises `DataError` if one is missing, or nothing is left to forecast.
    """

    def named(names: Iterable[str], option: str) -> tuple[str, ...]:
        return tuple(named_column(table, name, None if learnt else option) for name in names)

    (series_id,) = named([asked.id], "id") if asked.id else (None,)
    (time,) = named([asked.time], "time") if asked.time else (None,)
    past, known, values = (named(getattr(asked, role), role) for role in ("past", "known", "values"))

    def free() -> list[str]:
        taken = {series_id, time, *past, *known, *values}
        return [column for column in table.columns if column not in taken]

    series_id = series_id or known_column(free(), ID_NAMES)
    time = time or time_column(free(), sample)
    if not values:
        usual = known_column(free(), _VALUE_NAMES)
        values = (usual,) if usual else tuple(column for column in free() if holds_numbers(column, sample))
    if not values:
        raise DataError(
            f"{table.name} has no column of numbers to forecast (columns {', '.join(table.columns)}): name one with --values."
        )
    twice = [name for name in values if name in (*past, *known)]
    if twice:
        raise DataError(f"the column {twice[0]!r} is both to forecast and a covariate: name it once.")
    return Columns(series_id, time, values, past, known)


def time_column(columns: Sequence[str], sample: Sequence[Row]) -> str | None:
    """The column of time: that of a usual name with a time stamp in it, else the first whose cells are dates."""
    usual = known_column(columns, TIME_NAMES)
    if usual and _is_stamp(sample[0][1].get(usual, "")):
        return usual
    for column in columns:
        cells = [row.get(column, "") for _, row in sample[:20]]
        if all(_is_stamp(cell) and not is_number(cell) for cell in cells):
            return column
    return None


def holds_numbers(column: str, sample: Sequence[Row]) -> bool:
    """Whether most cells that hold anything hold numbers: one that doesn't is then a mistake."""
    cells = [cell for _, row in sample if (cell := row.get(column, "").strip()).casefold() not in _NOTHING]
    return bool(cells) and 2 * sum(map(is_number, cells)) > len(cells)


def series_by_content(table: Table, sample: Sequence[Row]) -> str | None:
    """What a table holds, in words, if it is series: a column of time, and besides it an id at most and else numbers."""
    series_id = known_column(table.columns, ID_NAMES)
    others = [column for column in table.columns if column != series_id]
    time = time_column(others, sample)
    numbers = [column for column in others if column != time]
    if time is None or not numbers or not all(holds_numbers(column, sample) for column in numbers):
        return None
    whose = f", by series (column {series_id!r})" if series_id else ""
    return f"numbers over time (column {time!r}){whose}"


def _is_stamp(cell: str) -> bool:
    try:
        read_stamp(cell)
    except (ValueError, OverflowError):
        return False
    return True


def _read_rows(name: str, columns: Columns, rows: Iterable[Row], styles: set[str]) -> list[_Rows]:
    found: dict[str, _Rows] = {}
    names = (*columns.values, *columns.past, *columns.known)
    for where, row in rows:
        key = row.get(columns.id, "").strip() if columns.id else ""
        if columns.id and not key:
            raise DataError(f"{where}: the id (column {columns.id!r}) is empty: give one, or leave the row out.")
        one = found.get(key)
        if one is None:
            one = found[key] = _Rows(key, f"{name}, series {key!r}" if columns.id else name)
        if columns.time is None:
            one.stamps.append(len(one.stamps) + 1)
            styles.add(ROW)
        else:
            cell = row.get(columns.time, "")
            try:
                stamp, style = read_stamp(cell)
            except (ValueError, OverflowError):
                raise DataError(
                    f"{where}: {cell!r} (column {columns.time!r}) is no time stamp: write whole numbers, or dates as "
                    "2024-01-31 or 2024-01-31 15:00."
                ) from None
            one.stamps.append(stamp)
            styles.add(style)
        one.where.append(where)
        one.numbers.append([_number(row.get(column, ""), column, where) for column in names])
    return list(found.values())


def _number(cell: str, column: str, where: str) -> float:
    """The number of a cell; NaN for an empty one and for what isn't finite."""
    try:
        value = float(cell)
    except ValueError:
        if cell.strip().casefold() in _NOTHING:
            return math.nan
        raise DataError(
            f"{where}: {cell!r} (column {column!r}) is no number: mend it, or leave the cell empty."
        ) from None
    return value if math.isfinite(value) else math.nan


def _check_order(one: _Rows, stamps_T: np.ndarray, style: str) -> None:
    wrong = np.flatnonzero(np.diff(stamps_T) <= 0)
    if not len(wrong):
        return
    place = int(wrong[0]) + 1
    stamp = Clock(style, 1).text(int(stamps_T[place]))
    told = f"{one.where[place]}: the time stamp {stamp}{_of(one)}"
    if stamps_T[place] == stamps_T[place - 1]:
        more = "" if one.id else ", or name the column that tells series apart with --id"
        raise DataError(f"{told} is there twice: leave one row of the two{more}.")
    raise DataError(f"{told} lies before that of the row before it: sort the rows by time.")


def _of(one: _Rows) -> str:
    return f" of the series {one.id!r}" if one.id else ""


def _series(one: _Rows, stamps_T: np.ndarray, columns: Columns, clock: Clock, missing: str) -> Series:
    numbers_TN = np.array(one.numbers, np.float64).reshape(len(stamps_T), -1)
    places_T = clock.places(stamps_T)
    off = np.flatnonzero(places_T != np.round(places_T))
    if len(off):
        stamp = clock.text(int(stamps_T[off[0]]))
        raise DataError(
            f"{one.where[off[0]]}: the time stamp {stamp}{_of(one)} doesn't fit the others, which begin at "
            f"{clock.text(int(stamps_T[0]))} and go by {clock.in_words}: mend it, or bring the rows to one step."
        )
    width = len(columns.values)
    steps = len(stamps_T)
    if columns.known:
        with_value = np.flatnonzero(np.isfinite(numbers_TN[:, :width]).any(1))
        steps = int(with_value[-1]) + 1 if len(with_value) else 0
        if not steps:
            raise DataError(f"{one.name} has no value at all: leave it out.")
    jumps = np.flatnonzero(np.diff(places_T) > 1)
    if len(jumps):
        place = int(jumps[0]) + 1
        if missing == "error":
            raise DataError(
                f"{one.where[place]}: {int(places_T[place] - places_T[place - 1]) - 1:,} steps{_of(one)} are missing between "
                f"{clock.text(int(stamps_T[place - 1]))} and {clock.text(int(stamps_T[place]))} ({clock.in_words}): add them, "
                "or fill them in with --missing carry or --missing interpolate."
            )
        if places_T[-1] > _MOST_FILLED * (len(places_T) + 100):
            raise DataError(
                f"{one.name} has {len(places_T):,} rows over {int(places_T[-1]) + 1:,} steps ({clock.in_words}): too few to "
                "fill in the others. Bring the rows to one step."
            )
    _check_missing(one, numbers_TN, steps, columns, missing)
    if len(jumps):
        first_future = int(places_T[steps - 1]) + 1
        numbers_TN = on_grid(numbers_TN, places_T)
        steps = first_future
        stamps_T = np.concatenate([stamps_T[:1], clock.after(int(stamps_T[0]), len(numbers_TN) - 1)])
    split = width + len(columns.past)
    filled = [
        fill(column_T[: steps if place < split else None], missing) for place, column_T in enumerate(numbers_TN.T)
    ]
    return Series(
        one.id,
        stamps_T[:steps],
        np.stack(filled[:width], 1),
        np.stack(filled[width:split], 1) if columns.past else np.empty((steps, 0)),
        np.stack(filled[split:], 1) if columns.known else np.empty((steps, 0)),
        one.name,
    )


def _check_missing(one: _Rows, numbers_TN: np.ndarray, steps: int, columns: Columns, missing: str) -> None:
    names = (*columns.values, *columns.past, *columns.known)
    for place, name in enumerate(names):
        there_T = np.isfinite(numbers_TN[: None if name in columns.known else steps, place])
        if there_T.all():
            continue
        if not there_T.any():
            raise DataError(f"{one.name}: the column {name!r} has no number at all: leave it out.")
        if missing == "error":
            where = one.where[int(np.flatnonzero(~there_T)[0])]
            raise DataError(
                f"{where}: the value of {name!r}{_of(one)} is missing or not finite: mend it, or fill such values in with "
                "--missing carry or --missing interpolate."
            )


def _understood(rows: Sequence[_Rows], columns: Columns, clock: Clock) -> str:
    shown = ", ".join(columns.values[:8]) + (", …" if len(columns.values) > 8 else "")
    parts = [f"{len(rows):,} series" if columns.id else f"{len(rows):,} table{'s' * (len(rows) > 1)}"]
    parts[0] += f" of {sum(len(one.stamps) for one in rows):,} rows, {clock.in_words}"
    parts.append(f"forecast: {shown}")
    if columns.time:
        parts.append(f"time: {columns.time}")
    if columns.id:
        parts.append(f"id: {columns.id}")
    parts += [f"{role}: {', '.join(names)}" for role in ("past", "known") if (names := getattr(columns, role))]
    return "; ".join(parts)
