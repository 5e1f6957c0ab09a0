"""Tables, row by row in constant memory: CSV, TSV, JSON lines, Parquet.

The reader is picked by the name's ending, else by the first lines: JSON lines begin with "{"; lines that all have the same
number of tabs are TSV; a header of known names is CSV. Every cell is a string.
"""

import itertools
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from elman.data.bad_rows import BadRows, nothing_left
from elman.data.delimited import (
    Record,
    delimiter_of,
    has_header,
    plain_records,
    quoted_records,
    usual_width,
)
from elman.data.lines import LONGEST, Line, read_lines, wrong_text
from elman.data.text import STANDARD_INPUT, Document, Source, name_of, unreadable
from elman.errors import DataError

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
}
# So many rows are looked at before the first is given: for the header, the columns' names, and what columns hold.
SAMPLE = 1000
_PARQUET_ROWS = 1 << 14

Row = tuple[str, dict[str, str]]


@dataclass(frozen=True)
class Table:
    """`columns` in order, and `rows`: (where, {column: cell}) one after another, to be read once."""

    name: str
    columns: list[str]
    rows: Iterator[Row]


def table_format(source: Source, encoding: str = "utf-8") -> str | None:
    """Which kind of table a source is ("csv", "tsv", "jsonl", "parquet"), or None. Standard input isn't looked at: None."""
    if kind := SUFFIXES.get(Path(name_of(source)).suffix.lower()):
        return kind
    if not isinstance(source, Document):
        if str(source) == STANDARD_INPUT or Path(source).is_dir():
            return None
        if _starts_as_parquet(Path(source)):
            return "parquet"
    return format_of_lines(list(itertools.islice(read_lines(source, encoding), 100)))


def format_of_lines(lines: Sequence[Line]) -> str | None:
    """The kind of table that begins with these lines, or None."""
    texts = [line.text for line in lines if line.text.strip()]
    if not texts:
        return None
    if texts[0].lstrip().startswith("{"):
        return "jsonl"
    if "\t" in texts[0] and len({text.count("\t") for text in texts}) == 1 and len(texts) == len(lines):
        return "tsv"
    rows = [cells for _, cells in quoted_records(iter(lines), delimiter_of(texts[0]), "", BadRows())]
    return "csv" if rows and len(rows[0]) > 1 and len(set(map(len, rows))) == 1 and has_header(rows) else None


def read_table(source: Source, *, encoding: str = "utf-8", bad: BadRows, asked: Collection[str | None] = ()) -> Table:
    """Open a table: a path, a `Document`, or "-" for standard input. `asked` are names of columns that it is opened for.

    CSV and TSV may lack a header (`delimited.has_header` has the rule): columns are then called "1", "2", …. A nameless
    column of a header has its number for a name. The columns of JSON lines are the keys of the first `SAMPLE` objects.
    Bad rows: too few or too many cells, undecodable bytes, NUL characters, invalid JSON, more than a million characters.
    Raises `DataError` if the source can't be read, is no table, or has no rows at all.
    """
    name = name_of(source)
    kind = SUFFIXES.get(Path(name).suffix.lower())
    if kind is None and not isinstance(source, Document) and str(source) != STANDARD_INPUT:
        kind = "parquet" if _starts_as_parquet(Path(source)) else None
    if kind == "parquet":
        if isinstance(source, Document):
            raise DataError(f"{name} is called a Parquet file but was given as text: give the file itself.")
        return _parquet(Path(source), bad)
    lines = read_lines(source, encoding)
    first = list(itertools.islice(lines, 100))
    text = next((line.text for line in first if line.text.strip()), "")
    kind = kind or format_of_lines(first) or ("csv" if delimiter_of(text) in text else None)
    if kind is None:
        raise DataError(f"{name} is no table: its first line has no columns. Give CSV, TSV, JSON lines or Parquet.")
    lines = itertools.chain(first, lines)
    if kind == "jsonl":
        return _json_lines(lines, name, bad)
    records = plain_records(lines, name, bad) if kind == "tsv" else quoted_records(lines, delimiter_of(text), name, bad)
    return _delimited(records, name, bad, [column for column in asked if column])


def _delimited(records: Iterator[Record], name: str, bad: BadRows, asked: Collection[str]) -> Table:
    sample = list(itertools.islice(records, SAMPLE))
    if not sample:
        raise nothing_left(name, bad, "it has no rows.")
    header = has_header([cells for _, cells in sample], asked)
    if header:
        columns = [cell.strip() or str(number) for number, cell in enumerate(sample.pop(0)[1], 1)]
    else:
        columns = [str(number) for number in range(1, usual_width([cells for _, cells in sample]) + 1)]

    def rows() -> Iterator[Row]:
        for number, cells in itertools.chain(sample, records):
            where = f"{name}, line {number}"
            if len(cells) == len(columns):
                yield where, dict(zip(columns, cells, strict=True))
            else:
                others = f"the columns are {', '.join(columns)}" if header else f"the others have {len(columns)}"
                bad.skip(where, f"it has {len(cells)} cell{'s' * (len(cells) != 1)}, but {others}")

    return Table(name, columns, rows())


def json_objects(lines: Iterator[Line], name: str, bad: BadRows) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, object) for each line that holds one. Raises `DataError` for a JSON array that goes over lines."""
    for line in lines:
        where = f"{name}, line {line.number}"
        if line.wrong:
            bad.skip(where, line.wrong)
            continue
        if not line.text.strip():
            continue
        if line.number == 1 and line.text.lstrip().startswith("["):
            raise DataError(f"{name} begins with a JSON array: write it as JSON lines, one object {{…}} a line.")
        try:
            value = json.loads(line.text)
        except (ValueError, RecursionError) as error:
            bad.skip(where, f"it is no JSON ({error})")
            continue
        if isinstance(value, dict):
            yield where, value
        else:
            bad.skip(where, "it is JSON, but no object {…}")


def _json_lines(lines: Iterator[Line], name: str, bad: BadRows) -> Table:
    objects = json_objects(lines, name, bad)
    sample = list(itertools.islice(objects, SAMPLE))
    if not sample:
        raise nothing_left(name, bad, "it has no rows.")
    columns = list(dict.fromkeys(key for _, value in sample for key in value))
    rows = (
        (where, {key: as_text(cell) for key, cell in value.items()})
        for where, value in itertools.chain(sample, objects)
    )
    return Table(name, columns, _checked(rows, bad))


def as_text(cell: object) -> str:
    """A value as a cell: nothing as an empty one, a string as it is, else as JSON writes it."""
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False, default=str)


def _checked(rows: Iterator[Row], bad: BadRows) -> Iterator[Row]:
    """Rows whose cells are text: escapes and binary columns can hold what a text file can't."""
    for where, row in rows:
        wrong = next((wrong for cell in row.values() if (wrong := wrong_text(cell))), None)
        if wrong is None and any(len(cell) > LONGEST for cell in row.values()):
            wrong = f"a cell has more than {LONGEST:,} characters"
        if wrong:
            bad.skip(where, wrong)
        else:
            yield where, row


def _starts_as_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError as error:
        raise unreadable(path, error) from error


def _parquet(path: Path, bad: BadRows) -> Table:
    if find_spec("polars") is None:
        raise DataError(f"{path} is a Parquet file, which needs polars: install it by pip install 'elman[tables]'.")
    import polars  # noqa: PLC0415

    if not path.exists():
        raise unreadable(path, FileNotFoundError(2, "No such file or directory"))
    try:
        frame = polars.scan_parquet(path)
        columns = frame.collect_schema().names()
    # The library has errors of many kinds for what is wrong with a file.
    except Exception as error:
        raise _broken(path, error) from error

    def rows() -> Iterator[Row]:
        for start in itertools.count(0, _PARQUET_ROWS):
            try:
                part = frame.slice(start, _PARQUET_ROWS).collect().rows()
            except Exception as error:
                raise _broken(path, error) from error
            for number, cells in enumerate(part, start + 1):
                yield f"{path}, row {number}", dict(zip(columns, map(as_text, cells), strict=True))
            if len(part) < _PARQUET_ROWS:
                return

    return Table(str(path), columns, _checked(rows(), bad))


def _broken(path: Path, error: Exception) -> DataError:
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(f"{path} can't be read as Parquet ({said}): write it again, or give CSV or JSON lines.")
