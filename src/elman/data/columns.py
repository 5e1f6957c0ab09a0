"""Which column of a table holds what: as named, else guessed by a stated rule."""

from collections.abc import Sequence

from elman.data.delimited import LABEL_NAMES, TEXT_NAMES
from elman.data.table import Row, Table
from elman.errors import DataError


def named_column(table: Table, name: str, option: str | None) -> str:
    """The column that an option names, or numbers; None: that a model learnt from. Raises `DataError`, with those there are,
    if it is missing.
    """
    if name in table.columns:
        return name
    if has_column(table, name):
        return table.columns[int(name) - 1]
    header = (
        "" if any(not column.isdigit() for column in table.columns) else " (it has no header: columns are numbered)"
    )
    there = ", ".join(table.columns)
    if option is None:
        raise DataError(
            f"{table.name} has no column {name!r}{header}, which the model learnt from, but {there}: give a table with it."
        )
    raise DataError(f"{table.name} has no column {name!r}{header}: name one of {there} with --{option}.")


def has_column(table: Table, name: str) -> bool:
    """Whether `named_column` finds a column."""
    return name in table.columns or (name.isdecimal() and 1 <= int(name) <= len(table.columns))


def known_column(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """The column that has the first of `names` that any has, small or capital."""
    by_name = {column.strip().casefold(): column for column in reversed(columns)}
    return next((by_name[name] for name in names if name in by_name), None)


def longest_column(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """The column with most characters; the first of equals."""
    return max(columns, key=lambda column: sum(len(row.get(column, "")) for _, row in rows))


def steadiest_column(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """The column with the fewest distinct values, but two at least if any has; the first of equals."""

    def distinct(column: str) -> tuple[bool, int]:
        count = len({row.get(column, "").strip() for _, row in rows} - {""})
        return count < 2, count

    return min(columns, key=distinct)


def text_column(table: Table, rows: Sequence[Row], text: str | None, taken: str | None = None) -> str:
    """The column of texts: as named, or that of a known name, else the one with the longest; never `taken`."""
    if text is not None:
        return named_column(table, text, "text")
    free = [column for column in table.columns if column != taken]
    if not free:
        raise DataError(f"{table.name} has the column {taken} alone: a text is needed too.")
    return known_column(free, TEXT_NAMES) or longest_column(free, rows)


def label_column(table: Table, rows: Sequence[Row], label: str | None, taken: str) -> str:
    """The column of labels: as named, or that of a known name, else the one with the fewest distinct values."""
    if label is not None:
        return named_column(table, label, "label")
    free = [column for column in table.columns if column != taken]
    if not free:
        raise DataError(f"{table.name} has the column {taken} alone: a label is needed too.")
    return known_column(free, LABEL_NAMES) or steadiest_column(free, rows)
