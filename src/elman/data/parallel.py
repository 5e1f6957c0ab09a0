"""Texts and their translations: two files line by line, or a table with two columns."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from elman.data.bad_rows import BadRows, check_enough
from elman.data.columns import has_column, known_column, named_column
from elman.data.delimited import SOURCE_NAMES, TARGET_NAMES
from elman.data.examples import Pair, Reading
from elman.data.lines import Line, read_lines
from elman.data.table import SAMPLE, Table, read_table, table_format
from elman.data.text import STANDARD_INPUT, Document, Source, find_files, name_of
from elman.errors import DataError


def read_pairs(
    sources: Sequence[Source],
    *,
    source: str | None = None,
    target: str | None = None,
    encoding: str = "utf-8",
    bad: BadRows,
    labelled: bool = True,
) -> Reading[Pair]:
    """Read pairs from

    - two text files (or a folder of two), whose lines belong together: the first is the source, the second the target;
    - tables (see `read_table`): the columns that `source` and `target` name, else those with a name from `SOURCE_NAMES` and
      `TARGET_NAMES`, else the first and the second of a table with two columns.

    Bad rows: a text that is empty on one side or both, and those of `read_lines` and `read_table`. `labelled=False`: a target
    is None where it is absent, and one text file alone is the source.

    Raises `DataError` for files of unequal length, missing columns, and where nothing, or less than half, can be used.
    """
    files = _files(sources)
    names, before = " and ".join(map(name_of, sources)), bad.count
    columns: dict[str, str] = {}
    if not any(_is_table(file, encoding, len(files)) for file in files):
        items, understood = _from_files(files, names, encoding, bad, labelled)
    else:
        items, said = [], []
        for file in files:
            asked = columns.get("source", source), columns.get("target", target)
            table = read_table(file, encoding=encoding, bad=bad, asked=asked)
            taken = _columns(table, *asked, labelled)
            columns |= {option: column for option, column in taken.items() if column is not None}
            items += _from_table(table, taken["source"], taken["target"], bad, labelled)
            said.append(" and ".join(f"the {option} is column {column!r}" for option, column in columns.items()))
        understood = "; ".join(dict.fromkeys(said))
    remedy = "there is no row with a text" + (" on both sides." if labelled else ".")
    check_enough(names, len(items), bad.count - before, bad, remedy)
    return Reading(items, understood, columns)


def _files(sources: Sequence[Source]) -> list[Source]:
    files: list[Source] = []
    for source in sources:
        if isinstance(source, Document) or str(source) == STANDARD_INPUT:
            files.append(source)
        else:
            files += find_files(Path(source))
    return files


def _is_table(source: Source, encoding: str, files: int) -> bool:
    # What comes from standard input alone can't be one of two files.
    return table_format(source, encoding) is not None or (
        files == 1 and not isinstance(source, Document) and str(source) == STANDARD_INPUT
    )


def _from_files(
    files: Sequence[Source], names: str, encoding: str, bad: BadRows, labelled: bool
) -> tuple[list[Pair], str]:
    if len(files) == 1 and not labelled:
        alone = ((line, None) for line in read_lines(files[0], encoding))
        return list(_pairs(alone, name_of(files[0]), bad)), f"{names}: a text a line"
    if len(files) != 2:
        raise DataError(
            f"{names}: {len(files)} text file{'s' * (len(files) != 1)} can't be read line by line as texts and translations: "
            "give two files, or a table with two columns."
        )
    first, second = files
    counts = [0, 0]

    def lines() -> Iterator[tuple[Line, Line]]:
        missing = Line(0, "")
        both = itertools.zip_longest(read_lines(first, encoding), read_lines(second, encoding), fillvalue=missing)
        for one, other in both:
            counts[0] += one is not missing
            counts[1] += other is not missing
            if counts[0] == counts[1]:
                yield one, other

    items = list(_pairs(lines(), name_of(first), bad))
    if counts[0] != counts[1]:
        raise DataError(
            f"{name_of(first)} has {counts[0]:,} lines but {name_of(second)} has {counts[1]:,}: line by line they don't belong "
            "together. Give files of equal length."
        )
    return items, f"line by line: the source is {name_of(first)}, the target {name_of(second)}"


def _pairs(lines: Iterator[tuple[Line, Line | None]], name: str, bad: BadRows) -> Iterator[Pair]:
    for one, other in lines:
        where = f"{name}, line {one.number}"
        wrong = one.wrong or (other and other.wrong)
        if wrong:
            bad.skip(where, wrong if one.wrong else f"in the target, {wrong}")
        else:
            yield from _filled(Pair(one.text, None if other is None else other.text, where), bad)


def _filled(pair: Pair, bad: BadRows) -> Iterator[Pair]:
    empty = [
        side
        for side, text in (("source", pair.source), ("target", pair.target))
        if text is not None and not text.strip()
    ]
    if empty:
        bad.skip(pair.where, f"its {' and its '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty")
    else:
        yield pair


def _columns(table: Table, source: str | None, target: str | None, labelled: bool) -> dict[str, str | None]:
    columns = table.columns
    if not labelled and len(columns) == 1:
        return {"source": columns[0], "target": None}
    if not labelled and target is not None and not has_column(table, target):
        target = None
    first = named_column(table, source, "source") if source is not None else known_column(columns, SOURCE_NAMES)
    second = named_column(table, target, "target") if target is not None else known_column(columns, TARGET_NAMES)
    if len(columns) == 2:
        first = first or next(column for column in columns if column != second)
        second = second or next(column for column in columns if column != first)
    if first is None or (second is None and labelled):
        raise DataError(
            f"{table.name} has the columns {', '.join(columns)}: name two of them with --source and --target."
        )
    if first == second:
        raise DataError(f"the source and the target can't both be the column {first!r} of {table.name}.")
    return {"source": first, "target": second}


def _from_table(table: Table, source: str | None, target: str | None, bad: BadRows, labelled: bool) -> Iterator[Pair]:
    for where, row in table.rows:
        other = None if target is None else row.get(target, "")
        if not labelled:
            other = other or None
        yield from _filled(Pair(row.get(source or "", ""), other, where), bad)


def are_two_texts(table: Table) -> bool:
    """Whether the first rows of a table with two columns hold a text each, of their own."""
    rows = [row for _, row in itertools.islice(table.rows, SAMPLE)]
    if len(table.columns) != 2 or not rows:
        return False
    if known_column(table.columns, SOURCE_NAMES) and known_column(table.columns, TARGET_NAMES):
        return True
    cells = [[row.get(column, "").strip() for row in rows] for column in table.columns]
    return all(2 * len(set(column)) > len(column) and any(_has_words(cell) for cell in column) for column in cells)


def _has_words(cell: str) -> bool:
    return len(cell.split()) > 1 or (len(cell) > 3 and not cell.isascii())
